//! Letting scheduled mail go when its time comes, or asking first when that was long ago: rows with their events, in one
//! transaction.

use std::time::Duration;

use mail::time::Time;
use store::events::{self, Event};
use store::{Id, Result, Topic, Tx};

use crate::model::{Asked, State};
use crate::spool;

/// What is later than this was not held up by load: the server was away, its clock jumped, or a backup was restored, and
/// nobody knows whether the mail was sent already or is still wanted.
const LATE: Duration = Duration::from_hours(1);

/// What became of scheduled recipients whose time had come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Started {
    pub begun: u64,
    /// For a person to decide.
    pub held: u64,
}

/// Looks through up to `limit` scheduled recipients that are due, the longest due first.
pub fn start_scheduled(tx: &mut Tx<'_>, now: Time, give_up: Duration, limit: u64) -> Result<Started> {
    let mut started = Started::default();
    for due in spool::due_scheduled(tx, now, limit)? {
        let late = now.since(due.at) > LATE;
        let (state, changed) = if late {
            let until = now.plus(give_up);
            (State::Held, spool::hold_overdue(tx, due.key, until, now)?)
        } else {
            (State::Queued, spool::start_scheduled(tx, due.key, now)?)
        };
        if !changed {
            continue;
        }
        if late {
            started.held += 1;
        } else {
            started.begun += 1;
        }
        let (message, ordinal) = due.key;
        let data = match state {
            State::Held => serde_json::json!({ "send_at": due.at.rfc3339(), "reason": spool::OVERDUE }),
            _ => serde_json::json!({ "send_at": due.at.rfc3339() }),
        };
        events::append(
            tx,
            &Event {
                at: now,
                account: due.account,
                message: Some(message),
                ordinal: Some(i64::from(ordinal)),
                kind: state.as_str(),
                data: &data.to_string(),
            },
        )?;
    }
    Ok(started)
}

/// Gives what is scheduled of a message, or held because its time passed, another time.
pub fn reschedule(tx: &mut Tx<'_>, message: Id, times: (Time, Time), asked: &Asked) -> Result<u64> {
    let Some((account, moved)) = spool::reschedule(tx, message, times, asked.at)? else {
        return Ok(0);
    };
    let data = serde_json::json!({ "send_at": times.0.rfc3339() }).to_string();
    events::append(
        tx,
        &Event {
            at: asked.at,
            account,
            message: Some(message),
            ordinal: None,
            kind: State::Scheduled.as_str(),
            data: &data,
        },
    )?;
    asked.note(tx, Some(account), "message.rescheduled", &message.to_string())?;
    tx.ring(Topic::Due);
    Ok(moved)
}
