//! Tables of what a configuration may say, and of what is answered to what it may not.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use super::keys::Settings;
use super::source::Value;
use outbound::route::Route;

use super::value::{HttpUrl, Listen, NameServer, Setting, Size};
use super::{CertificateFrom, Config, ConfigError, Overrides, read};

fn config(file: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), OsString::from(value)));
    read(
        Some((Path::new("posthouse.toml"), file)),
        variables,
        &Overrides::default(),
    )
}

fn complaints(file: &str, variables: &[(&str, &str)]) -> String {
    config(file, variables)
        .expect_err("the configuration is wrong")
        .to_string()
}

fn untyped<T: Setting>(text: &str) -> Option<T> {
    T::read(&Value::Untyped(text.to_owned())).ok()
}

#[test]
fn every_default_can_be_read_and_is_a_configuration() {
    assert!(!Settings::docs().is_empty());
    let config = config("", &[]).unwrap();
    assert_eq!(
        config.database_url.to_string(),
        "sqlite:./posthouse-data/posthouse.db"
    );
    assert_eq!(config.smtp.max_message_size, Size(25 << 20));
    assert_eq!(config.delivery.retry.len(), 8);
    assert!(matches!(config.certificate, CertificateFrom::Ourselves));
}

#[test]
fn what_is_shown_can_be_read_again_and_is_the_same() {
    let first = config(
        "[smtp]\nbare_lf = \"refuse\"\n[delivery]\nresolver = [\"127.0.0.1:5353\"]",
        &[],
    )
    .unwrap();
    let again = config(&first.show(), &[]).unwrap();
    assert_eq!(first.show(), again.show());
}

#[test]
fn durations_are_read_with_their_units_and_not_without() {
    for (text, seconds) in [
        ("30s", 30),
        ("5m", 300),
        ("2h", 7200),
        ("1h30m", 5400),
        ("5d", 432_000),
        ("5 days", 432_000),
    ] {
        assert_eq!(
            untyped::<Duration>(text),
            Some(Duration::from_secs(seconds)),
            "{text}"
        );
    }
    assert_eq!(untyped::<Duration>("250ms"), Some(Duration::from_millis(250)));
    for text in ["", "5", "m", "5 fortnights", "-5m", "1.5h", "99999999999999999d"] {
        assert_eq!(untyped::<Duration>(text), None, "{text}");
    }
    assert_eq!(Duration::from_mins(90).show(), "\"1h30m\"");
}

#[test]
fn sizes_are_read_with_their_units_and_not_without() {
    for (text, octets) in [
        ("512 KiB", 512 << 10),
        ("25MiB", 25 << 20),
        ("25 mib", 25 << 20),
        ("1 GB", 1_000_000_000),
        ("7 B", 7),
    ] {
        assert_eq!(untyped::<Size>(text), Some(Size(octets)), "{text}");
    }
    for text in ["", "25", "MiB", "25 Mb/s", "-1 KiB"] {
        assert_eq!(untyped::<Size>(text), None, "{text}");
    }
    assert_eq!(Size(25 << 20).show(), "\"25 MiB\"");
}

#[test]
fn listeners_are_an_address_with_a_port() {
    assert_eq!(untyped::<Listen>("*:587"), Some(Listen::Every(587)));
    assert_eq!(
        untyped::<Listen>("[::1]:587"),
        Some(Listen::One("[::1]:587".parse().unwrap()))
    );
    assert_eq!(
        untyped::<Listen>("localhost:587"),
        Some(Listen::One("127.0.0.1:587".parse().unwrap()))
    );
    for text in ["587", "127.0.0.1", "*:65536", "mail.example.com:587", ""] {
        assert_eq!(untyped::<Listen>(text), None, "{text}");
    }
}

#[test]
fn routes_name_a_scheme_that_is_known() {
    assert_eq!(untyped::<Route>("mx"), Some(Route::Mx));
    assert!(matches!(
        untyped::<Route>("smtp://127.0.0.1:25"),
        Some(Route::Smarthost(_))
    ));
    assert_eq!(untyped::<Route>("relay.example.com"), None);
    assert_eq!(untyped::<NameServer>("9.9.9.9").unwrap().0.port(), 53);
    assert_eq!(
        untyped::<NameServer>("[2620:fe::fe]:5353").unwrap().0.port(),
        5353
    );
}

#[test]
fn a_single_string_in_the_file_is_a_list_of_one() {
    let config = config("[http]\nlisten = \"127.0.0.1:80\"", &[]).unwrap();
    assert_eq!(config.http.listen, [Listen::One("127.0.0.1:80".parse().unwrap())]);
}

#[test]
fn a_list_in_the_environment_has_commas_or_is_an_array() {
    for value in [
        "127.0.0.1:1, [::1]:2",
        "[\"127.0.0.1:1\", \"[::1]:2\"]",
        "127.0.0.1:1,[::1]:2,",
    ] {
        let config = config("", &[("POSTHOUSE__SMTP__SUBMISSION", value)]).unwrap();
        assert_eq!(config.smtp.submission.len(), 2, "{value}");
    }
    let ipv6 = config("", &[("POSTHOUSE__SMTP__SUBMISSION", "[::1]:2")]).unwrap();
    assert_eq!(ipv6.smtp.submission, [Listen::One("[::1]:2".parse().unwrap())]);
    assert!(
        config("", &[("POSTHOUSE__SMTP__SUBMISSION", "")])
            .unwrap()
            .smtp
            .submission
            .is_empty()
    );
}

#[test]
fn the_environment_wins_over_the_file_and_can_unset_a_key() {
    let file = "[server]\nhostname = \"a.example\"\n[acme]\ncontact = \"a@a.example\"";
    let config = config(
        file,
        &[
            ("POSTHOUSE__SERVER__HOSTNAME", "b.example"),
            ("POSTHOUSE__ACME__CONTACT", ""),
        ],
    )
    .unwrap();
    assert_eq!(config.hostname, "b.example");
    assert!(config.show().contains("contact = \"\""));
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_nearest_one() {
    for (file, answer) in [
        (
            "[smtp]\nsubmision = []",
            "posthouse.toml line 2: unknown key smtp.submision; did you mean smtp.submission?",
        ),
        (
            "[server]\n\nlisten = []",
            "posthouse.toml line 3: unknown key server.listen; did you mean http.listen?",
        ),
        (
            "[smpt]\n",
            "posthouse.toml line 1: unknown section [smpt]; did you mean [smtp]?",
        ),
        (
            "[smtp]\nqqqqqqqq = 1",
            "unknown key smtp.qqqqqqqq; `posthouse config reference` lists every key, remove this one",
        ),
        (
            "hostname = \"a\"",
            "posthouse.toml line 1: hostname stands outside a section; put it under one, such as [server]",
        ),
    ] {
        let said = complaints(file, &[]);
        assert!(said.contains(answer), "{said}");
    }
    let said = complaints("", &[("POSTHOUSE__SMTP__SUBMISION", "")]);
    assert!(
        said.contains(
            "environment variable POSTHOUSE__SMTP__SUBMISION: unknown key smtp.submision; did you mean"
        ),
        "{said}"
    );
}

#[test]
fn a_bad_value_is_refused_with_its_line_what_was_found_what_is_expected_and_the_remedy() {
    for (file, answer) in [
        (
            "[smtp]\nmax_message_size = \"25 Mile\"",
            "posthouse.toml line 2: smtp.max_message_size is \"25 Mile\"; expected a size such as \"512 KiB\", \"25 MiB\" or \
             \"1 GiB\"; correct it or remove it for the default \"25 MiB\"",
        ),
        (
            "[smtp]\ncommand_timeout = 5",
            "smtp.command_timeout is 5 (the unit is missing); expected a duration such as",
        ),
        (
            "[http]\nlisten = [\"8080\"]",
            "(8080 is only a port; write \"*:8080\" to listen on every address)",
        ),
        (
            "[http]\nlisten = 80",
            "http.listen is 80; expected a list, each item an address",
        ),
        (
            "[server]\nhostname = \"http://a.example\"",
            "(the name stands alone, without scheme and port)",
        ),
        (
            "[delivery]\nport = 70000",
            "delivery.port is 70000; expected a number from 1 to 65535",
        ),
        (
            "[delivery]\nport = 2026-01-01",
            "delivery.port is a date; expected",
        ),
        (
            "[accounts]\nsignup = \"maybe\"",
            "expected one of \"open\" \"invite\" \"closed\"",
        ),
        (
            "[delivery]\nretry = []",
            "delivery.retry needs at least one duration",
        ),
        (
            "[smtp]\nmax_message_size = \"1 KiB\"",
            "expected a size from 64 KiB to 512 MiB",
        ),
        (
            "[hooks]\nmemory = \"512 KiB\"",
            "line 2: hooks.memory is \"512 KiB\"; expected a size from 1 MiB to 256 MiB",
        ),
        (
            "[hooks]\nsteps = 200000000",
            "hooks.steps is 200000000; expected a number from 10000",
        ),
        (
            "[hooks]\nprocessor_time = \"1ms\"",
            "hooks.processor_time is \"1ms\"; expected a duration from 5 ms",
        ),
        (
            "[hooks]\nprocessor_time = \"2s\"",
            "hooks.time is \"1s\"; expected a duration from 100 ms to 30 seconds and no less than hooks.processor_time",
        ),
        (
            "[hooks]\ntime = \"20s\"",
            "hooks.time_together is \"10s\"; expected a duration from 100 ms to 1 minute and no less than hooks.time",
        ),
        (
            "[log]\nlevel = \"loud\"",
            "log.level is \"loud\"; expected \"error\", \"warn\"",
        ),
        (
            "[tls]\ncert = \"a.pem\"",
            "posthouse.toml line 2: tls.cert is set and tls.key is not",
        ),
        ("[server\nhostname = 1", "posthouse.toml line 1: "),
    ] {
        let said = complaints(file, &[]);
        assert!(said.contains(answer), "{said}\nwanted: {answer}");
    }
}

#[test]
fn two_listeners_on_one_port_are_named_both() {
    let said = complaints(
        "[smtp]\nsubmission = [\"*:2587\"]\nsubmissions = [\"127.0.0.1:2587\"]",
        &[],
    );
    assert!(
        said.contains("line 3: smtp.submissions wants 127.0.0.1:2587, which smtp.submission has already"),
        "{said}"
    );
    assert!(
        config(
            "[smtp]\nsubmission = [\"127.0.0.1:0\"]\nsubmissions = [\"127.0.0.1:0\"]",
            &[]
        )
        .is_ok()
    );
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let said = complaints(
        "[smtp]\nsubmision = []\nmax_recipients = 0\n[delivery]\nport = 0",
        &[],
    );
    assert_eq!(said.lines().count(), 3, "{said}");
}

#[test]
fn a_password_is_never_shown() {
    let secret = "postgres://user:hunter2@db.example/mail";
    let shown = config(
        &format!(
            "[database]\nurl = \"{secret}\"\n[delivery]\nroute = \"smtps://u:hunter2@relay.example:465\""
        ),
        &[],
    )
    .unwrap();
    assert!(!shown.show().contains("hunter2") && !format!("{shown:?}").contains("hunter2"));
    assert!(shown.show().contains("postgres://user@db.example/mail"));
    let said = complaints(
        "[database]\nurl = \"mysql://user:hunter2@db\"\n[delivery]\nroute = \"http://u:hunter2@x\"",
        &[],
    );
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn a_public_url_is_made_from_the_ports_when_none_is_named() {
    let config = config("[server]\nhostname = \"mail.example.com\"", &[]).unwrap();
    assert_eq!(
        config.public_url(Some(8080), None).as_str(),
        "http://localhost:8080"
    );
    assert_eq!(
        config.public_url(Some(80), Some(443)).as_str(),
        "https://mail.example.com"
    );
    assert!(config.public_url(Some(8080), None).is_loopback());
    for text in [
        "ftp://a",
        "a.example",
        "http://u@a.example",
        "http://",
        "https://a.example/?q",
    ] {
        assert!(HttpUrl::parse(text).is_none(), "{text}");
    }
}

#[test]
fn the_example_for_production_is_a_configuration() {
    let text = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../deploy/posthouse.toml"
    ))
    .unwrap();
    let example = config(&text, &[]).unwrap();
    assert!(matches!(example.certificate, CertificateFrom::Acme(_)));
    assert_eq!(example.smtp.submissions, [Listen::Every(465)]);
}
