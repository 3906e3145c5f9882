//! Removing what was kept long enough, a little at a time.

use std::time::Duration;

use accounts::retention;
use mail::time::Time;
use store::{Id, Result, Tx, events};

use super::open;

/// Messages that get a new date for their content in one transaction.
const DATED: u32 = 200;
/// Accounts looked through in one go for messages that are old.
const ACCOUNTS: usize = 200;

const DAY: Duration = Duration::from_hours(24);

/// How long things are kept where an account did not choose otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Keeping {
    pub content: Duration,
    pub messages: Duration,
    /// How long delivery is tried: a recipient's end is that much behind the time when its message left.
    pub give_up: Duration,
}

impl Keeping {
    fn content_of(&self, own: retention::Retention) -> Duration {
        own.content.map_or(self.content, |days| DAY * days)
    }

    fn messages_of(&self, own: retention::Retention) -> Duration {
        own.messages.map_or(self.messages, |days| DAY * days)
    }
}

/// Removes up to `limit` bodies past their date that nobody waits for; says how many were looked at. A body that somebody still
/// waits for loses its date: it goes with the last recipient. What left later than was planned is kept for as much longer.
pub fn bodies(tx: &mut Tx<'_>, keeping: &Keeping, now: Time, limit: u32) -> Result<u64> {
    let due = tx.query(
        "SELECT message FROM bodies WHERE keep_until IS NOT NULL AND keep_until <= $1 ORDER BY keep_until LIMIT $2",
        &[now.into(), limit.into()],
    )?;
    for row in &due {
        let message = row.id(0)?;
        let until = content_until(tx, keeping, message)?;
        if let Some(until) = until.filter(|until| *until > now) {
            tx.run(
                "UPDATE bodies SET keep_until = $2 WHERE message = $1",
                &[message.into(), until.into()],
            )?;
        } else if is_waited_for(tx, message)? {
            tx.run(
                "UPDATE bodies SET keep_until = NULL WHERE message = $1",
                &[message.into()],
            )?;
        } else {
            tx.run("DELETE FROM bodies WHERE message = $1", &[message.into()])?;
        }
    }
    Ok(due.len() as u64)
}

/// Until when a message's content is kept, counted from when it left or leaves.
fn content_until(tx: &mut Tx<'_>, keeping: &Keeping, message: Id) -> Result<Option<Time>> {
    let row = tx.query_opt(
        "SELECT m.account, (SELECT MAX(r.expires_at) FROM recipients r WHERE r.message = m.id) FROM messages m WHERE m.id = $1",
        &[message.into()],
    )?;
    let Some(row) = row else { return Ok(None) };
    let Some(ends) = row.opt_time(1)? else {
        return Ok(None);
    };
    let own = retention::own(tx, row.id(0)?)?;
    Ok(Some(ends.minus(keeping.give_up).plus(keeping.content_of(own))))
}

/// Gives the stored content of an account that chose anew its new date, some messages at a time; true where there is more.
pub fn date_anew(tx: &mut Tx<'_>, keeping: &Keeping) -> Result<bool> {
    let Some(dating) = retention::dating(tx)? else {
        return Ok(false);
    };
    let page = tx.query(
        "SELECT id FROM messages WHERE account = $1 AND id > $2 ORDER BY id LIMIT $3",
        &[dating.account.into(), dating.behind.into(), DATED.into()],
    )?;
    let mut last = None;
    for row in &page {
        let message = row.id(0)?;
        last = Some(message);
        if let Some(until) = content_until(tx, keeping, message)? {
            // What has no date is waited for, or was never to be kept.
            tx.run(
                "UPDATE bodies SET keep_until = $2 WHERE message = $1 AND keep_until IS NOT NULL",
                &[message.into(), until.into()],
            )?;
        }
    }
    retention::dated(tx, &dating, last)?;
    Ok(true)
}

/// How far a look for old messages has come: in this account, behind this message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    account: Option<Id>,
    message: Option<Id>,
}

/// Messages that are old enough to be looked at, and where the next look begins; none: everything was looked through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Old {
    /// Each with the moment before which everything of it has to lie.
    pub messages: Vec<(Id, Time)>,
    pub next: Option<Place>,
}

/// Looks for up to `limit` messages that came in long enough ago for their account; reads only.
pub fn old(tx: &mut Tx<'_>, keeping: &Keeping, now: Time, from: Place, limit: u32) -> Result<Old> {
    let mut old = Old::default();
    let mut place = from;
    for _ in 0..ACCOUNTS {
        let account = match (place.account, place.message) {
            (Some(account), Some(_)) => account,
            (behind, _) => match account_behind(tx, behind)? {
                Some(account) => account,
                None => return Ok(old),
            },
        };
        let oldest = now.minus(keeping.messages_of(retention::own(tx, account)?));
        let room = u64::from(limit) - old.messages.len() as u64;
        // Identifiers sort by the time they were made.
        let page = tx.query(
            "SELECT id FROM messages WHERE account = $1 AND id > $2 AND id < $3 ORDER BY id LIMIT $4",
            &[
                account.into(),
                place.message.unwrap_or(first_id_at(Time::EPOCH)).into(),
                first_id_at(oldest).into(),
                (room as i64).into(),
            ],
        )?;
        for row in &page {
            old.messages.push((row.id(0)?, oldest));
        }
        let full = page.len() as u64 == room;
        place = Place {
            account: Some(account),
            message: old.messages.last().filter(|_| full).map(|(id, _)| *id),
        };
        if full {
            break;
        }
    }
    old.next = Some(place);
    Ok(old)
}

/// The first account behind this one that has messages: one step in an index, however many there are of them.
fn account_behind(tx: &mut Tx<'_>, behind: Option<Id>) -> Result<Option<Id>> {
    let behind = behind.unwrap_or(Id::from_bytes([0; 16]));
    let next = tx.query_opt(
        "SELECT account FROM messages WHERE account > $1 ORDER BY account LIMIT 1",
        &[behind.into()],
    )?;
    next.map(|row| row.id(0)).transpose()
}

/// Removes those of these messages that nobody waits for, and to which nothing has happened for long enough; says which.
pub fn remove_old(tx: &mut Tx<'_>, old: &[(Id, Time)]) -> Result<Vec<Id>> {
    let mut removed = Vec::new();
    for (message, oldest) in old {
        let young = tx.query_opt(
            // What was scheduled left long after it came in.
            "SELECT 1 FROM recipients WHERE message = $1 AND updated_at >= $2 LIMIT 1",
            &[(*message).into(), (*oldest).into()],
        )?;
        if young.is_none() && !is_waited_for(tx, *message)? {
            remove(tx, *message)?;
            removed.push(*message);
        }
    }
    Ok(removed)
}

fn remove(tx: &mut Tx<'_>, message: Id) -> Result<()> {
    for sql in [
        "DELETE FROM attempts WHERE message = $1",
        "DELETE FROM transcripts WHERE message = $1",
        "DELETE FROM recipients WHERE message = $1",
        "DELETE FROM bodies WHERE message = $1",
        "DELETE FROM messages WHERE id = $1",
    ] {
        tx.run(sql, &[message.into()])?;
    }
    events::forget(tx, message)
}

fn is_waited_for(tx: &mut Tx<'_>, message: Id) -> Result<bool> {
    let waiting = tx.query_opt(
        concat!(
            // What is held is given up first, so that somebody hears of it.
            "SELECT 1 FROM recipients WHERE message = $1 AND ",
            open!(),
            " LIMIT 1"
        ),
        &[message.into()],
    )?;
    Ok(waiting.is_some())
}

/// The least identifier that can have been made at `time`.
pub fn first_id_at(time: Time) -> Id {
    let milli = u64::try_from(time.as_micros() / 1000).unwrap_or(0);
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&milli.to_be_bytes()[2..]);
    Id::from_bytes(bytes)
}
