//! SCRAM-SHA-256 with and without channel binding, against clients that others wrote.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::both_engines;
use crate::harness::{Engine, PASSWORD, Posthouse, eventually};

const ALICE: &str = "alice@example.com";
const NEW: &str = "eleven-saddles-by-dusk-42";

fn server(engine: Engine) -> Posthouse {
    let server = Posthouse::on(engine).set("smtp.scram", "true").start();
    server.create_account(ALICE);
    server
}

/// Whether GNU SASL's own client signs in; it checks what the server proves too.
fn gsasl(server: &Posthouse, mechanism: &str, login: &str, password: &str) -> Result<(), String> {
    let mut command = Command::new("gsasl");
    command
        .args(["--smtp", "--connect", &server.address("submission").to_string()])
        .args([
            "--mechanism",
            mechanism,
            "--authentication-id",
            login,
            "--password",
            password,
        ])
        // Any certificate is taken, and nothing is sent afterwards.
        .args([
            "--x509-ca-file",
            "",
            "--service",
            "smtp",
            "--hostname",
            "mail.example.com",
            "-d",
        ])
        .stdin(Stdio::null());
    if !mechanism.ends_with("-PLUS") {
        command.arg("--no-cb");
    }
    let output = command.output().expect("gsasl is installed");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if said.contains("235 2.7.0") && said.contains("server trusted") {
        return Ok(());
    }
    let refusal = said.lines().rfind(|line| line.starts_with(['4', '5']));
    Err(refusal.unwrap_or(&said).to_owned())
}

both_engines! {
    fn clients_sign_in_with_and_without_channel_binding_once_the_password_was_seen(engine) {
        let server = server(engine);
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"] {
            let none = gsasl(&server, mechanism, ALICE, PASSWORD).unwrap_err();
            assert!(none.starts_with("535 5.7.8"), "no keys yet: {none}");
        }
        server.signed_in(ALICE);
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"] {
            gsasl(&server, mechanism, ALICE, PASSWORD).unwrap();
            gsasl(&server, mechanism, "Alice@Example.COM", PASSWORD).unwrap();
            for (login, password) in [(ALICE, "wrong"), ("nobody@example.com", PASSWORD)] {
                let refused = gsasl(&server, mechanism, login, password).unwrap_err();
                assert!(refused.starts_with("535 5.7.8"), "{refused}");
            }
        }
        let mut http = server.http();
        http.sign_in(ALICE, PASSWORD);
        eventually("the reason", || {
            let list = http.get("/api/v1/account/sign-in-attempts").expect(200).json();
            let wrong = |one: &serde_json::Value| one["reason"] == "wrong_password" && one["mechanism"] == "SCRAM-SHA-256-PLUS";
            list["items"].as_array().unwrap().iter().any(wrong).then_some(())
        });
    }

    fn the_settings_page_names_it(engine) {
        let server = server(engine);
        let mut http = server.http();
        http.sign_in(ALICE, PASSWORD);
        let settings = http.get("/api/v1/settings/smtp").expect(200).json();
        assert_eq!(settings["mechanisms"], json!(["PLAIN", "LOGIN", "SCRAM-SHA-256"]));
    }

    fn msmtp_sends_with_scram(engine) {
        let server = server(engine);
        server.signed_in(ALICE);
        let address = server.address("submission");
        let mut child = Command::new("msmtp")
            .args(["--host=127.0.0.1", &format!("--port={}", address.port()), "--tls=on", "--tls-certcheck=off"])
            .args(["--auth=scram-sha-256", &format!("--user={ALICE}"), &format!("--passwordeval=echo {PASSWORD}")])
            .args([&format!("--from={ALICE}"), "--file=/dev/null", "bob@sink.example"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        write!(stdin, "From: <{ALICE}>\nSubject: by proof\n\nhello\n").unwrap();
        drop(stdin);
        assert!(child.wait().unwrap().success());
        let mut http = server.http();
        http.sign_in(ALICE, PASSWORD);
        assert_eq!(http.get("/api/v1/messages").expect(200).json()["items"][0]["subject"], "by proof");
    }

    fn a_new_password_counts_for_scram_at_once_and_a_credential_has_no_keys(engine) {
        let server = server(engine);
        server.signed_in(ALICE);
        gsasl(&server, "SCRAM-SHA-256", ALICE, PASSWORD).unwrap();
        server.cli(&["account", "password", ALICE, "--password-stdin"], NEW);
        gsasl(&server, "SCRAM-SHA-256", ALICE, PASSWORD).unwrap_err();
        gsasl(&server, "SCRAM-SHA-256-PLUS", ALICE, NEW).unwrap();
        let made = server.cli(&["credential", "create", "--smtp", "--account", ALICE, "--name", "Printer"], "");
        let password = made.lines().find_map(|line| line.strip_prefix("password: ")).unwrap();
        let refused = gsasl(&server, "SCRAM-SHA-256", ALICE, password).unwrap_err();
        assert!(refused.starts_with("535 5.7.8"), "{refused}");
    }

    fn ten_wrong_proofs_lock_like_ten_wrong_passwords(engine) {
        let server = server(engine);
        server.signed_in(ALICE);
        for n in 0..10 {
            let refused = gsasl(&server, "SCRAM-SHA-256", ALICE, &format!("guess {n}")).unwrap_err();
            assert!(refused.starts_with("535 5.7.8"), "{refused}");
        }
        let locked = gsasl(&server, "SCRAM-SHA-256", ALICE, PASSWORD).unwrap_err();
        assert!(locked.starts_with("454 4.7.0 Too many failed sign-ins"), "{locked}");
    }

    fn switched_off_it_is_neither_offered_nor_are_its_keys_kept(engine) {
        let mut server = server(engine);
        server.signed_in(ALICE);
        gsasl(&server, "SCRAM-SHA-256", ALICE, PASSWORD).unwrap();
        server.stop();
        server.start_again_with("smtp.scram", "false");
        let mut smtp = server.smtps();
        assert!(!smtp.ehlo().contains("SCRAM"));
        smtp.command("AUTH SCRAM-SHA-256").expect("504 5.5.4");
        server.stop();
        server.start_again_with("smtp.scram", "true");
        gsasl(&server, "SCRAM-SHA-256", ALICE, PASSWORD).unwrap_err();
        server.signed_in(ALICE);
        gsasl(&server, "SCRAM-SHA-256", ALICE, PASSWORD).unwrap();
    }
}

/// The salt that somebody is challenged with.
fn salt(server: &Posthouse, login: &str) -> String {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    let mut smtp = server.smtps();
    smtp.ehlo().expect("250");
    let first = BASE64_STANDARD.encode(format!("n,,n={login},r=abc"));
    let reply = smtp.command(&format!("AUTH SCRAM-SHA-256 {first}"));
    let message = BASE64_STANDARD
        .decode(reply.0.trim().strip_prefix("334 ").unwrap())
        .unwrap();
    let message = String::from_utf8(message).unwrap();
    let salt = message
        .split(',')
        .find_map(|part| part.strip_prefix("s="))
        .unwrap();
    salt.to_owned()
}

both_engines! {
    fn nobody_learns_from_a_salt_who_exists(engine) {
        let mut server = server(engine);
        let (alice, nobody) = (salt(&server, ALICE), salt(&server, "nobody@example.com"));
        assert!(alice != nobody && alice.len() == nobody.len());
        server.signed_in(ALICE);
        gsasl(&server, "SCRAM-SHA-256", ALICE, PASSWORD).unwrap();
        server.stop();
        server.start_again();
        assert_eq!((salt(&server, "ALICE@example.com"), salt(&server, "nobody@example.com")), (alice, nobody));
    }
}
