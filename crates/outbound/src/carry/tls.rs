//! TLS as a client: opportunistic towards mail hosts, verified towards a smarthost.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, CommonState, DigitallySignedStruct, ProtocolVersion, RootCertStore, SignatureScheme,
};

use crate::route::{Route, Smarthost, TlsPolicy};

/// Why no connections can be made at all.
#[derive(Debug, thiserror::Error)]
pub enum CarryError {
    #[error("the authorities in {path} could not be read: {why}")]
    CaFile { path: PathBuf, why: String },
    #[error(
        "the system has no list of certificate authorities: install ca-certificates, or set delivery.ca_file"
    )]
    NoAuthorities,
    #[error("TLS could not be set up: {0}")]
    Setup(#[from] rustls::Error),
}

pub(super) struct Tls {
    pub opportunistic: Arc<ClientConfig>,
    /// Only where the route asks for it.
    pub verified: Option<Arc<ClientConfig>>,
}

impl Tls {
    pub(super) fn new(route: &Route, ca_file: Option<&Path>) -> Result<Self, CarryError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verified = match route {
            Route::Smarthost(Smarthost {
                tls: TlsPolicy::Required | TlsPolicy::Implicit,
                ..
            }) => {
                let config = ClientConfig::builder_with_provider(provider)
                    .with_safe_default_protocol_versions()?
                    .with_root_certificates(authorities(ca_file)?)
                    .with_no_client_auth();
                Some(Arc::new(config))
            }
            _ => None,
        };
        Ok(Self {
            opportunistic: Arc::new(opportunistic()?),
            verified,
        })
    }
}

/// A client that encrypts and takes whatever certificate it is shown.
pub fn opportunistic() -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let anybody = Arc::new(Anybody(provider.clone()));
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(anybody)
        .with_no_client_auth())
}

/// Whom to trust: the system's authorities, and those of a file.
pub fn authorities(ca_file: Option<&Path>) -> Result<RootCertStore, CarryError> {
    let mut roots = RootCertStore::empty();
    // A system certificate that cannot be read is one authority less, no reason to stop.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_file {
        let unreadable = |why: String| CarryError::CaFile {
            path: path.to_owned(),
            why,
        };
        let certificates =
            CertificateDer::pem_file_iter(path).map_err(|error| unreadable(error.to_string()))?;
        let mut found = false;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
            roots
                .add(certificate)
                .map_err(|error| unreadable(error.to_string()))?;
            found = true;
        }
        if !found {
            return Err(unreadable("it holds no certificate".into()));
        }
    }
    if roots.is_empty() {
        Err(CarryError::NoAuthorities)
    } else {
        Ok(roots)
    }
}

/// `TLSv1.3 TLS_AES_256_GCM_SHA384`, as it is recorded.
pub fn described(state: &CommonState) -> String {
    let version = match state.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "TLS",
    };
    let suite = state
        .negotiated_cipher_suite()
        .map(|suite| format!("{:?}", suite.suite()))
        .unwrap_or_default();
    format!("{version} {}", suite.replacen("TLS13_", "TLS_", 1))
}

/// Takes any certificate: mail hosts found by MX have no name that could be checked, and an unauthenticated
/// connection that is encrypted is better than one in the clear (RFC 7435 section 3).
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
