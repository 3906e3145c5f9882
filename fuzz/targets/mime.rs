//! A header section and the fields that we act on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::message::{Head, Steering};
use mail::time::Time;

fuzz_target!(|raw: &[u8]| {
    let Ok(head) = Head::of_arriving(raw) else { return };
    assert!(head.body_offset() <= raw.len());
    let _ = (head.authors(), head.count_received(), head.message_id());
    if let Some(subject) = head.subject() {
        assert!(!subject.contains(['\r', '\n']), "{subject:?}");
    }
    let now = Time::from_secs(1_800_000_000);
    if let Ok(steering) = Steering::parse(&head, now) {
        assert!(steering.tags.len() <= 10);
    }
    let beginning = head.rewritten(b"X-Ours: 1\r\n", |field| field.is("x-posthouse-tag"));
    let whole = beginning.put_on(raw.to_vec().into());
    let again = Head::parse(&whole).expect("it stays one");
    assert!(again.has("x-ours") && !again.has("x-posthouse-tag"));
});
