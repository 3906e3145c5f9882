//! How a server is reached: the URL, TLS as its `sslmode` says, and what each session is set to.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::types;
use crate::error::{Result, StoreError};

const CONNECT: Duration = Duration::from_secs(5);
/// A server whose machine is gone is noticed after this long.
const SILENCE: Duration = Duration::from_secs(20);

type Stream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

/// Where the server is and how to speak to it.
#[derive(Clone)]
pub(crate) struct Server {
    config: Config,
    tls: MakeRustlsConnect,
}

impl Server {
    /// Beside what the driver knows, the URL may hold `sslmode=verify-ca`, `sslmode=verify-full` and
    /// `sslrootcert=FILE`, as libpq's. Like libpq, `prefer` (the default) and `require` encrypt without asking
    /// whose certificate it is: a Debian server shows a self-signed one.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let (url, options) = url.split_once('?').unwrap_or((url, ""));
        let (mut verify, mut roots, mut rest) = (false, None, Vec::new());
        for option in options.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("sslmode", "verify-ca" | "verify-full")) => {
                    verify = true;
                    rest.push("sslmode=require");
                }
                Some(("sslrootcert", path)) => roots = Some(path),
                _ => rest.push(option),
            }
        }
        let attempted = "read the database URL";
        let mut config: Config = format!("{url}?{}", rest.join("&"))
            .parse()
            .map_err(|error| types::error(attempted, &error))?;
        config
            .application_name("posthouse")
            .connect_timeout(CONNECT)
            .tcp_user_timeout(SILENCE)
            .keepalives_idle(SILENCE / 2)
            .keepalives_interval(SILENCE / 4);
        Ok(Self {
            config,
            tls: tls(verify, roots)?,
        })
    }

    pub(crate) async fn connect(&self) -> Result<(Client, Connection<Socket, Stream>)> {
        self.config
            .connect(self.tls.clone())
            .await
            .map_err(|error| types::unavailable("connect to PostgreSQL", &error))
    }
}

fn tls(verify: bool, roots: Option<&str>) -> Result<MakeRustlsConnect> {
    let attempted = "prepare TLS to PostgreSQL";
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::other(attempted, error))?;
    let config = if verify {
        let mut store = RootCertStore::empty();
        if let Some(path) = roots {
            let pem = fs::read(path).map_err(|error| StoreError::other(format!("read {path}"), error))?;
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                let certificate =
                    certificate.map_err(|error| StoreError::other(format!("read {path}"), error))?;
                store
                    .add(certificate)
                    .map_err(|error| StoreError::other(attempted, error))?;
            }
        } else {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        builder.with_root_certificates(store)
    } else {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
    };
    Ok(MakeRustlsConnect::new(config.with_no_client_auth()))
}

/// Takes any certificate, as `sslmode=prefer` and `require` ask; the handshake must still be signed by its key.
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
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_is_none_is_an_error_without_its_password() {
        let error = Server::parse("postgres://u:secret@h:port/db")
            .err()
            .expect("no port")
            .to_string();
        assert!(
            error.contains("read the database URL") && !error.contains("secret"),
            "{error}"
        );
        let error = Server::parse("postgres://h/db?colour=blue")
            .err()
            .expect("unknown option")
            .to_string();
        assert!(error.contains("colour"), "{error}");
        assert!(Server::parse("postgres://h/db?sslmode=verify-full").is_ok());
        assert!(Server::parse("postgres://h/db?sslmode=verify-ca&sslrootcert=/no/such/file").is_err());
    }
}
