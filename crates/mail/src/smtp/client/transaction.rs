//! One mail transaction: commands in groups, replies in order, and a fate for each recipient.

use super::capabilities::Capabilities;
use super::envelope::{Envelope, Recipient};
use super::fate::Fate;
use super::session::Wait;
use crate::reply::{Enhanced, RemoteReply};
use std::borrow::Cow;

/// So many commands go out before their replies are read: both sides' windows hold them (RFC 2920 section 3.1).
const GROUP: usize = 100;

// RFC 3463 section 3: the codes of fates that no reply decided.
const CONNECTION_LOST: Enhanced = Enhanced::new(4, 4, 2);
const TOO_BIG: Enhanced = Enhanced::new(5, 3, 4);
// RFC 6531 section 3.5: SMTPUTF8 is needed and not offered.
const NO_SMTPUTF8: Enhanced = Enhanced::new(5, 6, 7);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Rset,
    Mail,
    /// The recipient's place in the list.
    Rcpt(usize),
    Data,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Commands,
    Body,
    /// DATA was accepted although nobody is left to receive: a lone dot was sent.
    LoneDot,
    AfterBody,
    Done,
}

/// What a transaction needs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Something was put out.
    Write,
    Await(Wait),
    /// All replies of a group were read.
    GroupDone,
    SendBody,
    Done,
}

/// The running transaction of a session; its buffers serve one after the other.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    fates: Vec<Option<Fate>>,
    commands: Vec<u8>,
    /// Each command with the offset behind it.
    ends: Vec<(Command, usize)>,
    written: usize,
    answered: usize,
    group_end: usize,
    group: usize,
    accepted: usize,
    mail_accepted: bool,
    phase: Phase,
    /// The one before left a transaction open at the server.
    reset_first: bool,
    untouched: bool,
}

impl Transaction {
    pub(super) fn begin(
        &mut self,
        envelope: &Envelope<'_>,
        recipients: &[Recipient<'_>],
        capabilities: &Capabilities,
    ) {
        self.fates.clear();
        self.commands.clear();
        self.ends.clear();
        (self.written, self.answered, self.accepted) = (0, 0, 0);
        self.mail_accepted = false;
        self.untouched = true;
        self.phase = Phase::Commands;
        self.group = if capabilities.pipelining { GROUP } else { 1 };
        self.fates.extend(
            recipients
                .iter()
                .map(|recipient| impossible(envelope, recipient, capabilities)),
        );
        if self.fates.iter().all(Option::is_some) {
            self.phase = Phase::Done;
            return;
        }
        if std::mem::take(&mut self.reset_first) {
            self.commands.extend_from_slice(b"RSET\r\n");
            self.ends.push((Command::Rset, self.commands.len()));
        }
        let utf8 = recipients
            .iter()
            .any(|recipient| recipient.address.needs_smtputf8());
        envelope.write_mail(capabilities, utf8, &mut self.commands);
        self.ends.push((Command::Mail, self.commands.len()));
        for (nth, recipient) in recipients.iter().enumerate() {
            if self.fates[nth].is_none() {
                recipient.write_rcpt(capabilities, &mut self.commands);
                self.ends.push((Command::Rcpt(nth), self.commands.len()));
            }
        }
        self.commands.extend_from_slice(b"DATA\r\n");
        self.ends.push((Command::Data, self.commands.len()));
        self.group_end = self.group.min(self.ends.len());
    }

    pub(super) fn untouched(&self) -> bool {
        self.untouched
    }

    pub(super) fn progress(&mut self, output: &mut Vec<u8>) -> Progress {
        match self.phase {
            Phase::Commands if self.written < self.group_end => {
                let from = if self.written == 0 {
                    0
                } else {
                    self.ends[self.written - 1].1
                };
                output.extend_from_slice(&self.commands[from..self.ends[self.group_end - 1].1]);
                self.written = self.group_end;
                Progress::Write
            }
            Phase::Commands if self.answered < self.written => {
                Progress::Await(match self.ends[self.answered].0 {
                    Command::Rset => Wait::Reset,
                    Command::Mail => Wait::Mail,
                    Command::Rcpt(_) => Wait::Rcpt,
                    Command::Data => Wait::DataStart,
                })
            }
            Phase::Commands => Progress::GroupDone,
            Phase::Body if self.accepted == 0 => {
                output.extend_from_slice(b".\r\n");
                self.phase = Phase::LoneDot;
                Progress::Write
            }
            Phase::Body => Progress::SendBody,
            Phase::LoneDot | Phase::AfterBody => Progress::Await(Wait::DataEnd),
            Phase::Done => Progress::Done,
        }
    }

    /// Goes on behind a group of commands that were all answered.
    pub(super) fn next_group(&mut self) {
        let Some(&(next, _)) = self.ends.get(self.answered) else {
            self.phase = Phase::Done;
            return;
        };
        let mail_refused = !self.mail_accepted && !matches!(next, Command::Mail);
        if mail_refused || (next == Command::Data && self.accepted == 0) {
            self.reset_first = self.mail_accepted;
            self.phase = Phase::Done;
            return;
        }
        self.group_end = (self.answered + self.group).min(self.ends.len());
    }

    /// Takes the next reply; false where it cannot be one to the command that it comes for.
    pub(super) fn reply(&mut self, reply: &RemoteReply) -> bool {
        // A server that closes an idle session says so in place of the first reply: it took nothing on.
        if reply.code == 421 {
            self.decide_rest(&Fate::of(reply));
            return true;
        }
        self.untouched = false;
        match self.phase {
            Phase::Commands => {
                let data = self.ends[self.answered].0 == Command::Data;
                if if data {
                    reply.is_positive()
                } else {
                    reply.is_intermediate()
                } {
                    return false;
                }
                self.command_reply(reply);
            }
            _ if reply.is_intermediate() => return false,
            Phase::LoneDot => self.phase = Phase::Done,
            Phase::Body | Phase::AfterBody | Phase::Done => {
                self.decide_rest(&Fate::of(reply));
                self.phase = Phase::Done;
            }
        }
        true
    }

    fn command_reply(&mut self, reply: &RemoteReply) {
        let (command, _) = self.ends[self.answered];
        self.answered += 1;
        match command {
            Command::Rset => {}
            Command::Mail if reply.is_positive() => self.mail_accepted = true,
            Command::Mail => self.decide_rest(&Fate::of(reply)),
            Command::Rcpt(_) if !self.mail_accepted => {}
            Command::Rcpt(_) if reply.is_positive() => self.accepted += 1,
            Command::Rcpt(nth) => self.fates[nth] = Some(Fate::of_rcpt(reply)),
            Command::Data if reply.is_intermediate() => self.phase = Phase::Body,
            Command::Data => {
                // The transaction stays open at the server, whoever was accepted in it.
                self.reset_first = self.mail_accepted;
                self.decide_rest(&Fate::of(reply));
                self.phase = Phase::Done;
            }
        }
    }

    pub(super) fn body_sent(&mut self) {
        self.phase = Phase::AfterBody;
    }

    pub(super) fn lost(&mut self, why: Cow<'static, str>) -> Vec<Fate> {
        self.decide_rest(&Fate::temporary(CONNECTION_LOST, why));
        self.finish()
    }

    /// The fates; everybody has one by now.
    pub(super) fn finish(&mut self) -> Vec<Fate> {
        self.phase = Phase::Done;
        self.fates
            .drain(..)
            .map(|fate| fate.expect("a transaction ends when each recipient has a fate"))
            .collect()
    }

    fn decide_rest(&mut self, fate: &Fate) {
        for open in self.fates.iter_mut().filter(|fate| fate.is_none()) {
            *open = Some(fate.clone());
        }
    }
}

/// The fate of a recipient whose transaction this server cannot carry out.
fn impossible(
    envelope: &Envelope<'_>,
    recipient: &Recipient<'_>,
    capabilities: &Capabilities,
) -> Option<Fate> {
    // RFC 1870 section 4: a zero says that there is no fixed limit.
    if let Some(limit) = capabilities
        .size
        .filter(|&limit| limit > 0 && limit < envelope.size as u64)
    {
        let text = format!(
            "The message has {} octets, the receiving server takes {limit}",
            envelope.size
        );
        return Some(Fate::permanent(TOO_BIG, text.into()));
    }
    let sender_needs_it = envelope
        .reverse_path
        .is_some_and(crate::address::Address::needs_smtputf8);
    if !capabilities.smtputf8 && (sender_needs_it || recipient.address.needs_smtputf8()) {
        let text = "The receiving server does not take addresses beyond ASCII (SMTPUTF8)";
        return Some(Fate::permanent(NO_SMTPUTF8, text.into()));
    }
    None
}
