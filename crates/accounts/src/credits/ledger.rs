//! The ledger: grants one by one, use by the day, each entry with the balance behind it.

use std::fmt;
use std::str::FromStr;

use mail::time::Time;
use store::{Id, Row, Tx};

use crate::{Accounts, AccountsError, Result};

const DAY: i64 = 86_400;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// All accepted recipients of one day in UTC.
    Usage,
    /// What the account began with.
    Opening,
    Grant,
    /// Taken back by the operator.
    Correction,
    Voucher,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Opening => "opening",
            Self::Grant => "grant",
            Self::Correction => "correction",
            Self::Voucher => "voucher",
        }
    }

    /// A grant as it is stored; one of a newer version counts as any other grant.
    fn stored(text: &str, amount: i64) -> Self {
        match text {
            "opening" => Self::Opening,
            "voucher" => Self::Voucher,
            _ if amount < 0 => Self::Correction,
            _ => Self::Grant,
        }
    }
}

/// Which entry of an account's ledger; as text it is the day or the grant's identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The use of this day, counted from 1970-01-01.
    Day(i64),
    Grant(Id),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day(day) => f.write_str(&date(*day)),
            Self::Grant(id) => id.fmt(f),
        }
    }
}

/// The text names no entry.
#[derive(Debug, thiserror::Error)]
#[error("this is no entry of a ledger")]
pub struct NoPlace;

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Grant(id));
        }
        let midnight = Time::parse_rfc3339(&format!("{text}T00:00:00Z")).ok_or(NoPlace)?;
        Ok(Self::Day(midnight.day()))
    }
}

/// `2026-11-25`
fn date(day: i64) -> String {
    let mut text = Time::from_secs(day.saturating_mul(DAY)).rfc3339();
    text.truncate(10);
    text
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerEntry {
    pub place: Place,
    /// When it was granted; the beginning of the day for use.
    pub at: Time,
    pub kind: Kind,
    /// Negative where credits went.
    pub amount: i64,
    /// What was left behind it. The use of a day stands behind the grants of that day, so that no balance between the two
    /// is less than it ever was.
    pub balance: i64,
    /// Empty for use.
    pub reason: String,
}

impl LedgerEntry {
    /// The day in UTC, as `2026-11-25`.
    pub fn day(&self) -> String {
        date(self.at.day())
    }
}

/// What stands behind an entry in the list, which is the older part of the ledger.
struct Older {
    /// Grants before this moment, and of this very moment those with lesser identifiers.
    at: i64,
    id: Id,
    /// Use before this day.
    day: i64,
}

impl Accounts {
    /// The entries behind `after`, newest first, at most `limit`.
    pub async fn ledger(&self, account: Id, after: Option<Place>, limit: u32) -> Result<Vec<LedgerEntry>> {
        let entries = self.inner.db.read("read a ledger", move |tx| {
            let Some(older) = older_than(tx, account, after)? else {
                return Ok(None);
            };
            let mut entries = grants(tx, account, &older, limit)?;
            entries.extend(usage(tx, account, &older, limit)?);
            entries.sort_by_key(|entry| std::cmp::Reverse(order(entry)));
            entries.truncate(limit as usize);
            let mut balance = balance_at(tx, account, &older)?;
            for entry in &mut entries {
                entry.balance = balance;
                balance -= entry.amount;
            }
            Ok(Some(entries))
        });
        entries
            .await?
            .ok_or(AccountsError::NotFound("entry of the ledger"))
    }
}

/// By day, in it the use last, grants by their time.
fn order(entry: &LedgerEntry) -> (i64, bool, i64, Option<Id>) {
    let (is_use, id) = match entry.place {
        Place::Day(_) => (true, None),
        Place::Grant(id) => (false, Some(id)),
    };
    (entry.at.day(), is_use, entry.at.as_micros(), id)
}

fn older_than(tx: &mut Tx<'_>, account: Id, after: Option<Place>) -> store::Result<Option<Older>> {
    let none = Id::from_bytes([0; 16]);
    Ok(match after {
        None => Some(Older {
            at: i64::MAX,
            id: none,
            day: i64::MAX,
        }),
        Some(Place::Day(day)) => Some(Older {
            at: Time::from_secs(day.saturating_add(1).saturating_mul(DAY)).as_micros(),
            id: none,
            day,
        }),
        Some(Place::Grant(id)) => {
            let row = tx.query_opt(
                "SELECT at FROM credit_grants WHERE id = $1 AND account = $2",
                &[(&id).into(), (&account).into()],
            )?;
            row.map(|row| {
                let at = row.time(0)?;
                Ok(Older {
                    at: at.as_micros(),
                    id,
                    day: at.day(),
                })
            })
            .transpose()?
        }
    })
}

fn grants(tx: &mut Tx<'_>, account: Id, older: &Older, limit: u32) -> store::Result<Vec<LedgerEntry>> {
    let sql = format!(
        "SELECT id, at, amount, kind, reason FROM credit_grants \
         WHERE account = $1 AND (at < $2 OR at = $2 AND id < $3) ORDER BY at DESC, id DESC LIMIT {limit}"
    );
    let rows = tx.query(&sql, &[(&account).into(), older.at.into(), (&older.id).into()])?;
    rows.iter().map(grant_of).collect()
}

fn grant_of(row: &Row) -> store::Result<LedgerEntry> {
    let amount = row.int(2)?;
    Ok(LedgerEntry {
        place: Place::Grant(row.id(0)?),
        at: row.time(1)?,
        kind: Kind::stored(&row.text(3)?, amount),
        amount,
        balance: 0,
        reason: row.text(4)?,
    })
}

fn usage(tx: &mut Tx<'_>, account: Id, older: &Older, limit: u32) -> store::Result<Vec<LedgerEntry>> {
    let sql = format!(
        "SELECT day, amount FROM credit_usage WHERE account = $1 AND day < $2 ORDER BY day DESC LIMIT {limit}"
    );
    let rows = tx.query(&sql, &[(&account).into(), older.day.into()])?;
    rows.iter()
        .map(|row| {
            let day = row.int(0)?;
            Ok(LedgerEntry {
                place: Place::Day(day),
                at: Time::from_secs(day.saturating_mul(DAY)),
                kind: Kind::Usage,
                amount: -row.int(1)?,
                balance: 0,
                reason: String::new(),
            })
        })
        .collect()
}

/// The balance of now less everything newer: what was left when the older part ended.
fn balance_at(tx: &mut Tx<'_>, account: Id, older: &Older) -> store::Result<i64> {
    let row = tx.query_opt(
        "SELECT a.balance \
         - (SELECT CAST(COALESCE(SUM(g.amount), 0) AS BIGINT) FROM credit_grants g \
            WHERE g.account = a.id AND (g.at > $2 OR g.at = $2 AND g.id >= $3)) \
         + (SELECT CAST(COALESCE(SUM(u.amount), 0) AS BIGINT) FROM credit_usage u \
            WHERE u.account = a.id AND u.day >= $4) \
         FROM accounts a WHERE a.id = $1",
        &[
            (&account).into(),
            older.at.into(),
            (&older.id).into(),
            older.day.into(),
        ],
    )?;
    row.map_or(Ok(0), |row| row.int(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back_from_its_text() {
        for place in [
            Place::Day(20_782),
            Place::Day(-1),
            Place::Grant(Id::from_bytes([7; 16])),
        ] {
            assert_eq!(place.to_string().parse::<Place>().unwrap(), place);
        }
        assert_eq!(Place::Day(20_782).to_string(), "2026-11-25");
        for text in ["", "2026-13-01", "2026-11-25T00:00:00Z", "20782", "x"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
