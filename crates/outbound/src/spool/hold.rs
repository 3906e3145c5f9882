//! Rows that wait for a person's decision about their account, and their way back.

use mail::time::Time;
use store::{Id, Result, Tx, Value};

use super::waiting;
use crate::model::RecipientKey;

/// Why a recipient of an account is held whose mail may not go out. Known by these words, to an index as well.
macro_rules! held {
    () => {
        "held: the account is paused"
    };
}
pub const HELD: &str = held!();
/// Recipients that are held for it, as their index spells it.
macro_rules! paused {
    () => {
        concat!("state = 'held' AND reason = '", held!(), "'")
    };
}
/// What a returned recipient was given up after.
const RETURNED: &str = "the account was paused and its mail returned";
/// What a released recipient waits for.
const RELEASED: &str = "released, waiting to be taken up";

/// Waiting rows of an account that nobody has in hand, but for our own reports to it.
pub fn waiting_of(tx: &mut Tx<'_>, account: Id, reporter: &str, limit: u64) -> Result<Vec<RecipientKey>> {
    let rows = tx.query(
        concat!(
            "SELECT r.message, r.ordinal FROM recipients r JOIN messages m ON m.id = r.message ",
            "WHERE r.account = $1 AND r.node IS NULL AND r.",
            waiting!(),
            " AND (m.reverse_path <> '' OR m.header_from <> $2) LIMIT $3"
        ),
        &[account.into(), reporter.into(), (limit as i64).into()],
    )?;
    rows.iter()
        .map(|row| Ok((row.id(0)?, row.int(1)? as u32)))
        .collect()
}

/// Holds a waiting row that `node` has in hand, or that nobody has; false when it is not there any more.
pub fn hold(tx: &mut Tx<'_>, node: Option<Id>, (message, ordinal): RecipientKey, now: Time) -> Result<bool> {
    let (whose, node) = match &node {
        Some(node) => ("node = $5", Some(Value::from(node))),
        None => ("node IS NULL", None),
    };
    let sql = format!(
        concat!(
            "UPDATE recipients SET state = 'held', reason = $3, node = NULL, updated_at = $4 ",
            "WHERE message = $1 AND ordinal = $2 AND {} AND ",
            waiting!()
        ),
        whose
    );
    let mut values = vec![message.into(), ordinal.into(), HELD.into(), now.into()];
    values.extend(node);
    Ok(tx.execute(&sql, &values)? == 1)
}

/// The next account behind `after` of which something is held because it was paused.
pub fn next_holding(tx: &mut Tx<'_>, after: Option<Id>) -> Result<Option<Id>> {
    tx.query_opt(
        concat!(
            "SELECT account FROM recipients WHERE ",
            paused!(),
            " AND account > $1 ORDER BY account LIMIT 1"
        ),
        &[after.unwrap_or(Id::from_bytes([0; 16])).into()],
    )?
    .map(|row| row.id(0))
    .transpose()
}

/// Held rows of a paused account behind `after`, in the order of their keys.
pub fn held_of(
    tx: &mut Tx<'_>,
    account: Id,
    after: Option<RecipientKey>,
    limit: u64,
) -> Result<Vec<RecipientKey>> {
    let (message, ordinal) = after.map_or((Id::from_bytes([0; 16]), -1), |(message, ordinal)| {
        (message, i64::from(ordinal))
    });
    tx.query(
        concat!(
            "SELECT message, ordinal FROM recipients WHERE ",
            paused!(),
            " AND account = $1 AND (message, ordinal) > ($2, $3) ORDER BY message, ordinal LIMIT $4"
        ),
        &[
            account.into(),
            message.into(),
            ordinal.into(),
            (limit as i64).into(),
        ],
    )?
    .iter()
    .map(|row| Ok((row.id(0)?, row.int(1)? as u32)))
    .collect()
}

/// How many rows of an account are held by its pause, counted up to `most`.
pub fn count_held(tx: &mut Tx<'_>, account: Id, most: u32) -> Result<u64> {
    let row = tx.query_opt(
        concat!(
            "SELECT COUNT(*) FROM (SELECT 1 AS one FROM recipients WHERE ",
            paused!(),
            " AND account = $1 LIMIT $2) few"
        ),
        &[account.into(), most.into()],
    )?;
    row.map_or(Ok(0), |row| row.int(0).map(i64::unsigned_abs))
}

/// Lets a held row wait for its next attempt again, which is due.
pub fn release(tx: &mut Tx<'_>, (message, ordinal): RecipientKey, now: Time) -> Result<bool> {
    let released = tx.execute(
        "UPDATE recipients SET state = CASE WHEN attempts = 0 THEN 'queued' ELSE 'deferred' END, reason = $3, \
         next_at = $4, updated_at = $4 WHERE message = $1 AND ordinal = $2 AND state = 'held' AND reason = $5",
        &[
            message.into(),
            ordinal.into(),
            RELEASED.into(),
            now.into(),
            HELD.into(),
        ],
    )?;
    Ok(released == 1)
}

/// Makes the time of a held row run out now: it is given up with a report like any other.
pub fn return_held(tx: &mut Tx<'_>, (message, ordinal): RecipientKey, now: Time) -> Result<bool> {
    let returned = tx.execute(
        "UPDATE recipients SET expires_at = $3, reason = $4, updated_at = $3 \
         WHERE message = $1 AND ordinal = $2 AND state = 'held' AND reason = $5",
        &[
            message.into(),
            ordinal.into(),
            now.into(),
            RETURNED.into(),
            HELD.into(),
        ],
    )?;
    Ok(returned == 1)
}
