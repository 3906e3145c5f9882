//! What kept a connection from being made or kept, in plain words.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use mail::reply::Enhanced;
use mail::smtp::client::Failure;

// RFC 3463 section 3.5 and 3.8
const NO_ANSWER: Enhanced = Enhanced::new(4, 4, 1);
const BAD_CONNECTION: Enhanced = Enhanced::new(4, 4, 2);
const PROTOCOL: Enhanced = Enhanced::new(4, 5, 0);
const NOT_SECURE: Enhanced = Enhanced::new(4, 7, 5);

/// A connection that serves nobody; always worth another try later.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub code: Option<u16>,
    pub enhanced: Option<Enhanced>,
    pub text: String,
    pub host: Option<String>,
    pub ip: Option<IpAddr>,
    /// It was the TLS handshake that failed, after a STARTTLS that nobody insists on.
    pub handshake: bool,
    /// What was said until then.
    pub transcript: Option<Arc<str>>,
}

impl Trouble {
    fn new(enhanced: Enhanced, text: String) -> Self {
        Self {
            code: None,
            enhanced: Some(enhanced),
            text,
            host: None,
            ip: None,
            handshake: false,
            transcript: None,
        }
    }

    pub(super) fn unreachable(why: &str) -> Self {
        Self::new(NO_ANSWER, format!("The connection could not be made: {why}"))
    }

    pub(super) fn lost(why: &str) -> Self {
        Self::new(
            BAD_CONNECTION,
            format!("The connection was lost before the server was ready: {why}"),
        )
    }

    pub(super) fn handshake(why: &str) -> Self {
        Self {
            handshake: true,
            ..Self::new(NOT_SECURE, format!("TLS could not be agreed on: {why}"))
        }
    }

    pub(super) fn of(failure: Failure) -> Self {
        match failure {
            Failure::Refused { to, reply } => Self {
                code: Some(reply.code),
                enhanced: reply.enhanced,
                text: format!("The server refused {to}: {}", reply.text),
                host: None,
                ip: None,
                handshake: false,
                transcript: None,
            },
            Failure::NoStartTls | Failure::ClearLogin => Self::new(NOT_SECURE, capitalised(&failure)),
            _ => Self::new(PROTOCOL, capitalised(&failure)),
        }
    }
}

fn capitalised(failure: &Failure) -> String {
    let text = failure.to_string();
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// An I/O error as a person would say it.
pub(super) fn in_words(error: &io::Error) -> String {
    if let Some(tls) = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    {
        return tls_in_words(tls);
    }
    let words = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => {
            "the server broke the connection off"
        }
        io::ErrorKind::UnexpectedEof => "the server closed the connection",
        io::ErrorKind::TimedOut => "the server did not answer",
        io::ErrorKind::HostUnreachable => "there is no way to the server's address",
        io::ErrorKind::NetworkUnreachable => "there is no way to the server's network",
        io::ErrorKind::AddrNotAvailable => "our own source address is not available",
        io::ErrorKind::PermissionDenied => "this system does not permit the connection",
        _ => return error.to_string(),
    };
    words.to_owned()
}

fn tls_in_words(error: &rustls::Error) -> String {
    use rustls::{CertificateError, Error};
    let words = match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "no authority that we know has signed the server's certificate"
        }
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "the server's certificate has expired"
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "the server's certificate is for another name",
        Error::InvalidMessage(_) => "the server's answer is not TLS",
        Error::AlertReceived(alert) => return format!("the server broke it off ({alert:?})"),
        _ => return error.to_string(),
    };
    words.to_owned()
}

/// What a deadline says that passed.
pub(super) fn too_slow(deadline: Duration) -> String {
    if deadline.as_secs() == 0 {
        return format!("no answer within {} ms", deadline.as_millis());
    }
    format!("no answer within {} s", deadline.as_secs())
}
