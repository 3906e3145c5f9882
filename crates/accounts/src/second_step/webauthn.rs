//! Passkeys: whether what an authenticator made or signed is for this site, by the rules of Web Authentication, Level 3.
//!
//! Nothing is asked about the make of an authenticator (attestation `none`), so its new public key is taken as the browser
//! gives it, and the signatures of later are what proves something.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
    VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// Algorithms we take, by their COSE numbers, the best first.
pub const ALGORITHMS: [i64; 3] = [-8, -7, -257];
/// The longest that an authenticator may name a key.
const LONGEST_CREDENTIAL: usize = 1023;

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const NEW_KEY: u8 = 0x40;

/// Why passkeys cannot be had at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPasskeys {
    #[error("passkeys need https: set `http.public_url` to the https address that people use")]
    NotHttps,
    #[error("passkeys need a host name in `http.public_url`, not an IP address")]
    NoName,
}

/// The site, as browsers know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The host name that keys are bound to.
    pub id: String,
    /// Scheme, host and port of the pages.
    origin: String,
}

impl Site {
    /// The site whose pages are at `public_url`.
    pub fn at(public_url: &str) -> Result<Self, NoPasskeys> {
        let (scheme, rest) = public_url.split_once("://").ok_or(NoPasskeys::NotHttps)?;
        let authority = rest.split('/').next().unwrap_or_default().to_ascii_lowercase();
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (host, Some(port)),
            _ => (authority.as_str(), None),
        };
        let local = host == "localhost" || host.ends_with(".localhost");
        if !scheme.eq_ignore_ascii_case("https") && !local {
            return Err(NoPasskeys::NotHttps);
        }
        if host.is_empty() || host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok() {
            return Err(NoPasskeys::NoName);
        }
        let scheme = scheme.to_ascii_lowercase();
        // Browsers leave the usual port out.
        let port = port.filter(|port| !matches!((scheme.as_str(), *port), ("https", "443") | ("http", "80")));
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        Ok(Self {
            id: host.to_owned(),
            origin: format!("{scheme}://{host}{port}"),
        })
    }
}

/// What is wrong with what a browser brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("the browser's answer cannot be read")]
    Unreadable,
    #[error("the answer is for another site")]
    OtherSite,
    #[error("the device did not check who uses it")]
    NotVerified,
    #[error("the device's kind of key is not known here")]
    Algorithm,
    #[error("the signature is not right")]
    Signature,
}

/// A new key as a browser brings it; the names are those of the Web Authentication API.
#[derive(Clone, Debug)]
pub struct Registration {
    pub client_data: Vec<u8>,
    pub authenticator_data: Vec<u8>,
    /// The DER of a `SubjectPublicKeyInfo`.
    pub public_key: Vec<u8>,
    pub algorithm: i64,
}

/// A proof that somebody has a key.
#[derive(Clone, Debug)]
pub struct Assertion {
    pub credential: Vec<u8>,
    pub client_data: Vec<u8>,
    pub authenticator_data: Vec<u8>,
    pub signature: Vec<u8>,
    /// What the key was registered for, where the authenticator says so.
    pub user: Option<Vec<u8>>,
}

/// A key that can be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NewPasskey {
    pub(super) credential: Vec<u8>,
    pub(super) public_key: Vec<u8>,
    pub(super) algorithm: i64,
    pub(super) counter: u32,
}

/// What a browser says about a ceremony.
#[derive(Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(rename = "crossOrigin", default)]
    cross_origin: bool,
}

/// What an authenticator says about itself.
struct AuthenticatorData<'a> {
    counter: u32,
    flags: u8,
    rest: &'a [u8],
}

/// The challenge that was answered, and the key. Web Authentication, section 7.1.
pub(super) fn registered(site: &Site, answer: &Registration) -> Result<(Vec<u8>, NewPasskey), Fault> {
    let challenge = challenge(site, &answer.client_data, "webauthn.create")?;
    let data = authenticator_data(site, &answer.authenticator_data)?;
    if data.flags & NEW_KEY == 0 {
        return Err(Fault::Unreadable);
    }
    // Section 6.5.1: sixteen octets for the make, then length and name of the key.
    let (length, rest) = data
        .rest
        .get(16..)
        .and_then(<[u8]>::split_first_chunk::<2>)
        .ok_or(Fault::Unreadable)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let credential = rest.get(..length).ok_or(Fault::Unreadable)?;
    if credential.is_empty() || length > LONGEST_CREDENTIAL {
        return Err(Fault::Unreadable);
    }
    let (_, parsed) = algorithm(answer.algorithm, &answer.public_key)?;
    drop(parsed);
    let key = NewPasskey {
        credential: credential.to_vec(),
        public_key: answer.public_key.clone(),
        algorithm: answer.algorithm,
        counter: data.counter,
    };
    Ok((challenge, key))
}

/// The challenge that was answered, and the authenticator's counter. Web Authentication, section 7.2.
pub(super) fn asserted(
    site: &Site,
    (algorithm_number, public_key): (i64, &[u8]),
    answer: &Assertion,
) -> Result<(Vec<u8>, u32), Fault> {
    let challenge = challenge(site, &answer.client_data, "webauthn.get")?;
    let data = authenticator_data(site, &answer.authenticator_data)?;
    let (algorithm, _) = algorithm(algorithm_number, public_key)?;
    let mut signed = answer.authenticator_data.clone();
    signed.extend_from_slice(digest(&SHA256, &answer.client_data).as_ref());
    UnparsedPublicKey::new(algorithm, public_key)
        .verify(&signed, &answer.signature)
        .map_err(|_| Fault::Signature)?;
    Ok((challenge, data.counter))
}

fn challenge(site: &Site, client_data: &[u8], kind: &str) -> Result<Vec<u8>, Fault> {
    let said: ClientData = serde_json::from_slice(client_data).map_err(|_| Fault::Unreadable)?;
    if said.kind != kind {
        return Err(Fault::Unreadable);
    }
    if said.origin != site.origin || said.cross_origin {
        return Err(Fault::OtherSite);
    }
    URL_SAFE_NO_PAD
        .decode(said.challenge)
        .map_err(|_| Fault::Unreadable)
}

fn authenticator_data<'a>(site: &Site, octets: &'a [u8]) -> Result<AuthenticatorData<'a>, Fault> {
    let (for_site, rest) = octets.split_first_chunk::<32>().ok_or(Fault::Unreadable)?;
    let (head, rest) = rest.split_first_chunk::<5>().ok_or(Fault::Unreadable)?;
    if for_site.as_slice() != digest(&SHA256, site.id.as_bytes()).as_ref() {
        return Err(Fault::OtherSite);
    }
    let [flags, counter @ ..] = *head;
    if flags & USER_PRESENT == 0 || flags & USER_VERIFIED == 0 {
        return Err(Fault::NotVerified);
    }
    Ok(AuthenticatorData {
        counter: u32::from_be_bytes(counter),
        flags,
        rest,
    })
}

/// How signatures of this key are checked; a key of another kind is refused.
fn algorithm(
    number: i64,
    public_key: &[u8],
) -> Result<(&'static dyn VerificationAlgorithm, ParsedPublicKey), Fault> {
    let parsed = match number {
        -7 => ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, public_key),
        -8 => ParsedPublicKey::new(&ED25519, public_key),
        -257 => ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public_key),
        _ => return Err(Fault::Algorithm),
    };
    let parsed = parsed.map_err(|_| Fault::Algorithm)?;
    Ok((parsed.algorithm(), parsed))
}
