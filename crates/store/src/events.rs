//! The event log: what happened, appended in the transaction in which it happened, read in the order of commits.
//!
//! On SQLite one writer commits at a time, so the sequence number is that order. On PostgreSQL transactions overlap:
//! one that began early may commit late, with a lower number than one already read. There the order is that of the
//! transactions' own numbers, and only those below every transaction still running are shown, so nothing can appear
//! behind a cursor. The price: a long transaction anywhere in the PostgreSQL server holds the log back until it ends.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use mail::time::Time;

use crate::bell::Topic;
use crate::dialect::Engine;
use crate::error::Result;
use crate::ids::Id;
use crate::tx::Tx;
use crate::value::Row;

/// Something that happened. `data` is JSON that no statement looks into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    pub at: Time,
    pub account: Id,
    pub message: Option<Id>,
    /// The recipient's number within the message.
    pub ordinal: Option<i64>,
    pub kind: &'a str,
    pub data: &'a str,
}

/// An event as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// The cursor that stands behind this event.
    pub cursor: Cursor,
    pub at: Time,
    pub account: Id,
    pub message: Option<Id>,
    pub ordinal: Option<i64>,
    pub kind: String,
    pub data: String,
}

/// A place in the log, between two events. As a text (`12-345`) it goes to clients and comes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor {
    tx: i64,
    seq: i64,
}

impl Cursor {
    /// Before the first event.
    pub const START: Self = Self { tx: 0, seq: 0 };
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.tx, self.seq)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a place in the event log: expected two numbers like 0-345")]
pub struct NotACursor;

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let (tx, seq) = text.split_once('-').ok_or(NotACursor)?;
        let number = |text: &str| {
            let number = text.parse::<i64>().map_err(|_| NotACursor)?;
            if number < 0 { Err(NotACursor) } else { Ok(number) }
        };
        Ok(Self {
            tx: number(tx)?,
            seq: number(seq)?,
        })
    }
}

/// Appends an event and rings [`Topic::Events`].
pub fn append(tx: &mut Tx<'_>, event: &Event<'_>) -> Result<()> {
    tx.ring(Topic::Events);
    tx.run(
        "INSERT INTO events (at, account, message, ordinal, kind, data) VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            event.at.into(),
            event.account.into(),
            event.message.into(),
            event.ordinal.into(),
            event.kind.into(),
            event.data.into(),
        ],
    )
}

/// Up to `limit` events behind `cursor`, in the order of commits.
pub fn read_after(tx: &mut Tx<'_>, cursor: Cursor, limit: i64) -> Result<Vec<Logged>> {
    let sql = match tx.engine() {
        Engine::Sqlite => {
            "SELECT 0, seq, at, account, message, ordinal, kind, data FROM events \
             WHERE $1 = 0 AND seq > $2 ORDER BY seq LIMIT $3"
        }
        Engine::Postgres => {
            "SELECT tx, seq, at, account, message, ordinal, kind, data FROM events \
             WHERE (tx, seq) > ($1, $2) AND tx < pg_snapshot_xmin(pg_current_snapshot())::text::bigint \
             ORDER BY tx, seq LIMIT $3"
        }
    };
    let rows = tx.query(sql, &[cursor.tx.into(), cursor.seq.into(), limit.into()])?;
    rows.iter().map(logged).collect()
}

/// The cursor behind the last event that can be read now: where somebody starts who wants only what comes.
pub fn latest(tx: &mut Tx<'_>) -> Result<Cursor> {
    let sql = match tx.engine() {
        Engine::Sqlite => "SELECT 0, seq FROM events ORDER BY seq DESC LIMIT 1",
        Engine::Postgres => {
            "SELECT tx, seq FROM events WHERE tx < pg_snapshot_xmin(pg_current_snapshot())::text::bigint \
             ORDER BY tx DESC, seq DESC LIMIT 1"
        }
    };
    tx.query_opt(sql, &[])?
        .map_or(Ok(Cursor::START), |row| cursor(&row))
}

/// What happened to one message, in the order it happened.
pub fn of_message(tx: &mut Tx<'_>, message: Id, limit: i64) -> Result<Vec<Logged>> {
    let sql = match tx.engine() {
        Engine::Sqlite => {
            "SELECT 0, seq, at, account, message, ordinal, kind, data FROM events \
             WHERE message = $1 ORDER BY at, seq LIMIT $2"
        }
        Engine::Postgres => {
            "SELECT tx, seq, at, account, message, ordinal, kind, data FROM events \
             WHERE message = $1 ORDER BY at, seq LIMIT $2"
        }
    };
    let rows = tx.query(sql, &[message.into(), limit.into()])?;
    rows.iter().map(logged).collect()
}

/// Up to `limit` events of one account behind `cursor`, in the order of commits.
pub fn of_account(tx: &mut Tx<'_>, account: Id, cursor: Cursor, limit: i64) -> Result<Vec<Logged>> {
    let sql = match tx.engine() {
        Engine::Sqlite => {
            "SELECT 0, seq, at, account, message, ordinal, kind, data FROM events \
             WHERE account = $1 AND $2 = 0 AND seq > $3 ORDER BY seq LIMIT $4"
        }
        Engine::Postgres => {
            // In rows and not by what is equal, or the key may be walked past the events of everybody else; see [`crate::search::Stretch`].
            "SELECT tx, seq, at, account, message, ordinal, kind, data FROM events \
             WHERE (account, tx, seq) > ($1, $2, $3) AND account <= $1 \
             AND tx < pg_snapshot_xmin(pg_current_snapshot())::text::bigint ORDER BY account, tx, seq LIMIT $4"
        }
    };
    let values = [account.into(), cursor.tx.into(), cursor.seq.into(), limit.into()];
    tx.query(sql, &values)?.iter().map(logged).collect()
}

/// How far the times of events may stand out of the order of commits: clocks of nodes differ, and transactions take a while.
const SKEW: Duration = Duration::from_mins(5);

/// A place behind which everything stands that happened at `time` or later, and little that happened before.
pub fn place_at(tx: &mut Tx<'_>, time: Time) -> Result<Cursor> {
    let time = time.minus(SKEW);
    // The log is searched by halves: `at` has no index, and grows with the first column of the key.
    let (bounds, look) = match tx.engine() {
        Engine::Sqlite => (
            // Two look-ups in the key; both in one select would read all of it.
            "SELECT (SELECT min(seq) FROM events), (SELECT max(seq) FROM events)",
            "SELECT seq, at FROM events WHERE seq >= $1 ORDER BY seq LIMIT 1",
        ),
        Engine::Postgres => (
            "SELECT (SELECT min(tx) FROM events), (SELECT max(tx) FROM events)",
            "SELECT tx, at FROM events WHERE tx >= $1 ORDER BY tx, seq LIMIT 1",
        ),
    };
    let row = tx.query_opt(bounds, &[])?;
    let (Some(first), Some(last)) = (match row {
        Some(row) => (row.opt_int(0)?, row.opt_int(1)?),
        None => (None, None),
    }) else {
        return Ok(Cursor::START);
    };
    let (mut low, mut high) = (first, last + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        match tx.query_opt(look, &[middle.into()])? {
            // What a backup brought has the number 0, whenever it happened.
            Some(row) if row.int(0)? > 0 && row.time(1)? < time => low = row.int(0)? + 1,
            _ => high = middle,
        }
    }
    if low == first {
        return Ok(Cursor::START);
    }
    Ok(match tx.engine() {
        Engine::Sqlite => Cursor { tx: 0, seq: low - 1 },
        Engine::Postgres => Cursor {
            tx: low - 1,
            seq: i64::MAX,
        },
    })
}

/// Where a follower of the log begins that has never looked.
#[derive(Clone, Copy, Debug)]
pub enum Begin {
    /// With all that is on record.
    Oldest,
    /// With what comes.
    Newest,
    /// With what happened at this time or later. What lies before is passed over by one that has been away, too.
    Since(Time),
}

/// Puts `consumer` where it begins, unless it was here. Doing it twice changes nothing.
pub fn begin(tx: &mut Tx<'_>, consumer: &str, begin: Begin) -> Result<()> {
    let there = take_turn(tx, consumer)?;
    let place = match begin {
        Begin::Since(time) => place_at(tx, time)?,
        Begin::Newest if there.is_none() => latest(tx)?,
        Begin::Newest | Begin::Oldest => Cursor::START,
    };
    match there {
        Some(at) if at >= place => Ok(()),
        Some(_) => advance(tx, consumer, place),
        // Another node may begin at this moment: then it is there, and perhaps further by now.
        None => tx.run(
            "INSERT INTO cursors (consumer, tx, seq) VALUES ($1, $2, $3) ON CONFLICT (consumer) DO NOTHING",
            &[consumer.into(), place.tx.into(), place.seq.into()],
        ),
    }
}

/// Where `consumer` stands, and up to `limit` events behind it; none where it is still to [`begin`].
pub fn look(tx: &mut Tx<'_>, consumer: &str, limit: i64) -> Result<Option<(Cursor, Vec<Logged>)>> {
    let Some(from) = place_of(tx, consumer)? else {
        return Ok(None);
    };
    Ok(Some((from, read_after(tx, from, limit)?)))
}

/// Where `consumer` has come to; none when it never was here.
pub fn place_of(tx: &mut Tx<'_>, consumer: &str) -> Result<Option<Cursor>> {
    tx.query_opt(
        "SELECT tx, seq FROM cursors WHERE consumer = $1",
        &[consumer.into()],
    )?
    .map(|row| cursor(&row))
    .transpose()
}

/// The same, and whoever else moves this cursor waits until this transaction ends.
pub fn take_turn(tx: &mut Tx<'_>, consumer: &str) -> Result<Option<Cursor>> {
    tx.run(
        "UPDATE cursors SET seq = seq WHERE consumer = $1",
        &[consumer.into()],
    )?;
    place_of(tx, consumer)
}

/// Moves `consumer`'s cursor over what was looked at, in the transaction that holds the effect; false, and then there must be
/// no effect, where another node did so meanwhile.
pub fn advance_from(tx: &mut Tx<'_>, consumer: &str, from: Cursor, to: Cursor) -> Result<bool> {
    if take_turn(tx, consumer)? != Some(from) {
        return Ok(false);
    }
    advance(tx, consumer, to)?;
    Ok(true)
}

/// Moves `consumer`'s cursor, in the transaction that holds the effect of the events before it.
pub fn advance(tx: &mut Tx<'_>, consumer: &str, to: Cursor) -> Result<()> {
    tx.run(
        "INSERT INTO cursors (consumer, tx, seq) VALUES ($1, $2, $3) \
         ON CONFLICT (consumer) DO UPDATE SET tx = excluded.tx, seq = excluded.seq",
        &[consumer.into(), to.tx.into(), to.seq.into()],
    )
}

/// Forgets where `consumer` stood.
pub fn leave(tx: &mut Tx<'_>, consumer: &str) -> Result<()> {
    tx.run("DELETE FROM cursors WHERE consumer = $1", &[consumer.into()])
}

/// Forgets events from before `before`, at most `limit` in one go; returns how many. The newest event always stays,
/// so that a sequence number is never given twice.
pub fn prune(tx: &mut Tx<'_>, before: Time, limit: i64) -> Result<u64> {
    // Only the oldest are looked at: `at` has no index, and the log grows in the order of its key.
    let sql = match tx.engine() {
        Engine::Sqlite => {
            "DELETE FROM events WHERE seq IN (SELECT seq FROM (SELECT seq, at FROM events ORDER BY seq LIMIT $2) oldest \
             WHERE at < $1 AND seq < (SELECT max(seq) FROM events))"
        }
        // The key begins with the transaction: by its second column alone everything would be read.
        Engine::Postgres => {
            "DELETE FROM events WHERE (tx, seq) IN (SELECT tx, seq FROM \
             (SELECT tx, seq, at FROM events ORDER BY tx, seq LIMIT $2) oldest WHERE at < $1 AND (tx, seq) < \
             (SELECT tx, seq FROM events ORDER BY tx DESC, seq DESC LIMIT 1))"
        }
    };
    tx.execute(sql, &[before.into(), limit.into()])
}

/// Forgets what happened to one message, but for the newest event of all: see [`prune`].
pub fn forget(tx: &mut Tx<'_>, message: Id) -> Result<()> {
    let sql = match tx.engine() {
        Engine::Sqlite => "DELETE FROM events WHERE message = $1 AND seq < (SELECT max(seq) FROM events)",
        Engine::Postgres => {
            "DELETE FROM events WHERE message = $1 AND (tx, seq) < \
             (SELECT tx, seq FROM events ORDER BY tx DESC, seq DESC LIMIT 1)"
        }
    };
    tx.run(sql, &[message.into()])
}

fn logged(row: &Row) -> Result<Logged> {
    Ok(Logged {
        cursor: cursor(row)?,
        at: row.time(2)?,
        account: row.id(3)?,
        message: row.opt_id(4)?,
        ordinal: row.opt_int(5)?,
        kind: row.text(6)?,
        data: row.text(7)?,
    })
}

fn cursor(row: &Row) -> Result<Cursor> {
    Ok(Cursor {
        tx: row.int(0)?,
        seq: row.int(1)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_from_its_text() {
        let cursor = Cursor { tx: 12, seq: 345 };
        assert_eq!(cursor.to_string(), "12-345");
        assert_eq!("12-345".parse(), Ok(cursor));
        for wrong in ["", "12", "12-", "-1-2", "a-b", "1--2", "1-99999999999999999999"] {
            assert_eq!(wrong.parse::<Cursor>(), Err(NotACursor), "{wrong}");
        }
    }
}
