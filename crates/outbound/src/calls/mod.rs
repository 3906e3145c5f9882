//! One call to a receiver that somebody chose, a webhook's or a hook's: looked up, connected to the very address that was judged, posted to, read up to a cap.

pub mod sign;
pub mod target;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

pub use self::target::BadUrl;
use self::target::{Host, Target, may_call};
use crate::carry::{CarryError, authorities};
use crate::route::{Names, RouterError};

/// How long an attempt may take, from the look-up to the end of the answer's head, and how much of an answer is kept.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    pub deadline: Duration,
    pub answer: usize,
}

/// That of webhooks.
const USUAL: Patience = Patience {
    deadline: Duration::from_secs(15),
    answer: KEPT_ANSWER,
};
/// One address of several.
const CONNECT: Duration = Duration::from_secs(5);
/// So many addresses of one name are tried.
const ADDRESSES: usize = 3;
/// What an answer says beyond its status may take this long.
const READING: Duration = Duration::from_secs(2);
/// How much of it is kept.
pub const KEPT_ANSWER: usize = 1_024;
/// The head of an answer.
const HEAD: usize = 16 * 1_024;

/// What an operator can set about calls.
#[derive(Clone, Debug)]
pub struct CallSettings {
    /// Whether http and private addresses may be called.
    pub allow_private: bool,
    /// Name servers; none means those of the system.
    pub resolver: Vec<SocketAddr>,
    pub resolver_timeout: Duration,
    /// PEM file of further authorities, beside the system's.
    pub ca_file: Option<PathBuf>,
}

/// What is sent.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: String,
    pub timestamp: i64,
    pub signature: String,
    pub body: String,
}

/// How a call went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// Why there was none.
    pub problem: String,
    /// The beginning of the answer.
    pub answer: String,
    pub took: Duration,
}

impl Answered {
    pub fn took_it(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// Makes calls. It knows no proxy, keeps no cookie and follows no redirect.
pub struct Client {
    names: Names,
    /// Without authorities nobody can be trusted: why.
    tls: Result<TlsConnector, String>,
    open: bool,
    agent: HeaderValue,
}

impl Client {
    pub fn new(settings: &CallSettings) -> Result<Self, RouterError> {
        let names = Names::new(&settings.resolver, settings.resolver_timeout)?;
        let tls = tls(settings).map(Arc::new).map_err(|error| error.to_string());
        Ok(Self {
            names,
            tls: tls.map(TlsConnector::from),
            open: settings.allow_private,
            agent: HeaderValue::from_static(concat!("Posthouse/", env!("CARGO_PKG_VERSION"))),
        })
    }

    /// Whether http and private addresses may be called.
    pub fn is_open(&self) -> bool {
        self.open
    }

    pub async fn call(&self, target: &Target, message: &Message) -> Answered {
        self.call_within(target, message, USUAL).await
    }

    pub async fn call_within(&self, target: &Target, message: &Message, patience: Patience) -> Answered {
        let began = Instant::now();
        let asked = timeout(patience.deadline, self.ask(target, message)).await;
        let asked = asked.unwrap_or_else(|_| {
            Err(format!(
                "no answer within {} seconds",
                patience.deadline.as_secs_f64()
            ))
        });
        match asked {
            Ok((response, connection)) => {
                let status = response.status().as_u16();
                let answer = beginning(response, patience.answer).await;
                drop(connection);
                Answered {
                    status: Some(status),
                    problem: String::new(),
                    answer,
                    took: began.elapsed(),
                }
            }
            Err(problem) => Answered {
                status: None,
                problem,
                answer: String::new(),
                took: began.elapsed(),
            },
        }
    }

    async fn ask(
        &self,
        target: &Target,
        message: &Message,
    ) -> Result<(Response<Incoming>, JoinSet<()>), String> {
        let stream = self.connect(target).await?;
        if !target.https {
            return self.post(stream, target, message).await;
        }
        let name = match &target.host {
            Host::Name(name) => ServerName::try_from(name.clone()).map_err(|error| error.to_string())?,
            Host::Ip(ip) => ServerName::from(*ip),
        };
        let stream = self
            .tls
            .as_ref()
            .map_err(Clone::clone)?
            .connect(name, stream)
            .await;
        let stream = stream.map_err(|error| format!("TLS failed: {error}"))?;
        self.post(stream, target, message).await
    }

    /// A connection to an address that was judged a moment ago: between judging and connecting nothing is looked up again.
    async fn connect(&self, target: &Target) -> Result<TcpStream, String> {
        let addresses = match &target.host {
            Host::Ip(ip) => vec![*ip],
            Host::Name(name) => self.names.addresses(name).await?,
        };
        if addresses.is_empty() {
            return Err("the name has no address".to_owned());
        }
        let allowed: Vec<IpAddr> = addresses
            .into_iter()
            .filter(|ip| may_call(*ip, self.open))
            .take(ADDRESSES)
            .collect();
        let mut problem =
            "the name leads to private addresses or to this server, which webhooks do not call".to_owned();
        for ip in allowed {
            match timeout(CONNECT, TcpStream::connect(SocketAddr::new(ip, target.port))).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => problem = format!("no connection to {ip}: {error}"),
                Err(_) => problem = format!("no connection to {ip} within {} seconds", CONNECT.as_secs()),
            }
        }
        Err(problem)
    }

    async fn post<S>(
        &self,
        stream: S,
        target: &Target,
        message: &Message,
    ) -> Result<(Response<Incoming>, JoinSet<()>), String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let handshake = http1::Builder::new()
            .max_buf_size(HEAD)
            .handshake(TokioIo::new(stream))
            .await;
        let (mut sender, connection) = handshake.map_err(|error| said(&error))?;
        // Ends with the set, wherever this call is given up.
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let _ = connection.await;
        });
        let request = Request::builder()
            .method(Method::POST)
            .uri(&target.path)
            .header(HOST, &target.authority)
            .header(USER_AGENT, &self.agent)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", message.timestamp)
            .header("webhook-signature", &message.signature)
            .body(Full::new(Bytes::from(message.body.clone())))
            .map_err(|error| error.to_string())?;
        let response = sender.send_request(request).await.map_err(|error| said(&error))?;
        Ok((response, tasks))
    }
}

/// The beginning of an answer, as far as it comes in time.
async fn beginning(response: Response<Incoming>, most: usize) -> String {
    let mut body = response.into_body();
    let mut read = Vec::new();
    let _ = timeout(READING, async {
        while let Some(Ok(frame)) = body.frame().await {
            if let Some(data) = frame.data_ref() {
                let room = most - read.len();
                read.extend_from_slice(&data[..data.len().min(room)]);
            }
            if read.len() == most {
                break;
            }
        }
    })
    .await;
    // A database keeps no NUL in a text.
    String::from_utf8_lossy(&read).replace('\0', "\u{fffd}")
}

fn tls(settings: &CallSettings) -> Result<ClientConfig, CarryError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(authorities(settings.ca_file.as_deref())?)
        .with_no_client_auth())
}

/// An error of HTTP with its cause.
fn said(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
