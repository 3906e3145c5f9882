//! The header of the PROXY protocol.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::smtp::proxy::read;

fuzz_target!(|input: &[u8]| {
    let _ = read(input);
});
