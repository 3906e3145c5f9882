//! What only operators do: accounts, IP ranges, the queue.

use serde_json::{Value, json};

use super::{faults, send, server, signed_in, with_key};
use crate::both_engines;
use crate::harness::{Act, PASSWORD, Posthouse, Sink, Smtp, Verb, eventually};

both_engines! {
    fn no_key_lets_a_range_send_as_another_account(engine) {
        let server = server(engine);
        let ops = signed_in(&server, "ops@example.com");
        let range = |login: &str, range: &str| json!({"account_email": login, "range": range});
        let whole = ["send", "messages", "domains", "account", "operator"];
        for scopes in [&["operator"][..], &whole] {
            let key = with_key(&server, &ops, scopes);
            key.post("/api/v1/credentials", &range("alice@example.com", "192.0.2.7")).expect(403);
        }
        let own = range("ops@example.com", "192.0.2.7");
        with_key(&server, &ops, &["operator"]).post("/api/v1/credentials", &own).expect(403);
        with_key(&server, &ops, &["operator", "account"]).post("/api/v1/credentials", &own).expect(201);
        with_key(&server, &ops, &["account"]).get("/api/v1/credentials").expect(403);
        ops.post("/api/v1/credentials", &range("alice@example.com", "192.0.2.8")).expect(201);
    }

    fn accounts_are_made_found_and_given_credits(engine) {
        let server = server(engine);
        let operator = signed_in(&server, "ops@example.com");
        let wanted = json!({"email": "Carol@example.com", "password": PASSWORD, "credits": 10});
        let carol = operator.post("/api/v1/accounts", &wanted).expect(201).json();
        operator.post("/api/v1/accounts", &wanted).expect(409);
        let bad = json!({"email": "carol", "password": PASSWORD});
        assert_eq!(faults(&operator.post("/api/v1/accounts", &bad).expect(422).json()), ["email"]);
        let path = format!("/api/v1/accounts/{}", carol["id"].as_str().unwrap());
        let granted = operator.post(&format!("{path}/credits"), &json!({"amount": 90, "reason": "pack"})).expect(200);
        assert_eq!(granted.json()["credits"], 100);
        let below = operator.post(&format!("{path}/credits"), &json!({"amount": -101, "reason": "x"})).expect(422).json();
        assert_eq!(faults(&below), ["amount"]);
        let names = |query: &str| -> Vec<String> {
            let page = operator.get(&format!("/api/v1/accounts{query}")).expect(200).json();
            page["items"].as_array().unwrap().iter().map(|a| a["name"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names("?q=carol"), ["Carol@example.com"]);
        assert_eq!(names("?sort=oldest&limit=1"), ["ops@example.com"]);
        operator.post(&format!("{path}/suspend"), &json!({"reason": "unpaid"})).expect(200);
        assert_eq!(names("?state=suspended"), ["Carol@example.com"]);
        assert_eq!(operator.get(&path).expect(200).json()["state_reason"], "unpaid");
        operator.post(&format!("{path}/resume"), &json!({})).expect(200);
        assert!(names("?state=suspended").is_empty());
        let own = operator.get("/api/v1/account").expect(200).json();
        let own = format!("/api/v1/accounts/{}", own["id"].as_str().unwrap());
        operator.post(&format!("{own}/suspend"), &json!({"reason": "oops"})).expect(409);
        operator.post(&format!("{own}/credits"), &json!({"amount": 1, "reason": "x"})).expect(409);
        let message = send(&signed_in(&server, "alice@example.com"), "alice@example.com", "seen by the operator");
        let all = operator.get("/api/v1/messages?all=true").expect(200).json();
        assert_eq!(all["items"][0]["account"], "alice@example.com");
        operator.get(&format!("/api/v1/messages/{message}")).expect(200);
    }

    fn an_operator_who_reads_a_message_of_another_account_leaves_a_trace(engine) {
        let server = server(engine);
        let (operator, alice) = (signed_in(&server, "ops@example.com"), signed_in(&server, "alice@example.com"));
        let message = send(&alice, "alice@example.com", "between us");
        let readings = || -> Vec<Value> {
            let is_reading = |line: &Value| line["message"] == "an operator read a message of another account";
            server.log().into_iter().filter(is_reading).collect()
        };
        // The owner's own looking is nobody's business, and a page without the content is no reading.
        alice.get(&format!("/api/v1/messages/{message}/source")).expect(200);
        operator.get(&format!("/api/v1/messages/{message}")).expect(200);
        assert!(readings().is_empty());
        for (nth, part) in ["content", "source", "html"].into_iter().enumerate() {
            operator.get(&format!("/api/v1/messages/{message}/{part}")).expect(200);
            let reading = eventually("a reading in the log", || readings().get(nth).cloned());
            assert_eq!(reading["id"], message.as_str());
            assert_eq!(reading["login"].as_str().map(str::len), Some(message.len()), "{reading}");
        }
        assert_eq!(readings().len(), 3);
    }

    fn an_ip_range_sends_without_a_password_until_it_is_shut_out(engine) {
        let server = server(engine);
        let operator = signed_in(&server, "ops@example.com");
        let bad = json!({"account_email": "alice@example.com", "range": "0.0.0.0/0"});
        assert_eq!(faults(&operator.post("/api/v1/credentials", &bad).expect(422).json()), ["range"]);
        let bad = json!({"account_email": "nobody@example.com", "range": "127.0.0.0/8"});
        assert_eq!(faults(&operator.post("/api/v1/credentials", &bad).expect(422).json()), ["account_email"]);
        let wanted = json!({"account_email": "alice@example.com", "range": "127.0.0.0/8", "name": "lab"});
        let made = operator.post("/api/v1/credentials", &wanted).expect(201).json();
        operator.post("/api/v1/credentials", &wanted).expect(409);
        let mut smtp = Smtp::connect(server.address("submission"));
        smtp.reply().expect("220");
        smtp.ehlo().expect("250");
        smtp.mail("alice@example.com").expect("250 2.1.0");
        let listed = operator.get("/api/v1/credentials").expect(200).json();
        assert_eq!(listed["items"][0]["account_email"], "alice@example.com");
        operator.delete(&format!("/api/v1/credentials/{}", made["id"].as_str().unwrap())).expect(204);
        operator.delete(&format!("/api/v1/credentials/{}", made["id"].as_str().unwrap())).expect(404);
        assert_eq!(operator.get("/api/v1/credentials").expect(200).json()["items"], json!([]));
    }

    fn a_lane_is_paused_resumed_and_tried(engine) {
        let sink = Sink::start();
        sink.always(Verb::Rcpt, "", Act::reply("451 4.2.1 Not now"));
        let server = Posthouse::on(engine).route_to(&sink).start();
        server.cli(&["account", "create", "ops@example.com", "--operator", "--password-stdin"], PASSWORD);
        let operator = signed_in(&server, "ops@example.com");
        send(&operator, "ops@example.com", "waits");
        let lane = eventually("the lane says what it heard", || {
            let queue = operator.get("/api/v1/queue").expect(200).json();
            let lane = queue["lanes"].as_array().unwrap().iter().find(|lane| lane["last_reply"].is_string())?.clone();
            Some(lane)
        });
        assert!(lane["last_reply"].as_str().unwrap().contains("Not now"), "{lane}");
        let which = json!({"lane": lane["lane"]});
        let paused = || -> Value {
            let queue = operator.get("/api/v1/queue").expect(200).json();
            let lanes = queue["lanes"].as_array().unwrap().clone();
            lanes.into_iter().find(|one| one["lane"] == which["lane"]).map_or(Value::Null, |lane| lane["paused"].clone())
        };
        operator.post("/api/v1/queue/pause", &which).expect(204);
        eventually("the lane rests", || (paused() == true).then_some(()));
        operator.post("/api/v1/queue/resume", &which).expect(204);
        operator.post("/api/v1/queue/resume", &which).expect(409);
        eventually("the lane goes on", || (paused() == false).then_some(()));
        sink.relent();
        // An attempt that was on the wire when the sink relented waits again: ask until it is through.
        eventually("the mail arrives", || {
            operator.post("/api/v1/queue/retry", &which).expect(204);
            (!sink.arrived().is_empty()).then_some(())
        });
        assert_eq!(faults(&operator.post("/api/v1/queue/pause", &json!({"lane": ""})).expect(422).json()), ["lane"]);
    }
}
