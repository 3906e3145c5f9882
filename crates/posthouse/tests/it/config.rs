//! Wrong configurations stop the start with the line and the remedy; what can be shown holds no secret.

use std::fs;

use crate::harness::server::Setup;
use crate::harness::{Engine, Posthouse};

/// The line of the configuration file on which `text` stands, counted from 1.
fn line_of(setup: &Setup, text: &str) -> usize {
    let file = fs::read_to_string(setup.config()).unwrap();
    file.lines().position(|line| line.contains(text)).unwrap() + 1
}

#[test]
fn an_unknown_key_stops_the_start_with_its_line_and_the_nearest_key() {
    let setup = Posthouse::on(Engine::Sqlite).set("smtp.submision", "[]");
    let (code, said) = setup.start_refused();
    assert_eq!(code, 1);
    let wanted = format!(
        "{} line {}: unknown key smtp.submision; did you mean smtp.submission?",
        setup.config().display(),
        line_of(&setup, "submision")
    );
    assert!(said.contains(&wanted), "{said}");
}

#[test]
fn a_value_that_does_not_fit_stops_the_start_with_what_was_found_what_is_expected_and_the_remedy() {
    let (_, said) = Posthouse::on(Engine::Sqlite)
        .environment("POSTHOUSE__SMTP__MAX_MESSAGE_SIZE", "huge")
        .start_refused();
    assert!(
        said.contains(
            "environment variable POSTHOUSE__SMTP__MAX_MESSAGE_SIZE: smtp.max_message_size is \"huge\""
        ) && said.contains("correct it or remove it for the default \"25 MiB\""),
        "{said}"
    );
    let setup = Posthouse::on(Engine::Sqlite).set("smtp.max_recipients", "\"many\"");
    let (_, said) = setup.start_refused();
    let wanted = format!(
        "posthouse.toml line {}: smtp.max_recipients is \"many\"",
        line_of(&setup, "many")
    );
    assert!(
        said.contains(&wanted) && said.contains("correct it or remove it for the default 1000"),
        "{said}"
    );
}

#[test]
fn broken_toml_stops_the_start_with_its_line() {
    let setup = Posthouse::on(Engine::Sqlite).set("smtp.max_recipients", "= 5");
    let (_, said) = setup.start_refused();
    let wanted = format!("posthouse.toml line {}: ", line_of(&setup, "= = 5"));
    assert!(said.contains(&wanted), "{said}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let setup = Posthouse::on(Engine::Sqlite);
    let output = setup.command(&["config", "show"]).output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    let wanted = format!("cannot read the configuration file {}", setup.config().display());
    assert!(
        said.contains(&wanted) && said.contains("name a readable file with --config"),
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
