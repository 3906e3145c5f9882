//! What became of messages, as console and API show it: lists, one message with all its attempts, its content.

use std::collections::BTreeMap;

use accounts::streams;
use bytes::Bytes;
use mail::address::Address;
use mail::bounce::Class;
use mail::time::Time;
use store::events::{self, Logged};
use store::search::{Conditions, Found, Stretch, containing, literal};
use store::{Id, Result, Row, StoreError, Tx};

use super::first_id_at;
use super::insert::tags_from_text;
use crate::model::{Origin, State, Unsubscribe, Wants};

/// Recipients that a list names before it says "and 12 more".
const NAMED: i64 = 3;
/// What the index of what failed holds, as it spells it: every state but these.
macro_rules! failed {
    ($column:literal) => {
        concat!(
            $column,
            " <> 'queued' AND ",
            $column,
            " <> 'scheduled' AND ",
            $column,
            " <> 'delivered'"
        )
    };
}
const FAILED: [State; 6] = [
    State::Deferred,
    State::Bounced,
    State::Suppressed,
    State::Cancelled,
    State::Expired,
    State::Held,
];
/// Events of one message that are shown; a message to many with many attempts has more than anybody reads.
const MOST_EVENTS: i64 = 2_000;

/// Which messages a list shows.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only this account's; none is everybody's.
    pub account: Option<Id>,
    /// Part of a recipient, sender, subject or Message-ID in any case, or the whole id of a message.
    pub text: Option<String>,
    /// Only messages with a recipient in this state.
    pub state: Option<State>,
    /// Only messages with a recipient whose last attempt came to this kind of bounce or deferral.
    pub class: Option<Class>,
    /// Only messages that went in this stream.
    pub stream: Option<String>,
    /// Only messages with this tag.
    pub tag: Option<String>,
    /// Accepted at this moment or later.
    pub since: Option<Time>,
    /// Accepted before this moment.
    pub until: Option<Time>,
    pub oldest_first: bool,
    pub limit: u32,
    /// The last message of the page before.
    pub after: Option<Id>,
}

/// A message as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    pub id: Id,
    pub account: Id,
    pub created_at: Time,
    /// The address in the From header.
    pub from: String,
    pub subject: String,
    pub stream: String,
    pub tags: Vec<String>,
    /// In octets.
    pub size: u64,
    pub recipient_count: u64,
    /// The first of them.
    pub recipients: Vec<String>,
    /// How many recipients are in each state.
    pub states: BTreeMap<String, u64>,
}

/// A message with everything that happened to it.
#[derive(Clone, Debug)]
pub struct Detail {
    pub summary: Summary,
    pub reverse_path: String,
    pub message_id: String,
    pub envid: Option<String>,
    pub origin: Origin,
    pub wants: Wants,
    pub content_available: bool,
    /// Until when the content stays once nobody waits for it any more.
    pub content_kept_until: Option<Time>,
    pub recipients: Vec<Recipient>,
    pub events: Vec<Logged>,
}

/// One recipient of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    pub ordinal: u32,
    pub address: String,
    pub state: String,
    pub reason: String,
    /// What kind of bounce or deferral the last attempt came to.
    pub class: Option<String>,
    pub attempts: Vec<Attempt>,
    /// When it is tried next, while it waits.
    pub next_at: Option<Time>,
    pub expires_at: Time,
    /// Whether some node is working on it at this moment.
    pub in_hand: bool,
    pub updated_at: Time,
}

/// One attempt at one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub number: u32,
    pub at: Time,
    pub duration_ms: u64,
    pub outcome: String,
    pub code: Option<u16>,
    pub enhanced: Option<String>,
    pub reply: String,
    pub host: Option<String>,
    pub ip: Option<String>,
    pub tls: Option<String>,
}

const COLUMNS: &str =
    "m.id, m.account, m.created_at, m.header_from, m.subject, m.size, m.recipients, m.stream, m.tags";

/// A page of messages, by the time they were accepted. What no index answers is looked for among a bounded number of messages, and
/// the answer says how far.
pub fn list(tx: &mut Tx<'_>, filter: &Filter) -> Result<Found<Summary>> {
    let text = filter
        .text
        .as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty());
    let exact = text.and_then(|text| text.parse::<Id>().ok());
    let text = text.filter(|_| exact.is_none());
    let recipient = match (filter.account, text) {
        (Some(account), Some(text)) => known_recipient(tx, account, text)?,
        _ => None,
    };
    let wanted = Wanted {
        filter,
        exact,
        recipient: recipient.as_deref(),
        pattern: text.filter(|_| recipient.is_none()).map(containing),
        tag: filter
            .tag
            .as_deref()
            .map(|tag| tag.trim().to_lowercase())
            .filter(|tag| !tag.is_empty())
            .map(|tag| containing_tag(&tag)),
    };
    if let Some(state) = wanted.nothing_but_waiting() {
        return waiting(tx, state, filter).map(Found::all);
    }
    let (source, answered) = wanted.source();
    let stretch = wanted.stretch(&source);
    if answered {
        return look(tx, &wanted, (&source, &stretch), filter.limit).map(Found::all);
    }
    stretch.search(tx, filter.limit, |tx, many| {
        look(tx, &wanted, (&source, &stretch), many)
    })
}

/// A page of what is wanted of the first rows of a stretch.
fn look(
    tx: &mut Tx<'_>,
    wanted: &Wanted<'_>,
    (source, stretch): (&Source<'_>, &Stretch<'_>),
    many: u32,
) -> Result<Vec<Summary>> {
    let filter = wanted.filter;
    let (from, mut conditions) = if source.is_of_recipients() {
        // Nothing but what the index holds, so that only the index is read.
        let (part, mut conditions) = stretch.first(&stretch.columns(), many);
        let found = format!("m.id IN (SELECT r.message FROM {part}{})", conditions.sql());
        conditions.begin_anew();
        conditions.demand(&found);
        ("messages m".to_owned(), conditions)
    } else {
        stretch.first(&format!("{COLUMNS}, m.message_id"), many)
    };
    wanted.narrow(source, &mut conditions);
    let sql = format!(
        "SELECT {COLUMNS} FROM {from}{}{} LIMIT {}",
        conditions.sql(),
        stretch.order("m.id"),
        filter.limit
    );
    let rows = tx.query(&sql, conditions.values())?;
    rows.iter().map(|row| summary(tx, row)).collect()
}

/// Everybody's messages with a recipient in a state that waits. The indexes of what waits hold nothing else, so that finding that nothing
/// does takes no look at all that ever went.
fn waiting(tx: &mut Tx<'_>, state: State, filter: &Filter) -> Result<Vec<Summary>> {
    let name = state.as_str();
    let places = if state.is_waiting() {
        vec![
            format!("r.node IS NULL AND r.state IN ('queued', 'deferred') AND r.state || '' = '{name}'"),
            format!("r.node IS NOT NULL AND r.state || '' = '{name}'"),
        ]
    } else {
        vec![format!("r.state = '{name}'")]
    };
    let order = if filter.oldest_first { "ASC" } else { "DESC" };
    // Behind, and between: the first and the last that there can be where nobody says. In words that no index answers, as a planner
    // that does not know them takes both ends for few rows, and reads all that ever went by its key.
    let (first, last) = (Id::from_bytes([0; 16]), Id::from_bytes([0xff; 16]));
    let since = filter.since.map_or(first, first_id_at);
    let until = filter.until.map_or(last, first_id_at);
    let (behind, before) = match filter.after {
        Some(after) if filter.oldest_first => (after, last),
        Some(after) => (first, after),
        None => (first, last),
    };
    let places: Vec<String> = places
        .iter()
        .map(|place| {
            format!("SELECT COALESCE(r.message, r.message) AS message FROM recipients r WHERE {place}")
        })
        .collect();
    let rows = tx.query(
        &format!(
            "SELECT {COLUMNS} FROM (SELECT message FROM ({}) one WHERE message >= $1 AND message < $2 AND message > $3 AND message < $4 \
             GROUP BY message ORDER BY message {order} LIMIT $5) w JOIN messages m ON m.id = w.message ORDER BY m.id {order}",
            places.join(" UNION ALL ")
        ),
        &[since.into(), until.into(), behind.into(), before.into(), filter.limit.into()],
    )?;
    rows.iter().map(|row| summary(tx, row)).collect()
}

/// What a search wants, with its text understood.
struct Wanted<'a> {
    filter: &'a Filter,
    exact: Option<Id>,
    recipient: Option<&'a str>,
    pattern: Option<String>,
    tag: Option<String>,
}

/// The index that a search is read from.
enum Source<'a> {
    /// In the order of time, everybody's.
    All,
    Messages(Id),
    /// Those with a tag, in the order of time.
    Tagged(Id),
    Stream(Id, &'a str),
    /// Messages by what is known of a recipient.
    Address(Id, &'a str),
    Class(Id, &'a str),
    Failed(Id, &'a str),
}

impl Source<'_> {
    const fn is_of_recipients(&self) -> bool {
        matches!(self, Self::Address(..) | Self::Class(..) | Self::Failed(..))
    }
}

impl<'a> Wanted<'a> {
    /// Where everybody's mail that waits is asked for, and nothing else.
    fn nothing_but_waiting(&self) -> Option<State> {
        let filter = self.filter;
        let more = filter.account.is_some()
            || self.exact.is_some()
            || self.pattern.is_some()
            || self.tag.is_some()
            || filter.class.is_some()
            || filter.stream.is_some();
        let waits = |state: &State| state.is_waiting() || matches!(state, State::Held | State::Scheduled);
        filter.state.filter(|state| waits(state) && !more)
    }

    /// The index that leaves the least to be looked through, and whether nothing is asked for but what it knows.
    fn source(&self) -> (Source<'a>, bool) {
        let filter = self.filter;
        let asked = [
            self.recipient.is_some(),
            self.pattern.is_some(),
            self.tag.is_some(),
            filter.class.is_some(),
            filter.state.is_some(),
            filter.stream.is_some(),
        ];
        let asked = asked.into_iter().filter(|asked| *asked).count();
        let Some(account) = filter.account else {
            return (Source::All, asked == 0);
        };
        // One message has as many rows as recipients, so a page of rows need not be one of messages.
        if let Some(address) = self.recipient {
            return (Source::Address(account, address), false);
        }
        if let Some(class) = filter.class {
            return (Source::Class(account, class.as_str()), false);
        }
        if let Some(state) = filter.state.filter(|state| FAILED.contains(state)) {
            return (Source::Failed(account, state.as_str()), false);
        }
        // The index knows that there are tags, and not which.
        if self.tag.is_some() {
            return (Source::Tagged(account), false);
        }
        match filter.stream.as_deref() {
            Some(stream) if stream != streams::DEFAULT => (Source::Stream(account, stream), asked == 1),
            _ => (Source::Messages(account), asked == 0),
        }
    }

    /// The part of the index between the times and behind the page that the search names.
    fn stretch(&self, source: &Source<'a>) -> Stretch<'a> {
        let stretch = match *source {
            Source::All => Stretch::new("messages m", &["m.id"], Vec::new()),
            Source::Messages(account) => {
                Stretch::new("messages m", &["m.account", "m.id"], vec![account.into()])
            }
            Source::Tagged(account) => {
                Stretch::new("messages m", &["m.account", "m.id"], vec![account.into()])
                    .in_words("m.tags <> ''")
            }
            Source::Stream(account, stream) => {
                let place = vec![account.into(), stream.into()];
                Stretch::new("messages m", &["m.account", "m.stream", "m.id"], place)
                    .in_words("m.stream <> 'transactional'")
            }
            Source::Address(account, address) => {
                let place = vec![account.into(), address.into()];
                Stretch::new("recipients r", &["r.account", "r.address", "r.message"], place).naming()
            }
            Source::Class(account, class) => {
                let place = vec![account.into(), class.into()];
                Stretch::new("recipients r", &["r.account", "r.class", "r.message"], place)
                    .in_words("r.class IS NOT NULL")
                    .naming()
            }
            Source::Failed(account, state) => {
                let place = vec![account.into(), state.into()];
                Stretch::new("recipients r", &["r.account", "r.state", "r.message"], place)
                    .in_words(failed!("r.state"))
                    .naming()
            }
        };
        let filter = self.filter;
        let mut stretch = stretch.oldest_first(filter.oldest_first);
        // Identifiers are ordered by time, so a range of time is a range of the index.
        stretch.since(filter.since.map(first_id_at));
        stretch.until(filter.until.map(first_id_at));
        stretch.after(filter.after);
        stretch.only(self.exact);
        stretch
    }

    /// Counts rather than asks whether there are any: that would be a join, and PostgreSQL might begin it at the other table.
    /// What is joined to nothing is in no index but that of the message.
    fn narrow<'c>(&'c self, source: &Source<'_>, conditions: &mut Conditions<'c>) {
        conditions.add(
            "(lower(m.header_from) LIKE $ ESCAPE '\\' OR lower(m.subject) LIKE $ ESCAPE '\\' \
             OR lower(m.message_id) LIKE $ ESCAPE '\\' OR 0 < (SELECT COUNT(*) FROM (SELECT 1 AS one FROM recipients r \
             WHERE r.message = m.id AND lower(r.address) LIKE $ ESCAPE '\\' LIMIT 1) few))",
            self.pattern.as_deref(),
        );
        conditions.add("m.stream = $", self.filter.stream.as_deref());
        conditions.add("m.tags LIKE $ ESCAPE '\\'", self.tag.as_deref());
        conditions.add(
            "0 < (SELECT COUNT(*) FROM (SELECT 1 AS one FROM recipients r WHERE r.message = m.id AND r.state || '' = $ LIMIT 1) few)",
            self.filter
                .state
                .map(State::as_str)
                .filter(|_| !matches!(source, Source::Failed(..))),
        );
        conditions.add(
            "0 < (SELECT COUNT(*) FROM (SELECT 1 AS one FROM recipients r WHERE r.message = m.id AND r.class || '' = $ LIMIT 1) few)",
            self.filter
                .class
                .map(Class::as_str)
                .filter(|_| !matches!(source, Source::Class(..))),
        );
    }
}

/// The address as it stands in the spool, where the account has written to exactly this one: an index knows, and the texts of no
/// message have to be looked through.
fn known_recipient(tx: &mut Tx<'_>, account: Id, text: &str) -> Result<Option<String>> {
    let Ok(address) = Address::parse(text) else {
        return Ok(None);
    };
    let address = address.to_string();
    let known = tx.query_opt(
        "SELECT 1 FROM recipients WHERE account = $1 AND address = $2 LIMIT 1",
        &[account.into(), address.as_str().into()],
    )?;
    Ok(known.map(|_| address))
}

/// A LIKE pattern for the column of tags.
fn containing_tag(tag: &str) -> String {
    format!("%\n{}\n%", literal(tag))
}

/// A recipient of a message as an export tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    pub address: String,
    pub state: String,
    pub reason: String,
    pub class: Option<String>,
    pub updated_at: Time,
}

/// Where an export goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportPlace {
    /// The last message that was begun.
    begun: Option<Id>,
    /// The same, where not all of its recipients were told, and the last of them that was.
    within: Option<(Summary, i64)>,
}

/// A part of an export.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportPage {
    /// Messages, each with those of its recipients that are asked for.
    pub messages: Vec<(Summary, Vec<Exported>)>,
    /// None at the end.
    pub next: Option<ExportPlace>,
}

/// Up to `lines` recipients of the messages of a search, which is looked at `filter.limit` messages at a time: neither a message to
/// many nor many messages take more room than that.
pub fn export(tx: &mut Tx<'_>, filter: &Filter, mut place: ExportPlace, lines: usize) -> Result<ExportPage> {
    let (mut page, mut left) = (ExportPage::default(), lines);
    let mut filter = filter.clone();
    filter.after = place.begun.or(filter.after);
    let mut tell = |tx: &mut Tx<'_>, message: Summary, behind: i64, left: &mut usize| {
        let (recipients, last) = exported(tx, message.id, &filter, (behind, *left))?;
        *left -= recipients.len();
        let within = (*left == 0).then(|| (message.clone(), last));
        page.messages.push((message, recipients));
        Ok::<_, StoreError>(within)
    };
    if let Some((message, last)) = place.within.take() {
        place.within = tell(tx, message, last, &mut left)?;
    }
    let mut full = true;
    if left > 0 {
        let found = list(tx, &filter)?;
        full = found.items.len() == filter.limit as usize;
        for message in found.items {
            place.begun = Some(message.id);
            place.within = tell(tx, message, -1, &mut left)?;
            if left == 0 {
                full = true;
                break;
            }
        }
        if left > 0 && found.looked_to.is_some() {
            place.begun = found.looked_to;
            full = true;
        }
    }
    page.next = full.then_some(place);
    Ok(page)
}

/// Up to `limit` recipients of a message behind one of them, and the last of these.
fn exported(
    tx: &mut Tx<'_>,
    message: Id,
    filter: &Filter,
    (behind, limit): (i64, usize),
) -> Result<(Vec<Exported>, i64)> {
    let mut conditions = Conditions::default();
    conditions.add("message = $", Some(message));
    conditions.add("ordinal > $", Some(behind));
    conditions.add("state = $", filter.state.map(State::as_str));
    conditions.add("class = $", filter.class.map(Class::as_str));
    let sql = format!(
        "SELECT address, state, reason, class, updated_at, ordinal FROM recipients{} ORDER BY ordinal LIMIT {limit}",
        conditions.sql()
    );
    let rows = tx.query(&sql, conditions.values())?;
    let last = rows.last().map_or(Ok(behind), |row| row.int(5))?;
    let recipients = rows.iter().map(|row| {
        Ok(Exported {
            address: row.text(0)?,
            state: row.text(1)?,
            reason: row.text(2)?,
            class: row.opt_text(3)?,
            updated_at: row.time(4)?,
        })
    });
    Ok((recipients.collect::<Result<_>>()?, last))
}

/// One message; none when it is not there or another account's.
pub fn detail(tx: &mut Tx<'_>, account: Option<Id>, id: Id) -> Result<Option<Detail>> {
    let row = tx.query_opt(
        &format!("SELECT {COLUMNS}, m.reverse_path, m.message_id, m.envid, m.origin, m.unsubscribe, m.track_opens, \
             m.track_clicks FROM messages m WHERE m.id = $1"),
        &[id.into()],
    )?;
    let Some(row) = row else { return Ok(None) };
    let summary = summary(tx, &row)?;
    if account.is_some_and(|account| account != summary.account) {
        return Ok(None);
    }
    let body = tx.query_opt("SELECT keep_until FROM bodies WHERE message = $1", &[id.into()])?;
    Ok(Some(Detail {
        summary,
        reverse_path: row.text(9)?,
        message_id: row.text(10)?,
        envid: row.opt_text(11)?,
        origin: origin(&row.text(12)?)?,
        wants: Wants {
            unsubscribe: Unsubscribe::from_int(row.int(13)?),
            track_opens: row.bool(14)?,
            track_clicks: row.bool(15)?,
        },
        content_available: body.is_some(),
        content_kept_until: body.map(|row| row.opt_time(0)).transpose()?.flatten(),
        recipients: recipients(tx, id)?,
        events: events::of_message(tx, id, MOST_EVENTS)?,
    }))
}

/// The message as it was accepted; none when it, or its content, is not there any more, or it is another account's.
pub fn content(tx: &mut Tx<'_>, account: Option<Id>, id: Id) -> Result<Option<Bytes>> {
    let row = tx.query_opt(
        "SELECT m.account, b.content FROM messages m JOIN bodies b ON b.message = m.id WHERE m.id = $1",
        &[id.into()],
    )?;
    let Some(row) = row else { return Ok(None) };
    let owner = row.id(0)?;
    if account.is_some_and(|account| account != owner) {
        return Ok(None);
    }
    row.bytes(1).map(Some)
}

/// What decides who may read a message, and what reading it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    pub account: Id,
    pub origin: Origin,
    /// Octets of its content.
    pub size: u64,
}

/// Whose a message is, how it came in, and how large it is.
pub fn provenance(tx: &mut Tx<'_>, id: Id) -> Result<Option<Provenance>> {
    let row = tx.query_opt(
        "SELECT account, origin, size FROM messages WHERE id = $1",
        &[id.into()],
    )?;
    row.map(|row| {
        Ok(Provenance {
            account: row.id(0)?,
            origin: origin(&row.text(1)?)?,
            size: row.int(2)?.unsigned_abs(),
        })
    })
    .transpose()
}

fn origin(json: &str) -> Result<Origin> {
    serde_json::from_str(json).map_err(|error| StoreError::other("read a message's origin", error))
}

fn summary(tx: &mut Tx<'_>, row: &Row) -> Result<Summary> {
    let id = row.id(0)?;
    let mut states = BTreeMap::new();
    for row in tx.query(
        "SELECT state, COUNT(*) FROM recipients WHERE message = $1 GROUP BY state",
        &[id.into()],
    )? {
        states.insert(row.text(0)?, row.int(1)? as u64);
    }
    let first = "SELECT address FROM recipients WHERE message = $1 ORDER BY ordinal LIMIT $2";
    let recipients = tx.query(first, &[id.into(), NAMED.into()])?;
    Ok(Summary {
        id,
        account: row.id(1)?,
        created_at: row.time(2)?,
        from: row.text(3)?,
        subject: row.text(4)?,
        size: row.int(5)? as u64,
        recipient_count: row.int(6)? as u64,
        stream: row.text(7)?,
        tags: tags_from_text(&row.text(8)?),
        recipients: recipients.iter().map(|row| row.text(0)).collect::<Result<_>>()?,
        states,
    })
}

fn recipients(tx: &mut Tx<'_>, message: Id) -> Result<Vec<Recipient>> {
    let mut attempts: BTreeMap<u32, Vec<Attempt>> = BTreeMap::new();
    let rows = tx.query(
        "SELECT ordinal, number, at, duration, outcome, code, enhanced, reply, host, ip, tls FROM attempts \
         WHERE message = $1 ORDER BY ordinal, number",
        &[message.into()],
    )?;
    for row in rows {
        attempts
            .entry(row.int(0)? as u32)
            .or_default()
            .push(attempt(&row)?);
    }
    let rows = tx.query(
        "SELECT ordinal, address, state, reason, next_at, expires_at, node, updated_at, class FROM recipients \
         WHERE message = $1 ORDER BY ordinal",
        &[message.into()],
    )?;
    rows.iter()
        .map(|row| {
            let ordinal = row.int(0)? as u32;
            let state = row.text(2)?;
            let waits =
                State::parse(&state).is_some_and(|state| state.is_waiting() || state == State::Scheduled);
            Ok(Recipient {
                ordinal,
                address: row.text(1)?,
                reason: row.text(3)?,
                attempts: attempts.remove(&ordinal).unwrap_or_default(),
                next_at: if waits { Some(row.time(4)?) } else { None },
                expires_at: row.time(5)?,
                in_hand: row.opt_id(6)?.is_some(),
                updated_at: row.time(7)?,
                class: row.opt_text(8)?,
                state,
            })
        })
        .collect()
}

fn attempt(row: &Row) -> Result<Attempt> {
    Ok(Attempt {
        number: row.int(1)? as u32,
        at: row.time(2)?,
        duration_ms: (row.int(3)? / 1_000) as u64,
        outcome: row.text(4)?,
        code: row.opt_int(5)?.map(|code| code as u16),
        enhanced: row.opt_text(6)?,
        reply: row.text(7)?,
        host: row.opt_text(8)?,
        ip: row.opt_text(9)?,
        tls: row.opt_text(10)?,
    })
}
