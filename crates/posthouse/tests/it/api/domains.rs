//! Sending domains over the API, with a name server that the test holds in its hands.

use std::time::Duration;

use serde_json::{Value, json};

use super::{server, signed_in};
use crate::both_engines;
use crate::harness::dns::Dns;
use crate::harness::wait::eventually;
use crate::harness::{Posthouse, Sink};
use crate::sign_up::{link, mail};

fn records<'a>(domain: &'a Value, stage: &str) -> Vec<&'a Value> {
    let all = domain["records"].as_array().unwrap();
    all.iter().filter(|record| record["stage"] == stage).collect()
}

fn publish(dns: &Dns, record: &Value) {
    let (name, value) = (
        record["name"].as_str().unwrap(),
        record["value"].as_str().unwrap(),
    );
    match record["type"].as_str().unwrap() {
        "TXT" => dns.txt(name, value),
        _ => dns.alias(name, value),
    };
}

both_engines! {
    fn records_that_are_published_later_are_found_without_anybody_asking(engine) {
        let (dns, sink) = (Dns::start(), Sink::start());
        let server = Posthouse::on(engine)
            .resolve_with(&dns, sink.address().port())
            .set("smtp.inbound", "\"127.0.0.1:0\"")
            .moving_clock()
            .start();
        server.create_account("alice@example.com");
        let alice = signed_in(&server, "alice@example.com");
        let domain = alice.post("/api/v1/domains", &json!({"name": "shop.example"})).expect(201).json();
        let path = format!("/api/v1/domains/{}", domain["id"].as_str().unwrap());
        assert_eq!((&domain["checked_at"], &domain["resolver"]), (&json!(null), &json!("")));
        for record in records(&domain, "in_use") {
            // That one takes a policy which nobody has who begins.
            if record["purpose"] != "bimi" {
                publish(&dns, record);
            }
        }
        server.pass(Duration::from_mins(11));
        let verified = eventually("the domain is verified", || {
            let now = alice.get(&path).expect(200).json();
            (now["state"] == "verified").then_some(now)
        });
        assert_eq!(verified["resolver"], dns.address().to_string());
        let wrong: Vec<_> = records(&verified, "in_use").into_iter().filter(|one| one["ok"] != true && one["purpose"] != "bimi").collect();
        assert!(wrong.is_empty(), "{wrong:?}");
        let returns: Vec<_> = records(&verified, "in_use").into_iter().filter(|one| one["purpose"] == "return_path").collect();
        assert_eq!((&returns[0]["type"], &returns[0]["name"]), (&json!("CNAME"), &json!("bounces.shop.example")));
        let lines = alice.get(&format!("{path}/zone")).expect(200);
        assert_eq!(lines.header("content-disposition"), Some("attachment; filename=\"shop.example.zone\""));
        for line in ["._domainkey.shop.example. IN TXT \"v=DKIM1; k=rsa; p=", "bounces.shop.example. IN CNAME "] {
            assert!(lines.text.contains(line), "{}", lines.text);
        }
    }

    fn a_domain_that_leads_to_the_operators_key_signs_with_it(engine) {
        let (dns, sink) = (Dns::start(), Sink::start());
        dns.mx("example.net", 10, "mx.example.net").address_of("mx.example.net", "127.0.0.1");
        let setup = Posthouse::on(engine)
            .resolve_with(&dns, sink.address().port())
            .set("delivery.dkim_zone", "\"dkim.example.org\"");
        setup.create_account("alice@example.com");
        let shown = setup.cli(&["dkim", "show"], "");
        let line = shown.lines().find(|line| line.starts_with("*.s1.dkim.example.org. IN TXT ")).expect(&shown);
        let value = line.split_once(" TXT ").unwrap().1.replace("\" \"", "").replace('"', "");
        // What the wildcard answers for these names.
        dns.txt("posthouse.s1.dkim.example.org", &value);
        let server = setup.start();
        eventually("the key is found", || server.cli(&["dkim", "show"], "").contains("; signs; found at").then_some(()));

        let alice = signed_in(&server, "alice@example.com");
        let domain = alice.post("/api/v1/domains", &json!({"name": "shop.example"})).expect(201).json();
        for record in records(&domain, "in_use").into_iter().filter(|one| one["purpose"] == "dkim_delegated") {
            publish(&dns, record);
        }
        let path = format!("/api/v1/domains/{}", domain["id"].as_str().unwrap());
        let checked = alice.post(&format!("{path}/check"), &json!({})).expect(200).json();
        assert_eq!(checked["state"], "verified", "{checked}");
        let message = json!({"from": "info@shop.example", "to": ["bob@example.net"], "subject": "s", "text": "t"});
        alice.post("/api/v1/messages", &message).expect(202);
        let arrived = sink.wait_for_recipient("bob@example.net");
        let signatures = arrived.header("dkim-signature");
        assert_eq!(signatures.len(), 1, "{signatures:?}");
        assert!(signatures[0].contains("d=shop.example;") && signatures[0].contains("s=ph1;"), "{signatures:?}");
    }

    fn new_keys_take_over_when_their_records_are_found_and_mail_is_signed_with_them(engine) {
        let (dns, sink) = (Dns::start(), Sink::start());
        dns.mx("example.net", 10, "mx.example.net").address_of("mx.example.net", "127.0.0.1");
        let server = Posthouse::on(engine).resolve_with(&dns, sink.address().port()).start();
        server.create_account("alice@example.com");
        let alice = signed_in(&server, "alice@example.com");
        let domain = alice.post("/api/v1/domains", &json!({"name": "shop.example"})).expect(201).json();
        let path = format!("/api/v1/domains/{}", domain["id"].as_str().unwrap());
        let signed_by = |subject: &str| {
            let to = format!("{}@example.net", subject.replace(' ', "."));
            let message = json!({"from": "info@shop.example", "to": [&to], "subject": subject, "text": "t"});
            alice.post("/api/v1/messages", &message).expect(202);
            let signatures = sink.wait_for_recipient(&to).header("dkim-signature");
            let selector = |field: &String| field.split(" s=").nth(1).unwrap().split(';').next().unwrap().to_owned();
            signatures.iter().map(selector).collect::<Vec<_>>()
        };
        let check = || alice.post(&format!("{path}/check"), &json!({})).expect(200).json();
        for record in records(&domain, "in_use") {
            publish(&dns, record);
        }
        check();
        let old = signed_by("old keys");
        let renewed = alice.post(&format!("{path}/keys"), &json!({})).expect(201).json();
        alice.post(&format!("{path}/keys"), &json!({})).expect(409);
        assert_eq!(signed_by("still the old keys"), old);
        for record in records(&renewed, "next") {
            publish(&dns, record);
        }
        let replaced = check();
        let new = signed_by("new keys");
        assert!(new.len() == 2 && new.iter().all(|selector| !old.contains(selector)), "{old:?} {new:?}");
        let leaving = records(&replaced, "leaving");
        assert!(leaving.len() == 2 && leaving.iter().all(|record| record["needed_until"].is_string()), "{leaving:?}");
    }

    fn an_account_has_so_many_checks_an_hour_and_others_have_their_own(engine) {
        let dns = Dns::start();
        let server = Posthouse::on(engine).resolve_with(&dns, 25).moving_clock().start();
        let domain = |email: &str| {
            server.create_account(email);
            let http = signed_in(&server, email);
            let made = http.post("/api/v1/domains", &json!({"name": "shop.example"})).expect(201).json();
            (http, format!("/api/v1/domains/{}/check", made["id"].as_str().unwrap()))
        };
        let ((alice, hers), (bob, his)) = (domain("alice@example.com"), domain("bob@example.com"));
        for _ in 0..60 {
            alice.post(&hers, &json!({})).expect(200);
        }
        let asked = dns.asked().len();
        let refused = alice.post(&hers, &json!({})).expect(429);
        assert!(refused.header("retry-after").is_some());
        assert_eq!(dns.asked().len(), asked, "nobody is asked");
        bob.post(&his, &json!({})).expect(200);
        server.pass(Duration::from_hours(1));
        let alice = signed_in(&server, "alice@example.com");
        alice.post(&hers, &json!({})).expect(200);
    }

    fn an_address_is_sent_from_once_its_reader_agrees_without_javascript(engine) {
        let server = server(engine);
        let (ops, alice) = (signed_in(&server, "ops@example.com"), signed_in(&server, "alice@example.com"));
        let refused = || {
            let mut smtp = server.signed_in("alice@example.com");
            smtp.mail("press@paper.example").code() == 553
        };
        assert!(refused());
        let asked = alice.post("/api/v1/senders", &json!({"address": "press@paper.example"})).expect(202).json();
        assert_eq!(asked["confirmed_at"], Value::Null);
        let (path, token) = link(&mail(&ops, "press@paper.example", "send mail as this address"));
        assert_eq!(path, "/sender?token");
        for base in ["", "/fr"] {
            let page = server.http().get(&format!("{base}/sender?token={token}")).expect(200).text;
            assert!(page.contains("press@paper.example") && page.contains("alice@example.com"), "{page}");
            assert!(page.contains("method=\"post\"") && !page.contains("<script"), "{page}");
        }
        assert!(refused(), "looking changes nothing");
        server.http().submit("/sender", &[("token", &token)]).expect(200);
        assert!(!refused());
        server.http().submit("/sender", &[("token", &token)]).expect(410);
        server.http().get(&format!("/sender?token={token}")).expect(410);
        let listed = alice.get("/api/v1/senders").expect(200).json();
        assert!(listed["items"][0]["confirmed_at"].is_string(), "{listed}");
        signed_in(&server, "bob@example.com").delete(&format!("/api/v1/senders/{}", asked["id"].as_str().unwrap())).expect(404);
        alice.delete(&format!("/api/v1/senders/{}", asked["id"].as_str().unwrap())).expect(204);
        assert!(refused());
        alice.post("/api/v1/senders", &json!({"address": "nobody"})).expect(422);
    }
}
