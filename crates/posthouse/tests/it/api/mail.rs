//! Sending, what became of it, the local inbox.

use serde_json::{Value, json};

use super::{faults, send, server, signed_in};
use crate::both_engines;
use crate::harness::http::Http;
use crate::harness::{Act, PASSWORD, Posthouse, Sink, Verb, eventually};

/// The message once its only recipient is in this state.
fn settled(http: &Http, id: &str, state: &str) -> Value {
    eventually(&format!("the recipient is {state}"), || {
        let message = http.get(&format!("/api/v1/messages/{id}")).expect(200).json();
        (message["recipients"][0]["state"] == state).then_some(message)
    })
}

both_engines! {
    fn a_message_sent_by_the_api_is_delivered_and_told_about(engine) {
        let server = server(engine);
        let alice = signed_in(&server, "alice@example.com");
        let message = json!({
            "from": "Alice <alice@example.com>", "to": ["Bob <bob@example.net>"], "cc": ["carol@example.net"],
            "bcc": ["dan@example.net"], "reply_to": "desk@example.com", "subject": "Grüße", "text": "plain",
            "html": "<p>rich<script>alert(1)</script></p>", "headers": {"X-Order": "4711"},
            "attachments": [{"name": "a.txt", "content_type": "text/plain", "content": "aGVsbG8="}]
        });
        let accepted = alice.post("/api/v1/messages", &message).expect(202).json();
        assert_eq!(accepted["recipients"], 3);
        let id = accepted["id"].as_str().unwrap();
        let told = eventually("all are delivered", || {
            let told = alice.get(&format!("/api/v1/messages/{id}")).expect(200).json();
            (told["states"] == json!({"delivered": 3})).then_some(told)
        });
        assert_eq!(told["subject"], "Grüße");
        assert_eq!(told["from"], "alice@example.com");
        assert_eq!(told["reverse_path"], "alice@example.com");
        assert_eq!((&told["origin"]["via"], &told["origin"]["login"]), (&json!("api"), &json!("alice@example.com")));
        assert_eq!(told["recipients"][0]["attempts"][0]["outcome"], "delivered");
        assert!(told["events"].as_array().unwrap().iter().any(|event| event["kind"] == "accepted"));
        assert_eq!(told["content_available"], true);

        let content = alice.get(&format!("/api/v1/messages/{id}/content")).expect(200).json();
        assert_eq!((&content["text"], &content["html"]), (&json!("plain"), &json!(true)));
        assert_eq!(content["attachments"], json!([{"name": "a.txt", "content_type": "text/plain", "size": 5}]));
        let source = alice.get(&format!("/api/v1/messages/{id}/source")).expect(200);
        assert_eq!(source.header("content-type"), Some("text/plain; charset=utf-8"));
        assert!(source.text.contains("X-Order: 4711") && !source.text.contains("dan@example.net"), "{}", source.text);
        let html = alice.get(&format!("/api/v1/messages/{id}/html")).expect(200);
        let csp = html.header("content-security-policy").unwrap();
        assert!(csp.starts_with("sandbox; default-src 'none'") && csp.contains("frame-ancestors 'self'"), "{csp}");

        let account = alice.get("/api/v1/account").expect(200).json();
        assert_eq!(account["credits"], 497);
    }

    fn the_inbox_keeps_what_was_not_to_leave(engine) {
        let server = server(engine);
        let alice = signed_in(&server, "alice@example.com");
        let operator = signed_in(&server, "ops@example.com");
        for subject in ["one", "two", "three"] {
            let id = send(&alice, "alice@example.com", subject);
            settled(&alice, &id, "delivered");
        }
        let page = alice.get("/api/v1/inbox?limit=2").expect(200).json();
        let subjects = |page: &Value| -> Vec<String> {
            page["items"].as_array().unwrap().iter().map(|item| item["subject"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(subjects(&page), ["three", "two"]);
        let next = alice.get(&format!("/api/v1/inbox?limit=2&after={}", page["next"].as_str().unwrap())).expect(200).json();
        assert_eq!((subjects(&next), &next["next"]), (vec!["one".to_owned()], &Value::Null));
        assert_eq!(subjects(&alice.get("/api/v1/inbox?q=TW").expect(200).json()), ["two"]);
        let item = page["items"][0]["id"].as_str().unwrap();
        let bob = signed_in(&server, "bob@example.com");
        for part in ["content", "source", "html"] {
            alice.get(&format!("/api/v1/inbox/{item}/{part}")).expect(200);
            operator.get(&format!("/api/v1/inbox/{item}/{part}")).expect(200);
            bob.get(&format!("/api/v1/inbox/{item}/{part}")).expect(404);
        }
        bob.delete("/api/v1/inbox").expect(204);
        assert_eq!(subjects(&operator.get("/api/v1/inbox").expect(200).json()).len(), 3);
        alice.delete("/api/v1/inbox").expect(204);
        assert!(subjects(&operator.get("/api/v1/inbox").expect(200).json()).is_empty());
    }

    fn lists_are_searched_filtered_and_paged(engine) {
        let server = server(engine);
        let alice = signed_in(&server, "alice@example.com");
        let ids: Vec<String> = ["red", "green", "blue"].map(|s| send(&alice, "alice@example.com", s)).to_vec();
        for id in &ids {
            settled(&alice, id, "delivered");
        }
        let found = |query: &str| -> Vec<String> {
            let page = alice.get(&format!("/api/v1/messages{query}")).expect(200).json();
            page["items"].as_array().unwrap().iter().map(|item| item["subject"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(found(""), ["blue", "green", "red"]);
        assert_eq!(found("?sort=oldest"), ["red", "green", "blue"]);
        assert_eq!(found("?q=GREE"), ["green"]);
        assert_eq!(found("?q=zoe@example.net&limit=1"), ["blue"]);
        assert_eq!(found(&format!("?q={}", ids[0])), ["red"]);
        assert_eq!(found(&format!("?after={}", ids[2])), ["green", "red"]);
        assert_eq!(found("?state=delivered").len(), 3);
        assert_eq!(found("?state=bounced").len(), 0);
        assert_eq!(found("?since=2099-01-01T00:00:00Z").len(), 0);
        assert_eq!(found("?until=2099-01-01T00:00:00Z").len(), 3);
        for bad in ["limit=0", "limit=1000", "state=lost", "since=yesterday", "after=x", "sort=sideways", "limit=many", "tag=a&tag=b"] {
            let refused = alice.get(&format!("/api/v1/messages?{bad}")).expect(422).json();
            assert_eq!(faults(&refused), [bad.split('=').next().unwrap()]);
        }
        alice.get("/api/v1/messages/not-an-id").expect(404);
    }

    fn a_bad_message_is_refused_with_every_fault(engine) {
        let server = server(engine);
        let alice = signed_in(&server, "alice@example.com");
        let good = json!({"from": "alice@example.com", "to": ["zoe@example.net"], "subject": "s", "text": "t"});
        let with = |field: &str, value: Value| {
            let mut message = good.clone();
            message[field] = value;
            let refused = alice.post("/api/v1/messages", &message).expect(422).json();
            faults(&refused).into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(with("subject", json!("s\r\nBcc: eve@example.org")), ["subject"]);
        assert_eq!(with("to", json!(["a@b.example", "nobody"])), ["to[1]"]);
        assert_eq!(with("to", json!([])), ["to"]);
        assert_eq!(with("headers", json!({"X-A": "b\nc"})), ["headers"]);
        assert_eq!(with("headers", json!({"Bcc": "eve@example.org"})), ["headers"]);
        assert_eq!(with("reply_to", json!("a@b.example\r\nX: y")), ["reply_to"]);
        let many: Vec<String> = (0..1_001).map(|n| format!("r{n}@example.net")).collect();
        assert_eq!(with("to", json!(many)), ["to"]);
        let bare = alice.post("/api/v1/messages", &json!({"from": "alice@example.com"})).expect(422).json();
        assert_eq!(faults(&bare), ["subject"]);
        let nothing = alice.get("/api/v1/messages").expect(200).json();
        assert_eq!(nothing["items"], json!([]));
        assert_eq!(alice.get("/api/v1/account").expect(200).json()["credits"], 500);
    }

    fn what_waits_can_be_tried_again_and_given_up(engine) {
        let sink = Sink::start();
        sink.always(Verb::Rcpt, "", Act::reply("451 4.2.1 Not now"));
        let server = Posthouse::on(engine).route_to(&sink).start();
        server.create_account("alice@example.com");
        let alice = signed_in(&server, "alice@example.com");
        let id = send(&alice, "alice@example.com", "patience");
        let waiting = settled(&alice, &id, "deferred");
        let recipient = &waiting["recipients"][0];
        assert!(recipient["next_at"].is_string() && recipient["explanation"].is_string(), "{recipient}");
        assert_eq!(recipient["attempts"][0]["code"], 451);
        assert_eq!(recipient["attempts"][0]["enhanced"], "4.2.1");
        alice.post(&format!("/api/v1/messages/{id}/retry"), &json!({})).expect(204);
        eventually("it is tried again", || {
            let told = alice.get(&format!("/api/v1/messages/{id}")).expect(200).json();
            (told["recipients"][0]["attempts"].as_array().unwrap().len() > 1).then_some(())
        });
        sink.relent();
        alice.post(&format!("/api/v1/messages/{id}/recipients/0/retry"), &json!({})).expect(204);
        settled(&alice, &id, "delivered");
        alice.post(&format!("/api/v1/messages/{id}/cancel"), &json!({})).expect(409);
        alice.post(&format!("/api/v1/messages/{id}/recipients/7/cancel"), &json!({})).expect(404);

        sink.always(Verb::Rcpt, "", Act::reply("451 4.2.1 Not now"));
        for action in ["cancel", "recipients/0/cancel"] {
            let id = send(&alice, "alice@example.com", action);
            settled(&alice, &id, "deferred");
            alice.post(&format!("/api/v1/messages/{id}/{action}"), &json!({})).expect(204);
            settled(&alice, &id, "cancelled");
        }
    }

    fn an_account_without_credits_or_suspended_cannot_send(engine) {
        let server = server(engine);
        let operator = signed_in(&server, "ops@example.com");
        let wanted = json!({"email": "poor@example.com", "password": PASSWORD, "credits": 1});
        let poor = operator.post("/api/v1/accounts", &wanted).expect(201).json();
        let http = signed_in(&server, "poor@example.com");
        let message = json!({"from": "poor@example.com", "to": ["zoe@example.net"], "subject": "s", "text": "t"});
        http.post("/api/v1/messages", &message).expect(202);
        http.post("/api/v1/messages", &message).expect(402);
        let id = poor["id"].as_str().unwrap();
        operator.post(&format!("/api/v1/accounts/{id}/credits"), &json!({"amount": 5, "reason": "gift"})).expect(200);
        operator.post(&format!("/api/v1/accounts/{id}/suspend"), &json!({"reason": "Write to us."})).expect(200);
        let refused = http.post("/api/v1/messages", &message).expect(403).json();
        assert!(refused["detail"].as_str().unwrap().contains("Write to us."), "{refused}");
        operator.post(&format!("/api/v1/accounts/{id}/resume"), &json!({})).expect(200);
        http.post("/api/v1/messages", &message).expect(202);
    }
}
