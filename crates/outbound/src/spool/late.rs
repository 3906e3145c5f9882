//! What is recorded of a recipient after its delivery: a bounce that came late, a complaint.

use mail::time::Time;
use store::{Id, Result, Tx};

use super::result::insert_attempt;
use super::{Claimed, Settled, claim};

/// One recipient with its message, wherever it stands; none when it is not there any more.
pub fn find(tx: &mut Tx<'_>, message: Id, ordinal: u32) -> Result<Option<Claimed>> {
    claim::find(tx, (message, ordinal))
}

/// Records that a delivered recipient bounced; false when it is not delivered, or bounced already.
pub fn bounced(tx: &mut Tx<'_>, message: Id, settled: &Settled, now: Time) -> Result<bool> {
    let changed = tx.execute(
        "UPDATE recipients SET state = $3, reason = $4, class = $5, attempts = $6, updated_at = $7 \
         WHERE message = $1 AND ordinal = $2 AND state = 'delivered'",
        &[
            message.into(),
            settled.ordinal.into(),
            settled.next.state.as_str().into(),
            (&settled.next.reason).into(),
            settled.class().map(mail::bounce::Class::as_str).into(),
            settled.attempts.into(),
            now.into(),
        ],
    )?;
    if changed == 0 {
        return Ok(false);
    }
    if let Some(outcome) = &settled.outcome {
        insert_attempt(tx, message, settled, outcome)?;
    }
    Ok(true)
}

/// Records that a recipient complained; false when it did before.
pub fn complained(tx: &mut Tx<'_>, message: Id, ordinal: u32, now: Time) -> Result<bool> {
    let changed = tx.execute(
        "UPDATE recipients SET complained_at = $3 WHERE message = $1 AND ordinal = $2 AND complained_at IS NULL",
        &[message.into(), ordinal.into(), now.into()],
    )?;
    Ok(changed > 0)
}
