//! Receivers that are slow, broken or out for something internal, and URLs that lead there.

use std::time::Duration;

use serde_json::{Value, json};

use super::{ALICE, create, deliveries, delivery, send, server, signed_in, webhook};
use crate::both_engines;
use crate::harness::dns::Dns;
use crate::harness::sink::Arrived;
use crate::harness::tls::Identity;
use crate::harness::{PASSWORD, Posthouse, Receiver, Reply, Sink, eventually};

both_engines! {
    fn a_hostile_receiver_gets_its_record_and_harms_nobody_else(engine) {
        let receiver = Receiver::start();
        let (_server, http) = server(engine);
        let trap = Receiver::start();
        let hostile = [
            ("/silence", Reply::Silence, "no answer within 15 seconds"),
            ("/drip", Reply::Drip, "no answer within 15 seconds"),
            ("/close", Reply::Close, "connection"),
        ];
        let mut waiting = Vec::new();
        for (path, reply, says) in hostile {
            receiver.reply(path, reply);
            waiting.push((create(&http, &receiver.url(path), &["accepted"]).0, says));
        }
        receiver.reply("/endless", Reply::Endless);
        let (endless, _) = create(&http, &receiver.url("/endless"), &["accepted"]);
        receiver.reply("/redirect", Reply::Redirect(trap.url("/latest/meta-data/")));
        let (redirect, _) = create(&http, &receiver.url("/redirect"), &["accepted"]);
        let (good, _) = create(&http, &receiver.url("/good"), &["accepted"]);
        send(&http, "zoe@example.net");
        // While others hang, the good one is told, and told again.
        delivery(&http, &good, "accepted", |one| one["delivery"]["state"] == "delivered");
        send(&http, "yan@example.net");
        receiver.wait_for("/good", 2);
        // Without a redirect followed, without an answer swallowed whole.
        let redirected = delivery(&http, &redirect, "accepted", |one| one["attempts"][0].is_object());
        assert_eq!((&redirected["attempts"][0]["status"], trap.connections()), (&json!(302), 0));
        let endless = delivery(&http, &endless, "accepted", |one| one["attempts"][0].is_object());
        assert_eq!(endless["attempts"][0]["answer"].as_str().unwrap().len(), 1_024);
        for (id, says) in waiting {
            let failed = delivery(&http, &id, "accepted", |one| one["attempts"][0].is_object());
            let attempt = &failed["attempts"][0];
            assert!(attempt["status"].is_null() && attempt["problem"].as_str().unwrap().contains(says), "{attempt}");
        }
    }

    fn a_410_pauses_a_webhook_and_its_owner_hears_of_it(engine) {
        let (receiver, sink) = (Receiver::start(), Sink::start());
        receiver.reply("/gone", Reply::Status(410));
        let server = Posthouse::on(engine)
            .set("webhooks.allow_private", "true")
            .route_to(&sink)
            .start();
        server.create_account(ALICE);
        let http = signed_in(&server, ALICE);
        let (id, _) = create(&http, &receiver.url("/gone?token=secret"), &["accepted"]);
        let (again, _) = create(&http, &receiver.url("/gone"), &["accepted"]);
        send(&http, "zoe@example.net");
        eventually("the webhook is paused", || (webhook(&http, &again)["paused"] == "gone").then_some(()));
        delivery(&http, &again, "accepted", |one| one["delivery"]["state"] == "failed");
        // The other one's path was another: it got a 204.
        assert!(webhook(&http, &id)["paused"].is_null());
        let mail = eventually("the owner is written to", || {
            let arrived = sink.arrived();
            arrived.iter().map(Arrived::text).find(|text| text.contains("its receiver is gone"))
        });
        assert!(mail.contains(&format!("127.0.0.1:{}", receiver.port())), "{mail}");
        // What happens now is told nobody, and a test is all the same.
        send(&http, "zoe@example.net");
        let before = deliveries(&http, &again).len();
        http.post(&format!("/api/v1/webhooks/{again}/test"), &json!({})).expect(202);
        delivery(&http, &again, "test", |one| one["delivery"]["state"] == "failed");
        assert_eq!(deliveries(&http, &again).len(), before + 1);
        receiver.reply("/gone", Reply::Status(200));
        http.post(&format!("/api/v1/webhooks/{again}/resume"), &json!({})).expect(200);
        let calls = receiver.calls("/gone").len();
        send(&http, "zoe@example.net");
        receiver.wait_for("/gone", calls + 1);
    }

    fn a_week_of_nothing_but_failure_pauses_a_webhook(engine) {
        let receiver = Receiver::start();
        receiver.reply("/x", Reply::Status(503));
        let (server, http) = server(engine);
        let (id, _) = create(&http, &receiver.url("/x"), &["accepted"]);
        send(&http, "zoe@example.net");
        receiver.wait_for("/x", 1);
        eventually("it fails", || webhook(&http, &id)["failing_since"].is_string().then_some(()));
        server.pass(Duration::from_hours(6 * 24));
        send(&http, "zoe@example.net");
        // Its failure is on record, and a week is not over.
        eventually("both failures are on record", || {
            let tried = deliveries(&http, &id).iter().filter(|one| one["attempts"] != 0).count();
            (tried == 2).then_some(())
        });
        assert!(webhook(&http, &id)["paused"].is_null());
        server.pass(Duration::from_hours(25));
        send(&http, "zoe@example.net");
        eventually("the webhook is paused", || (webhook(&http, &id)["paused"] == "failing").then_some(()));
        let lines = http.get("/api/v1/account/audit?what=webhook").expect(200).json();
        assert_eq!(lines["items"][0]["action"], "webhook.paused", "{lines}");
    }

    fn nothing_internal_is_called_whatever_a_name_leads_to(engine) {
        let (receiver, dns) = (Receiver::start(), Dns::start());
        dns.address_of("inside.example", "127.0.0.1");
        dns.address_of("inside.example", "::1");
        dns.address_of("metadata.example", "169.254.169.254");
        dns.alias("alias.example", "inside.example");
        let server = Posthouse::on(engine)
            .set("delivery.resolver", &format!("[\"{}\"]", dns.address()))
            .start();
        server.create_account(ALICE);
        let http = signed_in(&server, ALICE);
        for url in [
            receiver.url("/x"),
            "https://127.0.0.1/".to_owned(),
            "https://169.254.169.254/latest/meta-data/".to_owned(),
            "https://[::ffff:10.0.0.1]/".to_owned(),
            "https://example.com:25/".to_owned(),
            "https://user:password@example.com/".to_owned(),
        ] {
            let refused = http.post("/api/v1/webhooks", &json!({"url": url})).expect(422).json();
            assert_eq!(refused["errors"][0]["field"], "url", "{url}");
        }
        for name in ["inside.example", "metadata.example", "alias.example"] {
            let (id, _) = create(&http, &format!("https://{name}:{}/", receiver.port()), &["accepted"]);
            http.post(&format!("/api/v1/webhooks/{id}/test"), &json!({})).expect(202);
            let refused = delivery(&http, &id, "test", |one| one["attempts"][0].is_object());
            let problem = refused["attempts"][0]["problem"].as_str().unwrap().to_owned();
            assert!(problem.contains("private addresses"), "{name}: {problem}");
        }
        assert_eq!(receiver.connections(), 0);
    }

    fn a_name_is_looked_up_once_for_an_attempt_and_what_was_judged_is_called(engine) {
        let (receiver, dns) = (Receiver::start(), Dns::start());
        dns.address_of("hooks.example", "127.0.0.1");
        let server = Posthouse::on(engine)
            .set("delivery.resolver", &format!("[\"{}\"]", dns.address()))
            .set("webhooks.allow_private", "true")
            // No proxy of the environment may look it up and call it instead.
            .environment("http_proxy", "http://127.0.0.1:9")
            .environment("ALL_PROXY", "http://127.0.0.1:9")
            .start();
        server.create_account(ALICE);
        let http = signed_in(&server, ALICE);
        let url = format!("http://hooks.example:{}/x", receiver.port());
        let (id, _) = create(&http, &url, &[]);
        http.post(&format!("/api/v1/webhooks/{id}/test"), &json!({})).expect(202);
        let call = &receiver.wait_for("/x", 1)[0];
        assert_eq!(call.header("host"), format!("hooks.example:{}", receiver.port()));
        // One question each for IPv4 and IPv6: an answer that changes meanwhile is asked for by nobody.
        let asked = dns.asked().into_iter().filter(|name| name.contains("hooks.example")).count();
        assert_eq!(asked, 2, "{:?}", dns.asked());
    }

    fn a_receiver_proves_by_its_certificate_who_it_is(engine) {
        let (dns, home) = (Dns::start(), tempfile::TempDir::new().unwrap());
        let identity = Identity::for_names(&["hooks.example"]);
        let receiver = Receiver::with_tls(&identity);
        dns.address_of("hooks.example", "127.0.0.1");
        dns.address_of("other.example", "127.0.0.1");
        let ca = home.path().join("ca.pem");
        std::fs::write(&ca, &identity.certificate_pem).unwrap();
        let server = Posthouse::on(engine)
            .set("delivery.resolver", &format!("[\"{}\"]", dns.address()))
            .set_path("delivery.ca_file", &ca)
            .set("webhooks.allow_private", "true")
            .start();
        server.create_account(ALICE);
        let http = signed_in(&server, ALICE);
        let test = |name: &str| {
            let url = format!("https://{name}:{}/x", receiver.port());
            let (id, _) = create(&http, &url, &[]);
            http.post(&format!("/api/v1/webhooks/{id}/test"), &json!({})).expect(202);
            delivery(&http, &id, "test", |one| one["attempts"][0].is_object())["attempts"][0].clone()
        };
        assert_eq!(test("hooks.example")["status"], 204);
        let refused = test("other.example");
        assert!(refused["problem"].as_str().unwrap().starts_with("TLS failed: "), "{refused}");
        assert_eq!(receiver.calls("/x").len(), 1);
    }

    fn webhooks_belong_to_their_account_and_to_whoever_looks_after_it(engine) {
        let receiver = Receiver::start();
        let (server, http) = server(engine);
        server.create_account("bob@example.com");
        let bob = signed_in(&server, "bob@example.com");
        let (id, secret) = create(&http, &receiver.url("/x"), &[]);
        send(&http, "zoe@example.net");
        let went = delivery(&http, &id, "accepted", |one| one["delivery"]["state"] == "delivered");
        let one = format!("/api/v1/webhooks/{id}");
        let path = format!("{one}/deliveries/{}", went["delivery"]["id"].as_str().unwrap());
        assert_eq!(bob.get("/api/v1/webhooks").expect(200).json()["items"], json!([]));
        for path in [&one, &format!("{one}/deliveries"), &path] {
            bob.get(path).expect(404);
        }
        for path in [format!("{one}/pause"), format!("{one}/secret"), format!("{one}/test"), format!("{path}/replay")] {
            bob.post(&path, &json!({})).expect(404);
        }
        bob.request("PATCH", &one, Some(&json!({"url": receiver.url("/bob")}))).expect(404);
        bob.delete(&one).expect(404);
        let range = json!({"since": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"});
        bob.post(&format!("{one}/replay"), &range).expect(404);
        assert_eq!(bob.get("/api/v1/events").expect(200).json()["items"], json!([]));
        // A webhook of Bob's is told nothing of Alice's mail.
        create(&bob, &receiver.url("/bob"), &[]);
        let hers = send(&http, "zoe@example.net");
        receiver.wait_for("/x", 4);
        let own = json!({"from": "bob@example.com", "to": ["bobs@example.net"], "subject": "Hello", "text": "Hello"});
        bob.post("/api/v1/messages", &own).expect(202);
        let told = receiver.wait_for("/bob", 2);
        let foreign = told.iter().filter(|call| call.body.contains(&hers)).count();
        assert_eq!((foreign, told.len()), (0, 2), "accepted and delivered, and both his own");
        // The secret is told once; what reads may look and no more.
        assert!(!http.get(&one).expect(200).text.contains(&secret));
        let made = http.post("/api/v1/keys", &json!({"name": "test", "scopes": ["read"]})).expect(201).json();
        let mut reader = server.http();
        reader.bearer = made["key"].as_str().map(str::to_owned);
        reader.get("/api/v1/webhooks").expect(200);
        reader.post("/api/v1/webhooks", &json!({"url": receiver.url("/x")})).expect(403);
        reader.post(&format!("{one}/secret"), &json!({})).expect(403);
        // A browser left open neither reads a new secret nor leads news elsewhere.
        server.pass(Duration::from_mins(11));
        http.post(&format!("{one}/secret"), &json!({})).expect(403);
        http.request("PATCH", &one, Some(&json!({"url": receiver.url("/eve")}))).expect(403);
        let mut http = server.http();
        http.sign_in(ALICE, PASSWORD);
        for _ in 1..20 {
            create(&http, &receiver.url("/x"), &[]);
        }
        http.post("/api/v1/webhooks", &json!({"url": receiver.url("/x")})).expect(409);
        http.delete(&one).expect(204);
        let lines = http.get("/api/v1/account/audit?what=webhook").expect(200).json();
        let actions: Vec<&Value> = lines["items"].as_array().unwrap().iter().map(|line| &line["action"]).collect();
        assert_eq!(actions[0], "webhook.deleted");
        assert!(!lines.to_string().contains("whsec_"));
    }
}
