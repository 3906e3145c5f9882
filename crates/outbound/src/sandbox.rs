//! Mail that came by a test credential, or asked to be a test itself: it is kept in the local inbox and reaches nobody.
//!
//! It is settled in the transaction that accepts it, so that no lane and no restart ever finds it waiting.

use mail::notify::Notify;
use mail::reply::Enhanced;
use mail::time::Time;
use store::Id;

use crate::model::{Outcome, State, Verdict};
use crate::schedule::Parts;
use crate::settle::{self, Jitter, Settlement, Standing};
use crate::spool::{NewMessage, Place, Settled};

/// Makes a message about to be stored one that is settled with it.
pub fn keep(parts: &Parts, new: &mut NewMessage, now: Time) -> Settlement {
    let settings = &parts.settings;
    // The inbox has a copy, and this mail is free: one is enough.
    new.keep_until = None;
    for one in &mut new.recipients {
        // Nobody is told anything: a report would be mail that leaves.
        one.recipient.notify = Notify::Never;
        one.place = Place::InHand(settings.node);
    }
    let results = new.recipients.iter().filter_map(|new| {
        let recipient = new.recipient.clone();
        let standing = Standing {
            state: State::Queued,
            attempts: 0,
            created_at: now,
            expires_at: recipient.expires_at,
            notify: recipient.notify,
            warned: false,
        };
        let kept = Outcome {
            host: Some("inbox".to_owned()),
            ..Outcome::without_reply(
                Verdict::Delivered,
                Enhanced::new(2, 0, 0),
                "kept in the local inbox: it was sent as a test",
                now,
            )
        };
        let next = settle::next(&standing, &kept, &settings.retry, Jitter::NONE, now)?;
        let settled = Settled {
            ordinal: recipient.ordinal,
            attempts: 1,
            outcome: Some(kept),
            next,
        };
        Some((recipient, settled))
    });
    let results: Vec<_> = results.collect();
    let captured: Vec<Id> = results.iter().map(|_| parts.ids.next(now)).collect();
    Settlement {
        results,
        captured: Some(captured),
        ..parts.settlement(new.message.clone(), new.content.clone(), now)
    }
}
