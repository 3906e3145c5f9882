//! What an account does with its own: settings, password strength, sending domains.

use serde_json::{Value, json};

use super::{faults, send, server, signed_in};
use crate::both_engines;
use crate::harness::dns::Dns;
use crate::harness::{Posthouse, Sink};

both_engines! {
    fn the_smtp_settings_are_those_of_this_server(engine) {
        let server = server(engine);
        let alice = signed_in(&server, "alice@example.com");
        let settings = alice.get("/api/v1/settings/smtp").expect(200).json();
        assert_eq!((&settings["hostname"], &settings["username"]), (&json!("mail.example.com"), &json!("alice@example.com")));
        let ports = json!([
            {"port": server.address("submission").port(), "security": "starttls"},
            {"port": server.address("submissions").port(), "security": "tls"}
        ]);
        assert_eq!(settings["ports"], ports);
        assert_eq!(settings["senders"], json!(["alice@example.com"]));
        assert_eq!(settings["certificate"]["self_signed"], true);
    }

    fn a_domain_is_verified_by_what_dns_says(engine) {
        let (dns, sink) = (Dns::start(), Sink::start());
        let server = Posthouse::on(engine).resolve_with(&dns, sink.address().port()).start();
        server.create_account("alice@example.com");
        let alice = signed_in(&server, "alice@example.com");
        let domain = alice.post("/api/v1/domains", &json!({"name": "Shop.Example"})).expect(201).json();
        assert_eq!((&domain["name"], &domain["state"]), (&json!("shop.example"), &json!("pending")));
        let path = format!("/api/v1/domains/{}", domain["id"].as_str().unwrap());
        let message = json!({"from": "info@shop.example", "to": ["zoe@example.net"], "subject": "s", "text": "t"});
        alice.post("/api/v1/messages", &message).expect(403);
        let checked = alice.post(&format!("{path}/check"), &json!({})).expect(200).json();
        assert_eq!(checked["state"], "pending");
        let record = |domain: &Value, purpose: &str| -> Value {
            domain["records"].as_array().unwrap().iter().find(|r| r["purpose"] == purpose).unwrap().clone()
        };
        let missing = record(&checked, "dkim_rsa");
        assert_eq!(missing["ok"], false);
        assert!(missing["problem"].as_str().unwrap().contains("no TXT record"), "{missing}");
        let ed25519 = record(&checked, "dkim_ed25519");
        dns.txt(ed25519["name"].as_str().unwrap(), ed25519["value"].as_str().unwrap());
        let checked = alice.post(&format!("{path}/check"), &json!({})).expect(200).json();
        assert_eq!((&checked["state"], &checked["verified_by"]), (&json!("verified"), &json!("dns")));
        assert_eq!(record(&checked, "dkim_ed25519")["ok"], true);
        alice.post("/api/v1/messages", &message).expect(202);
        assert_eq!(alice.get("/api/v1/domains").expect(200).json()["items"][0]["id"], domain["id"]);
        let twice = alice.post("/api/v1/domains", &json!({"name": "shop.example"}));
        twice.expect(409);
        alice.delete(&path).expect(204);
        alice.get(&path).expect(404);
        alice.post("/api/v1/messages", &message).expect(403);
        let refused = alice.post("/api/v1/domains", &json!({"name": "localhost"})).expect(422).json();
        assert_eq!(faults(&refused), ["name"]);
    }

    fn a_message_by_smtp_and_one_by_the_api_stand_in_one_list(engine) {
        let server = server(engine);
        let alice = signed_in(&server, "alice@example.com");
        send(&alice, "alice@example.com", "by the API");
        let mut smtp = server.signed_in("alice@example.com");
        smtp.mail("alice@example.com").expect("250 2.1.0");
        smtp.rcpt("zoe@example.net").expect("250 2.1.5");
        smtp.data(b"From: alice@example.com\r\nSubject: by SMTP\r\n\r\nhello\r\n").expect("250 2.0.0");
        let list = alice.get("/api/v1/messages").expect(200).json();
        let subjects: Vec<&str> = list["items"].as_array().unwrap().iter().filter_map(|m| m["subject"].as_str()).collect();
        assert_eq!(subjects, ["by SMTP", "by the API"]);
    }

    fn passwords_are_judged_while_they_are_typed(engine) {
        let server = Posthouse::on(engine).start();
        let http = server.http();
        let judge = |password: &str| {
            let asked = json!({"password": password, "email": "alice@example.com"});
            http.post("/api/v1/password-strength", &asked).expect(200).json()
        };
        assert_eq!(judge("four tired horses at the gate")["ok"], true);
        let weak = judge("alice123");
        assert_eq!(weak["ok"], false);
        assert!(!weak["warning"].as_str().unwrap().is_empty());
    }
}
