//! An account whose recipients bounce is paused by itself: its owner hears why at every door, and its mail waits for a decision.

use serde_json::{Value, json};

use crate::both_engines;
use crate::harness::engine::postgres_is_here;
use crate::harness::http::Http;
use crate::harness::sink::Arrived;
use crate::harness::{Act, Engine, PASSWORD, Posthouse, Sink, Verb, eventually};

const ALICE: &str = "alice@example.com";

fn server(engine: Engine, sink: &Sink) -> (Posthouse, Http) {
    let server = Posthouse::on(engine)
        .set("http.public_url", "\"https://mail.example.com\"")
        .route_to(sink)
        .start();
    server.create_account(ALICE);
    let create = [
        "account",
        "create",
        "ops@example.com",
        "--operator",
        "--password-stdin",
    ];
    server.cli(&create, PASSWORD);
    let mut http = server.http();
    http.sign_in("ops@example.com", PASSWORD);
    (server, http)
}

/// One message to so many people.
fn send(server: &Posthouse, name: &str, count: usize) {
    let mut smtp = server.signed_in(ALICE);
    let to: Vec<String> = (0..count).map(|n| format!("{name}{n}@there.example")).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    let text = format!("From: {ALICE}\r\nSubject: {name}\r\n\r\nHello\r\n");
    smtp.submit(ALICE, &to, text.as_bytes()).expect("250 2.0.0");
}

fn guard(http: &Http, path: &str) -> Value {
    http.get(path).expect(200).json()
}

both_engines! {
    fn an_account_whose_recipients_bounce_is_paused_told_and_resumed_by_the_operator(engine) {
        let sink = Sink::start();
        sink.always(Verb::Rcpt, "nobody", Act::reply("550 5.1.1 No such mailbox"));
        sink.always(Verb::Rcpt, "later", Act::reply("451 4.7.1 Later"));
        let (server, operator) = server(engine, &sink);
        let alice = operator.account_id(ALICE);
        let path = format!("/api/v1/accounts/{alice}/guard");
        send(&server, "later", 3);
        send(&server, "friend", 150);
        let mut owner = server.http();
        owner.sign_in(ALICE, PASSWORD);
        eventually("the friends are counted", || (guard(&operator, &path)["recipients"] == 150).then_some(()));
        send(&server, "nobody", 60);
        let paused = eventually("the account is paused", || {
            Some(guard(&operator, &path)).filter(|guard| guard["state"] == "paused")
        });
        assert_eq!(paused["pause"]["cause"], "bounces");
        assert_eq!((&paused["pause"]["most"], &paused["pause"]["decides"]), (&json!("8"), &json!("operator")));
        // The owner hears why at every door, and can still sign in and read.
        let mut smtp = server.signed_in(ALICE);
        let refused = smtp.mail(ALICE);
        refused.expect("554 5.7.1 The account is paused: ");
        assert!(refused.contains("recipients bounced, more than 8 %"), "{}", refused.0);
        assert!(refused.contains("https://mail.example.com/help/account-paused"), "{}", refused.0);
        let message = json!({"from": ALICE, "to": ["b@there.example"], "subject": "Hello", "text": "Hello"});
        let refused = owner.post("/api/v1/messages", &message).expect(403).json();
        assert_eq!(refused["type"], "/problems/paused");
        owner.get("/api/v1/messages").expect(200);
        assert_eq!(guard(&owner, "/api/v1/account/guard")["state"], "paused");
        owner.post("/api/v1/account/resume", &json!({})).expect(403);
        // What waits is held. So is the mail of nobody else, least of all the one about it.
        eventually("what waits is held", || (guard(&operator, &path)["held"] == 3).then_some(()));
        let told = eventually("both were written to", || {
            let arrived: Vec<String> = sink.arrived().iter().map(Arrived::text).collect();
            let about: Vec<String> = arrived.into_iter().filter(|text| text.contains("paused")).collect();
            (about.len() >= 2).then_some(about)
        });
        assert!(told.iter().any(|text| text.contains("To: <ops@example.com>")), "{told:?}");
        assert!(told.iter().any(|text| text.contains("To: <alice@example.com>")), "{told:?}");
        sink.relent();
        operator.post(&format!("/api/v1/accounts/{alice}/resume"), &json!({})).expect(200);
        eventually("what was held is delivered", || {
            let texts: Vec<String> = sink.arrived().iter().map(Arrived::text).collect();
            texts.iter().any(|text| text.contains("Subject: later")).then_some(())
        });
        let mut smtp = server.signed_in(ALICE);
        smtp.mail(ALICE).expect("250");
        assert_eq!(guard(&operator, &path)["pause"], Value::Null);
    }

    fn held_mail_is_returned_to_its_senders(engine) {
        let sink = Sink::start();
        sink.always(Verb::Rcpt, "later", Act::reply("451 4.7.1 Later"));
        let (server, operator) = server(engine, &sink);
        let alice = operator.account_id(ALICE);
        send(&server, "later", 2);
        let path = format!("/api/v1/accounts/{alice}");
        let wanted = json!({"reason": "Whose list is this?", "hold": true});
        operator.post(&format!("{path}/suspend"), &wanted).expect(200);
        eventually("what waits is held", || (guard(&operator, &format!("{path}/guard"))["held"] == 2).then_some(()));
        let mut smtp = server.signed_in(ALICE);
        smtp.mail(ALICE).expect("554 5.7.1 The account is suspended: Whose list is this?");
        assert_eq!(operator.post(&format!("{path}/return"), &json!({})).expect(200).json()["recipients"], 2);
        let report = eventually("the sender is told", || {
            let arrived = sink.arrived();
            let mut texts = arrived.iter().map(Arrived::text);
            texts.rfind(|text| text.contains("its mail returned"))
        });
        assert!(report.contains("later0@there.example") && report.contains("later1@there.example"), "{report}");
        let mut owner = server.http();
        owner.sign_in(ALICE, PASSWORD);
        owner.post(&format!("{path}/return"), &json!({})).expect(403);
        owner.get(&format!("{path}/guard")).expect(403);
    }
}

#[test]
fn a_pause_that_one_node_finds_counts_on_the_other() {
    if !postgres_is_here("a_pause_that_one_node_finds_counts_on_the_other") {
        return;
    }
    let sink = Sink::start();
    sink.always(Verb::Rcpt, "nobody", Act::reply("550 5.1.1 No such mailbox"));
    let (first, operator) = server(Engine::Postgres, &sink);
    let second = first.second();
    let alice = operator.account_id(ALICE);
    let path = format!("/api/v1/accounts/{alice}/guard");
    send(&first, "nobody", 110);
    send(&first, "nobody-else", 110);
    let paused = eventually("the account is paused", || {
        Some(guard(&operator, &path)).filter(|guard| guard["state"] == "paused")
    });
    // Both looked; what each recipient came to was counted once.
    assert!(paused["recipients"].as_u64().unwrap() <= 220, "{paused}");
    for server in [&first, &second] {
        let mut smtp = server.signed_in(ALICE);
        smtp.mail(ALICE).expect("554 5.7.1 The account is paused: ");
    }
}

/// Without JavaScript, as whoever comes for the first time.
fn home(server: &Posthouse) -> String {
    server.http().get("/").expect(200).text
}

both_engines! {
    fn the_operator_opens_and_closes_the_door_for_new_accounts_while_the_server_runs(engine) {
        let sink = Sink::start();
        let (server, operator) = server(engine, &sink);
        let wanted = json!({
            "email": "new@example.org", "password": PASSWORD, "country": "FR", "time_zone": "Europe/Paris"
        });
        server.http().post("/api/v1/sign-up", &wanted).expect(403);
        assert!(!home(&server).contains("/sign-up"));
        let mode = |mode: Value| operator.request("PUT", "/api/v1/sign-up/mode", Some(&json!({ "mode": mode })));
        let chosen = mode(json!("open")).expect(200).json();
        assert_eq!((&chosen["mode"], &chosen["configured"]), (&json!("open"), &json!("closed")));
        server.http().post("/api/v1/sign-up", &wanted).expect(202);
        eventually("the home page offers it", || home(&server).contains("/sign-up").then_some(()));
        mode(json!("invite")).expect(200);
        server.http().post("/api/v1/sign-up", &wanted).expect(403);
        assert_eq!(server.http().get("/api/v1/sign-up").expect(200).json()["mode"], "invite");
        operator.post("/api/v1/invitations", &json!({"email": "guest@example.org"})).expect(202);
        assert_eq!(mode(Value::Null).expect(200).json()["mode"], "closed");
        operator.post("/api/v1/invitations", &json!({"email": "guest@example.org"})).expect(409);
        let mut owner = server.http();
        owner.sign_in(ALICE, PASSWORD);
        owner.request("PUT", "/api/v1/sign-up/mode", Some(&json!({"mode": "open"}))).expect(403);
        owner.get("/api/v1/sign-up/mode").expect(403);
    }
}
