//! The text of a message: its end is found at the same place however it is cut into reads, and nothing of it becomes a command.
#![no_main]

mod talk;

use libfuzzer_sys::fuzz_target;
use talk::{check, talk};

const BEFORE: [&[u8]; 2] = [b"EHLO c\r\n", b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n"];

fuzz_target!(|input: (Vec<u8>, Vec<u16>)| {
    let (text, cuts) = input;
    // One message: what stands behind its end would be commands, which the other target has.
    let end = if text.starts_with(b".\r\n") {
        Some(3)
    } else {
        text.windows(5).position(|part| part == b"\r\n.\r\n").map(|at| at + 5)
    };
    let text = &text[..end.unwrap_or(text.len())];
    let stream = [BEFORE[0], BEFORE[1], text].concat();
    let first = BEFORE[0].len();
    let begins = first + BEFORE[1].len();
    let whole = talk(&stream, &[first, begins]);
    check(&whole);
    let mut all: Vec<usize> = cuts.into_iter().map(|cut| begins + usize::from(cut)).collect();
    all.sort_unstable();
    all.splice(0..0, [first, begins]);
    assert_eq!(whole, talk(&stream, &all));
    assert!(whole.messages.len() <= 1 && (end.is_some() || whole.messages.is_empty()));
});
