//! Deliveries to endpoints: what is on its way, what became of it, and how each attempt went.

use std::time::Duration;

use mail::time::Time;
use store::search::Conditions;
use store::{Id, Result, Row, Tx};

use crate::calls::Answered;
use crate::spool::first_id_at;

/// Who took a delivery up has this long to record how the attempt went; then anybody may take it up. An attempt ends within
/// 17 seconds, so no lease is ever extended.
pub const LEASE: Duration = Duration::from_secs(45);
/// How long it is tried to deliver something.
pub const GIVE_UP: Duration = Duration::from_hours(24);
/// How long deliveries and their attempts stay on record.
pub const KEPT: Duration = Duration::from_hours(30 * 24);

/// The pauses between attempts; the last attempt comes when the time is up.
const GAPS: [Duration; 10] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(10),
    Duration::from_mins(30),
    Duration::from_hours(1),
    Duration::from_hours(2),
    Duration::from_hours(4),
    Duration::from_hours(8),
    Duration::from_hours(8),
];

/// What a test is called in place of an event.
pub const TEST: &str = "test";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Waiting,
    Delivered,
    Failed,
}

impl State {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    pub fn of(text: &str) -> Option<Self> {
        [Self::Waiting, Self::Delivered, Self::Failed]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// One event on its way to one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub id: Id,
    pub webhook: Id,
    /// The `webhook-id`: the same for every attempt and every replay.
    pub event: String,
    pub kind: String,
    pub payload: String,
    pub state: State,
    pub attempts: i64,
    /// Those of them before it was sent once more: the pauses between attempts begin anew.
    pub before: i64,
    pub created_at: Time,
    pub due_at: Time,
    pub give_up_at: Time,
}

/// How one attempt went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub number: i64,
    pub at: Time,
    pub duration: Duration,
    pub status: Option<u16>,
    pub problem: String,
    pub answer: String,
}

/// Which deliveries a list shows, newest first.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    pub state: Option<State>,
    pub after: Option<Id>,
    pub limit: u32,
}

const SELECT: &str = "SELECT id, webhook, event, kind, payload, state, attempts, created_at, due_at, give_up_at, before \
     FROM webhook_deliveries";

fn delivery(row: &Row) -> Result<Delivery> {
    Ok(Delivery {
        id: row.id(0)?,
        webhook: row.id(1)?,
        event: row.text(2)?,
        kind: row.text(3)?,
        payload: row.text(4)?,
        state: State::of(&row.text(5)?).unwrap_or(State::Failed),
        attempts: row.int(6)?,
        created_at: row.time(7)?,
        due_at: row.time(8)?,
        give_up_at: row.time(9)?,
        before: row.int(10)?,
    })
}

pub fn insert(tx: &mut Tx<'_>, new: &Delivery) -> Result<()> {
    tx.run(
        "INSERT INTO webhook_deliveries (id, webhook, event, kind, payload, state, attempts, created_at, due_at, \
         give_up_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        &[
            new.id.into(),
            new.webhook.into(),
            (&new.event).into(),
            (&new.kind).into(),
            (&new.payload).into(),
            new.state.as_str().into(),
            new.attempts.into(),
            new.created_at.into(),
            new.due_at.into(),
            new.give_up_at.into(),
        ],
    )
}

/// Takes up what is due for an endpoint. Nobody else does until the lease has run out.
pub fn claim(
    tx: &mut Tx<'_>,
    (webhook, only_tests): (Id, bool),
    now: Time,
    limit: usize,
) -> Result<Vec<Delivery>> {
    let kind = if only_tests { " AND kind = 'test'" } else { "" };
    let sql = format!(
        "{SELECT} WHERE webhook = $1 AND state = 'waiting' AND due_at <= $2{kind} ORDER BY due_at, id LIMIT $3{}",
        tx.skip_locked()
    );
    let rows = tx.query(&sql, &[webhook.into(), now.into(), (limit as i64).into()])?;
    let mut claimed = Vec::with_capacity(rows.len());
    for row in &rows {
        let mut delivery = delivery(row)?;
        delivery.attempts += 1;
        delivery.due_at = now.plus(LEASE);
        tx.run(
            "UPDATE webhook_deliveries SET attempts = $2, due_at = $3 WHERE id = $1",
            &[
                delivery.id.into(),
                delivery.attempts.into(),
                delivery.due_at.into(),
            ],
        )?;
        claimed.push(delivery);
    }
    Ok(claimed)
}

/// What an attempt leads to. `due_at` counts while the delivery waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    pub state: State,
    pub due_at: Time,
}

/// Decides after an attempt that ended `now`.
pub fn next(delivery: &Delivery, answered: &Answered, now: Time) -> Next {
    let end = |state| Next {
        state,
        due_at: delivery.due_at,
    };
    if answered.took_it() {
        return end(State::Delivered);
    }
    if answered.status == Some(410) || now >= delivery.give_up_at {
        return end(State::Failed);
    }
    let number = usize::try_from(delivery.attempts - delivery.before - 1).unwrap_or(0);
    let gap = GAPS[number.min(GAPS.len() - 1)];
    // Up to a tenth more or less, from the chance in the identifier, so that what failed together does not come back together.
    let chance = u32::from(delivery.id.as_bytes()[15]);
    let gap = gap * (230 + chance * 52 / 255) / 256;
    Next {
        state: State::Waiting,
        due_at: now.plus(gap).min(delivery.give_up_at),
    }
}

/// Records an attempt; false where somebody else has taken the delivery up meanwhile: then nothing is recorded.
pub fn settle(
    tx: &mut Tx<'_>,
    delivery: &Delivery,
    answered: &Answered,
    next: Next,
    now: Time,
) -> Result<bool> {
    let settled = tx.execute(
        "UPDATE webhook_deliveries SET state = $3, due_at = $4 WHERE id = $1 AND attempts = $2 AND state = 'waiting'",
        &[
            delivery.id.into(),
            delivery.attempts.into(),
            next.state.as_str().into(),
            next.due_at.into(),
        ],
    )?;
    if settled == 0 {
        return Ok(false);
    }
    let duration = i64::try_from(answered.took.as_micros()).unwrap_or(i64::MAX);
    tx.run(
        "INSERT INTO webhook_attempts (delivery, number, at, duration, status, problem, answer) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            delivery.id.into(),
            delivery.attempts.into(),
            now.minus(answered.took).into(),
            duration.into(),
            answered.status.into(),
            (&answered.problem).into(),
            (&answered.answer).into(),
        ],
    )?;
    Ok(true)
}

pub fn list(tx: &mut Tx<'_>, webhook: Id, filter: &DeliveryFilter) -> Result<Vec<Delivery>> {
    let mut conditions = Conditions::default();
    conditions.add("webhook = $", Some(webhook));
    conditions.add("state = $", filter.state.map(State::as_str));
    conditions.add("id < $", filter.after);
    let sql = format!(
        "{SELECT}{} ORDER BY id DESC LIMIT {}",
        conditions.sql(),
        filter.limit
    );
    tx.query(&sql, conditions.values())?
        .iter()
        .map(delivery)
        .collect()
}

pub fn find(tx: &mut Tx<'_>, webhook: Id, id: Id) -> Result<Option<Delivery>> {
    let sql = format!("{SELECT} WHERE id = $1 AND webhook = $2");
    let row = tx.query_opt(&sql, &[id.into(), webhook.into()])?;
    row.map(|row| delivery(&row)).transpose()
}

pub fn attempts(tx: &mut Tx<'_>, delivery: Id) -> Result<Vec<Attempt>> {
    let rows = tx.query(
        "SELECT number, at, duration, status, problem, answer FROM webhook_attempts WHERE delivery = $1 \
         ORDER BY number DESC LIMIT 200",
        &[delivery.into()],
    )?;
    rows.iter()
        .map(|row| {
            Ok(Attempt {
                number: row.int(0)?,
                at: row.time(1)?,
                duration: Duration::from_micros(row.int(2)?.unsigned_abs()),
                status: row.opt_int(3)?.and_then(|status| u16::try_from(status).ok()),
                problem: row.text(4)?,
                answer: row.text(5)?,
            })
        })
        .collect()
}

/// Sends something that ended once more; false where it still waits.
pub fn replay(tx: &mut Tx<'_>, id: Id, now: Time) -> Result<bool> {
    let changed = tx.execute(
        "UPDATE webhook_deliveries SET state = 'waiting', due_at = $2, give_up_at = $3, before = attempts \
         WHERE id = $1 AND state <> 'waiting'",
        &[id.into(), now.into(), now.plus(GIVE_UP).into()],
    )?;
    Ok(changed > 0)
}

/// Whether a test of the endpoint is on its way.
pub fn test_waits(tx: &mut Tx<'_>, webhook: Id) -> Result<bool> {
    let row = tx.query_opt(
        "SELECT 1 FROM webhook_deliveries WHERE webhook = $1 AND state = 'waiting' AND kind = 'test' LIMIT 1",
        &[webhook.into()],
    )?;
    Ok(row.is_some())
}

/// What waits for an endpoint, or for all, counted up to `most`.
pub fn waiting(tx: &mut Tx<'_>, webhook: Option<Id>, most: i64) -> Result<i64> {
    let mut conditions = Conditions::default();
    conditions.add("webhook = $", webhook);
    conditions.demand("state = 'waiting'");
    let sql = format!(
        "SELECT COUNT(*) FROM (SELECT 1 FROM webhook_deliveries{} LIMIT {most}) counted",
        conditions.sql()
    );
    let row = tx.query_opt(&sql, conditions.values())?;
    row.map_or(Ok(0), |row| row.int(0))
}

/// What nobody could deliver in time, say because its endpoint is paused. What is due is left an hour for its last attempt.
pub fn late(tx: &mut Tx<'_>, now: Time, limit: u32) -> Result<Vec<Id>> {
    let hour = now.minus(Duration::from_hours(1));
    // Both by the index of what waits in the order of its end.
    let rows = tx.query(
        "SELECT id FROM webhook_deliveries WHERE state = 'waiting' AND give_up_at <= $2 AND (give_up_at <= $1 OR \
         webhook IN (SELECT w.id FROM webhooks w WHERE w.paused IS NOT NULL)) ORDER BY give_up_at LIMIT $3",
        &[hour.into(), now.into(), i64::from(limit).into()],
    )?;
    rows.iter().map(|row| row.id(0)).collect()
}

/// Gives these up, those of them that still wait.
pub fn give_up(tx: &mut Tx<'_>, ids: &[Id]) -> Result<()> {
    ids.iter().try_for_each(|id| {
        tx.run(
            "UPDATE webhook_deliveries SET state = 'failed' WHERE id = $1 AND state = 'waiting'",
            &[id.into()],
        )
    })
}

/// What ended and is too old to be kept.
pub fn old(tx: &mut Tx<'_>, now: Time, limit: u32) -> Result<Vec<Id>> {
    let before = first_id_at(now.minus(KEPT));
    let rows = tx.query(
        "SELECT id FROM webhook_deliveries WHERE id < $1 AND state <> 'waiting' ORDER BY id LIMIT $2",
        &[before.into(), i64::from(limit).into()],
    )?;
    rows.iter().map(|row| row.id(0)).collect()
}

/// What is on record of an endpoint.
pub fn of_webhook(tx: &mut Tx<'_>, webhook: Id, limit: u32) -> Result<Vec<Id>> {
    let rows = tx.query(
        "SELECT id FROM webhook_deliveries WHERE webhook = $1 ORDER BY id LIMIT $2",
        &[webhook.into(), i64::from(limit).into()],
    )?;
    rows.iter().map(|row| row.id(0)).collect()
}

/// Removes these and their attempts.
pub fn forget(tx: &mut Tx<'_>, ids: &[Id]) -> Result<()> {
    ids.iter().try_for_each(|id| {
        tx.run("DELETE FROM webhook_attempts WHERE delivery = $1", &[id.into()])?;
        tx.run("DELETE FROM webhook_deliveries WHERE id = $1", &[id.into()])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(attempts: i64, chance: u8) -> Delivery {
        let mut id = [0; 16];
        id[15] = chance;
        Delivery {
            id: Id::from_bytes(id),
            webhook: Id::from_bytes([1; 16]),
            event: String::new(),
            kind: String::new(),
            payload: String::new(),
            state: State::Waiting,
            attempts,
            before: 0,
            created_at: Time::EPOCH,
            due_at: Time::EPOCH,
            give_up_at: Time::EPOCH.plus(GIVE_UP),
        }
    }

    fn answered(status: Option<u16>) -> Answered {
        Answered {
            status,
            problem: String::new(),
            answer: String::new(),
            took: Duration::ZERO,
        }
    }

    #[test]
    fn only_a_2xx_delivers_and_only_a_410_ends_at_once() {
        for (status, state) in [
            (Some(200), State::Delivered),
            (Some(204), State::Delivered),
            (Some(299), State::Delivered),
            (Some(301), State::Waiting),
            (Some(400), State::Waiting),
            (Some(410), State::Failed),
            (Some(500), State::Waiting),
            (None, State::Waiting),
        ] {
            let next = next(&delivery(1, 0), &answered(status), Time::EPOCH);
            assert_eq!(next.state, state, "{status:?}");
        }
    }

    #[test]
    fn attempts_grow_apart_and_the_last_one_comes_when_a_day_is_over() {
        for chance in [0, 128, 255] {
            let (mut now, mut number, mut last) = (Time::EPOCH, 1, Duration::ZERO);
            loop {
                let next = next(&delivery(number, chance), &answered(Some(500)), now);
                if next.state == State::Failed {
                    break;
                }
                let gap = next.due_at.since(now);
                assert!(
                    gap >= last || next.due_at == Time::EPOCH.plus(GIVE_UP),
                    "{number}: {gap:?}"
                );
                (now, number, last) = (next.due_at, number + 1, gap * 4 / 5);
            }
            assert_eq!(now, Time::EPOCH.plus(GIVE_UP));
            assert!((11..=13).contains(&number), "{number} attempts");
        }
    }
}
