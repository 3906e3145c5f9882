//! Credentials that are an IP range, for devices and load generators that can neither AUTH nor TLS. Operators give them.

use ipnet::IpNet;
use mail::time::Time;
use store::{Id, Row, Tx};

use crate::audit::{self, By};
use crate::changes::{self, bump_ranges};
use crate::error::checked_name;
use crate::{Accounts, AccountsError, Principal, Result, Via, ranges};

/// The most ranges of one account that are not revoked.
pub const MOST_RANGES: i64 = 100;

enum Creation {
    Done,
    Exists,
    TooMany,
}

/// A range and the account it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpCredential {
    pub id: Id,
    pub account: Id,
    /// The login it sends as.
    pub email: String,
    pub name: String,
    pub range: String,
    pub created_at: Time,
    pub used_at: Option<Time>,
}

impl Accounts {
    /// Lets every client in `range` send as the login `email` without a password.
    pub async fn create_ip_credential(
        &self,
        email: &str,
        range: &str,
        name: &str,
        by: &By,
    ) -> Result<IpCredential> {
        let range = ranges::parse(range)?.to_string();
        let name = if name.trim().is_empty() {
            range.clone()
        } else {
            checked_name(name)?
        };
        let login = self.login(email).await?;
        let now = self.inner.clock.now();
        let credential = IpCredential {
            id: self.id(now),
            account: login.account,
            email: login.email,
            name,
            range,
            created_at: now,
            used_at: None,
        };
        let made = credential.clone();
        let (audit, by) = (self.id(now), by.clone());
        let creation = self
            .inner
            .db
            .write("create an IP-range credential", move |tx| {
                changes::alone(tx)?;
                // Two accounts on one range would leave it to chance whose mail it is.
                let taken = "SELECT id FROM ip_credentials WHERE range = $1 AND revoked_at IS NULL";
                if tx.query_opt(taken, &[(&made.range).into()])?.is_some() {
                    return Ok(Creation::Exists);
                }
                let others = "SELECT COUNT(*) FROM ip_credentials WHERE account = $1 AND revoked_at IS NULL";
                let others = tx.query_opt(others, &[(&made.account).into()])?;
                if others.map_or(Ok(0), |row| row.int(0))? >= MOST_RANGES {
                    return Ok(Creation::TooMany);
                }
                tx.run(
                    "INSERT INTO ip_credentials (id, account, login, name, range, created_at) \
                     VALUES ($1, $2, $3, $4, $5, $6)",
                    &[
                        (&made.id).into(),
                        (&made.account).into(),
                        (&login.id).into(),
                        (&made.name).into(),
                        (&made.range).into(),
                        now.into(),
                    ],
                )?;
                let line = (audit, now);
                let sends_as = format!("sends as {}", made.email);
                audit::note(
                    tx,
                    line,
                    made.account,
                    &by,
                    "ip_range.created",
                    &made.range,
                    &sends_as,
                )?;
                bump_ranges(tx, made.account)?;
                Ok(Creation::Done)
            })
            .await?;
        match creation {
            Creation::Done => Ok(credential),
            Creation::Exists => Err(AccountsError::RangeExists(credential.range)),
            Creation::TooMany => Err(AccountsError::TooMany {
                most: MOST_RANGES,
                of: "IP-range credentials",
                remedy: "revoke one that nothing uses any more, or let in a range around several of them",
            }),
        }
    }

    /// All ranges that are not revoked, newest first.
    pub async fn ip_credentials(&self) -> Result<Vec<IpCredential>> {
        let credentials = self
            .inner
            .db
            .read("list the IP-range credentials", |tx| {
                tx.query(
                    "SELECT c.id, c.account, l.email, c.name, c.range, c.created_at, c.used_at FROM ip_credentials c \
                     JOIN logins l ON l.id = c.login WHERE c.revoked_at IS NULL ORDER BY c.id DESC",
                    &[],
                )?
                .iter()
                .map(credential_of)
                .collect()
            })
            .await?;
        Ok(credentials)
    }

    pub async fn revoke_ip_credential(&self, id: Id, by: &By) -> Result<()> {
        let now = self.inner.clock.now();
        let (audit, by) = (self.id(now), by.clone());
        let revoked = self
            .inner
            .db
            .write("revoke an IP-range credential", move |tx| {
                let active = "SELECT account, range FROM ip_credentials WHERE id = $1 AND revoked_at IS NULL";
                let Some(row) = tx.query_opt(active, &[(&id).into()])? else {
                    return Ok(false);
                };
                tx.run(
                    "UPDATE ip_credentials SET revoked_at = $2 WHERE id = $1",
                    &[(&id).into(), now.into()],
                )?;
                let (account, range) = (row.id(0)?, row.text(1)?);
                audit::note(tx, (audit, now), account, &by, "ip_range.revoked", &range, "")?;
                bump_ranges(tx, account)?;
                Ok(true)
            })
            .await?;
        if revoked {
            Ok(())
        } else {
            Err(AccountsError::NotFound("credential"))
        }
    }
}

/// Revokes the ranges that send as a login that goes.
pub(crate) fn revoke_all_of(tx: &mut Tx<'_>, login: Id, now: Time) -> store::Result<()> {
    tx.run(
        "UPDATE ip_credentials SET revoked_at = $2 WHERE login = $1 AND revoked_at IS NULL",
        &[login.into(), now.into()],
    )
}

/// What each active range stands for; one that an older or newer version wrote and this one cannot read is left out.
pub(crate) fn read_active(tx: &mut Tx<'_>) -> store::Result<Vec<(IpNet, Principal)>> {
    let rows = tx.query(
        "SELECT c.range, c.id, c.account, c.login, l.email, l.stamp FROM ip_credentials c \
         JOIN logins l ON l.id = c.login WHERE c.revoked_at IS NULL",
        &[],
    )?;
    let mut active = Vec::with_capacity(rows.len());
    for row in rows {
        let Ok(range) = ranges::parse(&row.text(0)?) else {
            continue;
        };
        let principal = Principal {
            account: row.id(2)?,
            login: Some(row.id(3)?),
            email: row.text(4)?,
            stamp: row.int(5)?,
            via: Via::IpRange(row.id(1)?),
        };
        active.push((range, principal));
    }
    Ok(active)
}

fn credential_of(row: &Row) -> store::Result<IpCredential> {
    Ok(IpCredential {
        id: row.id(0)?,
        account: row.id(1)?,
        email: row.text(2)?,
        name: row.text(3)?,
        range: row.text(4)?,
        created_at: row.time(5)?,
        used_at: row.opt_time(6)?,
    })
}
