//! The clock jumps by hours, both ways, while mail is coming in, waiting, going out and scheduled: nothing is lost or sent twice, and
//! what was scheduled for a time long ago asks first.

use std::time::Duration;

use serde_json::json;

use crate::both_engines;
use crate::harness::{Act, Gate, Posthouse, Sink, Verb, eventually};

const ALICE: &str = "alice@example.com";
const HOURS: Duration = Duration::from_hours(5);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Jump {
    Forward,
    Back,
}

both_engines! {
    fn a_clock_that_jumps_by_hours_loses_doubles_and_stops_nothing(engine) {
        let sink = Sink::start();
        let server = Posthouse::on(engine).moving_clock().route_to(&sink).retry_fast().start();
        let mut http = server.owner(ALICE);
        let key = http.post("/api/v1/keys", &json!({"name": "test", "scopes": ["send", "messages"]})).expect(201).json();
        let key = key["key"].as_str().expect("it is shown once").to_owned();
        http = server.http();
        http.bearer = Some(key);
        let mut accepted = Vec::new();
        let message = |to: &str| format!("From: <{ALICE}>\r\nSubject: {to}\r\n\r\nHello\r\n").into_bytes();
        for (round, jump) in [Jump::Forward, Jump::Back, Jump::Back, Jump::Forward].into_iter().enumerate() {
            let address = |what: &str| format!("{what}{round}@sink.example");
            let gate = Gate::default();
            let mut smtp = server.signed_in(ALICE);
            sink.once(Verb::EndOfData, "flying", Act::Hold(gate.clone()));
            sink.once(Verb::Rcpt, "waiting", Act::reply("451 4.2.1 not now"));
            smtp.submit(ALICE, &[&address("flying")], &message("flying")).expect("250 2.0.0");
            gate.wait_for_somebody();
            smtp.submit(ALICE, &[&address("waiting")], &message("waiting")).expect("250 2.0.0");
            // Half of a message.
            smtp.mail(ALICE).expect("250");
            smtp.rcpt(&address("coming")).expect("250");
            smtp.command("DATA").expect("354");
            smtp.send(format!("From: <{ALICE}>\r\nSubject: coming\r\n").as_bytes());
            match jump {
                Jump::Forward => server.pass(HOURS),
                Jump::Back => server.set_back(HOURS),
            }
            smtp.send(b"\r\nHello\r\n.\r\n");
            smtp.reply().expect("250 2.0.0");
            smtp.submit(ALICE, &[&address("after")], &message("after")).expect("250 2.0.0");
            gate.open();
            for what in ["flying", "coming", "after"] {
                sink.wait_for_recipient(&address(what));
            }
            accepted.extend(["flying", "waiting", "coming", "after"].map(address));
            if jump == Jump::Back {
                // It may wait for a date by the clock as it was. Until the clock is there again, whoever wants it sooner says so.
                let to = address("waiting");
                let list = http.get(&format!("/api/v1/messages?q={to}")).expect(200).json();
                let id = list["items"][0]["id"].as_str().unwrap_or_else(|| panic!("{list}")).to_owned();
                http.post(&format!("/api/v1/messages/{id}/retry"), &json!({}));
            }
            sink.wait_for_recipient(&address("waiting"));
            // A new client finds everything as it was.
            server.signed_in(ALICE).quit();
            eventually("it is ready", || (http.get("/readyz").status == 200).then_some(()));
        }

        let at = server.now().plus(Duration::from_hours(1)).rfc3339();
        let late = json!({"from": ALICE, "to": ["late@sink.example"], "subject": "late", "text": "Hello", "send_at": at});
        let id = http.post("/api/v1/messages", &late).expect(202).json()["id"].as_str().unwrap().to_owned();
        server.pass(Duration::from_hours(50));
        let held = eventually("its time passed long ago, so it asks", || {
            let message = http.get(&format!("/api/v1/messages/{id}")).expect(200).json();
            (message["recipients"][0]["state"] == "held").then_some(message)
        });
        assert!(held.to_string().contains("passed long ago"), "{held}");
        server.set_back(Duration::from_hours(50));

        let arrived = sink.arrived();
        for to in accepted {
            let times = arrived.iter().filter(|mail| mail.recipients.contains(&to)).count();
            assert_eq!(times, 1, "{to}");
        }
        assert!(!arrived.iter().any(|mail| mail.recipients.contains(&"late@sink.example".to_owned())));
        assert!(!server.log().iter().any(|line| line.to_string().contains("took this one for dead")));
    }
}
