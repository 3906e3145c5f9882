//! What an operator gets wrong gets a clear answer: what it was, where, and what to do.

use std::fs;
use std::net::TcpListener;

use crate::harness::disk::Disk;
use crate::harness::tls::Identity;
use crate::harness::{Engine, Posthouse};

#[track_caller]
fn assert_says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "{word:?} is missing: {said}");
    }
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_its_neighbour() {
    let setup = Posthouse::on(Engine::Sqlite).set("smtp.submision", "[\"127.0.0.1:0\"]");
    let (_, said) = setup.start_refused();
    assert_says(&said, &["smtp.submision", "smtp.submission", "posthouse.toml"]);
    let line = fs::read_to_string(setup.config())
        .unwrap()
        .lines()
        .position(|line| line.contains("submision"))
        .unwrap()
        + 1;
    assert_says(&said, &[&line.to_string()]);
}

#[test]
fn a_value_of_the_wrong_kind_is_named_with_what_is_expected() {
    let (_, said) = Posthouse::on(Engine::Sqlite)
        .set("smtp.max_message_size", "\"twenty\"")
        .start_refused();
    assert_says(&said, &["smtp.max_message_size", "twenty"]);
}

#[test]
fn broken_toml_is_named_with_its_line() {
    let (_, said) = Posthouse::on(Engine::Sqlite)
        .set("smtp.max_recipients", "= 5")
        .start_refused();
    assert_says(&said, &["posthouse.toml", "line"]);
}

#[test]
fn a_port_in_use_is_named_with_its_key() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (_, said) = Posthouse::on(Engine::Sqlite)
        .set("smtp.submission", &format!("[\"{address}\"]"))
        .start_refused();
    assert_says(&said, &[&address, "smtp.submission"]);
}

#[test]
fn a_data_directory_that_cannot_be_made_is_named() {
    let setup = Posthouse::on(Engine::Sqlite);
    fs::write(setup.data(), "a file stands where the directory should be").unwrap();
    let (_, said) = setup.start_refused();
    assert_says(&said, &[&setup.data().display().to_string()]);
}

#[test]
fn a_read_only_data_directory_is_named() {
    let disk = Disk::mount("1m");
    disk.remount("ro");
    let setup = Posthouse::on(Engine::Sqlite)
        .environment("POSTHOUSE__SERVER__DATA_DIR", &disk.path().display().to_string());
    let (_, said) = setup.start_refused();
    assert_says(&said, &[&disk.path().display().to_string()]);
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let first = Posthouse::on(Engine::Sqlite).start();
    let second = Posthouse::on(Engine::Sqlite)
        .environment("POSTHOUSE__SERVER__DATA_DIR", &first.data().display().to_string());
    let (_, said) = second.start_refused();
    assert_says(&said, &[&first.data().display().to_string()]);
    first.smtp().ehlo().expect("250");
}

#[test]
fn a_broken_certificate_or_a_key_of_another_is_named() {
    let setup = Posthouse::on(Engine::Sqlite);
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| setup.home().join(name));
    let setup = setup
        .set("tls.cert", &format!("{cert:?}"))
        .set("tls.key", &format!("{key:?}"));
    let (one, other) = (
        Identity::for_names(&["mail.example.com"]),
        Identity::for_names(&["mail.example.com"]),
    );

    fs::write(&key, &one.key_pem).unwrap();
    let (_, said) = setup.start_refused();
    assert_says(&said, &["cert.pem"]);

    fs::write(
        &cert,
        "-----BEGIN CERTIFICATE-----\nnot base64 at all!\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    let (_, said) = setup.start_refused();
    assert_says(&said, &["cert.pem"]);

    fs::write(&cert, &other.certificate_pem).unwrap();
    let (_, said) = setup.start_refused();
    assert_says(&said, &["key"]);

    fs::write(&cert, &one.certificate_pem).unwrap();
    setup.start().smtps().ehlo().expect("250");
}

#[test]
fn a_database_that_is_not_there_is_named() {
    let setup =
        Posthouse::on(Engine::Sqlite).database_url("postgres://postgres:secret-word@127.0.0.1:1/posthouse");
    let (_, said) = setup.start_refused();
    assert_says(&said, &["127.0.0.1"]);
    assert!(!said.contains("secret-word"), "{said}");
}
