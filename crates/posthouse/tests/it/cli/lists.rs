//! Streams and suppressions by command, beside a running server.

use std::process::Output;

use serde_json::json;

use crate::both_engines;
use crate::harness::Posthouse;

const ALICE: &str = "alice@example.com";

fn refusal(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8(output.stderr.clone()).unwrap()
}

both_engines! {
    fn the_streams_of_an_account_are_listed_with_what_stands_over_them(engine) {
        let server = Posthouse::on(engine).start();
        let http = server.owner(ALICE);
        let listed = server.cli(&["stream", "list", ALICE], "");
        assert!(listed.contains("transactional  Transactional  transactional  nothing") && listed.contains("marketing"), "{listed}");
        http.post("/api/v1/streams", &json!({"slug": "receipts", "name": "Receipts", "kind": "transactional"})).expect(201);
        http.request("PATCH", "/api/v1/streams/receipts", Some(&json!({"track_opens": true}))).expect(200);
        let shown = server.cli(&["stream", "show", ALICE, "receipts"], "");
        assert!(shown.starts_with("receipts: Receipts (transactional)\n") && shown.contains("does not say: opens\n"), "{shown}");
        assert!(!shown.contains("whatever streams say"), "{shown}");
        http.request("PUT", "/api/v1/account/tracking", Some(&json!({"allowed": false}))).expect(200);
        let domain = http.post("/api/v1/domains", &json!({"name": "shop.example"})).expect(201).json();
        let path = format!("/api/v1/domains/{}/tracking", domain["id"].as_str().unwrap());
        http.request("PUT", &path, Some(&json!({"opens": false, "clicks": true}))).expect(200);
        let shown = server.cli(&["streams", "show", ALICE, "receipts"], "");
        assert!(shown.contains("The account has switched tracking off") && shown.contains("from shop.example no opens are tracked"), "{shown}");
        let said = refusal(&server.try_cli(&["stream", "show", ALICE, "none"], ""));
        assert!(said.contains("has no stream none; `posthouse stream list alice@example.com`"), "{said}");
        refusal(&server.try_cli(&["stream", "list", "nobody@example.com"], ""));
    }

    fn suppressions_are_added_removed_imported_and_exported(engine) {
        let server = Posthouse::on(engine).start();
        let http = server.owner(ALICE);
        let run = |more: &[&str], stdin: &str| server.cli(&[&["suppression"], more].concat(), stdin);
        assert!(run(&["list", ALICE], "").contains("No suppressed address"));
        let said = run(&["add", ALICE, "Bob@example.net", "--note", "asked on the phone"], "");
        assert!(said.contains("no more mail of every stream"), "{said}");
        assert!(run(&["add", ALICE, "bob@example.net"], "").contains("already: manual"));
        run(&["add", ALICE, "carol@example.net", "--stream", "marketing"], "");
        // The running server knows it at the next message.
        let message = json!({"from": ALICE, "to": ["bob@example.net"], "subject": "Hello", "text": "Hello"});
        let id = http.post("/api/v1/messages", &message).expect(202).json()["id"].as_str().unwrap().to_owned();
        let sent = http.get(&format!("/api/v1/messages/{id}")).expect(200).json();
        assert_eq!(sent["states"], json!({"suppressed": 1}));
        let sheet = "address,note\ndan@example.net,old\nnobody\n=eve@example.net,x\ndan@example.net,again\n";
        let said = run(&["import", ALICE, "--stream", "marketing", "-"], sheet);
        assert!(said.contains("added for the stream marketing, 1 there already"), "{said}");
        assert!(said.contains("line 3: nobody: "), "{said}");
        let said = run(&["list", ALICE, "--search", "DAN@", "--reason", "import"], "");
        assert!(said.contains("dan@example.net  marketing  import") && !said.contains("bob@"), "{said}");
        let exported = run(&["export", ALICE], "");
        assert_eq!(exported, http.get("/api/v1/suppressions/export").expect(200).text);
        assert!(exported.contains("asked on the phone"), "{exported}");
        let said = refusal(&server.try_cli(&["suppression", "remove", ALICE, "carol@example.net", "--note", "x"], ""));
        assert!(said.contains("carol@example.net is not suppressed for every stream"), "{said}");
        let said = run(&["remove", ALICE, "carol@example.net", "--stream", "marketing", "--note", "came back"], "");
        assert!(said.contains("no longer suppressed for the stream marketing"), "{said}");
        for bad in [
            &["remove", ALICE, "bob@example.net"][..],
            &["remove", ALICE, "bob@example.net", "--note", " "],
            &["add", ALICE, "no address"],
            &["add", ALICE, "x@example.net", "--stream", "none"],
            &["add", ALICE, "x@example.net", "--note", "two\nlines"],
            &["list", ALICE, "--reason", "none"],
            &["import", ALICE, "/nowhere.csv"],
        ] {
            refusal(&server.try_cli(&[&["suppression"], bad].concat(), ""));
        }
        let log = http.get("/api/v1/account/audit").expect(200).text;
        for action in ["suppression.added", "suppression.removed", "suppression.imported"] {
            assert!(log.contains(action), "{action}: {log}");
        }
    }
}
