//! Secrets that we hand out once and keep only as a SHA-256: session tokens, API keys and passwords of SMTP credentials.

use aws_lc_rs::digest::{SHA256, digest};

/// Octets of randomness in every token.
pub const RANDOM_OCTETS: usize = 32;
/// What an API key starts with, so that people and secret scanners recognise one.
pub const KEY_PREFIX: &str = "ph_";
/// What the password of a named SMTP credential starts with.
pub const SMTP_PREFIX: &str = "phs_";
/// Digits of a token, whatever its octets.
const DIGITS: usize = width(RANDOM_OCTETS);
/// How much of an API key stays readable in lists.
const SHOWN: usize = KEY_PREFIX.len() + 6;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// 62^n >= 256^len needs n = len * ln 256 / ln 62, about 1.344 digits an octet.
const fn width(octets: usize) -> usize {
    (octets * 1344).div_ceil(1000)
}

/// `octets` as one big-endian number in base 62, padded so that the length tells nothing.
pub fn base62(octets: &[u8]) -> String {
    let mut number = octets.to_vec();
    let mut digits = vec![b'0'; width(octets.len())];
    for digit in digits.iter_mut().rev() {
        let mut remainder = 0u32;
        for octet in &mut number {
            let value = remainder << 8 | u32::from(*octet);
            *octet = (value / 62) as u8;
            remainder = value % 62;
        }
        *digit = ALPHABET[remainder as usize];
    }
    String::from_utf8(digits).expect("the alphabet is ASCII")
}

/// A new API key from `random`, in the form that its owner sees once.
pub fn api_key(random: &[u8]) -> String {
    format!("{KEY_PREFIX}{}", base62(random))
}

/// A new password of a named SMTP credential from `random`.
pub fn smtp_password(random: &[u8]) -> String {
    format!("{SMTP_PREFIX}{}", base62(random))
}

/// Whether this has the form of such a password.
pub fn is_smtp_password(text: &str) -> bool {
    text.strip_prefix(SMTP_PREFIX)
        .is_some_and(|digits| digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// The readable beginning of a key.
pub fn shown(key: &str) -> &str {
    key.get(..SHOWN).unwrap_or(key)
}

/// What is stored of a token. The tokens are random, so a plain hash is enough.
pub fn hash(token: &str) -> [u8; 32] {
    hash_of(token.as_bytes())
}

/// The same of octets.
pub fn hash_of(octets: &[u8]) -> [u8; 32] {
    digest(&SHA256, octets)
        .as_ref()
        .try_into()
        .expect("SHA-256 has 32 octets")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_has_the_same_length() {
        assert_eq!(base62(&[0; 32]).len(), 44);
        assert_eq!(base62(&[255; 32]).len(), 44);
    }

    #[test]
    fn different_octets_give_different_tokens() {
        assert_eq!(base62(&[0, 61]), "00z");
        assert_eq!(base62(&[0, 62]), "010");
        assert_eq!(base62(&[255, 255]), "H31");
    }

    #[test]
    fn a_key_shows_its_beginning_only() {
        let key = api_key(&[7; 32]);
        assert!(key.starts_with("ph_"));
        assert_eq!(shown(&key).len(), 9);
        assert_eq!(shown("ph"), "ph");
    }

    #[test]
    fn the_password_of_a_credential_is_known_by_its_form() {
        let password = smtp_password(&[7; 32]);
        assert!(is_smtp_password(&password), "{password}");
        for other in [
            &api_key(&[7; 32]),
            "phs_",
            &password[..40],
            "phs_horses at the gate",
            "",
        ] {
            assert!(!is_smtp_password(other), "{other}");
        }
    }
}
