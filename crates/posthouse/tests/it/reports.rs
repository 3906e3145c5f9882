//! Reports that come back: signed return paths, what is taken on the inbound listener, and what follows from it.

use std::time::Duration;

use serde_json::Value;

use crate::both_engines;
use crate::harness::http::Http;
use crate::harness::server::Setup;
use crate::harness::sink::Arrived;
use crate::harness::smtp::Smtp;
use crate::harness::{Act, Engine, Posthouse, Sink, Verb, eventually};

const ALICE: &str = "alice@example.com";
const MESSAGE: &[u8] =
    b"From: <alice@example.com>\r\nTo: <bob@sink.example>\r\nSubject: hello\r\n\r\nhello there\r\n";

fn setup(engine: Engine, sink: &Sink) -> Setup {
    Posthouse::on(engine)
        .route_to(sink)
        .retry_fast()
        .set("smtp.inbound", "[\"127.0.0.1:0\"]")
}

fn started(setup: Setup) -> (Posthouse, Http) {
    let server = setup.start();
    let http = server.owner(ALICE);
    (server, http)
}

/// A client of the inbound listener that has said EHLO.
fn inbound(server: &Posthouse) -> Smtp {
    let mut smtp = Smtp::connect(server.address("inbound"));
    smtp.reply().expect("220");
    smtp.ehlo().expect("250");
    smtp
}

/// Sends one message to `bob@sink.example` and returns it as it arrived, with its id.
fn delivered(server: &Posthouse, http: &Http, sink: &Sink) -> (Arrived, String) {
    server
        .signed_in(ALICE)
        .submit(ALICE, &["bob@sink.example"], MESSAGE)
        .expect("250 2.0.0");
    let arrived = sink.wait_for_recipient("bob@sink.example");
    let listed = http.get("/api/v1/messages?q=bob@sink.example").expect(200).json();
    let id = listed["items"][0]["id"].as_str().unwrap().to_owned();
    until_state(http, &id, "delivered");
    (arrived, id)
}

fn recipient(http: &Http, id: &str) -> Value {
    http.get(&format!("/api/v1/messages/{id}")).expect(200).json()["recipients"][0].clone()
}

fn until_state(http: &Http, id: &str, state: &str) -> Value {
    eventually(&format!("the recipient is {state}"), || {
        Some(recipient(http, id)).filter(|one| one["state"] == state)
    })
}

fn kinds(http: &Http, id: &str) -> Vec<String> {
    let message = http.get(&format!("/api/v1/messages/{id}")).expect(200).json();
    let events = message["events"].as_array().unwrap();
    events
        .iter()
        .map(|event| event["kind"].as_str().unwrap().to_owned())
        .collect()
}

fn suppressed(http: &Http) -> Vec<(String, String)> {
    let list = http.get("/api/v1/suppressions").expect(200).json();
    let items = list["items"].as_array().unwrap();
    let text = |one: &Value, field: &str| one[field].as_str().unwrap().to_owned();
    items
        .iter()
        .map(|one| (text(one, "address"), text(one, "reason")))
        .collect()
}

fn report(action: &str, diagnostic: &str) -> Vec<u8> {
    format!(
        "From: MAILER-DAEMON@mx.sink.example\r\nSubject: Undelivered Mail\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r\n\r\n--b\r\n\r\nSorry.\r\n--b\r\n\
         Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.sink.example\r\n\r\n\
         Final-Recipient: rfc822; bob@sink.example\r\nAction: {action}\r\nStatus: 5.0.0\r\nDiagnostic-Code: smtp; {diagnostic}\r\n\r\n--b--\r\n"
    )
    .into_bytes()
}

fn complaint(kind: &str) -> Vec<u8> {
    format!(
        "From: fbl@provider.example\r\nSubject: complaint\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=feedback-report; boundary=\"b\"\r\n\r\n--b\r\n\r\nA complaint.\r\n--b\r\n\
         Content-Type: message/feedback-report\r\n\r\nFeedback-Type: {kind}\r\nVersion: 1\r\nUser-Agent: Provider/1\r\n\r\n--b--\r\n"
    )
    .into_bytes()
}

both_engines! {
    fn every_recipient_gets_a_return_path_of_its_own(engine) {
        let sink = Sink::start();
        sink.always(Verb::Rcpt, "nobody@", Act::reply("550 5.1.1 no such user here"));
        let (server, http) = started(setup(engine, &sink));
        let to = ["bob@sink.example", "carol@sink.example", "nobody@sink.example"];
        server.signed_in(ALICE).submit(ALICE, &to, MESSAGE).expect("250 2.0.0");
        let paths: Vec<String> = to[..2].iter().map(|to| sink.wait_for_recipient(to)).map(|one| {
            assert_eq!(one.recipients.len(), 1);
            one.from
        }).collect();
        assert_ne!(paths[0], paths[1]);
        for path in &paths {
            let (local, domain) = path.split_once('@').unwrap();
            assert!(local.starts_with("b-") && local.len() == 50 && domain == "mail.example.com", "{path}");
        }
        // The sender is told by us, from the null sender as ever, at the address it gave.
        let notice = sink.wait_for_recipient(ALICE);
        assert_eq!(notice.from, "");
        assert!(notice.text().contains("Final-Recipient: rfc822; nobody@sink.example"));
        assert_eq!(suppressed(&http), [("nobody@sink.example".into(), "hard_bounce".into())]);
        // From now on it is not tried.
        server.signed_in(ALICE).submit(ALICE, &["nobody@sink.example"], MESSAGE).expect("250 2.0.0");
        eventually("the second one is suppressed", || {
            let listed = http.get("/api/v1/messages?state=suppressed").expect(200).json();
            (listed["items"].as_array()?.len() == 1).then_some(())
        });
    }

    fn a_report_after_the_delivery_bounces_the_recipient_once(engine) {
        let sink = Sink::start();
        let (server, http) = started(setup(engine, &sink));
        let (arrived, id) = delivered(&server, &http, &sink);
        let mut smtp = inbound(&server);
        // A delay, a delivery, an answer of a person: nothing changes.
        let harmless = [
            report("delayed", "450 4.2.0 later"),
            report("delivered", "250 2.0.0 fine"),
            b"From: <bob@sink.example>\r\nAuto-Submitted: auto-replied\r\nSubject: Automatic reply\r\n\r\n550 5.1.1 user unknown\r\n".to_vec(),
        ];
        for harmless in harmless {
            smtp.submit("", &[&arrived.from], &harmless).expect("250 2.0.0");
        }
        assert_eq!(recipient(&http, &id)["state"], "delivered");
        // Local parts get folded on their way.
        smtp.submit("", &[&arrived.from.to_uppercase()], &report("failed", "550 5.1.1 User unknown")).expect("250 2.0.0");
        let bounced = until_state(&http, &id, "bounced");
        assert_eq!(bounced["class"], "unknown_mailbox");
        assert_eq!(bounced["reason"], "reported later by mx.sink.example: 550 5.1.1 User unknown");
        assert_eq!(suppressed(&http), [("bob@sink.example".into(), "hard_bounce".into())]);
        let notice = sink.wait_for_recipient(ALICE);
        assert_eq!(notice.from, "");
        assert!(notice.text().contains("Diagnostic-Code: smtp; 550 5.1.1 User unknown"), "{}", notice.text());
        // Once more, and nothing is told twice.
        smtp.submit("", &[&arrived.from], &report("failed", "550 5.1.1 User unknown")).expect("250 2.0.0");
        assert_eq!(kinds(&http, &id), ["accepted", "delivered", "bounced"]);
        let notices = sink.arrived().iter().filter(|one| one.recipients == [ALICE]).count();
        assert_eq!(notices, 1);
    }

    fn a_complaint_suppresses_and_not_spam_does_not(engine) {
        let sink = Sink::start();
        let (server, http) = started(setup(engine, &sink));
        let (arrived, id) = delivered(&server, &http, &sink);
        let mut smtp = inbound(&server);
        smtp.submit("fbl@provider.example", &[&arrived.from], &complaint("not-spam")).expect("250 2.0.0");
        assert!(suppressed(&http).is_empty());
        for _ in 0..2 {
            smtp.submit("fbl@provider.example", &[&arrived.from], &complaint("abuse")).expect("250 2.0.0");
        }
        assert_eq!(suppressed(&http), [("bob@sink.example".into(), "complaint".into())]);
        assert_eq!(kinds(&http, &id), ["accepted", "delivered", "complained"]);
        assert_eq!(recipient(&http, &id)["state"], "delivered");
        // The guard counts it.
        eventually("the complaint is counted", || {
            let guard = http.get("/api/v1/account/guard").expect(200).json();
            (guard["complained"] == 1).then_some(())
        });
    }

    fn a_report_that_runs_in_a_circle_is_refused_like_any_other_mail(engine) {
        let sink = Sink::start();
        let (server, http) = started(setup(engine, &sink));
        let (arrived, id) = delivered(&server, &http, &sink);
        let mut smtp = inbound(&server);
        let trace = "Received: from a.example by b.example; Mon, 23 Nov 2026 20:00:00 +0000\r\n";
        let after = |hops| [trace.repeat(hops).as_bytes(), &report("failed", "550 5.1.1 User unknown")].concat();
        for hops in [51, 60, 200] {
            let answer = smtp.submit("", &[&arrived.from], &after(hops));
            assert_eq!(answer.0.trim_end(), "554 5.4.6 The message is in a loop: too many Received header fields");
        }
        assert_eq!(kinds(&http, &id), ["accepted", "delivered"]);
        // The transaction is over, the connection is not.
        smtp.submit("", &[&arrived.from], &after(50)).expect("250 2.0.0");
        until_state(&http, &id, "bounced");
    }

    fn nothing_but_reports_is_taken_and_every_refusal_is_the_same(engine) {
        let sink = Sink::start();
        let (server, http) = started(setup(engine, &sink));
        let (arrived, _) = delivered(&server, &http, &sink);
        let (local, _) = arrived.from.split_once('@').unwrap();
        let forged = format!("{}{}", &local[..49], if local.ends_with('a') { "b" } else { "a" });
        let refusal = {
            let mut smtp = inbound(&server);
            smtp.mail("").expect("250");
            smtp.rcpt("bob@sink.example").expect("550 5.7.1").0.clone()
        };
        for to in [
            "<ann@elsewhere.example>",
            "<ann%elsewhere.example@mail.example.com>",
            "<elsewhere.example!ann@mail.example.com>",
            "<\"ann@elsewhere.example\"@mail.example.com>",
            "<postmaster@mail.example.com>",
            "<ann@[127.0.0.1]>",
            &format!("<{forged}@mail.example.com>"),
            &format!("<{}@mail.example.com>", &local[..40]),
            "<b-@mail.example.com>",
        ] {
            let mut smtp = inbound(&server);
            smtp.mail("").expect("250");
            let reply = smtp.command(&format!("RCPT TO:{to}"));
            assert!(reply.code() == 501 || reply.0 == refusal, "{to}: {}", reply.0);
            smtp.command("DATA").expect("5");
        }
        let mut smtp = inbound(&server);
        smtp.mail("").expect("250");
        assert_eq!(smtp.rcpt(&format!("{forged}@mail.example.com")).0, refusal);
        server.signed_in(ALICE).submit(ALICE, &["carol@sink.example"], MESSAGE).expect("250 2.0.0");
        let carol = sink.wait_for_recipient("carol@sink.example");
        // One report is about one recipient, whoever brings it.
        for (sender, refused) in [("", "550 5.7.1"), ("fbl@provider.example", "452 4.5.3")] {
            let mut smtp = inbound(&server);
            smtp.mail(sender).expect("250");
            smtp.rcpt(&arrived.from).expect("250");
            smtp.rcpt(&carol.from).expect(refused);
            smtp.rcpt("ann@elsewhere.example").expect("550 5.7.1");
        }
        assert!(sink.arrived().iter().all(|one| one.recipients[0].ends_with("@sink.example")));
    }

    fn a_return_path_counts_for_thirty_days(engine) {
        let sink = Sink::start();
        let (server, http) = started(setup(engine, &sink).moving_clock());
        let (arrived, _) = delivered(&server, &http, &sink);
        server.pass(Duration::from_hours(24 * 29));
        let mut smtp = inbound(&server);
        smtp.mail("").expect("250");
        smtp.rcpt(&arrived.from).expect("250");
        drop(smtp);
        server.pass(Duration::from_hours(24 * 32));
        let mut smtp = inbound(&server);
        smtp.mail("").expect("250");
        smtp.rcpt(&arrived.from).expect("550 5.7.1");
    }
}
