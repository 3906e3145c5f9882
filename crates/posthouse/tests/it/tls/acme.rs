//! A certificate from an ACME authority: Debian's pebble, which comes for the proof to our own HTTP listener.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use super::{der, shown_as, shown_by};
use crate::both_engines;
use crate::harness::dns::Dns;
use crate::harness::server::{Setup, signal};
use crate::harness::tls::Identity;
use crate::harness::{PASSWORD, Posthouse, eventually};

/// A pebble of the test's own; ended when the value goes.
struct Pebble(Child);

impl Drop for Pebble {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that was free a moment ago: pebble's and ours have to be known before either starts.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Where pebble will be, and where it will look for proofs: known before it starts.
struct Authority {
    listen: SocketAddr,
    proof: SocketAddr,
    identity: Identity,
}

impl Authority {
    fn to_be() -> Self {
        Self {
            listen: free(),
            proof: free(),
            identity: Identity::for_names(&["localhost"]),
        }
    }

    /// A server to be that asks this authority.
    fn asked_by(&self, setup: Setup) -> Setup {
        let ca = setup.home().join("pebble.pem");
        fs::write(&ca, &self.identity.certificate_pem).unwrap();
        setup
            .set("http.listen", &format!("\"{}\"", self.proof))
            .set("http.listen_tls", "\"127.0.0.1:0\"")
            .set("acme.domains", "[\"mail.example.com\"]")
            .set("acme.contact", "\"postmaster@example.com\"")
            .set(
                "acme.directory",
                &format!("\"https://localhost:{}/dir\"", self.listen.port()),
            )
            .set_path("acme.ca_file", &ca)
    }

    /// Starts it; it asks `dns` where the names are.
    fn start(&self, home: &Path, dns: &Dns) -> Pebble {
        let [config, cert, key] = ["pebble.json", "pebble.pem", "pebble-key.pem"].map(|file| home.join(file));
        fs::write(&cert, &self.identity.certificate_pem).unwrap();
        fs::write(&key, &self.identity.key_pem).unwrap();
        let settings = serde_json::json!({"pebble": {
            "listenAddress": self.listen.to_string(),
            "managementListenAddress": free().to_string(),
            "certificate": cert,
            "privateKey": key,
            "httpPort": self.proof.port(),
            "tlsPort": free().port(),
        }});
        fs::write(&config, settings.to_string()).unwrap();
        let child = Command::new("pebble")
            .arg("-config")
            .arg(&config)
            .args(["-dnsserver", &dns.address().to_string()])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_AUTHZREUSE", "0")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Debian's package pebble is installed");
        let pebble = Pebble(child);
        eventually("pebble listens", || TcpStream::connect(self.listen).ok());
        pebble
    }
}

both_engines! {
    fn a_certificate_is_fetched_shown_and_kept(engine) {
        let dns = Dns::start();
        dns.address_of("mail.example.com", "127.0.0.1");
        let authority = Authority::to_be();
        let setup = authority.asked_by(Posthouse::on(engine));
        let pebble = authority.start(setup.home(), &dns);
        let mut server = setup.start();

        let own = der(&fs::read_to_string(server.data().join("tls/cert.pem")).unwrap());
        let shown = eventually("the fetched certificate is shown", || {
            Some(shown_by(server.address("https"))).filter(|shown| *shown != own)
        });
        let kept = fs::read_to_string(server.data().join("tls/acme.pem")).unwrap();
        assert_eq!(der(&kept), shown);
        server.http().get("/.well-known/acme-challenge/nothing").expect(404);

        // The next start shows what was kept and asks nobody.
        drop(pebble);
        server.stop();
        server.start_again();
        assert_eq!(shown_by(server.address("https")), shown);
    }

    fn a_certificate_near_its_end_stays_while_the_authority_fails_and_is_renewed_under_open_sessions(engine) {
        let dns = Dns::start();
        let authority = Authority::to_be();
        let setup = authority.asked_by(Posthouse::on(engine));
        let old = Identity::near_its_end(&["mail.example.com"]);
        fs::create_dir_all(setup.data().join("tls")).unwrap();
        let kept = setup.data().join("tls/acme.pem");
        fs::write(&kept, format!("{}{}", old.key_pem, old.certificate_pem)).unwrap();
        let home = setup.home().to_owned();
        let server = setup.start();
        let old = der(&old.certificate_pem);
        let shown = || ["https", "submissions"].map(|listener| shown_by(server.address(listener)));

        // Nobody answers.
        let said = server.wait_for_log("no certificate from the ACME authority").to_string();
        assert!(said.contains("correct acme.directory or acme.ca_file"), "{said}");
        assert!(said.contains("\"next_try_in_seconds\":300"), "{said}");
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
        assert_eq!(der(&fs::read_to_string(&kept).unwrap()), shown_by(server.address("https")));
        let message = b"From: alice@example.com\r\nSubject: still here\r\n\r\nhello\r\n";
        open.submit("alice@example.com", &["bob@example.net"], message).expect("250 2.0.0");
    }

    fn a_name_of_a_sending_domain_that_leads_here_gets_a_certificate_and_then_stands_in_links(engine) {
        let dns = Dns::start();
        dns.address_of("mail.example.com", "127.0.0.1");
        let authority = Authority::to_be();
        let setup = authority
            .asked_by(Posthouse::on(engine))
            .set("http.public_url", "\"https://mail.example.com\"")
            .set("delivery.route", "\"capture\"")
            .set("delivery.resolver", &format!("[\"{}\"]", dns.address()));
        let _pebble = authority.start(setup.home(), &dns);
        setup.create_account("alice@example.com");
        let server = setup.start();
        let own = der(&fs::read_to_string(server.data().join("tls/cert.pem")).unwrap());
        eventually("the server's own certificate is there", || {
            (shown_by(server.address("https")) != own).then_some(())
        });
        let mut http = server.http();
        http.sign_in("alice@example.com", PASSWORD);
        let domain = http.post("/api/v1/domains", &json!({"name": "shop.example"})).expect(201).json();
        for record in domain["records"].as_array().unwrap() {
            let [name, value] = ["name", "value"].map(|field| record[field].as_str().unwrap());
            match record["purpose"].as_str().unwrap() {
                "dkim_rsa" => dns.txt(name, value),
                "links" => dns.alias(name, value),
                _ => &dns,
            };
        }
        let path = format!("/api/v1/domains/{}/check", domain["id"].as_str().unwrap());
        http.post(&path, &json!({})).expect(200);
        let file = server.data().join("tls/links/links.shop.example.pem");
        let kept = eventually("a certificate of its own", || fs::read_to_string(&file).ok());
        eventually("it is shown to who asks by its name", || {
            (shown_as("links.shop.example", server.address("https")) == der(&kept)).then_some(())
        });
        let others = shown_by(server.address("https"));
        assert!(others != der(&kept) && shown_as("other.shop.example", server.address("https")) == others);
        // Nobody asks for names that lead elsewhere.
        assert_eq!(fs::read_dir(server.data().join("tls/links")).unwrap().count(), 1);
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
    }

    fn an_authority_that_cannot_be_reached_leaves_the_self_made_certificate_and_a_reason(engine) {
        let nobody = free();
        let server = Posthouse::on(engine)
            .set("http.listen_tls", "\"127.0.0.1:0\"")
            .set("acme.domains", "[\"mail.example.com\"]")
            .set("acme.directory", &format!("\"https://{nobody}/dir\""))
            .start();
        server.wait_for_log("no certificate from the ACME authority");
        let own = der(&fs::read_to_string(server.data().join("tls/cert.pem")).unwrap());
        assert_eq!(shown_by(server.address("https")), own);
    }
}
