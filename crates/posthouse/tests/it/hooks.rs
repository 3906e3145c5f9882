//! Event hooks: what a script or a rule says, over SMTP and the API, and what a hostile one cannot do.

mod footer;
mod nodes;
mod together;

use std::time::Duration;

use serde_json::{Value, json};

use crate::both_engines;
use crate::dkim::{add_domain, judged_by_dkimpy};
use crate::harness::http::Http;
use crate::harness::server::Setup;
use crate::harness::smtp::Smtp;
use crate::harness::{Engine, PASSWORD, Posthouse, Receiver, Reply, Sink, eventually};
use crate::webhooks::verified;

const ALICE: &str = "alice@example.com";
const BOB: &str = "bob@example.net";
const CAROL: &str = "carol@example.org";

/// With the most time that scripts can have: none is ended because a busy machine kept its thread waiting.
pub fn unhurried(setup: Setup) -> Setup {
    setup
        .set("hooks.time", "\"30s\"")
        .set("hooks.processor_time", "\"5s\"")
        .set("hooks.time_together", "\"1m\"")
}

fn setup(engine: Engine, sink: &Sink) -> Setup {
    Posthouse::on(engine)
        .environment("POSTHOUSE__WEBHOOKS__ALLOW_PRIVATE", "true")
        .moving_clock()
        .route_to(sink)
}

fn server(engine: Engine, sink: &Sink) -> (Posthouse, Http) {
    let server = unhurried(setup(engine, sink)).start();
    let http = server.owner(ALICE);
    (server, http)
}

/// Makes a hook of the account; its id.
fn hook(http: &Http, more: &Value) -> String {
    hook_of(http, "", more)
}

fn hook_of(http: &Http, whose: &str, more: &Value) -> String {
    let mut hook = json!({"name": "A hook", "kind": "script"});
    for (name, value) in more.as_object().unwrap() {
        hook[name] = value.clone();
    }
    let made = http
        .post(&format!("/api/v1/hooks{whose}"), &hook)
        .expect(201)
        .json();
    made["id"].as_str().unwrap().to_owned()
}

fn script(http: &Http, body: &str) -> String {
    hook(http, &json!({"body": body}))
}

fn on_message(http: &Http, body: &str) -> String {
    script(http, &format!("function on_message(m)\n{body}\nend"))
}

fn change(http: &Http, id: &str, change: &Value) -> Value {
    http.request("PATCH", &format!("/api/v1/hooks/{id}"), Some(change))
        .expect(200)
        .json()
}

fn remove(http: &Http, id: &str) {
    http.delete(&format!("/api/v1/hooks/{id}")).expect(204);
}

fn text(more: &str) -> String {
    format!("From: {ALICE}\r\nTo: {BOB}\r\nSubject: Hello\r\n{more}\r\nHello\r\n")
}

fn submit(smtp: &mut Smtp, more: &str) -> String {
    smtp.submit(ALICE, &[BOB], text(more).as_bytes())
        .0
        .trim_end()
        .to_owned()
}

/// The id in a 250.
fn accepted(answer: &str) -> String {
    assert!(answer.starts_with("250 2.0.0 Accepted as "), "{answer}");
    answer.rsplit(' ').next().unwrap().to_owned()
}

fn told(http: &Http, id: &str) -> Value {
    http.get(&format!("/api/v1/messages/{id}")).expect(200).json()
}

fn credits(http: &Http) -> i64 {
    http.get("/api/v1/account").expect(200).json()["credits"]
        .as_i64()
        .unwrap()
}

/// The runs of a hook once there are so many.
fn runs(http: &Http, id: &str, count: usize) -> Vec<Value> {
    eventually("the runs are written", || {
        let log = http.get(&format!("/api/v1/hooks/{id}/runs")).expect(200).json();
        let runs = log["runs"].as_array().unwrap().clone();
        (runs.len() >= count).then_some(runs)
    })
}

both_engines! {
    fn a_script_is_told_that_it_does_not_see_all_of_a_message(engine) {
        let sink = Sink::start();
        let (server, http) = server(engine, &sink);
        on_message(&http, "for _, part in m:parts() do if part.cut then add_header('X-Cut', part.type) end end\n\
            if not m:complete() then reject('Too much to look at.') end");
        let mut smtp = server.signed_in(ALICE);
        accepted(&submit(&mut smtp, ""));
        let line = "0123456789 and so on, up to the end of this line.\r\n";
        let long = format!("From: {ALICE}\r\nTo: {BOB}\r\nSubject: Hello\r\n\r\n{}", line.repeat(6_000));
        assert_eq!(smtp.submit(ALICE, &[BOB], long.as_bytes()).0.trim_end(), "554 5.7.1 Too much to look at.");
        let test = |message: &str| {
            let body = "function on_message(m) print(m:parts()[1].cut, m:complete()) end";
            let asked = json!({"kind": "script", "body": body, "message": message});
            http.post("/api/v1/hooks/test", &asked).expect(200).json()["log"].clone()
        };
        assert_eq!(test(&text("Content-Transfer-Encoding: x-uuencode\r\n")), json!(["true false"]));
        assert_eq!(test(&text("")), json!(["false true"]));
    }

    fn a_hook_is_not_tried_at_a_stage_where_nobody_asks_it(engine) {
        let sink = Sink::start();
        let (_server, http) = server(engine, &sink);
        for (kind, body, stage, only) in [
            ("script", "function on_rcpt(m) end function on_mail(m) end", "message", "mail, rcpt"),
            ("rule", r#"{"rule": "block_recipients", "patterns": ["@there.example"]}"#, "mail", "rcpt"),
        ] {
            let asked = json!({"kind": kind, "body": body, "stage": stage, "message": text("")});
            let refused = http.post("/api/v1/hooks/test", &asked).expect(422).json();
            let said = format!("It is not asked at {stage}, only at: {only}.");
            assert_eq!(refused["errors"], json!([{"field": "stage", "message": said}]));
        }
    }

    fn no_address_of_the_process_reaches_a_log_or_a_trace(engine) {
        let sink = Sink::start();
        let (server, http) = server(engine, &sink);
        let mut smtp = server.signed_in(ALICE);
        for (body, outcome) in [
            ("print({}, print, tostring(m), m.parts, string.format('%s', m))", "passed"),
            ("error(setmetatable({}, {__type = 'here'}))", "error"),
            ("error(print)", "error"),
            ("add_header('X-Where', tostring(m))", "passed"),
        ] {
            let id = on_message(&http, body);
            accepted(&submit(&mut smtp, ""));
            let run = runs(&http, &id, 1).remove(0);
            assert_eq!(run["outcome"], outcome, "{run}");
            assert!(!run.to_string().contains("0x"), "{run}");
            let asked = json!({"kind": "script", "body": format!("function on_message(m) {body} end"), "message": text("")});
            let trace = http.post("/api/v1/hooks/test", &asked).expect(200).json();
            assert!(!trace.to_string().contains("0x"), "{trace}");
            remove(&http, &id);
        }
        let arrived = eventually("the last one arrives", || sink.arrived().into_iter().find(|one| !one.header("X-Where").is_empty()));
        assert_eq!(arrived.header("X-Where"), ["table"]);
    }

    fn a_script_refuses_in_exactly_its_words_at_each_stage(engine) {
        let sink = Sink::start();
        let (server, http) = server(engine, &sink);
        let id = on_message(&http, "if m.subject == 'Hello' then reject() end");
        let mut smtp = server.signed_in(ALICE);
        assert_eq!(submit(&mut smtp, ""), "554 5.7.1 Rejected");
        // A change counts in a session that is open.
        for (body, answer) in [
            ("reject('Not today.')", "554 5.7.1 Not today."),
            ("reject('one\\r\\n250 two')", "554 5.7.1 one 250 two"),
            ("defer()", "451 4.7.1 Deferred, try again later"),
            ("defer('Come back at nine.')", "451 4.7.1 Come back at nine."),
        ] {
            change(&http, &id, &json!({"body": format!("function on_message(m) {body} end")}));
            assert_eq!(submit(&mut smtp, ""), answer);
        }
        change(&http, &id, &json!({"body": "function on_mail(m) if m.from == 'alice@example.com' then reject('Not you.') end end"}));
        assert_eq!(smtp.mail(ALICE).0.trim_end(), "554 5.7.1 Not you.");
        change(&http, &id, &json!({"body": format!("function on_rcpt(m) if m.recipient == '{BOB}' then reject() end end")}));
        smtp.mail(ALICE).expect("250");
        assert_eq!(smtp.rcpt(BOB).0.trim_end(), "554 5.7.1 Rejected");
        smtp.rcpt(CAROL).expect("250");
        accepted(smtp.data(text("").as_bytes()).0.trim_end());
        sink.wait_for_recipient(CAROL);
        change(&http, &id, &json!({"enabled": false}));
        accepted(&submit(&mut smtp, ""));
        sink.wait_for_recipient(BOB);
    }

    fn the_api_meets_the_same_hooks(engine) {
        let sink = Sink::start();
        let (_server, http) = server(engine, &sink);
        let message = json!({"from": ALICE, "to": [BOB], "subject": "Hello", "text": "Hello"});
        for body in [
            "function on_mail(m) if m.via == 'api' then reject('Not by the API.') end end",
            "function on_rcpt(m) reject('Not by the API.') end",
            "function on_message(m) reject('Not by the API.') end",
        ] {
            let id = script(&http, body);
            let refused = http.post("/api/v1/messages", &message);
            assert!(refused.status == 422 || refused.status == 403, "{}", refused.status);
            assert!(refused.json()["detail"].as_str().unwrap().contains("Not by the API."), "{}", refused.json());
            remove(&http, &id);
        }
        http.post("/api/v1/messages", &message).expect(202);
        let other = "zoe@example.net";
        script(&http, "function on_rcpt(m) if m.recipient ~= 'zoe@example.net' then reject('Not to them.') end end");
        let to_both = json!({"from": ALICE, "to": [other], "bcc": [BOB], "subject": "Hello", "text": "Hello"});
        let refused = http.post("/api/v1/messages", &to_both).expect(403).json();
        assert_eq!(refused["detail"], format!("{BOB}: Not to them."));
    }

    fn what_is_discarded_is_taken_and_reaches_nobody(engine) {
        let sink = Sink::start();
        let (server, http) = server(engine, &sink);
        let id = on_message(&http, "if m:header('X-Test') then discard() end");
        let before = credits(&http);
        let mut smtp = server.signed_in(ALICE);
        let gone = accepted(&submit(&mut smtp, "X-Test: 1\r\n"));
        let sent = accepted(&submit(&mut smtp, ""));
        let shown = told(&http, &gone);
        assert_eq!(shown["recipients"][0]["state"], "cancelled");
        assert_eq!(shown["recipients"][0]["reason"], "discarded by the hook A hook");
        assert_eq!(shown["events"][0]["data"]["discarded"], "A hook");
        eventually("the other one is delivered", || (told(&http, &sent)["recipients"][0]["state"] == "delivered").then_some(()));
        assert_eq!((sink.arrived().len(), credits(&http)), (1, before - 1));
        assert_eq!(runs(&http, &id, 2)[1]["outcome"], "discarded");
    }

    fn what_it_changes_is_stored_signed_and_sent(engine) {
        let sink = Sink::start();
        let (server, http) = server(engine, &sink);
        let records = add_domain(&server);
        http.post("/api/v1/streams", &json!({"slug": "news", "name": "News", "kind": "marketing"})).expect(201);
        on_message(&http, "tag('Checked') route('news') set_header('Subject', 'Grüße') set_header('X-Old', 'new') add_header('X-Seen', 'yes')");
        // The second one finds what the first one left.
        on_message(&http, "if m.subject == 'Grüße' and m.tags[2] == 'checked' and m.stream == 'news' then add_header('X-Seen', 'twice') end");
        let mut smtp = server.signed_in(ALICE);
        let id = accepted(&submit(&mut smtp, "X-Old: 1\r\nX-Old: 2\r\nX-Posthouse-Tag: order\r\n"));
        let arrived = sink.wait_for(1).remove(0);
        assert_eq!(arrived.header("X-Old"), ["new"]);
        assert_eq!(arrived.header("X-Seen"), ["twice", "yes"]);
        assert_eq!(judged_by_dkimpy(&arrived.bytes, &records).len(), 2);
        assert!(judged_by_dkimpy(&arrived.bytes, &records).iter().all(|one| one.ends_with("pass")));
        let shown = told(&http, &id);
        assert_eq!((&shown["subject"], &shown["stream"], &shown["tags"]), (&json!("Grüße"), &json!("news"), &json!(["order", "checked"])));
    }

    fn a_hook_cannot_make_somebody_else_the_sender(engine) {
        let sink = Sink::start();
        let (server, http) = server(engine, &sink);
        on_message(&http, "set_header('From', 'ceo@bank.example')");
        let mut smtp = server.signed_in(ALICE);
        assert!(submit(&mut smtp, "").starts_with("550 5.7.1"));
    }

    fn a_broken_script_fails_open_or_closed_and_says_so(engine) {
        let sink = Sink::start();
        let (server, http) = server(engine, &sink);
        let id = on_message(&http, "print('so far')\nlocal x = m.nothing.at_all");
        let mut smtp = server.signed_in(ALICE);
        accepted(&submit(&mut smtp, ""));
        change(&http, &id, &json!({"on_fault": "closed"}));
        let refused = submit(&mut smtp, "");
        assert!(refused.starts_with("451 4.7.1 A check of this message is not possible at the moment"), "{refused}");
        let runs = runs(&http, &id, 2);
        assert_eq!((&runs[0]["outcome"], &runs[0]["line"], &runs[0]["log"]), (&json!("error"), &json!(3), &json!("so far\n")));
        let shown = http.get(&format!("/api/v1/hooks/{id}")).expect(200).json();
        assert_eq!((&shown["hook"]["today"]["failed"], &shown["hook"]["today"]["runs"]), (&json!(2), &json!(2)));
        change(&http, &id, &json!({"body": "function on_message(m) route('nowhere') end"}));
        assert!(submit(&mut smtp, "").starts_with("451 4.7.1"));
    }

    fn hostile_scripts_stop_and_another_account_sends_on(engine) {
        let sink = Sink::start();
        // Under the limits of a server that sets none.
        let server = setup(engine, &sink).start();
        let http = server.owner(ALICE);
        server.create_account(BOB);
        let mut neighbour = server.http();
        neighbour.sign_in(BOB, PASSWORD);
        let mut smtp = server.signed_in(ALICE);
        for body in [
            "while true do end",
            "while true do pcall(function() while true do end end) end",
            "local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end",
            "return (('a'):rep(8000000)):find(('a'):rep(4000000) .. 'b', 1, true)",
            "local function f() return 1 + f() end f()",
            "return string.rep('x', 2^30)",
            "table.move({}, 1, 2^31 - 2, 2)",
            "while true do (('('):rep(2000000)):find('%b()') end",
            "while true do (('a'):rep(260000)):find('[%d%d%d%d%d%d%d%d%d%d%d%d]*z') end",
        ] {
            let id = hook(&http, &json!({"body": format!("function on_message(m) {body} end"), "on_fault": "closed"}));
            let mut attackers: Vec<Smtp> = (0..6).map(|_| server.signed_in(ALICE)).collect();
            for attacker in &mut attackers {
                attacker.mail(ALICE).expect("250");
                attacker.rcpt(BOB).expect("250");
                attacker.command("DATA").expect("354");
                attacker.send(format!("{}.\r\n", text("")).as_bytes());
            }
            let from_bob = format!("From: {BOB}\r\nTo: {CAROL}\r\nSubject: Hello\r\n\r\nHello\r\n");
            accepted(server.signed_in(BOB).submit(BOB, &[CAROL], from_bob.as_bytes()).0.trim_end());
            for attacker in &mut attackers {
                attacker.reply().expect("451 4.7.1");
            }
            remove(&http, &id);
        }
        accepted(&submit(&mut smtp, ""));
        // Beside what tells Alice that her hooks break.
        let mails = || sink.arrived().iter().filter(|one| one.recipients != [ALICE]).count();
        eventually("all mail is there", || (mails() >= 10).then_some(()));
        assert_eq!(mails(), 10);
    }

    fn rules_do_the_usual_without_a_script(engine) {
        let sink = Sink::start();
        let (server, http) = server(engine, &sink);
        let rule = |rule: &Value| hook(&http, &json!({"kind": "rule", "body": rule.to_string()}));
        let mut smtp = server.signed_in(ALICE);
        let id = rule(&json!({"rule": "block_recipients", "patterns": ["@example.net"], "text": "Not to them."}));
        smtp.mail(ALICE).expect("250");
        assert_eq!(smtp.rcpt("Bob@EXAMPLE.net").0.trim_end(), "554 5.7.1 Not to them.");
        smtp.rcpt(CAROL).expect("250");
        smtp.command("RSET").expect("250");
        remove(&http, &id);
        let id = rule(&json!({"rule": "max_recipients", "recipients": 1}));
        smtp.mail(ALICE).expect("250");
        smtp.rcpt(CAROL).expect("250");
        smtp.rcpt(BOB).expect("554 5.7.1 The message has more recipients");
        smtp.command("RSET").expect("250");
        remove(&http, &id);
        for (asked, bad, good) in [
            (json!({"rule": "require_tag", "tags": ["order"]}), "", "X-Posthouse-Tag: Order\r\n"),
            (json!({"rule": "require_header", "header": "X-Team"}), "", "X-Team: one\r\n"),
            (json!({"rule": "max_size", "octets": 300}), "X-Long: 0123456789012345678901234567890123456789012345678901234567890123456789\r\nX-More: 0123456789012345678901234567890123456789012345678901234567890123456789\r\nX-Most: 0123456789012345678901234567890123456789012345678901234567890123456789\r\n", ""),
        ] {
            let id = rule(&asked);
            assert!(submit(&mut smtp, bad).starts_with("554 5.7.1 The message "), "{asked}");
            accepted(&submit(&mut smtp, good));
            remove(&http, &id);
        }
        rule(&json!({"rule": "route", "subject": "hello", "stream": "marketing"}));
        let routed = accepted(&submit(&mut smtp, ""));
        assert_eq!(told(&http, &routed)["stream"], "marketing");
        let bad = http.post("/api/v1/hooks", &json!({"name": "x", "kind": "rule", "body": "{\"rule\": \"max_size\", \"octets\": 0}"})).expect(422).json();
        assert_eq!(bad["errors"][0]["field"], "body");
    }

    fn the_operators_hooks_come_first_and_for_everybody_on_every_node(engine) {
        let sink = Sink::start();
        let (server, http) = server(engine, &sink);
        server.create_account(BOB);
        let operator = server.operator();
        for refused in [
            http.get("/api/v1/hooks?everybody=true"),
            http.post("/api/v1/hooks?everybody=true", &json!({"name": "x", "kind": "script", "body": "function on_mail(m) end"})),
        ] {
            refused.expect(403);
        }
        let first = on_message(&http, "reject('The account says no.')");
        let id = hook_of(&operator, "?everybody=true", &json!({"body": "function on_message(m) if m:header('X-Bad') then reject('The operator says no.') end end"}));
        http.get(&format!("/api/v1/hooks/{id}")).expect(404);
        http.get(&format!("/api/v1/hooks/{id}?everybody=true")).expect(403);
        let mut smtp = server.signed_in(ALICE);
        assert_eq!(submit(&mut smtp, "X-Bad: 1\r\n"), "554 5.7.1 The operator says no.");
        assert_eq!(submit(&mut smtp, ""), "554 5.7.1 The account says no.");
        // What the account's own hook writes is judged as well.
        on_message(&http, "set_header('X-Bad', '1')");
        change(&http, &first, &json!({"enabled": false}));
        assert_eq!(submit(&mut smtp, ""), "554 5.7.1 The operator says no.");
        let from_bob = format!("From: {BOB}\r\nTo: {CAROL}\r\nX-Bad: 1\r\n\r\nHello\r\n");
        assert_eq!(server.signed_in(BOB).submit(BOB, &[CAROL], from_bob.as_bytes()).0.trim_end(), "554 5.7.1 The operator says no.");
    }

    fn saves_are_versions_that_come_back(engine) {
        let sink = Sink::start();
        let (_server, http) = server(engine, &sink);
        let id = on_message(&http, "reject('one')");
        for n in 0..52 {
            change(&http, &id, &json!({"body": format!("function on_message(m) reject('{n}') end")}));
        }
        // What says the same is no new one.
        let now = change(&http, &id, &json!({"body": "function on_message(m) reject('51') end", "name": "Other"}));
        assert_eq!((&now["version"], &now["name"]), (&json!(53), &json!("Other")));
        let versions = http.get(&format!("/api/v1/hooks/{id}/versions")).expect(200).json();
        let versions = versions["items"].as_array().unwrap();
        assert_eq!((versions.len(), &versions[0]["version"], &versions[0]["who"]), (50, &json!(53), &json!(ALICE)));
        assert_eq!(change(&http, &id, &json!({"restore": 10}))["version"], 54);
        let shown = http.get(&format!("/api/v1/hooks/{id}")).expect(200).json();
        assert_eq!(shown["body"], "function on_message(m) reject('8') end");
        http.request("PATCH", &format!("/api/v1/hooks/{id}"), Some(&json!({"restore": 1}))).expect(404);
        let broken = http.request("PATCH", &format!("/api/v1/hooks/{id}"), Some(&json!({"body": "function on_message(m)\nif\nend"}))).expect(422).json();
        assert!(broken["errors"][0]["message"].as_str().unwrap().starts_with("line "), "{broken}");
        let log = http.get("/api/v1/account/audit?what=hook").expect(200).json();
        assert_eq!(log["items"][0]["action"], "hook.changed");
        for n in 0..19 {
            script(&http, &format!("function on_mail(m) print({n}) end"));
        }
        http.post("/api/v1/hooks", &json!({"name": "x", "kind": "script", "body": "function on_mail(m) end"})).expect(409);
        let moved = http.get("/api/v1/hooks").expect(200).json();
        let last = moved["items"][19]["id"].as_str().unwrap().to_owned();
        change(&http, &last, &json!({"position": 0}));
        assert_eq!(http.get("/api/v1/hooks").expect(200).json()["items"][0]["id"], last.as_str());
    }

    fn a_test_run_shows_what_would_happen_and_does_nothing(engine) {
        let sink = Sink::start();
        let server = unhurried(setup(engine, &sink)).set("hooks.steps", "100000").start();
        let http = server.owner(ALICE);
        let test = |more: &Value| {
            let mut asked = json!({"kind": "script"});
            for (name, value) in more.as_object().unwrap() {
                asked[name] = value.clone();
            }
            http.post("/api/v1/hooks/test", &asked)
        };
        let pasted = "From: x@y.example\nSubject: Hi\n\nHello\n";
        let trace = test(&json!({"body": "function on_message(m) print(m.from, m.subject) tag('a') set_header('X-A', 'b') reject('No.') end", "message": pasted})).expect(200).json();
        assert_eq!((&trace["outcome"], &trace["reply"]), (&json!("rejected"), &json!("554 5.7.1 No.")));
        assert_eq!((&trace["log"], &trace["actions"]), (&json!(["x@y.example Hi"]), &json!(["tag a", "set header X-A: b"])));
        assert!(trace["memory"].as_u64().unwrap() > 0);
        let trace = test(&json!({"body": "function on_message(m)\nwhile true do end end", "message": pasted})).expect(200).json();
        assert!(trace["outcome"] == "steps" && trace["steps"].as_u64().unwrap() > 100, "{trace}");
        let trace = test(&json!({"body": "function on_rcpt(m) if m.recipient == 'b@x.example' and #m.recipients == 1 then reject() end end",
            "message": pasted, "stage": "rcpt", "recipients": ["a@x.example", "b@x.example"]})).expect(200).json();
        assert_eq!(trace["reply"], "554 5.7.1 Rejected");
        let id = accepted(&submit(&mut server.signed_in(ALICE), ""));
        let body = "function on_message(m) print(m.subject, m:parts()[1].text) end";
        let trace = test(&json!({"body": body, "message_id": id})).expect(200).json();
        assert_eq!(trace["log"], json!(["Hello Hello  "]));
        test(&json!({"body": body})).expect(422);
        test(&json!({"body": "x =", "message": pasted})).expect(422);
        server.create_account(BOB);
        let mut other = server.http();
        other.sign_in(BOB, PASSWORD);
        other.post("/api/v1/hooks/test", &json!({"kind": "script", "body": body, "message_id": id})).expect(404);
        other.get(&format!("/api/v1/hooks/{}", script(&http, "function on_mail(m) end"))).expect(404);
    }

    fn old_runs_and_figures_are_forgotten(engine) {
        let sink = Sink::start();
        let (mut server, http) = server(engine, &sink);
        let id = on_message(&http, "reject()");
        submit(&mut server.signed_in(ALICE), "");
        assert_eq!(runs(&http, &id, 1)[0]["detail"], "554 5.7.1 Rejected");
        server.pass(Duration::from_hours(8 * 24));
        let mut http = server.http();
        http.sign_in(ALICE, PASSWORD);
        let log = http.get(&format!("/api/v1/hooks/{id}/runs")).expect(200).json();
        assert_eq!((log["runs"].as_array().unwrap().len(), log["days"].as_array().unwrap().len()), (0, 1));
        // Nothing runs any more, and what is old goes all the same.
        change(&http, &id, &json!({"enabled": false}));
        server.stop();
        server.pass(Duration::from_hours(90 * 24));
        server.start_again();
        let mut http = server.http();
        http.sign_in(ALICE, PASSWORD);
        eventually("the figures go", || {
            let log = http.get(&format!("/api/v1/hooks/{id}/runs")).expect(200).json();
            log["days"].as_array().unwrap().is_empty().then_some(())
        });
    }

    fn repeating_with_a_key_is_safe_whatever_a_hook_writes(engine) {
        let sink = Sink::start();
        let (server, http) = server(engine, &sink);
        on_message(&http, "add_header('X-Random', tostring(math.random()))");
        let mut smtp = server.signed_in(ALICE);
        let first = accepted(&submit(&mut smtp, "X-Posthouse-Idempotency-Key: one\r\n"));
        assert_eq!(accepted(&submit(&mut smtp, "X-Posthouse-Idempotency-Key: one\r\n")), first);
    }

    fn a_receiver_is_asked_with_a_signature_and_decides(engine) {
        let sink = Sink::start();
        let receiver = Receiver::start();
        let (server, http) = server(engine, &sink);
        let asked = json!({"name": "Ask", "kind": "http", "body": json!({"url": receiver.url("/hook"), "timeout": 5000}).to_string()});
        let made = http.post("/api/v1/hooks", &asked).expect(201).json();
        let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
        let shown = http.get(&format!("/api/v1/hooks/{id}")).expect(200).json();
        assert_eq!(shown["hook"]["secret"], Value::Null);
        change(&http, id, &json!({"on_fault": "closed"}));
        let mut smtp = server.signed_in(ALICE);
        for (says, answer) in [
            (r#"{"action": "reject", "text": "No."}"#, "554 5.7.1 No."),
            (r#"{"action": "reject"}"#, "554 5.7.1 Rejected"),
            (r#"{"action": "defer"}"#, "451 4.7.1 Deferred, try again later"),
        ] {
            receiver.reply("/hook", Reply::Says(200, says.to_owned()));
            assert_eq!(submit(&mut smtp, ""), answer);
        }
        for broken in [Reply::Status(500), Reply::Close, Reply::Says(200, "hello".to_owned()), Reply::Redirect(receiver.url("/other"))] {
            receiver.reply("/hook", broken);
            assert!(submit(&mut smtp, "").starts_with("451 4.7.1 A check of this message"));
        }
        let does = r#"{"action": "accept", "tags": ["seen"], "headers": {"X-Seen": "yes"}, "stream": "marketing"}"#;
        receiver.reply("/hook", Reply::Says(200, does.to_owned()));
        let sent = accepted(&submit(&mut smtp, "X-Team: one\r\n"));
        assert_eq!(sink.wait_for(1)[0].header("X-Seen"), ["yes"]);
        let shown = told(&http, &sent);
        assert_eq!((&shown["stream"], &shown["tags"]), (&json!("marketing"), &json!(["seen"])));
        let call = receiver.wait_for("/hook", 8).pop().unwrap();
        let question = verified(&call, secret).unwrap();
        assert_eq!((&question["type"], &question["data"]["from"], &question["data"]["recipients"]), (&json!("hook.message"), &json!(ALICE), &json!([BOB])));
        assert_eq!(question["data"]["complete"], true);
        assert!(question["data"]["headers"].as_array().unwrap().contains(&json!(["X-Team", "one"])));
    }

    fn a_receiver_that_is_silent_keeps_only_its_own_account_waiting(engine) {
        let sink = Sink::start();
        let receiver = Receiver::start();
        receiver.reply("/hook", Reply::Silence);
        let (server, http) = server(engine, &sink);
        server.create_account(BOB);
        hook(&http, &json!({"kind": "http", "on_fault": "closed", "body": json!({"url": receiver.url("/hook"), "timeout": 2000}).to_string()}));
        let mut waiting: Vec<Smtp> = (0..20).map(|_| server.signed_in(ALICE)).collect();
        for one in &mut waiting {
            one.mail(ALICE).expect("250");
            one.rcpt(BOB).expect("250");
            one.command("DATA").expect("354");
            one.send(format!("{}.\r\n", text("")).as_bytes());
        }
        receiver.wait_for("/hook", 10);
        let from_bob = format!("From: {BOB}\r\nTo: {CAROL}\r\n\r\nHello\r\n");
        accepted(server.signed_in(BOB).submit(BOB, &[CAROL], from_bob.as_bytes()).0.trim_end());
        for one in &mut waiting {
            one.reply().expect("451 4.7.1");
        }
    }

    fn the_owner_hears_of_a_broken_hook_once_a_day(engine) {
        let sink = Sink::start();
        let (server, http) = server(engine, &sink);
        server.cli(&["account", "create", "root@example.com", "--password-stdin", "--operator"], PASSWORD);
        let id = on_message(&http, "m.nothing.at_all()");
        let mails = || sink.arrived().iter().filter(|one| one.recipients == [ALICE]).count();
        accepted(&submit(&mut server.signed_in(ALICE), ""));
        let told = sink.wait_for_recipient(ALICE);
        assert!(told.header("Subject")[0].starts_with("The hook A hook of your account"), "{:?}", told.header("Subject"));
        accepted(&submit(&mut server.signed_in(ALICE), ""));
        runs(&http, &id, 2);
        server.pass(Duration::from_hours(25));
        accepted(&submit(&mut server.signed_in(ALICE), ""));
        eventually("the next day's mail is there", || (mails() >= 2).then_some(()));
        assert_eq!(mails(), 2);
    }
}
