//! Who may do what: every operation asks for a sign-in and its scope, and nothing of another account is found.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{send, server, signed_in, with_key};
use crate::both_engines;

const NOBODY: &str = "01a20a5d-c849-71b5-8b3c-790d5a50fb8c";

/// A body that each operation understands, so that it comes to the question who may.
fn body_for(operation: &str) -> Option<Value> {
    Some(match operation {
        "sendMessage" => {
            json!({"from": "a@example.com", "to": ["b@example.net"], "subject": "s", "text": "t"})
        }
        "changePassword" => json!({"current": "a", "new": "b"}),
        "createAccount" => json!({"email": "c@example.com", "password": "four tired horses at dawn"}),
        "grantCredits" => json!({"amount": 1, "reason": "r"}),
        "invite" => json!({"email": "d@example.com"}),
        "suspendAccount" => json!({"reason": "r"}),
        "createCredential" => json!({"account_email": "alice@example.com", "range": "192.0.2.0/24"}),
        "addDomain" => json!({"name": "shop.example"}),
        "createKey" => json!({"name": "k", "scopes": ["send"]}),
        "pauseLane" | "resumeLane" | "retryLane" => json!({"lane": "l"}),
        _ => return None,
    })
}

both_engines! {
    fn every_operation_asks_for_a_sign_in_and_its_scope(engine) {
        let server = server(engine);
        let operator = signed_in(&server, "ops@example.com");
        let api = server.http().get("/api/v1/openapi.json").expect(200).json();
        let all = BTreeSet::from(["send", "messages", "domains", "account", "operator"]);
        let without = |scope: &str| {
            let others: Vec<&str> = all.iter().copied().filter(|one| *one != scope).collect();
            with_key(&server, &operator, &others)
        };
        let keys: Vec<_> = all.iter().map(|scope| (*scope, without(scope))).collect();
        let mut checked = 0;
        for (path, item) in api["paths"].as_object().unwrap() {
            let url = format!(
                "/api/v1{}",
                path.replace("{id}", NOBODY).replace("{ordinal}", "0")
            );
            for (method, operation) in item.as_object().unwrap() {
                let name = operation["operationId"].as_str().unwrap();
                let method = method.to_uppercase();
                let body = body_for(name);
                let Some(scopes) = operation["security"][0]["key"].as_array() else {
                    continue;
                };
                server.http().request(&method, &url, body.as_ref()).expect(401);
                let Some(scope) = scopes.first().and_then(Value::as_str) else {
                    continue;
                };
                let (_, lacking) = keys.iter().find(|(one, _)| *one == scope).unwrap();
                let refused = lacking.request(&method, &url, body.as_ref());
                assert_eq!(
                    refused.status, 403,
                    "{name} with a key that lacks {scope}: {}",
                    refused.text
                );
                checked += 1;
            }
        }
        assert!(checked > 35, "{checked} operations were checked");
    }
}

both_engines! {
    fn nothing_of_another_account_is_found(engine) {
        let server = server(engine);
        let (alice, bob) = (signed_in(&server, "alice@example.com"), signed_in(&server, "bob@example.com"));
        let message = send(&alice, "alice@example.com", "for nobody else");
        let domain = alice.post("/api/v1/domains", &json!({"name": "shop.example"})).expect(201).json();
        let domain = domain["id"].as_str().unwrap();
        let key = alice.post("/api/v1/keys", &json!({"name": "k", "scopes": ["send"]})).expect(201).json();
        let key = key["id"].as_str().unwrap();
        for path in ["", "/content", "/source", "/html"] {
            bob.get(&format!("/api/v1/messages/{message}{path}")).expect(404);
            alice.get(&format!("/api/v1/messages/{message}{path}")).expect(200);
        }
        for action in ["retry", "cancel", "recipients/0/retry", "recipients/0/cancel"] {
            bob.post(&format!("/api/v1/messages/{message}/{action}"), &json!({})).expect(404);
        }
        bob.get(&format!("/api/v1/domains/{domain}")).expect(404);
        bob.post(&format!("/api/v1/domains/{domain}/check"), &json!({})).expect(404);
        bob.delete(&format!("/api/v1/domains/{domain}")).expect(404);
        bob.delete(&format!("/api/v1/keys/{key}")).expect(404);
        for list in ["messages", "domains", "keys", "inbox"] {
            assert_eq!(bob.get(&format!("/api/v1/{list}")).expect(200).json()["items"], json!([]), "{list}");
        }
        for operators in ["accounts", "credentials", "queue", "messages?all=true", "live?all=true"] {
            bob.get(&format!("/api/v1/{operators}")).expect(403);
        }
        let spoofed = json!({"from": "alice@example.com", "to": ["zoe@example.net"], "subject": "x", "text": "x"});
        bob.post("/api/v1/messages", &spoofed).expect(403);
        alice.get(&format!("/api/v1/domains/{domain}")).expect(200);
    }

    fn a_key_never_mints_a_right_it_does_not_have(engine) {
        let server = server(engine);
        let alice = signed_in(&server, "alice@example.com");
        let operator = json!({"name": "k", "scopes": ["operator"]});
        alice.post("/api/v1/keys", &operator).expect(403);
        let key = with_key(&server, &alice, &["account"]);
        key.post("/api/v1/keys", &json!({"name": "k", "scopes": ["send"]})).expect(403);
        let twin = key.post("/api/v1/keys", &json!({"name": "k", "scopes": ["account"]})).expect(201).json();
        let keys = alice.get("/api/v1/keys").expect(200).json();
        assert_eq!(keys["items"].as_array().unwrap().len(), 2);
        assert!(keys["items"][0].get("key").is_none(), "the whole key is shown once");
        alice.delete(&format!("/api/v1/keys/{}", twin["id"].as_str().unwrap())).expect(204);
        let mut gone = server.http();
        gone.bearer = twin["key"].as_str().map(str::to_owned);
        gone.get("/api/v1/account").expect(401);
        key.get("/api/v1/account").expect(200);
    }
}
