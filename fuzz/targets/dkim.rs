//! Signing whatever is stored: the field is one, folds as it must, and the same message gets the same body hash.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use mail::address::Domain;
use mail::dkim::{Signer, SigningKey, sign};
use mail::time::Time;

/// A key of the fuzzer's own, in PKCS #8 (RFC 8410): an Ed25519 seed of sevens.
fn signer() -> &'static Signer {
    static SIGNER: OnceLock<Signer> = OnceLock::new();
    SIGNER.get_or_init(|| {
        let mut der = vec![0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
        der.extend([7; 32]);
        Signer {
            domain: Domain::parse("example.com").expect("a domain"),
            selector: "s".to_owned(),
            key: SigningKey::ed25519_from_pkcs8(&der).expect("a key"),
        }
    })
}

fuzz_target!(|raw: &[u8]| {
    let now = Time::from_secs(1_800_000_000);
    let Ok(fields) = sign(raw, std::slice::from_ref(signer()), now) else { return };
    assert!(fields.starts_with(b"DKIM-Signature:") && fields.ends_with(b"\r\n") && fields.is_ascii());
    for (at, line) in fields[..fields.len() - 2].split(|byte| *byte == b'\n').enumerate() {
        assert!(line.len() < 998 && (at == 0 || line.starts_with(b" ") || line.starts_with(b"\t")));
    }
    assert_eq!(fields, sign(raw, std::slice::from_ref(signer()), now).expect("as before"));
});
