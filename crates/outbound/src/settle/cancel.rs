//! Giving recipients up by hand.

use mail::time::Time;
use store::events::{self, Event};
use store::{Id, Result, Tx};

use crate::model::State;
use crate::spool::{self, Cancelled, InHand};

/// Cancels waiting recipients of a message, with their events, in one transaction.
pub fn cancel(
    tx: &mut Tx<'_>,
    message: Id,
    ordinal: Option<u32>,
    ours: Option<InHand<'_>>,
    now: Time,
) -> Result<Cancelled> {
    let cancelled = spool::cancel(tx, message, ordinal, ours, now)?;
    if let Some(account) = cancelled.account {
        for ordinal in &cancelled.ordinals {
            events::append(
                tx,
                &Event {
                    at: now,
                    account,
                    message: Some(message),
                    ordinal: Some(i64::from(*ordinal)),
                    kind: State::Cancelled.as_str(),
                    data: "{}",
                },
            )?;
        }
    }
    Ok(cancelled)
}
