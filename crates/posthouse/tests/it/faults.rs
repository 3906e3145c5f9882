//! The crash matrix: at each commit on the way of a message, right before it and right after it, the process dies or the database
//! is gone. What the sender was told is compared with what arrived.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use crate::both_engines;
use crate::harness::http::Http;
use crate::harness::{Act, PASSWORD, Posthouse, Receiver, Sink, Smtp, Verb, eventually};

const ALICE: &str = "alice@example.com";
const HOOK: &str = "/events";

/// Every kind of transaction between DATA and the last that is told of a message.
const COMMITS: [&str; 7] = [
    "accept",
    "settle",
    "take up what is due",
    "start what was scheduled",
    "note what webhooks are to tell",
    "take up due webhooks",
    "record an attempt of a webhook",
];

/// What the sender was told of each recipient: true where it was a yes.
#[derive(Default)]
struct Ledger {
    told: BTreeMap<String, bool>,
    next: usize,
}

impl Ledger {
    fn accepted(&self) -> impl Iterator<Item = &str> {
        self.told
            .iter()
            .filter(|(_, yes)| **yes)
            .map(|(to, _)| to.as_str())
    }

    /// One message for each fate that a recipient can have, by SMTP and, to leave in a second, by the API. Ends where the server does.
    fn round(&mut self, server: &Posthouse, sink: &Sink, key: &str) -> io::Result<()> {
        let number = self.next;
        self.next += 1;
        let [fine, deferred, bounced, later] =
            ["fine", "deferred", "bounced", "later"].map(|fate| format!("{fate}{number}@sink.example"));
        sink.once(Verb::Rcpt, &deferred, Act::reply("451 4.2.1 not now"));
        let mut smtp = Smtp::try_connect(server.address("submissions"))?.into_tls();
        smtp.try_reply()?;
        let command = |smtp: &mut Smtp, line: &str| {
            smtp.try_send(format!("{line}\r\n").as_bytes())?;
            smtp.try_reply()
        };
        command(&mut smtp, "EHLO client.example")?;
        let initial = BASE64_STANDARD.encode(format!("\0{ALICE}\0{PASSWORD}"));
        let mut signed_in = command(&mut smtp, &format!("AUTH PLAIN {initial}"))?.code() == 235;
        for to in [fine, deferred, bounced] {
            self.told.insert(to.clone(), false);
            signed_in &= command(&mut smtp, &format!("MAIL FROM:<{ALICE}>"))?.code() == 250;
            if !signed_in {
                return Ok(());
            }
            command(&mut smtp, &format!("RCPT TO:<{to}>"))?;
            if command(&mut smtp, "DATA")?.code() != 354 {
                command(&mut smtp, "RSET")?;
                continue;
            }
            smtp.try_send(format!("From: <{ALICE}>\r\nSubject: {to}\r\n\r\nHello\r\n.\r\n").as_bytes())?;
            let yes = smtp.try_reply()?.code() == 250;
            self.told.insert(to, yes);
        }
        self.told.insert(later.clone(), false);
        let at = server.now().plus(Duration::from_secs(1)).rfc3339();
        let message = json!({"from": ALICE, "to": [later], "subject": later, "text": "Hello", "send_at": at});
        let mut http = server.http();
        http.bearer = Some(key.to_owned());
        let answer = http.try_post("/api/v1/messages", &message)?;
        self.told.insert(later, answer.status == 202);
        Ok(())
    }
}

/// Whether the fault that was ordered has happened.
fn happened(server: &Posthouse) -> bool {
    let log = server.log();
    log.iter()
        .any(|line| line["message"] == "a fault that a test ordered")
}

fn key(server: &Posthouse) -> String {
    let mut http: Http = server.http();
    http.sign_in(ALICE, PASSWORD);
    let key = http
        .post("/api/v1/keys", &json!({"name": "test", "scopes": ["send"]}))
        .expect(201)
        .json();
    key["key"].as_str().expect("it is shown once").to_owned()
}

both_engines! {
    fn whatever_dies_at_whichever_commit_nothing_is_lost(engine) {
        let (sink, receiver) = (Sink::start(), Receiver::start());
        sink.always(Verb::Rcpt, "bounced", Act::reply("550 5.1.1 no such user"));
        let mut server = Posthouse::on(engine)
            .environment("POSTHOUSE__WEBHOOKS__ALLOW_PRIVATE", "true")
            .moving_clock()
            .route_to(&sink)
            .retry_fast()
            .start();
        server.create_account(ALICE);
        server.cli(&["account", "credits", ALICE, "1000000", "--reason", "test"], "");
        let mut http = server.http();
        http.sign_in(ALICE, PASSWORD);
        let kinds = ["accepted", "delivered", "bounced"];
        http.post("/api/v1/webhooks", &json!({"url": receiver.url(HOOK), "types": kinds})).expect(201);
        let key = key(&server);
        let mut ledger = Ledger::default();
        let mut deaths = 0;
        server.stop();
        for commit in COMMITS {
            for (edge, act) in [("before", "die"), ("after", "die"), ("before", "cut"), ("after", "cut")] {
                let fault = format!("{edge} {commit} 1 {act}");
                server.start_again_in(&[("POSTHOUSE_TEST_FAULT", &fault)]);
                eventually(&format!("{engine:?}: {fault}"), || {
                    // Where it died the connection breaks, at any line.
                    let _ = ledger.round(&server, &sink, &key);
                    happened(&server).then_some(())
                });
                if act == "die" {
                    deaths += 1;
                    server.kill();
                } else {
                    ledger.round(&server, &sink, &key).expect("the server lives");
                    server.stop();
                }
            }
        }
        server.start_again();

        let accepted: Vec<&str> = ledger.accepted().collect();
        assert!(accepted.len() > 100, "{} were accepted", accepted.len());
        let lost = || {
            let arrived = sink.arrived();
            let (mut came, mut reported) = (Vec::new(), String::new());
            for mail in &arrived {
                match mail.recipients[0].as_str() {
                    ALICE => reported.push_str(&mail.text()),
                    to => came.push(to.to_owned()),
                }
            }
            let is_lost = |to: &&str| {
                if to.starts_with("bounced") { !reported.contains(*to) } else { !came.iter().any(|one| one == to) }
            };
            accepted.iter().copied().filter(is_lost).map(str::to_owned).collect::<Vec<_>>()
        };
        eventually(&format!("all {} arrive, or their sender is told", accepted.len()), || lost().is_empty().then_some(()));
        let told = || {
            let calls: Vec<String> = receiver.calls(HOOK).iter().map(|call| call.json().to_string()).collect();
            accepted.iter().filter(|to| !calls.iter().any(|call| call.contains(**to))).count()
        };
        // Longer than what a dead process had taken up stays its own.
        server.pass(Duration::from_mins(1));
        eventually("the webhook was told of each", || (told() == 0).then_some(()));

        let mut times = BTreeMap::new();
        for mail in sink.arrived() {
            *times.entry(mail.recipients[0].clone()).or_insert(0) += usize::from(mail.recipients[0] != ALICE);
        }
        let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
        // A death between a receiver's yes and its record sends again what was in flight then, and a lost answer does not.
        assert!(twice.len() <= 4 * deaths, "{twice:?}");
        println!("{engine:?}: {deaths} deaths, {deaths} cuts, {} accepted, 0 lost, {} twice", accepted.len(), twice.len());
    }
}
