//! Mail of a domain that was added is signed twice, and others' verifiers agree.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::json;
use tempfile::TempDir;

use crate::both_engines;
use crate::corpus;
use crate::harness::{Posthouse, Sink};

const ALICE: &str = "alice@example.com";

/// Adds the domain; name and text of the DKIM records that it wants to be published, in zone file syntax.
pub fn add_domain(server: &Posthouse) -> Vec<(String, String)> {
    let said = server.cli(&["domain", "add", "example.com", "--account", ALICE], "");
    let lines = said.lines().filter_map(|line| line.split_once(" IN TXT "));
    let dkim = lines.filter(|(name, _)| name.contains("._domainkey."));
    dkim.map(|(name, text)| (name.to_owned(), text.trim_matches('"').replace("\" \"", "")))
        .collect()
}

/// How dkimpy judges each signature: `["rsa-sha256 pass", ...]`.
pub fn judged_by_dkimpy(message: &[u8], records: &[(String, String)]) -> Vec<String> {
    let script = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/peers/verify_dkim.py"
    ));
    let mut child = Command::new("/usr/bin/python3")
        .arg(script)
        .arg(json!(records).to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(message).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

/// What opendkim says about the message.
pub fn judged_by_opendkim(message: &[u8], records: &[(String, String)]) -> String {
    let home = TempDir::new().unwrap();
    let [keys, config, file] = ["keys", "opendkim.conf", "message"].map(|name| home.path().join(name));
    let lines: Vec<String> = records
        .iter()
        .map(|(name, text)| format!("{} {text}\n", name.trim_end_matches('.')))
        .collect();
    std::fs::write(&keys, lines.concat()).unwrap();
    std::fs::write(&config, format!("TestPublicKeys {}\nMode v\n", keys.display())).unwrap();
    std::fs::write(&file, message).unwrap();
    let output = Command::new("/usr/sbin/opendkim")
        .arg("-x")
        .arg(&config)
        .arg("-t")
        .arg(&file)
        .arg("-vv")
        .output()
        .unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

both_engines! {
    fn dkimpy_and_opendkim_verify_every_odd_message(engine) {
        let sink = Sink::start();
        let server = Posthouse::on(engine).route_to(&sink).start();
        server.create_account(ALICE);
        let records = add_domain(&server);
        assert_eq!(records.len(), 2, "{records:?}");
        corpus::relay_all(&mut server.signed_in(ALICE), ALICE, &sink, |why, becomes, arrived| {
            corpus::assert_only_added(arrived, becomes, &["DKIM-Signature", "Received"], why);
            // dkimpy reads no message with a space before a colon.
            if why != "odd header spacing" {
                let mut judged = judged_by_dkimpy(arrived, &records);
                judged.sort();
                assert_eq!(judged, ["ed25519-sha256 pass", "rsa-sha256 pass"], "{why}");
            }
            let said = judged_by_opendkim(arrived, &records);
            assert!(said.contains("2048-bit key) succeeded"), "{why}: {said}");
        });
    }

    fn a_mail_with_as_many_header_fields_as_are_taken_is_signed(engine) {
        let sink = Sink::start();
        let server = Posthouse::on(engine).route_to(&sink).start();
        server.create_account(ALICE);
        let records = add_domain(&server);
        let mut smtp = server.signed_in(ALICE);
        let text = |fields: usize| format!("From: {ALICE}\r\n{}\r\nHello\r\n", "X-More: yes\r\n".repeat(fields - 1));
        assert!(smtp.submit(ALICE, &["bob@sink.example"], text(1_001).as_bytes()).0.starts_with("552 "));
        smtp.submit(ALICE, &["bob@sink.example"], text(1_000).as_bytes()).expect("250 2.0.0");
        let mut judged = judged_by_dkimpy(&sink.wait_for_recipient("bob@sink.example").bytes, &records);
        judged.sort();
        assert_eq!(judged, ["ed25519-sha256 pass", "rsa-sha256 pass"]);
    }

    fn another_domain_of_ours_is_not_signed_for(engine) {
        let sink = Sink::start();
        let server = Posthouse::on(engine)
            .route_to(&sink)
            .start();
        server.create_account(ALICE);
        server.create_account("carol@example.org");
        add_domain(&server);
        let message = &corpus::messages("carol@example.org")[0];
        server
            .signed_in("carol@example.org")
            .submit("carol@example.org", &["bob@sink.example"], &message.bytes)
            .expect("250");
        assert!(sink.wait_for(1)[0].header("dkim-signature").is_empty());
    }
}
