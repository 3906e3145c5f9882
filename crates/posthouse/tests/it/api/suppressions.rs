//! Suppressions by the API: what they keep back, what that costs, and how the list comes in and goes out.

use serde_json::{Value, json};

use super::{faults, server, signed_in, with_key};
use crate::both_engines;

const LIST: &str = "/api/v1/suppressions";

fn addresses(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().unwrap();
    items.iter().map(|one| one["address"].as_str().unwrap()).collect()
}

both_engines! {
    fn a_suppressed_recipient_is_left_out_for_free_and_the_message_says_so(engine) {
        let server = server(engine);
        let alice = signed_in(&server, "alice@example.com");
        let added = alice.post(LIST, &json!({"address": "Zoe@Example.net", "note": "asked on the phone"})).expect(201).json();
        assert_eq!((&added["stream"], &added["reason"]), (&Value::Null, &json!("manual")));
        let again = alice.post(LIST, &json!({"address": "zoe@example.net"})).expect(200).json();
        assert_eq!(again, added);
        let message = json!({
            "from": "alice@example.com", "to": ["zoe@example.net", "yan@example.net"], "subject": "s", "text": "hello"
        });
        let id = alice.post("/api/v1/messages", &message).expect(202).json();
        let id = id["id"].as_str().unwrap();
        let seen = alice.get(&format!("/api/v1/messages/{id}")).expect(200).json();
        assert_eq!(seen["recipients"][0]["state"], "suppressed");
        assert!(seen["recipients"][0]["reason"].as_str().unwrap().contains("put on the suppression list"), "{seen}");
        let ledger = alice.get("/api/v1/account/credits").expect(200).json();
        assert_eq!(ledger["items"][0]["balance"], 499, "{ledger}");
        // Another account's list is its own.
        let bob = signed_in(&server, "bob@example.com");
        assert!(addresses(&bob.get(LIST).expect(200).json()).is_empty());
        let entry = format!("{LIST}/{}?note=mine", added["id"].as_str().unwrap());
        bob.delete(&entry).expect(404);
    }

    fn an_address_is_taken_back_with_a_note_that_the_audit_log_keeps(engine) {
        let server = server(engine);
        let alice = signed_in(&server, "alice@example.com");
        let added = alice.post(LIST, &json!({"address": "zoe@example.net", "stream": "marketing"})).expect(201).json();
        let entry = format!("{LIST}/{}", added["id"].as_str().unwrap());
        assert_eq!(faults(&alice.delete(&entry).expect(422).json()), ["note"]);
        let reader = with_key(&server, &alice, &["read"]);
        assert_eq!(addresses(&reader.get(LIST).expect(200).json()), ["zoe@example.net"]);
        reader.delete(&format!("{entry}?note=no")).expect(403);
        reader.post(LIST, &json!({"address": "a@example.net"})).expect(403);
        alice.delete(&format!("{entry}?note=has%20a%20new%20mailbox")).expect(204);
        alice.delete(&format!("{entry}?note=again")).expect(404);
        let audit = alice.get("/api/v1/account/audit?what=suppression").expect(200).json();
        assert_eq!(audit["items"][0]["action"], "suppression.removed");
        assert_eq!(audit["items"][0]["target"], "zoe@example.net");
        assert_eq!(audit["items"][0]["detail"], "marketing; was manual; has a new mailbox");
        for wrong in [
            json!({"address": "no address"}),
            json!({"address": "a@example.net", "stream": "No Stream"}),
            json!({"address": "a@example.net", "note": "n".repeat(201)}),
            json!({"address": "a@example.net", "note": "two\r\nlines"}),
        ] {
            alice.post(LIST, &wrong).expect(422);
        }
    }

    fn a_list_is_imported_with_a_word_about_each_bad_line_and_exported_without_formulas(engine) {
        let server = server(engine);
        let alice = signed_in(&server, "alice@example.com");
        alice.post(LIST, &json!({"address": "first@example.net", "note": "=1+1"})).expect(201);
        let csv = "email;note\r\nfirst@example.net;other\r\nbroken\r\n=cmd@example.net;\r\nzoe@example.net;asked\r\n";
        let report = alice.post(&format!("{LIST}/import"), &json!({"csv": csv})).expect(200).json();
        assert_eq!((&report["added"], &report["already"], &report["refused"]), (&json!(2), &json!(1), &json!(1)));
        assert_eq!(report["lines"][0], json!({"line": 3, "text": "broken", "problem": "the address has no @"}));
        let all = addresses(&alice.get(LIST).expect(200).json()).len();
        assert_eq!(all, 3);
        let page = alice.get(&format!("{LIST}?limit=2")).expect(200).json();
        let rest = alice.get(&format!("{LIST}?limit=2&after={}", page["next"].as_str().unwrap())).expect(200).json();
        assert_eq!((addresses(&page).len(), addresses(&rest).len(), &rest["next"]), (2, 1, &Value::Null));
        assert_eq!(addresses(&alice.get(&format!("{LIST}?q=ZOE&reason=import")).expect(200).json()), ["zoe@example.net"]);
        let out = alice.get(&format!("{LIST}/export")).expect(200);
        assert!(out.header("content-type").unwrap().starts_with("text/csv"));
        assert!(out.text.starts_with("address,stream,reason,note,since\r\n"), "{}", out.text);
        assert!(out.text.contains("\"'=cmd@example.net\",,import,,"), "{}", out.text);
        assert!(out.text.contains("first@example.net,,manual,\"'=1+1\","), "{}", out.text);
        // What went out comes in again, elsewhere.
        let bob = signed_in(&server, "bob@example.com");
        let report = bob.post(&format!("{LIST}/import"), &json!({"csv": out.text})).expect(200).json();
        assert_eq!((&report["added"], &report["refused"]), (&json!(3), &json!(0)));
        bob.post(&format!("{LIST}/import"), &json!({"csv": "a@b.example,\"open"})).expect(422);
    }
}
