//! What a hook is told about a message, and what it says about it.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use accounts::Principal;
use bytes::Bytes;
use mail::address::Address;
use mail::message::{Footer, Head};
use mail::replies;
use mail::reply::Reply;

use crate::model::Origin;

/// When a hook is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Somebody begins a message.
    Mail,
    /// Somebody names a recipient of it.
    Rcpt,
    /// The message is there.
    Message,
}

impl Stage {
    pub const ALL: [Self; 3] = [Self::Mail, Self::Rcpt, Self::Message];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Message => "message",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == text)
    }

    /// What to say of a try at this stage where the hook is asked at `stages` only, of which this is none.
    pub fn why_not_asked(self, stages: &str) -> Option<String> {
        let name = self.as_str();
        let asked = stages.split(' ').any(|stage| stage == name);
        (!asked).then(|| {
            format!(
                "it is not asked at {name}, only at: {}",
                stages.replace(' ', ", ")
            )
        })
    }

    /// The function of a script that is called.
    pub fn function(self) -> &'static str {
        match self {
            Self::Mail => "on_mail",
            Self::Rcpt => "on_rcpt",
            Self::Message => "on_message",
        }
    }
}

/// The recipients that are known at one stage: the first ones of a list that all stages of a message share.
#[derive(Clone, Debug, Default)]
pub struct Recipients {
    all: Arc<Vec<String>>,
    known: usize,
}

impl From<Arc<Vec<String>>> for Recipients {
    fn from(all: Arc<Vec<String>>) -> Self {
        Self {
            known: all.len(),
            all,
        }
    }
}

impl Deref for Recipients {
    type Target = [String];

    fn deref(&self) -> &[String] {
        &self.all[..self.known]
    }
}

/// What is known of a message at one stage.
#[derive(Clone, Debug)]
pub struct Facts {
    pub stage: Stage,
    pub account: String,
    /// The address of the login that sends.
    pub login: Option<String>,
    /// The name of the SMTP credential that it signed in with.
    pub credential: Option<String>,
    /// `smtp`, `api` or `command`.
    pub via: String,
    pub ip: Option<IpAddr>,
    pub helo: Option<String>,
    pub tls: Option<String>,
    /// None for the null sender.
    pub from: Option<String>,
    /// Those named so far; all of them when the message is there.
    pub recipients: Recipients,
    /// The one that is being named.
    pub recipient: Option<String>,
    pub stream: Option<String>,
    pub tags: Vec<String>,
    /// Empty until the message is there.
    pub raw: Bytes,
}

impl Facts {
    /// What is known of a message that somebody tries a hook on. At RCPT the last of `recipients` is the one that is being named; without
    /// `from` the author sends.
    pub fn of_trial(stage: Stage, from: Option<String>, mut recipients: Vec<String>, raw: Bytes) -> Self {
        let author = || {
            let head = Head::parse(&raw).ok()?;
            let first = head.from_addresses().ok()?.into_iter().next()?;
            Some(first.address)
        };
        let from = from.or_else(author);
        let recipient = (stage == Stage::Rcpt).then(|| recipients.pop()).flatten();
        let at_message = stage == Stage::Message;
        Self {
            stage,
            account: String::new(),
            login: from.clone(),
            credential: None,
            via: "test".to_owned(),
            ip: None,
            helo: None,
            tls: None,
            from,
            recipients: Arc::new(recipients).into(),
            recipient,
            stream: at_message.then(|| accounts::streams::DEFAULT.to_owned()),
            tags: Vec::new(),
            raw: if at_message { raw } else { Bytes::new() },
        }
    }

    /// What is known when somebody begins a message.
    pub fn begin(who: &Principal, origin: &Origin, from: Option<&Address>) -> Self {
        Self {
            stage: Stage::Mail,
            account: who.account.to_string(),
            login: origin.login.clone(),
            credential: origin.credential.as_ref().map(|one| one.name.clone()),
            via: origin.via.clone(),
            ip: origin.ip,
            helo: origin.helo.clone(),
            tls: origin.tls.clone(),
            from: from.map(ToString::to_string),
            recipients: Recipients::default(),
            recipient: None,
            stream: None,
            tags: Vec::new(),
            raw: Bytes::new(),
        }
    }

    /// The same when a recipient is named behind those before it.
    #[must_use]
    pub fn recipient(mut self, recipient: &Address, before: Arc<Vec<String>>) -> Self {
        self.stage = Stage::Rcpt;
        self.recipient = Some(recipient.to_string());
        self.recipients = before.into();
        self
    }

    /// Goes on to the recipient at this place of all that are named.
    pub fn name(&mut self, all: &Arc<Vec<String>>, place: usize) {
        self.stage = Stage::Rcpt;
        self.recipient = all.get(place).cloned();
        self.recipients = Recipients {
            all: Arc::clone(all),
            known: place.min(all.len()),
        };
    }

    /// The same when the message is there.
    #[must_use]
    pub fn message(mut self, recipients: Arc<Vec<String>>, raw: Bytes) -> Self {
        self.stage = Stage::Message;
        self.recipients = recipients.into();
        self.raw = raw;
        self
    }
}

/// What a hook decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Said {
    /// It has nothing against the message.
    #[default]
    Nothing,
    Accept,
    Reject(Option<String>),
    Defer(Option<String>),
    /// Take it, and send it to nobody.
    Discard,
}

impl Said {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Nothing => "passed",
            Self::Accept => "accepted",
            Self::Reject(_) => "rejected",
            Self::Defer(_) => "deferred",
            Self::Discard => "discarded",
        }
    }

    /// The refusal, where it is one.
    pub fn refusal(&self) -> Option<Reply> {
        match self {
            Self::Reject(text) => Some(replies::hook_rejected(text.as_deref())),
            Self::Defer(text) => Some(replies::hook_deferred(text.as_deref())),
            Self::Nothing | Self::Accept | Self::Discard => None,
        }
    }
}

/// A change of the message that a hook asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Tag(String),
    /// This whole field in place of every one of its name.
    SetHeader {
        name: String,
        line: Vec<u8>,
    },
    /// One more field.
    AddHeader {
        name: String,
        line: Vec<u8>,
    },
    Route(String),
    /// Under its text and its HTML.
    AddFooter(Footer),
}

impl Action {
    /// In one line, for the trace of a test run.
    pub fn describe(&self) -> String {
        /// Characters of a footer that are shown.
        const LINE: usize = 80;
        let field = |line: &[u8]| String::from_utf8_lossy(line).trim_end().replace("\r\n", "");
        match self {
            Self::Tag(tag) => format!("tag {tag}"),
            Self::SetHeader { line, .. } => format!("set header {}", field(line)),
            Self::AddHeader { line, .. } => format!("add header {}", field(line)),
            Self::Route(stream) => format!("route to {stream}"),
            Self::AddFooter(footer) => {
                let words: Vec<&str> = footer.text().split_whitespace().collect();
                let words: String = words.join(" ").chars().take(LINE).collect();
                format!("add footer {words}")
            }
        }
    }
}

/// Why a hook did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// It raised an error.
    Error,
    /// It took more memory than it may.
    Memory,
    /// It took more steps than it may.
    Steps,
    /// It took more time than it may.
    Time,
    /// So many of its account's hooks were at work, or those before it took so long, that its turn did not come.
    Busy,
}

impl FaultKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Memory => "memory",
            Self::Steps => "steps",
            Self::Time => "time",
            Self::Busy => "busy",
        }
    }
}

/// A hook that broke.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", .line.map_or_else(String::new, |line| format!("line {line}: ")))]
pub struct Fault {
    pub kind: FaultKind,
    pub message: String,
    pub line: Option<u32>,
}

/// How one call of a hook went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    pub said: Said,
    /// What it asked for, in order; nothing where it broke.
    pub actions: Vec<Action>,
    pub log: Vec<String>,
    /// Loops, calls and returns that it went through.
    pub steps: u64,
    /// Octets that it held at its end.
    pub memory: u64,
    pub took: Duration,
    pub fault: Option<Fault>,
}

impl Run {
    /// Whether what it asked for is done: the message goes on, and it did not break.
    pub fn changes(&self) -> bool {
        self.fault.is_none() && matches!(self.said, Said::Nothing | Said::Accept)
    }
}

/// A message as somebody pastes it or keeps it in a file, with the line ends of mail.
pub fn with_crlf(message: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(message.len() + message.len() / 32);
    for (place, &octet) in message.iter().enumerate() {
        if octet == b'\n' && (place == 0 || message[place - 1] != b'\r') {
            out.push(b'\r');
        }
        out.push(octet);
    }
    out.into()
}
