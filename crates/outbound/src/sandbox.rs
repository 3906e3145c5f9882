//! Mail that reaches nobody: what came by a test credential, or asked to be a test itself, or goes to test addresses, is kept in the
//! local inbox, and what a hook discards is kept nowhere.
//!
//! It is settled in the transaction that accepts it, so that no lane and no restart ever finds it waiting; but for what a test
//! address is slow about, which waits like all other mail and ends in the inbox as well.

use mail::address::Address;
use mail::notify::Notify;
use mail::replies;
use mail::reply::{Enhanced, Reply};
use mail::time::Time;
use store::{Id, Tx};

use crate::feedback;
use crate::model::{JobRecipient, Outcome, State, Verdict};
use crate::personal::Copies;
use crate::schedule::Parts;
use crate::settle::{self, Jitter, Settlement, Standing};
use crate::simulator::{self, Known, Told};
use crate::spool::{NewMessage, Place, Settled};
use crate::tracking::{self, Source};

/// A message that is settled with its storing.
pub struct Kept {
    settlement: Settlement,
    /// Whose readers call it spam.
    complaints: Vec<JobRecipient>,
}

impl Kept {
    pub fn record(&self, tx: &mut Tx<'_>) -> store::Result<()> {
        let settlement = &self.settlement;
        // Only what is taken leaves a trace, however often it is tried.
        if let Some(copies) = &settlement.copies {
            let of = Source {
                message: settlement.message.id,
                account: settlement.message.account,
                test: true,
            };
            tracking::keep_fresh(tx, &of, copies.targets())?;
        }
        settle::record(tx, settlement)?;
        self.complaints.iter().try_for_each(|recipient| {
            feedback::complain_as_test(tx, &settlement.message, recipient, settlement.at)
        })
    }
}

/// Whether all of these are test addresses. Some of them are an error: nothing of such a message would leave, and others wait for it.
pub fn is_test<'a>(recipients: impl IntoIterator<Item = &'a Address>, hostname: &str) -> Result<bool, Reply> {
    let (mut tests, mut others) = (false, false);
    for address in recipients {
        match simulator::tell(address, hostname) {
            Told::Test(_) => tests = true,
            Told::Unknown => return Err(replies::NO_SUCH_TEST_ADDRESS),
            Told::Other => others = true,
        }
    }
    if tests && others {
        return Err(replies::TEST_ADDRESS_AMONG_OTHERS);
    }
    Ok(tests)
}

/// Makes a message about to be stored one that is settled with it.
pub fn keep(parts: &Parts, (new, copies): (&mut NewMessage, Option<Copies>), now: Time) -> Kept {
    let settings = &parts.settings;
    let mut results = Vec::with_capacity(new.recipients.len());
    let mut complaints = Vec::new();
    for one in &mut new.recipients {
        // Nobody is told anything: a report would be mail that leaves.
        one.recipient.notify = Notify::Never;
        let known = match simulator::tell(&one.recipient.address, &settings.hostname) {
            Told::Test(known) => Some(known),
            Told::Unknown | Told::Other => None,
        };
        let outcome = match known.map_or_else(|| Ok(in_the_inbox(now)), |known| known.outcome(now)) {
            Ok(outcome) => outcome,
            Err(wait) => {
                one.place = Place::Waits {
                    until: now.plus(wait),
                    reason: "a test address takes its time".to_owned(),
                };
                continue;
            }
        };
        one.place = Place::InHand(settings.node);
        let recipient = one.recipient.clone();
        let standing = Standing {
            state: State::Queued,
            attempts: 0,
            created_at: now,
            expires_at: recipient.expires_at,
            notify: recipient.notify,
            warned: false,
        };
        let Some(next) = settle::next(&standing, &outcome, &settings.retry, Jitter::NONE, now) else {
            continue;
        };
        if known == Some(Known::Complaint) {
            complaints.push(recipient.clone());
        }
        let settled = Settled {
            ordinal: recipient.ordinal,
            attempts: 1,
            outcome: Some(outcome),
            next,
        };
        results.push((recipient, settled));
    }
    let delivered = |(_, one): &(_, Settled)| one.next.state == State::Delivered;
    if results.len() == new.recipients.len() && results.iter().all(delivered) {
        // The inbox has a copy, and this mail is free: one is enough.
        new.keep_until = None;
    }
    let captured: Vec<Id> = results.iter().map(|_| parts.ids.next(now)).collect();
    let settlement = Settlement {
        results,
        captured: Some(captured),
        copies,
        ..parts.settlement(new.message.clone(), new.content.clone(), now)
    };
    Kept {
        settlement,
        complaints,
    }
}

fn in_the_inbox(now: Time) -> Outcome {
    Outcome {
        host: Some("inbox".to_owned()),
        ..Outcome::without_reply(
            Verdict::Delivered,
            Enhanced::new(2, 0, 0),
            "kept in the local inbox: it was sent as a test",
            now,
        )
    }
}

/// Makes a message about to be stored one that goes to nobody, because the hook of this name says so.
pub fn discard(parts: &Parts, new: &mut NewMessage, hook: &str, now: Time) -> Kept {
    new.keep_until = None;
    let why = format!("discarded by the hook {hook}");
    let mut results = Vec::with_capacity(new.recipients.len());
    for one in &mut new.recipients {
        one.recipient.notify = Notify::Never;
        one.place = Place::InHand(parts.settings.node);
        let settled = Settled {
            ordinal: one.recipient.ordinal,
            attempts: 0,
            outcome: None,
            next: settle::discard(&why),
        };
        results.push((one.recipient.clone(), settled));
    }
    let settlement = Settlement {
        results,
        ..parts.settlement(new.message.clone(), new.content.clone(), now)
    };
    Kept {
        settlement,
        complaints: Vec::new(),
    }
}
