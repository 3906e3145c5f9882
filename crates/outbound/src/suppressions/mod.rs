//! Whom an account is not to write to: who bounced, complained or unsubscribed, and whom its people put on the list.

mod sheet;

use std::collections::HashMap;

use mail::address::Address;
use mail::time::Time;
use store::search::{Conditions, containing};
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
    if added > 0 {
        accounts::suppressing::begin(tx, new.account)?;
    }
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

/// Whether the people of the account put as many addresses on the list as they may, with `more` on top.
pub fn is_full(tx: &mut Tx<'_>, account: Id, more: usize) -> Result<bool> {
    let row = tx.query_opt(
        "SELECT COUNT(*) FROM (SELECT 1 AS one FROM suppressions WHERE account = $1 AND why IN ('manual', 'import') \
         LIMIT $2) AS theirs",
        &[account.into(), MOST.into()],
    )?;
    let there = row.map_or(Ok(0), |row| row.int(0))?;
    Ok(there.saturating_add(i64::try_from(more).unwrap_or(i64::MAX)) > MOST)
}

pub fn list(tx: &mut Tx<'_>, account: Id, filter: &Filter) -> Result<Vec<Suppression>> {
    let pattern = filter.text.as_deref().map(containing);
    let mut conditions = Conditions::default();
    conditions.add("account = $", Some(account));
    conditions.add(
        "(address_key LIKE $ ESCAPE '\\' OR lower(note) LIKE $ ESCAPE '\\')",
        pattern.as_deref(),
    );
    conditions.add("stream = $", filter.stream.as_deref());
    conditions.add("why = $", filter.why.map(Why::as_str));
    conditions.add("id < $", filter.after);
    let sql = format!(
        "SELECT {COLUMNS} FROM suppressions{} ORDER BY id DESC LIMIT {}",
        conditions.sql(),
        filter.limit
    );
    tx.query(&sql, conditions.values())?.iter().map(read).collect()
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
    let removed = tx.execute(
        "DELETE FROM suppressions WHERE account = $1 AND id = $2",
        &[account.into(), id.into()],
    )?;
    Ok(removed > 0)
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
