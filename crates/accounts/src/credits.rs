//! Credits: one for each accepted envelope recipient. The balance is what was granted less what was used.

use mail::time::Time;
use store::{Id, Tx};

use crate::audit::{self, By};
use crate::people::Account;
use crate::{Accounts, AccountsError, Result};

/// The most credits of one account.
pub const MOST: i64 = 1_000_000_000_000;

/// What came of charging an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    Paid,
    /// There are fewer credits than asked for; none was taken.
    Empty,
    Suspended,
}

/// One entry of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerEntry {
    pub at: Time,
    pub amount: i64,
    pub reason: String,
}

struct Grant<'a> {
    id: Id,
    account: Id,
    at: Time,
    amount: i64,
    reason: &'a str,
}

/// Takes `amount` credits from `account` for the day `now.day()`, in the transaction that accepts the message. An
/// account without limit pays nothing and is not counted.
pub fn charge(tx: &mut Tx<'_>, account: Id, amount: i64, day: i64) -> store::Result<Charge> {
    // The condition and the subtraction are one statement: two transactions cannot both take the last credit.
    let paid = tx.execute(
        "UPDATE accounts SET balance = balance - $2 \
         WHERE id = $1 AND state = 'active' AND unlimited = 0 AND balance >= $2",
        &[(&account).into(), amount.into()],
    )?;
    if paid == 1 {
        tx.run(
            "INSERT INTO credit_usage (account, day, amount) VALUES ($1, $2, $3) \
             ON CONFLICT (account, day) DO UPDATE SET amount = credit_usage.amount + excluded.amount",
            &[(&account).into(), day.into(), amount.into()],
        )?;
        return Ok(Charge::Paid);
    }
    let row = tx.query_opt(
        "SELECT state, unlimited FROM accounts WHERE id = $1",
        &[(&account).into()],
    )?;
    Ok(match row {
        Some(row) if row.text(0)? != "active" => Charge::Suspended,
        Some(row) if row.bool(1)? => Charge::Paid,
        Some(_) => Charge::Empty,
        None => Charge::Suspended,
    })
}

/// Notes the credits that an account starts with.
pub(crate) fn open(tx: &mut Tx<'_>, id: Id, account: &Account) -> store::Result<()> {
    let Some(amount) = account.credits.filter(|amount| *amount != 0) else {
        return Ok(());
    };
    insert_grant(
        tx,
        &Grant {
            id,
            account: account.id,
            at: account.created_at,
            amount,
            reason: "opening credits",
        },
    )
}

fn insert_grant(tx: &mut Tx<'_>, grant: &Grant<'_>) -> store::Result<()> {
    tx.run(
        "INSERT INTO credit_grants (id, account, at, amount, reason) VALUES ($1, $2, $3, $4, $5)",
        &[
            (&grant.id).into(),
            (&grant.account).into(),
            grant.at.into(),
            grant.amount.into(),
            grant.reason.into(),
        ],
    )
}

enum Granting {
    Done(i64),
    NoAccount,
    Unlimited,
    /// With the balance that stays.
    OutOfRange(i64),
}

impl Accounts {
    /// Adds `amount` credits (a negative one takes them back) and returns the new balance.
    pub async fn grant(&self, account: Id, amount: i64, reason: &str, by: &By) -> Result<i64> {
        if amount == 0 {
            return Err(AccountsError::NoAmount);
        }
        if !(-MOST..=MOST).contains(&amount) {
            return Err(AccountsError::TooMuch);
        }
        let now = self.inner.clock.now();
        let (id, audit, by) = (self.id(now), self.id(now), by.clone());
        let reason = reason.trim().to_owned();
        let granting = self
            .inner
            .db
            .write("grant credits", move |tx| {
                let changed = tx.execute(
                    "UPDATE accounts SET balance = balance + $2 \
                     WHERE id = $1 AND unlimited = 0 AND balance + $2 BETWEEN 0 AND $3",
                    &[(&account).into(), amount.into(), MOST.into()],
                )?;
                let row = tx.query_opt(
                    "SELECT unlimited, balance FROM accounts WHERE id = $1",
                    &[(&account).into()],
                )?;
                let Some(row) = row else {
                    return Ok(Granting::NoAccount);
                };
                if row.bool(0)? {
                    return Ok(Granting::Unlimited);
                }
                if changed == 0 {
                    return Ok(Granting::OutOfRange(row.int(1)?));
                }
                insert_grant(
                    tx,
                    &Grant {
                        id,
                        account,
                        at: now,
                        amount,
                        reason: &reason,
                    },
                )?;
                let amount = format!("{amount:+}");
                audit::note(
                    tx,
                    (audit, now),
                    account,
                    &by,
                    "credits.granted",
                    &amount,
                    &reason,
                )?;
                Ok(Granting::Done(row.int(1)?))
            })
            .await?;
        match granting {
            Granting::Done(balance) => Ok(balance),
            Granting::NoAccount => Err(AccountsError::NotFound("account")),
            Granting::Unlimited => Err(AccountsError::Unlimited),
            Granting::OutOfRange(_) if amount > 0 => Err(AccountsError::TooMuch),
            Granting::OutOfRange(balance) => Err(AccountsError::BelowZero(balance)),
        }
    }

    /// What was granted, newest first, at most `limit` entries.
    pub async fn grants(&self, account: Id, limit: u32) -> Result<Vec<LedgerEntry>> {
        let rows = self
            .inner
            .db
            .read("read the grants of an account", move |tx| {
                tx.query(
                    &format!("SELECT at, amount, reason FROM credit_grants WHERE account = $1 ORDER BY id DESC LIMIT {limit}"),
                    &[(&account).into()],
                )?
                .iter()
                .map(|row| Ok(LedgerEntry { at: row.time(0)?, amount: row.int(1)?, reason: row.text(2)? }))
                .collect()
            })
            .await?;
        Ok(rows)
    }
}
