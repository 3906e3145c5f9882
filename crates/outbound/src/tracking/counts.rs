//! Counters of opens and clicks, one row for each account, stream and hour, so that a figure reads a few rows and no message.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use mail::time::Time;
use store::search::Conditions;
use store::{Id, Result, Row, Tx};

use super::journal::Entry;

const HOURS_A_DAY: i64 = 24;

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// By people, each time.
    pub opens: u64,
    /// People who opened for the first time.
    pub openers: u64,
    pub machine_opens: u64,
    pub clicks: u64,
    pub clickers: u64,
    pub machine_clicks: u64,
}

impl AddAssign<&Self> for Count {
    fn add_assign(&mut self, other: &Self) {
        self.opens += other.opens;
        self.openers += other.openers;
        self.machine_opens += other.machine_opens;
        self.clicks += other.clicks;
        self.clickers += other.clickers;
        self.machine_clicks += other.machine_clicks;
    }
}

/// What opens and clicks are told apart by, beside hour and stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    All,
    Client,
    Country,
}

impl Dimension {
    const fn as_str(self) -> &'static str {
        match self {
            Self::All => "",
            Self::Client => "client",
            Self::Country => "country",
        }
    }
}

/// Counters by what they count: account, hour, stream, dimension, name.
#[derive(Default)]
pub(super) struct Tally(BTreeMap<(Id, i64, String, &'static str, String), Count>);

impl Tally {
    pub(super) fn add(
        &mut self,
        (account, stream): (Id, &str),
        (entry, at, machine): (&Entry, Time, bool),
        count: &Count,
    ) {
        let hour = at.as_secs().div_euclid(3_600);
        let day = hour - hour.rem_euclid(HOURS_A_DAY);
        let mut add = |hour, of: Dimension, name: &str| {
            let key = (account, hour, stream.to_owned(), of.as_str(), name.to_owned());
            *self.0.entry(key).or_default() += count;
        };
        add(hour, Dimension::All, "");
        // What a machine reads with is nobody's program.
        if !machine {
            add(day, Dimension::Client, entry.client);
            if let Some(country) = &entry.country {
                add(day, Dimension::Country, country);
            }
        }
    }

    /// In the order of their keys, as every node writes them.
    pub(super) fn write(&self, tx: &mut Tx<'_>) -> Result<()> {
        for ((account, hour, stream, of, name), count) in &self.0 {
            tx.run(
                "INSERT INTO tracking_counts (account, hour, stream, dimension, name, opens, openers, machine_opens, clicks, clickers, \
                 machine_clicks) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
                 ON CONFLICT (account, hour, stream, dimension, name) DO UPDATE SET \
                 opens = tracking_counts.opens + excluded.opens, \
                 openers = tracking_counts.openers + excluded.openers, \
                 machine_opens = tracking_counts.machine_opens + excluded.machine_opens, \
                 clicks = tracking_counts.clicks + excluded.clicks, \
                 clickers = tracking_counts.clickers + excluded.clickers, \
                 machine_clicks = tracking_counts.machine_clicks + excluded.machine_clicks",
                &[
                    account.into(),
                    (*hour).into(),
                    stream.into(),
                    (*of).into(),
                    name.into(),
                    (count.opens as i64).into(),
                    (count.openers as i64).into(),
                    (count.machine_opens as i64).into(),
                    (count.clicks as i64).into(),
                    (count.clickers as i64).into(),
                    (count.machine_clicks as i64).into(),
                ],
            )?;
        }
        Ok(())
    }
}

/// Which counters are asked for.
#[derive(Clone, Debug)]
pub struct Range {
    pub account: Id,
    /// None is all of them together.
    pub stream: Option<String>,
    pub since: Time,
    pub until: Time,
    /// One figure a day instead of one an hour.
    pub by_day: bool,
}

/// Counters by name, the most opened and followed first.
pub type Counts = Vec<(String, Count)>;

/// What was counted within a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub total: Count,
    /// The beginning of each hour or day with something in it.
    pub points: Vec<(Time, Count)>,
    pub clients: Counts,
    /// Empty where nobody knows where an address is.
    pub countries: Counts,
}

const COLUMNS: &str = "CAST(SUM(opens) AS BIGINT), CAST(SUM(openers) AS BIGINT), CAST(SUM(machine_opens) AS BIGINT), \
     CAST(SUM(clicks) AS BIGINT), CAST(SUM(clickers) AS BIGINT), CAST(SUM(machine_clicks) AS BIGINT)";

/// Adds counters up.
pub fn figures(tx: &mut Tx<'_>, range: &Range) -> Result<Figures> {
    let mut figures = Figures::default();
    let step = if range.by_day { HOURS_A_DAY } else { 1 };
    let mut points: BTreeMap<i64, Count> = BTreeMap::new();
    for row in select(tx, range, Dimension::All, "hour")? {
        let (hour, count) = (row.int(0)?, count(&row)?);
        figures.total += &count;
        *points.entry(hour - hour.rem_euclid(step)).or_default() += &count;
    }
    let at = |(hour, count)| (Time::from_secs(hour * 3_600), count);
    figures.points = points.into_iter().map(at).collect();
    figures.clients = named(tx, range, Dimension::Client)?;
    figures.countries = named(tx, range, Dimension::Country)?;
    Ok(figures)
}

fn named(tx: &mut Tx<'_>, range: &Range, of: Dimension) -> Result<Counts> {
    let mut counts = select(tx, range, of, "name")?
        .iter()
        .map(|row| Ok((row.text(0)?, count(row)?)))
        .collect::<Result<Counts>>()?;
    counts.sort_by(|(a, first), (b, second)| {
        let weight = |count: &Count| count.opens + count.clicks;
        weight(second).cmp(&weight(first)).then_with(|| a.cmp(b))
    });
    Ok(counts)
}

fn select(tx: &mut Tx<'_>, range: &Range, of: Dimension, by: &str) -> Result<Vec<Row>> {
    let hour = |time: Time| time.as_secs().div_euclid(3_600);
    let (mut first, last) = (hour(range.since), hour(range.until));
    if of != Dimension::All {
        // A day is counted as a whole, at its first hour.
        first -= first.rem_euclid(HOURS_A_DAY);
    }
    let mut conditions = Conditions::default();
    conditions.add("account = $", Some(&range.account));
    conditions.add("hour >= $", Some(first));
    conditions.add("hour <= $", Some(last));
    conditions.add("stream = $", range.stream.as_deref());
    conditions.add("dimension = $", Some(of.as_str()));
    let sql = format!(
        "SELECT {by}, {COLUMNS} FROM tracking_counts{} GROUP BY {by}",
        conditions.sql()
    );
    tx.query(&sql, conditions.values())
}

fn count(row: &Row) -> Result<Count> {
    let number = |column| Ok(row.int(column)?.unsigned_abs());
    Ok(Count {
        opens: number(1)?,
        openers: number(2)?,
        machine_opens: number(3)?,
        clicks: number(4)?,
        clickers: number(5)?,
        machine_clicks: number(6)?,
    })
}

pub(super) fn prune(tx: &mut Tx<'_>, before: Time, limit: u32) -> Result<u64> {
    let hour = before.as_secs().div_euclid(3_600);
    let oldest = tx.query(
        "SELECT account, hour FROM tracking_counts WHERE hour < $1 ORDER BY hour LIMIT $2",
        &[hour.into(), limit.into()],
    )?;
    let mut removed = 0;
    for row in oldest {
        removed += tx.execute(
            "DELETE FROM tracking_counts WHERE account = $1 AND hour = $2",
            &[row.id(0)?.into(), row.int(1)?.into()],
        )?;
    }
    Ok(removed)
}
