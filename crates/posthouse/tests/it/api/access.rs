//! Who may do what: every operation asks for a sign-in and its scope, and nothing of another account is found.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use super::users::joins;
use super::{send, server, signed_in, with_key};
use crate::both_engines;
use crate::harness::http::Http;
use crate::harness::wait::PATIENCE;
use crate::harness::{PASSWORD, Posthouse};

pub const NOBODY: &str = "01a20a5d-c849-71b5-8b3c-790d5a50fb8c";

/// A body that the operation understands, made from its description, so that it comes to the question who may.
pub fn body_for(api: &Value, operation: &Value) -> Option<Value> {
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    (!schema.is_null()).then(|| example(api, schema))
}

fn example(api: &Value, schema: &Value) -> Value {
    if let Some(path) = schema["$ref"].as_str() {
        return example(api, api.pointer(path.trim_start_matches('#')).expect(path));
    }
    if let Some(all) = schema["allOf"].as_array() {
        let mut whole = serde_json::Map::new();
        for part in all.iter().map(|part| example(api, part)) {
            match part {
                Value::Object(fields) => whole.extend(fields),
                // A description beside a reference to something simple.
                simple => return simple,
            }
        }
        return Value::Object(whole);
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(all) = schema[choice].as_array() {
            let real = all.iter().find(|one| one["type"] != "null").unwrap_or(&all[0]);
            return example(api, real);
        }
    }
    if let Some(values) = schema["enum"].as_array() {
        // Of the roles the one that everybody may give who may give any.
        let viewer = values.iter().find(|value| *value == "viewer");
        return viewer.unwrap_or(&values[0]).clone();
    }
    let kinds = schema["type"]
        .as_array()
        .cloned()
        .unwrap_or_else(|| vec![schema["type"].clone()]);
    let kind = kinds
        .iter()
        .filter_map(Value::as_str)
        .find(|kind| *kind != "null");
    match kind {
        Some("integer" | "number") => json!(1),
        Some("boolean") => json!(false),
        Some("array") => json!([example(api, &schema["items"])]),
        Some("object") => {
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            let fields = required.iter().filter_map(Value::as_str);
            fields
                .map(|field| (field.to_owned(), example(api, &schema["properties"][field])))
                .collect()
        }
        _ => schema.get("example").cloned().unwrap_or_else(|| json!("x")),
    }
}

both_engines! {
    fn every_operation_asks_for_a_sign_in_and_its_scope(engine) {
        let server = server(engine);
        let operator = signed_in(&server, "ops@example.com");
        let api = server.http().get("/api/v1/openapi.json").expect(200).json();
        // Not `read`, which does for what only reads, whatever else is lacking.
        let all = BTreeSet::from(["send", "messages", "domains", "credentials", "account", "operator"]);
        let without = |scope: &str| {
            let implies = |one: &str| one == "account" && scope == "credentials";
            let others: Vec<&str> = all.iter().copied().filter(|one| *one != scope && !implies(one)).collect();
            with_key(&server, &operator, &others)
        };
        let keys: Vec<_> = all.iter().map(|scope| (*scope, without(scope))).collect();
        let mut checked = 0;
        for (path, item) in api["paths"].as_object().unwrap() {
            let url = format!(
                "/api/v1{}",
                path.replace("{id}", NOBODY)
                    .replace("{ordinal}", "0")
                    .replace("{number}", "1")
            );
            for (method, operation) in item.as_object().unwrap() {
                let name = operation["operationId"].as_str().unwrap();
                let method = method.to_uppercase();
                let body = body_for(&api, operation);
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

/// Announces a body that never comes, and says which status is answered all the same.
fn status_before_the_body(server: &Posthouse, caller: &Http, method: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(server.address("http")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let proof = match (&caller.bearer, &caller.cookie) {
        (Some(key), _) => format!("Authorization: Bearer {key}"),
        (None, Some(cookie)) => format!("Cookie: {cookie}\r\nSec-Fetch-Site: same-origin"),
        (None, None) => "X-Nothing: here".to_owned(),
    };
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{proof}\r\nContent-Type: application/json\r\n\
         Content-Length: 200000\r\n\r\n{{"
    )
    .unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).expect("an answer");
    line.split(' ').nth(1).unwrap_or_default().to_owned()
}

both_engines! {
    fn nobody_is_listened_to_who_may_not_ask(engine) {
        let server = Posthouse::on(engine).set("http.requests_per_minute", "0").start();
        server.cli(&["account", "create", "ops@example.com", "--operator", "--password-stdin"], PASSWORD);
        server.create_account("alice@example.com");
        let (operator, alice) = (signed_in(&server, "ops@example.com"), signed_in(&server, "alice@example.com"));
        let viewer = joins(&server, &operator, &alice, "viewer@example.net", "viewer");
        let reader = with_key(&server, &operator, &["read"]);
        let sender = with_key(&server, &operator, &["send"]);
        let api = server.http().get("/api/v1/openapi.json").expect(200).json();
        let mut asked = 0;
        for (path, item) in api["paths"].as_object().unwrap() {
            let url = path.replace("{id}", NOBODY).replace("{ordinal}", "0").replace("{number}", "1");
            let url = format!("/api/v1{url}");
            for (method, operation) in item.as_object().unwrap() {
                let (name, method) = (operation["operationId"].as_str().unwrap(), method.to_uppercase());
                let alternatives = operation["security"].as_array().unwrap();
                if alternatives.iter().any(|one| one.as_object().unwrap().is_empty()) {
                    continue;
                }
                let scopes = |proof: &str| -> Vec<Vec<&str>> {
                    let lists = alternatives.iter().filter_map(|one| one[proof].as_array());
                    lists.map(|list| list.iter().filter_map(Value::as_str).collect()).collect()
                };
                let (keys, people) = (scopes("key"), scopes("session"));
                let mut refused = vec![(server.http(), "401")];
                for (held, key) in [("read", &reader), ("send", &sender)] {
                    if !keys.iter().any(|all| all.iter().all(|scope| *scope == held)) {
                        refused.push((same(key, &server), "403"));
                    }
                }
                // A person needs what a key does, but for what is about the own login.
                let needed = people.iter().chain(&keys).find(|all| !all.is_empty());
                if let Some(needed) = needed.filter(|_| name != "changePassword") {
                    if needed.contains(&"operator") {
                        refused.push((same(&alice, &server), "403"));
                    }
                    if !keys.contains(&vec!["read"]) {
                        refused.push((same(&viewer, &server), "403"));
                    }
                }
                for (caller, status) in refused {
                    assert_eq!(status_before_the_body(&server, &caller, &method, &url), status, "{name}");
                    asked += 1;
                }
            }
        }
        assert!(asked > 400, "{asked} requests were made");
    }

    fn no_operation_passes_over_a_parameter_or_a_field_that_it_does_not_know(engine) {
        let server = Posthouse::on(engine).set("http.requests_per_minute", "0").start();
        server.cli(&["account", "create", "ops@example.com", "--operator", "--password-stdin"], PASSWORD);
        let operator = signed_in(&server, "ops@example.com");
        let api = server.http().get("/api/v1/openapi.json").expect(200).json();
        let (mut asked, mut bodies) = (0, 0);
        for (path, item) in api["paths"].as_object().unwrap() {
            let url = path.replace("{id}", NOBODY).replace("{ordinal}", "0").replace("{number}", "1");
            for (method, operation) in item.as_object().unwrap() {
                let name = operation["operationId"].as_str().unwrap();
                let refused = operator.request(&method.to_uppercase(), &format!("/api/v1{url}?no_such=1"), None);
                assert_eq!(refused.status, 422, "{name}: {}", refused.text);
                assert_eq!(refused.json()["errors"][0]["field"], "no_such", "{name}");
                asked += 1;
                if method == "get" {
                    continue;
                }
                if operation["requestBody"].is_null() {
                    let refused = operator.request(&method.to_uppercase(), &format!("/api/v1{url}"), Some(&json!({"no_such": 1})));
                    assert_eq!((refused.status, refused.text.contains("takes no body")), (400, true), "{name}: {}", refused.text);
                    continue;
                }
                let Some(mut body) = body_for(&api, operation).filter(Value::is_object) else {
                    continue;
                };
                body["no_such"] = json!(1);
                let refused = operator.request(&method.to_uppercase(), &format!("/api/v1{url}"), Some(&body));
                assert_eq!(refused.status, 422, "{name}: {}", refused.text);
                assert_eq!(refused.json()["errors"][0]["field"], "no_such", "{name}");
                bodies += 1;
            }
        }
        assert!(asked > 100 && bodies > 50, "{asked} requests were made, and {bodies} with a body");
        let said = operator.get("/api/v1/accounts?Q=alice").expect(422).json();
        let said = said["errors"][0]["message"].as_str().unwrap().to_owned();
        assert!(said.starts_with("There is no such parameter, expected one of q, "), "{said}");
    }

    fn an_operation_takes_one_of_its_alternatives_and_all_of_it(engine) {
        let server = server(engine);
        let operator = signed_in(&server, "ops@example.com");
        let wanted = json!({"name": "printer"});
        for scopes in [&["credentials"][..], &["send"]] {
            with_key(&server, &operator, scopes).post("/api/v1/smtp-credentials", &wanted).expect(403);
        }
        with_key(&server, &operator, &["credentials", "send"]).post("/api/v1/smtp-credentials", &wanted).expect(201);
        for scopes in [&["messages"][..], &["read"]] {
            with_key(&server, &operator, scopes).get("/api/v1/messages").expect(200);
        }
        with_key(&server, &operator, &["send"]).get("/api/v1/messages").expect(403);
    }
}

/// Another client with the same proof.
fn same(caller: &Http, server: &Posthouse) -> Http {
    let mut http = server.http();
    (http.bearer, http.cookie) = (caller.bearer.clone(), caller.cookie.clone());
    http
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
