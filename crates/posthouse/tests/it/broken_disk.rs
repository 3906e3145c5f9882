//! The disk under the data directory fails at the system call: full, broken, read-only. Whoever sends is told to come back, what was
//! accepted stays, and work goes on by itself when the disk is whole again.

use serde_json::json;

use crate::harness::broken::{BrokenDisk, Errno, Fault};
use crate::harness::{Act, Engine, Gate, PASSWORD, Posthouse, Sink, Smtp, Verb, eventually};

const ALICE: &str = "alice@example.com";

/// A whole transaction over a connection that is signed in; the reply that ended it.
fn submit(smtp: &mut Smtp, to: &str) -> crate::harness::smtp::Reply {
    let mut reply = smtp.mail(ALICE);
    for line in [format!("RCPT TO:<{to}>"), "DATA".to_owned()] {
        if reply.code() >= 400 {
            break;
        }
        reply = smtp.command(&line);
    }
    if reply.code() == 354 {
        smtp.send(format!("From: <{ALICE}>\r\nSubject: {to}\r\n\r\nHello\r\n.\r\n").as_bytes());
        return smtp.reply();
    }
    smtp.command("RSET").expect("250");
    reply
}

/// What each kind of fault is answered by. A broken sync may come after everything was written, and still nobody is told yes.
const FAULTS: [(&str, Fault, &str); 4] = {
    const WHOLE: Fault = Fault {
        write: None,
        sync: None,
        read: None,
    };
    const fn writing(errno: Errno) -> Fault {
        Fault {
            write: Some(errno),
            ..WHOLE
        }
    }
    [
        ("no space", writing(Errno::NoSpace), "452 4.3.1"),
        ("no writing", writing(Errno::Io), "451 4.3.0"),
        (
            "no sync",
            Fault {
                sync: Some(Errno::Io),
                ..WHOLE
            },
            "451 4.3.0",
        ),
        ("read-only", writing(Errno::ReadOnly), "451 4.3.0"),
    ]
};

#[test]
fn a_disk_that_fails_stops_the_accepting_loses_nothing_and_is_used_again() {
    let disk = BrokenDisk::new();
    let sink = Sink::start();
    let setup = Posthouse::on(Engine::Sqlite).route_to(&sink).retry_fast();
    let mut server = disk.under(setup).start();
    let mut http = server.owner(ALICE);
    let key = http
        .post(
            "/api/v1/keys",
            &json!({"name": "test", "scopes": ["send", "read"]}),
        )
        .expect(201)
        .json();
    http.bearer = key["key"].as_str().map(str::to_owned);
    let mut accepted = Vec::new();
    for (name, fault, answer) in FAULTS {
        let address = |what: &str| format!("{what}-{}@sink.example", name.replace(' ', "-"));
        let (gate, mut smtp) = (Gate::default(), server.signed_in(ALICE));
        sink.always(Verb::Mail, "", Act::reply("451 4.3.2 not yet"));
        submit(&mut smtp, &address("waiting")).expect("250 2.0.0");
        accepted.push(address("waiting"));
        sink.relent();
        // Its receiver says yes when the disk takes nothing any more.
        sink.once(Verb::EndOfData, "flying", Act::Hold(gate.clone()));
        submit(&mut smtp, &address("flying")).expect("250 2.0.0");
        accepted.push(address("flying"));
        gate.wait_for_somebody();
        sink.wait_for_recipient(&address("waiting"));
        let delivered = format!("/api/v1/messages?state=delivered&q={}", address("waiting"));
        eventually(&format!("{name}: its yes is written"), || {
            let found = http.get(&delivered).expect(200).json();
            (found["items"].as_array()?.len() == 1).then_some(())
        });
        sink.always(Verb::Mail, "", Act::reply("451 4.3.2 not yet"));
        submit(&mut smtp, &address("later")).expect("250 2.0.0");
        accepted.push(address("later"));

        disk.breaks(fault);
        for _ in 0..3 {
            let reply = submit(&mut smtp, &address("refused"));
            assert!(reply.0.starts_with(answer), "{name}: {reply:?}");
        }
        assert!(disk.was_met(), "{name}");
        gate.open();
        // Who comes now is told to come back as well, and never that the password is wrong.
        let mut new = server.smtps();
        new.ehlo().expect("250");
        let signed_in = new.auth_plain(ALICE, PASSWORD).code();
        assert!([235, 451, 452, 454].contains(&signed_in), "{name}: {signed_in}");
        let message = json!({"from": ALICE, "to": [address("refused")], "subject": name, "text": "Hello"});
        let refused = http.post("/api/v1/messages", &message).expect(503);
        assert!(
            refused.header("retry-after").is_some(),
            "{name}: {}",
            refused.text
        );
        assert!(
            refused.json()["detail"].as_str().unwrap().contains("Try again"),
            "{}",
            refused.text
        );
        let (kind, state) = if name == "no space" {
            ("/problems/storage-full", "full")
        } else {
            ("/problems/unavailable", "failing")
        };
        assert_eq!(refused.json()["type"], kind, "{name}");
        // The console says so on every page.
        assert_eq!(
            http.get("/api/v1/session").expect(200).json()["server"]["storage"],
            state,
            "{name}"
        );
        // What is there can be read meanwhile, and whoever watches is told.
        http.get("/api/v1/messages").expect(200);
        http.get("/healthz").expect(200);
        let ready = http.get("/readyz").expect(503);
        assert!(ready.text.contains("no writes"), "{name}: {}", ready.text);

        if name == "no space" {
            // A power cut on top of it.
            server.kill();
            disk.is_mended();
            server.start_again();
        } else {
            disk.is_mended();
        }
        sink.relent();
        eventually(&format!("{name}: it accepts again by itself"), || {
            let mut smtp = server.signed_in(ALICE);
            (submit(&mut smtp, &address("after")).code() == 250).then_some(())
        });
        accepted.push(address("after"));
        for to in &accepted {
            sink.wait_for_recipient(to);
        }
        eventually(&format!("{name}: the console says no more"), || {
            let mut again = server.http();
            again.bearer.clone_from(&http.bearer);
            (again.get("/api/v1/session").expect(200).json()["server"]["storage"] == "fine").then_some(())
        });
        eventually(&format!("{name}: it is ready again"), || {
            (server.http().get("/readyz").status == 200).then_some(())
        });
        http = {
            let mut again = server.http();
            again.bearer = http.bearer.take();
            again
        };
        eventually(&format!("{name}: nothing waits"), || {
            let list = http.get("/api/v1/messages?state=queued").expect(200).json();
            let deferred = http.get("/api/v1/messages?state=deferred").expect(200).json();
            let none = |list: &serde_json::Value| list["items"].as_array().is_some_and(Vec::is_empty);
            (none(&list) && none(&deferred)).then_some(())
        });
    }
    // Once each, but for what was in flight when the power went: its receiver's yes had nowhere to be written.
    for to in &accepted {
        let arrived = sink.arrived();
        let times = arrived.iter().filter(|mail| mail.recipients.contains(to)).count();
        let most = if to == "flying-no-space@sink.example" {
            2
        } else {
            1
        };
        assert!((1..=most).contains(&times), "{to} arrived {times} times");
    }
}
