//! An authenticator for passkeys, with a key of each kind that there is.

use accounts::{Assertion, Challenge, Registration};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
};

pub const PRESENT: u8 = 0x01;
pub const VERIFIED: u8 = 0x04;
const NEW_KEY: u8 = 0x40;

/// A key of one of the kinds that a device may make.
pub enum Key {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(rsa::KeyPair),
}

impl Key {
    /// A new one, of the kind with this COSE number.
    pub fn new(algorithm: i64) -> Self {
        match algorithm {
            -7 => Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap()),
            -8 => Self::Ed25519(Ed25519KeyPair::generate().unwrap()),
            -257 => Self::Rsa(rsa::KeyPair::generate(KeySize::Rsa2048).unwrap()),
            other => panic!("no device makes keys of the kind {other}"),
        }
    }

    fn algorithm(&self) -> i64 {
        match self {
            Self::P256(_) => -7,
            Self::Ed25519(_) => -8,
            Self::Rsa(_) => -257,
        }
    }

    /// The DER of its `SubjectPublicKeyInfo`.
    fn public(&self) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = match self {
            Self::P256(key) => key.public_key().as_der(),
            Self::Ed25519(key) => key.public_key().as_der(),
            Self::Rsa(key) => key.public_key().as_der(),
        }
        .unwrap();
        der.as_ref().to_vec()
    }

    fn sign(&self, octets: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::P256(key) => key.sign(&random, octets).unwrap().as_ref().to_vec(),
            Self::Ed25519(key) => key.sign(octets).as_ref().to_vec(),
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, octets, &mut signature)
                    .unwrap();
                signature
            }
        }
    }
}

/// A device with one key.
pub struct Device {
    key: Key,
    pub credential: Vec<u8>,
    pub counter: u32,
    /// What it says it did with its user.
    pub flags: u8,
    pub origin: &'static str,
    pub site: &'static str,
    pub kind: Option<&'static str>,
}

impl Device {
    /// One with the kind of key that most have.
    pub fn new(credential: &[u8]) -> Self {
        Self::with(Key::new(-7), credential)
    }

    pub fn with(key: Key, credential: &[u8]) -> Self {
        Self {
            key,
            credential: credential.to_vec(),
            counter: 1,
            flags: PRESENT | VERIFIED,
            origin: "https://mail.example.com",
            site: "mail.example.com",
            kind: None,
        }
    }

    fn client_data(&self, kind: &str, challenge: &str) -> Vec<u8> {
        let (kind, origin) = (self.kind.unwrap_or(kind), self.origin);
        format!(r#"{{"type":"{kind}","challenge":"{challenge}","origin":"{origin}","crossOrigin":false}}"#)
            .into_bytes()
    }

    fn authenticator_data(&self, flags: u8) -> Vec<u8> {
        let mut data = digest(&SHA256, self.site.as_bytes()).as_ref().to_vec();
        data.push(self.flags | flags);
        data.extend_from_slice(&self.counter.to_be_bytes());
        data
    }

    pub fn registers(&self, asked: &Challenge) -> Registration {
        let mut data = self.authenticator_data(NEW_KEY);
        data.extend_from_slice(&[0; 16]);
        data.extend_from_slice(&u16::try_from(self.credential.len()).unwrap().to_be_bytes());
        data.extend_from_slice(&self.credential);
        Registration {
            client_data: self.client_data("webauthn.create", &asked.challenge),
            authenticator_data: data,
            public_key: self.key.public(),
            algorithm: self.key.algorithm(),
        }
    }

    pub fn signs(&mut self, asked: &Challenge) -> Assertion {
        self.counter += 1;
        self.signs_without_counting(asked)
    }

    pub fn signs_without_counting(&self, asked: &Challenge) -> Assertion {
        let client_data = self.client_data("webauthn.get", &asked.challenge);
        let authenticator_data = self.authenticator_data(0);
        let mut signed = authenticator_data.clone();
        signed.extend_from_slice(digest(&SHA256, &client_data).as_ref());
        Assertion {
            credential: self.credential.clone(),
            client_data,
            authenticator_data,
            signature: self.key.sign(&signed),
            user: None,
        }
    }
}
