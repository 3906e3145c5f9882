//! Rows that wait for the time that their sender chose.

use mail::time::Time;
use store::{Id, Result, Tx};

use crate::model::RecipientKey;

/// Why a recipient is held whose time passed long before anybody looked. Known by these words.
pub const OVERDUE: &str = "held: its time to be sent passed long ago; send it now or cancel it";
/// What one waits for whose time has come.
pub(super) const STARTED: &str = "its time has come, on its way to its first attempt";

/// What a scheduled recipient waits for.
pub(super) fn scheduled_for(at: Time) -> String {
    format!("scheduled for {at}")
}

/// A scheduled row whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueScheduled {
    pub key: RecipientKey,
    pub account: Id,
    pub at: Time,
}

/// Takes a scheduled row in hand for its first attempt.
pub(super) fn start_scheduled(
    tx: &mut Tx<'_>,
    (message, ordinal): RecipientKey,
    node: Id,
    now: Time,
) -> Result<()> {
    tx.run(
        "UPDATE recipients SET state = 'queued', reason = $3, node = $4, updated_at = $5 \
         WHERE message = $1 AND ordinal = $2 AND state = 'scheduled'",
        &[
            message.into(),
            ordinal.into(),
            STARTED.into(),
            node.into(),
            now.into(),
        ],
    )
}

/// Holds a scheduled row whose time passed long ago; a person has until `expires_at` to decide.
pub(super) fn hold_overdue(
    tx: &mut Tx<'_>,
    (message, ordinal): RecipientKey,
    expires_at: Time,
    now: Time,
) -> Result<()> {
    tx.run(
        "UPDATE recipients SET state = 'held', reason = $3, expires_at = $4, updated_at = $5 \
         WHERE message = $1 AND ordinal = $2 AND state = 'scheduled'",
        &[
            message.into(),
            ordinal.into(),
            OVERDUE.into(),
            expires_at.into(),
            now.into(),
        ],
    )
}

/// Gives what is scheduled of a message, or held because its time passed, another time; says whose they are and how many.
pub fn reschedule(
    tx: &mut Tx<'_>,
    message: Id,
    (at, expires_at): (Time, Time),
    now: Time,
) -> Result<Option<(Id, u64)>> {
    let moved = tx.execute(
        "UPDATE recipients SET state = 'scheduled', reason = $2, next_at = $3, expires_at = $4, updated_at = $5 \
         WHERE message = $1 AND node IS NULL AND (state = 'scheduled' OR (state = 'held' AND reason = $6))",
        &[
            message.into(),
            scheduled_for(at).as_str().into(),
            at.into(),
            expires_at.into(),
            now.into(),
            OVERDUE.into(),
        ],
    )?;
    if moved == 0 {
        return Ok(None);
    }
    let owner = "SELECT account FROM messages WHERE id = $1";
    let owner = tx.query_opt(owner, &[message.into()])?;
    owner.map(|row| Ok((row.id(0)?, moved))).transpose()
}
