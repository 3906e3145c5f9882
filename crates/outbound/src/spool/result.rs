//! Recording what became of a recipient.

use mail::bounce::{self, Class};
use mail::time::Time;
use store::{Engine, Id, Result, Tx};

use super::insert::FRESH;
use super::open;
use super::scheduled::STARTED;
use crate::model::{Next, Outcome, RecipientKey, Report, State, Verdict, one_line};

/// One recipient with its outcome and what follows from it.
#[derive(Clone, Debug)]
pub struct Settled {
    pub ordinal: u32,
    /// Attempts made, this one included.
    pub attempts: u32,
    /// None when it was given up without another attempt.
    pub outcome: Option<Outcome>,
    pub next: Next,
}

impl Settled {
    /// What kind of bounce or deferral it is; none where it is neither.
    pub fn class(&self) -> Option<Class> {
        match &self.outcome {
            Some(outcome) if outcome.verdict != Verdict::Delivered => Some(bounce::classify(&outcome.said())),
            None if self.next.state == State::Expired => Some(Class::Expired),
            _ => None,
        }
    }
}

/// What its sender is to hear of a recipient whose time ran out: the last reply, whatever it waited for since, and where there was no
/// attempt, what it waits for. What is held was ended by whoever held it. None where it waits for its turn, and no more.
pub fn heard_last(tx: &mut Tx<'_>, (message, ordinal): RecipientKey) -> Result<Option<String>> {
    let key = [message.into(), ordinal.into()];
    let row = tx.query_opt(
        "SELECT reason, state FROM recipients WHERE message = $1 AND ordinal = $2",
        &key,
    )?;
    let Some(row) = row else { return Ok(None) };
    let reason = row.text(0)?;
    if row.text(1)? == State::Held.as_str() {
        return Ok(Some(reason));
    }
    let last = tx.query_opt(
        "SELECT code, enhanced, reply FROM attempts WHERE message = $1 AND ordinal = $2 ORDER BY number DESC LIMIT 1",
        &key,
    )?;
    if let Some(row) = last {
        let code = row.opt_int(0)?.and_then(|code| u16::try_from(code).ok());
        return Ok(Some(one_line(code, row.opt_text(1)?, &row.text(2)?)));
    }
    Ok((![FRESH, STARTED].contains(&reason.as_str())).then_some(reason))
}

/// Records one recipient under the lease of `node`; false when the lease is lost, and then nothing is recorded.
///
/// A COMMIT whose answer was lost is tried again. The row may have been taken up anew meanwhile, by the same node too: that its
/// number of attempts moved tells.
pub fn settle(tx: &mut Tx<'_>, node: Id, message: Id, settled: &Settled, now: Time) -> Result<bool> {
    let next = &settled.next;
    let ours = tx.expect(
        1,
        "UPDATE recipients SET state = $4, reason = $5, attempts = $6, next_at = $7, node = NULL, updated_at = $8, \
         class = $10 WHERE message = $1 AND ordinal = $2 AND node = $3 AND attempts = $9",
        &[
            message.into(),
            settled.ordinal.into(),
            node.into(),
            next.state.as_str().into(),
            (&next.reason).into(),
            settled.attempts.into(),
            next.next_at.unwrap_or(now).into(),
            now.into(),
            (settled.attempts - u32::from(settled.outcome.is_some())).into(),
            settled.class().map(Class::as_str).into(),
        ],
    )?;
    if !ours {
        return Ok(false);
    }
    if let Some(outcome) = &settled.outcome {
        insert_attempt(tx, message, settled, outcome)?;
    }
    if next.report == Some(Report::Delayed) {
        tx.run(
            "UPDATE recipients SET warned_at = $3 WHERE message = $1 AND ordinal = $2",
            &[message.into(), settled.ordinal.into(), now.into()],
        )?;
    }
    Ok(true)
}

pub(super) fn insert_attempt(
    tx: &mut Tx<'_>,
    message: Id,
    settled: &Settled,
    outcome: &Outcome,
) -> Result<()> {
    let enhanced = outcome.enhanced.map(|enhanced| enhanced.to_string());
    let ip = outcome.ip.map(|ip| ip.to_string());
    tx.run(
        "INSERT INTO attempts (message, ordinal, number, at, duration, outcome, code, enhanced, reply, host, ip, tls) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        &[
            message.into(),
            settled.ordinal.into(),
            settled.attempts.into(),
            outcome.at.into(),
            i64::try_from(outcome.duration.as_micros()).unwrap_or(i64::MAX).into(),
            outcome.verdict.as_str().into(),
            outcome.code.into(),
            enhanced.as_ref().into(),
            (&outcome.reply).into(),
            outcome.host.as_ref().into(),
            ip.as_ref().into(),
            outcome.tls.as_ref().into(),
        ],
    )
}

/// Removes the body once nobody waits for it, unless it is to be kept until a date.
///
/// `all` says that the caller has just settled every recipient the message has.
pub fn release_body(tx: &mut Tx<'_>, message: Id, all: bool) -> Result<()> {
    if !all {
        let waiting = tx.query_opt(
            concat!(
                "SELECT 1 FROM recipients WHERE message = $1 AND ",
                open!(),
                " LIMIT 1"
            ),
            &[message.into()],
        )?;
        if waiting.is_some() {
            return Ok(());
        }
    }
    tx.run(
        "DELETE FROM bodies WHERE message = $1 AND keep_until IS NULL",
        &[message.into()],
    )
}

/// Makes others who settle recipients of the same message at this moment wait for each other, so that the last of them
/// sees that it is the last. On SQLite they do so anyhow.
pub fn in_turn(tx: &mut Tx<'_>, message: Id) -> Result<()> {
    if tx.engine() == Engine::Sqlite {
        return Ok(());
    }
    tx.run(
        "UPDATE messages SET recipients = recipients WHERE id = $1",
        &[message.into()],
    )
}
