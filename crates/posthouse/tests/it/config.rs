//! Wrong configurations stop the start with the line and the remedy; what can be shown holds no secret.

use crate::harness::{Engine, Posthouse};

#[test]
fn a_wrong_key_stops_the_start_with_its_line_and_the_nearest_key() {
    let setup = Posthouse::on(Engine::Sqlite).set("smtp.submision", "[]");
    let (code, said) = setup.start_refused();
    assert_eq!(code, 1);
    assert!(said.contains("posthouse.toml line"), "{said}");
    assert!(
        said.contains("unknown key smtp.submision; did you mean smtp.submission?"),
        "{said}"
    );
}

#[test]
fn a_wrong_value_stops_the_start_with_what_was_found_and_what_is_expected() {
    let setup = Posthouse::on(Engine::Sqlite).environment("POSTHOUSE__SMTP__MAX_MESSAGE_SIZE", "huge");
    let (_, said) = setup.start_refused();
    assert!(
        said.contains(
            "environment variable POSTHOUSE__SMTP__MAX_MESSAGE_SIZE: smtp.max_message_size is \"huge\""
        ),
        "{said}"
    );
    assert!(said.contains("\"25 MiB\""), "{said}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let setup = Posthouse::on(Engine::Sqlite);
    let output = setup.command(&["config", "show"]).output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("cannot read the configuration file") && said.contains("--config"),
        "{said}"
    );
}

#[test]
fn the_configuration_in_force_is_shown_without_its_secrets() {
    let setup = Posthouse::on(Engine::Sqlite)
        .set("delivery.route", "\"smtps://user:hunter2@relay.example.com\"")
        .environment("POSTHOUSE__DELIVERY__GIVE_UP", "2d");
    let shown = setup.cli(&["config", "show"], "");
    assert!(shown.contains("hostname = \"mail.example.com\""), "{shown}");
    assert!(shown.contains("give_up = \"2d\""), "{shown}");
    assert!(
        shown.contains("relay.example.com") && !shown.contains("hunter2"),
        "{shown}"
    );
}

#[test]
fn a_port_in_use_stops_the_start_with_its_key() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let (_, said) = Posthouse::on(Engine::Sqlite)
        .set("smtp.submission", &format!("[\"{address}\"]"))
        .start_refused();
    assert!(
        said.contains("(smtp.submission)") && said.contains("POSTHOUSE__SMTP__SUBMISSION"),
        "{said}"
    );
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let server = Posthouse::on(Engine::Sqlite).start();
    let output = server.try_cli(&["serve"], "");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(said.contains(&format!("process {}", server.pid())), "{said}");
}

#[test]
fn a_data_directory_that_cannot_be_made_stops_the_start_with_the_remedy() {
    let setup = Posthouse::on(Engine::Sqlite);
    std::fs::write(setup.data(), "in the way").unwrap();
    let (_, said) = setup.start_refused();
    assert!(
        said.contains("data directory") && said.contains("--data"),
        "{said}"
    );
}

#[test]
fn a_database_that_cannot_be_reached_stops_the_start_with_its_address_and_without_its_password() {
    let setup = Posthouse::on(Engine::Sqlite).database_url("postgres://user:hunter2@127.0.0.1:1/mail");
    let (_, said) = setup.start_refused();
    assert!(
        said.contains("127.0.0.1:1") && said.contains("database.url"),
        "{said}"
    );
    assert!(!said.contains("hunter2"), "{said}");
}
