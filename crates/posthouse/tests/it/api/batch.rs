//! Many messages in one request, variables filled in, templates by name, and the rate that a caller has.

use serde_json::{Value, json};

use super::{faults, server, signed_in, with_key};
use crate::both_engines;
use crate::harness::http::Http;
use crate::harness::{PASSWORD, Posthouse, Sink};

const ALICE: &str = "alice@example.com";
const BATCH: &str = "/api/v1/messages/batch";
const TEMPLATES: &str = "/api/v1/templates";

fn message(n: usize, more: &Value) -> Value {
    let mut message = json!({
        "from": ALICE, "to": [format!("r{n}@example.net")], "subject": format!("number {n}"), "text": "Hello"
    });
    for (name, value) in more.as_object().unwrap() {
        message[name] = value.clone();
    }
    message
}

fn balance(http: &Http) -> Value {
    http.get("/api/v1/account").expect(200).json()["credits"].clone()
}

fn order() -> Value {
    json!({
        "name": "Order-Shipped", "subject": "Order {{order.number}}", "text": "Dear {{name}}, {{unsubscribe_url}}",
        "html": "<p>{{name}}</p>{% for item in order.items %}<li>{{item}}</li>{% endfor %}"
    })
}

both_engines! {
    fn a_misspelt_field_is_refused_and_nothing_is_sent(engine) {
        let server = server(engine);
        let alice = signed_in(&server, ALICE);
        let before = balance(&alice);
        for (name, value) in [("sandbx", json!(true)), ("reply to", json!("x")), ("sendAt", json!("2030-01-01T00:00:00Z")), ("Subject", json!("x"))] {
            let mut misspelt = message(1, &json!({}));
            misspelt[name] = value;
            let refused = alice.post("/api/v1/messages", &misspelt).expect(422).json();
            assert_eq!(refused["errors"][0]["field"], name);
            let batch = alice.post(BATCH, &json!({"messages": [misspelt]})).expect(200).json();
            assert_eq!(batch["results"][0]["problem"]["errors"][0]["field"], name, "{batch}");
        }
        alice.post(BATCH, &json!({"messages": [message(1, &json!({}))], "sandbox": true})).expect(422);
        let webhook = json!({"url": "https://example.com/", "events": ["bounced"]});
        alice.post("/api/v1/webhooks", &webhook).expect(422);
        assert_eq!(balance(&alice), before);
    }

    fn each_message_of_a_batch_is_accepted_or_refused_by_itself_and_in_order(engine) {
        let server = server(engine);
        let alice = signed_in(&server, ALICE);
        let mut messages: Vec<Value> = (0..50).map(|n| message(n, &json!({}))).collect();
        messages[7]["to"] = json!(["nobody"]);
        messages[8] = json!({"subject": 5});
        messages[9]["from"] = json!("bob@example.com");
        messages[10]["template"] = json!("no-such");
        messages[11]["subject"] = json!("x\r\nBcc: eve@example.org");
        let before = balance(&alice);
        let answer = alice.post(BATCH, &json!({"messages": messages})).expect(200).json();
        assert_eq!((&answer["accepted"], &answer["refused"]), (&json!(45), &json!(5)));
        let results = answer["results"].as_array().unwrap();
        assert_eq!(results.len(), 50);
        assert_eq!(results[7]["status"], 422);
        assert_eq!(faults(&results[7]["problem"]), ["to[0]"]);
        assert_eq!((&results[8]["status"], faults(&results[8]["problem"])), (&json!(422), vec!["subject"]));
        assert_eq!((&results[9]["status"], &results[9]["problem"]["type"]), (&json!(403), &json!("/problems/forbidden")));
        assert_eq!(faults(&results[11]["problem"]), ["subject"]);
        assert_eq!(faults(&results[10]["problem"]), ["template"]);
        for place in [0, 6, 12, 49] {
            assert_eq!(results[place]["status"], 202);
            let id = results[place]["id"].as_str().unwrap();
            let told = alice.get(&format!("/api/v1/messages/{id}")).expect(200).json();
            assert_eq!(told["subject"], format!("number {place}"));
        }
        assert_eq!(before.as_i64().unwrap() - balance(&alice).as_i64().unwrap(), 45);
    }

    fn a_batch_has_1_to_500_messages_and_takes_credits_as_far_as_they_go(engine) {
        let server = server(engine);
        let alice = signed_in(&server, ALICE);
        assert_eq!(faults(&alice.post(BATCH, &json!({"messages": []})).expect(422).json()), ["messages"]);
        let many = |count| json!({"messages": (0..count).map(|n| message(n, &json!({}))).collect::<Vec<_>>()});
        assert_eq!(faults(&alice.post(BATCH, &many(501)).expect(422).json()), ["messages"]);
        alice.post("/api/v1/messages", &message(0, &json!({}))).expect(202);
        let answer = alice.post(BATCH, &many(500)).expect(200).json();
        assert_eq!((&answer["accepted"], &answer["refused"]), (&json!(499), &json!(1)));
        let refused = answer["results"].as_array().unwrap().iter().find(|one| one["status"] != 202).unwrap();
        assert_eq!((&refused["status"], &refused["problem"]["type"]), (&json!(402), &json!("/problems/out-of-credits")));
        assert_eq!(balance(&alice), 0);
        let reader = with_key(&server, &alice, &["read"]);
        reader.post(BATCH, &many(1)).expect(403);
    }

    fn a_batch_sent_again_under_its_key_sends_nothing_twice(engine) {
        let server = server(engine);
        let mut alice = signed_in(&server, ALICE);
        alice.headers.push(("idempotency-key".to_owned(), "monday".to_owned()));
        let mut messages: Vec<Value> = (0..3).map(|n| message(n, &json!({}))).collect();
        messages[2]["idempotency_key"] = json!("its-own");
        let batch = json!({"messages": messages});
        let first = alice.post(BATCH, &batch).expect(200).json();
        assert_eq!(first["accepted"], 3);
        let before = balance(&alice);
        assert_eq!(alice.post(BATCH, &batch).expect(200).json(), first);
        assert_eq!(balance(&alice), before);
        messages[1]["text"] = json!("Something else");
        let third = alice.post(BATCH, &json!({"messages": messages})).expect(200).json();
        assert_eq!((&third["results"][1]["status"], &third["results"][1]["problem"]["type"]), (&json!(409), &json!("/problems/conflict")));
        assert_eq!(third["results"][2], first["results"][2]);
        alice.headers.clear();
        let fourth = alice.post(BATCH, &batch).expect(200).json();
        assert_ne!(fourth["results"][0], first["results"][0]);
        assert_eq!(fourth["results"][2], first["results"][2]);
    }

    fn variables_are_filled_in_and_a_missing_one_is_named(engine) {
        let sink = Sink::start();
        let server = Posthouse::on(engine).route_to(&sink).start();
        server.create_account(ALICE);
        let mut alice = server.http();
        alice.sign_in(ALICE, PASSWORD);
        let said = json!({
            "subject": "For {{name}}", "text": "Dear {{name}}", "html": "<b>{{name}}</b>", "data": {"name": "A & <B>"}
        });
        alice.post("/api/v1/messages", &message(1, &said)).expect(202);
        let got = String::from_utf8(sink.wait_for(1)[0].bytes.clone()).unwrap();
        assert!(got.contains("Subject: For A & <B>\r\n") && got.contains("Dear A & <B>"), "{got}");
        assert!(got.contains("<b>A &amp; &lt;B&gt;</b>"), "{got}");
        let mut missing = said.clone();
        missing["data"] = json!({});
        let refused = alice.post("/api/v1/messages", &message(1, &missing)).expect(422).json();
        assert_eq!(faults(&refused), ["subject", "text", "html"]);
        assert_eq!(refused["errors"][0]["message"], "`name` is not in `data` (line 1).");
        let mut evil = said.clone();
        evil["data"] = json!({"name": "x\r\nBcc: eve@example.org"});
        assert_eq!(faults(&alice.post("/api/v1/messages", &message(1, &evil)).expect(422).json()), ["subject"]);
        // What asks for nothing to be filled in is sent as it is.
        alice.post("/api/v1/messages", &message(1, &json!({"text": "{{name}}"}))).expect(202);
        let plain = String::from_utf8(sink.wait_for(2)[1].bytes.clone()).unwrap();
        assert!(plain.contains("{{name}}"), "{plain}");
    }

    fn a_template_is_made_changed_sent_by_its_name_and_deleted(engine) {
        let server = server(engine);
        let alice = signed_in(&server, ALICE);
        let bob = signed_in(&server, "bob@example.com");
        let made = alice.post(TEMPLATES, &order()).expect(201).json();
        assert_eq!(made["name"], "order-shipped");
        alice.post(TEMPLATES, &order()).expect(409);
        for (path, given) in [(TEMPLATES.to_owned(), json!({"name": "x"})), (format!("{TEMPLATES}/preview"), json!({}))] {
            for subject in [Value::Null, json!(5)] {
                let mut wrong = given.clone();
                if !subject.is_null() {
                    wrong["subject"] = subject;
                }
                assert_eq!(faults(&alice.post(&path, &wrong).expect(422).json()), ["subject"]);
            }
        }
        bob.get(&format!("{TEMPLATES}/order-shipped")).expect(404);
        assert_eq!(bob.get(TEMPLATES).expect(200).json()["items"], json!([]));
        let data = json!({"name": "A & B", "order": {"number": 4711, "items": ["x<y"]}});
        let by_name = json!({"from": ALICE, "to": ["zoe@example.net"], "template": "order-shipped", "data": data});
        let id = alice.post("/api/v1/messages", &by_name).expect(202).json()["id"].as_str().unwrap().to_owned();
        let content = alice.get(&format!("/api/v1/messages/{id}/content")).expect(200).json();
        assert!(content["text"].as_str().unwrap().starts_with("Dear A & B, "), "{content}");
        let html = alice.get(&format!("/api/v1/messages/{id}/html")).expect(200).text;
        assert!(html.contains("<p>A &amp; B</p><li>x&lt;y</li>"), "{html}");
        assert_eq!(alice.get(&format!("/api/v1/messages/{id}")).expect(200).json()["subject"], "Order 4711");
        let mut both = by_name.clone();
        both["subject"] = json!("mine");
        assert_eq!(faults(&alice.post("/api/v1/messages", &both).expect(422).json()), ["subject"]);
        let answer = bob.post(BATCH, &json!({"messages": [by_name]})).expect(200).json();
        assert_eq!(faults(&answer["results"][0]["problem"]), ["template"]);
        let path = format!("{TEMPLATES}/order-shipped");
        let bad = alice.request("PUT", &path, Some(&json!({"subject": "{{", "text": "x"}))).expect(422).json();
        assert_eq!(faults(&bad), ["subject"]);
        let changed = json!({"subject": "Changed", "text": "Hello {{name}}"});
        assert_eq!(alice.request("PUT", &path, Some(&changed)).expect(200).json()["html"], "");
        bob.request("PUT", &path, Some(&changed)).expect(404);
        let seen = json!({"subject": "s", "text": "Hello {{name}}", "data": {"name": "Zoe"}});
        assert_eq!(alice.post(&format!("{TEMPLATES}/preview"), &seen).expect(200).json()["text"], "Hello Zoe");
        // However its name is written it is the same one.
        let shouted = format!("{TEMPLATES}/Order-SHIPPED");
        assert_eq!(alice.get(&shouted).expect(200).json()["name"], "order-shipped");
        assert_eq!(alice.request("PUT", &shouted, Some(&changed)).expect(200).json()["name"], "order-shipped");
        alice.get(&format!("{TEMPLATES}/no%20name")).expect(404);
        let reader = with_key(&server, &alice, &["read"]);
        reader.get(&path).expect(200);
        reader.delete(&path).expect(403);
        alice.delete(&shouted).expect(204);
        alice.delete(&path).expect(404);
        let log = alice.get("/api/v1/account/audit").expect(200).json();
        let acts: Vec<&str> = log["items"].as_array().unwrap().iter().filter_map(|line| line["action"].as_str()).filter(|act| act.starts_with("template.")).collect();
        assert_eq!(acts, ["template.deleted", "template.changed", "template.changed", "template.created"]);
    }

    fn a_caller_is_told_its_rate_and_refused_beyond_it(engine) {
        let server = Posthouse::on(engine).set("http.requests_per_minute", "5").moving_clock().start();
        server.create_account(ALICE);
        let mut alice = server.http();
        alice.sign_in(ALICE, PASSWORD);
        let wait = 61 - server.now().as_micros() / 1_000_000 % 60;
        server.pass(std::time::Duration::from_secs(wait.unsigned_abs()));
        for left in (0..5).rev() {
            let answer = alice.get("/api/v1/account").expect(200);
            assert_eq!(answer.header("ratelimit-limit"), Some("5"));
            assert_eq!(answer.header("ratelimit-remaining"), Some(left.to_string().as_str()));
        }
        let refused = alice.get("/api/v1/account").expect(429);
        assert_eq!(refused.header("content-type"), Some("application/problem+json"));
        assert_eq!(refused.header("retry-after"), refused.header("ratelimit-reset"));
        assert_eq!(refused.json()["type"], "/problems/too-often");
        // A refusal of another kind, and somebody who brings nothing, are told as well.
        let nobody = server.http().get("/api/v1/no-such-thing").expect(404);
        assert_eq!(nobody.header("ratelimit-remaining"), Some("4"));
        server.pass(std::time::Duration::from_mins(1));
        alice.get("/api/v1/account").expect(200);
    }
}
