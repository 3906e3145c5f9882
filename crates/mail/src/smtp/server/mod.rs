//! The server's side of one SMTP connection, as a machine: bytes in, questions to its driver and bytes out.
//!
//! The driver hands what it read to [`Session::receive`] and acts on the [`Step`] it gets back. A step that asks something
//! is answered with [`Session::answer`]; until then nothing more is read. Replies gather in [`Session::output`], which the
//! driver writes before it waits for anything, so that a pipelined group is answered in one write.
//!
//! The grammar is our own rather than a parser crate's: each command has its own limit and its own refusal here (which
//! limit of an address broke, a path that tries to relay, a parameter twice), lines over their limit are dropped while they
//! arrive, and the text behind DATA is searched, checked and copied in one pass.

mod command;
mod data;
mod grammar;
mod line;
mod scram;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};

pub use self::data::BareLf;

use self::data::{DataReader, TextLimits};
use self::grammar::Command;
use self::line::{Line, LineReader};
use self::scram::Scram;
use crate::address::Address;
use crate::envelope::{Envelope, Recipient};
use crate::replies;
use crate::reply::Reply;
use crate::sasl::{self, Credentials};
use crate::scram::{Begun, Mechanism, Proof};

/// Octets of a command line with its CRLF: the 512 of RFC 5321 section 4.5.3.1.4 and room for every extension.
const COMMAND_LIMIT: usize = 2_048;
/// Octets of a line of base64 with its CRLF.
// RFC 4954 section 4
const SASL_LIMIT: usize = 12 * 1024 + 2;
/// The first octet of a TLS connection: the content type of a handshake record.
// RFC 8446 section 5.1
const TLS_HANDSHAKE: u8 = 22;

/// What all sessions of a listener have in common.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name in the banner and in the reply to EHLO.
    pub hostname: String,
    /// Whether clients may sign in here.
    pub sign_in: bool,
    /// Whether they may sign in with SCRAM too.
    pub scram: bool,
    /// Octets of a message as sent.
    pub max_message_size: u64,
    /// Octets of a message's header section.
    pub max_header_size: u64,
    /// Octets of one line of a message. The 998 of RFC 5322 section 2.1.1 are passed by many real senders, and to wrap their
    /// lines would break what they signed; so the usual limit is far higher and only keeps out what no mail program writes.
    pub max_text_line: u64,
    pub max_recipients: usize,
    pub bare_lf: BareLf,
    /// Errors from which on replies come late.
    pub soft_error_limit: u32,
    /// Errors that end the connection.
    pub hard_error_limit: u32,
    /// Failed sign-ins that end the connection.
    pub max_sign_in_failures: u32,
    /// What the address of a help page begins with; refusals name their page where this is known.
    pub help_pages: Option<String>,
}

/// How the connection stands with TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    Unavailable,
    /// STARTTLS is offered.
    Offered,
    Active,
}

/// What the driver has to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Write the output, then read more.
    NeedBytes,
    /// Does anybody sign in with these?
    SignIn(Credentials),
    /// What is this user to be challenged with? Answered by [`Session::challenge`], or refused.
    Challenge(String),
    /// Is the proof right? Answered by [`Session::verified`], or refused.
    Proof(Proof),
    /// May a transaction start for this reverse path? `None` is the null sender.
    Mail(Option<Address>),
    /// May the transaction have this recipient?
    Rcpt(Address),
    /// May the text of the message come now?
    Data,
    /// Here is a whole message; is it taken over?
    Message {
        envelope: Envelope,
        /// Whether the transaction was opened with SMTPUTF8.
        smtputf8: bool,
        body: Bytes,
    },
    /// Write the output, start TLS on the bare connection, then call [`Session::tls_started`].
    StartTls,
    /// Write the output and hang up.
    Close,
}

/// The driver's answer to a step that asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Yes, with the usual reply.
    Accept,
    /// Yes, with this reply.
    AcceptAs(Reply),
    Refuse(Reply),
    /// No, and the connection ends with this reply.
    Close(Reply),
}

/// What a session did since it was asked last, for the driver's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub commands: u32,
    /// Replies with a code of 400 or more.
    pub refusals: u32,
}

/// Why AUTH came at the wrong place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMistake {
    /// Before TLS.
    NoTls,
    /// On a listener where nobody signs in.
    WrongPort,
}

/// An AUTH that was refused before there were credentials to check; its client may need a hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthRefused {
    pub mistake: AuthMistake,
    pub mechanism: &'static str,
    /// Where the client sent it along.
    pub username: Option<String>,
}

impl AuthRefused {
    fn new(mistake: AuthMistake, mechanism: &str, initial: Option<&str>) -> Self {
        let (mechanism, username) = if mechanism.eq_ignore_ascii_case("PLAIN") {
            let credentials = initial.and_then(|response| sasl::plain(response).ok());
            ("PLAIN", credentials.map(|credentials| credentials.username))
        } else if mechanism.eq_ignore_ascii_case("LOGIN") {
            ("LOGIN", initial.and_then(|response| sasl::decode(response).ok()))
        } else if let Some(scram) = Mechanism::parse(mechanism) {
            (scram.name(), None)
        } else {
            ("", None)
        };
        Self {
            mistake,
            mechanism,
            username,
        }
    }
}

#[derive(Debug)]
pub struct Session {
    config: Arc<Config>,
    tls: Tls,
    state: State,
    lines: LineReader,
    /// Nothing was read yet on the plain connection.
    untouched: bool,
    hello: Option<Hello>,
    /// What names the TLS channel.
    binding: Option<Vec<u8>>,
    signed_in: bool,
    trusted: bool,
    transaction: Option<Transaction>,
    errors: u32,
    sign_in_failures: u32,
    slowed: bool,
    auth_refused: Option<AuthRefused>,
    tally: Tally,
    output: BytesMut,
}

#[derive(Debug)]
enum State {
    Commands,
    /// The next line is a response to AUTH.
    Auth(Exchange),
    Body(DataReader),
    /// A question is with the driver.
    Asked(Question),
    Closed,
}

#[derive(Debug)]
enum Exchange {
    Plain,
    LoginUsername,
    LoginPassword { username: String },
    Scram(Scram),
}

#[derive(Debug)]
enum Question {
    SignIn,
    Challenge(Begun),
    Proof,
    Mail(Transaction),
    Rcpt(Recipient),
    Data,
    Message,
}

#[derive(Debug)]
struct Hello {
    name: String,
    extended: bool,
}

#[derive(Debug, Default)]
struct Transaction {
    envelope: Envelope,
    size: Option<u64>,
    smtputf8: bool,
}

impl Session {
    /// A session whose banner waits in the output. `Tls::Active` is for connections that begin with TLS.
    pub fn new(config: Arc<Config>, tls: Tls) -> Self {
        let mut session = Self {
            tls,
            state: State::Commands,
            lines: LineReader::new(config.bare_lf == BareLf::Repair),
            untouched: tls != Tls::Active,
            hello: None,
            binding: None,
            signed_in: false,
            trusted: false,
            transaction: None,
            errors: 0,
            sign_in_failures: 0,
            slowed: false,
            auth_refused: None,
            tally: Tally::default(),
            output: BytesMut::with_capacity(512),
            config,
        };
        replies::banner(&session.config.hostname).write_to(&mut session.output);
        session
    }

    /// Replies that wait to be written; the driver takes them out.
    pub fn output(&mut self) -> &mut BytesMut {
        &mut self.output
    }

    /// Consumes input until something has to be decided, or more of it is needed.
    ///
    /// # Panics
    ///
    /// When the last question was not answered: the driver is wrong.
    pub fn receive(&mut self, input: &mut BytesMut) -> Step {
        loop {
            let step = match &mut self.state {
                State::Commands => self.command_line(input),
                State::Auth(_) => self.sasl_line(input),
                State::Body(reader) => {
                    if !reader.feed(input) {
                        return Step::NeedBytes;
                    }
                    self.end_of_text()
                }
                State::Asked(_) => panic!("the driver went on without an answer"),
                State::Closed => Some(Step::Close),
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    /// Answers the question of the last step.
    ///
    /// # Panics
    ///
    /// When nothing was asked: the driver is wrong.
    pub fn answer(&mut self, verdict: Verdict) {
        let State::Asked(question) = std::mem::replace(&mut self.state, State::Commands) else {
            panic!("the driver answered what was not asked");
        };
        match verdict {
            Verdict::Accept => self.granted(question, None),
            Verdict::AcceptAs(reply) => self.granted(question, Some(&reply)),
            Verdict::Refuse(reply) => {
                self.denied(&question, &reply);
            }
            Verdict::Close(reply) => self.close_with(&reply),
        }
    }

    fn granted(&mut self, question: Question, reply: Option<&Reply>) {
        let usual = match question {
            Question::SignIn => {
                self.signed_in = true;
                self.trusted = true;
                replies::SIGNED_IN
            }
            Question::Challenge(_) | Question::Proof => {
                unreachable!("these are answered with what they ask for")
            }
            Question::Mail(transaction) => {
                self.transaction = Some(transaction);
                replies::SENDER_OK
            }
            Question::Rcpt(recipient) => {
                self.transaction
                    .get_or_insert_default()
                    .envelope
                    .recipients
                    .push(recipient);
                replies::RECIPIENT_OK
            }
            Question::Data => {
                let size = self.transaction.as_ref().and_then(|transaction| transaction.size);
                self.state = State::Body(DataReader::new(self.text_limits(), size));
                replies::START_DATA
            }
            Question::Message => {
                self.errors = 0;
                replies::OK
            }
        };
        reply.unwrap_or(&usual).write_to(&mut self.output);
    }

    fn denied(&mut self, question: &Question, reply: &Reply) -> Option<Step> {
        match question {
            Question::SignIn | Question::Challenge(_) | Question::Proof => {
                self.refuse(reply);
                // That we cannot look is not the client's fault; that it is locked out is.
                if *reply != replies::SIGN_IN_UNAVAILABLE {
                    self.sign_in_failures += 1;
                }
                if self.sign_in_failures >= self.config.max_sign_in_failures {
                    self.close_with(&replies::TOO_MANY_SIGN_IN_FAILURES);
                }
                None
            }
            Question::Rcpt(_) => self.refuse_recipient(reply),
            Question::Mail(_) | Question::Data | Question::Message => self.refuse(reply),
        }
    }

    /// Says `reply` and hangs up: at shutdown, after a deadline, when the password has changed.
    pub fn close_with(&mut self, reply: &Reply) {
        if !matches!(self.state, State::Closed) {
            self.tally.refusals += 1;
            self.write_refusal(reply);
            self.state = State::Closed;
        }
    }

    /// Bytes came before the banner was sent, which nobody does who speaks SMTP.
    // RFC 5321 section 3.1
    pub fn early_talk(&mut self, first: u8) {
        self.output.clear();
        if first == TLS_HANDSHAKE {
            self.state = State::Closed;
        } else {
            self.close_with(&replies::OUT_OF_STEP);
        }
    }

    /// TLS stands: everything said before is forgotten.
    // RFC 3207 section 4.2
    pub fn tls_started(&mut self) {
        self.tls = Tls::Active;
        self.untouched = false;
        self.hello = None;
        self.binding = None;
        self.signed_in = false;
        self.trusted = false;
        self.transaction = None;
    }

    /// The client may send although it did not sign in here: its refused recipients are not held against it.
    pub fn trust(&mut self) {
        self.trusted = true;
    }

    /// Octets of the message that is arriving, as held in memory.
    pub fn held(&self) -> usize {
        match &self.state {
            State::Body(reader) => reader.held(),
            _ => 0,
        }
    }

    /// The rest of the arriving message is read and dropped, and its end answered with `reply`.
    pub fn turn_away(&mut self, reply: Reply) {
        if let State::Body(reader) = &mut self.state {
            reader.turn_away(reply);
        }
    }

    pub fn is_receiving_text(&self) -> bool {
        matches!(self.state, State::Body(_))
    }

    /// Recipients that the open transaction has so far.
    pub fn recipients(&self) -> usize {
        self.transaction
            .as_ref()
            .map_or(0, |transaction| transaction.envelope.recipients.len())
    }

    pub fn is_in_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    pub fn is_signed_in(&self) -> bool {
        self.signed_in
    }

    /// The name the client gave itself in EHLO or HELO.
    pub fn hello(&self) -> Option<&str> {
        self.hello.as_ref().map(|hello| hello.name.as_str())
    }

    /// The protocol's name for a Received header field.
    // RFC 3848, RFC 6531 section 4.3
    pub fn protocol(&self, smtputf8: bool) -> &'static str {
        let extended = self.hello.as_ref().is_some_and(|hello| hello.extended);
        match (extended, smtputf8, self.tls == Tls::Active, self.signed_in) {
            (false, ..) => "SMTP",
            (true, false, false, false) => "ESMTP",
            (true, false, false, true) => "ESMTPA",
            (true, false, true, false) => "ESMTPS",
            (true, false, true, true) => "ESMTPSA",
            (true, true, false, false) => "UTF8SMTP",
            (true, true, false, true) => "UTF8SMTPA",
            (true, true, true, false) => "UTF8SMTPS",
            (true, true, true, true) => "UTF8SMTPSA",
        }
    }

    /// Whether the replies in the output should be held back for a moment, because the client makes many errors.
    pub fn take_slowed(&mut self) -> bool {
        std::mem::take(&mut self.slowed)
    }

    /// An AUTH at the wrong place since this was asked last.
    pub fn take_auth_refused(&mut self) -> Option<AuthRefused> {
        self.auth_refused.take()
    }

    /// What happened since this was asked last.
    pub fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    fn text_limits(&self) -> TextLimits {
        TextLimits {
            message: self.config.max_message_size,
            header: self.config.max_header_size,
            line: self.config.max_text_line,
            bare_lf: self.config.bare_lf,
        }
    }

    /// Replies; there is no step to take. Commands end with this or with [`Self::refuse`].
    fn say(&mut self, reply: &Reply) -> Option<Step> {
        reply.write_to(&mut self.output);
        None
    }

    /// Refuses and counts it; too many refusals end the connection.
    fn refuse(&mut self, reply: &Reply) -> Option<Step> {
        self.write_refusal(reply);
        self.tally.refusals += 1;
        // What is refused for now is not the client's fault.
        if reply.is_permanent() {
            self.errors += 1;
            self.slowed |= self.errors >= self.config.soft_error_limit;
            if self.errors >= self.config.hard_error_limit {
                self.close_with(&replies::TOO_MANY_ERRORS);
            }
        }
        None
    }

    /// Refuses a recipient. Of those who may send that is no error: a long list has dead addresses in it.
    fn refuse_recipient(&mut self, reply: &Reply) -> Option<Step> {
        if !self.trusted {
            return self.refuse(reply);
        }
        self.tally.refusals += 1;
        self.write_refusal(reply);
        None
    }

    fn write_refusal(&mut self, reply: &Reply) {
        match &self.config.help_pages {
            Some(pages) => replies::with_help(reply, pages).write_to(&mut self.output),
            None => reply.write_to(&mut self.output),
        }
    }

    fn ask(&mut self, question: Question, step: Step) -> Step {
        self.state = State::Asked(question);
        step
    }

    fn command_line(&mut self, input: &mut BytesMut) -> Option<Step> {
        if self.untouched {
            match input.first() {
                None => return Some(Step::NeedBytes),
                Some(&TLS_HANDSHAKE) => {
                    self.state = State::Closed;
                    return None;
                }
                Some(_) => self.untouched = false,
            }
        }
        match self.lines.find(input, COMMAND_LIMIT) {
            Line::NotYet => Some(Step::NeedBytes),
            Line::TooLong => {
                self.tally.commands += 1;
                self.refuse(&replies::LINE_TOO_LONG)
            }
            Line::Whole { end, next } => {
                self.tally.commands += 1;
                let more_behind = input.len() > next;
                let step = match grammar::parse(&input[..end]) {
                    Ok(command) if more_behind && must_be_last(&command) => self.out_of_step(),
                    Ok(command) => self.command(command),
                    Err(reply) => self.refuse(&reply),
                };
                input.advance(next);
                step
            }
        }
    }

    fn out_of_step(&mut self) -> Option<Step> {
        self.close_with(&replies::OUT_OF_STEP);
        None
    }

    fn end_of_text(&mut self) -> Option<Step> {
        let State::Body(reader) = std::mem::replace(&mut self.state, State::Commands) else {
            unreachable!("text is read only behind DATA");
        };
        let transaction = self.transaction.take().unwrap_or_default();
        match reader.finish() {
            Ok(body) => {
                let Transaction {
                    envelope, smtputf8, ..
                } = transaction;
                Some(self.ask(
                    Question::Message,
                    Step::Message {
                        envelope,
                        smtputf8,
                        body,
                    },
                ))
            }
            Err(reply) => self.refuse(&reply),
        }
    }
}

/// Whether the client has to wait for the reply before it says more.
// RFC 2920 section 3.1, RFC 3207 section 4, RFC 4954 section 4
fn must_be_last(command: &Command<'_>) -> bool {
    matches!(
        command,
        Command::Ehlo(_)
            | Command::Helo(_)
            | Command::Data
            | Command::StartTls
            | Command::Auth { .. }
            | Command::Quit
    )
}
