//! Holding the mail of an account that is paused, and letting it go on: rows with their events, in one transaction.

use mail::time::Time;
use store::{Id, Result, Topic, Tx};

use super::happened::happened;
use crate::model::{RecipientKey, State};
use crate::spool;

/// Holds waiting rows; `node` has them in hand, or nobody has. Says how many.
pub fn hold(
    tx: &mut Tx<'_>,
    (account, node): (Id, Option<Id>),
    rows: &[RecipientKey],
    now: Time,
) -> Result<u64> {
    let nothing = serde_json::json!({});
    let mut held = 0;
    for row in rows {
        if spool::hold(tx, node, *row, now)? {
            happened(tx, (account, *row), State::Held, &nothing, now)?;
            held += 1;
        }
    }
    Ok(held)
}

/// Lets held rows go on. Says how many.
pub fn release(tx: &mut Tx<'_>, account: Id, rows: &[RecipientKey], now: Time) -> Result<u64> {
    let nothing = serde_json::json!({});
    let mut released = 0;
    for row in rows {
        if spool::release(tx, *row, now)? {
            happened(tx, (account, *row), State::Queued, &nothing, now)?;
            released += 1;
        }
    }
    tx.ring(Topic::Due);
    Ok(released)
}
