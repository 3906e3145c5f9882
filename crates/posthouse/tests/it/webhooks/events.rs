//! The log of an account over the API: pages, filters, and going on where one stopped.

use std::time::Duration;

use serde_json::{Value, json};

use super::{ALICE, send, server, signed_in};
use crate::both_engines;
use crate::harness::eventually;
use crate::harness::http::Http;

fn read(http: &Http, query: &str) -> Value {
    http.get(&format!("/api/v1/events{query}")).expect(200).json()
}

fn kinds(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().unwrap();
    items.iter().map(|one| one["type"].as_str().unwrap()).collect()
}

both_engines! {
    fn the_log_is_read_page_by_page_and_on_from_where_one_stopped(engine) {
        let (server, http) = server(engine);
        server.create_account("bob@example.com");
        let bob = signed_in(&server, "bob@example.com");
        let empty = read(&http, "");
        assert_eq!(empty, json!({"items": [], "next": null, "cursor": null}));
        let first = send(&http, "zoe@example.net");
        let message = json!({"from": "bob@example.com", "to": ["x@example.net"], "subject": "x", "text": "x"});
        bob.post("/api/v1/messages", &message).expect(202);
        send(&http, "zoe@example.net");
        let all = eventually("four events", || {
            Some(read(&http, "")).filter(|page| page["items"].as_array().unwrap().len() == 4)
        });
        assert!(all["next"].is_null() && all["cursor"].is_string(), "{all}");
        // Page by page they are the same.
        let (mut paged, mut after) = (Vec::new(), String::new());
        loop {
            let page = read(&http, &format!("?limit=1{after}"));
            paged.extend(page["items"].as_array().unwrap().clone());
            let Some(next) = page["next"].as_str() else { break };
            after = format!("&after={next}");
        }
        assert_eq!(json!(paged), all["items"]);
        // Filters.
        assert_eq!(kinds(&read(&http, "?type=accepted")), ["accepted"; 2]);
        assert_eq!(kinds(&read(&http, "?type=bounced,complained")).len(), 0);
        let of_first = read(&http, &format!("?message={first}"));
        assert_eq!(kinds(&of_first), ["accepted", "delivered"]);
        assert_eq!(of_first["items"][1]["data"]["recipient"], "zoe@example.net");
        let of_bob = read(&bob, &format!("?message={first}"));
        assert_eq!(of_bob["items"], json!([]));
        for wrong in ["?type=nonsense", "?message=x", "?since=yesterday", "?after=x", "?limit=0"] {
            http.get(&format!("/api/v1/events{wrong}")).expect(422);
        }
        // What comes later.
        let cursor = all["cursor"].as_str().unwrap();
        assert_eq!(read(&http, &format!("?after={cursor}"))["items"], json!([]));
        server.pass(Duration::from_hours(2));
        let since = server.now();
        send(&http, "yan@example.net");
        let news = eventually("the news", || {
            Some(read(&http, &format!("?after={cursor}"))).filter(|page| page["items"].as_array().unwrap().len() == 2)
        });
        let shown = since.rfc3339();
        assert_eq!(read(&http, &format!("?since={shown}"))["items"], news["items"]);
        assert_eq!(kinds(&news), ["accepted", "delivered"]);
        let key = http.post("/api/v1/keys", &json!({"name": "test", "scopes": ["send"]}));
        // The password was entered two hours ago; a key needs a fresh one.
        key.expect(403);
        assert!(signed_in(&server, ALICE).get("/api/v1/events").expect(200).json()["items"].is_array());
    }
}
