//! What became of an account's mail, counted by day: behind the event log and in steps, so that neither accepting nor settling
//! pays for it, and no page counts rows.

mod provider;
mod table;

use std::collections::HashMap;
use std::time::Duration;

use mail::time::Time;
use serde_json::Value;
use store::events::{self, Begin, Cursor};
use store::{Db, Id, Result, Tx};

use crate::feed::{self, Told};
use crate::spool;

pub use table::{By, Counts, Item, Range, read};

/// The name of our place in the log.
const CONSUMER: &str = "statistics";
/// Events counted in one transaction.
const PAGE: i64 = 500;
/// How often the log is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// How long the counters of a day are kept.
const KEPT_DAYS: i64 = 400;
/// Counters removed in one go.
const FORGOTTEN: u32 = 1_000;
/// How often old counters are looked for.
const TIDY_EVERY: Duration = Duration::from_hours(1);

/// The events that are counted.
pub const KINDS: [&str; 11] = [
    "accepted",
    "delivered",
    "deferred",
    "bounced",
    "expired",
    "suppressed",
    "cancelled",
    "complained",
    "opened",
    "clicked",
    "unsubscribed",
];

/// One counter and what it grows by.
type Grown = HashMap<Key, u64>;

/// What is counted, of whom, on which day.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub account: Id,
    pub by: By,
    pub day: i64,
    pub name: String,
    pub kind: &'static str,
    /// Of what kind a bounce was; empty for everything else.
    pub class: String,
}

/// What a look at the log finds.
enum Seen {
    /// Nobody has looked yet.
    Never,
    Nothing,
    /// Between two places what is to be counted, and whether there may be more.
    Some(Cursor, Cursor, Grown, bool),
}

/// Counts until told to stop.
pub async fn keep(db: Db, clock: store::Clock, stop: impl Future<Output = ()>) {
    let mut stop = std::pin::pin!(stop);
    let mut tidied: Option<Time> = None;
    let mut failing = false;
    loop {
        let more = match count(&db).await {
            Ok(more) => {
                failing = false;
                more
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "what became of mail cannot be counted");
                }
                false
            }
        };
        let now = clock.now();
        if !more && tidied.is_none_or(|at| now.since(at) >= TIDY_EVERY) {
            tidied = Some(now);
            if let Err(error) = tidy(&db, now.day()).await {
                tracing::debug!(%error, "old counters were not tidied");
            }
        }
        let pause = if more { Duration::ZERO } else { EVERY };
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Counts what happened since the last look, by this node or another; true where there may be more. Idempotent.
pub async fn count(db: &Db) -> Result<bool> {
    if !db.has_room() {
        return Ok(false);
    }
    let seen = db
        .read("look at what became of mail", |tx| {
            let Some((from, page)) = events::look(tx, CONSUMER, PAGE)? else {
                return Ok(Seen::Never);
            };
            let Some(last) = page.last() else {
                return Ok(Seen::Nothing);
            };
            let (to, more) = (last.cursor, page.len() as i64 == PAGE);
            let accounts: HashMap<Cursor, Id> = page.iter().map(|one| (one.cursor, one.account)).collect();
            let page: Vec<_> = page
                .into_iter()
                .filter(|event| KINDS.contains(&event.kind.as_str()))
                .collect();
            let messages: Vec<Id> = page.iter().filter_map(|event| event.message).collect();
            let authors = spool::authors(tx, &messages)?;
            let messages: HashMap<Cursor, Option<Id>> =
                page.iter().map(|one| (one.cursor, one.message)).collect();
            let mut grown = Grown::new();
            for told in feed::tell(tx, page)? {
                let author = messages[&told.cursor].and_then(|id| authors.get(&id));
                add(
                    &mut grown,
                    accounts[&told.cursor],
                    &told,
                    author.map(String::as_str),
                );
            }
            Ok(Seen::Some(from, to, grown, more))
        })
        .await?;
    let (from, to, grown, more) = match seen {
        Seen::Some(from, to, grown, more) => (from, to, grown, more),
        Seen::Nothing => return Ok(false),
        Seen::Never => {
            db.write("begin to count what becomes of mail", |tx| {
                events::begin(tx, CONSUMER, Begin::Oldest)
            })
            .await?;
            return Ok(true);
        }
    };
    let mut grown: Vec<(Key, u64)> = grown.into_iter().collect();
    // Two nodes lock rows in one order.
    grown.sort();
    db.write("count what became of mail", move |tx| {
        write(tx, (from, to), &grown)
    })
    .await?;
    Ok(more)
}

/// Nothing, where another node did it meanwhile.
fn write(tx: &mut Tx<'_>, (from, to): (Cursor, Cursor), grown: &[(Key, u64)]) -> Result<()> {
    if !events::advance_from(tx, CONSUMER, from, to)? {
        return Ok(());
    }
    table::grow(tx, grown)
}

/// What one event adds to which counters.
fn add(grown: &mut Grown, account: Id, told: &Told, author: Option<&str>) {
    let Some(kind) = KINDS.into_iter().find(|kind| *kind == told.kind) else {
        return;
    };
    let text = |field: &str| told.data.get(field).and_then(Value::as_str);
    // Reports of ours to the account itself are no mail that it sent.
    let is_own = |field: &str| told.data.get(field) == Some(&Value::Bool(true));
    // What a machine fetches says nothing of a reader.
    if is_own("own")
        || told
            .data
            .get("machine")
            .is_some_and(|machine| *machine != Value::Bool(false))
    {
        return;
    }
    let many = match kind {
        "accepted" => told.data.get("recipients").and_then(Value::as_u64).unwrap_or(0),
        _ => 1,
    };
    let class = match kind {
        "bounced" => text("class").unwrap_or("unclassified"),
        _ => "",
    };
    let mut count = |by: By, name: &str| {
        let key = Key {
            account,
            by,
            day: told.at.day(),
            name: name.to_owned(),
            kind,
            class: class.to_owned(),
        };
        *grown.entry(key).or_default() += many;
    };
    count(By::Day, "");
    if let Some(stream) = text("stream") {
        count(By::Stream, stream);
    }
    if let Some(domain) = author.and_then(domain_of) {
        count(By::Domain, domain);
    }
    // Of a message as a whole nobody knows which provider.
    if let Some(recipient) = text("recipient").and_then(domain_of) {
        let provider = text("host").and_then(provider::of_host);
        count(By::Provider, provider.as_deref().unwrap_or(recipient));
    }
}

fn domain_of(address: &str) -> Option<&str> {
    address.rsplit_once('@').map(|(_, domain)| domain)
}

/// Folds the days that ended lately, and removes those that were kept long enough. Idempotent.
pub async fn tidy(db: &Db, today: i64) -> Result<()> {
    // What happens at the end of a day is counted a moment later, on another clock perhaps.
    for day in [today - 2, today - 1] {
        while db
            .write("fold the counters of a day", move |tx| table::fold(tx, day))
            .await?
        {}
    }
    forget(db, today - KEPT_DAYS).await
}

async fn forget(db: &Db, before: i64) -> Result<()> {
    loop {
        let removed = db
            .write("remove old counters", move |tx| {
                table::forget(tx, before, FORGOTTEN)
            })
            .await?;
        if removed == 0 {
            return Ok(());
        }
    }
}
