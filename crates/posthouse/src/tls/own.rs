//! The certificate we make ourselves, so that a first start has TLS: nobody vouches for it but its fingerprint.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mail::time::Time;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, SanType,
};

use super::pair::{Facts, Pair};
use crate::ops::private::{private_dir, write_private};

const DAY: Duration = Duration::from_hours(24);
/// No longer than mail clients of the strict kind accept.
const LIFE: Duration = Duration::from_hours(24 * 825);
/// Renewed when less than this is left.
const LEFT: Duration = Duration::from_hours(24 * 30);
/// Marks a certificate as made here, and so as ours to replace.
const MAKER: &str = "Posthouse, made at first start";

pub struct Own {
    dir: PathBuf,
    hostname: String,
    cert: PathBuf,
    key: PathBuf,
}

impl Own {
    pub fn new(dir: &Path, hostname: &str) -> Self {
        Self {
            dir: dir.to_owned(),
            hostname: hostname.to_owned(),
            cert: dir.join("cert.pem"),
            key: dir.join("key.pem"),
        }
    }

    pub fn cert(&self) -> &Path {
        &self.cert
    }

    pub fn key(&self) -> &Path {
        &self.key
    }

    /// Makes the certificate where it is missing, nearly over or for another host name. The key stays, so that what
    /// was pinned to it holds; files that were not made here are left alone.
    pub fn renew(&self, now: Time) -> Result<(), String> {
        if self.cert.exists() {
            if !self.made_here() {
                return Ok(());
            }
            if Pair::read(&self.cert, &self.key).is_ok_and(|pair| self.still_good(&pair.facts, now)) {
                return Ok(());
            }
        }
        self.make(now)
    }

    fn still_good(&self, facts: &Facts, now: Time) -> bool {
        facts.covers(&self.hostname) && facts.not_after > now.plus(LEFT)
    }

    fn made_here(&self) -> bool {
        use rustls_pki_types::CertificateDer;
        use rustls_pki_types::pem::PemObject;
        use x509_parser::prelude::{FromDer, X509Certificate};

        let Ok(der) = CertificateDer::from_pem_file(&self.cert) else {
            return false;
        };
        X509Certificate::from_der(&der).is_ok_and(|(_, certificate)| {
            certificate
                .issuer()
                .iter_organization()
                .any(|name| name.as_str() == Ok(MAKER))
        })
    }

    fn make(&self, now: Time) -> Result<(), String> {
        private_dir(&self.dir).map_err(|error| error.to_string())?;
        let key = match std::fs::read_to_string(&self.key) {
            Ok(pem) => KeyPair::from_pem(&pem).map_err(|error| format!("{}: {error}", self.key.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let key = KeyPair::generate().map_err(|error| error.to_string())?;
                write_private(&self.key, key.serialize_pem().as_bytes())
                    .map_err(|error| error.to_string())?;
                key
            }
            Err(error) => return Err(format!("{}: {error}", self.key.display())),
        };
        let certificate = params(&self.hostname, now)
            .and_then(|params| params.self_signed(&key))
            .map_err(|error| error.to_string())?;
        write_private(&self.cert, certificate.pem().as_bytes()).map_err(|error| error.to_string())
    }
}

fn params(hostname: &str, now: Time) -> Result<CertificateParams, rcgen::Error> {
    let mut names = vec![hostname.to_owned()];
    if hostname != "localhost" {
        names.push("localhost".to_owned());
    }
    let mut params = CertificateParams::new(names)?;
    params
        .subject_alt_names
        .push(SanType::IpAddress(Ipv4Addr::LOCALHOST.into()));
    params
        .subject_alt_names
        .push(SanType::IpAddress(Ipv6Addr::LOCALHOST.into()));
    params.distinguished_name = DistinguishedName::new();
    // RFC 5280 appendix A.1 ends a common name at 64; the names that count are the alternative ones.
    if hostname.len() <= 64 {
        params.distinguished_name.push(DnType::CommonName, hostname);
    }
    params.distinguished_name.push(DnType::OrganizationName, MAKER);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // A client whose clock is behind still takes it.
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + now.minus(DAY).since(Time::EPOCH);
    params.not_after = epoch + now.plus(LIFE).since(Time::EPOCH);
    Ok(params)
}
