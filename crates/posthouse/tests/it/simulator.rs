//! Test addresses: each has its outcome, and nothing of it leaves, costs or suppresses.

use std::time::Duration;

use serde_json::{Value, json};

use crate::both_engines;
use crate::harness::http::Http;
use crate::harness::{Engine, Posthouse, Sink, eventually};

const ALICE: &str = "alice@example.com";

fn server(engine: Engine, sink: &Sink) -> (Posthouse, Http) {
    let server = Posthouse::on(engine)
        .moving_clock()
        .set("server.hostname", "\"mail.example.com\"")
        .set("http.public_url", "\"https://mail.example.com\"")
        .route_to(sink)
        .start();
    let http = server.owner(ALICE);
    (server, http)
}

fn to(names: &[&str]) -> Value {
    let to: Vec<String> = names.iter().map(|name| at(name)).collect();
    json!({"from": ALICE, "to": to, "subject": "Hello", "text": "Hello"})
}

fn at(name: &str) -> String {
    format!("{name}@simulator.mail.example.com")
}

/// State and code of the last attempt of each recipient, in their order.
fn became(http: &Http, id: &str) -> Vec<(String, Value)> {
    let message = http.get(&format!("/api/v1/messages/{id}")).expect(200).json();
    let recipients = message["recipients"].as_array().unwrap().iter();
    recipients
        .map(|one| {
            let attempts = one["attempts"].as_array().unwrap();
            let code = attempts.last().map_or(Value::Null, |last| last["code"].clone());
            (one["state"].as_str().unwrap().to_owned(), code)
        })
        .collect()
}

fn kinds(http: &Http) -> Vec<String> {
    let events = http.get("/api/v1/events").expect(200).json();
    let events = events["items"].as_array().unwrap().iter();
    let mut kinds: Vec<String> = events
        .map(|event| event["type"].as_str().unwrap().to_owned())
        .collect();
    kinds.sort_unstable();
    kinds
}

both_engines! {
    fn each_test_address_has_its_outcome_and_nothing_of_it_leaves(engine) {
        let sink = Sink::start();
        let (server, http) = server(engine, &sink);
        let all = to(&["delivered", "hard-bounce+order-17", "soft-bounce", "Complaint", "slow"]);
        let id = http.post("/api/v1/messages", &all).expect(202).json()["id"].as_str().unwrap().to_owned();
        let now = |state: &str, code: Value| (state.to_owned(), code);
        let at_once = vec![
            now("delivered", json!(250)),
            now("bounced", json!(550)),
            now("deferred", json!(452)),
            now("delivered", json!(250)),
            now("queued", Value::Null),
        ];
        assert_eq!(became(&http, &id), at_once);
        let happened = ["accepted", "bounced", "complained", "deferred", "delivered", "delivered"];
        // On a busy machine the slow one may have taken it by now.
        let later = [&happened[..], &["delivered"]].concat();
        eventually("all of it is in the log", || {
            let kinds = kinds(&http);
            (kinds == happened || kinds == later).then_some(())
        });

        server.pass(Duration::from_secs(31));
        eventually("the slow one takes it", || (became(&http, &id)[4].0 == "delivered").then_some(()));
        server.pass(Duration::from_hours(1));
        eventually("the full mailbox has room", || (became(&http, &id)[2].0 == "delivered").then_some(()));

        let account = http.get("/api/v1/account").expect(200).json();
        assert_eq!(account["credits"], 500);
        assert_eq!(http.get("/api/v1/suppressions").expect(200).json()["items"], json!([]));
        assert_eq!(http.get("/api/v1/messages").expect(200).json()["items"].as_array().unwrap().len(), 1, "no report");
        // A mail in earnest comes alone: before it there was none.
        http.post("/api/v1/messages", &json!({"from": ALICE, "to": ["bob@example.net"], "subject": "real", "text": "x"})).expect(202);
        assert_eq!(sink.wait_for(1).len(), 1);
    }

    fn the_same_goes_for_smtp_and_a_wrong_name_is_told_at_once(engine) {
        let sink = Sink::start();
        let (server, http) = server(engine, &sink);
        let help = "see https://mail.example.com/help/test-addresses";
        let mut smtp = server.signed_in(ALICE);
        smtp.mail(ALICE).expect("250");
        let unknown = smtp.rcpt(&at("hardbounce"));
        assert!(unknown.0.starts_with("550 5.1.1 ") && unknown.0.contains(help), "{}", unknown.0);
        smtp.rcpt(&at("hard-bounce")).expect("250");
        let taken = smtp.data(b"From: alice@example.com\r\nSubject: s\r\n\r\nx\r\n");
        taken.expect("250");
        let id = taken.0.trim_end().rsplit(' ').next().unwrap().to_owned();
        assert_eq!(became(&http, &id), [("bounced".to_owned(), json!(550))]);

        let mixed = smtp.submit(ALICE, &[&at("slow"), "bob@example.net"], b"From: alice@example.com\r\n\r\nx\r\n");
        assert!(mixed.0.starts_with("550 5.5.0 ") && mixed.0.contains(help), "{}", mixed.0);
        for names in [&["slow", "nobody"][..], &["nobody"]] {
            let refused = http.post("/api/v1/messages", &to(names)).expect(422).json();
            assert_eq!(refused["errors"][0]["field"], "to", "{names:?}");
        }
        let mut with_bob = to(&["slow"]);
        with_bob["cc"] = json!(["bob@example.net"]);
        http.post("/api/v1/messages", &with_bob).expect(422);
        // In the sandbox nothing leaves anyway, so they may stand beside others.
        with_bob["sandbox"] = json!(true);
        http.post("/api/v1/messages", &with_bob).expect(202);
    }
}
