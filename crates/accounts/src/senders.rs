//! Single sender addresses: an account may send as an address whose owner said so by a link in a mail to it.

use std::time::Duration;

use mail::address::Address;
use mail::time::Time;
use store::{Id, Row, Tx};

use crate::audit::{self, By};
use crate::changes::{self, bump};
use crate::domains::HAS_VERIFIED;
use crate::limits::{Count, Limit};
use crate::links::{self, Purpose};
use crate::notices::{self, Matter};
use crate::{Accounts, AccountsError, Result, token, users};

/// The most sender addresses of one account, those that wait among them.
pub const MOST_SENDERS: i64 = 100;

const DAY: Duration = Duration::from_hours(24);
/// Mails of one account.
const OF_AN_ACCOUNT: Limit = Limit {
    what: "sender mails of",
    most: 50,
    window: DAY,
};
/// The same while the account may write to itself only.
const OF_A_SANDBOX: Limit = Limit {
    what: "sender mails of",
    most: 3,
    window: DAY,
};
/// Mails to one address, whichever accounts ask.
const TO_AN_ADDRESS: Limit = Limit {
    what: "sender mails to",
    most: 3,
    window: DAY,
};

/// An address that an account may send as, or asked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    pub id: Id,
    pub address: String,
    pub created_at: Time,
    /// When its owner was last written to.
    pub asked_at: Time,
    pub confirmed_at: Option<Time>,
}

/// What a link asks its reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub(crate) id: Id,
    /// The account that asked.
    pub account: Id,
    pub address: String,
    /// The address of who asked.
    pub asked_by: String,
    pub(crate) language: String,
}

enum Asking {
    Done(Sender),
    Refused(AccountsError),
}

impl Accounts {
    /// The account's sender addresses, by address.
    pub async fn single_senders(&self, account: Id) -> Result<Vec<Sender>> {
        let read = move |tx: &mut Tx<'_>| {
            let sql = format!("{COLUMNS} WHERE account = $1 ORDER BY address");
            tx.query(&sql, &[account.into()])?.iter().map(sender_of).collect()
        };
        Ok(self.inner.db.read("list the sender addresses", read).await?)
    }

    /// Asks the owner of an address, by a mail to it, whether this account may send as it. Asking again sends another mail;
    /// an address that is confirmed stays so without one.
    pub async fn ask_for_sender(&self, account: Id, address: &str, by: &By) -> Result<Sender> {
        let address = Address::parse(address.trim())?;
        let now = self.inner.clock.now();
        let (id, notice, audit) = (self.id(now), self.id(now), self.id(now));
        let by = by.clone();
        let asked = self.inner.db.write("ask for a sender address", move |tx| {
            changes::alone(tx)?;
            let key = address.login_key();
            let known = by_key(tx, account, &key)?;
            if let Some(known) = known.as_ref().filter(|known| known.confirmed_at.is_some()) {
                return Ok(Asking::Done(known.clone()));
            }
            if known.is_none()
                && let Some(refused) = no_room(tx, account)?
            {
                return Ok(Asking::Refused(refused));
            }
            // Mail of ours to strangers is no way around what the account itself may not do.
            let limit = match standing(tx, account)? {
                Standing::Free => &OF_AN_ACCOUNT,
                Standing::Sandbox => &OF_A_SANDBOX,
                Standing::Stopped => return Ok(Asking::Refused(AccountsError::Stopped)),
            };
            // The account first: one that may not ask any more uses up nobody's patience.
            for (limit, who) in [(limit, account.to_string()), (&TO_AN_ADDRESS, one_mailbox(&key))] {
                if let Count::Over(wait) = limit.count(tx, &who, now)? {
                    return Ok(Asking::Refused(AccountsError::TooOften(wait)));
                }
            }
            let sender = match known {
                Some(known) => Sender {
                    asked_at: now,
                    ..known
                },
                None => Sender {
                    id,
                    address: address.to_string(),
                    created_at: now,
                    asked_at: now,
                    confirmed_at: None,
                },
            };
            let language = users::language_of(tx, by.login)?;
            tx.run(
                "INSERT INTO senders (id, account, address, address_key, language, asked_by, created_at, asked_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $7) ON CONFLICT (account, address_key) DO UPDATE SET \
                 asked_at = $7, asked_by = $6, language = $5",
                &[
                    (&sender.id).into(),
                    account.into(),
                    (&sender.address).into(),
                    (&key).into(),
                    (&language).into(),
                    (&by.email).into(),
                    now.into(),
                ],
            )?;
            links::forget(tx, sender.id)?;
            let matter = Matter::SenderAsked {
                sender: sender.id.to_string(),
            };
            notices::note(tx, notice, &sender.address, &matter, (now, Duration::ZERO))?;
            audit::note(tx, (audit, now), account, &by, "sender.asked", &sender.address, "")?;
            Ok(Asking::Done(sender))
        });
        match asked.await? {
            Asking::Done(sender) => Ok(sender),
            Asking::Refused(error) => Err(error),
        }
    }

    /// Takes an address away from the account; links that wait for it stop working.
    pub async fn remove_sender(&self, account: Id, id: Id, by: &By) -> Result<()> {
        let now = self.inner.clock.now();
        let audit = self.id(now);
        let by = by.clone();
        let removed = self.inner.db.write("remove a sender address", move |tx| {
            let sql = "SELECT address FROM senders WHERE account = $1 AND id = $2";
            let Some(row) = tx.query_opt(sql, &[account.into(), id.into()])? else {
                return Ok(false);
            };
            tx.run("DELETE FROM senders WHERE id = $1", &[id.into()])?;
            links::forget(tx, id)?;
            audit::note(
                tx,
                (audit, now),
                account,
                &by,
                "sender.removed",
                &row.text(0)?,
                "",
            )?;
            bump(tx, account)?;
            Ok(true)
        });
        if removed.await? {
            Ok(())
        } else {
            Err(AccountsError::NotFound("sender address"))
        }
    }

    /// What the link in a mail asks, while it works.
    pub async fn asked_sender(&self, token: &str) -> Result<Option<Asked>> {
        let hash = token::hash(token);
        let now = self.inner.clock.now();
        let found = self.inner.db.read("look up what a link asks", move |tx| {
            match links::find(tx, Purpose::Sender, &hash, now)? {
                Some(link) => asked(tx, link.subject),
                None => Ok(None),
            }
        });
        Ok(found.await?)
    }

    /// Lets the account that asked send as the address. The link proves the address.
    pub async fn confirm_sender(&self, token: &str) -> Result<Asked> {
        let asked = self.asked_sender(token).await?.ok_or(AccountsError::LinkGone)?;
        let hash = token::hash(token);
        let now = self.inner.clock.now();
        let audit = self.id(now);
        let by = By::reader_of(&asked.address);
        let confirmed = asked.clone();
        let done = self.inner.db.write("confirm a sender address", move |tx| {
            if !links::consume(tx, Purpose::Sender, &hash, now)? {
                return Ok(false);
            }
            let changed = tx.execute(
                "UPDATE senders SET confirmed_at = $2 WHERE id = $1 AND confirmed_at IS NULL",
                &[(&asked.id).into(), now.into()],
            )?;
            if changed == 1 {
                audit::note(
                    tx,
                    (audit, now),
                    asked.account,
                    &by,
                    "sender.confirmed",
                    &asked.address,
                    "",
                )?;
                bump(tx, asked.account)?;
            }
            Ok(true)
        });
        if done.await? {
            Ok(confirmed)
        } else {
            Err(AccountsError::LinkGone)
        }
    }
}

/// The keys of the addresses that their owners confirmed.
pub(crate) fn confirmed(tx: &mut Tx<'_>, account: Id) -> store::Result<Vec<String>> {
    let sql = "SELECT address_key FROM senders WHERE account = $1 AND confirmed_at IS NOT NULL";
    tx.query(sql, &[account.into()])?
        .iter()
        .map(|row| row.text(0))
        .collect()
}

pub(crate) fn asked(tx: &mut Tx<'_>, id: Id) -> store::Result<Option<Asked>> {
    let sql = "SELECT id, account, address, asked_by, language FROM senders WHERE id = $1";
    let row = tx.query_opt(sql, &[id.into()])?;
    row.map(|row| {
        Ok(Asked {
            id: row.id(0)?,
            account: row.id(1)?,
            address: row.text(2)?,
            asked_by: row.text(3)?,
            language: row.text(4)?,
        })
    })
    .transpose()
}

enum Standing {
    Free,
    Sandbox,
    Stopped,
}

fn standing(tx: &mut Tx<'_>, account: Id) -> store::Result<Standing> {
    let sql = format!(
        "SELECT a.state, a.sandbox, CASE WHEN {HAS_VERIFIED} THEN 1 ELSE 0 END FROM accounts a WHERE a.id = $1"
    );
    let Some(row) = tx.query_opt(&sql, &[account.into()])? else {
        return Ok(Standing::Stopped);
    };
    Ok(match (row.text(0)?.as_str(), row.bool(1)?, row.bool(2)?) {
        ("active", true, false) => Standing::Sandbox,
        ("active", ..) => Standing::Free,
        _ => Standing::Stopped,
    })
}

/// The address without what stands behind a plus: most servers put all of these into one mailbox.
fn one_mailbox(key: &str) -> String {
    match key.rsplit_once('@') {
        Some((local, domain)) => format!("{}@{domain}", local.split('+').next().unwrap_or(local)),
        None => key.to_owned(),
    }
}

const COLUMNS: &str = "SELECT id, address, created_at, asked_at, confirmed_at FROM senders";

fn sender_of(row: &Row) -> store::Result<Sender> {
    Ok(Sender {
        id: row.id(0)?,
        address: row.text(1)?,
        created_at: row.time(2)?,
        asked_at: row.time(3)?,
        confirmed_at: row.opt_time(4)?,
    })
}

fn by_key(tx: &mut Tx<'_>, account: Id, key: &str) -> store::Result<Option<Sender>> {
    let sql = format!("{COLUMNS} WHERE account = $1 AND address_key = $2");
    tx.query_opt(&sql, &[account.into(), key.into()])?
        .map(|row| sender_of(&row))
        .transpose()
}

fn no_room(tx: &mut Tx<'_>, account: Id) -> store::Result<Option<AccountsError>> {
    let sql = "SELECT COUNT(*) FROM senders WHERE account = $1";
    let many = tx
        .query_opt(sql, &[account.into()])?
        .map_or(Ok(0), |row| row.int(0))?;
    Ok((many >= MOST_SENDERS).then_some(AccountsError::TooMany {
        most: MOST_SENDERS,
        of: "sender addresses",
        remedy: "remove one, or verify the domain that they belong to",
    }))
}
