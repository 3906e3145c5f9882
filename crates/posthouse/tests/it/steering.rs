//! What steers one message, over SMTP and the API: its stream and tags, the sandbox, a key that makes repeating safe, and a
//! time to leave at.

use std::time::Duration;

use serde_json::{Value, json};

use crate::both_engines;
use crate::harness::engine::postgres_is_here;
use crate::harness::http::Http;
use crate::harness::{Engine, PASSWORD, Posthouse, Sink, eventually};

const ALICE: &str = "alice@example.com";
const BOB: &str = "bob@example.net";

fn server(engine: Engine, sink: &Sink) -> (Posthouse, Http) {
    let server = Posthouse::on(engine)
        .moving_clock()
        .set("http.public_url", "\"https://mail.example.com\"")
        .route_to(sink)
        .start();
    let http = server.owner(ALICE);
    (server, http)
}

/// Submits a message with these header fields over SMTP; the answer to its end.
fn submit(server: &Posthouse, fields: &str) -> String {
    let mut smtp = server.signed_in(ALICE);
    let text = format!("From: {ALICE}\r\nTo: {BOB}\r\nSubject: Hello\r\n{fields}\r\nHello\r\n");
    smtp.submit(ALICE, &[BOB], text.as_bytes()).0
}

/// The id in a 250.
fn id_of(answer: &str) -> String {
    assert!(answer.starts_with("250 2.0.0 Accepted as "), "{answer}");
    answer.trim_end().rsplit(' ').next().unwrap().to_owned()
}

fn message(more: &Value) -> Value {
    let mut message = json!({"from": ALICE, "to": [BOB], "subject": "Hello", "text": "Hello"});
    for (name, value) in more.as_object().unwrap() {
        message[name] = value.clone();
    }
    message
}

fn told(http: &Http, id: &str) -> Value {
    http.get(&format!("/api/v1/messages/{id}")).expect(200).json()
}

fn until(http: &Http, id: &str, state: &str) -> Value {
    eventually(&format!("the recipient is {state}"), || {
        let message = told(http, id);
        (message["recipients"][0]["state"] == state).then_some(message)
    })
}

fn found(http: &Http, query: &str) -> Vec<String> {
    let page = http.get(&format!("/api/v1/messages?{query}")).expect(200).json();
    let items = page["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["id"].as_str().unwrap().to_owned())
        .collect()
}

fn credits(http: &Http) -> i64 {
    http.get("/api/v1/account").expect(200).json()["credits"]
        .as_i64()
        .unwrap()
}

both_engines! {
    fn a_message_goes_in_its_stream_with_its_tags_and_without_the_fields_that_say_so(engine) {
        let sink = Sink::start();
        let (server, http) = server(engine, &sink);
        http.post("/api/v1/streams", &json!({"slug": "News", "name": "Newsletter", "kind": "marketing"})).expect(201);
        let by_smtp = id_of(&submit(&server, "X-Posthouse-Stream: news\r\nX-Posthouse-Tag: Order, paid\r\nx-posthouse-tag: VIP\r\n"));
        let plain = id_of(&submit(&server, ""));
        let by_api = http.post("/api/v1/messages", &message(&json!({"stream": "marketing", "tags": ["order", "Order"]}))).expect(202).json();
        let by_api = by_api["id"].as_str().unwrap();

        let shown = told(&http, &by_smtp);
        assert_eq!((&shown["stream"], &shown["tags"]), (&json!("news"), &json!(["order", "paid", "vip"])));
        assert_eq!((&told(&http, &plain)["stream"], &told(&http, &plain)["tags"]), (&json!("transactional"), &json!([])));
        assert_eq!((&told(&http, by_api)["stream"], &told(&http, by_api)["tags"]), (&json!("marketing"), &json!(["order"])));
        let accepted = shown["events"][0].clone();
        assert_eq!((&accepted["data"]["stream"], &accepted["data"]["tags"]), (&json!("news"), &json!(["order", "paid", "vip"])));

        assert_eq!(found(&http, "stream=news"), [by_smtp.as_str()]);
        assert_eq!(found(&http, "stream=transactional"), [plain.as_str()]);
        assert_eq!(found(&http, "tag=ORDER"), [by_api, by_smtp.as_str()]);
        assert_eq!(found(&http, "tag=order&stream=news"), [by_smtp.as_str()]);
        for none in ["tag=orde", "tag=%25", "tag=order%0Apaid%25", "stream=other", "tag=o_der"] {
            assert_eq!(found(&http, none), Vec::<String>::new(), "{none}");
        }
        for arrived in sink.wait_for(3) {
            assert!(!String::from_utf8_lossy(arrived.head()).to_lowercase().contains("x-posthouse"));
        }
    }

    fn what_cannot_be_followed_is_refused_with_the_field_and_its_help_page(engine) {
        let sink = Sink::start();
        let (server, http) = server(engine, &sink);
        let help = ", see https://mail.example.com/help/steering-headers";
        for (fields, says) in [
            ("X-Posthouse-Stream: other\r\n", "554 5.5.4 The account has no stream other"),
            ("X-Posthouse-Sandbox: maybe\r\n", "554 5.5.4 The X-Posthouse-Sandbox header field needs \"on\" or \"off\""),
            ("X-Posthouse-Sandbx: on\r\n", "554 5.5.4 The X-Posthouse-Sandbx header field is none that this server knows"),
            ("X-Posthouse-Send-At: soon\r\n", "554 5.5.4 The X-Posthouse-Send-At header field needs a date and time with its zone, such as 2027-01-31T09:00:00+01:00"),
            ("X-Posthouse-Tag: =?utf-8?q?a=0D=0ABcc:_eve?=\r\n", "554 5.5.4 The X-Posthouse-Tag header field is not text in UTF-8, or holds a control character"),
        ] {
            assert_eq!(submit(&server, fields).trim_end(), format!("{says}{help}"));
        }
        for (fields, at) in [
            (json!({"stream": "other"}), "stream"),
            (json!({"stream": "a b"}), "stream"),
            (json!({"tags": ["fine", ""]}), "tags[1]"),
            (json!({"tags": ["a\r\nBcc: eve"]}), "tags[0]"),
            (json!({"send_at": "2020-01-01T00:00:00Z"}), "send_at"),
            (json!({"idempotency_key": " "}), "idempotency_key"),
            (json!({"headers": {"X-Posthouse-Stream": "marketing"}}), "headers"),
        ] {
            let refused = http.post("/api/v1/messages", &message(&fields)).expect(422).json();
            assert_eq!(refused["errors"][0]["field"], at, "{fields}");
        }
        assert_eq!((found(&http, ""), credits(&http)), (vec![], 500));
    }

    fn a_credential_and_a_key_that_are_bound_to_a_stream_send_in_no_other(engine) {
        let sink = Sink::start();
        let (server, http) = server(engine, &sink);
        let wanted = json!({"name": "shop", "stream": "marketing"});
        let made = http.post("/api/v1/smtp-credentials", &wanted).expect(201).json();
        assert_eq!(made["stream"], "marketing");
        let mut smtp = server.smtp();
        smtp.ehlo();
        smtp.starttls();
        smtp.auth_plain(ALICE, made["password"].as_str().unwrap()).expect("235");
        let text = |fields: &str| format!("From: {ALICE}\r\nSubject: Hello\r\n{fields}\r\nHello\r\n");
        let id = id_of(&smtp.submit(ALICE, &[BOB], text("").as_bytes()).0);
        assert_eq!(told(&http, &id)["stream"], "marketing");
        smtp.submit(ALICE, &[BOB], text("X-Posthouse-Stream: transactional\r\n").as_bytes())
            .expect("554 5.7.0 This credential sends in the stream marketing only, see https://mail.example.com/help/steering-headers");

        let key = http.post("/api/v1/keys", &json!({"name": "shop", "scopes": ["send"], "stream": "marketing"})).expect(201).json();
        let mut by_key = server.http();
        by_key.bearer = key["key"].as_str().map(str::to_owned);
        let id = by_key.post("/api/v1/messages", &message(&json!({}))).expect(202).json();
        assert_eq!(told(&http, id["id"].as_str().unwrap())["stream"], "marketing");
        by_key.post("/api/v1/messages", &message(&json!({"stream": "transactional"}))).expect(403);
        http.post("/api/v1/keys", &json!({"name": "shop", "scopes": ["send"], "stream": "other"})).expect(422);
        http.request("PATCH", "/api/v1/streams/marketing", Some(&json!({"archived": true}))).expect(409);
    }

    fn what_asks_for_the_sandbox_is_kept_here_and_costs_nothing(engine) {
        let sink = Sink::start();
        let (server, http) = server(engine, &sink);
        let by_smtp = id_of(&submit(&server, "X-Posthouse-Sandbox: on\r\n"));
        let by_api = http.post("/api/v1/messages", &message(&json!({"sandbox": true, "send_at": server.now().plus(Duration::from_hours(2)).rfc3339()}))).expect(202).json();
        for id in [by_smtp.as_str(), by_api["id"].as_str().unwrap()] {
            let shown = told(&http, id);
            assert_eq!(shown["states"], json!({"delivered": 1}));
            assert_eq!(shown["events"][0]["data"]["sandbox"], true);
        }
        assert_eq!(http.get("/api/v1/inbox").expect(200).json()["items"].as_array().unwrap().len(), 2);
        assert_eq!(credits(&http), 500);
        // One that leaves comes last, and alone.
        submit(&server, "");
        assert_eq!(sink.wait_for(1).len(), 1);
        assert_eq!(sink.arrived().len(), 1);
    }

    fn what_never_fits_into_the_sandbox_is_refused_for_good(engine) {
        let sink = Sink::start();
        let (server, http) = server(engine, &sink);
        let to: Vec<String> = (0..300).map(|n| format!("r{n}@elsewhere.example")).collect();
        let long = "0123456789 and so on, up to the end of this line.\r\n".repeat(20_000);
        let to_all: Vec<&str> = to.iter().map(String::as_str).collect();
        let text = format!("From: {ALICE}\r\nSubject: test\r\nX-Posthouse-Sandbox: on\r\n\r\n{long}");
        let refused = server.signed_in(ALICE).submit(ALICE, &to_all, text.as_bytes());
        assert_eq!(
            refused.0.trim_end(),
            "552 5.2.3 The message alone is more than the hourly limit of the sandbox lets through, which is 256 MiB over all recipients, \
             see https://mail.example.com/help/smtp-errors"
        );
        let by_api = http.post("/api/v1/messages", &message(&json!({"sandbox": true, "to": to, "text": long}))).expect(422).json();
        assert!(by_api.to_string().contains("256 MiB over all recipients"), "{by_api}");
        // It took nothing of the hour: waiting is for what fits into one.
        for status in [202, 202, 202, 429] {
            http.post("/api/v1/messages", &message(&json!({"sandbox": true, "to": to}))).expect(status);
        }
    }

    fn the_same_key_with_the_same_content_is_the_same_message_for_a_day(engine) {
        let sink = Sink::start();
        let (server, http) = server(engine, &sink);
        let fields = "X-Posthouse-Idempotency-Key: order-4711\r\n";
        let first = id_of(&submit(&server, fields));
        // What a program writes anew when it tries again is no other content.
        let again = format!("{fields}Date: Tue, 24 Nov 2026 12:00:00 +0000\r\nMessage-ID: <new@example.com>\r\n");
        assert_eq!(id_of(&submit(&server, &again)), first);
        let other = submit(&server, &format!("{fields}X-Other: yes\r\n"));
        assert_eq!(
            other.trim_end(),
            "554 5.7.0 This idempotency key stands for another message of the last 24 hours, see https://mail.example.com/help/steering-headers"
        );
        assert_eq!(credits(&http), 499);
        // The same text that nobody is sent is another message: a test must not stand for the real one.
        assert!(submit(&server, &format!("{fields}X-Posthouse-Sandbox: on\r\n")).starts_with("554 5.7.0"));

        let mut keyed = server.http();
        keyed.sign_in(ALICE, PASSWORD);
        keyed.headers.push(("Idempotency-Key".to_owned(), "order-4712".to_owned()));
        let post = |http: &Http, text: &str, status| http.post("/api/v1/messages", &message(&json!({"text": text}))).expect(status).json();
        let first_by_api = post(&keyed, "one", 202);
        assert_eq!(post(&keyed, "one", 202), first_by_api);
        let in_body = message(&json!({"text": "one", "idempotency_key": "order-4712"}));
        assert_eq!(http.post("/api/v1/messages", &in_body).expect(202).json(), first_by_api);
        assert_eq!(post(&keyed, "two", 409)["type"], "/problems/conflict");
        keyed.post("/api/v1/messages", &message(&json!({"idempotency_key": "another"}))).expect(422);
        assert_eq!((found(&http, "").len(), credits(&http)), (2, 498));
        // Another account's keys are its own.
        server.create_account("carol@example.com");
        let mut carol = server.http();
        carol.sign_in("carol@example.com", PASSWORD);
        let hers = json!({"from": "carol@example.com", "to": [BOB], "subject": "x", "text": "x", "idempotency_key": "order-4712"});
        carol.post("/api/v1/messages", &hers).expect(202);

        server.pass(Duration::from_hours(25));
        assert_ne!(id_of(&submit(&server, fields)), first);
        assert_eq!(sink.wait_for(4).len(), 4);
    }

    fn a_key_is_free_again_when_its_message_was_refused(engine) {
        let sink = Sink::start();
        let (server, http) = server(engine, &sink);
        let to: Vec<String> = (0..501).map(|n| format!("p{n}@there.example")).collect();
        let keyed = |to: &[String]| json!({"from": ALICE, "to": to, "subject": "x", "text": "x", "idempotency_key": "k"});
        http.post("/api/v1/messages", &keyed(&to)).expect(402);
        http.post("/api/v1/messages", &keyed(&to[..2])).expect(202);
        assert_eq!(credits(&http), 498);
        drop(server);
    }

    fn many_who_bring_the_same_at_once_make_one_message(engine) {
        let sink = Sink::start();
        let (server, http) = server(engine, &sink);
        let ids: Vec<String> = std::thread::scope(|scope| {
            let fields = "X-Posthouse-Idempotency-Key: one\r\n";
            let all: Vec<_> = (0..12).map(|_| scope.spawn(|| id_of(&submit(&server, fields)))).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert_eq!((found(&http, "").len(), credits(&http)), (1, 499));
    }

    fn a_scheduled_message_waits_for_its_time_and_says_so(engine) {
        let sink = Sink::start();
        let (server, http) = server(engine, &sink);
        let at = server.now().plus(Duration::from_hours(3));
        let later = id_of(&submit(&server, &format!("X-Posthouse-Send-At: {}\r\n", at.rfc5322())));
        let shown = told(&http, &later);
        let recipient = &shown["recipients"][0];
        assert_eq!(recipient["state"], "scheduled");
        assert!(recipient["reason"].as_str().unwrap().starts_with("scheduled for 2"), "{recipient}");
        assert!(recipient["next_at"].is_string() && recipient["expires_at"].as_str() > recipient["next_at"].as_str());
        assert_eq!(found(&http, "state=scheduled"), [later.as_str()]);
        assert!(server.cli(&["queue", "list"], "").contains(&later));
        // What waits in general is tried; what has a time of its own waits for that.
        assert!(server.cli(&["queue", "retry", "--all"], "").starts_with("0 recipients"));
        let now = http.post("/api/v1/messages", &message(&json!({}))).expect(202).json();
        until(&http, now["id"].as_str().unwrap(), "delivered");
        assert_eq!(told(&http, &later)["recipients"][0]["state"], "scheduled");
        assert_eq!(credits(&http), 498);

        server.pass(Duration::from_hours(3));
        let sent = until(&http, &later, "delivered");
        assert!(sent["events"].as_array().unwrap().iter().any(|event| event["kind"] == "queued"));
        assert_eq!(sink.wait_for(2).len(), 2);
    }

    fn a_scheduled_message_is_cancelled_moved_and_sent_now(engine) {
        let sink = Sink::start();
        let (server, http) = server(engine, &sink);
        let schedule = |hours| {
            let at = server.now().plus(Duration::from_hours(hours)).rfc3339();
            let accepted = http.post("/api/v1/messages", &message(&json!({"send_at": at}))).expect(202).json();
            accepted["id"].as_str().unwrap().to_owned()
        };
        let post = |id: &str, what: &str, status| http.post(&format!("/api/v1/messages/{id}/{what}"), &json!({})).expect(status);
        let cancelled = schedule(2);
        post(&cancelled, "cancel", 204);
        assert_eq!(told(&http, &cancelled)["recipients"][0]["state"], "cancelled");
        post(&cancelled, "cancel", 409);
        let by_command = schedule(2);
        assert!(server.cli(&["queue", "cancel", &by_command], "").contains("1 recipients were given up"));

        let moved = schedule(2);
        let to = server.now().plus(Duration::from_hours(50)).rfc3339();
        let reschedule = |id: &str, at: &str, status| http.post(&format!("/api/v1/messages/{id}/schedule"), &json!({"send_at": at})).expect(status);
        reschedule(&moved, &to, 204);
        assert_eq!(told(&http, &moved)["recipients"][0]["next_at"].as_str().unwrap()[..16], to[..16]);
        reschedule(&moved, "2020-01-01T00:00:00Z", 422);
        reschedule(&cancelled, &to, 409);
        server.create_account("carol@example.com");
        let mut carol = server.http();
        carol.sign_in("carol@example.com", PASSWORD);
        carol.post(&format!("/api/v1/messages/{moved}/schedule"), &json!({"send_at": to})).expect(404);

        let at_once = schedule(700);
        post(&at_once, "retry", 204);
        let sent = until(&http, &at_once, "delivered");
        // Its time to be delivered in counts from when it was sent.
        let expires = mail::time::Time::parse_rfc3339(sent["recipients"][0]["expires_at"].as_str().unwrap()).unwrap();
        assert!(expires < server.now().plus(Duration::from_hours(6 * 24)), "{expires}");
        server.pass(Duration::from_hours(3));
        let fresh = http.post("/api/v1/messages", &message(&json!({}))).expect(202).json();
        until(&http, fresh["id"].as_str().unwrap(), "delivered");
        assert_eq!(sink.arrived().len(), 2, "neither the cancelled nor the moved one");
        server.pass(Duration::from_hours(47));
        until(&http, &moved, "delivered");
    }

    fn who_comes_onto_the_list_while_a_message_is_scheduled_gets_nothing(engine) {
        let sink = Sink::start();
        let (server, http) = server(engine, &sink);
        let at = server.now().plus(Duration::from_hours(5)).rfc3339();
        let more = json!({"send_at": at, "to": [BOB, "carol@example.net"], "stream": "marketing"});
        let ids: Vec<String> = (0..2)
            .map(|_| http.post("/api/v1/messages", &message(&more)).expect(202).json()["id"].as_str().unwrap().to_owned())
            .collect();
        http.post("/api/v1/suppressions", &json!({"address": BOB, "stream": "marketing"})).expect(201);
        http.post("/api/v1/suppressions", &json!({"address": "carol@example.net", "stream": "transactional"})).expect(201);
        // Whoever sends it before its time sends it to nobody else.
        http.post(&format!("/api/v1/messages/{}/retry", ids[0]), &json!({})).expect(204);
        until(&http, &ids[0], "suppressed");
        server.pass(Duration::from_hours(5));
        for id in &ids {
            until(&http, id, "suppressed");
            eventually("the other one gets it", || (told(&http, id)["recipients"][1]["state"] == "delivered").then_some(()));
        }
        let got = sink.arrived();
        assert!(got.iter().all(|one| one.recipients.iter().all(|to| !to.contains(BOB))), "{got:?}");
        let events = eventually("its events are there", || {
            let events = http.get(&format!("/api/v1/events?message={}", ids[0])).expect(200).json();
            events["items"].as_array().filter(|items| !items.is_empty()).cloned()
        });
        for event in &events {
            assert_eq!((&event["data"]["stream"], &event["data"]["tags"]), (&json!("marketing"), &json!([])), "{event}");
        }
    }

    fn a_message_whose_time_passed_while_the_server_was_away_asks_first(engine) {
        let sink = Sink::start();
        let (mut server, http) = server(engine, &sink);
        let schedule = |http: &Http, server: &Posthouse| {
            let at = server.now().plus(Duration::from_hours(1)).rfc3339();
            let accepted = http.post("/api/v1/messages", &message(&json!({"send_at": at}))).expect(202).json();
            accepted["id"].as_str().unwrap().to_owned()
        };
        let ids: Vec<String> = (0..3).map(|_| schedule(&http, &server)).collect();
        assert_eq!(server.stop(), Some(0));
        server.pass(Duration::from_hours(24 * 10));
        server.start_again();
        let mut http = server.http();
        http.sign_in(ALICE, PASSWORD);
        for id in &ids {
            let held = until(&http, id, "held");
            assert_eq!(held["recipients"][0]["reason"], "held: its time to be sent passed long ago; send it now or cancel it");
            assert!(held["events"].as_array().unwrap().iter().any(|event| event["kind"] == "held"));
        }
        assert_eq!(sink.arrived().len(), 0);
        http.post(&format!("/api/v1/messages/{}/retry", ids[0]), &json!({})).expect(204);
        until(&http, &ids[0], "delivered");
        http.post(&format!("/api/v1/messages/{}/cancel", ids[1]), &json!({})).expect(204);
        let soon = server.now().plus(Duration::from_mins(90)).rfc3339();
        http.post(&format!("/api/v1/messages/{}/schedule", ids[2]), &json!({"send_at": soon})).expect(204);
        until(&http, &ids[2], "scheduled");
        server.pass(Duration::from_mins(91));
        until(&http, &ids[2], "delivered");
        assert_eq!(sink.wait_for(2).len(), 2);
    }

    fn what_is_held_because_its_time_passed_is_given_up_in_the_end_and_its_sender_told(engine) {
        let sink = Sink::start();
        let (mut server, http) = server(engine, &sink);
        let at = server.now().plus(Duration::from_hours(1)).rfc3339();
        let id = http.post("/api/v1/messages", &message(&json!({"send_at": at}))).expect(202).json();
        let id = id["id"].as_str().unwrap().to_owned();
        server.stop();
        server.pass(Duration::from_hours(24));
        server.start_again();
        let mut http = server.http();
        http.sign_in(ALICE, PASSWORD);
        until(&http, &id, "held");
        server.pass(Duration::from_hours(24 * 5 + 1));
        until(&http, &id, "expired");
        let report = sink.wait_for_recipient(ALICE);
        assert!(report.text().contains("its time to be sent passed long ago"), "{}", report.text());
    }
}

#[test]
fn two_nodes_that_are_brought_the_same_at_once_make_one_message() {
    if !postgres_is_here("steering::two_nodes") {
        return;
    }
    let sink = Sink::start();
    let (server, http) = server(Engine::Postgres, &sink);
    let second = server.second();
    for round in 0..5 {
        let fields = format!("X-Posthouse-Idempotency-Key: round-{round}\r\n");
        let ids: Vec<String> = std::thread::scope(|scope| {
            let nodes = [&server, &second, &server, &second];
            let all: Vec<_> = nodes
                .map(|node| scope.spawn(|| id_of(&submit(node, &fields))))
                .into_iter()
                .collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }
    assert_eq!((found(&http, "").len(), credits(&http)), (5, 495));
}
