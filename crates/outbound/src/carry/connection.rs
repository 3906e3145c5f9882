//! One connection: drives the session machine over a stream.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mail::smtp::client::{Body, Envelope, Fate, Kind, Login, Recipient, Session, Settings, StartTls, Step};

use super::settings::{CarrySettings, Timeouts};
use super::stream::Stream;
use super::tls::Tls;
use super::transcript::{Transcript, Who, shortened};
use super::trouble::Trouble;
use crate::route::TlsPolicy;

/// Octets of a message that go out at once.
const BLOCK: usize = 64 * 1024;
/// After a write that failed a reply may already be here that says why.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Where a connection leads.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub host: &'a str,
    pub address: SocketAddr,
    pub tls: TlsPolicy,
    pub login: Option<&'a Login>,
}

pub(super) struct Connection {
    stream: Stream,
    session: Session,
    pub host: String,
    pub address: SocketAddr,
    /// Version and cipher.
    pub tls: Option<String>,
    /// Messages handed over so far.
    pub served: u32,
    read_buffer: Box<[u8; 4_096]>,
    block: Vec<u8>,
    /// What was said until it was ready.
    opening: String,
    /// What is said in the transaction.
    said: Transcript,
}

/// How a message fared on a connection.
pub(super) enum Handed {
    Fates(Vec<Fate>),
    /// The server had closed a connection that lay idle: nothing happened.
    Stale,
}

impl Connection {
    /// Opens a connection up to the point where it takes messages. Where TLS is only a wish and fails, a second
    /// connection goes without it (RFC 7435 section 3).
    pub(super) async fn open(
        target: Target<'_>,
        settings: &CarrySettings,
        tls: &Tls,
    ) -> Result<Self, Trouble> {
        let starttls = match target.tls {
            TlsPolicy::Opportunistic => StartTls::WhenOffered,
            TlsPolicy::Required => StartTls::Required,
            TlsPolicy::Implicit => StartTls::Never,
        };
        let mut said = Transcript::new();
        said.note(&format!("connecting to {} ({})", target.host, target.address));
        let mut opened = Self::attempt(target, starttls, settings, tls, &mut said).await;
        if let Err(trouble) = &opened
            && trouble.handshake
            && starttls == StartTls::WhenOffered
        {
            said.note(&format!("{}; connecting again without TLS", trouble.text));
            opened = Self::attempt(target, StartTls::Never, settings, tls, &mut said).await;
        }
        match opened {
            Ok(connection) => Ok(Self {
                opening: said.text().to_owned(),
                said,
                ..connection
            }),
            Err(trouble) => {
                said.note(&trouble.text);
                Err(Trouble {
                    host: Some(target.host.to_owned()),
                    ip: Some(target.address.ip()),
                    transcript: Some(said.finish("")),
                    ..trouble
                })
            }
        }
    }

    async fn attempt(
        target: Target<'_>,
        starttls: StartTls,
        settings: &CarrySettings,
        tls: &Tls,
        said: &mut Transcript,
    ) -> Result<Self, Trouble> {
        let timeouts = &settings.timeouts;
        let config = match target.tls {
            TlsPolicy::Opportunistic => Some(&tls.opportunistic),
            TlsPolicy::Required | TlsPolicy::Implicit => tls.verified.as_ref(),
        };
        let upgrade = Upgrade {
            config,
            host: target.host,
            within: timeouts.tls_handshake,
        };
        let tcp = Stream::connect(target.address, settings).await?;
        let implicit = target.tls == TlsPolicy::Implicit;
        let (mut stream, mut described) = (Stream::Plain(tcp), None);
        if implicit {
            (stream, described) = upgrade.apply(stream, said).await?;
        }
        let mut session = Session::new(Settings {
            name: settings.hostname.clone(),
            starttls,
            login: target.login.cloned(),
            // Without TLS a password goes no further than this machine.
            clear_login: target.address.ip().is_loopback(),
            tls_active: implicit,
        });
        let mut buffer = Box::new([0; 4_096]);
        loop {
            match session.step() {
                Step::Write => {
                    if session.output_is_secret() {
                        said.secret(session.output());
                    } else {
                        said.lines(Who::We, session.output());
                    }
                    let written = stream.write(session.output(), timeouts.data_block).await;
                    session.output().clear();
                    written.map_err(|why| Trouble::lost(&why))?;
                }
                Step::Read(wait) => {
                    let read = stream.read(&mut buffer[..], timeouts.of(wait)).await;
                    let read = &buffer[..read.map_err(|why| Trouble::lost(&why))?];
                    said.lines(Who::They, read);
                    session.receive(read);
                }
                Step::StartTls => {
                    (stream, described) = upgrade.apply(stream, said).await?;
                    session.tls_started();
                }
                Step::Ready => break,
                Step::Failed(failure) => {
                    say_goodbye(&mut stream, timeouts).await;
                    return Err(Trouble::of(failure));
                }
                step @ (Step::SendBody | Step::Done(_) | Step::Closed) => {
                    unreachable!("a session that opens does not ask for {step:?}")
                }
            }
        }
        Ok(Self {
            stream,
            session,
            host: target.host.to_owned(),
            address: target.address,
            tls: described,
            served: 0,
            read_buffer: buffer,
            block: Vec::with_capacity(8 * 1_024),
            opening: String::new(),
            said: Transcript::new(),
        })
    }

    pub(super) fn usable(&self) -> bool {
        self.session.usable()
    }

    /// The server reports on delivery by itself where it is asked to.
    pub(super) fn offers_dsn(&self) -> bool {
        self.session.capabilities().dsn
    }

    /// One transaction.
    pub(super) async fn hand_over(
        &mut self,
        envelope: &Envelope<'_>,
        recipients: &[Recipient<'_>],
        parts: &[&[u8]],
        timeouts: &Timeouts,
    ) -> Handed {
        let reused = self.served > 0;
        self.served += 1;
        self.said.restart();
        if reused {
            self.said
                .note(&format!("message {} on this connection", self.served));
        }
        if !self.session.usable() {
            return Handed::Stale;
        }
        self.session.begin(envelope, recipients);
        let mut body_broken: Option<String> = None;
        let (fates, lost) = loop {
            match self.session.step() {
                Step::Write => {
                    self.said.lines(Who::We, self.session.output());
                    let written = self
                        .stream
                        .write(self.session.output(), timeouts.data_block)
                        .await;
                    self.session.output().clear();
                    if let Err(why) = written {
                        self.said.note(&why);
                        break (self.session.lost(lost(&why)), true);
                    }
                }
                Step::Read(wait) => {
                    let deadline = timeouts.of(wait);
                    let deadline = if body_broken.is_some() {
                        deadline.min(LAST_WORDS)
                    } else {
                        deadline
                    };
                    match self.stream.read(&mut self.read_buffer[..], deadline).await {
                        Ok(len) => {
                            self.said.lines(Who::They, &self.read_buffer[..len]);
                            self.session.receive(&self.read_buffer[..len]);
                        }
                        Err(why) => {
                            let why = body_broken.take().unwrap_or(why);
                            self.said.note(&why);
                            break (self.session.lost(lost(&why)), true);
                        }
                    }
                }
                Step::SendBody => {
                    body_broken = self.send_body(parts, timeouts).await.err();
                    self.said.note(if body_broken.is_none() {
                        "the message was sent"
                    } else {
                        "the message was not sent whole"
                    });
                    self.session.body_sent();
                }
                Step::Done(fates) => break (fates, false),
                step => unreachable!("a session in a transaction does not ask for {step:?}"),
            }
        };
        let closing = lost || fates.iter().all(|fate| fate.code == Some(421));
        if reused && closing && self.session.untouched() {
            return Handed::Stale;
        }
        Handed::Fates(match body_broken {
            Some(why) => without_acceptance(fates, &why, &mut self.session),
            None => fates,
        })
    }

    /// What was said in the last transaction, and before it on this connection: of that little, where nothing went wrong.
    pub(super) fn transcript(&self, smooth: bool) -> Arc<str> {
        if smooth {
            self.said.finish(&shortened(&self.opening))
        } else {
            self.said.finish(&self.opening)
        }
    }

    async fn send_body(&mut self, parts: &[&[u8]], timeouts: &Timeouts) -> Result<(), String> {
        let mut body = Body::new(parts);
        let mut more = true;
        while more {
            self.block.clear();
            more = body.fill(&mut self.block, BLOCK);
            self.stream.write(&self.block, timeouts.data_block).await?;
        }
        // One big message does not cost each connection its size for ever.
        self.block.shrink_to(BLOCK);
        Ok(())
    }

    /// Says QUIT and waits a moment for the answer.
    pub(super) async fn close(mut self, timeouts: &Timeouts) {
        if self.usable() {
            say_goodbye(&mut self.stream, timeouts).await;
        }
    }
}

/// How a connection in the clear becomes an encrypted one.
struct Upgrade<'a> {
    config: Option<&'a Arc<rustls::ClientConfig>>,
    host: &'a str,
    within: Duration,
}

impl Upgrade<'_> {
    async fn apply(
        &self,
        stream: Stream,
        said: &mut Transcript,
    ) -> Result<(Stream, Option<String>), Trouble> {
        let Stream::Plain(tcp) = stream else {
            unreachable!("a session starts TLS once")
        };
        let Some(config) = self.config else {
            return Err(Trouble::handshake("no authorities were loaded for it"));
        };
        let (stream, described) = Stream::secure(tcp, self.host, config.clone(), self.within).await?;
        match stream.certificate_name() {
            Some(name) => said.note(&format!("{described}, certificate of {name}")),
            None => said.note(&described),
        }
        Ok((stream, Some(described)))
    }
}

/// RFC 5321 section 4.1.1.10: a client says QUIT before it closes; the answer changes nothing any more.
async fn say_goodbye(stream: &mut Stream, timeouts: &Timeouts) {
    if stream.write(b"QUIT\r\n", timeouts.quit).await.is_ok() {
        let mut buffer = [0; 512];
        // Whatever it says, the connection ends here.
        let _ = stream.read(&mut buffer, timeouts.quit).await;
    }
}

fn lost(why: &str) -> Cow<'static, str> {
    format!("The connection was lost: {why}").into()
}

/// A server cannot have taken a message that did not reach it whole, whatever it answered.
fn without_acceptance(mut fates: Vec<Fate>, why: &str, session: &mut Session) -> Vec<Fate> {
    session.lost(Cow::Borrowed(""));
    for fate in fates.iter_mut().filter(|fate| fate.kind == Kind::Accepted) {
        fate.kind = Kind::Temporary;
        fate.code = None;
        fate.enhanced = None;
        fate.text = lost(why);
    }
    fates
}
