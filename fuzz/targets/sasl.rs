//! What a client signs in with.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::sasl;
use mail::scram::{Begun, Mechanism};

fuzz_target!(|text: &str| {
    if let Ok(credentials) = sasl::plain(text) {
        assert!(!credentials.username.contains('\0') && !credentials.password.contains('\0'));
    }
    let _ = sasl::decode(text);
    let Some((first, last)) = text.split_once('\n') else { return };
    for (name, binding) in [("SCRAM-SHA-256", None), ("SCRAM-SHA-256-PLUS", Some(&b"binding"[..]))] {
        let mechanism = Mechanism::parse(name).expect("a name of one");
        if let Ok(begun) = Begun::read(first, mechanism, true) {
            let _ = begun.challenge(b"salt", 4_096, "nonce").read(last, binding);
        }
    }
});
