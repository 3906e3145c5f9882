//! The client's session machine: from the banner over TLS and sign-in to transactions, one after the other.

use super::capabilities::Capabilities;
use super::envelope::{Envelope, Recipient};
use super::fate::Fate;
use super::transaction::{Progress, Transaction};
use crate::reply::{RemoteReply, RemoteReplyError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;

/// Whether a connection is to be encrypted by STARTTLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartTls {
    Never,
    WhenOffered,
    Required,
}

/// A name and password for AUTH.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    pub user: String,
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({:?})", self.user)
    }
}

/// How a session introduces itself.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Our host name for EHLO.
    pub name: String,
    pub starttls: StartTls,
    pub login: Option<Login>,
    /// The password may be sent without TLS.
    pub clear_login: bool,
    /// The connection was encrypted before the banner.
    pub tls_active: bool,
}

/// Which reply is awaited: RFC 5321 section 4.5.3.2 gives each its own time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    Banner,
    Hello,
    StartTls,
    Auth,
    Mail,
    Rcpt,
    DataStart,
    DataEnd,
    Reset,
}

/// What the driver does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send [`Session::output`] and clear it.
    Write,
    /// Read and hand over with [`Session::receive`].
    Read(Wait),
    /// Begin the TLS handshake now, then call [`Session::tls_started`].
    StartTls,
    /// Send the message as a [`super::Body`], then call [`Session::body_sent`].
    SendBody,
    /// The session is open for a transaction.
    Ready,
    /// The transaction is over, one fate per recipient in order. The session goes on where [`Session::usable`].
    Done(Vec<Fate>),
    /// No transaction is possible on this connection.
    Failed(Failure),
    /// The conversation is over.
    Closed,
}

/// Why a connection did not become, or did not stay, usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("the server answered {reply} to {to}")]
    Refused { to: &'static str, reply: RemoteReply },
    #[error("{0}")]
    Garbage(#[from] RemoteReplyError),
    #[error("the server sent a reply that nothing asked for")]
    Unasked,
    #[error("the server's replies are out of step with the commands")]
    OutOfStep,
    #[error("the server offers no STARTTLS, which this route requires")]
    NoStartTls,
    #[error("the server offers no AUTH PLAIN or LOGIN, which this route requires")]
    NoAuth,
    #[error("the connection is not encrypted, so the password is not sent")]
    ClearLogin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Banner,
    Ehlo,
    Helo,
    StartTls,
    Handshake,
    AuthPlain,
    AuthUser,
    AuthPassword,
    AuthResult,
    Ready,
    Transaction,
    Closed,
}

/// One connection's conversation.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    state: State,
    capabilities: Capabilities,
    tls_active: bool,
    input: Vec<u8>,
    read: usize,
    output: Vec<u8>,
    transaction: Transaction,
    failure: Option<Failure>,
}

impl Session {
    pub fn new(settings: Settings) -> Self {
        Self {
            tls_active: settings.tls_active,
            settings,
            state: State::Banner,
            capabilities: Capabilities::default(),
            input: Vec::with_capacity(512),
            read: 0,
            output: Vec::with_capacity(1_024),
            transaction: Transaction::default(),
            failure: None,
        }
    }

    /// What the server said that it can do, since the last EHLO.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Whether another transaction may follow on this connection.
    pub fn usable(&self) -> bool {
        self.state == State::Ready && self.failure.is_none() && self.read == self.input.len()
    }

    /// Bytes that wait to be sent.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Whether what waits to be sent holds a password or a name to sign in with.
    pub fn output_is_secret(&self) -> bool {
        matches!(
            self.state,
            State::AuthPlain | State::AuthPassword | State::AuthResult
        )
    }

    /// Takes bytes that the server sent.
    pub fn receive(&mut self, bytes: &[u8]) {
        if self.read == self.input.len() {
            self.input.clear();
            self.read = 0;
        }
        self.input.extend_from_slice(bytes);
    }

    /// The TLS handshake is done: what was learnt before it no longer counts (RFC 3207 section 4.2).
    pub fn tls_started(&mut self) {
        self.forget_input();
        self.tls_active = true;
        self.capabilities = Capabilities::default();
        self.hello();
    }

    /// Opens a transaction; the session must be [`Step::Ready`] or [`Session::usable`].
    pub fn begin(&mut self, envelope: &Envelope<'_>, recipients: &[Recipient<'_>]) {
        debug_assert!(self.usable(), "a transaction begins on a session that is ready");
        self.state = State::Transaction;
        self.transaction.begin(envelope, recipients, &self.capabilities);
    }

    /// The whole body was handed to the connection, its final dot included.
    pub fn body_sent(&mut self) {
        self.transaction.body_sent();
    }

    /// No reply to the last transaction was read, save a 421 in place of the first: it may be repeated elsewhere.
    pub fn untouched(&self) -> bool {
        self.transaction.untouched()
    }

    /// The connection is gone in the middle of a transaction: who has no fate yet gets this one.
    pub fn lost(&mut self, why: Cow<'static, str>) -> Vec<Fate> {
        self.state = State::Closed;
        self.transaction.lost(why)
    }

    /// What to do next.
    pub fn step(&mut self) -> Step {
        loop {
            if !self.output.is_empty() {
                return Step::Write;
            }
            if let Some(failure) = &self.failure {
                return Step::Failed(failure.clone());
            }
            match self.state {
                State::Closed => return Step::Closed,
                State::Handshake => return Step::StartTls,
                State::Ready if self.read == self.input.len() => return Step::Ready,
                State::Ready => return self.fail(Failure::Unasked),
                State::Transaction => {
                    if let Some(step) = self.transact() {
                        return step;
                    }
                }
                _ => match self.next_reply() {
                    Ok(Some(reply)) => self.answered(reply),
                    Ok(None) => return Step::Read(self.wait()),
                    Err(error) => return self.fail(error.into()),
                },
            }
        }
    }

    /// One move of the transaction; none when there is more to do at once.
    fn transact(&mut self) -> Option<Step> {
        match self.transaction.progress(&mut self.output) {
            Progress::Write => None,
            Progress::Await(wait) => match self.next_reply() {
                Ok(Some(reply)) => {
                    if !self.transaction.reply(&reply) {
                        let fates = self.lost(Failure::OutOfStep.to_string().into());
                        return Some(Step::Done(fates));
                    }
                    (reply.code == 421).then(|| self.done(State::Closed))
                }
                Ok(None) => Some(Step::Read(wait)),
                Err(error) => {
                    let fates = self.lost(error.to_string().into());
                    Some(Step::Done(fates))
                }
            },
            // A reply too many here would be taken for the one to the message.
            Progress::GroupDone | Progress::SendBody if self.read < self.input.len() => {
                let fates = self.lost(Failure::Unasked.to_string().into());
                Some(Step::Done(fates))
            }
            Progress::GroupDone => {
                self.transaction.next_group();
                None
            }
            Progress::SendBody => Some(Step::SendBody),
            Progress::Done => Some(self.done(State::Ready)),
        }
    }

    fn done(&mut self, next: State) -> Step {
        self.state = next;
        Step::Done(self.transaction.finish())
    }

    /// A reply outside a transaction.
    fn answered(&mut self, reply: RemoteReply) {
        let positive = reply.is_positive();
        match self.state {
            State::Banner if positive => self.hello(),
            State::Ehlo if positive => {
                self.capabilities = Capabilities::parse(&reply.text);
                self.after_hello();
            }
            // RFC 5321 section 2.2.1: a server that does not know EHLO is asked again with HELO.
            State::Ehlo if reply.is_permanent() && !self.tls_active => {
                let line = format!("HELO {}", self.settings.name);
                self.command(line.as_bytes(), State::Helo);
            }
            State::Helo if positive => {
                self.capabilities = Capabilities::default();
                self.after_hello();
            }
            State::StartTls if positive => {
                // CVE-2011-0411: what came behind the 220 was not sent under TLS.
                self.forget_input();
                self.state = State::Handshake;
            }
            State::StartTls if self.settings.starttls == StartTls::WhenOffered && reply.code != 421 => {
                self.after_tls();
            }
            State::AuthPlain | State::AuthResult if positive => self.state = State::Ready,
            State::AuthUser if reply.is_intermediate() => self.secret(true, State::AuthPassword),
            State::AuthPassword if reply.is_intermediate() => self.secret(false, State::AuthResult),
            _ => {
                let to = match self.state {
                    State::Banner => "the connection",
                    State::Ehlo => "EHLO",
                    State::Helo => "HELO",
                    State::StartTls => "STARTTLS",
                    _ => "AUTH",
                };
                self.fail(Failure::Refused { to, reply });
            }
        }
    }

    fn hello(&mut self) {
        let line = format!("EHLO {}", self.settings.name);
        self.command(line.as_bytes(), State::Ehlo);
    }

    fn after_hello(&mut self) {
        match (
            self.tls_active,
            self.settings.starttls,
            self.capabilities.starttls,
        ) {
            (false, StartTls::WhenOffered | StartTls::Required, true) => {
                self.command(b"STARTTLS", State::StartTls);
            }
            (false, StartTls::Required, false) => {
                self.fail(Failure::NoStartTls);
            }
            _ => self.after_tls(),
        }
    }

    fn after_tls(&mut self) {
        let Some(login) = &self.settings.login else {
            self.state = State::Ready;
            return;
        };
        if !self.tls_active && !self.settings.clear_login {
            self.fail(Failure::ClearLogin);
        } else if self.capabilities.auth_plain {
            // RFC 4616 section 2
            let line = format!(
                "AUTH PLAIN {}",
                STANDARD.encode(format!("\0{}\0{}", login.user, login.password))
            );
            self.command(line.as_bytes(), State::AuthPlain);
        } else if self.capabilities.auth_login {
            self.command(b"AUTH LOGIN", State::AuthUser);
        } else {
            self.fail(Failure::NoAuth);
        }
    }

    /// The user name or the password, as AUTH LOGIN asks for them.
    fn secret(&mut self, user: bool, next: State) {
        let encoded = self.settings.login.as_ref().map_or_else(String::new, |login| {
            STANDARD.encode(if user { &login.user } else { &login.password })
        });
        self.command(encoded.as_bytes(), next);
    }

    fn command(&mut self, line: &[u8], next: State) {
        self.output.extend_from_slice(line);
        self.output.extend_from_slice(b"\r\n");
        self.state = next;
    }

    fn fail(&mut self, failure: Failure) -> Step {
        self.failure = Some(failure.clone());
        Step::Failed(failure)
    }

    fn wait(&self) -> Wait {
        match self.state {
            State::Banner => Wait::Banner,
            State::Ehlo | State::Helo => Wait::Hello,
            State::StartTls => Wait::StartTls,
            _ => Wait::Auth,
        }
    }

    fn next_reply(&mut self) -> Result<Option<RemoteReply>, RemoteReplyError> {
        let Some((reply, len)) = RemoteReply::parse(&self.input[self.read..])? else {
            return Ok(None);
        };
        self.read += len;
        Ok(Some(reply))
    }

    fn forget_input(&mut self) {
        self.input.clear();
        self.read = 0;
    }
}
