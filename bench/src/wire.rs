//! A connection in the clear or under TLS, and the reading of SMTP replies from it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A client's side of an SMTP connection.
pub struct Client {
    wire: Wire,
    read: Vec<u8>,
    taken: usize,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        Self::over(TcpStream::connect(address).await?)
    }

    /// Connects from an address of this machine.
    pub async fn connect_from(address: SocketAddr, from: Ipv4Addr) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((from, 0)))?;
        Self::over(socket.connect(address).await?)
    }

    fn over(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            wire: Wire::Plain(stream),
            read: Vec::with_capacity(4096),
            taken: 0,
        })
    }

    pub async fn turn_to_tls(self, connector: &TlsConnector) -> io::Result<Self> {
        let Wire::Plain(stream) = self.wire else {
            return Err(io::Error::other("already under TLS"));
        };
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let stream = connector.connect(name, stream).await?;
        Ok(Self {
            wire: Wire::Tls(Box::new(stream)),
            read: Vec::with_capacity(4096),
            taken: 0,
        })
    }

    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.wire {
            Wire::Plain(stream) => stream.write_all(bytes).await,
            Wire::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    /// Reads one reply, however many lines it has, and returns its code.
    pub async fn reply(&mut self) -> io::Result<u16> {
        loop {
            let line = self.line().await?;
            if line.as_bytes().get(3) != Some(&b'-') {
                return line
                    .get(..3)
                    .and_then(|code| code.parse().ok())
                    .ok_or_else(|| io::Error::other(line));
            }
        }
    }

    /// Reads one reply, which must begin with this digit.
    pub async fn expect(&mut self, class: u16) -> io::Result<()> {
        let code = self.reply().await?;
        if code / 100 == class {
            Ok(())
        } else {
            Err(io::Error::other(format!("the server said {code}")))
        }
    }

    pub async fn command(&mut self, line: &str, class: u16) -> io::Result<()> {
        self.send(format!("{line}\r\n").as_bytes()).await?;
        self.expect(class)
            .await
            .map_err(|error| io::Error::other(format!("{line}: {error}")))
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(length) = memchr::memchr(b'\n', &self.read[self.taken..]) {
                let line = &self.read[self.taken..self.taken + length];
                let line = String::from_utf8_lossy(line).trim_end().to_owned();
                self.taken += length + 1;
                return Ok(line);
            }
            self.read.drain(..self.taken);
            self.taken = 0;
            let count = match &mut self.wire {
                Wire::Plain(stream) => stream.read_buf(&mut self.read).await?,
                Wire::Tls(stream) => stream.read_buf(&mut self.read).await?,
            };
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// TLS that takes any certificate, and makes a full handshake each time.
pub fn connector() -> TlsConnector {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    TlsConnector::from(Arc::new(config))
}

#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
