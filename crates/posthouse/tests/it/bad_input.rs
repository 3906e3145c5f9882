//! What an operator gets wrong around the server stops its start with what it is, where, and what to do.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use crate::both_engines;
use crate::harness::disk::Disk;
use crate::harness::server::Setup;
use crate::harness::tls::Identity;
use crate::harness::{Engine, Posthouse};

/// The start is refused, and every one of these stands in what is said of it.
#[track_caller]
fn assert_refused(setup: &Setup, parts: &[&str]) {
    let (_, said) = setup.start_refused();
    for part in parts {
        assert!(said.contains(part), "{part:?} is missing: {said}");
    }
}

fn with_data(setup: Setup, data: &Path) -> Setup {
    setup.environment("POSTHOUSE__SERVER__DATA_DIR", &data.display().to_string())
}

both_engines! {
    fn a_second_server_on_the_same_data_is_refused(engine) {
        let first = Posthouse::on(engine).start();
        let second = with_data(Posthouse::on(engine), &first.data());
        let who = format!(
            "another Posthouse (process {}) runs on the data directory {}",
            first.pid(),
            first.data().display()
        );
        assert_refused(&second, &[&who, "stop it, or name another directory with --data"]);
        first.smtp().ehlo().expect("250");
    }
}

#[test]
fn a_port_in_use_is_named_with_its_key_and_its_variable() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let setup = Posthouse::on(Engine::Sqlite).set("smtp.submission", &format!("[\"{address}\"]"));
    assert_refused(
        &setup,
        &[
            &format!("cannot listen on {address} (smtp.submission)"),
            "stop the program that has the port, or name another in smtp.submission (or POSTHOUSE__SMTP__SUBMISSION)",
        ],
    );
}

#[test]
fn a_data_directory_that_cannot_be_made_is_named() {
    let setup = Posthouse::on(Engine::Sqlite);
    fs::write(setup.data(), "a file stands where the directory should be").unwrap();
    let what = format!("cannot make the data directory {}", setup.data().display());
    assert_refused(&setup, &[&what, "name another with --data"]);
}

#[test]
fn a_read_only_data_directory_is_named() {
    let disk = Disk::mount("1m");
    disk.remount("ro");
    let setup = with_data(Posthouse::on(Engine::Sqlite), disk.path());
    let what = format!("the data directory {} is not writable", disk.path().display());
    assert_refused(
        &setup,
        &[
            &what,
            "give it to the user the server runs as, or name another with --data",
        ],
    );
}

both_engines! {
    fn a_broken_certificate_or_a_key_of_another_is_named(engine) {
        let setup = Posthouse::on(engine);
        let [cert, key] = ["cert.pem", "key.pem"].map(|name| setup.home().join(name));
        let setup = setup
            .set_path("tls.cert", &cert)
            .set_path("tls.key", &key);
        let [one, other] = [(); 2].map(|()| Identity::for_names(&["mail.example.com"]));
        let shown = cert.display();

        fs::write(&key, &one.key_pem).unwrap();
        assert_refused(
            &setup,
            &[
                &format!("cannot read {shown}"),
                "correct tls.cert or the file's permissions",
            ],
        );

        let broken = "-----BEGIN CERTIFICATE-----\nnot base64 at all!\n-----END CERTIFICATE-----\n";
        fs::write(&cert, broken).unwrap();
        assert_refused(
            &setup,
            &[
                &format!("{shown} holds no certificate in PEM"),
                "tls.cert takes the chain, your own certificate first",
            ],
        );

        fs::write(&cert, &other.certificate_pem).unwrap();
        let what = format!(
            "the private key in {} does not belong to the first certificate in {shown}",
            key.display()
        );
        assert_refused(&setup, &[&what, "name the pair that was issued together"]);

        fs::write(&cert, &one.certificate_pem).unwrap();
        setup.start().smtps().ehlo().expect("250");
    }
}

#[test]
fn a_database_that_is_not_there_is_named_without_its_password() {
    let setup =
        Posthouse::on(Engine::Sqlite).database_url("postgres://posthouse:secret-word@127.0.0.1:1/mail");
    assert_refused(
        &setup,
        &[
            "cannot open the database",
            "127.0.0.1:1",
            "correct database.url or make the database reachable",
        ],
    );
    let (_, said) = setup.start_refused();
    assert!(!said.contains("secret-word"), "{said}");
}
