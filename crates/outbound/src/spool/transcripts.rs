//! What was said in each transaction with another server: one row for all recipients that it was about.

use std::sync::Arc;
use std::time::Duration;

use mail::time::Time;
use store::{Id, Result, Tx};

use super::{Settled, first_id_at};

/// How long they are kept, whatever is kept of their messages.
const KEPT: Duration = Duration::from_hours(30 * 24);

/// A line of a conversation with another server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Since the connection was begun, or the transaction where it had been there before.
    pub milliseconds: u64,
    pub who: Who,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    We,
    They,
    /// What happened beside the conversation.
    Note,
}

/// Records what was said about these recipients of one message: each transaction once.
pub fn record<'a>(tx: &mut Tx<'_>, message: Id, settled: impl Iterator<Item = &'a Settled>) -> Result<()> {
    let mut last: Option<&Arc<str>> = None;
    for outcome in settled.filter_map(|one| one.outcome.as_ref()) {
        let Some(text) = &outcome.transcript else { continue };
        if last.is_some_and(|last| Arc::ptr_eq(last, text)) {
            continue;
        }
        last = Some(text);
        tx.run(
            "INSERT INTO transcripts (message, at, host, text) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (message, at, host) DO NOTHING",
            &[
                message.into(),
                outcome.at.into(),
                outcome.host.as_deref().unwrap_or_default().into(),
                (&**text).into(),
            ],
        )?;
    }
    Ok(())
}

/// What was said in one attempt at one recipient; none where that is not known, or not any more.
pub fn of_attempt(
    tx: &mut Tx<'_>,
    account: Option<Id>,
    (message, ordinal, number): (Id, u32, u32),
) -> Result<Option<Vec<Line>>> {
    let row = tx.query_opt(
        "SELECT m.account, a.at, a.host FROM attempts a JOIN messages m ON m.id = a.message \
         WHERE a.message = $1 AND a.ordinal = $2 AND a.number = $3",
        &[message.into(), ordinal.into(), number.into()],
    )?;
    let Some(row) = row else { return Ok(None) };
    let owner = row.id(0)?;
    if account.is_some_and(|account| account != owner) {
        return Ok(None);
    }
    let host = row.opt_text(2)?.unwrap_or_default();
    let said = tx.query_opt(
        "SELECT text FROM transcripts WHERE message = $1 AND at = $2 AND host = $3",
        &[message.into(), row.time(1)?.into(), host.as_str().into()],
    )?;
    said.map(|row| Ok(row.text(0)?.lines().filter_map(line).collect()))
        .transpose()
}

fn line(text: &str) -> Option<Line> {
    let mut parts = text.splitn(3, ' ');
    Some(Line {
        milliseconds: parts.next()?.parse().ok()?,
        who: match parts.next()? {
            ">" => Who::We,
            "<" => Who::They,
            _ => Who::Note,
        },
        text: parts.next().unwrap_or_default().to_owned(),
    })
}

/// Removes up to `limit` that are old enough.
pub fn purge(tx: &mut Tx<'_>, now: Time, limit: u32) -> Result<u64> {
    let oldest = now.minus(KEPT);
    // Identifiers sort by the time they were made, and no attempt is made before its message: few that are looked at stay.
    let old = tx.query(
        "SELECT message, at, host FROM transcripts WHERE message < $1 AND at < $2 ORDER BY message, at LIMIT $3",
        &[first_id_at(oldest).into(), oldest.into(), limit.into()],
    )?;
    for row in &old {
        tx.run(
            "DELETE FROM transcripts WHERE message = $1 AND at = $2 AND host = $3",
            &[
                row.id(0)?.into(),
                row.time(1)?.into(),
                row.text(2)?.as_str().into(),
            ],
        )?;
    }
    Ok(old.len() as u64)
}
