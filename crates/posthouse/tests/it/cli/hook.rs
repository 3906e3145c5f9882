//! `posthouse hook`: what is in force, how it ran, and a look at a file before it counts.

use std::fs;

use serde_json::json;

use crate::both_engines;
use crate::harness::{Engine, Posthouse, Sink, eventually};
use crate::hooks::unhurried;

const ALICE: &str = "alice@example.com";

both_engines! {
    fn hooks_are_listed_read_and_followed(engine) {
        let sink = Sink::start();
        let server = unhurried(Posthouse::on(engine).route_to(&sink)).start();
        assert!(server.cli(&["hook", "list"], "").starts_with("No hook; "));
        let http = server.owner(ALICE);
        let made = json!({"name": "Money", "kind": "script", "on_fault": "closed",
            "body": "function on_message(m)\n\tprint('\u{1b}[2J', m.subject)\n\treject('No.')\nend"});
        let made = http.post("/api/v1/hooks", &made).expect(201).json();
        let id = made["id"].as_str().unwrap();
        let operator = server.operator();
        let rule = json!({"name": "Small", "kind": "rule", "enabled": false, "body": "{\"rule\": \"max_size\", \"octets\": 9}"});
        operator.post("/api/v1/hooks?everybody=true", &rule).expect(201);
        for listed in [server.cli(&["hook", "list"], ""), server.cli(&["hook", "list", "--account", ALICE], "")] {
            let lines: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
            assert_eq!((lines.len(), lines[1][1], lines[1][2], lines[1][5]), (3, "everybody", "Small", "off"), "{listed}");
            assert_eq!((lines[2][0], lines[2][2], lines[2][4], lines[2][5]), (id, "Money", "message", "on"), "{listed}");
        }
        assert!(!server.cli(&["hook", "list", "--account", "root@example.com"], "").contains("Money"));
        let shown = server.cli(&["hook", "show", id], "");
        assert!(shown.contains("reject('No.')") && !shown.contains('\u{1b}'), "{shown}");
        assert!(server.cli(&["hook", "log", id], "").starts_with("It was not asked"));
        let message = format!("From: {ALICE}\r\nSubject: Hello\r\n\r\nHello\r\n");
        server.signed_in(ALICE).submit(ALICE, &["bob@example.net"], message.as_bytes()).expect("554 5.7.1 No.");
        let log = eventually("the run is written", || {
            let log = server.cli(&["hook", "log", id], "");
            log.contains("rejected").then_some(log)
        });
        assert!(log.contains("554 5.7.1 No. |") && log.contains("Hello") && !log.contains('\u{1b}'), "{log}");
        let unknown = server.try_cli(&["hook", "show", "nothing"], "");
        assert!(!unknown.status.success() && String::from_utf8_lossy(&unknown.stderr).contains("is no hook"));
    }
}

#[test]
fn a_file_is_checked_and_tried_out_without_a_database() {
    let setup = unhurried(Posthouse::on(Engine::Sqlite)).set("hooks.steps", "20000");
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let message = file("mail.eml", "From: a@example.com\nSubject: Hi\n\nHello\n");
    let good = file(
        "good.luau",
        "function on_message(m)\n  print(m.from, m.subject, m.tags[1])\n  add_footer('Us')\nend",
    );
    assert!(
        setup
            .cli(&["hook", "check", &good], "")
            .ends_with(" is a script that is asked at: message.\n")
    );
    let said = setup.cli(
        &["hook", "test", &good, "--message", &message, "--tag", "vip"],
        "",
    );
    assert!(
        said.starts_with("passed\nadd footer Us\nlog: a@example.com Hi vip\n"),
        "{said}"
    );
    let rule = file(
        "rule.json",
        "{\"rule\": \"block_recipients\", \"patterns\": [\"@there.example\"]}",
    );
    assert!(
        setup
            .cli(&["hook", "check", &rule], "")
            .contains("is a rule that is asked at: rcpt.")
    );
    let said = setup.cli(
        &[
            "hook",
            "test",
            &rule,
            "--message",
            &message,
            "--stage",
            "rcpt",
            "--to",
            "bob@there.example",
        ],
        "",
    );
    assert!(
        said.starts_with("rejected: 554 5.7.1 This recipient is blocked\n"),
        "{said}"
    );
    let receiver = file("ask.json", "{\"url\": \"https://example.com/hook\"}");
    assert!(
        setup
            .cli(&["hook", "check", &receiver], "")
            .contains("is a receiver that is asked at: message.")
    );
    let endless = file("endless.luau", "function on_message(m)\n  while true do end\nend");
    for (arguments, why) in [
        (
            vec![
                "hook",
                "check",
                &file("bad.luau", "function on_message(m)\nif\nend"),
            ],
            "bad.luau: line ",
        ),
        (
            vec!["hook", "check", &file("bad.json", "{\"rule\": \"none\"}")],
            "this is no rule",
        ),
        (
            vec![
                "hook",
                "check",
                &file("away.json", "{\"url\": \"https://10.0.0.8/\"}"),
            ],
            "private",
        ),
        (vec!["hook", "check", "/nowhere"], "cannot be read"),
        (
            vec!["hook", "test", &endless, "--message", &message],
            "it broke: it took more than 20000 steps",
        ),
        (
            vec!["hook", "test", &receiver, "--message", &message],
            "in the console",
        ),
        (
            vec!["hook", "test", &rule, "--message", &message],
            "it is not asked at message, only at: rcpt; choose with --stage",
        ),
    ] {
        let output = setup.try_cli(&arguments, "");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && said.contains(why),
            "{arguments:?}: {said}"
        );
    }
}
