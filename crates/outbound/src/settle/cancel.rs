//! Giving recipients up by hand.

use store::events::{self, Event};
use store::{Id, Result, Tx};

use crate::model::{Asked, State};
use crate::spool::{self, Cancelled, InHand};

/// Cancels waiting recipients of a message, with their events, in one transaction.
pub fn cancel(
    tx: &mut Tx<'_>,
    message: Id,
    ordinal: Option<u32>,
    ours: Option<InHand<'_>>,
    asked: &Asked,
) -> Result<Cancelled> {
    let cancelled = spool::cancel(tx, message, ordinal, ours, asked.at)?;
    if let Some(account) = cancelled.account {
        for ordinal in &cancelled.ordinals {
            events::append(
                tx,
                &Event {
                    at: asked.at,
                    account,
                    message: Some(message),
                    ordinal: Some(i64::from(*ordinal)),
                    kind: State::Cancelled.as_str(),
                    data: "{}",
                },
            )?;
        }
        asked.note(tx, Some(account), "message.cancelled", &message.to_string())?;
    }
    Ok(cancelled)
}
