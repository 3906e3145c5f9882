//! Hooks where several processes share one database.

use serde_json::json;

use super::{ALICE, BOB, accepted, change, on_message, remove, submit, text, unhurried};
use crate::harness::engine::postgres_is_here;
use crate::harness::smtp::Smtp;
use crate::harness::{Engine, Sink};

/// An answer of the other node, which is asked in a session that was open before.
fn answered(smtp: &mut Smtp) -> String {
    submit(smtp, "")
}

#[test]
fn a_hook_changed_on_one_node_counts_at_the_next_command_on_the_other() {
    if !postgres_is_here("a_hook_changed_on_one_node_counts_at_the_next_command_on_the_other") {
        return;
    }
    let sink = Sink::start();
    let (first, http) = super::server(Engine::Postgres, &sink);
    let second = unhurried(first.beside()).start();
    let mut smtp = second.signed_in(ALICE);
    accepted(&answered(&mut smtp));
    let id = on_message(&http, "reject('One.')");
    assert_eq!(answered(&mut smtp), "554 5.7.1 One.");
    change(
        &http,
        &id,
        &json!({"body": "function on_message(m) reject('Two.') end"}),
    );
    assert_eq!(answered(&mut smtp), "554 5.7.1 Two.");
    change(&http, &id, &json!({"restore": 1}));
    assert_eq!(answered(&mut smtp), "554 5.7.1 One.");
    // Also in the middle of a message.
    smtp.mail(ALICE).expect("250");
    smtp.rcpt(BOB).expect("250");
    change(&http, &id, &json!({"enabled": false}));
    accepted(smtp.data(text("").as_bytes()).0.trim_end());
    change(&http, &id, &json!({"enabled": true}));
    assert_eq!(answered(&mut smtp), "554 5.7.1 One.");
    remove(&http, &id);
    accepted(&answered(&mut smtp));
}
