//! DKIM signatures (RFC 6376, relaxed/relaxed) with RSA and Ed25519 (RFC 8463), over the bytes that go out.

mod body;

use crate::address::Domain;
use crate::message::{Field, Head, HeadError};
use crate::time::Time;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Signed once more than they occur, so that nobody can add another one: RFC 6376 section 8.15.
const OVERSIGNED: [&str; 7] = ["from", "to", "cc", "subject", "date", "message-id", "reply-to"];
/// Signed once more than they occur where they occur; a hop that re-encodes a message may add them otherwise.
const OVERSIGNED_WHERE_PRESENT: [&str; 4] = [
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "content-disposition",
];
/// Signed as often as they occur.
const SIGNED: [&str; 18] = [
    "sender",
    "in-reply-to",
    "references",
    "resent-date",
    "resent-from",
    "resent-sender",
    "resent-to",
    "resent-cc",
    "resent-message-id",
    "list-id",
    "list-help",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "list-subscribe",
    "list-post",
    "list-owner",
    "list-archive",
    "feedback-id",
];

/// A private key that signs.
pub struct SigningKey(Key);

enum Key {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

/// One key with the name under which its public half is published: `selector._domainkey.domain`.
pub struct Signer {
    /// The signing domain.
    pub domain: Domain,
    pub selector: String,
    pub key: SigningKey,
}

/// Why a key is not usable or a message could not be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DkimError {
    #[error("the private key is not a PKCS#8 document of this algorithm")]
    Key,
    #[error("the header section cannot be signed: {0}")]
    Head(#[from] HeadError),
    #[error("the signing operation failed")]
    Sign,
}

impl SigningKey {
    pub fn rsa_from_pkcs8(der: &[u8]) -> Result<Self, DkimError> {
        let pair = RsaKeyPair::from_pkcs8(der).map_err(|_| DkimError::Key)?;
        Ok(Self(Key::Rsa(Box::new(pair))))
    }

    pub fn ed25519_from_pkcs8(der: &[u8]) -> Result<Self, DkimError> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(|_| DkimError::Key)?;
        Ok(Self(Key::Ed25519(Box::new(pair))))
    }

    /// The value of the signature's `a=` tag.
    pub fn algorithm(&self) -> &'static str {
        match self.0 {
            Key::Rsa(_) => "rsa-sha256",
            Key::Ed25519(_) => "ed25519-sha256",
        }
    }

    fn sign(&self, input: &[u8]) -> Result<Vec<u8>, DkimError> {
        match &self.0 {
            Key::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                // PKCS#1 v1.5 is deterministic: the generator is never asked.
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input, &mut signature)
                    .map_err(|_| DkimError::Sign)?;
                Ok(signature)
            }
            // RFC 8463 section 3: PureEdDSA over the SHA-256 of the header hash input.
            Key::Ed25519(pair) => Ok(pair.sign(digest(&SHA256, input).as_ref()).as_ref().to_vec()),
        }
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.algorithm())
    }
}

/// One DKIM-Signature field per signer, to be put in front of `raw`.
pub fn sign(raw: &[u8], signers: &[Signer], now: Time) -> Result<Vec<u8>, DkimError> {
    if signers.is_empty() {
        return Ok(Vec::new());
    }
    let head = Head::parse(raw)?;
    let body_hash = STANDARD.encode(body::hash(head.body()));
    let (mut input, names) = signed_fields(&head);
    let fields_len = input.len();
    let mut out = Vec::with_capacity(signers.len() * 1_024);
    for signer in signers {
        let field = signature_field(signer, &names, &body_hash, now);
        input.truncate(fields_len);
        relax_field(
            "dkim-signature",
            field.split_once(':').expect("written with a colon").1.as_bytes(),
            &mut input,
        );
        let signature = STANDARD.encode(signer.key.sign(&input)?);
        out.extend_from_slice(field.as_bytes());
        fold_base64(&signature, &mut out);
        out.extend_from_slice(b"\r\n");
    }
    Ok(out)
}

/// The field up to and including `b=`.
fn signature_field(signer: &Signer, names: &[&str], body_hash: &str, now: Time) -> String {
    let mut field = format!(
        "DKIM-Signature: v=1; a={}; c=relaxed/relaxed;\r\n\td={}; s={};\r\n\tt={}; h=",
        signer.key.algorithm(),
        signer.domain.as_str(),
        signer.selector,
        now.as_secs(),
    );
    let mut column = 20;
    for (nth, name) in names.iter().enumerate() {
        if nth > 0 {
            field.push(':');
        }
        if column + name.len() > 74 {
            field.push_str("\r\n\t ");
            column = 2;
        }
        field.push_str(name);
        column += name.len() + 1;
    }
    field.push_str(";\r\n\tbh=");
    field.push_str(body_hash);
    field.push_str(";\r\n\tb=");
    field
}

fn fold_base64(text: &str, out: &mut Vec<u8>) {
    for (nth, chunk) in text.as_bytes().chunks(72).enumerate() {
        if nth > 0 {
            out.extend_from_slice(b"\r\n\t ");
        }
        out.extend_from_slice(chunk);
    }
}

/// The canonical form of the fields that are signed, and the `h=` list that says which.
fn signed_fields(head: &Head<'_>) -> (Vec<u8>, Vec<&'static str>) {
    let mut input = Vec::with_capacity(head.bytes().len() + 1_024);
    let mut names = Vec::with_capacity(24);
    let mut occurrences = |name: &'static str, input: &mut Vec<u8>| {
        let mut count = 0;
        // RFC 6376 section 5.4.2: several fields of one name are signed from the bottom up.
        for field in head.fields().iter().rev().filter(|field| field.is(name)) {
            relax_signed(field, name, input);
            names.push(name);
            count += 1;
        }
        count
    };
    for name in SIGNED {
        occurrences(name, &mut input);
    }
    let mut extra: Vec<&'static str> = Vec::with_capacity(12);
    for name in OVERSIGNED_WHERE_PRESENT {
        if occurrences(name, &mut input) > 0 {
            extra.push(name);
        }
    }
    for name in OVERSIGNED {
        occurrences(name, &mut input);
        extra.push(name);
    }
    names.extend(extra);
    (input, names)
}

fn relax_signed(field: &Field<'_>, name: &str, input: &mut Vec<u8>) {
    relax_field(name, field.value, input);
    input.extend_from_slice(b"\r\n");
}

/// RFC 6376 section 3.4.2, without the closing CRLF; the name comes in lower case.
fn relax_field(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.push(b':');
    let start = out.len();
    let mut space = false;
    let mut at = 0;
    while at < value.len() {
        match value[at] {
            b' ' | b'\t' => space = true,
            b'\r' if value.get(at + 1) == Some(&b'\n') => at += 1,
            b'\n' => {}
            octet => {
                if space && out.len() > start {
                    out.push(b' ');
                }
                space = false;
                out.push(octet);
            }
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::encoding::AsDer as _;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{
        ED25519, KeyPair as _, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, UnparsedPublicKey,
    };

    /// RFC 8463 appendix A.3, without the two signatures.
    const MESSAGE: &str = "From: Joe SixPack <joe@football.example.com>\r\n\
        To: Suzie Q <suzie@shopping.example.net>\r\n\
        Subject: Is dinner ready?\r\n\
        Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n\
        Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\
        \r\n\
        Hi.\r\n\
        \r\n\
        We lost the game.  Are you hungry yet?\r\n\
        \r\n\
        Joe.\r\n";
    /// RFC 8463 appendix A.1: the Ed25519 seed, put into PKCS#8.
    const SEED: &str = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";

    fn test_key() -> SigningKey {
        let mut der = vec![
            0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
        ];
        der.extend(STANDARD.decode(SEED).unwrap());
        SigningKey::ed25519_from_pkcs8(&der).unwrap()
    }

    /// The hash input for a signature field of the RFC, whose `h=` signs these fields once.
    fn rfc_input(signature: &str) -> Vec<u8> {
        let head = Head::parse(MESSAGE.as_bytes()).unwrap();
        let mut input = Vec::new();
        for name in ["from", "to", "subject", "date", "message-id"] {
            relax_signed(head.first(name).unwrap(), name, &mut input);
        }
        relax_field("dkim-signature", signature.as_bytes(), &mut input);
        input
    }

    #[test]
    fn the_ed25519_signature_of_rfc_8463_is_reproduced() {
        let input = rfc_input(
            " v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n d=football.example.com; i=@football.example.com;\r\n \
             q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n subject : date : message-id : from : subject : date;\r\n \
             bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b=",
        );
        assert_eq!(
            STANDARD.encode(test_key().sign(&input).unwrap()),
            "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw=="
        );
    }

    #[test]
    fn the_rsa_signature_of_rfc_8463_verifies_over_our_canonical_form() {
        let key = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi\
                   0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTI\
                   KT+l/K4w3QIDAQAB";
        let signature = "F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mP\
                         YQTnGdaSGsgeefOsk2JzdA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=";
        let input = rfc_input(
            " v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n d=football.example.com; i=@football.example.com;\r\n \
             q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n date : message-id : from : subject : date;\r\n \
             bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b=",
        );
        UnparsedPublicKey::new(
            &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
            STANDARD.decode(key).unwrap(),
        )
        .verify(&input, &STANDARD.decode(signature).unwrap())
        .expect("the published signature is over this input");
    }

    fn hashed(canonical: &[u8]) -> [u8; 32] {
        digest(&SHA256, canonical).as_ref().try_into().unwrap()
    }

    #[test]
    fn the_body_hash_of_rfc_8463_is_reproduced() {
        let head = Head::parse(MESSAGE.as_bytes()).unwrap();
        assert_eq!(
            STANDARD.encode(body::hash(head.body())),
            "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="
        );
    }

    fn generated(algorithm: &str) -> (SigningKey, Vec<u8>) {
        if algorithm == "rsa" {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
            let public = pair.public_key().as_ref().to_vec();
            let der = pair.as_der().unwrap();
            return (SigningKey::rsa_from_pkcs8(der.as_ref()).unwrap(), public);
        }
        let key = test_key();
        (
            key,
            STANDARD
                .decode("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
                .unwrap(),
        )
    }

    /// Verifies one of our own fields from nothing but its text.
    fn verifies(field: &str, raw: &str, public: &[u8]) -> bool {
        let value = field
            .strip_prefix("DKIM-Signature:")
            .unwrap()
            .strip_suffix("\r\n")
            .unwrap();
        let tag = |name: &str| -> String {
            let found = value
                .split(';')
                .find_map(|t| t.trim().strip_prefix(name)?.strip_prefix('='))
                .unwrap();
            found.chars().filter(|c| !c.is_whitespace()).collect()
        };
        let head = Head::parse(raw.as_bytes()).unwrap();
        if STANDARD.encode(body::hash(head.body())) != tag("bh") {
            return false;
        }
        let mut input = Vec::new();
        let mut left: Vec<&Field<'_>> = head.fields().iter().collect();
        for name in tag("h").split(':') {
            if let Some(at) = left.iter().rposition(|field| field.is(name)) {
                relax_signed(left.remove(at), name, &mut input);
            }
        }
        relax_field(
            "dkim-signature",
            &value.as_bytes()[..value.rfind("b=").unwrap() + 2],
            &mut input,
        );
        let signature = STANDARD.decode(tag("b")).unwrap();
        if tag("a") == "rsa-sha256" {
            return UnparsedPublicKey::new(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, public)
                .verify(&input, &signature)
                .is_ok();
        }
        UnparsedPublicKey::new(&ED25519, public)
            .verify(hashed(&input).as_ref(), &signature)
            .is_ok()
    }

    fn signer(key: SigningKey, selector: &str) -> Signer {
        Signer {
            domain: Domain::parse("football.example.com").unwrap(),
            selector: selector.into(),
            key,
        }
    }

    #[test]
    fn both_algorithms_sign_and_each_signature_verifies() {
        let (rsa, rsa_public) = generated("rsa");
        let (ed, ed_public) = generated("ed25519");
        let block = sign(
            MESSAGE.as_bytes(),
            &[signer(rsa, "r"), signer(ed, "e")],
            Time::from_secs(1_528_637_909),
        )
        .unwrap();
        let block = String::from_utf8(block).unwrap();
        let second = block.rfind("DKIM-Signature:").unwrap();
        assert!(verifies(&block[..second], MESSAGE, &rsa_public), "{block}");
        assert!(verifies(&block[second..], MESSAGE, &ed_public), "{block}");
        assert!(block.contains("t=1528637909;"));
        assert!(block.lines().all(|line| line.len() <= 78), "{block}");
    }

    #[test]
    fn a_second_from_or_subject_breaks_the_signature() {
        let (key, public) = generated("ed25519");
        let block =
            String::from_utf8(sign(MESSAGE.as_bytes(), &[signer(key, "e")], Time::from_secs(0)).unwrap())
                .unwrap();
        for added in [
            "From: evil@x.example\r\n",
            "Subject: other\r\n",
            "Cc: c@x.example\r\n",
        ] {
            assert!(
                !verifies(&block, &format!("{added}{MESSAGE}"), &public),
                "{added}"
            );
        }
        assert!(verifies(
            &block,
            &format!("Received: by hop\r\n{MESSAGE}"),
            &public
        ));
    }

    #[test]
    fn folded_and_repeated_fields_verify_after_refolding() {
        let raw = "From: a@b.example\r\nSubject: one\r\n  two\t\r\nReferences: <1@x>\r\nreferences:  <2@x>\r\n\r\nx\r\n";
        let (key, public) = generated("ed25519");
        let block = String::from_utf8(sign(raw.as_bytes(), &[signer(key, "e")], Time::from_secs(0)).unwrap())
            .unwrap();
        let refolded = "From:a@b.example\r\nSubject:\r\n one two\r\nReferences: <1@x>\r\nReferences: <2@x>\r\n\r\nx \r\n\r\n";
        assert!(verifies(&block, refolded, &public), "{block}");
        let swapped = refolded.replace("<1@x>", "<3@x>");
        assert!(!verifies(&block, &swapped, &public));
    }

    #[test]
    fn no_signer_makes_no_field() {
        assert_eq!(sign(MESSAGE.as_bytes(), &[], Time::from_secs(0)), Ok(Vec::new()));
    }

    #[test]
    fn a_key_of_the_other_algorithm_is_refused() {
        assert_eq!(
            SigningKey::rsa_from_pkcs8(b"not a key").unwrap_err(),
            DkimError::Key
        );
        assert_eq!(
            SigningKey::ed25519_from_pkcs8(b"not a key").unwrap_err(),
            DkimError::Key
        );
    }
}
