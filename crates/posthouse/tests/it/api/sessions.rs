//! Where one is signed in: the list, and ending one session or all others.

use serde_json::{Value, json};

use super::{server, signed_in, with_key};
use crate::both_engines;
use crate::harness::http::Http;
use crate::harness::{PASSWORD, Posthouse};

const ALICE: &str = "alice@example.com";

fn sessions(http: &Http) -> Vec<Value> {
    http.get("/api/v1/sessions").expect(200).json()["items"]
        .as_array()
        .unwrap()
        .clone()
}

fn with_browser(server: &Posthouse, agent: &str) -> Http {
    let mut http = server.http();
    http.headers.push(("user-agent".to_owned(), agent.to_owned()));
    http.sign_in(ALICE, PASSWORD);
    http
}

both_engines! {
    fn ones_own_sessions_are_listed_with_browser_and_address_and_one_is_this(engine) {
        let server = server(engine);
        let here = with_browser(&server, "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0");
        let _there = with_browser(&server, "curl/8.5.0");
        let _bob = signed_in(&server, "bob@example.com");
        let list = sessions(&here);
        assert_eq!(list.len(), 2, "{list:?}");
        let this: Vec<_> = list.iter().filter(|one| one["current"] == true).collect();
        assert_eq!(this.len(), 1);
        assert_eq!((&this[0]["browser"], &this[0]["system"], &this[0]["ip"]), (&json!("Firefox"), &json!("Linux"), &json!("127.0.0.1")));
        let text = format!("{list:?}");
        let token = here.cookie.as_deref().unwrap().split('=').nth(1).unwrap();
        assert!(!text.contains(token));
    }

    fn a_session_that_is_ended_opens_nothing_any_more(engine) {
        let server = server(engine);
        let (here, there, third) = (signed_in(&server, ALICE), signed_in(&server, ALICE), signed_in(&server, ALICE));
        let other = sessions(&there).into_iter().find(|one| one["current"] == true).unwrap();
        let path = format!("/api/v1/sessions/{}", other["id"].as_str().unwrap());
        here.delete(&path).expect(204);
        there.get("/api/v1/session").expect(401);
        here.delete(&path).expect(404);
        here.delete("/api/v1/sessions").expect(204);
        third.get("/api/v1/session").expect(401);
        here.get("/api/v1/session").expect(200);
        assert_eq!(sessions(&here).len(), 1);
    }

    fn nobody_ends_or_sees_anothers_session_and_no_key_does(engine) {
        let server = server(engine);
        let (alice, bob) = (signed_in(&server, ALICE), signed_in(&server, "bob@example.com"));
        let id = sessions(&alice)[0]["id"].as_str().unwrap().to_owned();
        bob.delete(&format!("/api/v1/sessions/{id}")).expect(404);
        bob.delete("/api/v1/sessions").expect(204);
        alice.get("/api/v1/session").expect(200);
        let key = with_key(&server, &alice, &["account", "send", "messages", "domains"]);
        key.get("/api/v1/sessions").expect(403);
        key.delete("/api/v1/sessions").expect(403);
        key.delete(&format!("/api/v1/sessions/{id}")).expect(403);
        server.http().get("/api/v1/sessions").expect(401);
        alice.get("/api/v1/session").expect(200);
    }
}
