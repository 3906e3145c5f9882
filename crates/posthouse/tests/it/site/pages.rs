//! What every page holds to: headers, size, languages, and no cookies.

use super::{attribute, browser, server, set_up};
use crate::both_engines;
use crate::harness::Posthouse;

const PAGES: [&str; 8] = [
    "/",
    "/smtp/",
    "/smtp/test",
    "/help/",
    "/login",
    "/cookies",
    "/terms",
    "/privacy",
];

both_engines! {
    fn every_page_is_small_closed_and_sets_no_cookie(engine) {
        let server = server(engine);
        let http = browser(&server, "en");
        for path in PAGES
            .iter()
            .copied()
            .chain(["/help/credits", "/help/?q=password"])
        {
            for base in ["", "/en", "/fr"] {
                let page = http.get(&format!("{base}{path}")).expect(200);
                let header = |name: &str| page.header(name).unwrap_or_default().to_owned();
                assert_eq!(header("content-type"), "text/html; charset=utf-8", "{path}");
                assert_eq!(
                    header("content-language"),
                    if base == "/fr" { "fr" } else { "en" },
                    "{path}"
                );
                assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
                assert_eq!(header("referrer-policy"), "same-origin", "{path}");
                assert_eq!(page.header("set-cookie"), None, "{path}");
                let csp = header("content-security-policy");
                for rule in [
                    "default-src 'none'",
                    "style-src 'self'",
                    "form-action 'self'",
                    "frame-ancestors 'none'",
                ] {
                    assert!(csp.contains(rule), "{path}: {csp}");
                }
                assert!(!csp.contains("unsafe"), "{path}: {csp}");
                // The one script there is, on the forms for a new password.
                let html = &page.text.replace("<script src=\"/site/strength-", "<our-");
                assert_eq!(
                    html.contains("<our-"),
                    csp.contains("script-src 'self'") && html.contains("autocomplete=\"new-password\""),
                    "{path}"
                );
                for inline in ["<script", "<style", " style=\"", " onclick", "javascript:"] {
                    assert!(!html.contains(inline), "{path} has {inline}");
                }
                assert_eq!(html.matches("<h1").count(), 1, "{path}");
                let style = attribute(html, "href")
                    .into_iter()
                    .find(|path| path.starts_with("/site/style-"))
                    .unwrap();
                let style = http.get(style).expect(200);
                assert!(
                    html.len() + style.text.len() < 100_000,
                    "{path} has {}",
                    html.len()
                );
            }
        }
    }

    fn a_page_is_not_sent_twice_and_its_stylesheet_is_kept(engine) {
        let server = server(engine);
        let mut http = browser(&server, "en");
        let page = http.get("/smtp/").expect(200);
        assert_eq!(page.header("cache-control"), Some("no-cache"));
        assert_eq!(
            page.header("vary")
                .map(|vary| vary.contains("Accept-Language") || vary.contains("accept-language")),
            Some(true)
        );
        http.headers.push((
            "if-none-match".to_owned(),
            page.header("etag").unwrap().to_owned(),
        ));
        let same = http.get("/smtp/").expect(304);
        assert_eq!(
            (same.text.as_str(), same.header("etag")),
            ("", page.header("etag"))
        );
        http.get("/fr/smtp/").expect(200);
        let style = attribute(&page.text, "href")
            .into_iter()
            .find(|path| path.starts_with("/site/style-"))
            .unwrap();
        let style = http.get(style).expect(200);
        assert_eq!(style.header("content-type"), Some("text/css; charset=utf-8"));
        assert_eq!(
            style.header("cache-control"),
            Some("public, max-age=31536000, immutable")
        );
        http.get("/site/style-0000000000000000.css").expect(404);
    }

    fn the_language_follows_the_browser_and_can_be_switched(engine) {
        let server = server(engine);
        let french = browser(&server, "fr-FR,fr;q=0.9,en;q=0.8").get("/").expect(200);
        assert!(french.text.contains("<html lang=\"fr\">"), "{}", french.text);
        assert!(
            attribute(&french.text, "href").contains(&"/en/"),
            "{}",
            french.text
        );
        // Whoever lets the browser choose goes on doing so.
        assert!(attribute(&french.text, "href").contains(&"/smtp/"));
        let english = browser(&server, "fr").get("/en/").expect(200);
        assert!(english.text.contains("<html lang=\"en\">"));
        assert!(attribute(&english.text, "href").contains(&"/en/smtp/"));
        for (lang, page) in [("fr", &french), ("en", &english)] {
            let canonical = format!(
                "<link rel=\"canonical\" href=\"{}/{lang}/\">",
                server_url(&server)
            );
            assert!(page.text.contains(&canonical), "{canonical}\n{}", page.text);
            assert_eq!(
                attribute(&page.text, "hreflang"),
                ["en", "fr", "x-default", if lang == "fr" { "en" } else { "fr" }]
            );
        }
    }
}

fn server_url(server: &Posthouse) -> String {
    format!("http://localhost:{}", server.address("http").port())
}

both_engines! {
    fn the_first_page_shows_this_installation(engine) {
        let server = Posthouse::on(engine)
            .set("smtp.max_message_size", "\"12 MiB\"")
            .set("smtp.max_recipients", "1234")
            .set("accounts.free_credits", "777")
            .set("delivery.give_up", "\"3d\"")
            .set("site.contact", "\"help@example.com\"")
            .start();
        let server = set_up(server);
        let english = browser(&server, "en").get("/").expect(200).text;
        for value in [
            "mail.example.com",
            "12\u{a0}MiB",
            "1,234",
            "777",
            "3\u{a0}days",
            "help@example.com",
        ] {
            assert!(english.contains(value), "{value} is missing in\n{english}");
        }
        let port = server.address("submission").port().to_string();
        assert!(english.contains(&port), "{english}");
        let french = browser(&server, "fr").get("/").expect(200).text;
        for value in ["12\u{a0}Mio", "1\u{202f}234", "3\u{a0}jours"] {
            assert!(french.contains(value), "{value} is missing in\n{french}");
        }
    }

    fn an_installation_without_an_operator_begins_in_the_console(engine) {
        let server = Posthouse::on(engine).start();
        let http = browser(&server, "fr");
        for path in ["/", "/fr/", "/fr"] {
            assert_eq!(
                http.get(path).expect(307).header("location"),
                Some("/app"),
                "{path}"
            );
        }
        http.get("/smtp/").expect(200);
        let server = set_up(server);
        browser(&server, "fr").get("/").expect(200);
    }

    fn what_is_not_there_is_a_page_for_people_and_a_problem_for_programs(engine) {
        let server = server(engine);
        let http = browser(&server, "fr");
        for path in [
            "/nowhere",
            "/fr/nowhere",
            "/help/nowhere",
            "/en/help/nowhere",
            "/site/nowhere.css",
        ] {
            let page = http.get(path).expect(404);
            assert_eq!(
                page.header("content-type"),
                Some("text/html; charset=utf-8"),
                "{path}"
            );
            let lang = if path.starts_with("/en") { "en" } else { "fr" };
            assert!(page.text.contains(&format!("<html lang=\"{lang}\">")), "{path}");
            assert!(page.header("content-security-policy").is_some(), "{path}");
        }
        let program = server.http().get("/nowhere").expect(404);
        assert_eq!(program.header("content-type"), Some("application/problem+json"));
        assert_eq!(
            http.get("/api/v1/nowhere").expect(404).header("content-type"),
            Some("application/problem+json")
        );
        for (path, whole) in [("/smtp", "/smtp/"), ("/fr/help", "/fr/help/")] {
            assert_eq!(http.get(path).expect(308).header("location"), Some(whole));
        }
    }

    fn the_cookie_page_names_each_cookie_and_the_notice_asks_for_nothing(engine) {
        let server = server(engine);
        let page = browser(&server, "en").get("/cookies").expect(200);
        assert!(page.text.contains("<code>posthouse_session</code>"));
        for path in PAGES {
            let page = browser(&server, "en").get(path).expect(200);
            let footer = page.text.split("<footer").nth(1).unwrap();
            assert!(
                footer.contains("sets one cookie") && footer.contains("href=\"/cookies\""),
                "{path}"
            );
            assert!(!footer.contains("<button") && !footer.contains("<form"), "{path}");
        }
    }

    fn search_engines_find_every_page_in_both_languages(engine) {
        let server = server(engine);
        let http = server.http();
        let url = server_url(&server);
        let robots = http.get("/robots.txt").expect(200);
        assert!(
            robots.text.contains(&format!("Sitemap: {url}/sitemap.xml")),
            "{}",
            robots.text
        );
        let map = http.get("/sitemap.xml").expect(200);
        assert_eq!(map.header("content-type"), Some("application/xml; charset=utf-8"));
        let pages: Vec<&str> = map
            .text
            .split("<loc>")
            .skip(1)
            .filter_map(|rest| rest.split('<').next())
            .collect();
        assert!(pages.len() > 30 && pages.len().is_multiple_of(2), "{pages:?}");
        for page in pages {
            let path = page.strip_prefix(&url).unwrap();
            http.get(path).expect(200);
        }
    }
}
