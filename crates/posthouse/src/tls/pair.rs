//! A certificate with its key, read from PEM files and found to belong together.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest;
use mail::time::Time;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Why a pair of files cannot be used, with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    #[error("cannot read {}: {reason}; correct tls.{key} or the file's permissions", file.display())]
    Unreadable {
        file: PathBuf,
        key: &'static str,
        reason: std::io::Error,
    },
    #[error("{} holds no certificate in PEM ({reason}); tls.cert takes the chain, your own certificate first", file.display())]
    NoCertificate { file: PathBuf, reason: String },
    #[error("{} holds no private key in PEM ({reason}); tls.key takes an unencrypted one", file.display())]
    NoKey { file: PathBuf, reason: String },
    #[error("the private key in {} does not belong to the first certificate in {}; name the pair that was issued together", key.display(), cert.display())]
    Mismatch { cert: PathBuf, key: PathBuf },
    #[error("{} cannot be used: {reason}; have it issued again", file.display())]
    Unusable { file: PathBuf, reason: String },
}

/// What a certificate says, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Whether it was issued by itself, so that no client trusts it without being told to.
    pub self_signed: bool,
    /// SHA-256 over the certificate, as `openssl x509 -fingerprint -sha256` prints it.
    pub fingerprint_sha256: String,
    pub not_before: Time,
    pub not_after: Time,
    /// DNS names and IP addresses it is for.
    pub names: Vec<String>,
}

impl Facts {
    pub fn of(der: &[u8]) -> Result<Self, String> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
        let names = match certificate.subject_alternative_name() {
            Ok(Some(names)) => names.value.general_names.iter().filter_map(name).collect(),
            Ok(None) => Vec::new(),
            Err(error) => return Err(error.to_string()),
        };
        let print = digest::digest(&digest::SHA256, der);
        Ok(Self {
            self_signed: certificate.subject() == certificate.issuer(),
            fingerprint_sha256: print
                .as_ref()
                .iter()
                .map(|b| format!("{b:02X}"))
                .collect::<Vec<_>>()
                .join(":"),
            not_before: Time::from_secs(certificate.validity().not_before.timestamp()),
            not_after: Time::from_secs(certificate.validity().not_after.timestamp()),
            names,
        })
    }

    /// When a third of its life is left.
    pub fn renew_at(&self) -> Time {
        self.not_after.minus(self.not_after.since(self.not_before) / 3)
    }

    /// Whether the certificate is for this host, by name or by wildcard.
    pub fn covers(&self, host: &str) -> bool {
        self.names.iter().any(|name| {
            name.eq_ignore_ascii_case(host)
                || name.strip_prefix("*.").is_some_and(|parent| {
                    host.split_once('.')
                        .is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent))
                })
        })
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes)
                .ok()
                .map(|v4| std::net::Ipv4Addr::from(v4).to_string()),
            16 => <[u8; 16]>::try_from(*bytes)
                .ok()
                .map(|v6| std::net::Ipv6Addr::from(v6).to_string()),
            _ => None,
        },
        _ => None,
    }
}

/// A pair that can be shown.
#[derive(Debug)]
pub struct Pair {
    pub key: Arc<CertifiedKey>,
    pub facts: Facts,
}

impl Pair {
    /// Both may be one file.
    pub fn read(cert: &Path, key: &Path) -> Result<Self, PairError> {
        Self::parse((&read(cert, "cert")?, cert), (&read(key, "key")?, key))
    }

    /// Key and chain in one text, which is called `from` where something is wrong with it.
    pub fn of(pem: &str, from: &str) -> Result<Self, PairError> {
        let both = (pem.as_bytes(), Path::new(from));
        Self::parse(both, both)
    }

    fn parse((cert_pem, cert): (&[u8], &Path), (key_pem, key): (&[u8], &Path)) -> Result<Self, PairError> {
        let none = |reason: String| PairError::NoCertificate {
            file: cert.to_owned(),
            reason,
        };
        let chain = CertificateDer::pem_slice_iter(cert_pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| none(error.to_string()))?;
        let first = chain
            .first()
            .ok_or_else(|| none("no CERTIFICATE section".to_owned()))?;
        let private = PrivateKeyDer::from_pem_slice(key_pem).map_err(|error| PairError::NoKey {
            file: key.to_owned(),
            reason: error.to_string(),
        })?;
        let facts = Facts::of(first).map_err(|reason| PairError::Unusable {
            file: cert.to_owned(),
            reason,
        })?;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let certified = CertifiedKey::from_der(chain, private, &provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => PairError::Mismatch {
                cert: cert.to_owned(),
                key: key.to_owned(),
            },
            other => PairError::Unusable {
                file: key.to_owned(),
                reason: other.to_string(),
            },
        })?;
        Ok(Self {
            key: Arc::new(certified),
            facts,
        })
    }
}

fn read(file: &Path, key: &'static str) -> Result<Vec<u8>, PairError> {
    std::fs::read(file).map_err(|reason| PairError::Unreadable {
        file: file.to_owned(),
        key,
        reason,
    })
}

/// What two files looked like, to notice that they changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp([(PathBuf, Option<std::time::SystemTime>, u64); 2]);

impl Stamp {
    /// `None` where a file cannot be seen: a state like any other.
    pub fn of(cert: &Path, key: &Path) -> Option<Self> {
        let one = |file: &Path| {
            let facts = std::fs::metadata(file).ok()?;
            Some((file.to_owned(), facts.modified().ok(), facts.len()))
        };
        Some(Self([one(cert)?, one(key)?]))
    }
}
