//! The event log as its accounts are told it, by the API and by webhooks: one shape for both.

use std::collections::{HashMap, HashSet};

use mail::time::Time;
use serde_json::{Map, Value, json};
use store::events::{self, Cursor, Logged};
use store::{Id, Result, Tx};

use crate::spool::{self, Named};

/// What events there are, as the log spells them.
pub const KINDS: [&str; 15] = [
    "accepted",
    "scheduled",
    "queued",
    "deferred",
    "delivered",
    "bounced",
    "expired",
    "suppressed",
    "held",
    "cancelled",
    "complained",
    "opened",
    "clicked",
    "unsubscribed",
    "resubscribed",
];

/// Events looked at in one transaction.
const STEP: i64 = 500;
/// Events looked at for one page: a filter that lets little through makes short pages rather than slow ones.
const MOST: usize = 5_000;

/// One event, told.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub cursor: Cursor,
    pub kind: String,
    pub at: Time,
    /// The fields of the event itself, and what it happened to.
    pub data: Map<String, Value>,
}

impl Told {
    /// Its identifier, the same wherever the event is told.
    pub fn id(&self) -> String {
        self.cursor.to_string()
    }

    /// The body of a webhook.
    pub fn payload(&self) -> String {
        json!({ "type": self.kind, "timestamp": self.at.rfc3339(), "data": self.data }).to_string()
    }
}

/// Which events are asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub account: Id,
    /// None is all.
    pub kinds: Vec<String>,
    pub stream: Option<String>,
    pub message: Option<Id>,
    pub since: Option<Time>,
    pub until: Option<Time>,
    pub after: Option<Cursor>,
    pub limit: usize,
}

/// A part of the log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    pub events: Vec<Told>,
    /// Everything up to here was looked at.
    pub cursor: Option<Cursor>,
    /// Whether there may be more behind it now.
    pub more: bool,
}

/// Reads on from a place in the log, as far as is looked at in one go.
pub fn read(tx: &mut Tx<'_>, wanted: &Wanted) -> Result<Page> {
    // A page behind another begins there; what is too old on it is left out as it is read.
    let start = match (wanted.after, wanted.since) {
        (Some(after), _) => after,
        (None, Some(since)) => events::place_at(tx, since)?,
        (None, None) => Cursor::START,
    };
    let mut page = Page {
        cursor: wanted.after,
        ..Page::default()
    };
    let mut from = start;
    let mut looked_at = 0;
    loop {
        let step = match wanted.message {
            // The events of one message are few.
            Some(message) => of_message(tx, wanted.account, message, from)?,
            None => events::of_account(tx, wanted.account, from, STEP)?,
        };
        let full = wanted.message.is_none() && step.len() as i64 == STEP;
        looked_at += step.len();
        let end = step.last().map(|event| event.cursor);
        let mut step: Vec<Logged> = step.into_iter().filter(|event| wanted.may_hold(event)).collect();
        if wanted.stream.is_none() {
            // One more than fits says that there is more.
            step.truncate(wanted.limit - page.events.len() + 1);
        }
        for told in tell(tx, step)? {
            if page.events.len() == wanted.limit {
                page.more = true;
                return Ok(page);
            }
            page.cursor = Some(told.cursor);
            if wanted.holds(&told) {
                page.events.push(told);
            }
        }
        page.cursor = end.or(page.cursor);
        from = end.unwrap_or(from);
        if !full || looked_at >= MOST {
            page.more = full;
            return Ok(page);
        }
    }
}

fn of_message(tx: &mut Tx<'_>, account: Id, message: Id, from: Cursor) -> Result<Vec<Logged>> {
    let mut events = events::of_message(tx, message, MOST as i64)?;
    events.retain(|event| event.account == account && event.cursor > from);
    events.sort_by_key(|event| event.cursor);
    Ok(events)
}

impl Wanted {
    /// What the event itself tells.
    fn may_hold(&self, event: &Logged) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&event.kind))
            && self.since.is_none_or(|since| event.at >= since)
            && self.until.is_none_or(|until| event.at < until)
    }

    /// What is known once it is told.
    fn holds(&self, told: &Told) -> bool {
        let stream = told.data.get("stream").and_then(Value::as_str);
        self.stream.as_ref().is_none_or(|wanted| stream == Some(wanted))
    }
}

/// Adds to each event what it happened to: recipient, Message-ID, stream and tags, as long as these are on record.
pub fn tell(tx: &mut Tx<'_>, events: Vec<Logged>) -> Result<Vec<Told>> {
    let recipients: Vec<(Id, i64)> = events
        .iter()
        .filter_map(|event| Some((event.message?, event.ordinal?)))
        .collect::<HashSet<_>>()
        .into_iter()
        .collect();
    let whole: Vec<Id> = events
        .iter()
        .filter(|event| event.ordinal.is_none())
        .filter_map(|event| event.message)
        .collect::<HashSet<_>>()
        .into_iter()
        .collect();
    let mut named: HashMap<(Id, Option<i64>), Named> = HashMap::new();
    for one in spool::named_recipients(tx, &recipients)? {
        named.insert((one.message, one.ordinal), one);
    }
    for one in spool::named_messages(tx, &whole)? {
        named.insert((one.message, None), one);
    }
    Ok(events
        .into_iter()
        .map(|event| {
            let what = event.message.and_then(|id| named.get(&(id, event.ordinal)));
            told(event, what)
        })
        .collect())
}

fn told(event: Logged, what: Option<&Named>) -> Told {
    let mut data = Map::new();
    data.insert(
        "message".to_owned(),
        event.message.map(|id| id.to_string()).into(),
    );
    data.insert(
        "message_id".to_owned(),
        what.map(|one| one.message_id.clone()).into(),
    );
    data.insert("ordinal".to_owned(), event.ordinal.into());
    data.insert(
        "recipient".to_owned(),
        what.and_then(|one| one.recipient.clone()).into(),
    );
    if let Some(what) = what {
        data.insert("stream".to_owned(), what.stream.clone().into());
        data.insert("tags".to_owned(), what.tags.clone().into());
    }
    if let Ok(Value::Object(own)) = serde_json::from_str(&event.data) {
        data.extend(own);
    }
    Told {
        cursor: event.cursor,
        kind: event.kind,
        at: event.at,
        data,
    }
}
