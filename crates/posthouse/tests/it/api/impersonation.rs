//! An operator who sees the console as an account: what is open to them, what is not, and who learns of it.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::access::{NOBODY, body_for};
use super::users::{gives, joins};
use super::{send, server, signed_in, with_key};
use crate::both_engines;
use crate::harness::http::{Answer, Http};
use crate::harness::{Engine, PASSWORD, Posthouse, eventually};
use crate::sign_up::{inbox, mail};

const ALICE: &str = "alice@example.com";
const OPS: &str = "ops@example.com";
const REASON: &str = "You asked why mail waits.";

/// Everything that an operator in the place of an account may ask for.
const OPEN: [&str; 22] = [
    "getAccount",
    "getAccountTracking",
    "getDomain",
    "getDomainZone",
    "getLedger",
    "getLimits",
    "getMessage",
    "getRetention",
    "getSession",
    "getSetup",
    "getSignUp",
    "getSmtpSettings",
    "getStatistics",
    "getTracking",
    "getTranscript",
    "listDomains",
    "listInbox",
    "listMessages",
    "listOwnAnnouncements",
    "listSenders",
    "listStreams",
    "listSuppressions",
];
/// The same, and it answers without an end.
const STREAM: &str = "listen";
/// The ways out.
const OUT: [&str; 2] = ["leaveImpersonation", "signOut"];

fn with_clock(engine: Engine) -> Posthouse {
    let server = Posthouse::on(engine).moving_clock().start();
    server.cli(
        &["account", "create", OPS, "--operator", "--password-stdin"],
        PASSWORD,
    );
    server.create_account(ALICE);
    server.create_account("bob@example.com");
    server
}

fn cookie_named(answer: &Answer, name: &str) -> Option<String> {
    let set = answer.headers.iter().filter(|(header, _)| header == "set-cookie");
    set.map(|(_, cookie)| cookie.split(';').next().unwrap().to_owned())
        .find(|cookie| cookie.starts_with(&format!("{name}=")))
}

/// Another client of the same browser, which sees the console as the account of `email`.
fn looks(server: &Posthouse, ops: &Http, email: &str) -> Http {
    let url = format!("/api/v1/accounts/{}/impersonation", ops.account_id(email));
    let begun = ops.post(&url, &json!({"reason": REASON})).expect(201);
    let as_them = cookie_named(&begun, "posthouse_as").expect("a cookie of its own");
    let mut http = server.http();
    http.cookie = Some(format!("{}; {as_them}", ops.cookie.as_ref().unwrap()));
    http
}

fn problem(answer: &Answer) -> String {
    let problem: Value = serde_json::from_str(&answer.text).unwrap_or_default();
    problem["type"].as_str().unwrap_or_default().to_owned()
}

fn audit(http: &Http, path: &str) -> Vec<Value> {
    let page = http
        .get(&format!("/api/v1/{path}?what=impersonation"))
        .expect(200)
        .json();
    page["items"].as_array().unwrap().clone()
}

both_engines! {
    fn of_all_operations_only_those_that_read_without_content_are_open(engine) {
        let server = server(engine);
        let ops = signed_in(&server, OPS);
        let alice = signed_in(&server, ALICE);
        let message = send(&alice, ALICE, "the subject may be seen");
        let domain = alice.post("/api/v1/domains", &json!({"name": "shop.example"})).expect(201).json();
        let looking = looks(&server, &ops, ALICE);
        let before = ops.get("/api/v1/audit?limit=1").expect(200).json()["items"][0]["id"].clone();
        let api = server.http().get("/api/v1/openapi.json").expect(200).json();
        let mut open = BTreeSet::new();
        let mut checked = 0;
        for (path, item) in api["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let name = operation["operationId"].as_str().unwrap();
                if name == STREAM || OUT.contains(&name) {
                    continue;
                }
                let method = method.to_uppercase();
                // What is there to be found, and what is not.
                for id in [message.as_str(), domain["id"].as_str().unwrap(), NOBODY] {
                    let url = format!("/api/v1{}", path.replace("{id}", id).replace("{ordinal}", "0"));
                    let answer = looking.request(&method, &url, body_for(&api, operation).as_ref());
                    let shut = answer.status == 403 && problem(&answer) == "/problems/impersonating";
                    assert_eq!(shut, !OPEN.contains(&name), "{method} {name}: {} {}", answer.status, answer.text);
                    if !shut {
                        assert_eq!(method, "GET", "{name}");
                        open.insert(name.to_owned());
                    }
                    checked += 1;
                }
            }
        }
        assert_eq!(open, OPEN.iter().map(|name| (*name).to_owned()).collect());
        assert!(checked > 300, "{checked} questions were asked");
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            let answer = looking.request(method, "/api/v1/messages", Some(&json!({})));
            assert_eq!(problem(&answer), "/problems/impersonating", "{method}");
        }
        assert_eq!(problem(&looking.get("/api/v1/nowhere")), "/problems/impersonating");
        for all in ["messages?all=true", "live?all=true"] {
            looking.get(&format!("/api/v1/{all}")).expect(403);
        }
        let after = ops.get("/api/v1/audit?limit=1").expect(200).json()["items"][0]["id"].clone();
        assert_eq!(after, before, "nothing of all this changed anything");
    }

    fn they_see_what_the_account_sees_and_who_they_are(engine) {
        let server = server(engine);
        let ops = signed_in(&server, OPS);
        let (alice, bob) = (signed_in(&server, ALICE), signed_in(&server, "bob@example.com"));
        let hers = send(&alice, ALICE, "hers");
        let his = send(&bob, "bob@example.com", "his");
        let looking = looks(&server, &ops, ALICE);
        let me = looking.get("/api/v1/session").expect(200).json();
        assert_eq!((&me["account"]["name"], &me["account"]["operator"], &me["login"]["id"]), (&json!(ALICE), &json!(false), &Value::Null));
        assert_eq!((&me["login"]["scopes"], &me["login"]["role"]), (&json!(["read"]), &json!("viewer")));
        assert_eq!((&me["impersonation"]["by"], &me["impersonation"]["reason"]), (&json!(OPS), &json!(REASON)));
        assert_eq!(ops.get("/api/v1/session").expect(200).json()["impersonation"], Value::Null);
        let listed = looking.get("/api/v1/messages").expect(200).json();
        assert_eq!(listed["items"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect::<Vec<_>>(), [hers.as_str()]);
        looking.get(&format!("/api/v1/messages/{his}")).expect(404);
        let kept = looking.get("/api/v1/inbox").expect(200).json();
        assert!(kept["items"].as_array().unwrap().iter().all(|one| one["message"] == hers.as_str()), "{kept}");

        // A key that comes along counts, as it does beside any cookie.
        let mut key = with_key(&server, &bob, &["read"]);
        key.cookie.clone_from(&looking.cookie);
        assert_eq!(key.get("/api/v1/account").expect(200).json()["name"], "bob@example.com");
        // Another's page made the browser send it.
        let mut foreign = server.http();
        foreign.cookie.clone_from(&looking.cookie);
        foreign.origin = Some("https://evil.example".to_owned());
        foreign.delete("/api/v1/session/impersonation").expect(403);
        looking.get("/api/v1/messages").expect(200);
    }

    fn beginning_and_end_stand_in_both_logs_and_the_owners_are_written_to_once(engine) {
        let server = server(engine);
        let (ops, alice) = (signed_in(&server, OPS), signed_in(&server, ALICE));
        joins(&server, &ops, &alice, "second@example.net", "owner");
        joins(&server, &ops, &alice, "admin@example.net", "admin");
        let looking = looks(&server, &ops, ALICE);
        looking.get("/api/v1/messages").expect(200);
        looking.get("/api/v1/domains").expect(200);
        for owner in [ALICE, "second@example.net"] {
            let told = mail(&ops, owner, "looks at your account");
            assert!(told.contains(REASON) && told.contains("30 minutes") && !told.contains(OPS), "{told}");
        }
        let left = looking.delete("/api/v1/session/impersonation").expect(204);
        assert_eq!(cookie_named(&left, "posthouse_as").as_deref(), Some("posthouse_as="));
        assert_eq!(problem(&looking.get("/api/v1/session").expect(401)), "/problems/impersonation-over");
        assert_eq!(ops.get("/api/v1/session").expect(200).json()["account"]["name"], OPS);

        let own = audit(&alice, "account/audit");
        let said: Vec<_> = own.iter().map(|line| (line["action"].as_str().unwrap(), line["detail"].as_str().unwrap())).collect();
        let ended = format!("{REASON} (left)");
        assert_eq!(said, [("impersonation.ended", ended.as_str()), ("impersonation.begun", REASON)]);
        for line in &own {
            assert_eq!((&line["operator"], &line["who"], &line["behind"], &line["ip"]), (&json!(true), &json!(""), &Value::Null, &Value::Null));
        }
        let theirs = audit(&ops, "account/audit");
        assert_eq!(theirs.len(), 2, "{theirs:?}");
        let all = audit(&ops, "audit");
        assert_eq!(all.len(), 4);
        assert!(all.iter().all(|line| line["behind"] == OPS && line["who"] == OPS && line["target"] == ALICE), "{all:?}");
        let about = inbox(&ops, ALICE, "looks at your account").len() + inbox(&ops, "second@example.net", "looks at your account").len();
        assert_eq!(about, 2, "once, not for every page");
        assert_eq!(inbox(&ops, "admin@example.net", "looks at your account").len(), 0);
    }

    fn only_an_operator_in_person_with_a_fresh_password_begins_and_never_at_another_operator(engine) {
        let server = with_clock(engine);
        let ops = signed_in(&server, OPS);
        let alice = signed_in(&server, ALICE);
        let url = |email: &str| format!("/api/v1/accounts/{}/impersonation", ops.account_id(email));
        let (bobs, reason) = (url("bob@example.com"), json!({"reason": REASON}));
        alice.post(&bobs, &reason).expect(403);
        with_key(&server, &ops, &["operator", "account", "read"]).post(&bobs, &reason).expect(403);
        let second = json!({"email": "second@example.com", "password": PASSWORD, "operator": true});
        ops.post("/api/v1/accounts", &second).expect(201);
        for operators in ["second@example.com", OPS] {
            ops.post(&url(operators), &reason).expect(403);
        }
        ops.post(&format!("/api/v1/accounts/{NOBODY}/impersonation"), &reason).expect(404);
        ops.post(&bobs, &json!({"reason": " "})).expect(422);
        let looking = looks(&server, &ops, ALICE);
        assert_eq!(problem(&looking.post(&bobs, &reason).expect(403)), "/problems/impersonating", "none within another");
        server.pass(Duration::from_mins(11));
        assert_eq!(problem(&ops.post(&bobs, &reason).expect(403)), "/problems/confirm-password");
        assert!(audit(&signed_in(&server, "bob@example.com"), "account/audit").is_empty());
    }

    fn it_is_over_with_its_time_and_with_the_operators_session_or_role(engine) {
        let server = with_clock(engine);
        let ops = signed_in(&server, OPS);
        let admin = joins(&server, &ops, &ops, "admin@example.net", "admin");
        let over = |http: &Http| problem(&http.get("/api/v1/messages").expect(401)) == "/problems/impersonation-over";

        let looking = looks(&server, &admin, ALICE);
        looking.get("/api/v1/messages").expect(200);
        gives(&ops, "admin@example.net", "viewer");
        assert!(over(&looking));
        assert_eq!(problem(&looking.delete("/api/v1/messages/x").expect(401)), "/problems/impersonation-over", "nor does it do anything in the operator's own name");
        gives(&ops, "admin@example.net", "admin");
        assert!(over(&looking), "what ended does not come back");

        let looking = looks(&server, &ops, ALICE);
        server.pass(Duration::from_mins(29));
        looking.get("/api/v1/messages").expect(200);
        server.pass(Duration::from_secs(61));
        assert!(over(&looking));
        ops.get("/api/v1/accounts").expect(200);
        let alice = signed_in(&server, ALICE);
        let ends = || audit(&alice, "account/audit").iter().filter(|line| line["action"] == "impersonation.ended").count();
        assert_eq!(ends(), 2);

        let fresh = signed_in(&server, OPS);
        let looking = looks(&server, &fresh, ALICE);
        let mut without = server.http();
        without.cookie = looking.cookie.as_ref().and_then(|both| both.split("; ").nth(1)).map(str::to_owned);
        assert!(over(&without), "its own token alone opens nothing");
        looking.get("/api/v1/messages").expect(200);
        looking.delete("/api/v1/session").expect(204);
        assert!(over(&looking));
        fresh.get("/api/v1/session").expect(401);
        assert_eq!(ends(), 3);

        // Signing in anew takes the cookie of what is over away.
        let mut again = server.http();
        again.cookie.clone_from(&looking.cookie);
        let page = again.submit("/login", &[("email", OPS), ("password", PASSWORD)]).expect(303);
        assert_eq!(cookie_named(&page, "posthouse_as").as_deref(), Some("posthouse_as="));
        eventually("the log says so", || (ends() == 3).then_some(()));
    }
}
