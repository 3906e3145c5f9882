//! Credits: one for each accepted envelope recipient. The balance is what was granted less what was used.

mod ledger;
mod vouchers;
mod warnings;

use mail::time::Time;
use store::{Id, Ids, Tx};

pub use ledger::{Kind, LedgerEntry, Place};
pub use vouchers::{Batch, MOST_CODES, MOST_USES, NewBatch, Redeemed};
pub use warnings::Left;
pub(crate) use warnings::still_true;

use crate::audit::{self, By};
use crate::people::Account;
use crate::{Accounts, AccountsError, Result};

/// The most credits of one account.
pub const MOST: i64 = 1_000_000_000_000;
/// A reason is a line of the ledger.
const LONGEST_REASON: usize = 200;

/// What came of charging an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    Paid,
    /// There are fewer credits than asked for; none was taken.
    TooFew {
        left: i64,
    },
    Suspended,
}

/// A change of a balance that is not use.
#[derive(Clone, Copy)]
pub(crate) struct Grant<'a> {
    pub(crate) id: Id,
    pub(crate) account: Id,
    pub(crate) at: Time,
    pub(crate) amount: i64,
    pub(crate) kind: Kind,
    /// Shown in the ledger.
    pub(crate) reason: &'a str,
}

/// What came of a grant.
pub(crate) enum Granting {
    /// With the new balance.
    Done(i64),
    NoAccount,
    Unlimited,
    /// With the balance that stays.
    OutOfRange(i64),
}

/// Takes `amount` credits from `account`, in the transaction that accepts the message. An account without limit pays
/// nothing and is not counted; whoever knows that from [`Accounts::pays`] need not ask. When few are left its people are
/// mailed; `ids` names these mails.
pub fn charge(tx: &mut Tx<'_>, ids: &Ids, account: Id, amount: i64, now: Time) -> store::Result<Charge> {
    // The condition and the subtraction are one statement: two transactions cannot both take the last credit.
    let paid = tx.query_opt(
        "UPDATE accounts SET balance = balance - $2 \
         WHERE id = $1 AND state = 'active' AND unlimited = 0 AND balance >= $2 \
         RETURNING balance, credit_mark, credit_warned",
        &[(&account).into(), amount.into()],
    )?;
    if let Some(row) = paid {
        tx.run(
            "INSERT INTO credit_usage (account, day, amount) VALUES ($1, $2, $3) \
             ON CONFLICT (account, day) DO UPDATE SET amount = credit_usage.amount + excluded.amount",
            &[(&account).into(), now.day().into(), amount.into()],
        )?;
        let balance = warnings::Balance {
            left: row.int(0)?,
            mark: row.int(1)?,
            warned: row.int(2)?,
        };
        warnings::note(tx, ids, account, balance, now)?;
        return Ok(Charge::Paid);
    }
    let row = tx.query_opt(
        "SELECT state, unlimited, balance FROM accounts WHERE id = $1",
        &[(&account).into()],
    )?;
    Ok(match row {
        Some(row) if row.text(0)? != "active" => Charge::Suspended,
        Some(row) if row.bool(1)? => Charge::Paid,
        Some(row) => Charge::TooFew { left: row.int(2)? },
        None => Charge::Suspended,
    })
}

/// Notes the credits that an account starts with.
pub(crate) fn open(tx: &mut Tx<'_>, id: Id, account: &Account) -> store::Result<()> {
    let Some(amount) = account.credits.filter(|amount| *amount != 0) else {
        return Ok(());
    };
    insert(
        tx,
        &Grant {
            id,
            account: account.id,
            at: account.created_at,
            amount,
            kind: Kind::Opening,
            reason: "",
        },
    )
}

/// Changes a balance and writes it into the ledger. Warnings begin anew: they count from what is there now.
pub(crate) fn add(tx: &mut Tx<'_>, ids: &Ids, grant: &Grant<'_>) -> store::Result<Granting> {
    let account = grant.account;
    let changed = tx.execute(
        "UPDATE accounts SET balance = balance + $2, credit_mark = balance + $2, credit_warned = 0 \
         WHERE id = $1 AND unlimited = 0 AND balance + $2 BETWEEN 0 AND $3",
        &[(&account).into(), grant.amount.into(), MOST.into()],
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
    let left = row.int(1)?;
    if changed == 0 {
        return Ok(Granting::OutOfRange(left));
    }
    insert(tx, grant)?;
    let balance = warnings::Balance {
        left,
        mark: left,
        warned: 0,
    };
    warnings::note(tx, ids, account, balance, grant.at)?;
    Ok(Granting::Done(left))
}

fn insert(tx: &mut Tx<'_>, grant: &Grant<'_>) -> store::Result<()> {
    tx.run(
        "INSERT INTO credit_grants (id, account, at, amount, kind, reason) VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            (&grant.id).into(),
            (&grant.account).into(),
            grant.at.into(),
            grant.amount.into(),
            grant.kind.as_str().into(),
            grant.reason.into(),
        ],
    )
}

/// Trims a reason and refuses what would break a line of the ledger.
pub(crate) fn checked_reason(reason: &str) -> Result<String> {
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > LONGEST_REASON || reason.chars().any(char::is_control) {
        return Err(AccountsError::BadReason);
    }
    Ok(reason.to_owned())
}

impl Accounts {
    /// Whether what the account sends is taken from its credits. As of the last [`Accounts::refresh`], from memory but for the first time.
    pub async fn pays(&self, account: Id) -> Result<bool> {
        self.view_pays(account).await
    }

    /// Adds `amount` credits (a negative one takes them back) and returns the new balance. The account's people read the
    /// reason.
    pub async fn grant(&self, account: Id, amount: i64, reason: &str, by: &By) -> Result<i64> {
        if amount == 0 {
            return Err(AccountsError::NoAmount);
        }
        if !(-MOST..=MOST).contains(&amount) {
            return Err(AccountsError::TooMuch);
        }
        let reason = checked_reason(reason)?;
        let now = self.inner.clock.now();
        let (id, ids) = (self.id(now), self.inner.ids.clone());
        let (audit, by) = (self.id(now), by.clone());
        let granting = self
            .inner
            .db
            .write_for(account, "grant credits", move |tx| {
                let grant = Grant {
                    id,
                    account,
                    at: now,
                    amount,
                    kind: if amount > 0 { Kind::Grant } else { Kind::Correction },
                    reason: &reason,
                };
                let granting = add(tx, &ids, &grant)?;
                if let Granting::Done(_) = granting {
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
                }
                Ok(granting)
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
}
