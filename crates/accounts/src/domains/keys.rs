//! Making DKIM key pairs and the selectors they are published under.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail::time::Time;

use super::records::{Algorithm, PublicKey};
use crate::AccountsError;
use store::Id;

/// A key as stored, without its private half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoredKey {
    pub(super) id: Id,
    pub(super) key: PublicKey,
    /// When its record was first found.
    pub(super) published_at: Option<Time>,
    /// When a newer one took over.
    pub(super) retired_at: Option<Time>,
}

/// A new key pair.
pub(super) struct Pair {
    pub(super) algorithm: Algorithm,
    pub(super) pkcs8: Vec<u8>,
    /// Base64 of what stands in `p=`.
    pub(super) public_key: String,
}

/// One RSA-2048 and one Ed25519 pair. Takes some hundred milliseconds of a core: call it where blocking is allowed.
// RFC 8301 section 3.2 asks for at least 2048 bits; RFC 8463 adds Ed25519, which not every receiver knows.
pub(super) fn generate() -> Result<[Pair; 2], AccountsError> {
    let failed = |_| AccountsError::KeyGeneration;
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
    let rsa_private = AsDer::<Pkcs8V1Der<'_>>::as_der(&rsa).map_err(failed)?;
    let rsa_public = AsDer::<PublicKeyX509Der<'_>>::as_der(rsa.public_key()).map_err(failed)?;
    let ed25519 = Ed25519KeyPair::generate().map_err(failed)?;
    Ok([
        Pair {
            algorithm: Algorithm::RsaSha256,
            pkcs8: rsa_private.as_ref().to_vec(),
            // RFC 6376 section 3.6.1: the DER of a SubjectPublicKeyInfo, as everybody publishes it.
            public_key: STANDARD.encode(rsa_public.as_ref()),
        },
        Pair {
            algorithm: Algorithm::Ed25519Sha256,
            pkcs8: ed25519.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
            // RFC 8463 section 4: the 32 octets themselves.
            public_key: STANDARD.encode(ed25519.public_key().as_ref()),
        },
    ])
}

/// `ph2611r`: made by Posthouse in November 2026, RSA. `taken` selectors of the same domain get a number behind.
pub(super) fn selector(now: Time, algorithm: Algorithm, taken: &[String]) -> String {
    let date = now.rfc3339();
    let letter = match algorithm {
        Algorithm::RsaSha256 => 'r',
        Algorithm::Ed25519Sha256 => 'e',
    };
    let plain = format!("ph{}{}{letter}", &date[2..4], &date[5..7]);
    let numbered = (2..=taken.len() + 1).map(|n| format!("{plain}{n}"));
    std::iter::once(plain.clone())
        .chain(numbered)
        .find(|selector| !taken.contains(selector))
        .expect("there is one name more than there are taken ones")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_pairs_can_sign() {
        let [rsa, ed25519] = generate().unwrap();
        mail::dkim::SigningKey::rsa_from_pkcs8(&rsa.pkcs8).unwrap();
        mail::dkim::SigningKey::ed25519_from_pkcs8(&ed25519.pkcs8).unwrap();
        assert_eq!(STANDARD.decode(ed25519.public_key).unwrap().len(), 32);
        assert_eq!(STANDARD.decode(rsa.public_key).unwrap().len(), 294);
    }

    #[test]
    fn a_selector_tells_month_and_algorithm_and_is_free() {
        let now = Time::parse_rfc3339("2026-11-23T12:00:00Z").unwrap();
        assert_eq!(selector(now, Algorithm::RsaSha256, &[]), "ph2611r");
        assert_eq!(
            selector(now, Algorithm::Ed25519Sha256, &["ph2611r".into()]),
            "ph2611e"
        );
        let taken = ["ph2611r".to_owned(), "ph2611r2".to_owned()];
        assert_eq!(selector(now, Algorithm::RsaSha256, &taken), "ph2611r3");
    }
}
