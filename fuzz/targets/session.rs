//! Commands and messages of any client, cut into reads anywhere: the same comes of them, and the replies stay in form.
#![no_main]

mod talk;

use libfuzzer_sys::fuzz_target;
use talk::{check, talk};

fuzz_target!(|input: (Vec<u8>, Vec<u16>)| {
    let (stream, cuts) = input;
    // What ends a group of pipelined commands has to be waited for: talking on is an error that depends on the cuts.
    let waits = |stream: &[u8]| {
        let upper = stream.to_ascii_uppercase();
        ["EHLO", "HELO", "AUTH", "DATA", "QUIT", "STARTTLS", "BDAT"].iter().any(|verb| {
            upper.windows(verb.len()).any(|part| part == verb.as_bytes())
        })
    };
    let whole = talk(&stream, &[]);
    check(&whole);
    let mut cuts: Vec<usize> = cuts.into_iter().map(usize::from).collect();
    cuts.sort_unstable();
    let cut = talk(&stream, &cuts);
    check(&cut);
    if !waits(&stream) {
        assert_eq!(whole, cut);
    }
});
