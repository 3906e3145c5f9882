//! What recipients and messages are called outside, many at once.

use std::collections::HashMap;

use mail::time::Time;
use store::{Id, Result, Tx, Value};

use super::insert::tags_from_text;
use crate::model::{RecipientKey, State};

/// Looked up in one statement: its text is always the same, so that it is prepared once.
const STEP: usize = 40;

/// A message or one recipient of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub message: Id,
    pub ordinal: Option<i64>,
    pub message_id: String,
    pub stream: String,
    pub tags: Vec<String>,
    pub recipient: Option<String>,
}

/// Those of these recipients that are on record.
pub fn named_recipients(tx: &mut Tx<'_>, keys: &[(Id, i64)]) -> Result<Vec<Named>> {
    let either: Vec<String> = (0..STEP)
        .map(|n| format!("(r.message = ${} AND r.ordinal = ${})", 2 * n + 1, 2 * n + 2))
        .collect();
    let sql = format!(
        "SELECT r.message, r.ordinal, r.address, m.message_id, m.stream, m.tags FROM recipients r JOIN messages m ON m.id = r.message \
         WHERE {}",
        either.join(" OR ")
    );
    let mut named = Vec::with_capacity(keys.len());
    for step in keys.chunks(STEP) {
        let values: Vec<Value<'_>> = filled(step)
            .flat_map(|&(message, ordinal)| [message.into(), ordinal.into()])
            .collect();
        for row in tx.query(&sql, &values)? {
            named.push(Named {
                message: row.id(0)?,
                ordinal: row.opt_int(1)?,
                recipient: row.opt_text(2)?,
                message_id: row.text(3)?,
                stream: row.text(4)?,
                tags: tags_from_text(&row.text(5)?),
            });
        }
    }
    Ok(named)
}

/// Those of these messages that are on record.
pub fn named_messages(tx: &mut Tx<'_>, ids: &[Id]) -> Result<Vec<Named>> {
    let places: Vec<String> = (1..=STEP).map(|n| format!("${n}")).collect();
    let sql = format!(
        "SELECT id, message_id, stream, tags FROM messages WHERE id IN ({})",
        places.join(", ")
    );
    let mut named = Vec::with_capacity(ids.len());
    for step in ids.chunks(STEP) {
        let values: Vec<Value<'_>> = filled(step).map(Value::from).collect();
        for row in tx.query(&sql, &values)? {
            named.push(Named {
                message: row.id(0)?,
                ordinal: None,
                recipient: None,
                message_id: row.text(1)?,
                stream: row.text(2)?,
                tags: tags_from_text(&row.text(3)?),
            });
        }
    }
    Ok(named)
}

/// A recipient whose reader was heard of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    pub key: RecipientKey,
    pub account: Id,
    pub stream: String,
    /// Since when it stands in its state; none while its delivery is not recorded.
    pub since: Option<Time>,
}

/// Those of these recipients that are on record.
pub fn reached(tx: &mut Tx<'_>, keys: &[RecipientKey]) -> Result<Vec<Reached>> {
    let either: Vec<String> = (0..STEP)
        .map(|n| format!("(r.message = ${} AND r.ordinal = ${})", 2 * n + 1, 2 * n + 2))
        .collect();
    let sql = format!(
        "SELECT r.message, r.ordinal, r.account, m.stream, r.state, r.updated_at FROM recipients r \
         JOIN messages m ON m.id = r.message WHERE {}",
        either.join(" OR ")
    );
    let mut reached = Vec::with_capacity(keys.len());
    for step in keys.chunks(STEP) {
        let values: Vec<Value<'_>> = filled(step)
            .flat_map(|&(message, ordinal)| [message.into(), ordinal.into()])
            .collect();
        for row in tx.query(&sql, &values)? {
            let waits = State::parse(&row.text(4)?).is_some_and(State::is_waiting);
            reached.push(Reached {
                key: (row.id(0)?, row.int(1)? as u32),
                account: row.id(2)?,
                stream: row.text(3)?,
                since: if waits { None } else { Some(row.time(5)?) },
            });
        }
    }
    Ok(reached)
}

/// The address in the From header of those of these messages that are on record.
pub fn authors(tx: &mut Tx<'_>, ids: &[Id]) -> Result<HashMap<Id, String>> {
    let places: Vec<String> = (1..=STEP).map(|n| format!("${n}")).collect();
    let sql = format!(
        "SELECT id, header_from FROM messages WHERE id IN ({})",
        places.join(", ")
    );
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    let mut authors = HashMap::with_capacity(ids.len());
    for step in ids.chunks(STEP) {
        let values: Vec<Value<'_>> = filled(step).map(Value::from).collect();
        for row in tx.query(&sql, &values)? {
            authors.insert(row.id(0)?, row.text(1)?);
        }
    }
    Ok(authors)
}

/// As many as a statement asks for: the last one again and again.
fn filled<T>(step: &[T]) -> impl Iterator<Item = &T> {
    step.iter()
        .chain(std::iter::repeat(&step[step.len() - 1]))
        .take(STEP)
}
