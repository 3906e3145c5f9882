//! Signing in with a form: the console's session, one text for every failure, and no way out to another site.

use serde_json::json;

use super::{OPERATOR, browser, escaped, server};
use crate::both_engines;
use crate::harness::PASSWORD;

both_engines! {
    fn a_form_without_javascript_opens_the_session_of_the_console(engine) {
        let server = server(engine);
        let mut http = browser(&server, "en");
        let done = http
            .submit("/login", &[("email", "OPS@Example.com"), ("password", PASSWORD)])
            .expect(303);
        assert_eq!(done.header("location"), Some("/app/"));
        let cookie = done.header("set-cookie").unwrap();
        for flag in ["posthouse_session=", "HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(cookie.contains(flag), "{cookie}");
        }
        http.keep_cookie(&done);
        assert_eq!(
            http.get("/api/v1/session").expect(200).json()["login"]["email"],
            OPERATOR
        );
        // Whoever is signed in is not asked again.
        assert_eq!(
            http.get("/fr/login?next=/app/keys")
                .expect(303)
                .header("location"),
            Some("/app/keys")
        );
        let before = http.cookie.clone();
        let again = http
            .submit("/login", &[("email", OPERATOR), ("password", PASSWORD)])
            .expect(303);
        let mut old = server.http();
        old.cookie = before;
        old.get("/api/v1/session").expect(401);
        http.keep_cookie(&again);
        http.get("/api/v1/session").expect(200);
    }

    fn every_failure_reads_the_same_and_keeps_what_was_typed(engine) {
        let server = server(engine);
        let http = browser(&server, "fr");
        let text = |email: &str, password: &str| {
            let page = http.submit(
                "/login",
                &[("email", email), ("password", password), ("next", "/app/keys")],
            );
            let page = page.expect(401);
            assert_eq!(page.header("set-cookie"), None);
            assert_eq!(page.header("cache-control"), Some("no-store"));
            page.text.replace(&escaped(email), "")
        };
        let wrong = text(OPERATOR, "not-the-password-1");
        assert!(
            wrong.contains("role=\"alert\"") && wrong.contains("value=\"/app/keys\""),
            "{wrong}"
        );
        assert!(wrong.contains("/help/authentication-failed"), "{wrong}");
        assert_eq!(wrong, text("nobody@example.com", "not-the-password-1"));
        assert_eq!(wrong, text("no address at all", "x"));
        assert_eq!(wrong, text("\"><script>alert(1)</script>", "x"));
        let empty = http.submit("/login", &[]).expect(401);
        assert!(!empty.text.contains("/app/keys"));
    }

    fn too_many_failures_have_to_wait_here_as_everywhere(engine) {
        let server = server(engine);
        let http = browser(&server, "en");
        for guess in 0..10 {
            let guess = format!("guess number {guess}");
            http.submit("/login", &[("email", OPERATOR), ("password", &guess)])
                .expect(401);
        }
        let page = http
            .submit("/login", &[("email", OPERATOR), ("password", PASSWORD)])
            .expect(429);
        assert!(page.header("retry-after").is_some());
        assert!(page.text.contains("5\u{a0}minutes"), "{}", page.text);
        http.post(
            "/api/v1/session",
            &json!({"email": OPERATOR, "password": PASSWORD}),
        )
        .expect(429);
    }

    fn nobody_is_led_to_another_site(engine) {
        let server = server(engine);
        let http = browser(&server, "en");
        for next in [
            "https://evil.example/",
            "//evil.example/",
            "/\\evil.example",
            "/\t/evil.example",
            "\\/evil.example",
            "javascript:alert(1)",
            "/app\r\nSet-Cookie: a=b",
            "",
        ] {
            let fields = [("email", OPERATOR), ("password", PASSWORD), ("next", next)];
            let done = http.submit("/login", &fields).expect(303);
            assert_eq!(done.header("location"), Some("/app/"), "{next:?}");
        }
        let page = http.get("/login?next=//evil.example").expect(200);
        assert!(!page.text.contains("evil"), "{}", page.text);
        let fields = [
            ("email", OPERATOR),
            ("password", PASSWORD),
            ("next", "/app/messages?state=bounced"),
        ];
        let done = http.submit("/login", &fields).expect(303);
        assert_eq!(done.header("location"), Some("/app/messages?state=bounced"));
    }

    fn a_form_of_another_site_signs_nobody_in(engine) {
        let server = server(engine);
        for path in ["/login", "/fr/login", "/smtp/test", "/help/credits/vote"] {
            // What was not read makes the server hang up, so each goes over a connection of its own.
            let mut http = browser(&server, "fr");
            http.origin = Some("https://evil.example".to_owned());
            let page = http
                .submit(
                    path,
                    &[("email", OPERATOR), ("password", PASSWORD), ("helpful", "yes")],
                )
                .expect(403);
            assert_eq!(page.header("set-cookie"), None, "{path}");
            assert!(page.text.contains("<html lang=\"fr\">"), "{path}");
        }
    }
}
