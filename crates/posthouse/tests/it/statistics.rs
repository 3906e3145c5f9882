//! What became of mail, counted by day, stream, domain and provider; and as sheets.

use serde_json::{Value, json};

use crate::both_engines;
use crate::harness::http::Http;
use crate::harness::{Act, PASSWORD, Posthouse, Sink, Verb, eventually};

const ALICE: &str = "alice@example.com";

fn signed_in(server: &Posthouse, email: &str) -> Http {
    let mut http = server.http();
    http.sign_in(email, PASSWORD);
    http
}

fn send(http: &Http, to: &[&str], more: &Value) -> String {
    let mut message = json!({"from": ALICE, "to": to, "subject": "Hello", "text": "Hello"});
    for (name, value) in more.as_object().unwrap() {
        message[name] = value.clone();
    }
    let accepted = http.post("/api/v1/messages", &message).expect(202).json();
    accepted["id"].as_str().unwrap().to_owned()
}

/// The statistics once this many recipients were delivered or bounced.
fn counted(http: &Http, query: &str, ended: u64) -> Value {
    eventually(&format!("{ended} ends are counted"), || {
        let told = http.get(&format!("/api/v1/statistics{query}")).expect(200).json();
        let total = &told["total"];
        let sum = total["delivered"].as_u64().unwrap() + total["bounced"].as_u64().unwrap();
        (sum >= ended).then_some(told)
    })
}

fn item<'a>(told: &'a Value, name: &str) -> &'a Value {
    let items = told["items"].as_array().unwrap();
    items
        .iter()
        .find(|one| one["name"] == name)
        .unwrap_or_else(|| panic!("no {name}: {told}"))
}

both_engines! {
    fn everything_is_counted_once_by_day_stream_domain_and_provider(engine) {
        let sink = Sink::start();
        sink.always(Verb::Rcpt, "gone@", Act::reply("550 5.1.1 Nobody of this name"));
        let mut server = Posthouse::on(engine).route_to(&sink).start();
        for account in [ALICE, "bob@example.com"] {
            server.create_account(account);
        }
        let alice = signed_in(&server, ALICE);
        alice.post("/api/v1/suppressions", &json!({"address": "no@example.net"})).expect(201);
        send(&alice, &["a@example.net", "b@example.net", "no@example.net"], &json!({}));
        send(&alice, &["gone@example.org"], &json!({"stream": "marketing"}));
        let told = counted(&alice, "", 3);
        let today = server.now().rfc3339()[..10].to_owned();
        assert_eq!(told["items"].as_array().unwrap().len(), 30);
        let day = item(&told, &today);
        assert_eq!((&day["accepted"], &day["delivered"], &day["bounced"]), (&json!(4), &json!(2), &json!(1)), "{day}");
        assert_eq!((&day["suppressed"], &day["bounces"]), (&json!(1), &json!({"unknown_mailbox": 1})));
        let streams = counted(&alice, "?by=stream", 3);
        assert_eq!(item(&streams, "transactional")["delivered"], 2);
        assert_eq!(item(&streams, "marketing")["bounced"], 1);
        let domains = counted(&alice, "?by=domain", 3);
        assert_eq!(item(&domains, "example.com")["accepted"], 4);
        // No host of a name answers in a test, so the recipients' domains stand for providers.
        let providers = counted(&alice, "?by=provider", 3);
        assert_eq!((&item(&providers, "example.net")["delivered"], &item(&providers, "example.org")["bounced"]), (&json!(2), &json!(1)));
        let bob = signed_in(&server, "bob@example.com");
        assert_eq!(bob.get("/api/v1/statistics?by=stream").expect(200).json()["items"], json!([]));
        // A new start goes on where the last one was.
        server.stop();
        server.start_again();
        let alice = signed_in(&server, ALICE);
        send(&alice, &["c@example.net"], &json!({}));
        let total = &counted(&alice, "", 4)["total"];
        assert_eq!((&total["delivered"], &total["accepted"], &total["suppressed"]), (&json!(3), &json!(5), &json!(1)));
        let sheet = alice.get("/api/v1/statistics/export?by=stream").expect(200);
        assert!(sheet.header("content-type").unwrap().starts_with("text/csv"));
        assert!(sheet.text.contains("\r\ntransactional,4,3,0,0,"), "{}", sheet.text);
    }

    fn the_days_that_are_asked_for_have_bounds(engine) {
        let server = Posthouse::on(engine).start();
        server.create_account(ALICE);
        let alice = signed_in(&server, ALICE);
        let one = alice.get("/api/v1/statistics?from=2026-01-31&to=2026-01-31").expect(200).json();
        assert_eq!(one["items"].as_array().unwrap().len(), 1);
        for bad in ["?from=2026-02-30", "?from=2026-01-02&to=2026-01-01", "?from=2024-01-01&to=2026-01-01", "?to=today"] {
            alice.get(&format!("/api/v1/statistics{bad}")).expect(422);
        }
        alice.get("/api/v1/statistics?by=nothing").expect(422);
    }

    fn a_search_is_exported_with_each_recipient_and_no_cell_is_a_formula(engine) {
        let sink = Sink::start();
        sink.always(Verb::Rcpt, "gone@", Act::reply("550 5.1.1 Nobody of this name"));
        let server = Posthouse::on(engine).route_to(&sink).start();
        for account in [ALICE, "bob@example.com"] {
            server.create_account(account);
        }
        let alice = signed_in(&server, ALICE);
        send(&alice, &["a@example.net", "gone@example.net"], &json!({"subject": "=1+1", "tags": ["order"]}));
        for n in 0..60 {
            send(&alice, &[&format!("r{n}@example.org")], &json!({}));
        }
        counted(&alice, "", 62);
        let sheet = |http: &Http, query: &str| http.get(&format!("/api/v1/messages/export{query}")).expect(200).text;
        let all = sheet(&alice, "");
        let own = all.lines().filter(|line| !line.contains("MAILER-DAEMON"));
        assert_eq!(own.count(), 63, "a heading and a line for each recipient, over more than a page");
        let tagged = sheet(&alice, "?tag=order");
        assert_eq!(tagged.lines().count(), 3);
        assert!(tagged.contains(",\"'=1+1\","), "{tagged}");
        let bounced = sheet(&alice, "?class=unknown_mailbox");
        assert_eq!(bounced.lines().count(), 2);
        assert!(bounced.contains(",gone@example.net,bounced,unknown_mailbox,"), "{bounced}");
        let listed = alice.get("/api/v1/messages?class=unknown_mailbox").expect(200).json();
        assert_eq!(listed["items"].as_array().unwrap().len(), 1);
        alice.get("/api/v1/messages?class=nothing").expect(422);
        let found = alice.get("/api/v1/messages?q=R7@example.org").expect(200).json();
        assert_eq!(found["items"].as_array().unwrap().len(), 1, "{found}");
        let bob = signed_in(&server, "bob@example.com");
        assert_eq!(sheet(&bob, "").lines().count(), 1);
        // An operator's sheet is of their own mail too.
        assert_eq!(sheet(&bob, "?all=true").lines().count(), 1);
    }

    fn what_failed_is_listed_page_by_page_each_message_once(engine) {
        let sink = Sink::start();
        sink.always(Verb::Rcpt, "gone", Act::reply("550 5.1.1 Nobody of this name"));
        let server = Posthouse::on(engine).route_to(&sink).start();
        server.create_account(ALICE);
        let alice = signed_in(&server, ALICE);
        let failed: Vec<String> = (0..3)
            .map(|n| send(&alice, &[&format!("gone{n}a@example.net"), &format!("gone{n}b@example.net")], &json!({"tags": ["t"]})))
            .collect();
        send(&alice, &["a@example.net"], &json!({}));
        counted(&alice, "", 7);
        let listed = |query: &str| -> (Vec<String>, Value) {
            let page = alice.get(&format!("/api/v1/messages?{query}")).expect(200).json();
            let ids = page["items"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned());
            (ids.collect(), page["next"].clone())
        };
        for which in ["state=bounced", "class=unknown_mailbox", "state=bounced&class=unknown_mailbox", "state=bounced&tag=t"] {
            let (first, next) = listed(&format!("{which}&limit=2"));
            assert_eq!(first, [failed[2].clone(), failed[1].clone()], "{which}");
            let (rest, end) = listed(&format!("{which}&limit=2&after={}", next.as_str().unwrap()));
            assert_eq!((rest, end), (vec![failed[0].clone()], Value::Null), "{which}");
            let (oldest, _) = listed(&format!("{which}&limit=2&sort=oldest"));
            assert_eq!(oldest, failed[..2], "{which}");
            assert!(listed(&format!("{which}&until=2026-01-01T00:00:00Z")).0.is_empty(), "{which}");
        }
    }
}
