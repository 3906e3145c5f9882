//! Webhooks: what happens is told to receivers, signed, again and again until they take it; and no receiver harms anybody else.

mod events;
mod hostile;
mod nodes;

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::both_engines;
use crate::harness::http::Http;
use crate::harness::receiver::Call;
use crate::harness::{Engine, PASSWORD, Posthouse, Receiver, Reply, eventually, ports};

const ALICE: &str = "alice@example.com";
const DAY: Duration = Duration::from_hours(24);

/// A server that may call loopback, with an account and its client.
fn server(engine: Engine) -> (Posthouse, Http) {
    let server = Posthouse::on(engine)
        .environment("POSTHOUSE__WEBHOOKS__ALLOW_PRIVATE", "true")
        .moving_clock()
        .start();
    server.create_account(ALICE);
    let http = signed_in(&server, ALICE);
    (server, http)
}

fn signed_in(server: &Posthouse, email: &str) -> Http {
    let mut http = server.http();
    http.sign_in(email, PASSWORD);
    http
}

/// Makes a webhook; its id and its secret.
fn create(http: &Http, url: &str, types: &[&str]) -> (String, String) {
    let made = http
        .post("/api/v1/webhooks", &json!({"url": url, "types": types}))
        .expect(201)
        .json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&made["webhook"]["id"]), text(&made["secret"]))
}

fn send(http: &Http, to: &str) -> String {
    let message = json!({"from": ALICE, "to": [to], "subject": "Hello", "text": "Hello"});
    let sent = http.post("/api/v1/messages", &message).expect(202).json();
    sent["id"].as_str().unwrap().to_owned()
}

fn webhook(http: &Http, id: &str) -> Value {
    http.get(&format!("/api/v1/webhooks/{id}")).expect(200).json()
}

fn deliveries(http: &Http, id: &str) -> Vec<Value> {
    let page = http
        .get(&format!("/api/v1/webhooks/{id}/deliveries"))
        .expect(200)
        .json();
    page["items"].as_array().unwrap().clone()
}

/// The first delivery of this kind with its attempts, once it satisfies `wanted`.
#[track_caller]
fn delivery(http: &Http, id: &str, kind: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    eventually(&format!("a delivery of {kind}"), || {
        let found = deliveries(http, id).into_iter().find(|one| one["type"] == kind)?;
        let path = format!(
            "/api/v1/webhooks/{id}/deliveries/{}",
            found["id"].as_str().unwrap()
        );
        Some(http.get(&path).expect(200).json()).filter(&wanted)
    })
}

/// What the library of Standard Webhooks says of a call: its payload, or why it is refused.
pub fn verified(call: &Call, secret: &str) -> Result<Value, String> {
    let headers =
        ["webhook-id", "webhook-timestamp", "webhook-signature"].map(|name| (name, call.header(name)));
    let headers: std::collections::BTreeMap<_, _> = headers.into();
    let input = json!({"secret": secret, "headers": headers, "body": call.body}).to_string();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/verify_webhook.js");
    let mut child = Command::new("node")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).unwrap())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

both_engines! {
    fn what_happens_is_told_with_a_signature_that_the_official_library_takes(engine) {
        let receiver = Receiver::start();
        receiver.reply("/all", Reply::Says(200, "thank you".to_owned()));
        let (_server, http) = server(engine);
        let (id, secret) = create(&http, &receiver.url("/all"), &[]);
        let (bounces, _) = create(&http, &receiver.url("/bounces"), &["bounced"]);
        let message = send(&http, "zoe@example.net");
        let calls = receiver.wait_for("/all", 2);
        for call in &calls {
            assert_eq!(verified(call, &secret).unwrap(), call.json());
            let mut other = call.clone();
            other.body = other.body.replace("zoe", "eve").replace("accepted", "delivered");
            assert!(verified(&other, &secret).unwrap_err().contains("No matching signature"), "{}", other.body);
            assert_eq!(call.header("content-type"), "application/json");
            assert!(call.header("user-agent").starts_with("Posthouse/"));
        }
        let delivered = calls.iter().find(|call| call.kind() == "delivered").unwrap();
        let told = delivered.json();
        assert_eq!(told["data"]["recipient"], "zoe@example.net");
        assert_eq!(told["data"]["message"], message.as_str());
        assert!(told["timestamp"].as_str().unwrap().ends_with('Z'));
        // The API tells the same, and under the same name.
        let log = http.get("/api/v1/events?type=delivered").expect(200).json();
        let event = &log["items"][0];
        assert_eq!(event["data"], told["data"]);
        assert_eq!(delivered.header("webhook-id"), format!("evt_{}", event["id"].as_str().unwrap()));
        // And how it went is on record.
        let went = delivery(&http, &id, "delivered", |one| one["delivery"]["state"] == "delivered");
        let attempt = &went["attempts"][0];
        assert_eq!((&attempt["status"], &attempt["answer"], &attempt["number"]), (&json!(200), &json!("thank you"), &json!(1)));
        assert_eq!(went["payload"], delivered.body.as_str());
        // What both are told is written together.
        assert!(deliveries(&http, &bounces).is_empty());
    }

    fn a_new_secret_and_the_one_before_both_sign_for_a_day(engine) {
        let receiver = Receiver::start();
        let (server, http) = server(engine);
        let (id, old) = create(&http, &receiver.url("/x"), &["accepted"]);
        let rotated = http.post(&format!("/api/v1/webhooks/{id}/secret"), &json!({})).expect(200).json();
        let new = rotated["secret"].as_str().unwrap();
        assert!(rotated["webhook"]["old_secret_until"].is_string());
        send(&http, "zoe@example.net");
        let call = &receiver.wait_for("/x", 1)[0];
        assert_eq!(call.header("webhook-signature").split(' ').count(), 2);
        assert!(verified(call, &old).is_ok() && verified(call, new).is_ok());
        server.pass(DAY + Duration::from_mins(1));
        send(&http, "zoe@example.net");
        let call = &receiver.wait_for("/x", 2)[1];
        assert_eq!(call.header("webhook-signature").split(' ').count(), 1);
        assert!(!webhook(&http, &id)["old_secret_until"].is_string());
    }

    fn a_failure_is_tried_again_for_a_day_under_the_same_name_and_can_be_replayed(engine) {
        let receiver = Receiver::start();
        receiver.reply("/x", Reply::Says(500, "broken".to_owned()));
        let (server, http) = server(engine);
        let (id, _) = create(&http, &receiver.url("/x"), &["accepted"]);
        let begin = server.now();
        send(&http, "zoe@example.net");
        let first = receiver.wait_for("/x", 1)[0].clone();
        let waits = delivery(&http, &id, "accepted", |one| one["attempts"][0].is_object());
        assert_eq!((&waits["delivery"]["state"], &waits["attempts"][0]["answer"]), (&json!("waiting"), &json!("broken")));
        assert!(webhook(&http, &id)["failing_since"].is_string());
        for count in 2..=20 {
            server.pass(Duration::from_hours(8));
            let state = delivery(&http, &id, "accepted", |one| {
                one["delivery"]["state"] == "failed" || one["attempts"].as_array().unwrap().len() >= count
            });
            if state["delivery"]["state"] == "failed" {
                break;
            }
        }
        let failed = delivery(&http, &id, "accepted", |one| one["delivery"]["state"] == "failed");
        let path = format!("/api/v1/webhooks/{id}/deliveries/{}/replay", failed["delivery"]["id"].as_str().unwrap());
        let tried = receiver.calls("/x");
        assert!(tried.len() >= 3 && tried.iter().all(|call| call.header("webhook-id") == first.header("webhook-id")));
        receiver.reply("/x", Reply::Status(204));
        http.post(&path, &json!({})).expect(202);
        receiver.wait_for("/x", tried.len() + 1);
        delivery(&http, &id, "accepted", |one| one["delivery"]["state"] == "delivered");
        assert!(webhook(&http, &id)["failing_since"].is_null());
        // A range is read from the log: whatever the webhook would be told of it now.
        let range = json!({"since": begin.rfc3339(), "until": server.now().rfc3339()});
        let replayed = http.post(&format!("/api/v1/webhooks/{id}/replay"), &range).expect(202).json();
        assert_eq!(replayed, json!({"queued": 1, "next": null}));
        let again = receiver.wait_for("/x", tried.len() + 2);
        assert_eq!(again.last().unwrap().body, first.body);
        assert_eq!(again.last().unwrap().header("webhook-id"), first.header("webhook-id"));
    }
}

#[test]
fn the_receiver_of_the_help_page_takes_what_is_signed_and_nothing_else() {
    let (server, http) = server(Engine::Sqlite);
    let page = server.http().get("/en/help/webhooks").expect(200).text;
    let code = page
        .split("<code>")
        .find(|code| code.contains("import base64"))
        .unwrap();
    let code = code.split("</code>").next().unwrap();
    let port = ports::free().port();
    let url = format!("http://127.0.0.1:{port}/");
    let (id, secret) = create(&http, &url, &["delivered"]);
    let (wrong, _) = create(&http, &url, &["delivered"]);
    let code = crate::site::unescaped(code)
        .replace("whsec_your_secret", &secret)
        .replace("8099", &port.to_string());
    let said = tempfile::NamedTempFile::new().unwrap();
    let mut python = Command::new("/usr/bin/python3")
        .args(["-c", &code])
        .stdout(said.reopen().unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the receiver listens", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).ok()
    });
    send(&http, "zoe@example.net");
    let went = delivery(&http, &id, "delivered", |one| one["attempts"][0].is_object());
    let refused = delivery(&http, &wrong, "delivered", |one| one["attempts"][0].is_object());
    // It answers before it says what it took.
    let said = || std::fs::read_to_string(said.path()).unwrap();
    eventually("the receiver says what it took", || {
        said().ends_with('\n').then_some(())
    });
    let _ = python.kill();
    python.wait().unwrap();
    assert_eq!(
        (&went["attempts"][0]["status"], &refused["attempts"][0]["status"]),
        (&json!(204), &json!(401))
    );
    assert_eq!(said().trim(), "delivered zoe@example.net");
}
