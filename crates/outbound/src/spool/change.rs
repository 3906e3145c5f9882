//! What a person asks for: try now, give it up, let a paused lane go on.

use mail::address::Domain;
use mail::time::Time;
use store::{Id, Result, Tx};

use super::claim::AT_ONCE;
use super::result::{in_turn, release_body};
use super::scheduled::OVERDUE;
use super::{open, waiting};

/// What a request found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Rows that were changed.
    pub rows: u64,
    /// Rows that are being delivered at this moment and were left alone.
    pub in_hand: u64,
    /// Whose the changed rows are.
    pub account: Option<Id>,
}

/// Recipients that the caller has in hand, and which of them are not on the wire yet.
#[derive(Clone, Copy, Debug)]
pub struct InHand<'a> {
    pub node: Id,
    pub withdrawn: &'a [u32],
}

/// Makes waiting, scheduled and held recipients of a message due at once. Those in hand are on their way already; those that
/// are held because their account is paused are held again. What was to leave at a time leaves at `now` as if that were it, and is
/// given up at `expires_at`.
pub fn retry(
    tx: &mut Tx<'_>,
    message: Id,
    ordinal: Option<u32>,
    (now, expires_at): (Time, Time),
) -> Result<Changed> {
    let scheduled = tx.execute(
        "UPDATE recipients SET next_at = $3, expires_at = $4, reason = 'asked to try now', state = 'scheduled' \
         WHERE message = $1 AND ordinal = COALESCE($2, ordinal) AND node IS NULL \
         AND (state = 'scheduled' OR (state = 'held' AND reason = $5))",
        &[
            message.into(),
            ordinal.into(),
            now.into(),
            expires_at.into(),
            OVERDUE.into(),
        ],
    )?;
    let others = tx.execute(
        concat!(
            "UPDATE recipients SET next_at = $3, reason = 'asked to try now', state = CASE WHEN state <> 'held' THEN state ",
            "WHEN attempts = 0 THEN 'queued' ELSE 'deferred' END WHERE message = $1 ",
            "AND ordinal = COALESCE($2, ordinal) AND node IS NULL AND (",
            waiting!(),
            " OR state = 'held')"
        ),
        &[message.into(), ordinal.into(), AT_ONCE.into()],
    )?;
    let rows = scheduled + others;
    let in_hand = tx.query(
        "SELECT ordinal FROM recipients WHERE message = $1 AND ordinal = COALESCE($2, ordinal) AND node IS NOT NULL",
        &[message.into(), ordinal.into()],
    )?;
    let owner = "SELECT account FROM recipients WHERE message = $1 LIMIT 1";
    let account = match rows {
        0 => None,
        _ => tx
            .query_opt(owner, &[message.into()])?
            .map(|row| row.id(0))
            .transpose()?,
    };
    Ok(Changed {
        rows,
        in_hand: in_hand.len() as u64,
        account,
    })
}

/// What a cancellation did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cancelled {
    pub account: Option<Id>,
    pub ordinals: Vec<u32>,
    /// Recipients that are on the wire at this moment and were left alone.
    pub on_the_wire: u64,
}

/// Gives up waiting, scheduled and held recipients of a message.
///
/// Who has one of them in hand elsewhere loses its lease: the settlement or the cancellation counts, never both.
pub fn cancel(
    tx: &mut Tx<'_>,
    message: Id,
    ordinal: Option<u32>,
    ours: Option<InHand<'_>>,
    now: Time,
) -> Result<Cancelled> {
    in_turn(tx, message)?;
    let rows = tx.query(
        concat!(
            "SELECT ordinal, node, account FROM recipients WHERE message = $1 AND ordinal = COALESCE($2, ordinal) AND ",
            open!()
        ),
        &[message.into(), ordinal.into()],
    )?;
    let mut cancelled = Cancelled::default();
    for row in rows {
        let (ordinal, node) = (row.int(0)? as u32, row.opt_id(1)?);
        if ours.is_some_and(|ours| node == Some(ours.node) && !ours.withdrawn.contains(&ordinal)) {
            cancelled.on_the_wire += 1;
            continue;
        }
        let changed = tx.execute(
            concat!(
                "UPDATE recipients SET state = 'cancelled', reason = 'cancelled by hand', node = NULL, ",
                "updated_at = $3 WHERE message = $1 AND ordinal = $2 AND ",
                open!()
            ),
            &[message.into(), ordinal.into(), now.into()],
        )?;
        if changed > 0 {
            cancelled.ordinals.push(ordinal);
            cancelled.account = Some(row.id(2)?);
        }
    }
    if !cancelled.ordinals.is_empty() {
        release_body(tx, message, false)?;
    }
    Ok(cancelled)
}

/// Makes rows due that wait for this reason.
pub fn resume(tx: &mut Tx<'_>, reason: &str, now: Time) -> Result<u64> {
    tx.execute(
        concat!(
            "UPDATE recipients SET next_at = $2 WHERE node IS NULL AND ",
            waiting!(),
            " AND next_at > $2 AND reason = $1"
        ),
        &[reason.into(), now.into()],
    )
}

/// Makes the rows of a domain due.
pub fn hurry(tx: &mut Tx<'_>, domain: &Domain, now: Time) -> Result<u64> {
    tx.execute(
        concat!(
            "UPDATE recipients SET next_at = $2, reason = 'asked to try now' WHERE node IS NULL AND ",
            waiting!(),
            " AND domain = $1 AND next_at > $2"
        ),
        &[domain.as_str().into(), now.into()],
    )
}
