//! The time that all hooks of one command, or of one message over the API, have together.

use serde_json::{Value, json};

use super::{ALICE, BOB, accepted, change, hook, hook_of, on_message, runs, script, submit};
use crate::both_engines;
use crate::harness::http::Http;
use crate::harness::{Engine, Posthouse, Receiver, Reply, Sink, eventually};

/// A server on which two receivers that say nothing use up the time of all, which is six seconds: one is waited for its own five, the next
/// for the one that is left. A script in front of them is not late because the machine is busy.
fn server(engine: Engine, sink: &Sink) -> (Posthouse, Http) {
    let server = Posthouse::on(engine)
        .environment("POSTHOUSE__WEBHOOKS__ALLOW_PRIVATE", "true")
        .set("hooks.processor_time", "\"200ms\"")
        .set("hooks.time", "\"6s\"")
        .set("hooks.time_together", "\"6s\"")
        .set("hooks.steps", "100000000")
        .route_to(sink)
        .start();
    let http = server.owner(ALICE);
    (server, http)
}

fn silent(receiver: &Receiver) -> Value {
    receiver.reply("/hook", Reply::Silence);
    json!({"kind": "http", "body": json!({"url": receiver.url("/hook"), "timeout": 5000}).to_string()})
}

fn outcome(http: &Http, id: &str, count: usize) -> Value {
    runs(http, id, count).remove(0)["outcome"].clone()
}

both_engines! {
    fn what_comes_too_late_fails_open_or_closed_as_each_says(engine) {
        let sink = Sink::start();
        let receiver = Receiver::start();
        let (server, http) = server(engine, &sink);
        let slow = [(); 2].map(|()| hook(&http, &silent(&receiver)));
        let behind = on_message(&http, "add_header('X-Behind', 'yes')");
        let rule = hook(&http, &json!({"kind": "rule", "body": json!({"rule": "require_header", "header": "X-Team"}).to_string()}));
        let mut smtp = server.signed_in(ALICE);
        accepted(&submit(&mut smtp, "X-Team: one\r\n"));
        assert!(sink.wait_for_recipient(BOB).header("X-Behind").is_empty());
        let outcomes = [&slow[0], &slow[1], &behind].map(|id| outcome(&http, id, 1));
        assert_eq!(outcomes, ["error", "busy", "busy"]);
        assert_eq!(runs(&http, &behind, 1)[0]["detail"], "all hooks together took longer than they may");
        // A rule takes no time, so nothing gets past one by being late.
        assert!(submit(&mut smtp, "").starts_with("554 5.7.1 The message lacks"));
        assert_eq!(outcome(&http, &rule, 2), "rejected");
        change(&http, &behind, &json!({"on_fault": "closed"}));
        assert!(submit(&mut smtp, "X-Team: one\r\n").starts_with("451 4.7.1 A check of this message"));
        // In front of the slow ones it has its time.
        change(&http, &behind, &json!({"position": 0}));
        accepted(&submit(&mut smtp, "X-Team: one\r\n"));
        eventually("it has the field", || sink.arrived().into_iter().find(|one| one.header("X-Behind") == ["yes"]));
    }

    fn an_account_cannot_use_up_the_time_of_the_operators_hooks(engine) {
        let sink = Sink::start();
        let receiver = Receiver::start();
        let (server, http) = server(engine, &sink);
        let operator = server.operator();
        hook_of(&operator, "?everybody=true", &json!({
            "body": "function on_message(m) if m:header('X-Bad') then reject('The operator says no.') end end",
            "on_fault": "open",
        }));
        on_message(&http, "set_header('X-Bad', '1')");
        let slow = [(); 2].map(|()| hook(&http, &silent(&receiver)));
        // What the account's own hooks wrote is judged once more, however long they took.
        let mut smtp = server.signed_in(ALICE);
        assert_eq!(submit(&mut smtp, ""), "554 5.7.1 The operator says no.");
        assert_eq!(outcome(&http, &slow[1], 1), "busy");
        // Its owner may have been told of the hook that broke.
        assert!(sink.arrived().iter().all(|mail| mail.recipients != [BOB]));
    }

    fn receivers_of_the_operator_that_are_gone_stop_no_mail_where_it_may_pass(engine) {
        let sink = Sink::start();
        let receiver = Receiver::start();
        let (server, http) = server(engine, &sink);
        let operator = server.operator();
        let mut gone = silent(&receiver);
        gone["on_fault"] = "open".into();
        let gone = [(); 3].map(|()| hook_of(&operator, "?everybody=true", &gone));
        // The account's own changes the message, so the operator's are asked once more.
        on_message(&http, "add_header('X-Own', 'yes')");
        let mut smtp = server.signed_in(ALICE);
        accepted(&submit(&mut smtp, ""));
        assert_eq!(sink.wait_for_recipient(BOB).header("X-Own"), ["yes"]);
        // The first had its own time, the second what was left of that of all, the third none.
        for (id, broke) in gone.iter().zip(["error", "time", "time"]) {
            let runs = eventually("they are asked before and after the account's own", || {
                let log = operator.get(&format!("/api/v1/hooks/{id}/runs?everybody=true")).expect(200).json();
                log["runs"].as_array().cloned().filter(|runs| runs.len() == 2)
            });
            assert!(runs.iter().all(|run| run["outcome"] == broke), "{runs:?}");
        }
        change(&operator, &format!("{}?everybody=true", gone[2]), &json!({"on_fault": "closed"}));
        assert!(submit(&mut smtp, "").starts_with("451 4.7.1 A check of this message"));
    }

    fn many_recipients_over_the_api_do_not_use_up_the_time_of_the_operators_hooks(engine) {
        let sink = Sink::start();
        let (server, http) = server(engine, &sink);
        let operator = server.operator();
        for body in [
            "function on_rcpt(m) while true do end end",
            "function on_message(m) if m:header('X-Bad') then reject('The operator says no.') end end",
        ] {
            hook_of(&operator, "?everybody=true", &json!({"body": body, "on_fault": "open"}));
        }
        let message = |recipients: usize| {
            let to: Vec<String> = (0..recipients).map(|n| format!("r{n}@sink.example")).collect();
            json!({"from": ALICE, "to": to, "subject": "Hello", "text": "Hello", "headers": {"X-Bad": "1"}})
        };
        assert_eq!(http.post("/api/v1/messages", &message(200)).status, 503);
        assert_eq!(http.post("/api/v1/messages", &message(1)).status, 403);
        assert!(sink.arrived().is_empty());
    }

    fn all_stages_of_one_message_over_the_api_share_it(engine) {
        let sink = Sink::start();
        let (_server, http) = server(engine, &sink);
        script(&http, "function on_rcpt(m) while true do end end");
        let behind = on_message(&http, "reject()");
        let to: Vec<String> = (0..200).map(|n| format!("r{n}@sink.example")).collect();
        let message = json!({"from": ALICE, "to": to, "subject": "Hello", "text": "Hello"});
        http.post("/api/v1/messages", &message).expect(202);
        assert_eq!(outcome(&http, &behind, 1), "busy");
        let one = json!({"from": ALICE, "to": [BOB], "subject": "Hello", "text": "Hello"});
        // A busy machine may need more than the seconds that all have here.
        eventually("a hook with time enough", || {
            (http.post("/api/v1/messages", &one).status == 403).then_some(())
        });
    }
}
