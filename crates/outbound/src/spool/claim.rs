//! Taking waiting rows in hand, and giving them back.

use bytes::Bytes;
use mail::address::{Address, Domain};
use mail::notify::{Notify, Ret};
use mail::time::Time;
use store::events::{self, Event};
use store::{Id, Result, Row, StoreError, Tx};

use super::result::{in_turn, release_body};
use super::scheduled::{DueScheduled, hold_overdue, start_scheduled};
use super::waiting;
use crate::model::{Grip, JobRecipient, Message, RecipientKey, State, Unsubscribe, Wants};

/// A row taken in hand, with what its message says.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub message: Message,
    pub recipient: JobRecipient,
    pub state: State,
    /// Somebody asked for this attempt: trouble with its destination is to be forgotten.
    pub at_once: bool,
}

/// When a row is due that somebody asked to try at once: before any other, and known by it.
pub(super) const AT_ONCE: Time = Time::EPOCH;

const COLUMNS: &str = "r.message, r.ordinal, r.address, r.notify, r.orcpt, r.attempts, r.expires_at, r.state, \
     r.next_at, m.account, m.reverse_path, m.header_from, m.subject, m.ret, m.envid, m.size, m.recipients, m.created_at, \
     r.warned_at, m.stream, m.unsubscribe, m.track_opens, m.track_clicks";

/// Takes rows that are due and nobody's, the longest due first.
pub fn claim_due(tx: &mut Tx<'_>, node: Id, now: Time, limit: u64) -> Result<Vec<Claimed>> {
    let sql = format!(
        concat!(
            "SELECT {} FROM (SELECT * FROM recipients WHERE node IS NULL AND ",
            waiting!(),
            " AND next_at <= $1 ORDER BY next_at LIMIT $2{}) r JOIN messages m ON m.id = r.message ORDER BY r.next_at"
        ),
        COLUMNS,
        tx.skip_locked()
    );
    let rows = tx.query(&sql, &[now.into(), (limit as i64).into()])?;
    take(tx, (node, now), &rows)
}

/// One row with its message, wherever it stands; none when it is not there.
pub fn find(tx: &mut Tx<'_>, (message, ordinal): RecipientKey) -> Result<Option<Claimed>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM recipients r JOIN messages m ON m.id = r.message WHERE r.message = $1 AND r.ordinal = $2"
    );
    tx.query_opt(&sql, &[message.into(), ordinal.into()])?
        .as_ref()
        .map(read)
        .transpose()
}

/// Takes rows of one domain that had no attempt yet, the oldest first, due or not.
pub fn claim_domain(
    tx: &mut Tx<'_>,
    (node, now): (Id, Time),
    domain: &Domain,
    limit: u64,
) -> Result<Vec<Claimed>> {
    let sql = format!(
        concat!(
            "SELECT {} FROM (SELECT * FROM recipients WHERE node IS NULL AND state = 'queued' AND ",
            // Says nothing new, but SQLite finds a partial index by its own words only.
            waiting!(),
            " AND domain = $1 ORDER BY expires_at LIMIT $2{}) r ",
            "JOIN messages m ON m.id = r.message ORDER BY r.expires_at"
        ),
        COLUMNS,
        tx.skip_locked()
    );
    let rows = tx.query(&sql, &[domain.as_str().into(), (limit as i64).into()])?;
    take(tx, (node, now), &rows)
}

/// Takes rows that are held and whose time has run out; also returns those that cannot be read and were left alone.
pub fn claim_lapsed(
    tx: &mut Tx<'_>,
    node: Id,
    now: Time,
    limit: u64,
) -> Result<(Vec<Claimed>, Vec<RecipientKey>)> {
    let sql = format!(
        "SELECT {COLUMNS} FROM (SELECT * FROM recipients WHERE node IS NULL AND state = 'held' AND expires_at <= $1 \
         ORDER BY expires_at LIMIT $2{}) r JOIN messages m ON m.id = r.message ORDER BY r.expires_at",
        tx.skip_locked()
    );
    let rows = tx.query(&sql, &[now.into(), (limit as i64).into()])?;
    let (readable, broken): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| read(row).is_ok());
    let broken = broken
        .into_iter()
        .map(|row| Ok((row.id(0)?, row.int(1)? as u32)))
        .collect::<Result<_>>()?;
    Ok((take(tx, (node, now), readable)?, broken))
}

/// Scheduled rows whose time has come.
#[derive(Debug, Default)]
pub struct ClaimedScheduled {
    /// Taken in hand, each with the time that its sender chose.
    pub begun: Vec<(Claimed, Time)>,
    /// Held for a person to decide: their time came before `late`.
    pub held: Vec<DueScheduled>,
}

/// Takes scheduled rows that are due, the longest due first; those due before `late` are held until `decide_until`.
pub fn claim_scheduled(
    tx: &mut Tx<'_>,
    node: Id,
    (now, late, decide_until): (Time, Time, Time),
    limit: u64,
) -> Result<ClaimedScheduled> {
    let sql = format!(
        "SELECT {COLUMNS} FROM (SELECT * FROM recipients WHERE state = 'scheduled' AND next_at <= $1 \
         ORDER BY next_at LIMIT $2{}) r JOIN messages m ON m.id = r.message ORDER BY r.next_at",
        tx.skip_locked()
    );
    let mut claimed = ClaimedScheduled::default();
    for row in tx.query(&sql, &[now.into(), (limit as i64).into()])? {
        let at = row.time(8)?;
        if at < late {
            let due = DueScheduled {
                key: (row.id(0)?, row.int(1)? as u32),
                account: row.id(9)?,
                at,
            };
            hold_overdue(tx, due.key, decide_until, now)?;
            claimed.held.push(due);
            continue;
        }
        match read(&row) {
            Ok(one) => {
                start_scheduled(tx, (one.message.id, one.recipient.ordinal), node, now)?;
                claimed.begun.push((one, at));
            }
            Err(error) => set_aside(tx, &row, &error, now)?,
        }
    }
    Ok(claimed)
}

/// Gives up a held row that cannot be read; returns whose it was and why.
pub fn give_up(tx: &mut Tx<'_>, (message, ordinal): RecipientKey, now: Time) -> Result<Option<(Id, String)>> {
    in_turn(tx, message)?;
    let row = tx.query_opt(
        "SELECT account, reason FROM recipients WHERE message = $1 AND ordinal = $2 AND node IS NULL AND state = 'held'",
        &[message.into(), ordinal.into()],
    )?;
    let Some(row) = row else { return Ok(None) };
    let reason = format!("given up after {}", row.text(1)?);
    tx.run(
        "UPDATE recipients SET state = 'expired', reason = $3, updated_at = $4 WHERE message = $1 AND ordinal = $2",
        &[message.into(), ordinal.into(), reason.as_str().into(), now.into()],
    )?;
    release_body(tx, message, false)?;
    Ok(Some((row.id(0)?, reason)))
}

fn take<'a>(
    tx: &mut Tx<'_>,
    (node, now): (Id, Time),
    rows: impl IntoIterator<Item = &'a Row>,
) -> Result<Vec<Claimed>> {
    let mut taken = Vec::new();
    for row in rows {
        match read(row) {
            Ok(claimed) => {
                tx.run(
                    "UPDATE recipients SET node = $3 WHERE message = $1 AND ordinal = $2",
                    &[
                        claimed.message.id.into(),
                        claimed.recipient.ordinal.into(),
                        node.into(),
                    ],
                )?;
                taken.push(claimed);
            }
            Err(error) => set_aside(tx, row, &error, now)?,
        }
    }
    Ok(taken)
}

/// One row that cannot be read must not keep the others waiting: it is held for a person to look at.
fn set_aside(tx: &mut Tx<'_>, row: &Row, error: &StoreError, now: Time) -> Result<()> {
    let (message, ordinal) = (row.id(0)?, row.int(1)?);
    tracing::error!(id = %message, ordinal, %error, "a waiting recipient cannot be read and is held");
    let reason = format!("held: its row in the database cannot be read ({error})");
    tx.run(
        "UPDATE recipients SET state = 'held', reason = $3, updated_at = $4 WHERE message = $1 AND ordinal = $2",
        &[message.into(), ordinal.into(), reason.as_str().into(), now.into()],
    )?;
    let data = serde_json::json!({ "reason": reason }).to_string();
    events::append(
        tx,
        &Event {
            at: now,
            account: row.id(9)?,
            message: Some(message),
            ordinal: Some(ordinal),
            kind: State::Held.as_str(),
            data: &data,
        },
    )
}

fn read(row: &Row) -> Result<Claimed> {
    let reverse_path = row.text(10)?;
    let reverse_path = if reverse_path.is_empty() {
        None
    } else {
        Some(address(&reverse_path)?)
    };
    Ok(Claimed {
        recipient: JobRecipient {
            ordinal: row.int(1)? as u32,
            address: address(&row.text(2)?)?,
            notify: Notify::parse(&row.text(3)?),
            orcpt: row.opt_text(4)?,
            attempts: row.int(5)? as u32,
            expires_at: row.time(6)?,
            warned: row.opt_time(18)?.is_some(),
            grip: Grip::default(),
        },
        state: state(&row.text(7)?)?,
        at_once: row.time(8)? == AT_ONCE,
        message: Message {
            id: row.id(0)?,
            account: row.id(9)?,
            stream: row.text(19)?,
            reverse_path,
            header_from: row.text(11)?,
            subject: row.text(12)?,
            ret: row.opt_text(13)?.as_deref().and_then(Ret::parse),
            envid: row.opt_text(14)?,
            size: row.int(15)? as u64,
            recipients: row.int(16)? as u32,
            created_at: row.time(17)?,
            wants: Wants {
                unsubscribe: Unsubscribe::from_int(row.int(20)?),
                track_opens: row.bool(21)?,
                track_clicks: row.bool(22)?,
            },
        },
    })
}

fn address(text: &str) -> Result<Address> {
    Address::parse(text).map_err(|error| StoreError::other("read a stored address", error))
}

pub(super) fn state(text: &str) -> Result<State> {
    State::parse(text)
        .ok_or_else(|| StoreError::other("read a stored state", "it is none that this version knows"))
}

/// When there is something to do next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NextDue {
    /// For a row that waits, whoever's turn it is to take it.
    pub waiting: Option<Time>,
    /// For one that its sender scheduled.
    pub scheduled: Option<Time>,
}

pub fn first_due(tx: &mut Tx<'_>) -> Result<NextDue> {
    let row = tx.query_opt(
        concat!(
            "SELECT (SELECT MIN(next_at) FROM recipients WHERE node IS NULL AND ",
            waiting!(),
            "), (SELECT MIN(next_at) FROM recipients WHERE state = 'scheduled')"
        ),
        &[],
    )?;
    let Some(row) = row else {
        return Ok(NextDue::default());
    };
    Ok(NextDue {
        waiting: row.opt_time(0)?,
        scheduled: row.opt_time(1)?,
    })
}

/// Gives back everything a node has in hand.
pub fn free(tx: &mut Tx<'_>, node: Id) -> Result<u64> {
    tx.execute(
        "UPDATE recipients SET node = NULL WHERE node = $1",
        &[node.into()],
    )
}

/// Rows a node has in hand, `limit` of them behind `after`, in the order of their keys.
pub fn in_hand(
    tx: &mut Tx<'_>,
    node: Id,
    after: Option<RecipientKey>,
    limit: u64,
) -> Result<Vec<RecipientKey>> {
    let (message, ordinal) = after.map_or((Id::from_bytes([0; 16]), -1), |(message, ordinal)| {
        (message, i64::from(ordinal))
    });
    tx.query(
        "SELECT message, ordinal FROM recipients WHERE node = $1 AND (message, ordinal) > ($2, $3) \
         ORDER BY message, ordinal LIMIT $4",
        &[node.into(), message.into(), ordinal.into(), (limit as i64).into()],
    )?
    .iter()
    .map(|row| Ok((row.id(0)?, row.int(1)? as u32)))
    .collect()
}

/// Gives rows back that a node has in hand, to wait as they did before; says how many.
pub fn give_back(tx: &mut Tx<'_>, node: Id, rows: &[RecipientKey]) -> Result<u64> {
    let mut freed = 0;
    for (message, ordinal) in rows {
        freed += tx.execute(
            "UPDATE recipients SET node = NULL WHERE message = $1 AND ordinal = $2 AND node = $3",
            &[(*message).into(), (*ordinal).into(), node.into()],
        )?;
    }
    Ok(freed)
}

/// Which recipients of a message this node still has in hand.
pub fn leased(tx: &mut Tx<'_>, node: Id, message: Id) -> Result<Vec<u32>> {
    tx.query(
        "SELECT ordinal FROM recipients WHERE message = $1 AND node = $2",
        &[message.into(), node.into()],
    )?
    .iter()
    .map(|row| row.int(0).map(|ordinal| ordinal as u32))
    .collect()
}

/// Gives a row in hand back to wait in the database; never beyond its expiry.
pub fn wait(
    tx: &mut Tx<'_>,
    node: Id,
    (message, recipient): (Id, &JobRecipient),
    until: Time,
    reason: &str,
) -> Result<()> {
    tx.run(
        "UPDATE recipients SET node = NULL, next_at = $4, reason = $5 WHERE message = $1 AND ordinal = $2 AND node = $3",
        &[
            message.into(),
            recipient.ordinal.into(),
            node.into(),
            until.min(recipient.expires_at).into(),
            reason.into(),
        ],
    )
}

/// The stored message, when it is still there.
pub fn body(tx: &mut Tx<'_>, message: Id) -> Result<Option<Bytes>> {
    tx.query_opt("SELECT content FROM bodies WHERE message = $1", &[message.into()])?
        .map(|row| row.bytes(0))
        .transpose()
}
