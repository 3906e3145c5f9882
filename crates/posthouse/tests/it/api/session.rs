//! The first start, signing in and out, and what a browser is protected from.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::json;

use super::{faults, server, signed_in};
use crate::both_engines;
use crate::harness::tls::trusting_client;
use crate::harness::{PASSWORD, PATIENCE, Posthouse};

both_engines! {
    fn the_first_start_makes_one_operator_and_signs_it_in(engine) {
        let server = Posthouse::on(engine).start();
        let mut http = server.http();
        assert_eq!(http.get("/api/v1/setup").expect(200).json(), json!({"needed": true, "token_required": false}));
        let weak = http.post("/api/v1/setup", &json!({"email": "ops@example.com", "password": "password1"})).expect(422);
        assert_eq!(faults(&weak.json()), ["password"]);
        let wanted = json!({"email": "ops@example.com", "password": PASSWORD});
        let made = http.post("/api/v1/setup", &wanted).expect(201);
        assert_eq!(made.json()["account"]["operator"], true);
        http.keep_cookie(&made);
        assert_eq!(http.get("/api/v1/session").expect(200).json()["login"]["email"], "ops@example.com");
        assert_eq!(http.get("/api/v1/setup").expect(200).json()["needed"], false);
        http.post("/api/v1/setup", &wanted).expect(409);
    }

    fn a_session_opens_with_the_password_and_ends_when_it_is_closed(engine) {
        let server = server(engine);
        let mut http = server.http();
        http.get("/api/v1/session").expect(401);
        let wrong = json!({"email": "alice@example.com", "password": "not the password"});
        let refused = http.post("/api/v1/session", &wrong).expect(401);
        assert_eq!(refused.header("content-type"), Some("application/problem+json"));
        let unknown = json!({"email": "nobody@example.com", "password": PASSWORD});
        assert_eq!(http.post("/api/v1/session", &unknown).expect(401).json(), refused.json());
        let me = http.sign_in("ALICE@example.com", PASSWORD);
        assert_eq!((&me["account"]["operator"], &me["account"]["credits"]), (&json!(false), &json!(500)));
        let old = http.cookie.clone();
        http.sign_in("alice@example.com", PASSWORD);
        assert_ne!(http.cookie, old, "a new session has a new token");
        let new = http.cookie.clone();
        http.cookie = old;
        http.get("/api/v1/session").expect(401);
        http.cookie = new;
        http.delete("/api/v1/session").expect(204);
        http.get("/api/v1/session").expect(401);
    }

    fn a_new_password_ends_the_other_sessions_and_counts_for_smtp(engine) {
        let server = server(engine);
        let (here, there) = (signed_in(&server, "alice@example.com"), signed_in(&server, "alice@example.com"));
        let new = "seven-green-lanterns-by-the-river";
        let wrong = here.post("/api/v1/account/password", &json!({"current": "x", "new": new})).expect(422);
        assert_eq!(faults(&wrong.json()), ["current"]);
        let weak = here.post("/api/v1/account/password", &json!({"current": PASSWORD, "new": "1234567890"})).expect(422);
        assert_eq!(faults(&weak.json()), ["new"]);
        here.post("/api/v1/account/password", &json!({"current": PASSWORD, "new": new})).expect(204);
        here.get("/api/v1/session").expect(200);
        there.get("/api/v1/session").expect(401);
        let mut smtp = server.smtp();
        smtp.ehlo().expect("250");
        smtp.starttls();
        smtp.auth_plain("alice@example.com", PASSWORD).expect("535 5.7.8");
        smtp.auth_plain("alice@example.com", new).expect("235 2.7.0");
    }

    fn another_site_cannot_use_the_cookie(engine) {
        let server = server(engine);
        let mut http = signed_in(&server, "alice@example.com");
        let message = json!({"from": "alice@example.com", "to": ["zoe@example.net"], "subject": "x", "text": "x"});
        for origin in [Some("https://evil.example".to_owned()), Some("null".to_owned()), None] {
            http.origin = origin;
            http.post("/api/v1/messages", &message).expect(403);
            http.post("/api/v1/keys", &json!({"name": "k", "scopes": ["send"]})).expect(403);
        }
        let own = http.get("/api/v1/messages").expect(200).json();
        assert_eq!(own["items"], json!([]));
    }

    fn a_first_start_that_the_world_can_reach_takes_the_token(engine) {
        let server = Posthouse::on(engine)
            .set("http.public_url", "\"https://mail.example.com\"")
            .start();
        let http = server.http();
        assert_eq!(
            http.get("/api/v1/setup").expect(200).json()["token_required"],
            true
        );
        let mut wanted = json!({"email": "ops@example.com", "password": PASSWORD});
        http.post("/api/v1/setup", &wanted).expect(403);
        wanted["token"] = "0123456789abcdef0123456789abcdef".into();
        http.post("/api/v1/setup", &wanted).expect(403);
        let token = std::fs::read_to_string(server.data().join("setup-token")).unwrap();
        wanted["token"] = token.trim().into();
        http.post("/api/v1/setup", &wanted).expect(201);
        assert!(!server.data().join("setup-token").exists());
    }

    fn a_foreign_name_that_points_here_does_not_make_its_page_the_owner(engine) {
        let server = Posthouse::on(engine).start();
        let wanted = json!({"email": "evil@example.com", "password": PASSWORD}).to_string();
        let ask = |host: &str, head: &str, body: &str| {
            let mut stream = TcpStream::connect(server.address("http")).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let length = body.len();
            write!(
                stream,
                "{head} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nConnection: close\r\n\
                 Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
            )
            .unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        };
        let state = ask("evil.example", "GET /api/v1/setup", "");
        assert!(state.contains("\"token_required\":true"), "{state}");
        let refused = ask("evil.example", "POST /api/v1/setup", &wanted);
        assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
        assert!(refused.contains("setup token"), "{refused}");
        let made = ask("localhost", "POST /api/v1/setup", &wanted);
        assert!(made.starts_with("HTTP/1.1 201"), "{made}");
    }

    fn metrics_are_closed_to_whoever_comes_through_a_proxy_unnamed(engine) {
        let server = Posthouse::on(engine).start();
        server.http().get("/metrics").expect(200);
        for header in [
            "Forwarded: for=192.0.2.9",
            "Via: 1.1 proxy",
            "X-Real-IP: 192.0.2.9",
        ] {
            let mut stream = TcpStream::connect(server.address("http")).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            write!(
                stream,
                "GET /metrics HTTP/1.1\r\nHost: localhost\r\n{header}\r\nConnection: close\r\n\r\n"
            )
            .unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 403"), "{header}: {answer}");
        }
    }

    fn answers_tell_browsers_to_be_careful(engine) {
        let server = server(engine);
        let mut http = server.http();
        let answer = http
            .post(
                "/api/v1/session",
                &json!({"email": "alice@example.com", "password": PASSWORD}),
            )
            .expect(200);
        let cookie = answer.header("set-cookie").unwrap();
        assert!(
            cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax") && cookie.contains("Path=/"),
            "{cookie}"
        );
        assert!(!cookie.contains("Secure"), "the page came without TLS: {cookie}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("referrer-policy"), Some("same-origin"));
        http.keep_cookie(&answer);
        let page = http.get("/app/messages");
        let csp = page.header("content-security-policy").unwrap();
        assert!(
            csp.contains("frame-ancestors 'none'") && csp.contains("default-src 'self'"),
            "{csp}"
        );
        assert_eq!(
            http.get("/nowhere").expect(404).header("content-type"),
            Some("application/problem+json")
        );
        http.get("/api/v1/nowhere").expect(404);
        http.get("/app/assets/gone.js").expect(404);
    }

    fn over_tls_the_cookie_never_leaves_tls(engine) {
        let server = Posthouse::on(engine)
            .set("http.listen_tls", "\"127.0.0.1:0\"")
            .start();
        server.create_account("alice@example.com");
        let stream = TcpStream::connect(server.address("https")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let connection = rustls::ClientConnection::new(trusting_client(), name).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, stream);
        let body = json!({"email": "alice@example.com", "password": PASSWORD}).to_string();
        write!(
            stream,
            "POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let cookie = answer
            .lines()
            .find(|line| line.to_ascii_lowercase().starts_with("set-cookie:"))
            .unwrap();
        assert!(cookie.ends_with("; Secure"), "{cookie}");
    }
}
