//! The HTTP API against the real binary: one module a group of operations.

mod access;
mod announcements;
mod batch;
mod credits;
mod domains;
mod exports;
mod fresh;
mod heavy;
mod impersonation;
mod live;
mod mail;
mod operator;
mod own;
mod refused;
mod second_step;
mod session;
mod sessions;
mod suppressions;
mod users;
mod vouchers;

use serde_json::{Value, json};

use crate::harness::http::Http;
use crate::harness::{Engine, PASSWORD, Posthouse};

/// A server with an operator, `ops@example.com`, and two accounts, `alice@` and `bob@example.com`.
fn server(engine: Engine) -> Posthouse {
    let server = Posthouse::on(engine).start();
    server.cli(
        &[
            "account",
            "create",
            "ops@example.com",
            "--operator",
            "--password-stdin",
        ],
        PASSWORD,
    );
    server.create_account("alice@example.com");
    server.create_account("bob@example.com");
    server
}

fn signed_in(server: &Posthouse, email: &str) -> Http {
    let mut http = server.http();
    http.sign_in(email, PASSWORD);
    http
}

/// A client with a key of `owner` that has these scopes only.
fn with_key(server: &Posthouse, owner: &Http, scopes: &[&str]) -> Http {
    let made = owner
        .post("/api/v1/keys", &json!({"name": "test", "scopes": scopes}))
        .expect(201)
        .json();
    let mut http = server.http();
    http.bearer = made["key"].as_str().map(str::to_owned);
    http
}

/// The fields that a refusal says are at fault.
fn faults(problem: &Value) -> Vec<&str> {
    problem["errors"]
        .as_array()
        .map(|all| all.iter().filter_map(|one| one["field"].as_str()).collect())
        .unwrap_or_default()
}

/// Sends a message from `from` and returns its id.
fn send(http: &Http, from: &str, subject: &str) -> String {
    let message = json!({"from": from, "to": ["zoe@example.net"], "subject": subject, "text": "hello", "html": "<p>hello</p>"});
    let accepted = http.post("/api/v1/messages", &message).expect(202).json();
    assert_eq!(accepted["recipients"], 1);
    accepted["id"].as_str().unwrap().to_owned()
}
