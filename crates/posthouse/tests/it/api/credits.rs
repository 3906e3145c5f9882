//! Credits as people and programs see them: the ledger, what costs nothing, and mail when few are left.

use serde_json::{Value, json};

use super::{faults, signed_in};
use crate::both_engines;
use crate::harness::http::Http;
use crate::harness::{Engine, PASSWORD, Posthouse, eventually};

const ALICE: &str = "alice@example.com";

/// An operator, and Alice with so many credits.
fn server(engine: Engine, credits: &str) -> Posthouse {
    let server = Posthouse::on(engine).start();
    let create = [
        "account",
        "create",
        "ops@example.com",
        "--operator",
        "--password-stdin",
    ];
    server.cli(&create, PASSWORD);
    server.cli(
        &[
            "account",
            "create",
            ALICE,
            "--password-stdin",
            "--credits",
            credits,
        ],
        PASSWORD,
    );
    server
}

fn ledger(http: &Http) -> Vec<(String, i64, i64)> {
    let page = http.get("/api/v1/account/credits").expect(200).json();
    let items = page["items"].as_array().unwrap();
    let entry = |item: &Value| {
        (
            item["kind"].as_str().unwrap().to_owned(),
            item["amount"].as_i64().unwrap(),
            item["balance"].as_i64().unwrap(),
        )
    };
    items.iter().map(entry).collect()
}

fn entry(kind: &str, amount: i64, balance: i64) -> (String, i64, i64) {
    (kind.to_owned(), amount, balance)
}

fn left(http: &Http) -> i64 {
    http.get("/api/v1/account").expect(200).json()["credits"]
        .as_i64()
        .unwrap()
}

fn message(to: &[&str]) -> Value {
    json!({"from": ALICE, "to": to, "subject": "s", "text": "t"})
}

both_engines! {
    fn the_ledger_says_what_came_and_what_went(engine) {
        let server = server(engine, "100");
        let (operator, alice) = (signed_in(&server, "ops@example.com"), signed_in(&server, ALICE));
        assert_eq!(ledger(&alice), [entry("opening", 100, 100)]);
        alice.post("/api/v1/messages", &message(&["a@example.net", "b@example.net"])).expect(202);
        let id = alice.get("/api/v1/account").expect(200).json()["id"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/accounts/{id}/credits");
        operator.post(&path, &json!({"amount": 50, "reason": "Pack, invoice <7>"})).expect(200);
        for reason in [json!(""), json!(" "), json!("two\nlines"), json!("x".repeat(201))] {
            let refused = operator.post(&path, &json!({"amount": 50, "reason": reason})).expect(422).json();
            assert_eq!(faults(&refused), ["reason"]);
        }
        operator.post(&path, &json!({"amount": 50})).expect(422);
        operator.post(&path, &json!({"amount": -8, "reason": "a slip"})).expect(200);
        let expected =
            [entry("usage", -2, 140), entry("correction", -8, 142), entry("grant", 50, 150), entry("opening", 100, 100)];
        assert_eq!(ledger(&alice), expected);
        assert_eq!(left(&alice), 140);
        let account = alice.get("/api/v1/account").expect(200).json();
        assert_eq!(account["credit_mark"], 140);
        let page = alice.get("/api/v1/account/credits?limit=2").expect(200).json();
        assert_eq!(page["items"][0]["at"], Value::Null);
        let next = page["next"].as_str().unwrap();
        let page = alice.get(&format!("/api/v1/account/credits?limit=2&after={next}")).expect(200).json();
        assert_eq!((&page["items"][0]["reason"], &page["next"]), (&json!("Pack, invoice <7>"), &Value::Null));
        assert_eq!(operator.get(&path).expect(200).json()["items"].as_array().unwrap().len(), 4);

        // Nobody reads another's ledger, and no grant is anybody else's place.
        alice.get(&path).expect(403);
        alice.post(&path, &json!({"amount": 1, "reason": "me"})).expect(403);
        let bob = operator.post("/api/v1/accounts", &json!({"email": "bob@example.com", "password": PASSWORD}));
        bob.expect(201);
        let bob = signed_in(&server, "bob@example.com");
        let grant = operator.get(&path).expect(200).json()["items"][2]["id"].as_str().unwrap().to_owned();
        bob.get(&format!("/api/v1/account/credits?after={grant}")).expect(404);
        let refused = bob.get("/api/v1/account/credits?after=yesterday").expect(422).json();
        assert_eq!(faults(&refused), ["after"]);
    }

    fn what_is_refused_costs_nothing(engine) {
        let server = server(engine, "10");
        let alice = signed_in(&server, ALICE);
        let full = || assert_eq!(left(&alice), 10);

        // At RCPT: the others of the message are paid for, this one is not.
        let mut smtp = server.signed_in(ALICE);
        smtp.mail(ALICE).expect("250");
        smtp.rcpt("no-domain").expect("501");
        smtp.rcpt(&format!("{}@example.net", "x".repeat(65))).expect("501");
        smtp.command("RSET").expect("250");
        full();
        // At the message: a From that is somebody else's.
        smtp.mail(ALICE).expect("250");
        smtp.rcpt("zoe@example.net").expect("250");
        smtp.data(b"From: <mallory@example.org>\r\n\r\nhello\r\n").expect("550 5.7.1");
        full();
        // By the API: one bad recipient among good ones, and more recipients than there are credits.
        alice.post("/api/v1/messages", &message(&["zoe@example.net", "no-domain"])).expect(422);
        full();
        let many: Vec<String> = (0..11).map(|n| format!("r{n}@example.net")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let refused = alice.post("/api/v1/messages", &message(&many)).expect(402).json();
        assert_eq!(refused["type"], "/problems/out-of-credits");
        let detail = refused["detail"].as_str().unwrap();
        assert!(detail.contains("10 credits left, too few for 11 recipients") && detail.contains("Nothing was sent"), "{detail}");
        full();
        smtp.mail(ALICE).expect("250");
        for to in &many {
            smtp.rcpt(to).expect("250");
        }
        smtp.data(b"From: <alice@example.com>\r\n\r\nhello\r\n").expect("452 4.7.1");
        full();
        // The connection goes on, and what fits is taken.
        smtp.mail(ALICE).expect("250");
        for to in &many[..10] {
            smtp.rcpt(to).expect("250");
        }
        smtp.data(b"From: <alice@example.com>\r\n\r\nhello\r\n").expect("250");
        assert_eq!(ledger(&alice), [entry("usage", -10, 0), entry("opening", 10, 10)]);
        let refused = alice.post("/api/v1/messages", &message(&["zoe@example.net"])).expect(402).json();
        assert!(refused["detail"].as_str().unwrap().contains("no credits left"), "{refused}");
    }

    fn few_credits_are_mailed_about(engine) {
        let server = server(engine, "10");
        let (operator, alice) = (signed_in(&server, "ops@example.com"), signed_in(&server, ALICE));
        let mails = |subject: &str| -> Vec<Value> {
            let inbox = operator.get("/api/v1/inbox?limit=200").expect(200).json();
            let all = inbox["items"].as_array().unwrap().clone();
            all.into_iter().filter(|mail| mail["to"] == ALICE && mail["subject"] == subject).collect()
        };
        let to: Vec<String> = (0..8).map(|n| format!("r{n}@example.net")).collect();
        let to: Vec<&str> = to.iter().map(String::as_str).collect();
        alice.post("/api/v1/messages", &message(&to)).expect(202);
        let fifth = "Credits left on mail.example.com: 2 of 10";
        let mail = eventually("the mail at a fifth", || mails(fifth).pop());
        let text = operator.get(&format!("/api/v1/inbox/{}/content", mail["id"].as_str().unwrap())).expect(200).json();
        let text = text["text"].as_str().unwrap();
        assert!(text.contains("2 are left of the 10") && text.contains("/app/account/credits"), "{text}");
        alice.post("/api/v1/messages", &message(&["r1@example.net"])).expect(202);
        alice.post("/api/v1/messages", &message(&["r1@example.net"])).expect(202);
        let gone = "The credits of your account on mail.example.com are used up";
        eventually("the mail at nothing", || mails(gone).pop());
        alice.post("/api/v1/messages", &message(&["r1@example.net"])).expect(402);
        // Our own mail costs Alice nothing, and each of the two came once.
        assert_eq!(ledger(&alice), [entry("usage", -10, 0), entry("opening", 10, 10)]);
        assert_eq!((mails(fifth).len(), mails(gone).len()), (1, 1));
    }
}
