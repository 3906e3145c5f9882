//! Holding the mail of an account that is paused, and letting it go on: rows with their events, in one transaction.

use mail::time::Time;
use store::events::{self, Event};
use store::{Id, Result, Topic, Tx};

use crate::model::{RecipientKey, State};
use crate::spool;

/// Holds waiting rows; `node` has them in hand, or nobody has. Says how many.
pub fn hold(
    tx: &mut Tx<'_>,
    (account, node): (Id, Option<Id>),
    rows: &[RecipientKey],
    now: Time,
) -> Result<u64> {
    let mut held = 0;
    for row in rows {
        if spool::hold(tx, node, *row, now)? {
            note(tx, account, *row, State::Held, now)?;
            held += 1;
        }
    }
    Ok(held)
}

/// Lets held rows go on. Says how many.
pub fn release(tx: &mut Tx<'_>, account: Id, rows: &[RecipientKey], now: Time) -> Result<u64> {
    let mut released = 0;
    for row in rows {
        if spool::release(tx, *row, now)? {
            note(tx, account, *row, State::Queued, now)?;
            released += 1;
        }
    }
    tx.ring(Topic::Due);
    Ok(released)
}

fn note(
    tx: &mut Tx<'_>,
    account: Id,
    (message, ordinal): RecipientKey,
    state: State,
    now: Time,
) -> Result<()> {
    events::append(
        tx,
        &Event {
            at: now,
            account,
            message: Some(message),
            ordinal: Some(i64::from(ordinal)),
            kind: state.as_str(),
            data: "{}",
        },
    )
}
