//! A mail host on loopback that follows a script and remembers what it was told.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

/// What the sink does when a verb comes, instead of accepting it.
#[derive(Clone, Debug)]
pub enum Act {
    Say(&'static str),
    Drop,
    /// Says nothing any more, and keeps the connection open.
    Silence,
}

#[derive(Clone)]
pub struct Script {
    /// Extensions before and after TLS.
    pub offers: Vec<&'static str>,
    pub offers_under_tls: Vec<&'static str>,
    /// By verb; also `BANNER`, `BODY` (the reply to the message), and `RCPT someone@…` for one recipient.
    pub acts: HashMap<&'static str, Act>,
    pub tls: Option<Arc<ServerConfig>>,
    pub implicit_tls: bool,
    /// Sent in the clear with the 220 to STARTTLS.
    pub injected: &'static str,
    /// Breaks off in place of the TLS handshake.
    pub breaks_handshake: bool,
    /// Closes after so many messages.
    pub closes_after: Option<usize>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            offers: vec!["PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 100000000"],
            offers_under_tls: vec!["PIPELINING", "8BITMIME"],
            acts: HashMap::new(),
            tls: None,
            implicit_tls: false,
            injected: "",
            breaks_handshake: false,
            closes_after: None,
        }
    }
}

impl Script {
    pub fn at(verb: &'static str, act: Act) -> Self {
        Self::default().and(verb, act)
    }

    pub fn and(mut self, verb: &'static str, act: Act) -> Self {
        self.acts.insert(verb, act);
        self
    }
}

/// A certificate for `localhost` and what verifies it, as PEM.
pub fn certificate() -> (Arc<ServerConfig>, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (Arc::new(config), made.cert.pem())
}

/// What a sink was told.
#[derive(Default)]
pub struct Seen {
    pub connections: usize,
    /// Where they came from.
    pub peers: Vec<IpAddr>,
    pub commands: Vec<String>,
    /// Commands that came together, by read.
    pub groups: Vec<usize>,
    /// Messages as received, dot-stuffing removed.
    pub messages: Vec<Vec<u8>>,
}

pub struct Sink {
    pub address: SocketAddr,
    pub seen: Arc<Mutex<Seen>>,
    hang_up: Arc<Notify>,
}

impl Sink {
    pub async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let hang_up = Arc::new(Notify::new());
        let (told, bell) = (seen.clone(), hang_up.clone());
        tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                told.lock().connections += 1;
                told.lock().peers.push(peer.ip());
                let host = Host {
                    script: script.clone(),
                    seen: told.clone(),
                    under_tls: false,
                    served: 0,
                    hang_up: bell.clone(),
                };
                tokio::spawn(host.serve(stream));
            }
        });
        Self {
            address,
            seen,
            hang_up,
        }
    }

    /// Ends the conversations that fell silent.
    pub fn hang_up(&self) {
        self.hang_up.notify_waiters();
    }

    pub fn commands(&self) -> Vec<String> {
        self.seen.lock().commands.clone()
    }

    pub fn connections(&self) -> usize {
        self.seen.lock().connections
    }

    pub fn messages(&self) -> Vec<Vec<u8>> {
        self.seen.lock().messages.clone()
    }
}

struct Host {
    script: Script,
    seen: Arc<Mutex<Seen>>,
    under_tls: bool,
    served: usize,
    hang_up: Arc<Notify>,
}

/// Why a conversation ended.
enum End {
    Gone,
    StartTls,
}

impl Host {
    async fn serve(mut self, mut stream: TcpStream) {
        if self.script.implicit_tls {
            return self.serve_tls(stream).await;
        }
        if let End::StartTls = self.talk(&mut stream, true).await {
            if self.script.breaks_handshake {
                // Something that is no TLS, so that the client sees why at once.
                let _ = stream.write_all(b"this is not TLS at all\r\n").await;
                return;
            }
            self.serve_tls(stream).await;
        }
    }

    async fn serve_tls(mut self, stream: TcpStream) {
        let acceptor = TlsAcceptor::from(self.script.tls.clone().unwrap());
        let Ok(mut stream) = acceptor.accept(stream).await else {
            return;
        };
        self.under_tls = true;
        let banner = self.script.implicit_tls;
        self.talk(&mut stream, banner).await;
    }

    async fn talk(&mut self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin), banner: bool) -> End {
        if banner && self.act(stream, "BANNER", "220 sink.example").await.is_none() {
            return End::Gone;
        }
        let mut input: Vec<u8> = Vec::new();
        loop {
            let Some(line) = self.line(stream, &mut input).await else {
                return End::Gone;
            };
            self.seen.lock().commands.push(line.clone());
            let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" => {
                    let offers = if self.under_tls {
                        &self.script.offers_under_tls
                    } else {
                        &self.script.offers
                    };
                    let lines: Vec<&str> = std::iter::once("sink.example")
                        .chain(offers.iter().copied())
                        .collect();
                    let mut reply = format!("250-{}\r\n", lines.join("\r\n250-"));
                    reply.push_str("250 HELP");
                    if self.act(stream, "EHLO", &reply).await.is_none() {
                        return End::Gone;
                    }
                }
                "STARTTLS" => {
                    let reply = format!("220 go{}", self.script.injected);
                    match self.act(stream, "STARTTLS", &reply).await {
                        Some(true) => return End::StartTls,
                        Some(false) => {}
                        None => return End::Gone,
                    }
                }
                "DATA" => match self.act(stream, "DATA", "354 go").await {
                    Some(true) => {
                        let Some(message) = self.body(stream, &mut input).await else {
                            return End::Gone;
                        };
                        self.seen.lock().messages.push(message);
                        if self.act(stream, "BODY", "250 2.0.0 taken").await.is_none() {
                            return End::Gone;
                        }
                        self.served += 1;
                        if self.script.closes_after == Some(self.served) {
                            return End::Gone;
                        }
                    }
                    Some(false) => {}
                    None => return End::Gone,
                },
                "QUIT" => {
                    self.act(stream, "QUIT", "221 bye").await;
                    return End::Gone;
                }
                "RCPT" => {
                    let one = self
                        .script
                        .acts
                        .keys()
                        .find(|key| key.strip_prefix("RCPT ").is_some_and(|to| line.contains(to)));
                    let key = one.copied().unwrap_or("RCPT");
                    if self.act(stream, key, "250 2.1.5 ok").await.is_none() {
                        return End::Gone;
                    }
                }
                "AUTH" => {
                    if self.act(stream, "AUTH", "235 2.7.0 welcome").await.is_none() {
                        return End::Gone;
                    }
                }
                _ => {
                    if self.act(stream, &verb, "250 ok").await.is_none() {
                        return End::Gone;
                    }
                }
            }
        }
    }

    /// Does what the script says for the verb: none to break off, else whether it was accepted.
    async fn act(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        verb: &str,
        accept: &str,
    ) -> Option<bool> {
        let (text, accepted) = match self.script.acts.get(verb) {
            Some(Act::Drop) => return None,
            Some(Act::Silence) => {
                self.hang_up.notified().await;
                return None;
            }
            Some(Act::Say(text)) => (*text, text.starts_with(&accept[..1])),
            _ => (accept, true),
        };
        stream.write_all(format!("{text}\r\n").as_bytes()).await.ok()?;
        stream.flush().await.ok()?;
        if text.starts_with("421") {
            None
        } else {
            Some(accepted)
        }
    }

    async fn line(&self, stream: &mut (impl AsyncRead + Unpin), input: &mut Vec<u8>) -> Option<String> {
        loop {
            if let Some(end) = input.windows(2).position(|pair| pair == b"\r\n") {
                let line = String::from_utf8_lossy(&input[..end]).into_owned();
                input.drain(..end + 2);
                return Some(line);
            }
            let mut buffer = vec![0; 65_536];
            let len = stream.read(&mut buffer).await.ok().filter(|&len| len > 0)?;
            input.extend_from_slice(&buffer[..len]);
            let lines = input.split(|&b| b == b'\n').count() - 1;
            self.seen.lock().groups.push(lines);
        }
    }

    async fn body(&self, stream: &mut (impl AsyncRead + Unpin), input: &mut Vec<u8>) -> Option<Vec<u8>> {
        let mut message = Vec::new();
        let mut at = 0;
        loop {
            while let Some(end) = input[at..].windows(2).position(|pair| pair == b"\r\n") {
                let line = &input[at..at + end + 2];
                at += end + 2;
                if line == b".\r\n" {
                    input.drain(..at);
                    return Some(message);
                }
                message.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
            }
            input.drain(..at);
            at = 0;
            let mut buffer = vec![0; 65_536];
            let len = stream.read(&mut buffer).await.ok().filter(|&len| len > 0)?;
            input.extend_from_slice(&buffer[..len]);
        }
    }
}
