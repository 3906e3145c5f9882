//! A certificate from an ACME authority: Debian's pebble, which comes for the proof to our own HTTP listener.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::{der, shown_by};
use crate::both_engines;
use crate::harness::dns::Dns;
use crate::harness::tls::Identity;
use crate::harness::{Posthouse, eventually};

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

/// Starts a pebble that looks for proofs at `proof` and asks `dns` where that is; returns its directory's address.
fn pebble(home: &Path, proof: SocketAddr, dns: &Dns) -> (Pebble, String) {
    let identity = Identity::for_names(&["localhost"]);
    fs::write(home.join("pebble.pem"), &identity.certificate_pem).unwrap();
    fs::write(home.join("pebble-key.pem"), &identity.key_pem).unwrap();
    let listen = free();
    let config = serde_json::json!({"pebble": {
        "listenAddress": listen.to_string(),
        "managementListenAddress": free().to_string(),
        "certificate": home.join("pebble.pem"),
        "privateKey": home.join("pebble-key.pem"),
        "httpPort": proof.port(),
        "tlsPort": free().port(),
    }});
    fs::write(home.join("pebble.json"), config.to_string()).unwrap();
    let child = Command::new("pebble")
        .arg("-config")
        .arg(home.join("pebble.json"))
        .args(["-dnsserver", &dns.address().to_string()])
        .env("PEBBLE_VA_NOSLEEP", "1")
        .env("PEBBLE_AUTHZREUSE", "0")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("Debian's package pebble is installed");
    let pebble = Pebble(child);
    eventually("pebble listens", || std::net::TcpStream::connect(listen).ok());
    (pebble, format!("https://localhost:{}/dir", listen.port()))
}

both_engines! {
    fn a_certificate_is_fetched_shown_and_kept(engine) {
        let dns = Dns::start();
        dns.address_of("mail.example.com", "127.0.0.1");
        let proof = free();
        let setup = Posthouse::on(engine);
        let (pebble, directory) = pebble(setup.home(), proof, &dns);
        let authority = setup.home().join("pebble.pem");
        let mut server = setup
            .set("http.listen", &format!("\"{proof}\""))
            .set("http.listen_tls", "\"127.0.0.1:0\"")
            .set("acme.domains", "[\"mail.example.com\"]")
            .set("acme.contact", "\"postmaster@example.com\"")
            .set("acme.directory", &format!("{directory:?}"))
            .set_path("acme.ca_file", &authority)
            .start();

        let own = der(&fs::read_to_string(server.data().join("tls/cert.pem")).unwrap());
        let shown = eventually("the fetched certificate is shown", || {
            Some(shown_by(server.address("https"))).filter(|shown| *shown != own)
        });
        let kept = fs::read_to_string(server.data().join("tls/acme.pem")).unwrap();
        assert_eq!(der(&kept), shown);
        let answer = server.http().get("/.well-known/acme-challenge/nothing");
        answer.expect(404);

        // The next start shows what was kept and asks nobody.
        drop(pebble);
        server.stop();
        server.start_again();
        assert_eq!(shown_by(server.address("https")), shown);
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
