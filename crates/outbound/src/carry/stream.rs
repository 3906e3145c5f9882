//! A TCP connection, encrypted or not, with a deadline on each step.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_parser::extensions::GeneralName;

use super::settings::CarrySettings;
use super::tls;
use super::trouble::{Trouble, in_words, too_slow};

pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    pub(super) async fn connect(address: SocketAddr, settings: &CarrySettings) -> Result<TcpStream, Trouble> {
        let connect = async {
            let socket = socket(address, settings)?;
            let stream = socket.connect(address).await?;
            stream.set_nodelay(true)?;
            Ok::<_, io::Error>(stream)
        };
        match timeout(settings.timeouts.connect, connect).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(Trouble::unreachable(&in_words(&error))),
            Err(_) => Err(Trouble::unreachable(&too_slow(settings.timeouts.connect))),
        }
    }

    pub(super) async fn secure(
        tcp: TcpStream,
        host: &str,
        config: Arc<ClientConfig>,
        deadline: Duration,
    ) -> Result<(Self, String), Trouble> {
        // A name that TLS does not know as one goes without it; a certificate for such a name is never good.
        let name = match (ServerName::try_from(host.to_owned()), tcp.peer_addr()) {
            (Ok(name), _) => name,
            (Err(_), Ok(peer)) => ServerName::IpAddress(peer.ip().into()),
            (Err(_), Err(error)) => return Err(Trouble::lost(&in_words(&error))),
        };
        match timeout(deadline, TlsConnector::from(config).connect(name, tcp)).await {
            Ok(Ok(stream)) => {
                let described = tls::described(stream.get_ref().1);
                Ok((Self::Tls(Box::new(stream)), described))
            }
            Ok(Err(error)) => Err(Trouble::handshake(&in_words(&error))),
            Err(_) => Err(Trouble::handshake(&too_slow(deadline))),
        }
    }

    /// The name that the server's certificate gives it: good for showing only, nobody checked it.
    pub(super) fn certificate_name(&self) -> Option<String> {
        let Self::Tls(stream) = self else { return None };
        let certificate = stream.get_ref().1.peer_certificates()?.first()?;
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
        let alternative = parsed.subject_alternative_name().ok().flatten();
        let names = alternative.iter().flat_map(|names| &names.value.general_names);
        let dns = names.into_iter().find_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        });
        dns.or_else(|| {
            let common = parsed.subject().iter_common_name().next()?;
            common.as_str().ok().map(str::to_owned)
        })
    }

    /// Reads what there is; the error is in plain words.
    pub(super) async fn read(&mut self, buffer: &mut [u8], deadline: Duration) -> Result<usize, String> {
        let read = async {
            match self {
                Self::Plain(stream) => stream.read(buffer).await,
                Self::Tls(stream) => stream.read(buffer).await,
            }
        };
        match timeout(deadline, read).await {
            Ok(Ok(0)) => Err(in_words(&io::ErrorKind::UnexpectedEof.into())),
            Ok(Ok(len)) => Ok(len),
            Ok(Err(error)) => Err(in_words(&error)),
            Err(_) => Err(too_slow(deadline)),
        }
    }

    /// Writes all of it; the error is in plain words.
    pub(super) async fn write(&mut self, octets: &[u8], deadline: Duration) -> Result<(), String> {
        let write = async {
            match self {
                Self::Plain(stream) => stream.write_all(octets).await,
                Self::Tls(stream) => {
                    stream.write_all(octets).await?;
                    stream.flush().await
                }
            }
        };
        match timeout(deadline, write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(in_words(&error)),
            Err(_) => Err(format!("the server took nothing more: {}", too_slow(deadline))),
        }
    }
}

fn socket(address: SocketAddr, settings: &CarrySettings) -> io::Result<TcpSocket> {
    let (socket, source) = match address {
        SocketAddr::V4(_) => (TcpSocket::new_v4()?, settings.source_v4.map(IpAddr::from)),
        SocketAddr::V6(_) => (TcpSocket::new_v6()?, settings.source_v6.map(IpAddr::from)),
    };
    if let Some(source) = source {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    Ok(socket)
}
