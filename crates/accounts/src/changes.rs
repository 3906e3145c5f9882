//! Which accounts changed since when: a change counts everywhere at once, and only its own account is looked at anew.

use std::collections::HashMap;

use store::{Id, Tx};

use crate::audit::{self, By};
use crate::{Accounts, AccountsError, Result};

/// Accounts whose last change is remembered one by one; with more, everything is looked at anew once.
const MOST: usize = 10_000;

/// Stands where an account does, for a change that concerns all of them.
const EVERYBODY: Id = Id::from_bytes([0; 16]);

/// A state of everything that says who may do what. It moves with every change of it, in the same transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(i64);

/// Whether anything that says what `account` may do changed behind `epoch`. A transaction that relies on an earlier
/// check asks it.
pub fn changed_since(tx: &mut Tx<'_>, account: Id, epoch: Epoch) -> store::Result<bool> {
    let unchanged = tx.expect(
        0,
        "SELECT version FROM account_changes WHERE account = $1 AND version > $2",
        &[(&account).into(), epoch.0.into()],
    )?;
    Ok(!unchanged)
}

/// The epoch that a transaction sees.
pub(crate) fn epoch(tx: &mut Tx<'_>) -> store::Result<Epoch> {
    let row = tx.query_opt("SELECT version FROM changes WHERE one = 1", &[])?;
    row.map_or(Ok(Epoch(0)), |row| row.int(0).map(Epoch))
}

/// Makes this transaction wait for every other that changes something, and them for it: what it finds from here on
/// stays so until it is committed.
pub fn alone(tx: &mut Tx<'_>) -> store::Result<()> {
    tx.run("UPDATE changes SET version = version WHERE one = 1", &[])
}

/// Says that `account` may now do more or less than before. Belongs into the transaction that changes it.
///
/// It waits like [`alone`]. So epochs are committed in their order: whoever sees one sees the changes of all before it.
pub(crate) fn bump(tx: &mut Tx<'_>, account: Id) -> store::Result<()> {
    tx.run("UPDATE changes SET version = version + 1 WHERE one = 1", &[])?;
    tx.run(
        "INSERT INTO account_changes (account, version, ranges) SELECT $1, version, 0 FROM changes WHERE one = 1 \
         ON CONFLICT (account) DO UPDATE SET version = excluded.version",
        &[(&account).into()],
    )
}

/// The same for what concerns every account: all of them are looked at anew.
pub(crate) fn bump_everybody(tx: &mut Tx<'_>) -> store::Result<()> {
    bump(tx, EVERYBODY)
}

/// The same for a change of the IP ranges that stand for `account`.
pub(crate) fn bump_ranges(tx: &mut Tx<'_>, account: Id) -> store::Result<()> {
    bump(tx, account)?;
    tx.run(
        "UPDATE account_changes SET ranges = version WHERE account = $1",
        &[(&account).into()],
    )
}

impl Accounts {
    /// Writes what somebody chose for an account, with its line in the audit log (action, detail). It counts at once.
    pub(crate) async fn choose<F>(
        &self,
        account: Id,
        (what, action, detail): (&'static str, &'static str, String),
        by: &By,
        write: F,
    ) -> Result<()>
    where
        F: Fn(&mut Tx<'_>) -> store::Result<()> + Send + 'static,
    {
        let now = self.inner.clock.now();
        let (line, by) = ((self.id(now), now), by.clone());
        let done = self.inner.db.write(what, move |tx| {
            let there = tx.query_opt("SELECT 1 FROM accounts WHERE id = $1", &[account.into()])?;
            if there.is_none() {
                return Ok(false);
            }
            write(tx)?;
            audit::note(tx, line, account, &by, action, "", &detail)?;
            bump(tx, account)?;
            Ok(true)
        });
        if !done.await? {
            return Err(AccountsError::NotFound("account"));
        }
        self.refresh().await?;
        Ok(())
    }
}

/// The last change of an account.
pub(crate) struct Change {
    account: Id,
    at: Epoch,
    /// The last change of its IP ranges.
    ranges: Epoch,
}

/// The accounts that changed behind `epoch`, by their last change; not many more than are remembered one by one.
pub(crate) fn since(tx: &mut Tx<'_>, epoch: Epoch) -> store::Result<Vec<Change>> {
    let sql = format!(
        "SELECT account, version, ranges FROM account_changes WHERE version > $1 ORDER BY version LIMIT {}",
        MOST + 1
    );
    tx.query(&sql, &[epoch.0.into()])?
        .iter()
        .map(|row| {
            Ok(Change {
                account: row.id(0)?,
                at: Epoch(row.int(1)?),
                ranges: Epoch(row.int(2)?),
            })
        })
        .collect()
}

/// The changes that this process knows of, which say how long what it has read still counts.
pub(crate) struct Known {
    epoch: Epoch,
    /// What was read before counts no more, whomever it is about.
    floor: Epoch,
    /// The last change of each account behind the floor.
    accounts: HashMap<Id, Epoch>,
    ranges: Epoch,
}

impl Known {
    /// Before anything was read.
    pub(crate) fn nothing() -> Self {
        Self::from(Epoch(-1))
    }

    fn from(epoch: Epoch) -> Self {
        Self {
            epoch,
            floor: epoch,
            accounts: HashMap::new(),
            ranges: epoch,
        }
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Takes `changes`, all behind the epoch known so far, after `seen` was found to be the present one.
    pub(crate) fn learn(&mut self, seen: Epoch, changes: &[Change]) {
        let told = changes.iter().map(|change| change.at).max();
        // Where the newest change is none of an account (a restored backup, another version of this program), nobody
        // knows whom it concerns.
        let everybody = changes.iter().any(|change| change.account == EVERYBODY);
        if everybody || told < Some(seen) || self.accounts.len() + changes.len() > MOST {
            *self = Self::from(seen);
            return;
        }
        for change in changes {
            self.accounts.insert(change.account, change.at);
            self.ranges = self.ranges.max(change.ranges);
            self.epoch = self.epoch.max(change.at);
        }
    }

    /// Whether what was read of `account` at `epoch` still counts.
    pub(crate) fn counts(&self, account: Id, epoch: Epoch) -> bool {
        let changed = self.accounts.get(&account).copied();
        epoch >= changed.unwrap_or(self.floor).max(self.floor)
    }

    /// Whether the IP ranges of all accounts that were read at `epoch` still count.
    pub(crate) fn ranges_count(&self, epoch: Epoch) -> bool {
        epoch >= self.ranges.max(self.floor)
    }

    /// Whether it still counts that something was not there at `epoch`: any change may have made it.
    pub(crate) fn absence_counts(&self, epoch: Epoch) -> bool {
        epoch >= self.epoch
    }
}

#[cfg(test)]
mod tests {
    use mail::time::Time;
    use store::Ids;

    use super::*;

    fn ids<const N: usize>() -> [Id; N] {
        let ids = Ids::new();
        std::array::from_fn(|_| ids.next(Time::from_secs(1_800_000_000)))
    }

    fn change(account: Id, at: i64, ranges: i64) -> Change {
        Change {
            account,
            at: Epoch(at),
            ranges: Epoch(ranges),
        }
    }

    #[test]
    fn a_change_ends_what_was_read_of_its_account_before_it() {
        let [ann, bob] = ids();
        let mut known = Known::nothing();
        known.learn(Epoch(5), &[change(bob, 5, 0)]);
        known.learn(Epoch(7), &[change(ann, 7, 0)]);
        assert_eq!(known.epoch(), Epoch(7));
        assert!(!known.counts(ann, Epoch(6)), "a reader that was slow");
        assert!(known.counts(ann, Epoch(7)));
        assert!(known.counts(bob, Epoch(5)) && !known.counts(bob, Epoch(4)));
        assert!(known.ranges_count(Epoch(1)));
        assert!(!known.absence_counts(Epoch(6)) && known.absence_counts(Epoch(7)));
    }

    #[test]
    fn a_change_of_ranges_ends_the_ranges_of_all() {
        let [ann, bob] = ids();
        let mut known = Known::nothing();
        known.learn(Epoch(6), &[change(ann, 6, 6)]);
        known.learn(Epoch(9), &[change(ann, 8, 6), change(bob, 9, 3)]);
        assert!(!known.ranges_count(Epoch(5)) && known.ranges_count(Epoch(6)));
    }

    #[test]
    fn a_change_that_came_while_they_were_listed_is_known_too() {
        let [ann, bob] = ids();
        let mut known = Known::nothing();
        known.learn(Epoch(3), &[change(ann, 3, 0), change(bob, 4, 0)]);
        assert_eq!(known.epoch(), Epoch(4));
        assert!(!known.counts(bob, Epoch(3)));
    }

    #[test]
    fn a_change_of_nobody_in_particular_ends_everything() {
        let [ann, bob] = ids();
        let mut known = Known::nothing();
        known.learn(Epoch(3), &[change(ann, 3, 0)]);
        known.learn(Epoch(5), &[change(ann, 4, 0)]);
        assert_eq!(known.epoch(), Epoch(5));
        for account in [ann, bob] {
            assert!(!known.counts(account, Epoch(4)) && known.counts(account, Epoch(5)));
        }
        assert!(!known.ranges_count(Epoch(4)));
    }

    #[test]
    fn a_change_of_everybody_ends_everything_whatever_came_behind_it() {
        let [ann, bob] = ids();
        let mut known = Known::nothing();
        known.learn(Epoch(3), &[change(ann, 3, 0)]);
        known.learn(Epoch(5), &[change(EVERYBODY, 4, 0), change(ann, 5, 0)]);
        for account in [ann, bob] {
            assert!(!known.counts(account, Epoch(4)) && known.counts(account, Epoch(5)));
        }
    }

    #[test]
    fn more_changes_than_are_worth_keeping_end_everything_once() {
        let ids = Ids::new();
        let mut known = Known::nothing();
        for at in 1..=MOST as i64 {
            let account = ids.next(Time::from_secs(1_800_000_000));
            known.learn(Epoch(at), &[change(account, at, 0)]);
        }
        let [ann, bob] = self::ids();
        assert!(known.counts(ann, Epoch(0)));
        known.learn(Epoch(20_000), &[change(ann, 20_000, 0)]);
        assert!(!known.counts(bob, Epoch(19_999)) && known.counts(bob, Epoch(20_000)));
        assert!(known.accounts.is_empty());
    }
}
