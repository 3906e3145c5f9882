//! Signatures and secrets as Standard Webhooks defines them (version 1, symmetric).

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Octets of a secret; the specification asks for 24 to 64.
pub const SECRET_OCTETS: usize = 32;

/// A secret as its receiver is told it.
pub fn shown(secret: &[u8]) -> String {
    format!("whsec_{}", STANDARD.encode(secret))
}

/// The `webhook-signature` of a message: one for each secret that counts now.
pub fn signatures<'a>(
    secrets: impl Iterator<Item = &'a [u8]>,
    id: &str,
    timestamp: i64,
    body: &str,
) -> String {
    let signed = format!("{id}.{timestamp}.{body}");
    let each = secrets.map(|secret| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        format!("v1,{}", STANDARD.encode(hmac::sign(&key, signed.as_bytes())))
    });
    each.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_one_that_openssl_makes() {
        // printf %s 'msg_1.1700000000.{}' | openssl dgst -sha256 -hmac posthouse -binary | base64
        let signature = signatures(
            [b"posthouse".as_slice()].into_iter(),
            "msg_1",
            1_700_000_000,
            "{}",
        );
        assert_eq!(signature, "v1,r3miMhiAIm86SlpdN+gP+TBYwJo/DY7H1jfWwhhsAwI=");
        let both = [b"posthouse".as_slice(), b"older"].into_iter();
        let both = signatures(both, "msg_1", 1_700_000_000, "{}");
        assert!(both.starts_with(&format!("{signature} v1,")), "{both}");
    }

    #[test]
    fn a_secret_says_what_it_is() {
        assert_eq!(shown(b"posthouse"), "whsec_cG9zdGhvdXNl");
    }
}
