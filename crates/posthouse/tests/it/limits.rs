//! An account's daily limits at every door: what is over them is refused for the day, and no node gives more.

use std::time::Duration;

use serde_json::{Value, json};

use crate::both_engines;
use crate::harness::engine::postgres_is_here;
use crate::harness::http::Http;
use crate::harness::{Engine, PASSWORD, Posthouse, Smtp};

const ALICE: &str = "alice@example.com";

fn server(engine: Engine) -> (Posthouse, Http) {
    let server = Posthouse::on(engine)
        .moving_clock()
        .set("http.public_url", "\"https://mail.example.com\"")
        .set("delivery.route", "\"capture\"")
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

/// Sends to these people one after the other in one message; the answers to each RCPT and to the message.
fn send(smtp: &mut Smtp, to: std::ops::Range<usize>) -> (Vec<String>, String) {
    smtp.mail(ALICE).expect("250");
    let answers = to
        .map(|n| smtp.rcpt(&format!("person{n}@there.example")).0)
        .collect();
    let go = smtp.command("DATA").0;
    if !go.starts_with("354") {
        smtp.command("RSET");
        return (answers, go);
    }
    let text = format!("From: {ALICE}\r\nSubject: Hello\r\n\r\nHello\r\n.\r\n");
    smtp.send(text.as_bytes());
    (answers, smtp.reply().0)
}

fn used(http: &Http, account: &str) -> (u64, u64) {
    let day = http
        .get(&format!("/api/v1/accounts/{account}/limits"))
        .expect(200)
        .json();
    let number = |name: &str| day[name].as_u64().unwrap();
    (number("recipients_used"), number("first_time_used"))
}

fn message(to: &[String]) -> Value {
    json!({"from": ALICE, "to": to, "subject": "Hello", "text": "Hello"})
}

both_engines! {
    fn each_recipient_over_the_limit_is_refused_for_the_day_and_the_others_go_through(engine) {
        let (server, operator) = server(engine);
        let alice = operator.account_id(ALICE);
        let limits = json!({"recipients": 5, "first_time": 3});
        let set = operator.request("PUT", &format!("/api/v1/accounts/{alice}/limits"), Some(&limits)).expect(200).json();
        assert_eq!((&set["recipients"], &set["own"]["first_time"]), (&json!(5), &json!(3)));
        let mut smtp = server.signed_in(ALICE);
        let (answers, last) = send(&mut smtp, 0..4);
        assert!(answers[..3].iter().all(|answer| answer.starts_with("250 2.1.5")), "{answers:?}");
        assert!(answers[3].starts_with("450 4.7.1 The account may write to 3 recipients a day that it never wrote to"));
        assert!(answers[3].contains("https://mail.example.com/help/sending-limits"), "{answers:?}");
        assert!(last.starts_with("250 2.0.0"), "{last}");
        assert_eq!(used(&operator, &alice), (3, 3));
        let (answers, last) = send(&mut smtp, 0..3);
        assert!(answers[1].starts_with("250") && answers[2].starts_with("450 4.7.1 The account may write to 5 recipients a day"));
        assert!(last.starts_with("250 2.0.0"), "{last}");
        assert_eq!(used(&operator, &alice), (5, 3));
        // The other door says the same in its own words, and when to come back.
        let mut http = server.http();
        http.sign_in(ALICE, PASSWORD);
        let to = ["person0@there.example".to_owned()];
        let refused = http.post("/api/v1/messages", &message(&to)).expect(429);
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=86_400).contains(&wait), "{wait}");
        assert_eq!(refused.json()["type"], "/problems/day-used-up");
        let own = http.get("/api/v1/account/limits").expect(200).json();
        assert_eq!((&own["recipients_used"], &own["first_time_used"]), (&json!(5), &json!(3)));
        http.request("PUT", &format!("/api/v1/accounts/{alice}/limits"), Some(&limits)).expect(403);
        server.pass(Duration::from_hours(24));
        http.sign_in(ALICE, PASSWORD);
        http.post("/api/v1/messages", &message(&to)).expect(202);
        // The operator's word counts at once, on a connection that is open too.
        let said = server.cli(&["account", "limits", ALICE, "--recipients", "none", "--first-time", "none"], "");
        assert!(said.contains("no limit"), "{said}");
        let mut smtp = server.signed_in(ALICE);
        let (answers, last) = send(&mut smtp, 0..40);
        assert!(answers.iter().all(|answer| answer.starts_with("250")) && last.starts_with("250"), "{answers:?} {last}");
    }
}

#[test]
fn two_nodes_give_an_account_one_day() {
    if !postgres_is_here("two_nodes_give_an_account_one_day") {
        return;
    }
    let (first, operator) = server(Engine::Postgres);
    let second = first.second();
    let alice = operator.account_id(ALICE);
    first.cli(
        &[
            "account",
            "limits",
            ALICE,
            "--recipients",
            "30",
            "--first-time",
            "20",
        ],
        "",
    );
    let counts: Vec<usize> = std::thread::scope(|scope| {
        let clients: Vec<_> = [&first, &second, &first, &second]
            .into_iter()
            .enumerate()
            .map(|(client, server)| {
                scope.spawn(move || {
                    let mut smtp = server.signed_in(ALICE);
                    let mut sent = 0;
                    for turn in 0..10 {
                        let to = (client * 7 + turn * 2) % 30;
                        let (answers, last) = send(&mut smtp, to..to + 2);
                        let taken = answers.iter().filter(|answer| answer.starts_with("250")).count();
                        if last.starts_with("250") {
                            sent += taken;
                        } else {
                            assert!(last.starts_with("450 4.7.1") || last.starts_with('5'), "{last}");
                        }
                    }
                    sent
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let (recipients, first_time) = used(&operator, &alice);
    assert_eq!(recipients as usize, counts.iter().sum::<usize>());
    assert!(recipients <= 30 && first_time <= 20, "{recipients} {first_time}");
    assert!(recipients == 30 || first_time == 20, "{recipients} {first_time}");
}
