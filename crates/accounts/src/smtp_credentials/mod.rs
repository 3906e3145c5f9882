//! Named SMTP credentials: a password of its own for each program that sends as a login.
//!
//! Such a password is machine-made, shown once and stored as a SHA-256. It opens SMTP and nothing else, and its owner may
//! bind it to networks, to a rate, to a day, and make a test credential of it, whose mail is kept and not sent.

mod rate;
mod read;

use ipnet::IpNet;
use mail::time::Time;
use store::{Id, Row, Tx, Value};

pub use self::rate::{Draws, OverRate, RateLeft, charge, give_back};
pub use self::read::Terms;
pub(crate) use self::read::{Active, Found, read_active};

use crate::audit::{self, By};
use crate::changes::{self, bump};
use crate::error::checked_name;
use crate::{Accounts, AccountsError, Principal, Result, ranges, streams, token};

/// The most credentials of one account that are not revoked.
pub const MOST_SMTP_CREDENTIALS: i64 = 100;
/// The most networks that one credential names.
const MOST_NETWORKS: usize = 20;
/// The highest rate that can be set, in recipients an hour.
const HIGHEST_RATE: u32 = 1_000_000;

/// A credential as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpCredential {
    pub id: Id,
    pub account: Id,
    pub login: Id,
    /// The address of the login, which is the username.
    pub email: String,
    pub name: String,
    /// The beginning of the password, to recognise it by.
    pub prefix: String,
    pub limits: CredentialLimits,
    /// Takes mail and keeps it in the local inbox.
    pub sandbox: bool,
    pub created_at: Time,
    /// To the minute.
    pub used_at: Option<Time>,
    pub used_from: Option<String>,
}

/// What its owner can change about a credential.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CredentialLimits {
    /// Where it may be used from; anywhere where there is none.
    pub networks: Vec<IpNet>,
    /// The most recipients an hour.
    pub rate: Option<u32>,
    /// When it stops.
    pub expires_at: Option<Time>,
    /// The only stream that it sends in.
    pub stream: Option<String>,
}

/// A credential to be made.
#[derive(Clone, Debug, Default)]
pub struct WantedCredential {
    /// The login of the account that it sends as; the maker's own where none is named.
    pub email: Option<String>,
    pub name: String,
    pub limits: CredentialLimits,
    pub sandbox: bool,
}

/// A change of a credential: what is given is replaced.
#[derive(Clone, Debug, Default)]
pub struct CredentialChange {
    pub name: Option<String>,
    pub limits: Option<CredentialLimits>,
}

/// A credential that was just made: the only moment at which its password is known.
#[derive(Clone, Debug)]
pub struct NewSmtpCredential {
    pub secret: String,
    pub credential: SmtpCredential,
}

impl CredentialLimits {
    /// Limits that somebody typed, in any stream.
    pub fn parse<'a>(
        networks: impl IntoIterator<Item = &'a str>,
        rate: Option<u32>,
        expires_at: Option<Time>,
    ) -> Result<Self> {
        let mut networks = networks
            .into_iter()
            .map(ranges::parse)
            .collect::<std::result::Result<Vec<_>, _>>()?;
        networks.sort();
        networks.dedup();
        if networks.len() > MOST_NETWORKS {
            return Err(AccountsError::TooManyNetworks(MOST_NETWORKS));
        }
        if rate.is_some_and(|rate| rate == 0 || rate > HIGHEST_RATE) {
            return Err(AccountsError::BadRate(HIGHEST_RATE));
        }
        Ok(Self {
            networks,
            rate,
            expires_at,
            stream: None,
        })
    }
}

impl Accounts {
    /// Makes a credential for a login of the account of `who`.
    pub async fn create_smtp_credential(
        &self,
        who: &Principal,
        wanted: WantedCredential,
        by: &By,
    ) -> Result<NewSmtpCredential> {
        let name = checked_name(&wanted.name)?;
        self.within_stream(who, wanted.limits.stream.as_deref()).await?;
        let now = self.inner.clock.now();
        future(wanted.limits.expires_at, now)?;
        let (login, email) = self.login_of(who, wanted.email.as_deref()).await?;
        let secret = token::smtp_password(&self.inner.ids.secret(token::RANDOM_OCTETS));
        let credential = SmtpCredential {
            id: self.id(now),
            account: who.account,
            login,
            email,
            name,
            prefix: token::shown(&secret).to_owned(),
            limits: wanted.limits,
            sandbox: wanted.sandbox,
            created_at: now,
            used_at: None,
            used_from: None,
        };
        let (made, hash) = (credential.clone(), token::hash(&secret));
        let (audit, by) = (self.id(now), by.clone());
        self.inner
            .db
            .write("create an SMTP credential", move |tx| {
                changes::alone(tx)?;
                if count(tx, made.account)? >= MOST_SMTP_CREDENTIALS {
                    return Ok(Err(AccountsError::TooMany {
                        most: MOST_SMTP_CREDENTIALS,
                        of: "SMTP credentials",
                        remedy: "revoke one that nothing uses any more",
                    }));
                }
                if let Some(closed) = closed_stream(tx, made.account, &made.limits)? {
                    return Ok(Err(closed));
                }
                insert(tx, &made, &hash)?;
                note(tx, (audit, now), &by, "smtp_credential.created", &made)?;
                bump(tx, made.account)?;
                Ok(Ok(()))
            })
            .await??;
        Ok(NewSmtpCredential { secret, credential })
    }

    /// The account's credentials that are not revoked, newest first.
    pub async fn smtp_credentials(&self, account: Id) -> Result<Vec<SmtpCredential>> {
        let list = move |tx: &mut Tx<'_>| {
            let sql = format!("{SELECT} WHERE c.account = $1 AND c.revoked_at IS NULL ORDER BY c.id DESC");
            tx.query(&sql, &[(&account).into()])?
                .iter()
                .map(credential_of)
                .collect()
        };
        Ok(self.inner.db.read("list the SMTP credentials", list).await?)
    }

    /// Changes a credential of the account; open sessions that signed in with it are held to it from the next command on.
    pub async fn change_smtp_credential(
        &self,
        account: Id,
        id: Id,
        change: CredentialChange,
        by: &By,
    ) -> Result<SmtpCredential> {
        let name = change.name.as_deref().map(checked_name).transpose()?;
        let now = self.inner.clock.now();
        future(change.limits.as_ref().and_then(|limits| limits.expires_at), now)?;
        let (audit, by) = (self.id(now), by.clone());
        let change = move |tx: &mut Tx<'_>| {
            changes::alone(tx)?;
            let Some(mut credential) = find(tx, account, id)? else {
                return Ok(Err(AccountsError::NotFound("SMTP credential")));
            };
            if let Some(name) = &name {
                credential.name.clone_from(name);
            }
            if let Some(limits) = &change.limits {
                if let Some(closed) = closed_stream(tx, account, limits)? {
                    return Ok(Err(closed));
                }
                credential.limits.clone_from(limits);
            }
            let limits = &credential.limits;
            tx.run(
                "UPDATE smtp_credentials SET name = $2, ranges = $3, rate = $4, expires_at = $5, stream = $6 WHERE id = $1",
                &[
                    (&id).into(),
                    (&credential.name).into(),
                    (&read::networks_to_text(&limits.networks)).into(),
                    limits.rate.into(),
                    limits.expires_at.into(),
                    limits.stream.as_ref().into(),
                ],
            )?;
            note(tx, (audit, now), &by, "smtp_credential.changed", &credential)?;
            bump(tx, account)?;
            Ok(Ok(credential))
        };
        self.inner.db.write("change an SMTP credential", change).await?
    }

    /// Revokes a credential of the account; it stops working at once, on open sessions too.
    pub async fn revoke_smtp_credential(&self, account: Id, id: Id, by: &By) -> Result<()> {
        let now = self.inner.clock.now();
        let (audit, by) = (self.id(now), by.clone());
        let revoke = move |tx: &mut Tx<'_>| {
            changes::alone(tx)?;
            let Some(credential) = find(tx, account, id)? else {
                return Ok(0);
            };
            note(tx, (audit, now), &by, "smtp_credential.revoked", &credential)?;
            let sql = "UPDATE smtp_credentials SET revoked_at = $2 WHERE id = $1";
            tx.run(sql, &[(&id).into(), now.into()])?;
            bump(tx, account)?;
            Ok(1)
        };
        match self.inner.db.write("revoke an SMTP credential", revoke).await? {
            0 => Err(AccountsError::NotFound("SMTP credential")),
            _ => Ok(()),
        }
    }
}

/// The stream that these limits name, where nothing can be bound to it.
fn closed_stream(
    tx: &mut Tx<'_>,
    account: Id,
    limits: &CredentialLimits,
) -> store::Result<Option<AccountsError>> {
    Ok(match &limits.stream {
        Some(slug) if !streams::is_open(tx, account, slug)? => {
            Some(AccountsError::NoSuchStream(slug.clone()))
        }
        _ => None,
    })
}

/// How many credentials that are not revoked send in this stream only.
pub(crate) fn bound_to(tx: &mut Tx<'_>, account: Id, stream: &str) -> store::Result<i64> {
    let sql =
        "SELECT COUNT(*) FROM smtp_credentials WHERE account = $1 AND stream = $2 AND revoked_at IS NULL";
    let row = tx.query_opt(sql, &[(&account).into(), stream.into()])?;
    row.map_or(Ok(0), |row| row.int(0))
}

fn future(expires_at: Option<Time>, now: Time) -> Result<()> {
    if expires_at.is_some_and(|at| at <= now) {
        return Err(AccountsError::PastExpiry);
    }
    Ok(())
}

const SELECT: &str = "SELECT c.id, c.account, c.login, l.email, c.name, c.prefix, c.ranges, c.rate, c.expires_at, c.sandbox, \
     c.created_at, c.used_at, c.used_from, c.stream FROM smtp_credentials c JOIN logins l ON l.id = c.login";

fn count(tx: &mut Tx<'_>, account: Id) -> store::Result<i64> {
    let sql = "SELECT COUNT(*) FROM smtp_credentials WHERE account = $1 AND revoked_at IS NULL";
    let row = tx.query_opt(sql, &[(&account).into()])?;
    row.map_or(Ok(0), |row| row.int(0))
}

/// Revokes the credentials of a login that goes.
pub(crate) fn revoke_all_of(tx: &mut Tx<'_>, login: Id, now: Time) -> store::Result<()> {
    tx.run(
        "UPDATE smtp_credentials SET revoked_at = $2 WHERE login = $1 AND revoked_at IS NULL",
        &[login.into(), now.into()],
    )
}

/// The account's credential, unless it is revoked.
fn find(tx: &mut Tx<'_>, account: Id, id: Id) -> store::Result<Option<SmtpCredential>> {
    let sql = format!("{SELECT} WHERE c.account = $1 AND c.id = $2 AND c.revoked_at IS NULL");
    let row = tx.query_opt(&sql, &[(&account).into(), (&id).into()])?;
    row.map(|row| credential_of(&row)).transpose()
}

/// Writes the change into the audit log, with what the credential is bound to.
fn note(
    tx: &mut Tx<'_>,
    at: (Id, Time),
    by: &By,
    action: &'static str,
    credential: &SmtpCredential,
) -> store::Result<()> {
    let target = format!("{} ({}…)", credential.name, credential.prefix);
    let limits = &credential.limits;
    let mut detail = vec![credential.email.clone()];
    detail.extend(limits.networks.iter().map(ToString::to_string));
    detail.extend(limits.rate.map(|rate| format!("{rate} an hour")));
    detail.extend(limits.expires_at.map(|at| format!("until {}", at.rfc3339())));
    detail.extend(limits.stream.as_ref().map(|stream| format!("stream {stream}")));
    detail.extend(credential.sandbox.then(|| "test".to_owned()));
    audit::note(
        tx,
        at,
        credential.account,
        by,
        action,
        &target,
        &detail.join(", "),
    )
}

fn insert(tx: &mut Tx<'_>, made: &SmtpCredential, hash: &[u8; 32]) -> store::Result<()> {
    tx.run(
        "INSERT INTO smtp_credentials (id, account, login, name, prefix, secret_hash, ranges, rate, expires_at, sandbox, \
         created_at, stream) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        &[
            (&made.id).into(),
            (&made.account).into(),
            (&made.login).into(),
            (&made.name).into(),
            (&made.prefix).into(),
            Value::Blob(hash),
            (&read::networks_to_text(&made.limits.networks)).into(),
            made.limits.rate.into(),
            made.limits.expires_at.into(),
            made.sandbox.into(),
            made.created_at.into(),
            made.limits.stream.as_ref().into(),
        ],
    )
}

fn credential_of(row: &Row) -> store::Result<SmtpCredential> {
    Ok(SmtpCredential {
        id: row.id(0)?,
        account: row.id(1)?,
        login: row.id(2)?,
        email: row.text(3)?,
        name: row.text(4)?,
        prefix: row.text(5)?,
        limits: CredentialLimits {
            networks: read::networks_from_text(&row.text(6)?),
            rate: read::rate(row.opt_int(7)?),
            expires_at: row.opt_time(8)?,
            stream: row.opt_text(13)?,
        },
        sandbox: row.bool(9)?,
        created_at: row.time(10)?,
        used_at: row.opt_time(11)?,
        used_from: row.opt_text(12)?,
    })
}
