//! One's own files, good, broken and exchanged under the running server.

use std::fs;
use std::path::PathBuf;

use crate::harness::server::{Setup, signal};
use crate::harness::tls::Identity;
use crate::harness::{Engine, Posthouse, eventually};

/// Where a pair lies in the home of a server to be.
fn put(setup: &Setup, identity: &Identity) -> [PathBuf; 2] {
    let files = ["own-cert.pem", "own-key.pem"].map(|file| setup.home().join(file));
    fs::write(&files[0], &identity.certificate_pem).unwrap();
    fs::write(&files[1], &identity.key_pem).unwrap();
    files
}

fn with_own(identity: &Identity) -> (Setup, [PathBuf; 2]) {
    let setup = Posthouse::on(Engine::Sqlite);
    let files = put(&setup, identity);
    let setup = setup
        .set("tls.cert", &format!("{:?}", files[0].display().to_string()))
        .set("tls.key", &format!("{:?}", files[1].display().to_string()))
        .set("http.listen_tls", "\"127.0.0.1:0\"");
    (setup, files)
}

#[test]
fn a_first_start_makes_a_certificate_that_smtp_and_http_show() {
    let server = Posthouse::on(Engine::Sqlite)
        .set("http.listen_tls", "\"127.0.0.1:0\"")
        .start();
    let made = server.data().join("tls/cert.pem");
    let pem = fs::read_to_string(made).unwrap();
    for listener in ["submissions", "https"] {
        assert_eq!(super::der(&pem), super::shown_by(server.address(listener)));
    }
}

#[test]
fn a_new_pair_is_shown_after_sighup_and_a_broken_one_is_not() {
    let first = Identity::for_names(&["mail.example.com"]);
    let second = Identity::for_names(&["mail.example.com", "other.example.com"]);
    let (setup, [cert, key]) = with_own(&first);
    let server = setup.start();
    assert_eq!(
        super::shown_by(server.address("https")),
        super::der(&first.certificate_pem)
    );

    fs::write(&cert, &second.certificate_pem).unwrap();
    signal(server.pid(), "HUP");
    eventually("the broken pair is said to be broken", || {
        server
            .log()
            .iter()
            .find(|line| line.to_string().contains("does not belong to"))
            .map(|_| ())
    });
    assert_eq!(
        super::shown_by(server.address("https")),
        super::der(&first.certificate_pem)
    );

    fs::write(&key, &second.key_pem).unwrap();
    signal(server.pid(), "HUP");
    eventually("the new certificate is shown", || {
        (super::shown_by(server.address("https")) == super::der(&second.certificate_pem)).then_some(())
    });
}

#[test]
fn a_key_of_another_certificate_stops_the_start_with_the_remedy() {
    let (setup, [_, key]) = with_own(&Identity::for_names(&["a.example.com"]));
    fs::write(key, Identity::for_names(&["b.example.com"]).key_pem).unwrap();
    let (_, said) = setup.start_refused();
    assert!(
        said.contains("does not belong to the first certificate") && said.contains("issued together"),
        "{said}"
    );
}

#[test]
fn a_certificate_that_is_not_there_stops_the_start_with_its_key() {
    let (setup, [cert, _]) = with_own(&Identity::for_names(&["a.example.com"]));
    fs::remove_file(cert).unwrap();
    let (_, said) = setup.start_refused();
    assert!(
        said.contains("cannot read") && said.contains("correct tls.cert"),
        "{said}"
    );
}
