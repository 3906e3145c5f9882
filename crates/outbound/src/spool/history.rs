//! What became of messages, for console and API: lists, one message's page, its source.

use bytes::Bytes;
use mail::reply::Enhanced;
use mail::time::Time;
use store::events::{self, Logged};
use store::{Id, Result, Row, Tx, Value};

use super::claim::state;
use super::purge::first_id_at;
use super::search::{Conditions, like};
use crate::model::{Origin, State};

/// Recipients a list names; the others are only counted.
const NAMED: i64 = 3;
/// Events of one message that its page shows.
const EVENTS: i64 = 2_000;

/// Which messages a list shows.
#[derive(Clone, Debug, Default)]
pub struct MessageFilter {
    /// Only this account's; none is everybody's.
    pub account: Option<Id>,
    /// Part of a subject, sender or recipient in any case, or a whole Message-ID.
    pub text: Option<String>,
    /// With a recipient in this state.
    pub state: Option<State>,
    pub since: Option<Time>,
    pub until: Option<Time>,
    pub oldest_first: bool,
    /// Only what comes behind this one in the order of the list.
    pub after: Option<Id>,
    pub limit: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageSummary {
    pub id: Id,
    pub account: Id,
    pub created_at: Time,
    pub from: String,
    pub subject: String,
    pub size: u64,
    pub recipient_count: u32,
    /// The first few addresses.
    pub recipients: Vec<String>,
    /// Recipients by state, only states that occur.
    pub states: Vec<(State, u64)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageDetail {
    pub summary: MessageSummary,
    pub login: Option<Id>,
    pub reverse_path: String,
    pub message_id: String,
    pub envid: Option<String>,
    pub origin: Origin,
    pub content_available: bool,
    /// None: as long as somebody waits for it.
    pub content_kept_until: Option<Time>,
    pub recipients: Vec<RecipientDetail>,
    pub events: Vec<Logged>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientDetail {
    pub ordinal: u32,
    pub address: String,
    pub state: State,
    pub reason: String,
    /// Whether a node has it in hand at this moment.
    pub in_hand: bool,
    /// When it is tried next; none unless it waits.
    pub next_at: Option<Time>,
    pub expires_at: Time,
    pub updated_at: Time,
    pub attempts: Vec<AttemptDetail>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptDetail {
    pub number: u32,
    pub at: Time,
    pub duration_micros: u64,
    pub outcome: String,
    pub code: Option<u16>,
    pub enhanced: Option<Enhanced>,
    pub reply: String,
    pub host: Option<String>,
    pub ip: Option<String>,
    pub tls: Option<String>,
}

const SUMMARY: &str = "m.id, m.account, m.created_at, m.header_from, m.subject, m.size, m.recipients";

pub fn list(tx: &mut Tx<'_>, filter: &MessageFilter) -> Result<Vec<MessageSummary>> {
    let pattern = filter.text.as_deref().map(like);
    let state = filter.state.map(State::as_str);
    let (since, until) = (filter.since.map(first_id_at), filter.until.map(first_id_at));
    let mut conditions = Conditions::default();
    conditions.add("m.account = $", filter.account);
    conditions.add("m.id >= $", since);
    conditions.add("m.id < $", until);
    conditions.add(
        if filter.oldest_first {
            "m.id > $"
        } else {
            "m.id < $"
        },
        filter.after,
    );
    conditions.add(
        "EXISTS (SELECT 1 FROM recipients r WHERE r.message = m.id AND r.state = $)",
        state,
    );
    if let (Some(pattern), Some(text)) = (&pattern, &filter.text) {
        conditions.add_two(
            "(lower(m.subject) LIKE $1 ESCAPE '\\' OR lower(m.header_from) LIKE $1 ESCAPE '\\' OR m.message_id = $2 \
             OR EXISTS (SELECT 1 FROM recipients r WHERE r.message = m.id AND lower(r.address) LIKE $1 ESCAPE '\\'))",
            pattern,
            text.trim().trim_start_matches('<').trim_end_matches('>'),
        );
    }
    let order = if filter.oldest_first { "ASC" } else { "DESC" };
    let sql = format!(
        "SELECT {SUMMARY} FROM messages m{} ORDER BY m.id {order} LIMIT {}",
        conditions.sql(),
        filter.limit
    );
    let rows = tx.query(&sql, conditions.values())?;
    rows.iter().map(|row| summary(tx, row)).collect()
}

fn summary(tx: &mut Tx<'_>, row: &Row) -> Result<MessageSummary> {
    let id = row.id(0)?;
    let named = tx.query(
        "SELECT address FROM recipients WHERE message = $1 ORDER BY ordinal LIMIT $2",
        &[id.into(), NAMED.into()],
    )?;
    let counted = tx.query(
        "SELECT state, COUNT(*) FROM recipients WHERE message = $1 GROUP BY state ORDER BY state",
        &[id.into()],
    )?;
    Ok(MessageSummary {
        id,
        account: row.id(1)?,
        created_at: row.time(2)?,
        from: row.text(3)?,
        subject: row.text(4)?,
        size: row.int(5)? as u64,
        recipient_count: row.int(6)? as u32,
        recipients: named.iter().map(|row| row.text(0)).collect::<Result<_>>()?,
        states: counted
            .iter()
            .map(|row| Ok((state(&row.text(0)?)?, row.int(1)? as u64)))
            .collect::<Result<_>>()?,
    })
}

/// One message with all that is known of it; none when it is not there or another account's.
pub fn detail(tx: &mut Tx<'_>, account: Option<Id>, id: Id) -> Result<Option<MessageDetail>> {
    let row = tx.query_opt(
        &format!(
            "SELECT {SUMMARY}, m.login, m.reverse_path, m.message_id, m.envid, m.origin FROM messages m WHERE m.id = $1"
        ),
        &[id.into()],
    )?;
    let Some(row) = row else { return Ok(None) };
    let summary = summary(tx, &row)?;
    if account.is_some_and(|account| account != summary.account) {
        return Ok(None);
    }
    let body = tx.query_opt("SELECT keep_until FROM bodies WHERE message = $1", &[id.into()])?;
    Ok(Some(MessageDetail {
        login: row.opt_id(7)?,
        reverse_path: row.text(8)?,
        message_id: row.text(9)?,
        envid: row.opt_text(10)?,
        // What an older version wrote and this one does not understand is shown as unknown.
        origin: serde_json::from_str(&row.text(11)?).unwrap_or_default(),
        content_available: body.is_some(),
        content_kept_until: body.map_or(Ok(None), |row| row.opt_time(0))?,
        recipients: recipients(tx, id)?,
        events: events::of_message(tx, id, EVENTS)?,
        summary,
    }))
}

fn recipients(tx: &mut Tx<'_>, message: Id) -> Result<Vec<RecipientDetail>> {
    let mut attempts = tx
        .query(
            "SELECT ordinal, number, at, duration, outcome, code, enhanced, reply, host, ip, tls FROM attempts \
             WHERE message = $1 ORDER BY ordinal, number",
            &[message.into()],
        )?
        .iter()
        .map(|row| Ok((row.int(0)?, attempt(row)?)))
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .peekable();
    let rows = tx.query(
        "SELECT ordinal, address, state, reason, node, next_at, expires_at, updated_at FROM recipients \
         WHERE message = $1 ORDER BY ordinal",
        &[message.into()],
    )?;
    rows.iter()
        .map(|row| {
            let ordinal = row.int(0)?;
            let state = state(&row.text(2)?)?;
            let mut own = Vec::new();
            while let Some((_, attempt)) = attempts.next_if(|(of, _)| *of <= ordinal) {
                own.push(attempt);
            }
            Ok(RecipientDetail {
                ordinal: ordinal as u32,
                address: row.text(1)?,
                state,
                reason: row.text(3)?,
                in_hand: row.opt_id(4)?.is_some(),
                next_at: state.is_waiting().then(|| row.time(5)).transpose()?,
                expires_at: row.time(6)?,
                updated_at: row.time(7)?,
                attempts: own,
            })
        })
        .collect()
}

fn attempt(row: &Row) -> Result<AttemptDetail> {
    Ok(AttemptDetail {
        number: row.int(1)? as u32,
        at: row.time(2)?,
        duration_micros: row.int(3)? as u64,
        outcome: row.text(4)?,
        code: row.opt_int(5)?.map(|code| code as u16),
        enhanced: row.opt_text(6)?.as_deref().and_then(Enhanced::parse),
        reply: row.text(7)?,
        host: row.opt_text(8)?,
        ip: row.opt_text(9)?,
        tls: row.opt_text(10)?,
    })
}

/// The message as it was stored; none when it is not there, not kept any more, or another account's.
pub fn source(tx: &mut Tx<'_>, account: Option<Id>, id: Id) -> Result<Option<Bytes>> {
    let mut conditions = Conditions::default();
    conditions.add("m.id = $", Some(id));
    conditions.add("m.account = $", account);
    let sql = format!(
        "SELECT b.content FROM messages m JOIN bodies b ON b.message = m.id{}",
        conditions.sql()
    );
    let values: &[Value<'_>] = conditions.values();
    tx.query_opt(&sql, values)?.map(|row| row.bytes(0)).transpose()
}

/// The account a message belongs to.
pub fn owner(tx: &mut Tx<'_>, id: Id) -> Result<Option<Id>> {
    tx.query_opt("SELECT account FROM messages WHERE id = $1", &[id.into()])?
        .map(|row| row.id(0))
        .transpose()
}
