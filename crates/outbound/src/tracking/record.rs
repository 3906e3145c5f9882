//! Writing what was fetched: the reader's own row decides who is new, events tell it, counters add it up.

use std::collections::{BTreeMap, HashMap};

use mail::time::Time;
use mail::visitor::{self, Act, Around};
use store::events::{self, Event};
use store::{Id, Result, Tx};

use super::counts::{Count, Tally};
use super::journal::{Entry, News, Often};
use super::links;
use crate::model::RecipientKey;
use crate::spool::{self, Reached, first_id_at};

/// Events of what one recipient did that are written; what comes beyond is counted and no more told.
const MOST_LINES: i64 = 30;
/// The same of what machines did for one: a scanner that follows every link leaves room for who reads.
const MOST_LINES_OF_MACHINES: i64 = 10;

/// What is known of a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engaged {
    pub ordinal: u32,
    /// What machines fetched is not among these.
    pub opens: u64,
    pub opened_at: Option<Time>,
    pub clicks: u64,
    pub clicked_at: Option<Time>,
}

/// The readers of a message, by their numbers; whoever fetched nothing is not among them.
pub fn of_message(tx: &mut Tx<'_>, message: Id) -> Result<Vec<Engaged>> {
    tx.query(
        "SELECT ordinal, opens, opened_at, clicks, clicked_at FROM tracked_recipients WHERE message = $1 ORDER BY ordinal",
        &[message.into()],
    )?
    .iter()
    .map(|row| {
        Ok(Engaged {
            ordinal: row.int(0)? as u32,
            opens: row.int(1)? as u64,
            opened_at: row.opt_time(2)?,
            clicks: row.int(3)? as u64,
            clicked_at: row.opt_time(4)?,
        })
    })
    .collect()
}

/// Writes news of recipients, which stand in their order. What is about a message that is gone is dropped.
pub(super) fn write(tx: &mut Tx<'_>, news: &[News]) -> Result<()> {
    let keys: Vec<RecipientKey> = news.iter().map(|(key, _)| *key).collect();
    let reached: HashMap<RecipientKey, Reached> = spool::reached(tx, &keys)?
        .into_iter()
        .map(|one| (one.key, one))
        .collect();
    let targets = targets(tx, news)?;
    let mut tally = Tally::default();
    for (key, entries) in news {
        let Some(reached) = reached.get(key) else { continue };
        let judged = judged(entries, reached.since);
        let sums = Sums::of(&judged);
        let people = judged.iter().filter(|(_, _, why)| why.is_none()).count();
        let (row, mut told) = update(tx, *key, &sums, people as i64)?;
        count(&mut tally, (reached, &row), &judged, &sums);
        for (entry, often, why) in judged {
            if !told.take(why.is_some()) {
                continue;
            }
            let link = entry.link.map(usize::from);
            let of_message = targets.get(&key.0);
            let url = link.and_then(|link| of_message?.get(link));
            append(tx, reached, (entry, often, why), url.map(String::as_str))?;
        }
    }
    tally.write(tx)
}

/// Where the links of these messages lead.
fn targets(tx: &mut Tx<'_>, news: &[News]) -> Result<HashMap<Id, Vec<String>>> {
    let mut targets = HashMap::new();
    for ((message, _), entries) in news {
        let followed = entries.keys().any(|entry| entry.link.is_some());
        if followed && !targets.contains_key(message) {
            targets.insert(
                *message,
                links::read(tx, *message)?.map_or_else(Vec::new, |links| links.targets),
            );
        }
    }
    Ok(targets)
}

/// A request, how often it came, and why it was no person's.
type Judged<'a> = (&'a Entry, Often, Option<&'static str>);

/// In the order in which they came.
fn judged(entries: &BTreeMap<Entry, Often>, since: Option<Time>) -> Vec<Judged<'_>> {
    let mut links: Vec<u16> = entries.keys().filter_map(|entry| entry.link).collect();
    links.dedup();
    let mut judged: Vec<Judged<'_>> = entries
        .iter()
        .map(|(entry, often)| {
            let around = Around {
                act: entry.act,
                after: since.map(|since| often.first.since(since).as_secs()),
                links: links.len(),
            };
            let why = entry.why.or_else(|| visitor::machine_by_time(&around));
            (entry, *often, why)
        })
        .collect();
    judged.sort_by_key(|(_, often, _)| often.first);
    judged
}

/// What is added to a reader's row.
#[derive(Debug, Default)]
struct Sums {
    opens: u64,
    machine_opens: u64,
    opened_at: Option<Time>,
    clicks: u64,
    machine_clicks: u64,
    clicked_at: Option<Time>,
}

impl Sums {
    fn of(judged: &[Judged<'_>]) -> Self {
        let mut sums = Self::default();
        for (entry, often, why) in judged {
            let (people, machines, at) = match entry.act {
                Act::Open => (&mut sums.opens, &mut sums.machine_opens, &mut sums.opened_at),
                Act::Click => (&mut sums.clicks, &mut sums.machine_clicks, &mut sums.clicked_at),
            };
            if why.is_some() {
                *machines += often.count;
            } else {
                *people += often.count;
                at.get_or_insert(often.first);
            }
        }
        sums
    }
}

/// The row after the change: opens and clicks of people.
struct Row {
    opens: u64,
    clicks: u64,
}

/// What was told of a reader before.
struct Told {
    people: i64,
    machines: i64,
}

impl Told {
    /// Whether one more is told.
    fn take(&mut self, machine: bool) -> bool {
        let (before, most) = if machine {
            (&mut self.machines, MOST_LINES_OF_MACHINES)
        } else {
            (&mut self.people, MOST_LINES)
        };
        *before += 1;
        *before <= most
    }
}

/// Adds to the reader's row, and says what was told of it before.
fn update(tx: &mut Tx<'_>, (message, ordinal): RecipientKey, sums: &Sums, lines: i64) -> Result<(Row, Told)> {
    let row = tx.query_opt(
        "INSERT INTO tracked_recipients (message, ordinal, opens, machine_opens, opened_at, clicks, machine_clicks, \
         clicked_at, lines) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (message, ordinal) DO UPDATE SET \
         opens = tracked_recipients.opens + excluded.opens, \
         machine_opens = tracked_recipients.machine_opens + excluded.machine_opens, \
         opened_at = COALESCE(tracked_recipients.opened_at, excluded.opened_at), \
         clicks = tracked_recipients.clicks + excluded.clicks, \
         machine_clicks = tracked_recipients.machine_clicks + excluded.machine_clicks, \
         clicked_at = COALESCE(tracked_recipients.clicked_at, excluded.clicked_at), \
         lines = tracked_recipients.lines + excluded.lines RETURNING opens, clicks, lines, machine_opens + machine_clicks",
        &[
            message.into(),
            ordinal.into(),
            (sums.opens as i64).into(),
            (sums.machine_opens as i64).into(),
            sums.opened_at.into(),
            (sums.clicks as i64).into(),
            (sums.machine_clicks as i64).into(),
            sums.clicked_at.into(),
            lines.into(),
        ],
    )?;
    let row = row.ok_or_else(|| store::StoreError::other("note a reader", "the row says nothing"))?;
    let after = Row {
        opens: row.int(0)? as u64,
        clicks: row.int(1)? as u64,
    };
    let machines = (sums.machine_opens + sums.machine_clicks) as i64;
    let told = Told {
        people: row.int(2)? - lines,
        machines: row.int(3)? - machines,
    };
    Ok((after, told))
}

fn count(tally: &mut Tally, (reached, row): (&Reached, &Row), judged: &[Judged<'_>], sums: &Sums) {
    // Whoever did it for the first time did nothing before what is added now.
    let opener = sums.opens > 0 && row.opens == sums.opens;
    let clicker = sums.clicks > 0 && row.clicks == sums.clicks;
    let (mut new_opener, mut new_clicker) = (opener, clicker);
    for (entry, often, why) in judged {
        let mut add = Count::default();
        match (entry.act, why) {
            (Act::Open, Some(_)) => add.machine_opens = often.count,
            (Act::Click, Some(_)) => add.machine_clicks = often.count,
            (Act::Open, None) => {
                add.opens = often.count;
                add.openers = u64::from(std::mem::take(&mut new_opener));
            }
            (Act::Click, None) => {
                add.clicks = often.count;
                add.clickers = u64::from(std::mem::take(&mut new_clicker));
            }
        }
        tally.add(
            (reached.account, &reached.stream),
            (entry, often.first, why.is_some()),
            &add,
        );
    }
}

fn append(
    tx: &mut Tx<'_>,
    reached: &Reached,
    (entry, often, why): Judged<'_>,
    url: Option<&str>,
) -> Result<()> {
    let mut data = serde_json::json!({ "client": entry.client, "machine": why.is_some() });
    if let Some(why) = why {
        data["why"] = why.into();
    }
    if let Some(link) = entry.link {
        data["link"] = link.into();
        data["url"] = url.map(told).into();
    }
    if let Some(country) = &entry.country {
        data["country"] = country.as_str().into();
    }
    if often.count > 1 {
        data["count"] = often.count.into();
    }
    let (message, ordinal) = reached.key;
    events::append(
        tx,
        &Event {
            at: often.first,
            account: reached.account,
            message: Some(message),
            ordinal: Some(i64::from(ordinal)),
            kind: match entry.act {
                Act::Open => "opened",
                Act::Click => "clicked",
            },
            data: &data.to_string(),
        },
    )
}

/// An address without what may open something: a link to a new password is no news for everybody who reads along.
fn told(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// Forgets what the readers of a message did.
pub(super) fn forget(tx: &mut Tx<'_>, message: Id) -> Result<()> {
    tx.run(
        "DELETE FROM tracked_recipients WHERE message = $1",
        &[message.into()],
    )
}

pub(super) fn prune(tx: &mut Tx<'_>, oldest: Time, limit: u32) -> Result<u64> {
    // One message may have more recipients than a step removes; it is gone on with.
    tx.execute(
        "DELETE FROM tracked_recipients WHERE message IN \
         (SELECT message FROM tracked_recipients WHERE message < $1 ORDER BY message LIMIT $2)",
        &[first_id_at(oldest).into(), limit.into()],
    )
}
