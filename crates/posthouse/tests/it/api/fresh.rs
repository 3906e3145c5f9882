//! What is dangerous wants a password that was entered minutes ago; a key is never asked.

use std::time::Duration;

use serde_json::{Value, json};

use super::{faults, signed_in, with_key};
use crate::both_engines;
use crate::harness::http::{Answer, Http};
use crate::harness::{Engine, PASSWORD, Posthouse};

const A_WHILE: Duration = Duration::from_mins(11);
const OPS: &str = "ops@example.com";
const NEEDED: &str = "/problems/confirm-password";

fn server(engine: Engine) -> Posthouse {
    let server = Posthouse::on(engine).moving_clock().start();
    server.cli(
        &["account", "create", OPS, "--operator", "--password-stdin"],
        PASSWORD,
    );
    server.create_account("alice@example.com");
    server
}

fn makes_a_key(http: &Http) -> Answer {
    http.post("/api/v1/keys", &json!({"name": "k", "scopes": ["send"]}))
}

fn confirms(http: &Http, password: &str) -> Answer {
    http.post("/api/v1/session/confirm", &json!({"password": password}))
}

/// Method, path and body of what is dangerous.
fn dangerous(alice: &str, domain: &str) -> Vec<(&'static str, String, Option<Value>)> {
    let account = json!({"email": "carol@example.com", "password": "four tired horses at dawn"});
    let range = json!({"account_email": "alice@example.com", "range": "192.0.2.0/24", "name": "n"});
    vec![
        (
            "POST",
            "/keys".to_owned(),
            Some(json!({"name": "k", "scopes": ["send"]})),
        ),
        ("POST", "/accounts".to_owned(), Some(account)),
        (
            "POST",
            format!("/accounts/{alice}/credits"),
            Some(json!({"amount": 5, "reason": "r"})),
        ),
        (
            "POST",
            format!("/accounts/{alice}/suspend"),
            Some(json!({"reason": "r"})),
        ),
        ("POST", format!("/accounts/{alice}/resume"), None),
        (
            "PUT",
            format!("/accounts/{alice}/limits"),
            Some(json!({"recipients": 5, "first_time": null})),
        ),
        ("PUT", "/sign-up/mode".to_owned(), Some(json!({"mode": "open"}))),
        (
            "POST",
            "/invitations".to_owned(),
            Some(json!({"email": "dora@example.com"})),
        ),
        (
            "POST",
            "/vouchers".to_owned(),
            Some(json!({"reason": "r", "amount": 5})),
        ),
        (
            "POST",
            "/announcements".to_owned(),
            Some(json!({"text": "t", "severity": "info"})),
        ),
        ("POST", "/credentials".to_owned(), Some(range)),
        ("DELETE", format!("/domains/{domain}"), None),
    ]
}

both_engines! {
    fn what_is_dangerous_wants_the_password_again_after_ten_minutes(engine) {
        let server = server(engine);
        let operator = signed_in(&server, OPS);
        let accounts = operator.get("/api/v1/accounts?q=alice").expect(200).json();
        let alice = accounts["items"][0]["id"].as_str().unwrap();
        let domain = operator.post("/api/v1/domains", &json!({"name": "shop.example"})).expect(201).json();
        let acts = dangerous(alice, domain["id"].as_str().unwrap());
        server.pass(A_WHILE);
        for (method, path, body) in &acts {
            let refused = operator.request(method, &format!("/api/v1{path}"), body.as_ref()).expect(403);
            assert_eq!(refused.json()["type"], NEEDED, "{path}");
        }
        operator.get("/api/v1/keys").expect(200);
        confirms(&operator, PASSWORD).expect(204);
        for (method, path, body) in &acts {
            let done = operator.request(method, &format!("/api/v1{path}"), body.as_ref());
            assert!((200..300).contains(&done.status), "{path}: {}", done.text);
        }
        server.pass(A_WHILE);
        assert_eq!(makes_a_key(&operator).expect(403).json()["type"], NEEDED);
    }

    fn one_sessions_password_counts_for_no_other(engine) {
        let server = server(engine);
        let (here, there) = (signed_in(&server, OPS), signed_in(&server, OPS));
        server.pass(A_WHILE);
        confirms(&here, PASSWORD).expect(204);
        makes_a_key(&here).expect(201);
        makes_a_key(&there).expect(403);
        // Whoever signs in anew has just entered it.
        makes_a_key(&signed_in(&server, OPS)).expect(201);
    }

    fn changing_the_password_asks_for_the_current_one_and_so_counts_as_entering_it(engine) {
        let server = server(engine);
        let http = signed_in(&server, OPS);
        server.pass(A_WHILE);
        let change = json!({"current": PASSWORD, "new": "seven-green-lanterns-by-the-river"});
        http.post("/api/v1/account/password", &change).expect(204);
        makes_a_key(&http).expect(201);
    }

    fn a_wrong_password_is_refused_and_counted_like_any_sign_in(engine) {
        let server = server(engine);
        let http = signed_in(&server, OPS);
        server.pass(A_WHILE);
        for guess in 0..10 {
            let refused = confirms(&http, &format!("guess {guess}")).expect(422);
            assert_eq!(faults(&refused.json()), ["password"]);
        }
        let locked = confirms(&http, PASSWORD).expect(429);
        assert!(locked.header("retry-after").is_some());
        makes_a_key(&http).expect(403);
        // The same lock meets the sign-in page, and ends by itself.
        let sign_in = json!({"email": OPS, "password": PASSWORD});
        server.http().post("/api/v1/session", &sign_in).expect(429);
        server.pass(Duration::from_mins(6));
        confirms(&http, PASSWORD).expect(204);
        makes_a_key(&http).expect(201);
    }

    fn a_key_is_not_asked_and_has_nothing_to_confirm(engine) {
        let server = server(engine);
        let operator = signed_in(&server, OPS);
        let key = with_key(&server, &operator, &["account"]);
        server.pass(A_WHILE);
        key.post("/api/v1/keys", &json!({"name": "k", "scopes": ["account"]})).expect(201);
        confirms(&key, PASSWORD).expect(403);
        confirms(&server.http(), PASSWORD).expect(401);
    }

    fn a_passkey_is_asked_for_where_there_is_one_and_its_answer_is_looked_at(engine) {
        let server = Posthouse::on(engine)
            .set("http.public_url", "\"https://mail.example.com\"")
            .moving_clock()
            .start();
        server.create_account("alice@example.com");
        let http = signed_in(&server, "alice@example.com");
        let key = with_key(&server, &http, &["account"]);
        server.pass(A_WHILE);
        let begin = |http: &Http| http.post("/api/v1/session/confirm/passkey/begin", &json!({}));
        let proof = json!({"id": "AAAA", "client_data": "AAAA", "authenticator_data": "AAAA", "signature": "AAAA"});
        let give = |http: &Http| http.post("/api/v1/session/confirm/passkey", &proof);
        begin(&http).expect(404);
        assert_eq!(faults(&give(&http).expect(422).json()), ["passkey"]);
        assert_eq!(makes_a_key(&http).expect(403).json()["type"], NEEDED);
        for ask in [&begin as &dyn Fn(&Http) -> Answer, &give] {
            ask(&key).expect(403);
            ask(&server.http()).expect(401);
            let mut elsewhere = signed_in(&server, "alice@example.com");
            elsewhere.origin = Some("https://evil.example".to_owned());
            ask(&elsewhere).expect(403);
        }
    }

    fn another_site_cannot_confirm(engine) {
        let server = server(engine);
        let mut http = signed_in(&server, OPS);
        server.pass(A_WHILE);
        http.origin = Some("https://evil.example".to_owned());
        confirms(&http, PASSWORD).expect(403);
        http.origin = server.http().origin;
        assert_eq!(makes_a_key(&http).expect(403).json()["type"], NEEDED);
    }
}
