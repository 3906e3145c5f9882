//! Whom an account is not to write to: who bounced, complained or unsubscribed, and whom its people put on the list.

mod sheet;

use std::collections::HashMap;

use accounts::streams;
use mail::address::Address;
use mail::time::Time;
use store::search::{Found, Stretch, containing};
use store::{Id, Result, Row, Tx, Value};

pub use sheet::{Line, MOST_LINES, Sheet, SheetError, heading, line, read as read_sheet};

/// Characters of a note that somebody writes.
const NOTE: usize = 200;

/// A note as it is kept; none where it is no single line of at most 200 characters.
pub fn note(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = text.chars().count() <= NOTE && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}

/// In place of a stream: every stream of the account.
pub const EVERY_STREAM: &str = "";
/// The most addresses that the people of an account may put on its list; what bounces and complains comes on top of them.
pub const MOST: i64 = 1_000_000;
/// How many addresses stand in one statement at most, and the steps that their number is rounded up to: each text of a statement
/// is prepared once.
const STEPS: [usize; 4] = [1, 10, 100, 1_000];
const COLUMNS: &str = "id, stream, address, why, note, message, created_at";

/// Why an address is on the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// The mailbox or its domain does not exist.
    HardBounce,
    Complaint,
    Unsubscribe,
    /// Somebody of the account put it there.
    Manual,
    Import,
}

impl Why {
    pub const ALL: [Self; 5] = [
        Self::HardBounce,
        Self::Complaint,
        Self::Unsubscribe,
        Self::Manual,
        Self::Import,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HardBounce => "hard_bounce",
            Self::Complaint => "complaint",
            Self::Unsubscribe => "unsubscribe",
            Self::Manual => "manual",
            Self::Import => "import",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|why| why.as_str() == text)
    }

    /// For the sender of a message that is not sent.
    const fn in_words(self) -> &'static str {
        match self {
            Self::HardBounce => "mail to it bounced for good",
            Self::Complaint => "its owner complained",
            Self::Unsubscribe => "its owner unsubscribed",
            Self::Manual => "it was put on the suppression list",
            Self::Import => "it was imported into the suppression list",
        }
    }
}

/// An address on the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppression {
    pub id: Id,
    /// [`EVERY_STREAM`], or the one that it counts for.
    pub stream: String,
    pub address: String,
    pub why: Why,
    pub note: String,
    /// The message that bounced or was complained about.
    pub message: Option<Id>,
    pub created_at: Time,
}

/// An address to be put on the list.
#[derive(Clone, Copy, Debug)]
pub struct New<'a> {
    pub account: Id,
    pub stream: &'a str,
    pub address: &'a Address,
    pub why: Why,
    pub note: &'a str,
    /// The recipient that it is about.
    pub of: Option<(Id, u32)>,
}

/// Which addresses a page shows, the newest first.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Part of an address or a note.
    pub text: Option<String>,
    pub stream: Option<String>,
    pub why: Option<Why>,
    pub limit: u32,
    /// The last of the page before.
    pub after: Option<Id>,
}

/// Which of these addresses are on the list for a stream, by their place, with the reason in words. One statement for up to a
/// thousand.
pub fn filter<'a>(
    tx: &mut Tx<'_>,
    account: Id,
    stream: &str,
    addresses: impl Iterator<Item = &'a Address>,
) -> Result<HashMap<usize, String>> {
    let mut places: HashMap<String, Vec<usize>> = HashMap::new();
    for (place, address) in addresses.enumerate() {
        places.entry(address.login_key()).or_default().push(place);
    }
    let mut keys: Vec<&str> = places.keys().map(String::as_str).collect();
    keys.sort_unstable();
    let mut found = HashMap::new();
    for keys in keys.chunks(STEPS[STEPS.len() - 1]) {
        let step = STEPS.into_iter().find(|step| *step >= keys.len());
        let step = step.unwrap_or(keys.len());
        let mut values: Vec<Value<'_>> = vec![account.into(), stream.into()];
        values.extend(keys.iter().map(|key| Value::from(*key)));
        if let Some(last) = keys.last() {
            values.resize(step + 2, (*last).into());
        }
        let marks: Vec<String> = (3..=values.len()).map(|n| format!("${n}")).collect();
        let sql = format!(
            "SELECT address_key, why, created_at FROM suppressions \
             WHERE account = $1 AND stream IN ('', $2) AND address_key IN ({})",
            marks.join(", ")
        );
        for row in tx.query(&sql, &values)? {
            let reason = reason(why(&row.text(1)?), row.time(2)?);
            for place in places.get(&row.text(0)?).into_iter().flatten() {
                found.insert(*place, reason.clone());
            }
        }
    }
    Ok(found)
}

fn reason(why: Why, since: Time) -> String {
    let day = since.rfc3339();
    let day = day.split('T').next().unwrap_or_default();
    format!("the address is suppressed: {} ({day})", why.in_words())
}

/// Puts an address on the list; false when it stood there already, and then nothing changes.
pub fn add(tx: &mut Tx<'_>, (id, now): (Id, Time), new: &New<'_>) -> Result<bool> {
    let added = put(tx, (id, now), new)?;
    if added {
        count(tx, new.account, new.why, 1)?;
        accounts::suppressing::begin(tx, new.account)?;
    }
    Ok(added)
}

/// Puts the lines of a sheet on the list for one stream, each with the identifier it gets; says how many did not stand there yet.
pub fn import<'a>(
    tx: &mut Tx<'_>,
    now: Time,
    (account, stream): (Id, &str),
    lines: impl Iterator<Item = (Id, &'a Address, &'a str)>,
) -> Result<u64> {
    let mut added = 0;
    for (id, address, note) in lines {
        let new = New {
            account,
            stream,
            address,
            why: Why::Import,
            note,
            of: None,
        };
        added += u64::from(put(tx, (id, now), &new)?);
    }
    if added > 0 {
        count(tx, account, Why::Import, added as i64)?;
        accounts::suppressing::begin(tx, account)?;
    }
    Ok(added)
}

fn put(tx: &mut Tx<'_>, (id, now): (Id, Time), new: &New<'_>) -> Result<bool> {
    let (message, ordinal) = new.of.unzip();
    let added = tx.execute(
        "INSERT INTO suppressions (account, stream, address_key, id, address, why, note, message, ordinal, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (account, stream, address_key) DO NOTHING",
        &[
            new.account.into(),
            new.stream.into(),
            (&new.address.login_key()).into(),
            id.into(),
            (&new.address.to_string()).into(),
            new.why.as_str().into(),
            new.note.into(),
            message.into(),
            ordinal.into(),
            now.into(),
        ],
    )?;
    Ok(added > 0)
}

/// Why an address is on the lists of these streams and on that of all, by the stream.
pub fn reasons(
    tx: &mut Tx<'_>,
    account: Id,
    address: &Address,
    streams: &[String],
) -> Result<HashMap<String, Why>> {
    let key = address.login_key();
    let mut found = HashMap::new();
    // By its whole key: the list of an account may be long.
    for stream in std::iter::once(EVERY_STREAM).chain(streams.iter().map(String::as_str)) {
        let row = tx.query_opt(
            "SELECT why FROM suppressions WHERE account = $1 AND stream = $2 AND address_key = $3",
            &[account.into(), stream.into(), (&key).into()],
        )?;
        if let Some(row) = row {
            found.insert(stream.to_owned(), why(&row.text(0)?));
        }
    }
    Ok(found)
}

/// Takes an address from a list that its owner put it on, and nobody else; false where it is not there.
pub fn take_back(tx: &mut Tx<'_>, (account, stream, address): (Id, &str, &Address)) -> Result<bool> {
    let removed = tx.execute(
        "DELETE FROM suppressions WHERE account = $1 AND stream = $2 AND address_key = $3 AND why = $4",
        &[
            account.into(),
            stream.into(),
            (&address.login_key()).into(),
            Why::Unsubscribe.as_str().into(),
        ],
    )?;
    Ok(removed > 0)
}

/// Whether the people of the account put as many addresses on the list as they may, with `more` on top. They are counted as they
/// come and go: the list is too long to be counted each time.
pub fn is_full(tx: &mut Tx<'_>, account: Id, more: usize) -> Result<bool> {
    let row = tx.query_opt(
        "SELECT entries FROM suppression_counts WHERE account = $1",
        &[account.into()],
    )?;
    let there = row.map_or(Ok(0), |row| row.int(0))?;
    Ok(there.saturating_add(i64::try_from(more).unwrap_or(i64::MAX)) > MOST)
}

/// Counts what the people of an account put on its list or took from it.
fn count(tx: &mut Tx<'_>, account: Id, why: Why, more: i64) -> Result<()> {
    if !matches!(why, Why::Manual | Why::Import) {
        return Ok(());
    }
    tx.run(
        "INSERT INTO suppression_counts (account, entries) VALUES ($1, $2) \
         ON CONFLICT (account) DO UPDATE SET entries = suppression_counts.entries + excluded.entries",
        &[account.into(), more.into()],
    )
}

/// A page of the list. What was asked for is looked for among a bounded number of entries, and the answer says how far; a whole address
/// that stands on the list is looked up.
pub fn list(tx: &mut Tx<'_>, account: Id, filter: &Filter) -> Result<Found<Suppression>> {
    if let Some(Ok(address)) = filter.text.as_deref().map(Address::parse) {
        let whole = whole(tx, account, &address)?;
        if !whole.is_empty() {
            return Ok(Found::all(filter.of(whole)));
        }
    }
    let mut stretch = Stretch::new("suppressions", &["account", "id"], vec![account.into()]);
    stretch.after(filter.after);
    let pattern = filter.text.as_deref().map(containing);
    let look = |tx: &mut Tx<'_>, many: u32| {
        let (part, mut conditions) = stretch.first(&format!("account, address_key, {COLUMNS}"), many);
        conditions.add(
            "(address_key LIKE $ ESCAPE '\\' OR lower(note) LIKE $ ESCAPE '\\')",
            pattern.as_deref(),
        );
        conditions.add("stream = $", filter.stream.as_deref());
        conditions.add("why = $", filter.why.map(Why::as_str));
        let sql = format!(
            "SELECT {COLUMNS} FROM {part}{}{} LIMIT {}",
            conditions.sql(),
            stretch.order("id"),
            filter.limit
        );
        let found = tx.query(&sql, conditions.values())?;
        found.iter().map(read).collect::<Result<Vec<_>>>()
    };
    if filter.text.is_none() && filter.stream.is_none() && filter.why.is_none() {
        return look(tx, filter.limit).map(Found::all);
    }
    stretch.search(tx, filter.limit, look)
}

/// The entries of one address, by their whole keys: the list of an account may be long, and its streams are few.
fn whole(tx: &mut Tx<'_>, account: Id, address: &Address) -> Result<Vec<Suppression>> {
    let mut entries = Vec::new();
    let streams = streams::slugs(tx, account)?;
    for stream in std::iter::once(EVERY_STREAM).chain(streams.iter().map(String::as_str)) {
        entries.extend(find_address(tx, account, stream, address)?);
    }
    Ok(entries)
}

impl Filter {
    /// A page of what stands on the list of one address.
    fn of(&self, mut entries: Vec<Suppression>) -> Vec<Suppression> {
        entries.retain(|one| {
            self.stream.as_ref().is_none_or(|stream| one.stream == *stream)
                && self.why.is_none_or(|why| one.why == why)
                && self.after.is_none_or(|after| one.id < after)
        });
        entries.sort_by_key(|one| std::cmp::Reverse(one.id));
        entries.truncate(self.limit as usize);
        entries
    }
}

/// One entry of an account.
pub fn find(tx: &mut Tx<'_>, account: Id, id: Id) -> Result<Option<Suppression>> {
    let sql = format!("SELECT {COLUMNS} FROM suppressions WHERE account = $1 AND id = $2");
    tx.query_opt(&sql, &[account.into(), id.into()])?
        .as_ref()
        .map(read)
        .transpose()
}

/// The entry of an address, as it stands in one list.
pub fn find_address(
    tx: &mut Tx<'_>,
    account: Id,
    stream: &str,
    address: &Address,
) -> Result<Option<Suppression>> {
    let sql =
        format!("SELECT {COLUMNS} FROM suppressions WHERE account = $1 AND stream = $2 AND address_key = $3");
    tx.query_opt(
        &sql,
        &[account.into(), stream.into(), (&address.login_key()).into()],
    )?
    .as_ref()
    .map(read)
    .transpose()
}

/// Takes an entry from the list.
pub fn remove(tx: &mut Tx<'_>, account: Id, id: Id) -> Result<bool> {
    let removed = tx.query_opt(
        "DELETE FROM suppressions WHERE account = $1 AND id = $2 RETURNING why",
        &[account.into(), id.into()],
    )?;
    let Some(row) = removed else { return Ok(false) };
    count(tx, account, why(&row.text(0)?), -1)?;
    Ok(true)
}

fn read(row: &Row) -> Result<Suppression> {
    Ok(Suppression {
        id: row.id(0)?,
        stream: row.text(1)?,
        address: row.text(2)?,
        why: why(&row.text(3)?),
        note: row.text(4)?,
        message: row.opt_id(5)?,
        created_at: row.time(6)?,
    })
}

/// A reason that a newer version wrote counts as somebody's decision.
fn why(text: &str) -> Why {
    Why::parse(text).unwrap_or(Why::Manual)
}
