//! The help centre: what is found, what leads on, and what is counted.

use serde_json::json;

use super::{OPERATOR, attribute, browser, server, set_up};
use crate::both_engines;
use crate::harness::{PASSWORD, Posthouse};

/// The articles that a page of results shows, in order.
fn found(html: &str) -> Vec<&str> {
    let list = html.split("id=\"found\"").nth(1).unwrap_or_default();
    let list = list.split("</ul>").next().unwrap_or_default();
    attribute(list, "href")
        .into_iter()
        .filter_map(|path| path.rsplit('/').next())
        .collect()
}

const PAGE: &str = "/en/help/authentication-failed";

both_engines! {
    fn a_reader_who_is_signed_in_sees_what_failed_and_a_stranger_does_not(engine) {
        let server = server(engine);
        server.create_account("bob@example.com");
        let mut smtp = server.signed_in(OPERATOR);
        smtp.command("QUIT").expect("221");
        let mut smtp = server.smtp();
        smtp.command("EHLO <script>alert(1)</script>").expect("250");
        smtp.starttls();
        smtp.command("EHLO <b>printer</b>").expect("250");
        smtp.auth_plain(OPERATOR, "not the password").expect("535");
        let mut http = browser(&server, "en");
        let stranger = http.get(PAGE).expect(200);
        assert!(!stranger.text.contains("The password was wrong") && stranger.text.contains("Log in to see here"));
        http.sign_in(OPERATOR, PASSWORD);
        let page = crate::harness::eventually("the attempt on the page", || {
            let page = http.get(PAGE).expect(200);
            page.text.contains("The password was wrong").then_some(page)
        });
        assert_eq!(page.header("cache-control"), Some("private, no-store"));
        assert!(page.header("etag").is_none());
        assert!(page.text.contains("&lt;b&gt;printer") && !page.text.contains("<b>printer"), "{}", page.text);
        let mut bob = browser(&server, "en");
        bob.sign_in("bob@example.com", PASSWORD);
        assert!(!bob.get(PAGE).expect(200).text.contains("The password was wrong"));
        // A cookie that is no session is a stranger's.
        bob.cookie = Some("posthouse_session=nonsense".to_owned());
        assert!(bob.get(PAGE).expect(200).text.contains("Log in to see here"));
    }

    fn a_device_whose_password_is_switched_off_or_credential_revoked_is_explained(engine) {
        let server = server(engine);
        let mut http = browser(&server, "en");
        http.sign_in(OPERATOR, PASSWORD);
        let made = http.post("/api/v1/smtp-credentials", &json!({"name": "Printer"})).expect(201).json();
        http.delete(&format!("/api/v1/smtp-credentials/{}", made["id"].as_str().unwrap())).expect(204);
        let allowed = json!({"username": OPERATOR, "allowed": false});
        http.request("PUT", "/api/v1/smtp-passwords", Some(&allowed)).expect(200);
        http.post("/api/v1/session/confirm", &json!({"password": PASSWORD})).expect(204);
        for password in [made["password"].as_str().unwrap(), PASSWORD] {
            let mut smtp = server.smtp();
            smtp.ehlo().expect("250");
            smtp.starttls();
            smtp.ehlo().expect("250");
            smtp.auth_plain(OPERATOR, password).expect("535");
        }
        crate::harness::eventually("both reasons on the page", || {
            let page = http.get(PAGE).expect(200).text;
            let both = page.contains("revoked on") && page.contains("switched off for SMTP");
            // Entering the password again is no failure, and stands in the same list.
            (both && page.matches("<li>\n<p><strong>").count() == 2).then_some(())
        });
        let french = http.get("/fr/help/authentication-failed").expect(200).text;
        assert!(french.contains("révoqué le") && french.contains("désactivé pour SMTP"), "{french}");
    }

    fn settings_are_judged_and_no_address_is_given_away(engine) {
        let server = server(engine);
        let port = server.address("submission").port().to_string();
        let check = |http: &crate::harness::http::Http, host: &str, port: &str, security: &str, username: &str| {
            let form = [("host", host), ("port", port), ("security", security), ("username", username)];
            http.submit("/en/help/authentication-failed/check", &form).expect(200).text
        };
        let stranger = browser(&server, "en");
        let said = check(&stranger, "\"><script>alert(1)</script>", "25", "none", "<b>");
        assert!(!said.contains("<script") && !said.contains("<b>"), "{said}");
        assert!(said.contains("Port 25 is for mail between servers") && said.contains("with the @"), "{said}");
        // Whether there is such a login makes no difference to who is not it.
        let [known, unknown] = [OPERATOR, "nobody@example.com"].map(|login| {
            check(&stranger, "mail.example.com", &port, "starttls", login).replace(login, "X")
        });
        assert_eq!(known, unknown);
        assert!(known.contains("These settings are right."), "{known}");
        let mut own = browser(&server, "en");
        own.sign_in(OPERATOR, PASSWORD);
        let said = check(&own, "mail.example.com", &port, "tls", "nobody@example.com");
        assert!(said.contains(&format!("you are logged in as {OPERATOR}")) && said.contains("Choose STARTTLS"), "{said}");
        stranger.get("/en/help/authentication-failed/check").expect(303);
        let doctor = server.try_cli(&["doctor", "auth", OPERATOR, "--server", "192.0.2.1", "--security", "none"], "");
        let said = String::from_utf8(doctor.stdout).unwrap();
        assert!(!doctor.status.success() && said.contains("given as an IP address") && said.contains("without encryption"), "{said}");
    }

    fn search_forgives_typos_and_knows_the_numbers(engine) {
        let server = server(engine);
        for (lang, query, first) in [
            ("en", "authentication+failed", "authentication-failed"),
            ("en", "autentication+faild", "authentication-failed"),
            ("en", "535", "authentication-failed"),
            ("en", "554", "smtp-554"),
            ("en", "forgoten+pasword", "reset-a-password"),
            ("en", "bcc", "cc-and-bcc"),
            ("en", "atachment+too+large", "maximum-size"),
            ("en", "DKIM", "verify-a-domain"),
            ("fr", "mot+de+passe+oublie", "reset-a-password"),
            ("fr", "piece+jointe", "maximum-size"),
            ("fr", "%C3%A9chec+d%27authentification", "authentication-failed"),
            ("fr", "credit", "credits"),
        ] {
            let page = browser(&server, lang)
                .get(&format!("/help/?q={query}"))
                .expect(200)
                .text;
            assert_eq!(
                found(&page).first(),
                Some(&first),
                "{lang} {query}: {:?}",
                found(&page)
            );
            assert!(page.contains("noindex"));
        }
        let http = browser(&server, "en");
        let nothing = http.get("/help/?q=zwieback+qqq").expect(200).text;
        assert!(
            found(&nothing).is_empty() && nothing.contains("Nothing was found"),
            "{nothing}"
        );
        let attack = http
            .get("/help/?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
            .expect(200)
            .text;
        assert!(!attack.contains("<script"), "{attack}");
        http.get(&format!("/help/?q={}", "a".repeat(5_000))).expect(200);
    }

    fn an_article_leads_to_its_neighbours_and_relatives(engine) {
        let server = server(engine);
        let page = browser(&server, "en")
            .get("/help/authentication-failed")
            .expect(200)
            .text;
        assert_eq!(page.matches("rel=\"prev\"").count(), 1);
        assert_eq!(page.matches("rel=\"next\"").count(), 1);
        let related = page
            .split("id=\"related\"")
            .nth(1)
            .unwrap()
            .split("</ul>")
            .next()
            .unwrap();
        assert_eq!(related.matches("Read more</a>").count(), 3, "{related}");
    }

    fn a_refusal_names_its_help_page_where_the_public_address_is_known(engine) {
        let server = Posthouse::on(engine)
            .set("http.public_url", "\"https://mail.example.com\"")
            .start();
        let mut smtp = server.smtp();
        smtp.ehlo().expect("250");
        smtp.rcpt("bob@example.net").expect("503 5.5.1");
        smtp.mail("alice@example.com").expect("250");
        let refused = smtp.rcpt("bob@example.net");
        refused.expect(
            "550 5.7.1 Relaying is not allowed, sign in first, see https://mail.example.com/help/authentication-failed",
        );
        let known = browser(&server, "en").get("/help/authentication-failed");
        known.expect(200);
    }

    fn articles_have_the_values_of_this_installation(engine) {
        let server = Posthouse::on(engine)
            .set("smtp.max_message_size", "\"10 MiB\"")
            .set("site.contact", "\"help@example.com\"")
            .start();
        let server = set_up(server);
        let english = |slug: &str| {
            browser(&server, "en")
                .get(&format!("/help/{slug}"))
                .expect(200)
                .text
        };
        assert!(english("maximum-size").contains("10\u{a0}MiB as sent"));
        assert!(english("reset-a-password").contains("help@example.com"));
        let port = server.address("submissions").port().to_string();
        assert!(english("ports-and-security").contains(&port));
        for slug in ["username-and-password", "api-in-five-minutes"] {
            assert!(!english(slug).contains("{{"), "{slug}");
        }
    }

    fn answers_are_counted_for_the_operator_once_a_network(engine) {
        let server = set_up(Posthouse::on(engine).start());
        let http = browser(&server, "fr");
        let vote = |path: &str, answer: &str| http.submit(path, &[("helpful", answer)]);
        let done = vote("/help/credits/vote", "yes").expect(303);
        assert_eq!(done.header("location"), Some("/help/credits?thanks=1"));
        assert_eq!(done.header("set-cookie"), None);
        let thanked = http.get("/help/credits?thanks=1").expect(200).text;
        assert!(thanked.contains("Merci.") && !thanked.contains("name=\"helpful\""), "{thanked}");
        vote("/help/credits/vote", "no").expect(303);
        vote("/en/help/smtp-554/vote", "no").expect(303);
        vote("/help/nowhere/vote", "yes").expect(404);
        vote("/help/credits/vote", "perhaps").expect(404);

        let mut operator = server.http();
        operator.sign_in(OPERATOR, PASSWORD);
        let counts = operator.get("/api/v1/help/votes").expect(200).json();
        assert_eq!(counts["items"], json!([
            {"article": "smtp-554", "lang": "en", "helpful": 0, "not_helpful": 1},
            {"article": "credits", "lang": "fr", "helpful": 1, "not_helpful": 0},
        ]));
        server.create_account("alice@example.com");
        let mut alice = server.http();
        alice.sign_in("alice@example.com", PASSWORD);
        alice.get("/api/v1/help/votes").expect(403);
        server.http().get("/api/v1/help/votes").expect(401);
    }
}
