//! The local inbox: where mail lands that is not to leave, on the same way as all other mail.

use bytes::Bytes;
use mail::reply::Enhanced;
use mail::time::Time;
use store::search::{Conditions, containing};
use store::{Clock, Id, Result, Row, Tx};

use crate::model::{JobRecipient, Link, Message, Outcome, Parcel, Pending, Verdict};
use crate::spool::first_id_at;

/// One captured mail as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    pub id: Id,
    pub account: Id,
    pub message: Id,
    pub ordinal: u32,
    pub at: Time,
    pub reverse_path: String,
    pub to: String,
    pub from: String,
    pub subject: String,
    pub size: u64,
}

/// Which captured mails a list shows, the newest first.
#[derive(Clone, Debug, Default)]
pub struct InboxFilter {
    /// Only this account's; none is everybody's.
    pub account: Option<Id>,
    /// Part of a recipient, sender or subject, in any case.
    pub text: Option<String>,
    /// Only what is older than this one.
    pub after: Option<Id>,
    pub limit: u32,
}

const COLUMNS: &str = "id, account, message, ordinal, at, reverse_path, address, header_from, subject, size";

/// Puts a delivered message into the inbox, in the transaction that settles it.
pub(crate) fn insert(
    tx: &mut Tx<'_>,
    id: Id,
    message: &Message,
    recipient: &JobRecipient,
    (content, at): (&Bytes, Time),
) -> Result<()> {
    let reverse_path = message
        .reverse_path
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    tx.run(
        "INSERT INTO captured (id, account, message, ordinal, at, reverse_path, address, header_from, subject, size, \
         content) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        &[
            id.into(),
            message.account.into(),
            message.id.into(),
            recipient.ordinal.into(),
            at.into(),
            (&reverse_path).into(),
            (&recipient.address.to_string()).into(),
            (&message.header_from).into(),
            (&message.subject).into(),
            (content.len() as i64).into(),
            content.into(),
        ],
    )
}

pub fn list(tx: &mut Tx<'_>, filter: &InboxFilter) -> Result<Vec<Captured>> {
    let pattern = filter.text.as_deref().map(containing);
    let mut conditions = Conditions::default();
    conditions.add("account = $", filter.account);
    conditions.add("id < $", filter.after);
    conditions.add(
        "(lower(address) LIKE $ ESCAPE '\\' OR lower(header_from) LIKE $ ESCAPE '\\' OR lower(subject) LIKE $ ESCAPE '\\')",
        pattern.as_deref(),
    );
    let sql = format!(
        "SELECT {COLUMNS} FROM captured{} ORDER BY id DESC LIMIT {}",
        conditions.sql(),
        filter.limit
    );
    tx.query(&sql, conditions.values())?.iter().map(read).collect()
}

/// One captured mail; none when it is not there or another account's.
pub fn find(tx: &mut Tx<'_>, account: Option<Id>, id: Id) -> Result<Option<Captured>> {
    let mut conditions = Conditions::default();
    conditions.add("id = $", Some(id));
    conditions.add("account = $", account);
    let row = tx.query_opt(
        &format!("SELECT {COLUMNS} FROM captured{}", conditions.sql()),
        conditions.values(),
    )?;
    row.as_ref().map(read).transpose()
}

/// What a captured mail holds.
pub fn content(tx: &mut Tx<'_>, id: Id) -> Result<Option<Bytes>> {
    let row = tx.query_opt("SELECT content FROM captured WHERE id = $1", &[id.into()])?;
    row.map(|row| row.bytes(0)).transpose()
}

/// Empties the inbox of an account, or all.
pub fn clear(tx: &mut Tx<'_>, account: Option<Id>) -> Result<u64> {
    let mut conditions = Conditions::default();
    conditions.add("account = $", account);
    tx.execute(
        &format!("DELETE FROM captured{}", conditions.sql()),
        conditions.values(),
    )
}

/// Removes up to `limit` mails older than `oldest`.
pub(crate) fn purge(tx: &mut Tx<'_>, oldest: Time, limit: u32) -> Result<u64> {
    tx.execute(
        "DELETE FROM captured WHERE id IN (SELECT id FROM captured WHERE id < $1 ORDER BY id LIMIT $2)",
        &[first_id_at(oldest).into(), limit.into()],
    )
}

/// The accounts with more than so many mails or octets, of those that got something since then: a sandbox credential costs nothing,
/// and shall not fill the disk. No more of an account is looked at than it may have.
pub(crate) fn crowded(tx: &mut Tx<'_>, since: Option<Time>, (most, octets): (u64, u64)) -> Result<Vec<Id>> {
    let since = since.map_or(Id::from_bytes([0; 16]), first_id_at);
    let recent = tx.query(
        "SELECT DISTINCT account FROM captured WHERE id >= $1",
        &[since.into()],
    )?;
    let mut crowded = Vec::new();
    for row in recent {
        let account = row.id(0)?;
        let beyond = tx.query_opt(
            "SELECT id FROM captured WHERE account = $1 ORDER BY id DESC LIMIT 1 OFFSET $2",
            &[account.into(), (most as i64).into()],
        )?;
        // PostgreSQL adds up into a type of its own.
        let heavy = "SELECT CAST(SUM(size) AS BIGINT) FROM captured WHERE account = $1";
        let is_heavy = |row: Option<Row>| -> Result<bool> {
            Ok(row.map_or(Ok(None), |row| row.opt_int(0))?.unwrap_or(0) > octets as i64)
        };
        if beyond.is_some() || is_heavy(tx.query_opt(heavy, &[account.into()])?)? {
            crowded.push(account);
        }
    }
    Ok(crowded)
}

/// Removes up to `limit` mails of an account that go beyond so many of it, or so many octets: the oldest.
pub(crate) fn thin_out(tx: &mut Tx<'_>, account: Id, (most, octets): (u64, u64), limit: u32) -> Result<u64> {
    let beyond = tx.execute(
        "DELETE FROM captured WHERE id IN (SELECT id FROM captured WHERE account = $1 ORDER BY id DESC \
         LIMIT $3 OFFSET $2)",
        &[account.into(), (most as i64).into(), limit.into()],
    )?;
    let heavy = tx.execute(
        "DELETE FROM captured WHERE id IN (SELECT id FROM \
         (SELECT id, CAST(SUM(size) OVER (ORDER BY id DESC) AS BIGINT) AS so_far FROM captured WHERE account = $1) \
         AS sized WHERE so_far > $2 ORDER BY id LIMIT $3)",
        &[account.into(), (octets as i64).into(), limit.into()],
    )?;
    Ok(beyond + heavy)
}

fn read(row: &Row) -> Result<Captured> {
    Ok(Captured {
        id: row.id(0)?,
        account: row.id(1)?,
        message: row.id(2)?,
        ordinal: row.int(3)? as u32,
        at: row.time(4)?,
        reverse_path: row.text(5)?,
        to: row.text(6)?,
        from: row.text(7)?,
        subject: row.text(8)?,
        size: row.int(9)? as u64,
    })
}

/// The way into the inbox; what goes there is stored with its settlement.
#[derive(Debug)]
pub struct InboxLink {
    clock: Clock,
}

impl InboxLink {
    pub fn new(clock: Clock) -> Self {
        Self { clock }
    }
}

impl Link for InboxLink {
    fn deliver<'a>(&'a mut self, parcel: &'a Parcel) -> Pending<'a, Vec<Outcome>> {
        let stored = Outcome {
            host: Some("inbox".to_owned()),
            ..Outcome::without_reply(
                Verdict::Delivered,
                Enhanced::new(2, 0, 0),
                "kept in the local inbox",
                self.clock.now(),
            )
        };
        let outcomes = vec![stored; parcel.recipients.len()];
        Box::pin(async { outcomes })
    }

    fn is_usable(&self) -> bool {
        true
    }

    fn close(self: Box<Self>) -> Pending<'static, ()> {
        Box::pin(async {})
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use store::both_engines;

    use super::*;

    const NOW: Time = Time::from_secs(1_796_000_000);
    const LIMITS: (u64, u64) = (3, 1_000);

    fn put(tx: &mut Tx<'_>, id: Id, account: Id, size: i64) -> Result<()> {
        tx.run(
            "INSERT INTO captured (id, account, message, ordinal, at, reverse_path, address, header_from, subject, size, \
             content) VALUES ($1, $2, $1, 0, 0, '', '', '', '', $3, $4)",
            &[id.into(), account.into(), size.into(), store::Value::Blob(b"")],
        )
    }

    both_engines! {
        async fn an_inbox_is_looked_at_when_something_came_and_its_newest_stay(test: TestDb) {
            let [many, heavy, calm] = [1, 2, 3].map(|n| Id::from_bytes([n; 16]));
            let ids = test.ids.clone();
            // Identifiers grow with time, each an hour after the one before.
            let id = |hours: u64| ids.next(NOW.minus(Duration::from_hours(hours)));
            let mut rows: Vec<(Id, Id, i64)> = (100..105).rev().map(|hours| (id(hours), calm, 1)).collect();
            rows.extend((0..5).rev().map(|hours| (id(hours), many, 1)));
            rows.extend([(id(0), heavy, 600), (id(0), heavy, 600)]);
            let filled = rows.clone();
            test.db
                .write("fill", move |tx| filled.iter().try_for_each(|&(id, account, size)| put(tx, id, account, size)))
                .await
                .unwrap();
            let crowded = async |since: Option<Time>| {
                let mut found = test.db.read("look", move |tx| crowded(tx, since, LIMITS)).await.unwrap();
                found.sort();
                found
            };
            assert_eq!(crowded(None).await, [many, heavy, calm]);
            assert_eq!(crowded(Some(NOW.minus(Duration::from_hours(50)))).await, [many, heavy]);
            assert!(crowded(Some(NOW.plus(Duration::from_secs(1)))).await.is_empty());
            for account in [many, heavy] {
                while test.db.write("thin out", move |tx| thin_out(tx, account, LIMITS, 1)).await.unwrap() > 0 {}
            }
            let left = async |account: Id| {
                let filter = InboxFilter { account: Some(account), limit: 10, ..InboxFilter::default() };
                let left = test.db.read("list", move |tx| list(tx, &filter)).await.unwrap();
                left.into_iter().map(|mail| mail.id).collect::<Vec<_>>()
            };
            let newest = |account: Id, many: usize| -> Vec<Id> {
                let mut own: Vec<Id> = rows.iter().filter(|row| row.1 == account).map(|row| row.0).collect();
                own.sort();
                own.into_iter().rev().take(many).collect()
            };
            assert_eq!(left(many).await, newest(many, 3));
            assert_eq!(left(heavy).await, newest(heavy, 1));
            assert_eq!(crowded(None).await, [calm]);
        }
    }
}
