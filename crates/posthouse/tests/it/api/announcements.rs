//! Announcements on top of the console and on the first page of the site.

use serde_json::{Value, json};

use super::{faults, server, signed_in};
use crate::both_engines;
use crate::harness::http::Http;

const EVIL: &str = "<script>alert(1)</script> {{ site.url }} & \"quotes\"";

fn seen(http: &Http) -> Vec<String> {
    let listed = http.get("/api/v1/account/announcements").expect(200).json();
    let texts = listed["items"].as_array().unwrap().iter();
    texts
        .map(|one| one["text"].as_str().unwrap().to_owned())
        .collect()
}

both_engines! {
    fn an_announcement_is_seen_until_it_is_put_away_or_removed(engine) {
        let server = server(engine);
        let operator = signed_in(&server, "ops@example.com");
        let (alice, bob) = (signed_in(&server, "alice@example.com"), signed_in(&server, "bob@example.com"));
        let announce = |body: &Value| operator.post("/api/v1/announcements", body);
        let wanted = json!({"text": EVIL, "severity": "problem", "public": true});
        alice.post("/api/v1/announcements", &wanted).expect(403);
        alice.get("/api/v1/announcements").expect(403);
        let public = announce(&wanted).expect(201).json();
        let to_alice = json!({"text": "Your invoice is due.", "severity": "warning", "account_email": "Alice@example.com"});
        let to_alice = announce(&to_alice).expect(201).json();
        assert_eq!(to_alice["account_name"], "alice@example.com");
        announce(&json!({"text": "later", "severity": "info", "from": "2999-01-01T00:00:00Z"})).expect(201);
        assert_eq!(seen(&alice), [EVIL, "Your invoice is due."]);
        assert_eq!(seen(&bob), [EVIL]);
        server.http().get("/api/v1/account/announcements").expect(401);

        // The site shows it as text, in every language, and nothing that is not public.
        for (page, word) in [("/en/", "Trouble:"), ("/fr/", "Incident\u{a0}:")] {
            let home = server.http().get(page).expect(200).text;
            assert!(home.contains(word) && home.contains("&lt;script&gt;alert(1)"), "{home}");
            assert!(!home.contains("<script") && home.contains("{{ site.url }}"), "{home}");
            assert!(!home.contains("invoice is due") && !home.contains("later"), "{home}");
        }

        let own = |one: &Value| format!("/api/v1/account/announcements/{}", one["id"].as_str().unwrap());
        bob.delete(&own(&to_alice)).expect(404);
        alice.delete(&own(&public)).expect(204);
        assert_eq!(seen(&alice), ["Your invoice is due."]);
        assert_eq!(seen(&signed_in(&server, "alice@example.com")), ["Your invoice is due."]);
        assert_eq!(seen(&bob), [EVIL]);
        let path = format!("/api/v1/announcements/{}", public["id"].as_str().unwrap());
        alice.delete(&path).expect(403);
        operator.delete(&path).expect(204);
        operator.delete(&path).expect(404);
        assert!(seen(&bob).is_empty());
        assert!(!server.http().get("/en/").expect(200).text.contains("alert(1)"));
        assert_eq!(operator.get("/api/v1/announcements").expect(200).json()["items"].as_array().unwrap().len(), 2);
    }

    fn what_could_not_be_shown_says_which_field_is_wrong(engine) {
        let server = server(engine);
        let operator = signed_in(&server, "ops@example.com");
        for (field, change) in [
            ("text", json!({"text": " "})),
            ("text", json!({"text": "two\nlines"})),
            ("text", json!({"text": "x".repeat(501)})),
            ("from", json!({"from": "soon"})),
            ("until", json!({"until": "2020-01-01T00:00:00Z"})),
            ("account_email", json!({"account_email": "nobody@example.com"})),
            ("public", json!({"public": true, "account_email": "alice@example.com"})),
        ] {
            let mut body = json!({"text": "fine", "severity": "info"});
            body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            let refused = operator.post("/api/v1/announcements", &body).expect(422).json();
            assert_eq!(faults(&refused), [field], "{body}");
        }
        let refused = operator.post("/api/v1/announcements", &json!({"text": "fine", "severity": "loud"})).expect(422).json();
        assert_eq!(faults(&refused), ["severity"]);
        let said = refused["errors"][0]["message"].as_str().unwrap();
        assert!(said.starts_with("Unknown variant `loud`, expected") && !said.contains(" line "), "{said}");
    }
}
