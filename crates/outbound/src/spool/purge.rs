//! Removing what was kept long enough, a little at a time.

use mail::time::Time;
use store::{Id, Result, Tx};

use super::open;

/// What one step removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    pub bodies: u64,
    pub messages: u64,
    /// Where the next step over the messages goes on; none when there is no more to look at.
    pub last: Option<Id>,
}

/// Removes up to `limit` bodies past their date that nobody waits for, and up to `limit` messages behind `after` that are
/// older than `oldest`. A body that somebody still waits for loses its date: it goes with the last recipient.
pub fn purge(tx: &mut Tx<'_>, now: Time, oldest: Time, after: Option<Id>, limit: u32) -> Result<Purged> {
    let mut purged = Purged::default();
    let due = tx.query(
        "SELECT message FROM bodies WHERE keep_until IS NOT NULL AND keep_until <= $1 ORDER BY keep_until LIMIT $2",
        &[now.into(), limit.into()],
    )?;
    for row in &due {
        let message = row.id(0)?;
        if is_waited_for(tx, message)? {
            tx.run(
                "UPDATE bodies SET keep_until = NULL WHERE message = $1",
                &[message.into()],
            )?;
        } else {
            tx.run("DELETE FROM bodies WHERE message = $1", &[message.into()])?;
            purged.bodies += 1;
        }
    }
    // Identifiers sort by the time they were made, so the oldest messages stand first.
    let old = tx.query(
        "SELECT id FROM messages WHERE id > $1 AND id < $2 ORDER BY id LIMIT $3",
        &[
            after.unwrap_or(first_id_at(Time::EPOCH)).into(),
            first_id_at(oldest).into(),
            limit.into(),
        ],
    )?;
    for row in &old {
        let message = row.id(0)?;
        purged.last = Some(message);
        if !is_waited_for(tx, message)? {
            remove(tx, message)?;
            purged.messages += 1;
        }
    }
    Ok(purged)
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
    Ok(())
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
