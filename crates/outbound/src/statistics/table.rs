//! The counters: grown by many at once, read by a range of days.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

use store::{Id, Result, Tx};

use super::Key;

/// Names that a dimension of one account has on one day; what comes beyond is counted together.
const MOST_NAMES: usize = 30;
/// What all names beyond are counted as. No stream and no domain is called so.
pub const OTHER: &str = "*";

/// What counters are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum By {
    /// The whole account, day by day.
    Day,
    Stream,
    /// The domain that mail is from.
    Domain,
    /// Who runs the host that took or refused it; where none was reached, the recipient's domain.
    Provider,
}

impl By {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "",
            Self::Stream => "stream",
            Self::Domain => "domain",
            Self::Provider => "provider",
        }
    }
}

/// Days of UTC since 1970, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub from: i64,
    pub to: i64,
}

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// By the kind of event.
    pub kinds: BTreeMap<String, u64>,
    /// Bounces by their class.
    pub bounces: BTreeMap<String, u64>,
}

impl Counts {
    fn add(&mut self, kind: &str, class: &str, many: u64) {
        *self.kinds.entry(kind.to_owned()).or_default() += many;
        if !class.is_empty() {
            *self.bounces.entry(class.to_owned()).or_default() += many;
        }
    }
}

/// The counts of one day, or of one name over all days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub day: Option<i64>,
    pub name: Option<String>,
    pub counts: Counts,
}

/// Grows the counters.
pub(super) fn grow(tx: &mut Tx<'_>, grown: &[(Key, u64)]) -> Result<()> {
    let mut known: HashMap<(Id, By, i64), HashSet<String>> = HashMap::new();
    for (key, many) in grown {
        let mut name = key.name.as_str();
        if matches!(key.by, By::Domain | By::Provider) {
            let place = (key.account, key.by, key.day);
            let known = match known.entry(place) {
                Entry::Occupied(there) => there.into_mut(),
                Entry::Vacant(unknown) => unknown.insert(names(tx, place)?),
            };
            if !known.contains(name) {
                if known.len() >= MOST_NAMES {
                    name = OTHER;
                } else {
                    known.insert(name.to_owned());
                }
            }
        }
        tx.run(
            "INSERT INTO statistics (account, dimension, day, name, kind, class, seen) VALUES ($1, $2, $3, $4, $5, $6, $7) \
             ON CONFLICT (account, dimension, day, name, kind, class) DO UPDATE SET seen = statistics.seen + excluded.seen",
            &[
                key.account.into(),
                key.by.as_str().into(),
                key.day.into(),
                name.into(),
                key.kind.into(),
                (&key.class).into(),
                (*many as i64).into(),
            ],
        )?;
    }
    Ok(())
}

fn names(tx: &mut Tx<'_>, (account, by, day): (Id, By, i64)) -> Result<HashSet<String>> {
    let rows = tx.query(
        "SELECT DISTINCT name FROM statistics WHERE account = $1 AND dimension = $2 AND day = $3",
        &[account.into(), by.as_str().into(), day.into()],
    )?;
    rows.iter().map(|row| row.text(0)).collect()
}

/// What was counted of an account in these days: each day with something in it, or each name, those with most first.
pub fn read(tx: &mut Tx<'_>, account: Id, by: By, days: Range) -> Result<Vec<Item>> {
    let what = if by == By::Day { "day" } else { "name" };
    let rows = tx.query(
        &format!(
            "SELECT {what}, kind, class, CAST(SUM(seen) AS BIGINT) FROM statistics \
             WHERE account = $1 AND dimension = $2 AND day >= $3 AND day <= $4 GROUP BY {what}, kind, class"
        ),
        &[
            account.into(),
            by.as_str().into(),
            days.from.into(),
            days.to.into(),
        ],
    )?;
    let mut items: BTreeMap<(i64, String), Counts> = BTreeMap::new();
    for row in &rows {
        let key = if by == By::Day {
            (row.int(0)?, String::new())
        } else {
            (0, row.text(0)?)
        };
        let counts = items.entry(key).or_default();
        counts.add(&row.text(1)?, &row.text(2)?, row.int(3)?.unsigned_abs());
    }
    let mut items: Vec<Item> = items
        .into_iter()
        .map(|((day, name), counts)| Item {
            day: (by == By::Day).then_some(day),
            name: (by != By::Day).then_some(name),
            counts,
        })
        .collect();
    if by != By::Day {
        // What is counted together comes last, however much it is.
        items.sort_by_key(|item| {
            let seen: u64 = item.counts.kinds.values().sum();
            (item.name.as_deref() == Some(OTHER), std::cmp::Reverse(seen))
        });
    }
    Ok(items)
}

/// Removes up to `limit` counters of days before this one.
pub(super) fn forget(tx: &mut Tx<'_>, before: i64, limit: u32) -> Result<u64> {
    let days = tx.query(
        "SELECT account, dimension, day, name, kind, class FROM statistics WHERE day < $1 ORDER BY day LIMIT $2",
        &[before.into(), limit.into()],
    )?;
    for row in &days {
        tx.run(
            "DELETE FROM statistics WHERE account = $1 AND dimension = $2 AND day = $3 AND name = $4 AND kind = $5 AND class = $6",
            &[
                row.id(0)?.into(),
                row.text(1)?.as_str().into(),
                row.int(2)?.into(),
                row.text(3)?.as_str().into(),
                row.text(4)?.as_str().into(),
                row.text(5)?.as_str().into(),
            ],
        )?;
    }
    Ok(days.len() as u64)
}
