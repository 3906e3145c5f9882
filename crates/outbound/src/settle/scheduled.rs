//! Letting scheduled mail go when its time comes, or asking first when that was long ago: rows with their events, in one
//! transaction.

use std::time::Duration;

use mail::time::Time;
use store::events::{self, Event};
use store::{Id, Result, Topic, Tx};

use super::happened::happened;
use crate::model::{Asked, State};
use crate::spool::{self, Claimed};

/// What is later than this was not held up by load: the server was away, its clock jumped, or a backup was restored, and
/// nobody knows whether the mail was sent already or is still wanted.
const LATE: Duration = Duration::from_hours(1);

/// What became of scheduled recipients whose time had come.
#[derive(Debug, Default)]
pub struct Started {
    /// Taken in hand.
    pub begun: Vec<Claimed>,
    /// How many wait for a person to decide.
    pub held: u64,
}

/// Looks through up to `limit` scheduled recipients that are due, the longest due first.
pub fn start_scheduled(
    tx: &mut Tx<'_>,
    node: Id,
    (now, give_up): (Time, Duration),
    limit: u64,
) -> Result<Started> {
    let times = (now, now.minus(LATE), now.plus(give_up));
    let claimed = spool::claim_scheduled(tx, node, times, limit)?;
    let mut started = Started::default();
    for due in claimed.held {
        let data = serde_json::json!({ "send_at": due.at.rfc3339(), "reason": spool::OVERDUE });
        happened(tx, (due.account, due.key), State::Held, &data, now)?;
        started.held += 1;
    }
    for (one, at) in claimed.begun {
        let key = (one.message.id, one.recipient.ordinal);
        let data = serde_json::json!({ "send_at": at.rfc3339() });
        happened(tx, (one.message.account, key), State::Queued, &data, now)?;
        started.begun.push(one);
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
