//! What was said with other servers: told to whose mail it is, without secrets, and for 30 days.

use std::time::Duration;

use serde_json::{Value, json};

use crate::both_engines;
use crate::harness::http::Http;
use crate::harness::{Act, PASSWORD, Posthouse, Sink, Verb, eventually};

const ALICE: &str = "alice@example.com";

fn send(http: &Http, to: &[&str]) -> String {
    let message = json!({"from": ALICE, "to": to, "subject": "Hello", "text": "the body of it"});
    let accepted = http.post("/api/v1/messages", &message).expect(202).json();
    accepted["id"].as_str().unwrap().to_owned()
}

fn settled(http: &Http, id: &str, states: &Value) {
    eventually("every recipient is settled", || {
        let told = http.get(&format!("/api/v1/messages/{id}")).expect(200).json();
        (told["states"] == *states).then_some(())
    });
}

fn path(id: &str, ordinal: u32) -> String {
    format!("/api/v1/messages/{id}/recipients/{ordinal}/attempts/1")
}

/// The lines of one side, in order.
fn said(transcript: &Value, by: &str) -> Vec<String> {
    let lines = transcript["lines"].as_array().unwrap().iter();
    lines
        .filter(|line| line["by"] == by)
        .map(|line| line["text"].as_str().unwrap().to_owned())
        .collect()
}

both_engines! {
    fn an_attempt_tells_what_was_said_to_whose_mail_it_is_and_to_nobody_else(engine) {
        let sink = Sink::start();
        let server = Posthouse::on(engine).route_to(&sink).start();
        for account in [ALICE, "bob@example.com"] {
            server.create_account(account);
        }
        let signed_in = |email| {
            let mut http = server.http();
            http.sign_in(email, PASSWORD);
            http
        };
        let (alice, bob) = (signed_in(ALICE), signed_in("bob@example.com"));
        let id = send(&alice, &["zoe@example.net", "yan@example.net"]);
        settled(&alice, &id, &json!({"delivered": 2}));
        let transcript = alice.get(&path(&id, 0)).expect(200).json();
        let (we, they) = (said(&transcript, "we"), said(&transcript, "they"));
        assert!(we[0].starts_with("MAIL FROM:<alice@example.com>"), "{we:?}");
        assert!(we.iter().any(|line| line.starts_with("RCPT TO:<zoe@example.net>")), "{we:?}");
        assert_eq!(we.last().map(String::as_str), Some("DATA"));
        assert!(they[0].starts_with("220 ") && they.last().unwrap().starts_with("250 "), "{they:?}");
        assert!(!transcript.to_string().contains("the body of it"), "{transcript}");
        bob.get(&path(&id, 0)).expect(404);
        alice.get(&format!("/api/v1/messages/{id}/recipients/0/attempts/2")).expect(404);
        alice.get(&path(&id, 7)).expect(404);
    }

    fn a_refusal_is_told_with_everything_that_led_to_it_and_forgotten_after_30_days(engine) {
        let sink = Sink::start();
        sink.always(Verb::Rcpt, "", Act::reply("550 5.1.1 Nobody of this name"));
        let mut server = Posthouse::on(engine).route_to(&sink).moving_clock().set("storage.keep_messages", "\"90d\"").start();
        server.create_account(ALICE);
        let mut alice = server.http();
        alice.sign_in(ALICE, PASSWORD);
        let id = send(&alice, &["zoe@example.net"]);
        settled(&alice, &id, &json!({"bounced": 1}));
        let transcript = alice.get(&path(&id, 0)).expect(200).json();
        assert!(said(&transcript, "we")[0].starts_with("EHLO "), "{transcript}");
        assert!(said(&transcript, "they").iter().any(|line| line == "550 5.1.1 Nobody of this name"), "{transcript}");
        server.pass(Duration::from_hours(31 * 24));
        // What is old is looked for at the start, and then each minute.
        server.stop();
        server.start_again();
        let mut alice = server.http();
        alice.sign_in(ALICE, PASSWORD);
        eventually("the transcript is gone", || (alice.get(&path(&id, 0)).status == 404).then_some(()));
        let told = alice.get(&format!("/api/v1/messages/{id}")).expect(200).json();
        assert_eq!(told["recipients"][0]["attempts"][0]["code"], 550);
    }

    fn no_transcript_holds_the_password_of_a_smarthost(engine) {
        let sink = Sink::setup().only_for("relay", "s3cret").start();
        sink.always(Verb::Rcpt, "", Act::reply("550 5.1.1 Nobody of this name"));
        let route = format!("\"smtp://relay:s3cret@{}\"", sink.address());
        let server = Posthouse::on(engine).set("delivery.route", &route).start();
        server.create_account(ALICE);
        let mut alice = server.http();
        alice.sign_in(ALICE, PASSWORD);
        let id = send(&alice, &["zoe@example.net"]);
        settled(&alice, &id, &json!({"bounced": 1}));
        let transcript = alice.get(&path(&id, 0)).expect(200).json();
        assert!(said(&transcript, "we").contains(&"AUTH PLAIN (not shown)".to_owned()), "{transcript}");
        for secret in ["s3cret", "AHJlbGF5AHMzY3JldA"] {
            assert!(!transcript.to_string().contains(secret), "{transcript}");
        }
    }
}
