//! Users of an account and their roles, from the mail that invites them to their removal.

use serde_json::{Value, json};

use super::access::{NOBODY, body_for};
use super::{send, server, signed_in, with_key};
use crate::both_engines;
use crate::harness::engine::{Database, postgres_is_here};
use crate::harness::http::Http;
use crate::harness::{Engine, PASSWORD, Posthouse, eventually};
use crate::sign_up::{inbox, link, mail};

const ALICE: &str = "alice@example.com";
const OPS: &str = "ops@example.com";
const THEIRS: &str = "seven green lanterns by the river";
const ROLES: [&str; 5] = ["owner", "admin", "marketer", "developer", "viewer"];

/// What the roles are promised, beside the program's own table.
fn holds(role: &str, scope: &str) -> bool {
    match scope {
        "read" => true,
        "send" | "messages" => role != "viewer",
        "domains" | "credentials" => matches!(role, "owner" | "admin" | "developer"),
        "account" | "operator" => matches!(role, "owner" | "admin"),
        other => panic!("no role is known to hold the scope {other}"),
    }
}

/// Operations that name a scope for keys and let every person in, about their own login only.
const PERSONAL: [&str; 1] = ["changePassword"];

/// Operations that only an owner carries out, whatever scope they name.
const OWNERS: [&str; 1] = ["handAccountOver"];

/// Operations that no key carries out, so that they name no scope, and that take a role with the scope `account`.
const IN_PERSON: [&str; 7] = [
    "beginImpersonation",
    "liftSecondStep",
    "inviteUser",
    "sendUserInvitation",
    "setUserRole",
    "handAccountOver",
    "removeUser",
];

/// Operations that answer without an end.
const STREAMS: [&str; 1] = ["listen"];

/// Invites `email` and follows the link of the mail in the operator's inbox; the client is signed in.
pub fn joins(server: &Posthouse, ops: &Http, by: &Http, email: &str, role: &str) -> Http {
    by.post(
        "/api/v1/users/invitations",
        &json!({"email": email, "role": role}),
    )
    .expect(201);
    let (path, token) = link(&mail(ops, email, "invites you"));
    assert_eq!(path, "/join?token");
    let mut http = server.http();
    let joined = http
        .submit("/join", &[("token", &token), ("password", THEIRS)])
        .expect(303);
    assert_eq!(joined.header("location"), Some("/app/"));
    http.keep_cookie(&joined);
    http
}

fn user_id(owner: &Http, email: &str) -> String {
    let users = owner.get("/api/v1/users").expect(200).json();
    let users = users["items"].as_array().unwrap().clone();
    let user = users.iter().find(|user| user["email"] == email).expect(email);
    user["id"].as_str().unwrap().to_owned()
}

pub fn gives(owner: &Http, email: &str, role: &str) {
    let id = user_id(owner, email);
    owner
        .post(&format!("/api/v1/users/{id}/role"), &json!({"role": role}))
        .expect(204);
}

fn problem(answer: &crate::harness::http::Answer) -> String {
    let problem: Value = serde_json::from_str(&answer.text).unwrap_or_default();
    problem["type"].as_str().unwrap_or_default().to_owned()
}

both_engines! {
    fn each_operation_lets_in_the_roles_that_hold_its_scope_and_no_others(engine) {
        let server = server(engine);
        let ops = signed_in(&server, OPS);
        let user = joins(&server, &ops, &ops, "user@example.net", "viewer");
        let api = server.http().get("/api/v1/openapi.json").expect(200).json();
        let mut checked = 0;
        for role in ROLES {
            gives(&ops, "user@example.net", role);
            for (path, item) in api["paths"].as_object().unwrap() {
                let url = format!("/api/v1{}", path.replace("{id}", NOBODY).replace("{ordinal}", "0"));
                for (method, operation) in item.as_object().unwrap() {
                    let name = operation["operationId"].as_str().unwrap();
                    let ways = operation["security"].as_array().unwrap();
                    let mut scopes: Vec<&str> = ways
                        .iter()
                        .filter_map(|way| way["key"].as_array()?.first()?.as_str())
                        .collect();
                    if IN_PERSON.contains(&name) {
                        assert!(scopes.is_empty(), "{name} is for people");
                        scopes.push("account");
                    }
                    // Open to everybody, or to every person about their own login.
                    if scopes.is_empty() {
                        continue;
                    }
                    let may = PERSONAL.contains(&name)
                        || scopes.iter().any(|scope| holds(role, scope)) && (role == "owner" || !OWNERS.contains(&name));
                    if may && STREAMS.contains(&name) {
                        continue;
                    }
                    let body = body_for(&api, operation);
                    let method = method.to_uppercase();
                    if may && matches!(name, "signOut" | "clearInbox") {
                        continue;
                    }
                    let answer = user.request(&method, &url, body.as_ref());
                    let refused = answer.status == 403
                        && ["/problems/beyond-role", "/problems/forbidden"].contains(&problem(&answer).as_str());
                    assert_eq!(refused, !may, "{role} asks for {name}: {} {}", answer.status, answer.text);
                    checked += 1;
                }
            }
        }
        assert!(checked > 150, "{checked} questions were asked");
    }

    fn whoever_is_invited_joins_without_javascript_sends_by_smtp_and_is_out_when_removed(engine) {
        let server = server(engine);
        let (ops, alice) = (signed_in(&server, OPS), signed_in(&server, ALICE));
        alice.post("/api/v1/users/invitations", &json!({"email": "Carol@example.net", "role": "developer"})).expect(201);
        alice.post("/api/v1/users/invitations", &json!({"email": "bob@example.com", "role": "viewer"})).expect(201);
        let waiting = alice.get("/api/v1/users/invitations").expect(200).json();
        assert_eq!(waiting["items"].as_array().unwrap().len(), 2);
        let told = mail(&ops, "bob@example.com", "invites you");
        assert!(told.contains("has a login there already") && !told.contains("token"), "{told}");

        let (_, token) = link(&mail(&ops, "Carol@example.net", "invites you"));
        let url = format!("/join?token={token}");
        for _ in 0..2 {
            let page = server.http().get(&url).expect(200).text;
            assert!(page.contains("alice@example.com") && page.contains("Carol@example.net"), "{page}");
            assert!(page.contains("method=\"post\""), "{page}");
        }
        assert!(server.http().get(&format!("/fr{url}")).expect(200).text.contains("Vous êtes invité"));
        let fields = [("token", token.as_str()), ("password", "1234567890"), ("email", "Carol@example.net"), ("inviter", ALICE)];
        let weak = server.http().submit("/join", &fields).expect(422).text;
        assert!(weak.contains("not good enough") && weak.contains(&token) && !weak.contains("1234567890"), "{weak}");
        let mut carol = server.http();
        let joined = carol.submit("/join", &[("token", &token), ("password", THEIRS)]).expect(303);
        carol.keep_cookie(&joined);
        server.http().get(&url).expect(410);
        server.http().submit("/join", &[("token", &token), ("password", THEIRS)]).expect(410);

        let me = carol.get("/api/v1/session").expect(200).json();
        assert_eq!(me["login"]["role"], "developer");
        assert_eq!(me["account"]["name"], "alice@example.com");
        let mut smtp = server.smtps();
        smtp.ehlo().expect("250");
        smtp.auth_plain("carol@example.net", THEIRS).expect("235");
        smtp.submit("carol@example.net", &["zoe@example.net"], b"From: carol@example.net\r\nSubject: from carol\r\n\r\nhello\r\n").expect("250");
        let seen = alice.get("/api/v1/messages?q=from%20carol").expect(200).json();
        assert_eq!(seen["items"].as_array().unwrap().len(), 1, "her mail is the account's: {seen}");
        let key = with_key(&server, &carol, &["send", "read"]);
        send(&key, "carol@example.net", "by key");
        assert_eq!(carol.get("/api/v1/keys").expect(200).json()["items"].as_array().unwrap().len(), 1);
        with_key(&server, &alice, &["send"]);
        assert_eq!(carol.get("/api/v1/keys").expect(200).json()["items"].as_array().unwrap().len(), 1, "her own only");

        gives(&alice, "Carol@example.net", "viewer");
        let message = json!({"from": "carol@example.net", "to": ["zoe@example.net"], "subject": "s", "text": "t"});
        key.post("/api/v1/messages", &message).expect(403);
        key.get("/api/v1/messages").expect(200);
        carol.get("/api/v1/messages").expect(200);
        carol.get("/api/v1/keys").expect(403);
        let attempts = carol.get("/api/v1/account/sign-in-attempts?login=alice@example.com").expect(200).json();
        let attempts = attempts["items"].as_array().unwrap().clone();
        assert!(attempts.iter().all(|one| one["login"] == "carol@example.net"), "{attempts:?}");
        smtp.mail("carol@example.net").expect("250");
        smtp.command("RSET").expect("250");

        let id = user_id(&alice, "Carol@example.net");
        alice.delete(&format!("/api/v1/users/{id}")).expect(204);
        smtp.mail("carol@example.net").expect("421 4.7.0");
        carol.get("/api/v1/session").expect(401);
        key.get("/api/v1/messages").expect(401);
        let owner = user_id(&alice, ALICE);
        alice.delete(&format!("/api/v1/users/{owner}")).expect(409);
        let log = alice.get("/api/v1/account/audit?what=user").expect(200).json();
        let said: Vec<&str> = log["items"].as_array().unwrap().iter().map(|line| line["action"].as_str().unwrap()).collect();
        assert_eq!(said, ["user.removed", "user.role_changed", "user.joined", "user.invited", "user.invited"]);
        assert_eq!(log["items"][0]["who"], ALICE);
    }

    fn no_key_decides_who_belongs_to_the_account_and_as_what(engine) {
        let server = server(engine);
        let ops = signed_in(&server, OPS);
        let admin = joins(&server, &ops, &ops, "admin@example.net", "admin");
        let me = user_id(&ops, OPS);
        let theirs = user_id(&ops, "admin@example.net");
        let invited = ops.post("/api/v1/users/invitations", &json!({"email": "bob@example.net", "role": "viewer"})).expect(201).json();
        let again = format!("/api/v1/users/invitations/{}/send", invited["id"].as_str().unwrap());
        for scopes in [&["account"][..], &["send", "messages", "domains", "account", "operator"]] {
            let key = with_key(&server, &ops, scopes);
            key.post("/api/v1/users/invitations", &json!({"email": "mine@example.net", "role": "owner"})).expect(403);
            key.post(&again, &json!({})).expect(403);
            key.post(&format!("/api/v1/users/{theirs}/role"), &json!({"role": "owner"})).expect(403);
            key.post(&format!("/api/v1/users/{theirs}/hand-over"), &json!({})).expect(403);
            key.delete(&format!("/api/v1/users/{theirs}")).expect(403);
            key.get("/api/v1/users").expect(200);
        }
        assert_eq!(admin.get("/api/v1/session").expect(200).json()["login"]["role"], "admin");
        assert_eq!(user_id(&ops, OPS), me);
        let waiting = ops.get("/api/v1/users/invitations").expect(200).json();
        assert_eq!(waiting["items"].as_array().unwrap().len(), 1);
        ops.post(&again, &json!({})).expect(204);
    }

    fn a_user_is_written_to_about_another_role(engine) {
        let server = server(engine);
        let (ops, alice) = (signed_in(&server, OPS), signed_in(&server, ALICE));
        joins(&server, &ops, &alice, "user@example.net", "viewer");
        gives(&alice, "user@example.net", "developer");
        let told = mail(&ops, "user@example.net", "Your role");
        assert!(told.contains("alice@example.com made you a developer"), "{told}");
        gives(&alice, "user@example.net", "developer");
        assert_eq!(inbox(&ops, "user@example.net", "Your role").len(), 1, "the same role is no news");
        server.cli(&["account", "users", "role", "user@example.net", "owner"], "");
        let told = || inbox(&ops, "user@example.net", "Your role").len();
        eventually("the operator's word is told too", || (told() == 2).then_some(()));
        alice.post(&format!("/api/v1/users/{}/hand-over", user_id(&alice, "user@example.net")), &json!({})).expect(204);
        let told = mail(&ops, ALICE, "Your role");
        assert!(told.contains("made you an admin"), "{told}");
    }

    fn only_an_owner_in_person_makes_another_operator(engine) {
        let server = server(engine);
        let ops = signed_in(&server, OPS);
        let admin = joins(&server, &ops, &ops, "admin@example.net", "admin");
        let key = with_key(&server, &ops, &["account", "operator"]);
        let new = |email: &str, operator: bool| json!({"email": email, "password": PASSWORD, "operator": operator});
        for who in [&admin, &key] {
            who.post("/api/v1/accounts", &new("new@example.net", true)).expect(403);
        }
        admin.post("/api/v1/accounts", &new("one@example.net", false)).expect(201);
        key.post("/api/v1/accounts", &new("two@example.net", false)).expect(201);
        let made = ops.post("/api/v1/accounts", &new("new@example.net", true)).expect(201).json();
        assert_eq!(made["operator"], true);
    }

    fn an_admin_of_the_operators_account_reads_no_link_that_opens_a_login(engine) {
        let server = server(engine);
        let ops = signed_in(&server, OPS);
        let admin = joins(&server, &ops, &ops, "admin@example.net", "admin");
        server.http().post("/api/v1/password/forgot", &json!({"email": OPS})).expect(202);
        let kept = eventually("the link is kept", || inbox(&ops, OPS, "Choose a new password").first().cloned());
        let kept = format!("/api/v1/inbox/{}", kept["id"].as_str().unwrap());
        for part in ["content", "source", "html"] {
            admin.get(&format!("{kept}/{part}")).expect(404);
            ops.get(&format!("{kept}/{part}")).expect(200);
        }
        let alices = send(&signed_in(&server, ALICE), ALICE, "no link of ours");
        admin.get(&format!("/api/v1/messages/{alices}/source")).expect(200);
    }

    fn what_somebody_offered_ends_with_their_right_to_offer_it(engine) {
        let server = server(engine);
        let (ops, alice) = (signed_in(&server, OPS), signed_in(&server, ALICE));
        let invites = |by: &Http, email: &str, role: &str| {
            by.post("/api/v1/users/invitations", &json!({"email": email, "role": role})).expect(201);
            let (_, token) = link(&mail(&ops, email, "invites you"));
            server.http().get(&format!("/join?token={token}")).expect(200);
            token
        };
        let gone = |token: &str| {
            server.http().get(&format!("/join?token={token}")).expect(410);
            server.http().submit("/join", &[("token", token), ("password", THEIRS)]).expect(410);
        };
        let still_invited = || -> Vec<String> {
            let list = alice.get("/api/v1/users/invitations").expect(200).json();
            list["items"].as_array().unwrap().iter().map(|one| one["email"].as_str().unwrap().to_owned()).collect()
        };
        let one = joins(&server, &ops, &alice, "one@example.net", "owner");
        let two = joins(&server, &ops, &alice, "two@example.net", "admin");
        let owner = invites(&one, "owner@example.net", "owner");
        let admin = invites(&one, "admin@example.net", "admin");
        let back = invites(&two, "back@example.net", "admin");
        let alices = invites(&alice, "kept@example.net", "viewer");

        gives(&alice, "one@example.net", "admin");
        gone(&owner);
        assert_eq!(still_invited(), ["kept@example.net", "back@example.net", "admin@example.net"]);
        gives(&alice, "one@example.net", "developer");
        gone(&admin);
        alice.delete(&format!("/api/v1/users/{}", user_id(&alice, "two@example.net"))).expect(204);
        gone(&back);
        assert_eq!(still_invited(), ["kept@example.net"]);
        server.http().get(&format!("/join?token={alices}")).expect(200);
    }

    fn what_an_operator_does_to_an_account_stands_in_its_log_without_the_operators_address(engine) {
        let server = server(engine);
        let (ops, alice) = (signed_in(&server, OPS), signed_in(&server, ALICE));
        let account = alice.get("/api/v1/account").expect(200).json()["id"].as_str().unwrap().to_owned();
        ops.post(&format!("/api/v1/accounts/{account}/suspend"), &json!({"reason": "bounces"})).expect(200);
        let own = alice.get("/api/v1/account/audit?what=account.suspended").expect(200).json();
        let line = &own["items"][0];
        assert_eq!((&line["operator"], &line["who"], &line["ip"], &line["detail"]), (&json!(true), &json!(""), &Value::Null, &json!("bounces")));
        with_key(&server, &alice, &["send"]);
        let guessed = |address: &str| -> usize {
            let found = alice.get(&format!("/api/v1/account/audit?who={address}&limit=200")).expect(200).json();
            found["items"].as_array().unwrap().len()
        };
        assert_eq!((guessed("ops"), guessed("alice")), (0, 1), "a search says no more than the lines");
        let all = ops.get("/api/v1/audit?who=ops@&what=account.suspended&limit=1").expect(200).json();
        assert_eq!(all["items"][0]["who"], OPS);
        assert_eq!(all["items"][0]["account"], account.as_str());
        ops.post("/api/v1/queue/pause", &json!({"lane": "mx:x.example"})).expect(204);
        let paused = ops.get("/api/v1/audit?what=lane").expect(200).json();
        assert_eq!((&paused["items"][0]["target"], &paused["items"][0]["account"]), (&json!("mx:x.example"), &Value::Null));
        alice.get("/api/v1/audit").expect(403);
    }

    fn commands_list_invite_promote_and_remove_users(engine) {
        let server = server(engine);
        let ops = signed_in(&server, OPS);
        server.cli(&["account", "users", "invite", "carol@example.net", "--account", ALICE, "--role", "marketer"], "");
        let (_, token) = link(&mail(&ops, "carol@example.net", "invites you"));
        server.http().submit("/join", &[("token", &token), ("password", THEIRS)]).expect(303);
        let listed = server.cli(&["account", "users", "list", ALICE], "");
        assert!(listed.contains("carol@example.net") && listed.contains("marketer"), "{listed}");
        server.cli(&["account", "users", "role", "carol@example.net", "owner"], "");
        server.cli(&["account", "users", "remove", ALICE], "");
        let left = server.cli(&["account", "users", "list", "carol@example.net"], "");
        assert!(!left.contains(ALICE), "{left}");
        let refused = server.try_cli(&["account", "users", "remove", "carol@example.net"], "");
        assert!(!refused.status.success());
        assert!(String::from_utf8_lossy(&refused.stderr).contains("needs an owner"));
    }
}

#[test]
fn a_role_given_at_one_node_counts_at_the_other_at_once() {
    if !postgres_is_here("a_role_given_at_one_node_counts_at_the_other_at_once") {
        return;
    }
    let database = Database::create();
    let node = || {
        Posthouse::on(Engine::Sqlite)
            .database_url(&database.url())
            .start()
    };
    let (here, there) = (node(), node());
    here.cli(
        &["account", "create", OPS, "--operator", "--password-stdin"],
        PASSWORD,
    );
    let ops = signed_in(&here, OPS);
    let user = joins(&here, &ops, &ops, "user@example.net", "admin");
    let mut elsewhere = there.http();
    elsewhere.cookie.clone_from(&user.cookie);
    let key = with_key(&there, &elsewhere, &["operator", "account"]);
    let mut smtp = there.smtps();
    smtp.ehlo().expect("250");
    smtp.auth_plain("user@example.net", THEIRS).expect("235");
    elsewhere.get("/api/v1/queue").expect(200);
    key.get("/api/v1/accounts").expect(200);

    gives(&ops, "user@example.net", "viewer");
    elsewhere.get("/api/v1/queue").expect(403);
    elsewhere.get("/api/v1/users").expect(403);
    key.get("/api/v1/accounts").expect(403);
    smtp.mail("user@example.net").expect("250");
    smtp.command("RSET").expect("250");

    let id = user_id(&ops, "user@example.net");
    ops.delete(&format!("/api/v1/users/{id}")).expect(204);
    elsewhere.get("/api/v1/session").expect(401);
    key.get("/api/v1/accounts").expect(401);
    smtp.mail("user@example.net").expect("421 4.7.0");
}
