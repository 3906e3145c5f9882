//! `posthouse send`: takes a message on standard input as sendmail does, for cron, PHP and scripts on this machine.

mod arguments;

use std::io::Read;
use std::process::ExitCode;

use bytes::Bytes;
use clap::Args;
use mail::address::Address;
use mail::envelope::{Envelope, Recipient};
use mail::message::Head;
use mail::notify::Notify;
use outbound::{Origin, Outbound, Refused, Submission};

use self::arguments::Wanted;
use super::{Common, Failure};
use crate::app::{Rooms, sending};
use crate::config::Config;

/// Exit codes of sysexits.h, which callers of sendmail know.
const USAGE: u8 = 64;
const DATA: u8 = 65;
const UNAVAILABLE: u8 = 69;
const IO: u8 = 74;
const TEMPORARY: u8 = 75;
const PERMISSION: u8 = 77;
const CONFIGURATION: u8 = 78;

#[derive(Debug, Args)]
#[command(
    after_help = "Flags of sendmail: -f ADDRESS (sender), -t (recipients from To, Cc and Bcc), -i or -oi (a line \
                        with a dot is no end), -F NAME (full name); others are taken and ignored. Ours: --account EMAIL \
                        (the account it is sent for; without it, the one whose login the sender's address is)."
)]
pub struct Options {
    /// Flags of sendmail and recipients.
    #[arg(allow_hyphen_values = true, value_name = "FLAGS AND RECIPIENTS")]
    arguments: Vec<String>,
}

/// What went wrong, for people and for the caller.
struct Failed(u8, String);

impl Failed {
    fn new(code: u8, text: impl Into<String>) -> Self {
        Self(code, text.into())
    }
}

pub fn run(common: &Common, options: &Options) -> ExitCode {
    match send(common, options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed(code, text)) => {
            eprintln!("posthouse: {text}");
            ExitCode::from(code)
        }
    }
}

fn send(common: &Common, options: &Options) -> Result<(), Failed> {
    let wanted = Wanted::read(&options.arguments).map_err(|text| Failed::new(USAGE, text))?;
    let common = Common {
        config: wanted.config.clone().or_else(|| common.config.clone()),
        data: wanted.data.clone().or_else(|| common.data.clone()),
    };
    let config = common
        .load()
        .map_err(|Failure(text)| Failed::new(CONFIGURATION, text))?;
    super::rooms::must_exist(&config).map_err(|Failure(text)| Failed::new(CONFIGURATION, text))?;
    let message = message(&wanted, std::io::stdin().lock())?;
    let temporary = |Failure(text)| Failed::new(TEMPORARY, text);
    let runtime = super::runtime().map_err(temporary)?;
    runtime.block_on(async {
        let rooms = super::rooms::open(&config).await.map_err(temporary)?;
        let done = submit(&config, &rooms, &wanted, message).await;
        // Nothing is left to write: what was accepted is committed.
        let _ = rooms.db.close().await;
        done
    })
}

/// The message in the form it travels in. Lines end with CRLF, and without `-i` a line with only a dot ends it.
fn message(wanted: &Wanted, mut input: impl Read) -> Result<Vec<u8>, Failed> {
    let mut raw = Vec::new();
    input
        .read_to_end(&mut raw)
        .map_err(|error| Failed::new(IO, format!("standard input: {error}")))?;
    let mut message = Vec::with_capacity(raw.len() + raw.len() / 32);
    for line in raw.split_inclusive(|&byte| byte == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if text == b"." && !wanted.dots_are_text {
            break;
        }
        message.extend_from_slice(text);
        message.extend_from_slice(b"\r\n");
    }
    if message.is_empty() {
        return Err(Failed::new(
            DATA,
            "standard input holds no message; write its header, an empty line and its text there",
        ));
    }
    Ok(message)
}

async fn submit(config: &Config, rooms: &Rooms, wanted: &Wanted, mut message: Vec<u8>) -> Result<(), Failed> {
    let head = Head::parse(&message).map_err(|error| Failed::new(DATA, error.to_string()))?;
    let from = head.from_addresses().unwrap_or_default();
    let from = from.first().map(|mailbox| mailbox.address.clone());
    let envelope = wanted.envelope(&head, from.as_deref())?;
    let sender = envelope.reverse_path.clone();
    if from.is_none() {
        let Some(sender) = &sender else {
            return Err(Failed::new(
                DATA,
                "the message has no From; write one or name the sender with -f",
            ));
        };
        message.splice(0..0, wanted.own_from(sender).into_bytes());
    }
    let named = wanted
        .account
        .clone()
        .or_else(|| sender.as_ref().map(ToString::to_string))
        .or(from)
        .unwrap_or_default();
    let principal = rooms.accounts.vouched(&named).await.map_err(|error| {
        let why = Failure::new(error).0;
        Failed::new(
            PERMISSION,
            format!("{why}; name the account it is sent for with --account EMAIL"),
        )
    })?;
    let origin = Origin {
        via: "command".to_owned(),
        protocol: "local".to_owned(),
        login: Some(principal.email.clone()),
        ..Origin::default()
    };
    let parts = sending::parts(config, rooms, config.configured_url())
        .map_err(|error| Failed::new(CONFIGURATION, error.to_string()))?;
    let submission = Submission {
        principal,
        origin,
        envelope,
        body: Bytes::from(message),
        given: None,
    };
    match Outbound::idle(parts).accept(submission).await {
        Ok(_) => Ok(()),
        Err(Refused(reply)) => {
            let code = if reply.code < 500 { TEMPORARY } else { UNAVAILABLE };
            Err(Failed::new(code, format!("not accepted: {reply}")))
        }
    }
}

fn recipient(text: &str) -> Result<Recipient, Failed> {
    let address = Address::parse(text)
        .map_err(|error| Failed::new(arguments::NO_USER, format!("the recipient {text}: {error}")))?;
    Ok(Recipient {
        address,
        notify: Notify::default(),
        orcpt: None,
    })
}

impl Wanted {
    /// Sender and recipients, from the command line and, with `-t`, from the header.
    fn envelope(&self, head: &Head<'_>, from: Option<&str>) -> Result<Envelope, Failed> {
        let reverse_path = match self.sender.as_deref().or(from) {
            None | Some("" | "<>") => None,
            Some(text) => {
                let text = text.trim_start_matches('<').trim_end_matches('>');
                let parsed = Address::parse(text);
                Some(parsed.map_err(|error| Failed::new(USAGE, format!("the sender {text}: {error}")))?)
            }
        };
        let mut recipients: Vec<Recipient> = Vec::new();
        let mut add = |text: &str| -> Result<(), Failed> {
            let new = recipient(text)?;
            if !recipients.iter().any(|known| known.address == new.address) {
                recipients.push(new);
            }
            Ok(())
        };
        for text in &self.recipients {
            add(text)?;
        }
        if self.from_header {
            for name in ["To", "Cc", "Bcc"] {
                let found = head
                    .mailboxes(name)
                    .map_err(|error| Failed::new(DATA, format!("{name}: {error}")))?;
                for mailbox in found {
                    add(&mailbox.address)?;
                }
            }
        }
        if recipients.is_empty() {
            return Err(Failed::new(
                USAGE,
                "no recipient; name some behind the flags, or take them from the header with -t",
            ));
        }
        Ok(Envelope {
            reverse_path,
            recipients,
            ret: None,
            envid: None,
        })
    }

    /// A From field for a message that has none, as sendmail adds it.
    fn own_from(&self, sender: &Address) -> String {
        let plain = |name: &&String| {
            name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b' ') && !name.trim().is_empty()
        };
        match self.full_name.as_ref().filter(plain) {
            Some(name) => format!("From: {} <{sender}>\r\n", name.trim()),
            None => format!("From: {sender}\r\n"),
        }
    }
}
