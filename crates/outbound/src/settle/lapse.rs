//! Giving up what is held once its time has run out: nobody's decision came.

use mail::time::Time;
use store::{Id, Result, Tx};

use super::happened::happened;
use crate::model::{RecipientKey, State};
use crate::spool::{self, Claimed};

/// Held recipients whose time has run out.
#[derive(Debug, Default)]
pub struct Lapsed {
    /// Taken in hand, to be given up with a report as any other.
    pub readable: Vec<Claimed>,
    /// Given up: whom a report would go to or be about cannot be read.
    pub unreadable: Vec<RecipientKey>,
}

/// Looks through up to `limit` held recipients, the oldest first.
pub fn lapse(tx: &mut Tx<'_>, node: Id, now: Time, limit: u64) -> Result<Lapsed> {
    let (readable, broken) = spool::claim_lapsed(tx, node, now, limit)?;
    let mut lapsed = Lapsed {
        readable,
        ..Lapsed::default()
    };
    for (message, ordinal) in broken {
        let Some((account, reason)) = spool::give_up(tx, (message, ordinal), now)? else {
            continue;
        };
        let data = serde_json::json!({ "reason": reason });
        happened(tx, (account, (message, ordinal)), State::Expired, &data, now)?;
        lapsed.unreadable.push((message, ordinal));
    }
    Ok(lapsed)
}
