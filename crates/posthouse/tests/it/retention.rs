//! How long mail is kept: as configured, or as its account chose; and really deleted then.

use std::time::Duration;

use serde_json::{Value, json};

use crate::both_engines;
use crate::harness::http::Http;
use crate::harness::{PASSWORD, Posthouse, Sink, eventually};

const ALICE: &str = "alice@example.com";
const BOB: &str = "bob@example.com";
const DAY: Duration = Duration::from_hours(24);
const RETENTION: &str = "/api/v1/account/retention";

fn signed_in(server: &Posthouse, email: &str) -> Http {
    let mut http = server.http();
    http.sign_in(email, PASSWORD);
    http
}

fn send(http: &Http, from: &str, more: &Value) -> String {
    let mut message = json!({"from": from, "to": ["zoe@example.net"], "subject": "Hello", "text": "Hello"});
    for (name, value) in more.as_object().unwrap() {
        message[name] = value.clone();
    }
    let accepted = http.post("/api/v1/messages", &message).expect(202).json();
    accepted["id"].as_str().unwrap().to_owned()
}

fn delivered(http: &Http, id: &str) {
    eventually("it is delivered", || {
        let told = http.get(&format!("/api/v1/messages/{id}")).expect(200).json();
        (told["states"] == json!({"delivered": 1})).then_some(())
    });
}

/// Whether the record of a message, and what it holds, are still there.
fn there(http: &Http, id: &str) -> (bool, bool) {
    let status = |path: &str| http.get(&format!("/api/v1/messages/{id}{path}")).status == 200;
    (status(""), status("/content"))
}

/// Lets time pass and starts anew, because what is old is looked for at the start and then each minute.
fn after(server: &mut Posthouse, time: Duration) {
    server.pass(time);
    server.stop();
    server.start_again();
}

fn until(server: &Posthouse, id: &str, whose: &str, expected: (bool, bool)) {
    let http = signed_in(server, whose);
    eventually(&format!("record and content are {expected:?}"), || {
        (there(&http, id) == expected).then_some(())
    });
}

both_engines! {
    fn what_was_scheduled_is_kept_from_when_it_left(engine) {
        let sink = Sink::start();
        let mut server = Posthouse::on(engine).route_to(&sink).moving_clock().start();
        server.create_account(ALICE);
        let alice = signed_in(&server, ALICE);
        let [soon, later] = [5, 29].map(|days| server.now().plus(DAY * days).rfc3339());
        let id = send(&alice, ALICE, &json!({"send_at": soon}));
        alice.post(&format!("/api/v1/messages/{id}/schedule"), &json!({"send_at": later})).expect(204);
        // That this one goes shows that the look for what is old is over.
        let witness = send(&alice, ALICE, &json!({}));
        delivered(&alice, &witness);
        // An hour of a clock that jumped would ask first.
        server.pass(DAY * 28 + Duration::from_hours(23));
        server.pass(Duration::from_mins(61));
        let alice = signed_in(&server, ALICE);
        delivered(&alice, &id);
        after(&mut server, DAY * 2);
        until(&server, &witness, ALICE, (false, false));
        until(&server, &id, ALICE, (true, true));
        after(&mut server, DAY * 2);
        until(&server, &id, ALICE, (true, false));
        after(&mut server, DAY * 28);
        until(&server, &id, ALICE, (false, false));
    }

    fn an_account_keeps_its_mail_as_long_as_it_chose_and_others_theirs(engine) {
        let sink = Sink::start();
        let mut server = Posthouse::on(engine).route_to(&sink).moving_clock().set("storage.keep_messages", "\"60d\"").start();
        for account in [ALICE, BOB] {
            server.create_account(account);
        }
        let (alice, bob) = (signed_in(&server, ALICE), signed_in(&server, BOB));
        let (hers, his) = (send(&alice, ALICE, &json!({})), send(&bob, BOB, &json!({})));
        delivered(&alice, &hers);
        delivered(&bob, &his);
        let holds = alice.get(RETENTION).expect(200).json();
        assert_eq!((&holds["content_days"], &holds["message_days"]), (&json!(3), &json!(60)));
        let chosen = json!({"content_days": 1, "message_days": 30});
        let holds = alice.request("PUT", RETENTION, Some(&chosen)).expect(200).json();
        assert_eq!((&holds["own"], &holds["most_content_days"]), (&chosen, &json!(30)));
        // What was there when she chose goes by it as well, and what comes after.
        let later = send(&alice, ALICE, &json!({}));
        delivered(&alice, &later);
        after(&mut server, DAY + Duration::from_hours(1));
        until(&server, &hers, ALICE, (true, false));
        until(&server, &later, ALICE, (true, false));
        until(&server, &his, BOB, (true, true));
        after(&mut server, DAY * 29);
        until(&server, &hers, ALICE, (false, false));
        let events = signed_in(&server, ALICE).get("/api/v1/events").expect(200).json();
        assert!(!events.to_string().contains(&hers), "{events}");
        until(&server, &his, BOB, (true, false));
        let log = signed_in(&server, ALICE).get("/api/v1/account/audit").expect(200).text;
        assert!(log.contains("retention.chosen") && log.contains("content 1 days, messages 30 days"), "{log}");
    }

    fn what_is_kept_for_longer_outlives_what_is_configured(engine) {
        let sink = Sink::start();
        let mut server = Posthouse::on(engine).route_to(&sink).moving_clock().start();
        server.create_account(ALICE);
        let alice = signed_in(&server, ALICE);
        let id = send(&alice, ALICE, &json!({}));
        delivered(&alice, &id);
        let chosen = json!({"content_days": 10, "message_days": 60});
        alice.request("PUT", RETENTION, Some(&chosen)).expect(200);
        server.create_account(BOB);
        let his = send(&signed_in(&server, BOB), BOB, &json!({}));
        delivered(&signed_in(&server, BOB), &his);
        after(&mut server, DAY * 9);
        // His goes by what is configured: when it has gone, old content was looked for.
        until(&server, &his, BOB, (true, false));
        until(&server, &id, ALICE, (true, true));
        after(&mut server, DAY * 30);
        until(&server, &id, ALICE, (true, false));
        let told = signed_in(&server, ALICE).get(&format!("/api/v1/messages/{id}")).expect(200).json();
        assert!(told["events"].as_array().unwrap().len() >= 2, "{told}");
        after(&mut server, DAY * 30);
        until(&server, &id, ALICE, (false, false));
    }

    fn what_readers_did_is_known_as_long_as_their_message(engine) {
        let sink = Sink::start();
        let mut server = Posthouse::on(engine).route_to(&sink).moving_clock().start();
        server.create_account(ALICE);
        let alice = signed_in(&server, ALICE);
        alice.request("PUT", RETENTION, Some(&json!({"content_days": 1, "message_days": 200}))).expect(200);
        let id = send(&alice, ALICE, &json!({"html": "<p>Hello</p>", "track": {"opens": true, "clicks": false}}));
        delivered(&alice, &id);
        server.pass(Duration::from_mins(10));
        let copy = sink.wait_for_recipient("zoe@example.net").text();
        let begin = copy.find("/t/o/").unwrap();
        let path: String = copy[begin..].chars().take_while(|sign| *sign != '"').collect();
        let mut reader = server.http();
        reader.headers.push(("user-agent".to_owned(), "Mozilla/5.0 (X11; Linux x86_64; rv:121.0) Gecko/20100101 Firefox/121.0".to_owned()));
        reader.get(&path).expect(200);
        let opens = |http: &Http| http.get(&format!("/api/v1/messages/{id}")).expect(200).json()["recipients"][0]["opens"].clone();
        eventually("the opening is noted", || (opens(&alice) == 1).then_some(()));
        // Far longer than this installation keeps messages for who did not choose.
        after(&mut server, DAY * 120);
        until(&server, &id, ALICE, (true, false));
        let alice = signed_in(&server, ALICE);
        // A message that is gone shows that the look for what is old is over.
        let witness = send(&alice, ALICE, &json!({}));
        delivered(&alice, &witness);
        after(&mut server, DAY * 2);
        until(&server, &witness, ALICE, (true, false));
        assert_eq!(opens(&signed_in(&server, ALICE)), 1);
    }

    fn who_decides_and_within_which_bounds(engine) {
        let mut server = Posthouse::on(engine).moving_clock().set("storage.content_at_most", "\"5d\"").start();
        server.create_account(ALICE);
        let alice = signed_in(&server, ALICE);
        let refused = |content: Value, messages: Value| {
            let chosen = json!({"content_days": content, "message_days": messages});
            let answer = alice.request("PUT", RETENTION, Some(&chosen)).expect(422).json();
            answer["errors"][0]["field"].as_str().unwrap().to_owned()
        };
        assert_eq!(refused(json!(6), Value::Null), "content_days");
        assert_eq!(refused(Value::Null, json!(29)), "message_days", "bounces come back for so long, and links have to work");
        assert_eq!(refused(Value::Null, json!(366)), "message_days");
        let made = alice.post("/api/v1/keys", &json!({"name": "k", "scopes": ["read", "messages"]})).expect(201).json();
        let mut key = server.http();
        key.bearer = made["key"].as_str().map(str::to_owned);
        key.get(RETENTION).expect(200);
        let chosen = json!({"content_days": 0, "message_days": null});
        key.request("PUT", RETENTION, Some(&chosen)).expect(403);
        server.pass(Duration::from_mins(11));
        let stale = alice.request("PUT", RETENTION, Some(&chosen)).expect(403).json();
        assert_eq!(stale["type"], "/problems/confirm-password");
        let alice = signed_in(&server, ALICE);
        alice.request("PUT", RETENTION, Some(&chosen)).expect(200);
        let id = send(&alice, ALICE, &json!({"sandbox": true}));
        // Nothing is kept of what nobody waits for.
        after(&mut server, Duration::from_mins(1));
        until(&server, &id, ALICE, (true, false));
    }
}
