//! The counters: grown by many at once, read by a range of days.

use std::collections::{BTreeMap, HashMap, HashSet};

use store::search::Conditions;
use store::{Id, Result, Tx};

use super::Key;

/// Names that a dimension of one account has on a day that is not over; what comes beyond is counted together.
const MOST_NAMES: i64 = 1_000;
/// Names that stay of a day that is over, those with most; the others are counted together.
pub(super) const KEPT_NAMES: usize = 30;
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
    let mut known: HashMap<(Id, By, i64), Names> = HashMap::new();
    for (key, many) in grown {
        let mut name = key.name.as_str();
        if matches!(key.by, By::Domain | By::Provider) {
            let place = (key.account, key.by, key.day);
            if !known.entry(place).or_default().has_room_for(tx, place, name)? {
                name = OTHER;
            }
        }
        let place = (key.account, key.by.as_str(), key.day);
        grow_one(tx, place, (name, key.kind, &key.class), *many as i64)?;
    }
    Ok(())
}

fn grow_one(
    tx: &mut Tx<'_>,
    (account, dimension, day): (Id, &str, i64),
    (name, kind, class): (&str, &str, &str),
    many: i64,
) -> Result<()> {
    tx.run(
        "INSERT INTO statistics (account, dimension, day, name, kind, class, seen) VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (account, dimension, day, name, kind, class) DO UPDATE SET seen = statistics.seen + excluded.seen",
        &[
            account.into(),
            dimension.into(),
            day.into(),
            name.into(),
            kind.into(),
            class.into(),
            many.into(),
        ],
    )
}

/// The names of one day, as far as they were looked at.
#[derive(Default)]
struct Names {
    known: HashSet<String>,
    /// How many there are, once somebody had to know.
    there: Option<i64>,
}

impl Names {
    /// Whether a name is counted by itself: because it has been so far, or because there is room for one more.
    fn has_room_for(
        &mut self,
        tx: &mut Tx<'_>,
        (account, by, day): (Id, By, i64),
        name: &str,
    ) -> Result<bool> {
        if self.known.contains(name) {
            return Ok(true);
        }
        let place = [account.into(), by.as_str().into(), day.into(), name.into()];
        let counted = tx.query_opt(
            "SELECT 1 FROM statistics WHERE account = $1 AND dimension = $2 AND day = $3 AND name = $4 LIMIT 1",
            &place,
        )?;
        if counted.is_none() {
            let there = if let Some(there) = self.there {
                there
            } else {
                let row = tx.query_opt(
                    "SELECT COUNT(DISTINCT name) FROM statistics WHERE account = $1 AND dimension = $2 AND day = $3",
                    &place[..3],
                )?;
                row.map_or(Ok(0), |row| row.int(0))?
            };
            let fits = there < MOST_NAMES;
            self.there = Some(there + i64::from(fits));
            if !fits {
                return Ok(false);
            }
        }
        self.known.insert(name.to_owned());
        Ok(true)
    }
}

/// Leaves of a day that is over the names with most, and counts the others together; true where there may be more to do.
pub(super) fn fold(tx: &mut Tx<'_>, day: i64) -> Result<bool> {
    let crowded = tx.query_opt(
        "SELECT account, dimension FROM statistics WHERE day = $1 AND dimension IN ('domain', 'provider') AND name <> $2 \
         GROUP BY account, dimension HAVING COUNT(DISTINCT name) > $3 ORDER BY account, dimension LIMIT 1",
        &[day.into(), OTHER.into(), (KEPT_NAMES as i64).into()],
    )?;
    let Some(row) = crowded else { return Ok(false) };
    let (account, dimension) = (row.id(0)?, row.text(1)?);
    let place = (account, dimension.as_str(), day);
    let names = tx.query(
        "SELECT name FROM statistics WHERE account = $1 AND dimension = $2 AND day = $3 AND name <> $4 \
         GROUP BY name ORDER BY SUM(seen) DESC, name",
        &[account.into(), place.1.into(), day.into(), OTHER.into()],
    )?;
    for row in names.iter().skip(KEPT_NAMES) {
        let name = row.text(0)?;
        let key = [account.into(), place.1.into(), day.into(), name.as_str().into()];
        let counters = tx.query(
            "SELECT kind, class, seen FROM statistics WHERE account = $1 AND dimension = $2 AND day = $3 AND name = $4",
            &key,
        )?;
        for counter in &counters {
            let (kind, class) = (counter.text(0)?, counter.text(1)?);
            grow_one(tx, place, (OTHER, &kind, &class), counter.int(2)?)?;
        }
        tx.run(
            "DELETE FROM statistics WHERE account = $1 AND dimension = $2 AND day = $3 AND name = $4",
            &key,
        )?;
    }
    Ok(true)
}

/// What was counted of an account in these days: each day with something in it, of all streams or of one; or the names with most,
/// and after them all others together.
pub fn read(
    tx: &mut Tx<'_>,
    account: Id,
    (by, stream): (By, Option<&str>),
    days: Range,
) -> Result<Vec<Item>> {
    let what = if by == By::Day { "day" } else { "name" };
    let dimension = if stream.is_some() { By::Stream } else { by };
    let mut conditions = Conditions::default();
    conditions.add("account = $", Some(account));
    conditions.add("dimension = $", Some(dimension.as_str()));
    conditions.add("day >= $", Some(days.from));
    conditions.add("day <= $", Some(days.to));
    conditions.add("name = $", stream);
    let rows = tx.query(
        &format!(
            "SELECT {what}, kind, class, CAST(SUM(seen) AS BIGINT) FROM statistics{} GROUP BY {what}, kind, class",
            conditions.sql()
        ),
        conditions.values(),
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
    if matches!(by, By::Domain | By::Provider) {
        gather(&mut items);
    }
    Ok(items)
}

/// Counts what stands behind the first names together.
fn gather(items: &mut Vec<Item>) {
    if items.len() <= KEPT_NAMES {
        return;
    }
    let mut others = Counts::default();
    for item in items.drain(KEPT_NAMES..) {
        for (kind, many) in item.counts.kinds {
            *others.kinds.entry(kind).or_default() += many;
        }
        for (class, many) in item.counts.bounces {
            *others.bounces.entry(class).or_default() += many;
        }
    }
    items.push(Item {
        day: None,
        name: Some(OTHER.to_owned()),
        counts: others,
    });
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
