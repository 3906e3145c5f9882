//! A receiving mail server in the test's own process: keeps every byte, and answers as the test's script says.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::tls::Identity;
use super::wait::eventually;

/// The moment in a session at which a script speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Connect,
    Ehlo,
    StartTls,
    Auth,
    Mail,
    Rcpt,
    Data,
    EndOfData,
    Rset,
    Quit,
}

/// What the sink does instead of agreeing.
#[derive(Debug, Clone)]
pub enum Act {
    /// These lines, as they are, CRLF added.
    Reply(String),
    /// These lines, then the connection goes.
    ReplyAndDrop(String),
    Drop,
    /// Takes the message in, and goes before it says so.
    KeepAndDrop,
    /// Agrees, once the gate is opened.
    Hold(Gate),
    /// Says nothing more and waits until the client hangs up.
    Silence,
}

/// Keeps whoever waits at it until it is opened, or dropped by the test.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<(Mutex<Passage>, Condvar)>);

#[derive(Debug, Default)]
struct Passage {
    waiting: usize,
    open: bool,
}

impl Gate {
    pub fn open(&self) {
        self.0.0.lock().unwrap().open = true;
        self.0.1.notify_all();
    }

    /// Waits until somebody waits at it.
    #[track_caller]
    pub fn wait_for_somebody(&self) {
        eventually("somebody waits at the gate", || {
            (self.0.0.lock().unwrap().waiting > 0).then_some(())
        });
    }

    fn pass(&self) {
        let mut passage = self.0.0.lock().unwrap();
        passage.waiting += 1;
        drop(self.0.1.wait_while(passage, |passage| !passage.open).unwrap());
    }
}

impl Act {
    pub fn reply(text: &str) -> Self {
        Self::Reply(text.to_owned())
    }
}

struct Rule {
    verb: Verb,
    /// Lower-case text that the command (or, at the end of data, a recipient) contains; empty for any.
    matching: String,
    act: Act,
    left: Option<usize>,
}

/// One message as it arrived.
#[derive(Debug, Clone)]
pub struct Arrived {
    pub connection: usize,
    pub helo: String,
    pub from: String,
    pub recipients: Vec<String>,
    /// The MAIL and RCPT commands with their parameters, as they came.
    pub mail_command: String,
    pub rcpt_commands: Vec<String>,
    /// The message without its dot stuffing.
    pub bytes: Vec<u8>,
    pub tls: bool,
    pub user: Option<String>,
}

impl Arrived {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The head with its last CRLF, without the empty line.
    pub fn head(&self) -> &[u8] {
        &self.bytes[..self.head_end()]
    }

    /// What stands behind the empty line.
    pub fn body(&self) -> &[u8] {
        self.bytes.get(self.head_end() + 2..).unwrap_or_default()
    }

    fn head_end(&self) -> usize {
        self.bytes
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .map_or(self.bytes.len(), |at| at + 2)
    }

    /// The values of a header field, unfolded, in order.
    pub fn header(&self, name: &str) -> Vec<String> {
        let head = String::from_utf8_lossy(self.head())
            .replace("\r\n ", " ")
            .replace("\r\n\t", " ");
        head.lines()
            .filter_map(|line| line.split_once(':'))
            .filter(|(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_owned())
            .collect()
    }
}

#[derive(Default)]
struct Shared {
    rules: Mutex<Vec<Rule>>,
    arrived: Mutex<Vec<Arrived>>,
    commands: Mutex<Vec<String>>,
    connections: AtomicUsize,
    streams: Mutex<HashMap<usize, TcpStream>>,
    stopped: AtomicBool,
}

/// What the sink offers.
#[derive(Clone)]
struct Offer {
    capabilities: Vec<String>,
    tls: Option<Arc<ServerConfig>>,
    implicit: bool,
    user: Option<(String, String)>,
}

pub struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
}

pub struct SinkSetup {
    address: String,
    offer: Offer,
}

impl SinkSetup {
    /// Listens elsewhere than on 127.0.0.1 with a free port: sinks that share a port need addresses of their own.
    #[must_use]
    pub fn at(mut self, address: &str) -> Self {
        address.clone_into(&mut self.address);
        self
    }

    #[must_use]
    pub fn starttls(mut self, identity: &Identity) -> Self {
        self.offer.tls = Some(identity.server());
        self
    }

    #[must_use]
    pub fn implicit_tls(mut self, identity: &Identity) -> Self {
        self.offer.tls = Some(identity.server());
        self.offer.implicit = true;
        self
    }

    /// Takes mail only from who signs in like this.
    #[must_use]
    pub fn only_for(mut self, user: &str, password: &str) -> Self {
        self.offer.user = Some((user.to_owned(), password.to_owned()));
        self
    }

    pub fn start(self) -> Sink {
        let listener = TcpListener::bind(&self.address).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let acceptor = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if acceptor.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&acceptor);
                let offer = self.offer.clone();
                thread::spawn(move || {
                    let number = shared.connections.fetch_add(1, Ordering::SeqCst);
                    if let Ok(same) = stream.try_clone() {
                        shared.streams.lock().unwrap().insert(number, same);
                    }
                    // The peer going away in the middle is part of the tests.
                    let _ = Conversation::new(&shared, offer, number, stream).run();
                    // With it the connection ends: as long as it is held anywhere, it stays open.
                    shared.streams.lock().unwrap().remove(&number);
                });
            }
        });
        Sink { address, shared }
    }
}

impl Sink {
    /// Takes everything, offers no TLS.
    pub fn start() -> Self {
        Self::setup().start()
    }

    pub fn setup() -> SinkSetup {
        let capabilities = ["PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "DSN"];
        SinkSetup {
            address: "127.0.0.1:0".to_owned(),
            offer: Offer {
                capabilities: capabilities.map(str::to_owned).to_vec(),
                tls: None,
                implicit: false,
                user: None,
            },
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, each time: `sink.always(Verb::Rcpt, "nobody@", Act::reply("550 5.1.1 no such user"))`.
    pub fn always(&self, verb: Verb, matching: &str, act: Act) {
        self.rule(verb, matching, act, None);
    }

    /// The next time only. Several wait for their turn in the order given.
    pub fn once(&self, verb: Verb, matching: &str, act: Act) {
        self.rule(verb, matching, act, Some(1));
    }

    fn rule(&self, verb: Verb, matching: &str, act: Act, left: Option<usize>) {
        self.shared.rules.lock().unwrap().push(Rule {
            verb,
            matching: matching.to_lowercase(),
            act,
            left,
        });
    }

    /// Forgets what was still to happen a number of times; what always happens stays.
    pub fn forget_turns(&self) {
        self.shared
            .rules
            .lock()
            .unwrap()
            .retain(|rule| rule.left.is_none());
    }

    /// Forgets the script.
    pub fn relent(&self) {
        self.shared.rules.lock().unwrap().clear();
    }

    /// Whether everything of the script that has a number of times has happened so often.
    pub fn has_done_its_script(&self) -> bool {
        let rules = self.shared.rules.lock().unwrap();
        rules.iter().all(|rule| rule.left.is_none_or(|left| left == 0))
    }

    /// Ends every connection that is open.
    pub fn hang_up(&self) {
        for (_, stream) in self.shared.streams.lock().unwrap().drain() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub fn arrived(&self) -> Vec<Arrived> {
        self.shared.arrived.lock().unwrap().clone()
    }

    /// What came since this was asked last, and is kept here no longer.
    pub fn take_arrived(&self) -> Vec<Arrived> {
        std::mem::take(&mut self.shared.arrived.lock().unwrap())
    }

    /// Waits for that many messages and returns all that came.
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<Arrived> {
        eventually(&format!("{count} messages at the sink"), || {
            let arrived = self.shared.arrived.lock().unwrap();
            (arrived.len() >= count).then(|| arrived.clone())
        })
    }

    /// Waits for a message to this recipient.
    #[track_caller]
    pub fn wait_for_recipient(&self, recipient: &str) -> Arrived {
        eventually(&format!("a message to {recipient}"), || {
            let arrived = self.shared.arrived.lock().unwrap();
            arrived
                .iter()
                .find(|message| {
                    message
                        .recipients
                        .iter()
                        .any(|to| to.eq_ignore_ascii_case(recipient))
                })
                .cloned()
        })
    }

    /// Every command line that came, of all connections.
    pub fn commands(&self) -> Vec<String> {
        self.shared.commands.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the acceptor, which then sees that it is over.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
    }
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
    Between,
}

/// One connection, from banner to end.
struct Conversation<'a> {
    shared: &'a Shared,
    offer: Offer,
    number: usize,
    wire: Wire,
    read: VecDeque<u8>,
    user: Option<String>,
    helo: String,
    mail: Option<String>,
    rcpts: Vec<String>,
}

/// The conversation is over, for whatever reason.
struct Over;

impl From<io::Error> for Over {
    fn from(_: io::Error) -> Self {
        Self
    }
}

impl<'a> Conversation<'a> {
    fn new(shared: &'a Shared, offer: Offer, number: usize, stream: TcpStream) -> Self {
        let _ = stream.set_nodelay(true);
        Self {
            shared,
            offer,
            number,
            wire: Wire::Plain(stream),
            read: VecDeque::new(),
            user: None,
            helo: String::new(),
            mail: None,
            rcpts: Vec::new(),
        }
    }

    fn run(mut self) -> Result<(), Over> {
        if self.offer.implicit {
            self.wrap_in_tls();
        }
        self.answer(Verb::Connect, "", "220 sink.example ESMTP")?;
        loop {
            let line = self.line()?;
            self.shared.commands.lock().unwrap().push(line.clone());
            self.obey(&line)?;
        }
    }

    fn obey(&mut self, line: &str) -> Result<(), Over> {
        let verb = line
            .split([' ', ':'])
            .next()
            .unwrap_or_default()
            .to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" | "HELO" => {
                line[verb.len()..].trim().clone_into(&mut self.helo);
                let greeting = if verb == "EHLO" {
                    self.greeting()
                } else {
                    "250 sink.example".to_owned()
                };
                self.answer(Verb::Ehlo, line, &greeting)?;
            }
            "STARTTLS" if self.offer.tls.is_some() => {
                if self.answer(Verb::StartTls, line, "220 2.0.0 go on")? {
                    self.wrap_in_tls();
                }
            }
            "AUTH" => self.auth(line)?,
            "MAIL" if self.offer.user.is_some() && self.user.is_none() => {
                self.say("530 5.7.0 sign in first")?;
            }
            "MAIL" => {
                if self.answer(Verb::Mail, line, "250 2.1.0 ok")? {
                    self.mail = Some(line.to_owned());
                    self.rcpts.clear();
                }
            }
            "RCPT" if self.mail.is_none() => self.say("503 5.5.1 MAIL first")?,
            "RCPT" => {
                if self.answer(Verb::Rcpt, line, "250 2.1.5 ok")? {
                    self.rcpts.push(line.to_owned());
                }
            }
            "DATA" if self.rcpts.is_empty() => self.say("503 5.5.1 no valid recipients")?,
            "DATA" => {
                if self.answer(Verb::Data, line, "354 go on")? {
                    self.message()?;
                }
            }
            "RSET" => {
                self.answer(Verb::Rset, line, "250 2.0.0 ok")?;
                self.mail = None;
                self.rcpts.clear();
            }
            "NOOP" => self.say("250 2.0.0 ok")?,
            "QUIT" => {
                self.answer(Verb::Quit, line, "221 2.0.0 bye")?;
                return Err(Over);
            }
            _ => self.say("500 5.5.2 what?")?,
        }
        Ok(())
    }

    fn greeting(&self) -> String {
        let mut keywords = self.offer.capabilities.clone();
        if self.offer.tls.is_some() && matches!(self.wire, Wire::Plain(_)) {
            keywords.push("STARTTLS".to_owned());
        }
        if self.offer.user.is_some() {
            keywords.push("AUTH PLAIN LOGIN".to_owned());
        }
        let mut lines = vec!["sink.example".to_owned()];
        lines.append(&mut keywords);
        let last = lines.len() - 1;
        let lines: Vec<String> = lines
            .iter()
            .enumerate()
            .map(|(at, line)| format!("250{}{line}", if at == last { ' ' } else { '-' }))
            .collect();
        lines.join("\r\n")
    }

    fn auth(&mut self, line: &str) -> Result<(), Over> {
        let words: Vec<&str> = line.split(' ').collect();
        let given = match (
            words
                .get(1)
                .map(|mechanism| mechanism.to_ascii_uppercase())
                .as_deref(),
            words.get(2),
        ) {
            (Some("PLAIN"), Some(initial)) => decode(initial),
            (Some("PLAIN"), None) => {
                self.say("334 ")?;
                decode(&self.line()?)
            }
            (Some("LOGIN"), initial) => {
                let user = if let Some(initial) = initial {
                    decode(initial)
                } else {
                    self.say("334 VXNlcm5hbWU6")?;
                    decode(&self.line()?)
                };
                self.say("334 UGFzc3dvcmQ6")?;
                format!("\0{user}\0{}", decode(&self.line()?))
            }
            _ => return self.say("504 5.5.4 no such mechanism"),
        };
        let right = self
            .offer
            .user
            .as_ref()
            .is_some_and(|(user, password)| given.ends_with(&format!("\0{user}\0{password}")));
        if !right {
            return self.say("535 5.7.8 wrong");
        }
        if self.answer(Verb::Auth, line, "235 2.7.0 welcome")? {
            self.user = self.offer.user.clone().map(|(user, _)| user);
        }
        Ok(())
    }

    fn message(&mut self) -> Result<(), Over> {
        let bytes = self.until_the_end()?;
        let arrived = Arrived {
            connection: self.number,
            helo: self.helo.clone(),
            from: path(self.mail.as_deref().unwrap_or_default()),
            recipients: self.rcpts.iter().map(|line| path(line)).collect(),
            mail_command: self.mail.take().unwrap_or_default(),
            rcpt_commands: std::mem::take(&mut self.rcpts),
            bytes,
            tls: matches!(self.wire, Wire::Tls(_)),
            user: self.user.clone(),
        };
        let about = arrived.recipients.join(" ");
        match self.act(Verb::EndOfData, &about) {
            None => self.keep(arrived),
            Some(Act::KeepAndDrop) => {
                self.shared.arrived.lock().unwrap().push(arrived);
                Err(Over)
            }
            Some(Act::Reply(text)) if text.starts_with('2') => {
                self.shared.arrived.lock().unwrap().push(arrived);
                self.say(&text)
            }
            Some(Act::Hold(gate)) => {
                gate.pass();
                self.keep(arrived)
            }
            Some(act) => self.perform(act).map(drop),
        }
    }

    fn keep(&mut self, arrived: Arrived) -> Result<(), Over> {
        self.shared.arrived.lock().unwrap().push(arrived);
        self.say("250 2.0.0 kept")
    }

    /// Only CRLF.CRLF ends a message.
    fn until_the_end(&mut self) -> Result<Vec<u8>, Over> {
        let mut raw = b"\r\n".to_vec();
        while !raw.ends_with(b"\r\n.\r\n") {
            raw.push(self.byte()?);
        }
        let stuffed = &raw[2..raw.len() - 3];
        let mut bytes = Vec::with_capacity(stuffed.len());
        for (at, &byte) in stuffed.iter().enumerate() {
            let line_start = at == 0 || stuffed[..at].ends_with(b"\r\n");
            if !(line_start && byte == b'.') {
                bytes.push(byte);
            }
        }
        Ok(bytes)
    }

    /// What the script has for this moment, if anything.
    fn act(&self, verb: Verb, about: &str) -> Option<Act> {
        let about = about.to_lowercase();
        let mut rules = self.shared.rules.lock().unwrap();
        let rule = rules
            .iter_mut()
            .find(|rule| rule.verb == verb && about.contains(&rule.matching) && rule.left != Some(0))?;
        if let Some(left) = &mut rule.left {
            *left -= 1;
        }
        Some(rule.act.clone())
    }

    /// Says what the script wants, else `agreed`; whether it was an agreement.
    fn answer(&mut self, verb: Verb, about: &str, agreed: &str) -> Result<bool, Over> {
        match self.act(verb, about) {
            None => self.say(agreed).map(|()| true),
            Some(Act::Hold(gate)) => {
                gate.pass();
                self.say(agreed).map(|()| true)
            }
            Some(act) => self.perform(act),
        }
    }

    fn perform(&mut self, act: Act) -> Result<bool, Over> {
        match act {
            Act::Reply(text) => self.say(&text).map(|()| text.starts_with(['2', '3'])),
            Act::ReplyAndDrop(text) => {
                self.say(&text)?;
                Err(Over)
            }
            Act::Silence | Act::Hold(_) => loop {
                self.byte()?;
            },
            Act::Drop | Act::KeepAndDrop => Err(Over),
        }
    }

    fn say(&mut self, text: &str) -> Result<(), Over> {
        let bytes = format!("{text}\r\n");
        match &mut self.wire {
            Wire::Plain(stream) => stream.write_all(bytes.as_bytes())?,
            Wire::Tls(stream) => {
                stream.write_all(bytes.as_bytes())?;
                stream.flush()?;
            }
            Wire::Between => return Err(Over),
        }
        Ok(())
    }

    fn line(&mut self) -> Result<String, Over> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(self.byte()?);
        }
        line.truncate(line.len() - 2);
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    fn byte(&mut self) -> Result<u8, Over> {
        if self.read.is_empty() {
            let mut chunk = [0; 16 * 1024];
            let count = match &mut self.wire {
                Wire::Plain(stream) => stream.read(&mut chunk)?,
                Wire::Tls(stream) => stream.read(&mut chunk)?,
                Wire::Between => 0,
            };
            self.read.extend(&chunk[..count]);
        }
        self.read.pop_front().ok_or(Over)
    }

    fn wrap_in_tls(&mut self) {
        let config = self.offer.tls.clone().expect("a sink with a certificate");
        if let Wire::Plain(stream) = std::mem::replace(&mut self.wire, Wire::Between) {
            let connection = ServerConnection::new(config).unwrap();
            self.wire = Wire::Tls(Box::new(StreamOwned::new(connection, stream)));
        }
    }
}

fn decode(base64: &str) -> String {
    let bytes = BASE64_STANDARD.decode(base64.trim()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The address between the angle brackets.
fn path(command: &str) -> String {
    let inside = command
        .split_once('<')
        .and_then(|(_, rest)| rest.rsplit_once('>'));
    inside.map(|(path, _)| path.to_owned()).unwrap_or_default()
}

#[test]
fn what_the_client_sends_is_what_the_sink_keeps() {
    use super::smtp::Smtp;

    let identity = Identity::for_names(&["localhost"]);
    let sink = Sink::setup()
        .starttls(&identity)
        .only_for("alice", "secret")
        .start();
    sink.once(Verb::Rcpt, "busy@", Act::reply("451 4.3.0 later"));
    let message = b"Subject: dots\r\n\r\n.\r\n..\r\n.a\r\nlast";

    let mut smtp = Smtp::connect(sink.address());
    smtp.reply().expect("220");
    assert!(smtp.ehlo().contains("STARTTLS"));
    smtp.mail("a@example.com").expect("530");
    smtp.starttls();
    smtp.auth_login("alice", "wrong").expect("535");
    smtp.auth_login("alice", "secret").expect("235");
    smtp.mail("a@example.com").expect("250 2.1.0");
    smtp.rcpt("busy@example.net").expect("451 4.3.0");
    smtp.rcpt("b@example.net").expect("250 2.1.5");
    smtp.data(message).expect("250 2.0.0");
    smtp.quit();

    let arrived = &sink.wait_for(1)[0];
    assert_eq!(arrived.recipients, ["b@example.net"]);
    assert_eq!(arrived.bytes, [&message[..], b"\r\n"].concat());
    assert_eq!(arrived.header("subject"), ["dots"]);
    assert_eq!(arrived.body(), b".\r\n..\r\n.a\r\nlast\r\n");
    assert!(arrived.tls);
}
