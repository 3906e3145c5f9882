//! The test from here: connects to this server's own public ports, as a mail program would, and says what it finds.
//!
//! What is connected to comes from the configuration alone, nothing of it from the request; and however many ask, the
//! ports are tested once a minute.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mail::reply::RemoteReply;
use mail::time::Time;
use outbound::carry::{authorities, described, opportunistic};
use outbound::route::Names;
use parking_lot::Mutex;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use serde::Serialize;
use store::Clock;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::http::{HttpSettings, Security, SmtpPort};
use crate::tls::Facts;

/// How long a result answers for all who ask.
const KEPT: Duration = Duration::from_mins(1);
/// For looking the name up, for one connection, and for all that is said over it.
const WAIT: Duration = Duration::from_secs(5);
/// Addresses that are tried; a host has one or two.
const ADDRESSES: usize = 4;
/// The most that a greeting or a list of capabilities may have.
const LONGEST_REPLY: usize = 16 * 1024;

/// The ports to test, and the last result.
pub struct Probe {
    host: String,
    ports: Vec<SmtpPort>,
    resolver: Vec<SocketAddr>,
    last: Mutex<Option<(Time, Arc<Report>)>>,
    turn: tokio::sync::Mutex<()>,
}

/// What a test found.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// `2026-11-25 18:04:05 UTC`
    at: String,
    addresses: Vec<String>,
    /// Why no port was tested: a key of the words.
    fault: Option<&'static str>,
    detail: String,
    ports: Vec<Tested>,
}

/// What one port showed.
#[derive(Debug, Default, Serialize)]
struct Tested {
    port: u16,
    tls: bool,
    greeting: Option<String>,
    /// Under TLS, where it came so far.
    capabilities: Vec<String>,
    encryption: Option<String>,
    certificate: Option<Shown>,
    /// A mail program could send here, whatever it thinks of the certificate.
    serves: bool,
    faults: Vec<Fault>,
}

#[derive(Debug, Serialize)]
struct Shown {
    names: Vec<String>,
    issuer: String,
    until: String,
}

/// Something that is wrong: a key of the words, and what they say it with.
#[derive(Debug, Serialize)]
struct Fault {
    kind: &'static str,
    detail: String,
}

impl Fault {
    fn new(kind: &'static str, detail: impl fmt::Display) -> Self {
        let detail = detail.to_string();
        Self { kind, detail }
    }
}

impl Probe {
    pub fn new(settings: &HttpSettings) -> Self {
        Self {
            host: settings.hostname.clone(),
            ports: settings.smtp_ports.clone(),
            resolver: settings.resolver.clone(),
            last: Mutex::new(None),
            turn: tokio::sync::Mutex::new(()),
        }
    }

    pub fn last(&self) -> Option<Arc<Report>> {
        self.last.lock().as_ref().map(|(_, report)| Arc::clone(report))
    }

    /// Tests every port, unless somebody just did.
    pub async fn run(&self, clock: &Clock) {
        let _turn = self.turn.lock().await;
        let now = clock.now();
        let fresh = |last: &Option<(Time, _)>| last.as_ref().is_some_and(|(at, _)| now.since(*at) < KEPT);
        if fresh(&self.last.lock()) {
            return;
        }
        let report = Report {
            at: moment(now),
            ..self.test(now).await
        };
        *self.last.lock() = Some((now, Arc::new(report)));
    }

    async fn test(&self, now: Time) -> Report {
        let failed = |fault, detail: String| Report {
            fault: Some(fault),
            detail,
            ..Report::default()
        };
        let addresses = match self.addresses().await {
            Ok(addresses) if addresses.is_empty() => return failed("no_address", String::new()),
            Ok(addresses) => addresses,
            Err(why) => return failed("dns", why),
        };
        let tests = self.ports.iter().map(|port| self.port(*port, &addresses, now));
        Report {
            ports: join_all(tests).await,
            addresses: addresses.iter().map(ToString::to_string).collect(),
            ..Report::default()
        }
    }

    async fn addresses(&self) -> Result<Vec<IpAddr>, String> {
        let names = Names::new(&self.resolver, WAIT).map_err(|error| error.to_string())?;
        let mut addresses = names.addresses(&self.host).await?;
        addresses.truncate(ADDRESSES);
        Ok(addresses)
    }

    async fn port(&self, port: SmtpPort, addresses: &[IpAddr], now: Time) -> Tested {
        let mut tested = Tested {
            port: port.port,
            tls: port.security == Security::Tls,
            ..Tested::default()
        };
        for ip in addresses {
            let address = SocketAddr::new(*ip, port.port);
            match timeout(WAIT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    let talked = timeout(WAIT, self.talk(stream, &mut tested, now)).await;
                    match talked.unwrap_or_else(|_| Err(Fault::new("timeout", address))) {
                        Ok(()) => {}
                        Err(fault) => tested.faults.push(fault),
                    }
                    return tested;
                }
                // A program would go on to the next address, later than its user likes.
                Ok(Err(error)) => tested
                    .faults
                    .push(Fault::new("connect", format!("{address}: {error}"))),
                Err(_) => tested.faults.push(Fault::new("timeout", address)),
            }
        }
        tested
    }

    async fn talk(&self, mut stream: TcpStream, tested: &mut Tested, now: Time) -> Result<(), Fault> {
        if !tested.tls {
            tested.greeting = Some(greeting(&mut stream).await?);
            tested.capabilities = self.capabilities(&mut stream).await?;
            if !tested.capabilities.iter().any(|one| one == "STARTTLS") {
                return Err(Fault::new("no_starttls", ""));
            }
            let go = say(&mut stream, "STARTTLS").await?;
            if go.code != 220 {
                return Err(Fault::new("tls", one_line(&go)));
            }
        }
        let name = ServerName::try_from(self.host.clone()).map_err(|error| Fault::new("tls", error))?;
        let config = opportunistic().map_err(|error| Fault::new("tls", error))?;
        let mut stream = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .map_err(|error| Fault::new("tls", error))?;
        let state = stream.get_ref().1;
        tested.encryption = Some(described(state));
        let chain = state.peer_certificates().unwrap_or_default().to_vec();
        tested.certificate = self.judge(&chain, now, &mut tested.faults);
        if tested.tls {
            tested.greeting = Some(greeting(&mut stream).await?);
        }
        tested.capabilities = self.capabilities(&mut stream).await?;
        if !tested.capabilities.iter().any(|one| one.starts_with("AUTH ")) {
            return Err(Fault::new("no_auth", ""));
        }
        tested.serves = true;
        // The answer would tell nothing more.
        let _ = stream.write_all(b"QUIT\r\n").await;
        Ok(())
    }

    /// What a certificate says, and what a mail program would say to it.
    fn judge(&self, chain: &[CertificateDer<'_>], now: Time, faults: &mut Vec<Fault>) -> Option<Shown> {
        let first = chain.first()?;
        let facts = match Facts::of(first) {
            Ok(facts) => facts,
            Err(why) => {
                faults.push(Fault::new("no_certificate", why));
                return None;
            }
        };
        let before = faults.len();
        if facts.not_after <= now {
            faults.push(Fault::new("expired", moment(facts.not_after)));
        }
        if facts.not_before > now {
            faults.push(Fault::new("not_yet", moment(facts.not_before)));
        }
        if !facts.covers(&self.host) {
            faults.push(Fault::new("wrong_name", facts.names.join(", ")));
        }
        if facts.self_signed {
            faults.push(Fault::new("self_signed", ""));
        } else if faults.len() == before
            && let Err(why) = self.verify(chain, now)
        {
            faults.push(Fault::new("untrusted", why));
        }
        Some(Shown {
            issuer: issuer(first),
            until: moment(facts.not_after),
            names: facts.names,
        })
    }

    /// Whether the system's authorities vouch for it.
    fn verify(&self, chain: &[CertificateDer<'_>], now: Time) -> Result<(), String> {
        let [first, others @ ..] = chain else {
            return Ok(());
        };
        let roots = authorities(None).map_err(|error| error.to_string())?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| error.to_string())?;
        let name = ServerName::try_from(self.host.as_str()).map_err(|error| error.to_string())?;
        let now = UnixTime::since_unix_epoch(now.since(Time::EPOCH));
        let judged = verifier.verify_server_cert(first, others, &name, &[], now);
        judged.map(drop).map_err(|error| error.to_string())
    }

    async fn capabilities<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
    ) -> Result<Vec<String>, Fault> {
        let reply = say(stream, &format!("EHLO {}", self.host)).await?;
        if reply.code != 250 {
            return Err(Fault::new("not_smtp", one_line(&reply)));
        }
        Ok(reply.text.lines().skip(1).map(printable).collect())
    }
}

async fn greeting<S: AsyncRead + Unpin>(stream: &mut S) -> Result<String, Fault> {
    let reply = hear(stream).await?;
    if reply.code == 220 {
        Ok(one_line(&reply))
    } else {
        Err(Fault::new("not_smtp", one_line(&reply)))
    }
}

async fn say<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, command: &str) -> Result<RemoteReply, Fault> {
    let written = stream.write_all(format!("{command}\r\n").as_bytes()).await;
    written.map_err(|error| Fault::new("connect", error))?;
    hear(stream).await
}

async fn hear<S: AsyncRead + Unpin>(stream: &mut S) -> Result<RemoteReply, Fault> {
    let mut input = Vec::with_capacity(1024);
    loop {
        match RemoteReply::parse(&input) {
            Ok(Some((reply, _))) => return Ok(reply),
            Ok(None) if input.len() < LONGEST_REPLY => {}
            _ => {
                return Err(Fault::new(
                    "not_smtp",
                    printable(&String::from_utf8_lossy(&input)),
                ));
            }
        }
        match stream.read_buf(&mut input).await {
            Ok(0) => {
                return Err(Fault::new(
                    "not_smtp",
                    printable(&String::from_utf8_lossy(&input)),
                ));
            }
            Ok(_) => {}
            Err(error) => return Err(Fault::new("connect", error)),
        }
    }
}

fn one_line(reply: &RemoteReply) -> String {
    format!(
        "{} {}",
        reply.code,
        printable(reply.text.lines().next().unwrap_or_default())
    )
}

/// What may be shown of what a stranger says.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

fn issuer(der: &[u8]) -> String {
    X509Certificate::from_der(der).map_or_else(|_| String::new(), |(_, one)| one.issuer().to_string())
}

/// `2026-11-25 18:04:05 UTC`
pub fn moment(time: Time) -> String {
    let text = time.rfc3339();
    let text = text.split(['.', 'Z']).next().unwrap_or_default();
    format!("{} UTC", text.replace('T', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_no_smtp_is_named_and_nothing_of_it_is_obeyed() {
        let mut web: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\x1b[31m\r\n";
        let fault = greeting(&mut web).await.unwrap_err();
        assert_eq!(fault.kind, "not_smtp");
        assert!(
            fault.detail.starts_with("HTTP/1.1 400") && !fault.detail.contains('\x1b'),
            "{}",
            fault.detail
        );
        let mut busy: &[u8] = b"421 4.7.0 Too many connections\r\n";
        assert_eq!(greeting(&mut busy).await.unwrap_err().kind, "not_smtp");
        let mut silent: &[u8] = b"";
        assert_eq!(greeting(&mut silent).await.unwrap_err().kind, "not_smtp");
        let mut endless = vec![b'2'; LONGEST_REPLY + 1];
        endless.extend(b"\r\n");
        assert_eq!(
            greeting(&mut endless.as_slice()).await.unwrap_err().kind,
            "not_smtp"
        );
    }

    #[test]
    fn moments_are_read_by_people() {
        assert_eq!(moment(Time::from_secs(1_764_093_845)), "2025-11-25 18:04:05 UTC");
    }
}
