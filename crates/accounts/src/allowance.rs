//! How many recipients an account may write to a day, and to how many of them for the first time.
//!
//! A day is one of UTC. Both are counted in the transaction that accepts the message, so neither a restart nor a second node
//! gives anybody more. Who has no limit costs nothing: nothing is counted of them. Whom an account has written to is known by
//! 64 bits of a keyed hash, and only of accounts that have a limit on first-time recipients, which bounds how fast that grows.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use mail::address::Address;
use mail::time::Time;
use store::{Id, Tx, Value};

use crate::audit::By;
use crate::{Accounts, AccountsError, Principal, Result, Via};

/// The name under which the key of the hashes is kept.
const KEY: &str = "recipient_key";
/// Recipients that were first written to longer ago are forgotten, and count as first-time recipients once more.
const REMEMBERED_DAYS: i64 = 400;
/// How many hashes stand in one statement at most, and the steps that their number is rounded up to: each text of a statement
/// is prepared once.
const STEPS: [usize; 5] = [1, 4, 16, 64, 256];
/// Recipients forgotten in one go.
const FORGOTTEN: u32 = 5_000;

/// The most recipients of a day; none is as many as one likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DayLimits {
    pub recipients: Option<u32>,
    /// Recipients that the account has never written to before.
    pub first_time: Option<u32>,
}

/// The limits that hold where the operator gave an account none of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StandardLimits {
    /// Of accounts that the operator made.
    pub made: DayLimits,
    /// Of accounts that opened themselves.
    pub opened: DayLimits,
}

/// What an operator gave an account: nothing is as configured, 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnLimits {
    pub recipients: Option<u32>,
    pub first_time: Option<u32>,
}

impl OwnLimits {
    /// What holds for an account that `opened` itself or was made.
    pub(crate) fn in_force(self, opened: bool, standard: &StandardLimits) -> DayLimits {
        let standard = if opened { standard.opened } else { standard.made };
        let one = |own: Option<u32>, standard| match own {
            None => standard,
            Some(0) => None,
            Some(most) => Some(most),
        };
        DayLimits {
            recipients: one(self.recipients, standard.recipients),
            first_time: one(self.first_time, standard.first_time),
        }
    }
}

/// What was used of a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DayUsage {
    pub recipients: u32,
    pub first_time: u32,
}

/// Limits and usage of one account, as its people and the operator see them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayView {
    pub own: OwnLimits,
    pub limits: DayLimits,
    /// Counted only where there is a limit.
    pub used: DayUsage,
    /// When the next day begins.
    pub opens_at: Time,
}

/// A limit that is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    pub of: LimitOf,
    pub most: u32,
    /// How long until it opens again.
    pub opens_in: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitOf {
    Recipients,
    FirstTime,
}

/// What a message takes of its account's day; made before the transaction that accepts it, from what was then known.
#[derive(Clone, Debug, Default)]
pub struct Allowance {
    limits: DayLimits,
    recipients: u32,
    /// The recipients' hashes in their order, where first-time recipients are counted.
    hashes: Vec<i64>,
}

/// What came of taking it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taking {
    Taken(Taken),
    /// Nothing was counted.
    Reached(Reached),
}

/// What was counted of one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    first_time: Vec<i64>,
}

impl Allowance {
    /// The same without the recipients at these places: nothing is sent to them.
    #[must_use]
    pub fn without(&self, places: &HashSet<usize>) -> Self {
        let stays = |(place, hash): (usize, &i64)| (!places.contains(&place)).then_some(*hash);
        Self {
            limits: self.limits,
            recipients: self
                .recipients
                .saturating_sub(u32::try_from(places.len()).unwrap_or(u32::MAX)),
            hashes: self.hashes.iter().enumerate().filter_map(stays).collect(),
        }
    }

    /// Counts the message's recipients, in the transaction that accepts it, all or none.
    pub fn take(&self, tx: &mut Tx<'_>, account: Id, now: Time) -> store::Result<Taking> {
        if self.limits == DayLimits::default() {
            return Ok(Taking::Taken(Taken::default()));
        }
        let day = now.day();
        let reached = |of, most: Option<u32>| {
            Taking::Reached(Reached {
                of,
                most: most.unwrap_or_default(),
                opens_in: next_day(now).since(now),
            })
        };
        let most = self.limits.recipients.unwrap_or(u32::MAX);
        // The row is locked from here on: whoever else sends for this account counts after us.
        if self.recipients > most || !count(tx, (account, day), self.recipients, most)? {
            return Ok(reached(LimitOf::Recipients, self.limits.recipients));
        }
        let Some(most) = self.limits.first_time else {
            return Ok(Taking::Taken(Taken::default()));
        };
        let known = known(tx, account, &self.hashes)?;
        let mut seen = HashSet::new();
        let first_time: Vec<i64> = self
            .hashes
            .iter()
            .copied()
            .filter(|hash| !known.contains(hash) && seen.insert(*hash))
            .collect();
        if !first_time.is_empty() {
            let fits = tx.execute(
                "UPDATE day_usage SET first_time = first_time + $2 WHERE account = $1 AND first_time + $2 <= $3",
                &[account.into(), number(first_time.len()), most.into()],
            )?;
            if fits == 0 {
                uncount(tx, account, self.recipients, 0)?;
                return Ok(reached(LimitOf::FirstTime, Some(most)));
            }
            remember(tx, (account, day), &first_time)?;
        }
        Ok(Taking::Taken(Taken { first_time }))
    }

    /// Takes back what [`Allowance::take`] counted a moment ago in the same transaction: the message is refused after all.
    pub fn give_back(&self, tx: &mut Tx<'_>, account: Id, taken: &Taken) -> store::Result<()> {
        if self.limits == DayLimits::default() {
            return Ok(());
        }
        uncount(tx, account, self.recipients, taken.first_time.len())?;
        for hashes in taken.first_time.chunks(STEPS[STEPS.len() - 1]) {
            let (places, values) = list(account, hashes, 1);
            let sql = format!("DELETE FROM known_recipients WHERE account = $1 AND hash IN ({places})");
            tx.run(&sql, &values)?;
        }
        Ok(())
    }
}

/// What is left of an account's day for one SMTP transaction, which asks recipient by recipient. What it says is a courtesy:
/// what counts is counted when the message is accepted.
#[derive(Debug)]
pub struct Quota {
    account: Id,
    limits: DayLimits,
    used: DayUsage,
    first_time: HashSet<i64>,
    recipients: u32,
}

impl Accounts {
    /// What a message to these takes of the account's day.
    pub async fn allowance<'a>(
        &self,
        principal: &Principal,
        recipients: impl ExactSizeIterator<Item = &'a Address>,
    ) -> Result<Allowance> {
        let limits = self.day_limits_of(principal).await?;
        let mut allowance = Allowance {
            limits,
            recipients: u32::try_from(recipients.len()).unwrap_or(u32::MAX),
            hashes: Vec::new(),
        };
        if limits.first_time.is_some() {
            let key = self.recipient_key().await?;
            allowance.hashes = recipients.map(|one| hash(&key, principal.account, one)).collect();
        }
        Ok(allowance)
    }

    /// What is left of the account's day at the beginning of an SMTP transaction; none where it has no limit.
    pub async fn quota(&self, principal: &Principal) -> Result<Option<Quota>> {
        let limits = self.day_limits_of(principal).await?;
        if limits == DayLimits::default() {
            return Ok(None);
        }
        let (account, day) = (principal.account, self.inner.clock.now().day());
        let used = self.inner.db.peek("look how much of a day is used", move |tx| {
            usage(tx, account, day)
        });
        Ok(Some(Quota {
            account,
            limits,
            used: used.await?,
            first_time: HashSet::new(),
            recipients: 0,
        }))
    }

    /// Whether one more recipient fits into the day; then it counts for the rest of the transaction.
    pub async fn fits(&self, quota: &mut Quota, recipient: &Address) -> Result<Option<Reached>> {
        let now = self.inner.clock.now();
        let reached = |of, most| Reached {
            of,
            most,
            opens_in: next_day(now).since(now),
        };
        if let Some(most) = quota.limits.recipients
            && quota.used.recipients.saturating_add(quota.recipients) >= most
        {
            return Ok(Some(reached(LimitOf::Recipients, most)));
        }
        if let Some(most) = quota.limits.first_time {
            let hash = hash(&*self.recipient_key().await?, quota.account, recipient);
            if !quota.first_time.contains(&hash) {
                let account = quota.account;
                let known = self
                    .inner
                    .db
                    .peek("look for a recipient among the known", move |tx| {
                        known(tx, account, &[hash])
                    });
                if known.await?.is_empty() {
                    if quota.used.first_time as usize + quota.first_time.len() >= most as usize {
                        return Ok(Some(reached(LimitOf::FirstTime, most)));
                    }
                    quota.first_time.insert(hash);
                }
            }
        }
        quota.recipients += 1;
        Ok(None)
    }

    /// Limits and usage of an account.
    pub async fn day(&self, account: Id) -> Result<DayView> {
        let now = self.inner.clock.now();
        let found = self.inner.db.read("read an account's day", move |tx| {
            let Some(row) = tx.query_opt("SELECT sandbox FROM accounts WHERE id = $1", &[account.into()])?
            else {
                return Ok(None);
            };
            Ok(Some((
                row.bool(0)?,
                own(tx, account)?,
                usage(tx, account, now.day())?,
            )))
        });
        let (opened, own, used) = found.await?.ok_or(AccountsError::NotFound("account"))?;
        Ok(DayView {
            own,
            limits: own.in_force(opened, &self.inner.settings.day_limits),
            used,
            opens_at: next_day(now),
        })
    }

    /// Gives an account limits in place of the configured ones. They count at once, for what is used of the day too.
    pub async fn limit_day(&self, account: Id, own: OwnLimits, by: &By) -> Result<()> {
        let said = format!(
            "{} recipients a day, {} for the first time",
            shown(own.recipients),
            shown(own.first_time)
        );
        let line = ("limit an account's day", "account.limited", said);
        self.choose(account, line, by, move |tx| {
            tx.run(
                "INSERT INTO day_limits (account, recipients, first_time) VALUES ($1, $2, $3) ON CONFLICT (account) \
                 DO UPDATE SET recipients = excluded.recipients, first_time = excluded.first_time",
                &[account.into(), own.recipients.into(), own.first_time.into()],
            )
        })
        .await
    }

    async fn day_limits_of(&self, principal: &Principal) -> Result<DayLimits> {
        if principal.via == Via::System {
            return Ok(DayLimits::default());
        }
        self.day_limits(principal.account).await
    }

    /// The key that recipients are hashed with: the same on every node, and in every backup.
    async fn recipient_key(&self) -> Result<Arc<hmac::Key>> {
        self.kept_key(KEY, &self.inner.recipient_key).await
    }
}

fn shown(limit: Option<u32>) -> String {
    match limit {
        None => "as configured".to_owned(),
        Some(0) => "any number of".to_owned(),
        Some(most) => most.to_string(),
    }
}

/// 64 bits that stand for this recipient of this account; nobody compares them over accounts.
fn hash(key: &hmac::Key, account: Id, recipient: &Address) -> i64 {
    let mut context = hmac::Context::with_key(key);
    context.update(account.as_bytes());
    context.update(recipient.login_key().as_bytes());
    let mut bits = [0; 8];
    bits.copy_from_slice(&context.sign().as_ref()[..8]);
    i64::from_be_bytes(bits)
}

fn next_day(now: Time) -> Time {
    Time::from_secs((now.day() + 1) * 24 * 3600)
}

fn number(count: usize) -> Value<'static> {
    i64::try_from(count).unwrap_or(i64::MAX).into()
}

/// Adds recipients to the day of an account, if that many fit. One statement: two transactions cannot both be the last.
fn count(tx: &mut Tx<'_>, (account, day): (Id, i64), recipients: u32, most: u32) -> store::Result<bool> {
    let counted = tx.execute(
        "INSERT INTO day_usage (account, day, recipients, first_time) VALUES ($1, $2, $3, 0) \
         ON CONFLICT (account) DO UPDATE SET \
         recipients = CASE WHEN day_usage.day < excluded.day THEN 0 ELSE day_usage.recipients END + excluded.recipients, \
         first_time = CASE WHEN day_usage.day < excluded.day THEN 0 ELSE day_usage.first_time END, \
         day = CASE WHEN day_usage.day < excluded.day THEN excluded.day ELSE day_usage.day END \
         WHERE CASE WHEN day_usage.day < excluded.day THEN 0 ELSE day_usage.recipients END + excluded.recipients <= $4",
        &[account.into(), day.into(), recipients.into(), most.into()],
    )?;
    Ok(counted == 1)
}

fn uncount(tx: &mut Tx<'_>, account: Id, recipients: u32, first_time: usize) -> store::Result<()> {
    tx.run(
        "UPDATE day_usage SET recipients = recipients - $2, first_time = first_time - $3 WHERE account = $1",
        &[account.into(), recipients.into(), number(first_time)],
    )
}

fn usage(tx: &mut Tx<'_>, account: Id, day: i64) -> store::Result<DayUsage> {
    let row = tx.query_opt(
        "SELECT recipients, first_time FROM day_usage WHERE account = $1 AND day >= $2",
        &[account.into(), day.into()],
    )?;
    row.map_or(Ok(DayUsage::default()), |row| {
        Ok(DayUsage {
            recipients: row.int(0)?.try_into().unwrap_or(u32::MAX),
            first_time: row.int(1)?.try_into().unwrap_or(u32::MAX),
        })
    })
}

pub(crate) fn own(tx: &mut Tx<'_>, account: Id) -> store::Result<OwnLimits> {
    let row = tx.query_opt(
        "SELECT recipients, first_time FROM day_limits WHERE account = $1",
        &[account.into()],
    )?;
    row.map_or(Ok(OwnLimits::default()), |row| {
        let limit = |column| {
            Ok::<_, store::StoreError>(row.opt_int(column)?.map(|n| n.try_into().unwrap_or(u32::MAX)))
        };
        Ok(OwnLimits {
            recipients: limit(0)?,
            first_time: limit(1)?,
        })
    })
}

/// Which of these recipients the account has written to.
fn known(tx: &mut Tx<'_>, account: Id, hashes: &[i64]) -> store::Result<HashSet<i64>> {
    let mut known = HashSet::new();
    for hashes in hashes.chunks(STEPS[STEPS.len() - 1]) {
        let (places, values) = list(account, hashes, 1);
        let sql = format!("SELECT hash FROM known_recipients WHERE account = $1 AND hash IN ({places})");
        for row in tx.query(&sql, &values)? {
            known.insert(row.int(0)?);
        }
    }
    Ok(known)
}

fn remember(tx: &mut Tx<'_>, (account, day): (Id, i64), hashes: &[i64]) -> store::Result<()> {
    for hashes in hashes.chunks(STEPS[STEPS.len() - 1]) {
        let (_, mut values) = list(account, hashes, 2);
        values.insert(1, day.into());
        let rows: Vec<String> = (3..=values.len()).map(|n| format!("($1, ${n}, $2)")).collect();
        let sql = format!(
            "INSERT INTO known_recipients (account, hash, day) VALUES {} ON CONFLICT (account, hash) DO NOTHING",
            rows.join(", ")
        );
        tx.run(&sql, &values)?;
    }
    Ok(())
}

/// Places for these hashes behind `before` other values, and the values with the account before them. The last hash fills the
/// step up: it says the same again.
fn list(account: Id, hashes: &[i64], before: usize) -> (String, Vec<Value<'static>>) {
    let step = STEPS.into_iter().find(|step| *step >= hashes.len());
    let step = step.unwrap_or(hashes.len());
    let mut values: Vec<Value<'static>> = vec![account.into()];
    values.extend(hashes.iter().map(|hash| Value::from(*hash)));
    if let Some(last) = hashes.last() {
        values.resize(step + 1, (*last).into());
    }
    let places: Vec<String> = (1..=step).map(|n| format!("${}", before + n)).collect();
    (places.join(", "), values)
}

/// Forgets recipients that were first written to long ago, a little at a time.
pub(crate) fn purge(tx: &mut Tx<'_>, now: Time) -> store::Result<()> {
    tx.run(
        "DELETE FROM known_recipients WHERE (account, hash) IN \
         (SELECT account, hash FROM known_recipients WHERE day < $1 ORDER BY day LIMIT $2)",
        &[(now.day() - REMEMBERED_DAYS).into(), FORGOTTEN.into()],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_word_goes_before_the_configuration() {
        let standard = StandardLimits {
            made: DayLimits::default(),
            opened: DayLimits {
                recipients: Some(1_000),
                first_time: Some(200),
            },
        };
        let own = |recipients, first_time| OwnLimits {
            recipients,
            first_time,
        };
        let limits = |recipients, first_time| DayLimits {
            recipients,
            first_time,
        };
        for (given, opened, expected) in [
            (own(None, None), false, limits(None, None)),
            (own(None, None), true, limits(Some(1_000), Some(200))),
            (own(Some(0), None), true, limits(None, Some(200))),
            (own(Some(5_000), Some(0)), true, limits(Some(5_000), None)),
            (own(None, Some(7)), false, limits(None, Some(7))),
        ] {
            assert_eq!(given.in_force(opened, &standard), expected, "{given:?} {opened}");
        }
    }

    #[test]
    fn a_recipient_has_one_hash_in_any_case_and_another_for_another_account() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"key");
        let (ours, theirs) = (Id::from_bytes([1; 16]), Id::from_bytes([2; 16]));
        let of = |account, text| hash(&key, account, &Address::parse(text).unwrap());
        assert_eq!(of(ours, "Bob@example.NET"), of(ours, "bob@example.net"));
        assert_ne!(of(ours, "bob@example.net"), of(theirs, "bob@example.net"));
        assert_ne!(of(ours, "bob@example.net"), of(ours, "bob@example.org"));
    }

    #[test]
    fn a_list_is_filled_up_to_its_step_with_its_last_hash() {
        let account = Id::from_bytes([1; 16]);
        let (places, values) = list(account, &[7, 8, 9], 1);
        assert_eq!(places, "$2, $3, $4, $5");
        assert_eq!(values[1..], [7_i64, 8, 9, 9].map(Value::from));
        assert_eq!(list(account, &[7], 1).0, "$2");
    }
}
