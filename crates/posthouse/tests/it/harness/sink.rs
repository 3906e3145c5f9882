//! A receiving mail server in the test's own process: keeps every byte, and answers as the test's script says.

mod conversation;

use std::collections::HashMap;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::ServerConfig;

use conversation::Conversation;

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
    acceptor: Option<JoinHandle<()>>,
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
        let accepting = Arc::clone(&shared);
        let acceptor = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if accepting.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&accepting);
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
        Sink {
            address,
            shared,
            acceptor: Some(acceptor),
        }
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
        let woken = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
        // Nobody listens any more when the sink is gone.
        if let (Ok(_), Some(acceptor)) = (woken, self.acceptor.take()) {
            let _ = acceptor.join();
        }
    }
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
