//! A certificate from an ACME authority: Debian's pebble, which comes for the proof to our own HTTP listener.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::{der, shown_as, shown_by};
use crate::both_engines;
use crate::harness::dns::Dns;
use crate::harness::http::Http;
use crate::harness::server::{Setup, signal};
use crate::harness::tls::Identity;
use crate::harness::{PASSWORD, Posthouse, eventually, ports};

/// By then links may have a name whose certificate is new.
const SETTLED: Duration = Duration::from_mins(1);

/// A pebble of the test's own; ended when the value goes.
pub struct Pebble(Child);

impl Drop for Pebble {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where pebble will be, and where it will look for proofs: known before it starts.
pub struct Authority {
    listen: SocketAddr,
    proof: SocketAddr,
    identity: Identity,
}

impl Authority {
    pub fn to_be() -> Self {
        Self {
            listen: ports::free(),
            proof: ports::free(),
            identity: Identity::for_names(&["localhost"]),
        }
    }

    /// A server to be that asks this authority.
    pub fn asked_by(&self, setup: Setup) -> Setup {
        let ca = setup.home().join("pebble.pem");
        fs::write(&ca, &self.identity.certificate_pem).unwrap();
        setup
            .set("http.listen_tls", "\"127.0.0.1:0\"")
            .set("acme.domains", "[\"mail.example.com\"]")
            .set("acme.contact", "\"postmaster@example.com\"")
            .set(
                "acme.directory",
                &format!("\"https://localhost:{}/dir\"", self.listen.port()),
            )
            .set_path("acme.ca_file", &ca)
    }

    /// The same, which is also where the authority comes for proofs.
    pub fn proven_by(&self, setup: Setup) -> Setup {
        self.asked_by(setup)
            .set("http.listen", &format!("\"{}\"", self.proof))
    }

    /// The same, which serves names of sending domains that `dns` knows as well.
    pub fn with_links(setup: Setup, dns: &Dns) -> Setup {
        setup
            .set("http.public_url", "\"https://mail.example.com\"")
            .set("delivery.route", "\"capture\"")
            .set("delivery.resolver", &format!("[\"{}\"]", dns.address()))
            .moving_clock()
    }

    /// Something that listens in its place and answers nothing.
    pub fn silent(&self) -> TcpListener {
        TcpListener::bind(self.listen).unwrap()
    }

    /// Starts it; it asks `dns` where the names are.
    pub fn start(&self, home: &Path, dns: &Dns) -> Pebble {
        let [config, cert, key] = ["pebble.json", "pebble.pem", "pebble-key.pem"].map(|file| home.join(file));
        fs::write(&cert, &self.identity.certificate_pem).unwrap();
        fs::write(&key, &self.identity.key_pem).unwrap();
        let settings = serde_json::json!({"pebble": {
            "listenAddress": self.listen.to_string(),
            "managementListenAddress": ports::free().to_string(),
            "certificate": cert,
            "privateKey": key,
            "certificateValidityPeriod": 90 * 24 * 3600,
            "httpPort": self.proof.port(),
            "tlsPort": ports::free().port(),
        }});
        fs::write(&config, settings.to_string()).unwrap();
        let child = Command::new("pebble")
            .arg("-config")
            .arg(&config)
            .args(["-dnsserver", &dns.address().to_string()])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_AUTHZREUSE", "0")
            // By itself it refuses some at random.
            .env("PEBBLE_WFE_NONCEREJECT", "0")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Debian's package pebble is installed");
        let pebble = Pebble(child);
        eventually("pebble listens", || TcpStream::connect(self.listen).ok());
        pebble
    }
}

/// Adds a domain, publishes what it needs and has it checked.
pub fn verified(http: &Http, dns: &Dns, name: &str) -> String {
    let domain = http
        .post("/api/v1/domains", &json!({"name": name}))
        .expect(201)
        .json();
    for record in domain["records"].as_array().unwrap() {
        let [name, value] = ["name", "value"].map(|field| record[field].as_str().unwrap());
        match record["purpose"].as_str().unwrap() {
            "dkim_rsa" => dns.txt(name, value),
            "links" => dns.alias(name, value),
            _ => dns,
        };
    }
    let id = domain["id"].as_str().unwrap().to_owned();
    http.post(&format!("/api/v1/domains/{id}/check"), &json!({}))
        .expect(200);
    id
}

/// What is said of the certificate for a domain's links.
pub fn certificate_of(http: &Http, domain: &str) -> Value {
    let path = format!("/api/v1/domains/{domain}");
    http.get(&path).expect(200).json()["links_certificate"].clone()
}

/// What a certificate is on its own, before one is fetched.
fn own(server: &Posthouse) -> rustls::pki_types::CertificateDer<'static> {
    der(&fs::read_to_string(server.data().join("tls/cert.pem")).unwrap())
}

both_engines! {
    fn a_certificate_is_fetched_shown_and_kept(engine) {
        let dns = Dns::start();
        dns.address_of("mail.example.com", "127.0.0.1");
        let authority = Authority::to_be();
        let setup = authority.proven_by(Posthouse::on(engine));
        let pebble = authority.start(setup.home(), &dns);
        let mut server = setup.start();

        let own = own(&server);
        let shown = eventually("the fetched certificate is shown", || {
            Some(shown_by(server.address("https"))).filter(|shown| *shown != own)
        });
        for token in ["nothing", "..%2F..%2Fetc%2Fpasswd", "%00", "a%20b"] {
            server.http().get(&format!("/.well-known/acme-challenge/{token}")).expect(404);
        }
        let listed = server.cli(&["certificate", "list"], "");
        assert!(listed.contains("mail.example.com") && listed.contains("issued"), "{listed}");
        assert!(!listed.contains("PRIVATE KEY"), "{listed}");
        let checked = server.try_cli(&["check"], "").stdout;
        let checked = String::from_utf8_lossy(&checked);
        assert!(checked.contains("ok     certificate: the one from https://localhost:"), "{checked}");

        // The next start shows what was kept and asks nobody.
        drop(pebble);
        server.stop();
        server.start_again();
        assert_eq!(shown_by(server.address("https")), shown);
        assert!(!server.log().iter().any(|line| line.to_string().contains("PRIVATE KEY")));
    }

    fn a_certificate_near_its_end_stays_while_the_authority_fails_and_is_renewed_under_open_sessions(engine) {
        let dns = Dns::start();
        let authority = Authority::to_be();
        let setup = authority.proven_by(Posthouse::on(engine));
        let old = Identity::near_its_end(&["mail.example.com"]);
        // As versions before kept it.
        fs::create_dir_all(setup.data().join("tls")).unwrap();
        let file = setup.data().join("tls/acme.pem");
        fs::write(&file, format!("{}{}", old.key_pem, old.certificate_pem)).unwrap();
        let home = setup.home().to_owned();
        let server = setup.start();
        let old = der(&old.certificate_pem);
        let shown = || ["https", "submissions"].map(|listener| shown_by(server.address(listener)));

        // Nobody answers.
        let said = server.wait_for_log("no certificate from the ACME authority").to_string();
        assert!(said.contains("correct acme.directory or acme.ca_file"), "{said}");
        assert!(said.contains("\"next_try_in_seconds\":300"), "{said}");
        assert!(!file.exists(), "a key lies in two places");
        assert_eq!(shown(), [(); 2].map(|()| old.clone()));
        server.create_account("alice@example.com");
        let mut open = server.signed_in("alice@example.com");

        // The authority cannot find us.
        let _pebble = authority.start(&home, &dns);
        signal(server.pid(), "HUP");
        let said = server.wait_for_log("could not verify mail.example.com").to_string();
        assert!(said.contains("port 80 of mail.example.com has to reach an address of http.listen"), "{said}");
        assert!(said.contains("\"next_try_in_seconds\":1200"), "{said}");
        assert_eq!(shown(), [(); 2].map(|()| old.clone()));

        dns.address_of("mail.example.com", "127.0.0.1");
        signal(server.pid(), "HUP");
        eventually("every listener shows one new certificate", || {
            let [https, submissions] = shown();
            (https == submissions && https != old).then_some(())
        });
        let message = b"From: alice@example.com\r\nSubject: still here\r\n\r\nhello\r\n";
        open.submit("alice@example.com", &["bob@example.net"], message).expect("250 2.0.0");
    }

    fn a_name_of_a_sending_domain_that_leads_here_gets_a_certificate_and_then_stands_in_links(engine) {
        let dns = Dns::start();
        dns.address_of("mail.example.com", "127.0.0.1");
        let authority = Authority::to_be();
        let setup = Authority::with_links(authority.proven_by(Posthouse::on(engine)), &dns);
        let _pebble = authority.start(setup.home(), &dns);
        let server = setup.start();
        let own = own(&server);
        eventually("the server's own certificate is there", || {
            (shown_by(server.address("https")) != own).then_some(())
        });
        let http = server.owner("alice@example.com");
        let domain = verified(&http, &dns, "shop.example");
        let others = shown_by(server.address("https"));
        eventually("a certificate of its own is shown to who asks by its name", || {
            (shown_as("links.shop.example", server.address("https")) != others).then_some(())
        });
        let said = certificate_of(&http, &domain);
        assert_eq!((said["state"].as_str(), &said["problem"]), (Some("issued"), &Value::Null), "{said}");
        assert!(said["valid_until"].is_string(), "{said}");
        assert_eq!(shown_as("other.shop.example", server.address("https")), others);
        let listed = server.cli(&["certificate", "list"], "");
        assert_eq!(listed.lines().count(), 3, "nobody asks for names that lead elsewhere: {listed}");
        server.pass(SETTLED);
        let message = b"From: info@shop.example\r\nSubject: s\r\nX-Posthouse-Track: opens\r\nContent-Type: text/html\r\n\r\n<p>Hello\r\n";
        eventually("links have the name", || {
            server.signed_in("alice@example.com").submit("info@shop.example", &["bob@example.net"], message).expect("250");
            eventually("it is kept", || {
                let inbox = http.get("/api/v1/inbox").expect(200).json();
                let id = inbox["items"][0]["id"].as_str()?.to_owned();
                let source = http.get(&format!("/api/v1/inbox/{id}/source")).expect(200).text;
                Some(source.contains("https://links.shop.example/t/o/"))
            })
            .then_some(())
        });

        // With the domain its certificate goes, and its key.
        http.delete(&format!("/api/v1/domains/{domain}")).expect(204);
        eventually("nobody is shown it any more", || {
            (shown_as("links.shop.example", server.address("https")) == others).then_some(())
        });
        let listed = server.cli(&["certificate", "list"], "");
        assert!(!listed.contains("links.shop.example"), "{listed}");
    }

    fn a_name_that_fails_waits_says_why_and_is_not_asked_for_without_end(engine) {
        let dns = Dns::start();
        dns.address_of("mail.example.com", "127.0.0.1");
        let authority = Authority::to_be();
        let setup = Authority::with_links(authority.proven_by(Posthouse::on(engine)), &dns);
        let pebble = authority.start(setup.home(), &dns);
        let server = setup.start();
        server.wait_for_log("certificate issued by the ACME authority");
        drop(pebble);
        let http = server.owner("alice@example.com");
        let domain = verified(&http, &dns, "shop.example");
        let tried = eventually("it was tried", || {
            Some(certificate_of(&http, &domain)).filter(|said| said["state"] == "failing")
        });
        let problem = tried["problem"].as_str().unwrap();
        assert!(problem.starts_with("The certificate authority could not be asked"), "what operators are told is not theirs: {problem}");
        let listed = server.cli(&["certificate", "list"], "");
        assert!(listed.contains("correct acme.directory or acme.ca_file"), "{listed}");
        let checked = server.try_cli(&["check"], "").stdout;
        let checked = String::from_utf8_lossy(&checked);
        assert!(checked.contains("certificate: the last order for links.shop.example failed"), "{checked}");
        let metrics = eventually("it is counted", || {
            let text = server.http().get("/metrics").expect(200).text;
            text.contains("posthouse_link_certificates_failing 1").then_some(text)
        });
        assert!(metrics.contains("posthouse_link_certificates_issued 0"), "{metrics}");

        // Its turn comes when it has waited, and not before.
        server.pass(Duration::from_mins(6));
        let count = || server.log().iter().filter(|line| line["message"].to_string().contains("no certificate for links")).count();
        eventually("it was tried again", || (count() == 2).then_some(()));
        let again = certificate_of(&http, &domain);
        assert!(again["tried_at"] != tried["tried_at"] && again["state"] == "failing", "{again}");
    }

    fn a_name_of_this_server_is_nobody_elses(engine) {
        let dns = Dns::start();
        for name in ["mail.example.com", "links.shop.example"] {
            dns.address_of(name, "127.0.0.1");
        }
        let authority = Authority::to_be();
        let setup = Authority::with_links(authority.proven_by(Posthouse::on(engine)), &dns)
            .set("acme.domains", "[\"mail.example.com\", \"links.shop.example\"]");
        let _pebble = authority.start(setup.home(), &dns);
        let server = setup.start();
        server.wait_for_log("certificate issued by the ACME authority");
        let http = server.owner("alice@example.com");
        verified(&http, &dns, "other.example");
        verified(&http, &dns, "shop.example");
        let own = shown_by(server.address("https"));
        eventually("the other one has its own", || {
            (shown_as("links.other.example", server.address("https")) != own).then_some(())
        });
        assert_eq!(shown_as("links.shop.example", server.address("https")), own);
        let listed = server.cli(&["certificate", "list"], "");
        assert_eq!(listed.matches("links.shop.example").count(), 1, "{listed}");
    }

    fn an_order_that_a_stop_cuts_short_is_made_at_the_next_start(engine) {
        let dns = Dns::start();
        dns.address_of("mail.example.com", "127.0.0.1");
        let authority = Authority::to_be();
        let silent = authority.silent();
        let setup = authority.proven_by(Posthouse::on(engine));
        let home = setup.home().to_owned();
        let mut server = setup.start();
        let open = silent.accept().unwrap();
        assert_eq!(server.stop(), Some(0));
        drop((open, silent));
        let _pebble = authority.start(&home, &dns);
        // Nobody waits until the turn has run out.
        server.start_again();
        let own = own(&server);
        eventually("it is issued", || (shown_by(server.address("https")) != own).then_some(()));
    }

    fn what_was_kept_in_files_is_taken_over_and_asked_of_nobody(engine) {
        let dns = Dns::start();
        let authority = Authority::to_be();
        let setup = Authority::with_links(authority.proven_by(Posthouse::on(engine)), &dns);
        let folder = setup.data().join("tls/links");
        let mut server = setup.start();
        let http = server.owner("alice@example.com");
        let domain = verified(&http, &dns, "shop.example");
        server.wait_for_log("no certificate for links");
        server.stop();
        let links = Identity::for_names(&["links.shop.example"]);
        fs::create_dir_all(&folder).unwrap();
        for (file, pem) in [
            ("links.shop.example.pem", format!("{}{}", links.key_pem, links.certificate_pem)),
            ("links.broken.example.pem", "nothing".to_owned()),
        ] {
            fs::write(folder.join(file), pem).unwrap();
        }
        server.start_again();
        let shown = || shown_as("links.shop.example", server.address("https"));
        assert_eq!(shown(), der(&links.certificate_pem));
        let mut http = server.http();
        http.sign_in("alice@example.com", PASSWORD);
        let said = certificate_of(&http, &domain);
        assert_eq!((said["state"].as_str(), &said["problem"]), (Some("issued"), &Value::Null), "{said}");
        let left: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(left, ["links.broken.example.pem"], "what cannot be used is nobody's to delete");

        // A bad day of DNS takes the name out of links, and costs no order when it is over.
        let check = format!("/api/v1/domains/{domain}/check");
        dns.fail("links.shop.example");
        http.post(&check, &json!({})).expect(200);
        eventually("it is not shown", || (shown() != der(&links.certificate_pem)).then_some(()));
        assert_eq!(certificate_of(&http, &domain), Value::Null);
        dns.mend("links.shop.example");
        http.post(&check, &json!({})).expect(200);
        eventually("it is shown again", || (shown() == der(&links.certificate_pem)).then_some(()));
        let ordered = server.log().iter().any(|line| line["message"].to_string().contains("for links"));
        assert!(!ordered, "nobody was asked");
    }

    fn an_authority_that_cannot_be_reached_leaves_the_self_made_certificate_and_a_reason(engine) {
        let nobody = ports::free();
        let server = Posthouse::on(engine)
            .set("http.listen_tls", "\"127.0.0.1:0\"")
            .set("acme.domains", "[\"mail.example.com\"]")
            .set("acme.directory", &format!("\"https://{nobody}/dir\""))
            .start();
        server.wait_for_log("no certificate from the ACME authority");
        assert_eq!(shown_by(server.address("https")), own(&server));
    }
}
