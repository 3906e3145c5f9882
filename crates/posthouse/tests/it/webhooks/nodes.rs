//! Webhooks where processes die or work side by side: each event is delivered at least once, and normally once.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{ALICE, create, delivery, send, server, signed_in, verified};
use crate::both_engines;
use crate::harness::engine::postgres_is_here;
use crate::harness::{Engine, Receiver, Reply, eventually};

/// Sent over both nodes.
const MAILS: usize = 40;

both_engines! {
    fn what_was_being_told_when_the_process_died_is_told_again_under_the_same_name(engine) {
        let receiver = Receiver::start();
        receiver.reply("/x", Reply::Hold);
        let (mut server, http) = server(engine);
        let (id, secret) = create(&http, &receiver.url("/x"), &["accepted"]);
        send(&http, "zoe@example.net");
        let first = receiver.wait_for("/x", 1)[0].clone();
        server.kill();
        receiver.release();
        server.start_again();
        server.pass(Duration::from_mins(1));
        let again = receiver.wait_for("/x", 2)[1].clone();
        assert_eq!(again.header("webhook-id"), first.header("webhook-id"));
        assert_eq!(again.body, first.body);
        assert!(verified(&again, &secret).is_ok());
        let http = signed_in(&server, ALICE);
        let went = delivery(&http, &id, "accepted", |one| one["delivery"]["state"] == "delivered");
        // The attempt that died left no record, and its number is not given again.
        assert_eq!(went["attempts"][0]["number"], 2);
    }
}

#[test]
fn two_nodes_tell_each_event_once_and_a_dead_ones_share_passes_on() {
    if !postgres_is_here("two_nodes_tell_each_event_once_and_a_dead_ones_share_passes_on") {
        return;
    }
    let receiver = Receiver::start();
    let (mut first, http) = server(Engine::Postgres);
    let second = first.second();
    let (id, _) = create(&http, &receiver.url("/x"), &["accepted"]);
    let other = signed_in(&second, ALICE);
    for n in 0..MAILS {
        send(if n % 2 == 0 { &http } else { &other }, "zoe@example.net");
    }
    receiver.wait_for("/x", MAILS);
    eventually("all are recorded", || {
        let waiting = http
            .get(&format!("/api/v1/webhooks/{id}/deliveries?state=waiting"))
            .expect(200)
            .json();
        waiting["items"].as_array().unwrap().is_empty().then_some(())
    });
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    for call in receiver.calls("/x") {
        *told.entry(call.header("webhook-id").to_owned()).or_default() += 1;
    }
    assert_eq!((told.len(), told.values().max()), (MAILS, Some(&1)));
    // One node dies with a call in flight: whichever it was, the other makes it in the end.
    receiver.reply("/x", Reply::Hold);
    send(&http, "last@example.net");
    receiver.wait_for("/x", MAILS + 1);
    first.kill();
    receiver.release();
    // The clock file is the first one's, which both read.
    first.pass(Duration::from_mins(1));
    delivery(&other, &id, "accepted", |one| {
        one["delivery"]["state"] == "delivered"
    });
}
