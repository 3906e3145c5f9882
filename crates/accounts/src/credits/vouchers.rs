//! Vouchers: codes that stand for credits, made by the operator, shown once, kept as their hash.
//!
//! Codes are made in batches that share value, end and number of uses. A code is redeemed by an account once at most.

use std::net::IpAddr;
use std::time::Duration;

use mail::time::Time;
use store::{Id, Ids, Row, Tx, Value};

use super::{Grant, Granting, Kind, MOST, add, checked_reason};
use crate::audit::{self, By};
use crate::limits::{Count, Limit, network};
use crate::typed_code::TypedCode;
use crate::{Accounts, AccountsError, Result};

/// The most codes of one batch.
pub const MOST_CODES: u32 = 1_000;
/// The most accounts that one code may be redeemed by.
pub const MOST_USES: u32 = 1_000_000;
/// The most batches; they stay in the list for good.
const MOST_BATCHES: i64 = 1_000;

/// Codes that one account may try, right ones among them.
const TRIES_OF_AN_ACCOUNT: Limit = Limit {
    what: "voucher of",
    most: 20,
    window: Duration::from_hours(1),
};
/// The same from one network, whose accounts may be many.
const TRIES_OF_A_NETWORK: Limit = Limit {
    what: "voucher from",
    most: 100,
    window: Duration::from_hours(1),
};

/// Codes to be made.
#[derive(Clone, Debug)]
pub struct NewBatch {
    /// Stands in the ledger of whoever redeems one.
    pub reason: String,
    /// Credits for each use.
    pub amount: i64,
    pub codes: u32,
    /// How many accounts may redeem each code.
    pub uses: u32,
    pub expires_at: Option<Time>,
}

/// A batch as lists show it; its codes are known to nobody any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    pub id: Id,
    pub reason: String,
    pub amount: i64,
    pub codes: u32,
    pub uses: u32,
    pub used: i64,
    pub created_at: Time,
    pub expires_at: Option<Time>,
    pub revoked_at: Option<Time>,
}

/// What a redeemed code brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redeemed {
    pub amount: i64,
    pub balance: i64,
}

/// What came of a code.
enum Redeeming {
    Done(Redeemed),
    /// Never made, used up, too old or revoked: whoever tries learns no more.
    Useless,
    /// This account had its credits already, which it knows.
    Again,
    Unlimited,
    TooMuch,
    TooOften(Duration),
}

impl Accounts {
    /// Makes codes and tells them, this once.
    pub async fn create_vouchers(&self, new: NewBatch, by: &By) -> Result<(Batch, Vec<String>)> {
        let reason = checked_reason(&new.reason)?;
        if !(1..=MOST).contains(&new.amount) {
            return Err(AccountsError::BadVoucherValue);
        }
        if !(1..=MOST_CODES).contains(&new.codes) {
            return Err(AccountsError::BadCodes);
        }
        if !(1..=MOST_USES).contains(&new.uses) {
            return Err(AccountsError::BadUses);
        }
        let now = self.inner.clock.now();
        if new.expires_at.is_some_and(|end| end <= now) {
            return Err(AccountsError::EndsBefore);
        }
        let batch = Batch {
            id: self.id(now),
            reason,
            amount: new.amount,
            codes: new.codes,
            uses: new.uses,
            used: 0,
            created_at: now,
            expires_at: new.expires_at,
            revoked_at: None,
        };
        let codes: Vec<TypedCode> = (0..new.codes).map(|_| TypedCode::new(&self.inner.ids)).collect();
        let hashes: Vec<[u8; 32]> = codes.iter().map(TypedCode::hash).collect();
        let made = batch.clone();
        let (audit, by) = (self.id(now), by.clone());
        let fits = self.inner.db.write("make vouchers", move |tx| {
            let row = tx.query_opt("SELECT COUNT(*) FROM voucher_batches", &[])?;
            if row.map_or(Ok(0), |row| row.int(0))? >= MOST_BATCHES {
                return Ok(false);
            }
            insert_batch(tx, &made)?;
            for hash in &hashes {
                tx.run(
                    "INSERT INTO vouchers (code_hash, batch, used) VALUES ($1, $2, 0)",
                    &[Value::Blob(hash), (&made.id).into()],
                )?;
            }
            let what = format!("{} codes of {} credits", made.codes, made.amount);
            audit::note(
                tx,
                (audit, now),
                None,
                &by,
                "vouchers.created",
                &made.reason,
                &what,
            )?;
            Ok(true)
        });
        if !fits.await? {
            return Err(AccountsError::TooMany {
                most: MOST_BATCHES,
                of: "batches of vouchers",
                remedy: "make fewer and larger ones",
            });
        }
        Ok((batch, codes.iter().map(TypedCode::shown).collect()))
    }

    /// The batches behind `after`, newest first, at most `limit`.
    pub async fn vouchers(&self, after: Option<Id>, limit: u32) -> Result<Vec<Batch>> {
        let batches = self.inner.db.read("list the vouchers", move |tx| {
            let last = after.unwrap_or(Id::from_bytes([0xff; 16]));
            let sql = format!(
                "SELECT b.id, b.reason, b.amount, b.codes, b.uses, b.created_at, b.expires_at, b.revoked_at, \
                 (SELECT CAST(COALESCE(SUM(v.used), 0) AS BIGINT) FROM vouchers v WHERE v.batch = b.id) \
                 FROM voucher_batches b WHERE b.id < $1 ORDER BY b.id DESC LIMIT {limit}"
            );
            tx.query(&sql, &[(&last).into()])?.iter().map(batch_of).collect()
        });
        Ok(batches.await?)
    }

    /// Makes all codes of a batch useless; what was redeemed stays.
    pub async fn revoke_vouchers(&self, batch: Id, by: &By) -> Result<()> {
        let now = self.inner.clock.now();
        let (audit, by) = (self.id(now), by.clone());
        let revoked = self.inner.db.write("revoke vouchers", move |tx| {
            let row = tx.query_opt(
                "UPDATE voucher_batches SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL RETURNING reason",
                &[(&batch).into(), now.into()],
            )?;
            let Some(row) = row else { return Ok(false) };
            audit::note(tx, (audit, now), None, &by, "vouchers.revoked", &row.text(0)?, "")?;
            Ok(true)
        });
        if !revoked.await? {
            return Err(AccountsError::NotFound("batch of vouchers"));
        }
        Ok(())
    }

    /// Gives the credits of a code to an account.
    pub async fn redeem(&self, account: Id, code: &str, from: IpAddr, by: &By) -> Result<Redeemed> {
        let hash = TypedCode::read(code).map(|code| code.hash());
        let network = network(from);
        let now = self.inner.clock.now();
        let (id, ids) = (self.id(now), self.inner.ids.clone());
        let (audit, by) = (self.id(now), by.clone());
        let redeeming = self.inner.db.write_for(account, "redeem a voucher", move |tx| {
            // Counted whatever comes of it, and before anything is looked up.
            for (limit, who) in [
                (TRIES_OF_AN_ACCOUNT, account.to_string()),
                (TRIES_OF_A_NETWORK, network.clone()),
            ] {
                if let Count::Over(wait) = limit.count(tx, &who, now)? {
                    return Ok(Redeeming::TooOften(wait));
                }
            }
            let Some(hash) = &hash else {
                return Ok(Redeeming::Useless);
            };
            let redeeming = redeem(tx, &ids, hash, (id, account), now)?;
            if let Redeeming::Done(Redeemed { amount, .. }) = redeeming {
                let amount = format!("{amount:+}");
                audit::note(tx, (audit, now), account, &by, "credits.redeemed", &amount, "")?;
            }
            Ok(redeeming)
        });
        match redeeming.await? {
            Redeeming::Done(redeemed) => Ok(redeemed),
            Redeeming::Useless => Err(AccountsError::UselessCode),
            Redeeming::Again => Err(AccountsError::RedeemedBefore),
            Redeeming::Unlimited => Err(AccountsError::Unlimited),
            Redeeming::TooMuch => Err(AccountsError::TooMuch),
            Redeeming::TooOften(wait) => Err(AccountsError::TooOften(wait)),
        }
    }
}

fn insert_batch(tx: &mut Tx<'_>, batch: &Batch) -> store::Result<()> {
    tx.run(
        "INSERT INTO voucher_batches (id, reason, amount, codes, uses, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            (&batch.id).into(),
            (&batch.reason).into(),
            batch.amount.into(),
            batch.codes.into(),
            batch.uses.into(),
            batch.created_at.into(),
            batch.expires_at.into(),
        ],
    )
}

fn redeem(
    tx: &mut Tx<'_>,
    ids: &Ids,
    hash: &[u8; 32],
    (id, account): (Id, Id),
    now: Time,
) -> store::Result<Redeeming> {
    // Taken hold of before it is looked at: two transactions cannot both find the last use of a code.
    let known = tx.execute(
        "UPDATE vouchers SET used = used WHERE code_hash = $1",
        &[Value::Blob(hash)],
    )?;
    if known == 0 {
        return Ok(Redeeming::Useless);
    }
    let before = tx.query_opt(
        "SELECT 1 FROM voucher_uses WHERE code_hash = $1 AND account = $2",
        &[Value::Blob(hash), (&account).into()],
    )?;
    if before.is_some() {
        return Ok(Redeeming::Again);
    }
    let row = tx.query_opt(
        "SELECT b.amount, b.reason FROM vouchers v JOIN voucher_batches b ON b.id = v.batch \
         WHERE v.code_hash = $1 AND v.used < b.uses AND b.revoked_at IS NULL \
         AND (b.expires_at IS NULL OR b.expires_at > $2)",
        &[Value::Blob(hash), now.into()],
    )?;
    let Some(row) = row else {
        return Ok(Redeeming::Useless);
    };
    let (amount, reason) = (row.int(0)?, row.text(1)?);
    let grant = Grant {
        id,
        account,
        at: now,
        amount,
        kind: Kind::Voucher,
        reason: &reason,
    };
    let balance = match add(tx, ids, &grant)? {
        Granting::Done(balance) => balance,
        Granting::Unlimited | Granting::NoAccount => return Ok(Redeeming::Unlimited),
        Granting::OutOfRange(_) => return Ok(Redeeming::TooMuch),
    };
    tx.run(
        "UPDATE vouchers SET used = used + 1 WHERE code_hash = $1",
        &[Value::Blob(hash)],
    )?;
    tx.run(
        "INSERT INTO voucher_uses (code_hash, account, at) VALUES ($1, $2, $3)",
        &[Value::Blob(hash), (&account).into(), now.into()],
    )?;
    Ok(Redeeming::Done(Redeemed { amount, balance }))
}

fn batch_of(row: &Row) -> store::Result<Batch> {
    let small = |column| row.int(column).map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    Ok(Batch {
        id: row.id(0)?,
        reason: row.text(1)?,
        amount: row.int(2)?,
        codes: small(3)?,
        uses: small(4)?,
        created_at: row.time(5)?,
        expires_at: row.opt_time(6)?,
        revoked_at: row.opt_time(7)?,
        used: row.int(8)?,
    })
}
