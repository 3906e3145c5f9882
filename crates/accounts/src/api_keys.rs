//! API keys: shown once, stored as a hash, limited to their scopes.

use std::collections::HashMap;

use mail::time::Time;
use store::{Id, Row, Tx, Value};

use crate::attempts::Tried;
use crate::audit::{self, By};
use crate::changes::{self, bump};
use crate::error::checked_name;
use crate::{
    Accounts, AccountsError, Approach, Principal, Reason, Result, Role, Scopes, Via, streams, token,
};

/// The most keys of one account that are not revoked.
pub const MOST_KEYS: i64 = 100;

/// A key as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    pub id: Id,
    pub name: String,
    /// The beginning of the key, to recognise it by.
    pub prefix: String,
    pub scopes: Scopes,
    /// The only stream that it sends in.
    pub stream: Option<String>,
    pub created_at: Time,
    pub used_at: Option<Time>,
    /// The address of the login that it belongs to.
    pub email: String,
}

/// A key to be made.
#[derive(Clone, Debug)]
pub struct WantedKey {
    pub name: String,
    pub scopes: Scopes,
    pub stream: Option<String>,
}

impl WantedKey {
    /// One that sends in any stream.
    pub fn new(name: &str, scopes: Scopes) -> Self {
        Self {
            name: name.to_owned(),
            scopes,
            stream: None,
        }
    }
}

/// A key that was just made: the only moment at which the whole of it is known.
#[derive(Clone, Debug)]
pub struct NewKey {
    pub secret: String,
    pub key: ApiKey,
}

impl Accounts {
    /// Makes a key for the account of `who`, who holds the scopes `held`; a key never mints a right it does not have.
    pub async fn create_key(
        &self,
        who: &Principal,
        held: &Scopes,
        wanted: WantedKey,
        by: &By,
    ) -> Result<NewKey> {
        let WantedKey { name, scopes, stream } = wanted;
        let name = checked_name(&name)?;
        self.within_stream(who, stream.as_deref()).await?;
        if scopes.is_empty() {
            return Err(AccountsError::NoScope);
        }
        if let Some(scope) = scopes.beyond(held) {
            return Err(AccountsError::ScopeNotHeld(scope));
        }
        let login = who.login.ok_or(AccountsError::NotFound("login"))?;
        let secret = token::api_key(&self.inner.ids.secret(token::RANDOM_OCTETS));
        let now = self.inner.clock.now();
        let key = ApiKey {
            id: self.id(now),
            name,
            prefix: token::shown(&secret).to_owned(),
            scopes,
            stream,
            created_at: now,
            used_at: None,
            email: who.email.clone(),
        };
        let (made, account, hash) = (key.clone(), who.account, token::hash(&secret));
        let (audit, by) = (self.id(now), by.clone());
        self.inner
            .db
            .write("create an API key", move |tx| {
                changes::alone(tx)?;
                if count(tx, account)? >= MOST_KEYS {
                    return Ok(Err(AccountsError::TooMany {
                        most: MOST_KEYS,
                        of: "API keys",
                        remedy: "revoke one that nothing uses any more",
                    }));
                }
                if let Some(slug) = &made.stream
                    && !streams::is_open(tx, account, slug)?
                {
                    return Ok(Err(AccountsError::NoSuchStream(slug.clone())));
                }
                tx.run(
                    "INSERT INTO api_keys (id, account, login, name, prefix, secret_hash, scopes, created_at, \
                     stream) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                    &[
                        (&made.id).into(),
                        (&account).into(),
                        (&login).into(),
                        (&made.name).into(),
                        (&made.prefix).into(),
                        Value::Blob(&hash),
                        (&made.scopes.to_text()).into(),
                        now.into(),
                        made.stream.as_ref().into(),
                    ],
                )?;
                let named = format!("{} ({}…)", made.name, made.prefix);
                let mut detail = made.scopes.to_text();
                if let Some(stream) = &made.stream {
                    detail = format!("{detail}, stream {stream}");
                }
                audit::note(tx, (audit, now), account, &by, "key.created", &named, &detail)?;
                bump(tx, account)?;
                Ok(Ok(()))
            })
            .await??;
        Ok(NewKey { secret, key })
    }

    /// Whose key this is and what it may do now.
    pub async fn find_key(&self, secret: &str) -> Result<Option<(Principal, Scopes, Role)>> {
        if !secret.starts_with(token::KEY_PREFIX) {
            return Ok(None);
        }
        let hash = token::hash(secret);
        let found = self
            .inner
            .db
            .read("look an API key up", move |tx| {
                let row = tx.query_opt(
                    "SELECT k.id, k.account, k.login, l.email, l.stamp, k.scopes, a.operator, l.role FROM api_keys k \
                     JOIN logins l ON l.id = k.login JOIN accounts a ON a.id = k.account \
                     WHERE k.secret_hash = $1 AND k.revoked_at IS NULL",
                    &[Value::Blob(&hash)],
                )?;
                row.map(|row| holder_of(&row)).transpose()
            })
            .await?;
        if let Some((
            Principal {
                via: Via::Key(id), ..
            },
            _,
            _,
        )) = found
        {
            self.touch(id, "UPDATE api_keys SET used_at = $2 WHERE id = $1");
        }
        Ok(found)
    }

    /// Notes that somebody came with a key that opens nothing.
    pub async fn note_refused_key(&self, secret: &str, from: &Approach) -> Result<()> {
        let hash = token::hash(secret);
        let owner = self
            .inner
            .db
            .peek("look for a revoked API key", move |tx| {
                let row = tx.query_opt(
                    "SELECT account FROM api_keys WHERE secret_hash = $1",
                    &[Value::Blob(&hash)],
                )?;
                row.map(|row| row.id(0)).transpose()
            })
            .await?;
        let reason = owner.map_or(Reason::UnknownKey, |_| Reason::RevokedKey);
        let tried = Tried::told(None, from, reason).of(owner);
        self.inner.journal.add(tried, self.inner.clock.now());
        Ok(())
    }

    /// The account's keys that are not revoked, or those of one login, newest first.
    pub async fn keys(&self, account: Id, login: Option<Id>) -> Result<Vec<ApiKey>> {
        let keys = self
            .inner
            .db
            .read("list the API keys", move |tx| {
                tx.query(
                    "SELECT k.id, k.name, k.prefix, k.scopes, k.created_at, k.used_at, l.email, k.stream FROM api_keys k \
                     JOIN logins l ON l.id = k.login WHERE k.account = $1 AND k.revoked_at IS NULL \
                     AND k.login = COALESCE($2, k.login) ORDER BY k.id DESC",
                    &[(&account).into(), login.into()],
                )?
                .iter()
                .map(key_of)
                .collect()
            })
            .await?;
        Ok(keys)
    }

    /// Revokes a key of the account, or of one login of it; it stops working at once.
    pub async fn revoke_key(&self, account: Id, key: Id, login: Option<Id>, by: &By) -> Result<()> {
        let now = self.inner.clock.now();
        let (audit, by) = (self.id(now), by.clone());
        let revoked = self
            .inner
            .db
            .write("revoke an API key", move |tx| {
                let revoked = tx.execute(
                    "UPDATE api_keys SET revoked_at = $3 WHERE id = $1 AND account = $2 AND revoked_at IS NULL \
                     AND login = COALESCE($4, login)",
                    &[(&key).into(), (&account).into(), now.into(), login.into()],
                )?;
                if revoked == 1 {
                    let named = tx.query_opt("SELECT name, prefix FROM api_keys WHERE id = $1", &[(&key).into()])?;
                    let named = match named {
                        Some(row) => format!("{} ({}…)", row.text(0)?, row.text(1)?),
                        None => key.to_string(),
                    };
                    audit::note(tx, (audit, now), account, &by, "key.revoked", &named, "")?;
                    bump(tx, account)?;
                }
                Ok(revoked)
            })
            .await?;
        if revoked == 0 {
            Err(AccountsError::NotFound("API key"))
        } else {
            Ok(())
        }
    }
}

/// Revokes the keys of a login that goes.
pub(crate) fn revoke_all_of(tx: &mut Tx<'_>, login: Id, now: Time) -> store::Result<()> {
    tx.run(
        "UPDATE api_keys SET revoked_at = $2 WHERE login = $1 AND revoked_at IS NULL",
        &[login.into(), now.into()],
    )
}

fn count(tx: &mut Tx<'_>, account: Id) -> store::Result<i64> {
    let sql = "SELECT COUNT(*) FROM api_keys WHERE account = $1 AND revoked_at IS NULL";
    let row = tx.query_opt(sql, &[(&account).into()])?;
    row.map_or(Ok(0), |row| row.int(0))
}

/// The account's keys that are not revoked, each with the only stream that it sends in.
pub(crate) fn read_active(tx: &mut Tx<'_>, account: Id) -> store::Result<HashMap<Id, Option<String>>> {
    tx.query(
        "SELECT id, stream FROM api_keys WHERE account = $1 AND revoked_at IS NULL",
        &[(&account).into()],
    )?
    .iter()
    .map(|row| Ok((row.id(0)?, row.opt_text(1)?)))
    .collect()
}

/// How many keys that are not revoked send in this stream only.
pub(crate) fn bound_to(tx: &mut Tx<'_>, account: Id, stream: &str) -> store::Result<i64> {
    let sql = "SELECT COUNT(*) FROM api_keys WHERE account = $1 AND stream = $2 AND revoked_at IS NULL";
    let row = tx.query_opt(sql, &[(&account).into(), stream.into()])?;
    row.map_or(Ok(0), |row| row.int(0))
}

fn holder_of(row: &Row) -> store::Result<(Principal, Scopes, Role)> {
    let principal = Principal {
        account: row.id(1)?,
        login: Some(row.id(2)?),
        email: row.text(3)?,
        stamp: row.int(4)?,
        via: Via::Key(row.id(0)?),
    };
    let role = Role::from_text(&row.text(7)?);
    let scopes = Scopes::from_text(&row.text(5)?).within(role, row.bool(6)?);
    Ok((principal, scopes, role))
}

fn key_of(row: &Row) -> store::Result<ApiKey> {
    Ok(ApiKey {
        id: row.id(0)?,
        name: row.text(1)?,
        prefix: row.text(2)?,
        scopes: Scopes::from_text(&row.text(3)?),
        created_at: row.time(4)?,
        used_at: row.opt_time(5)?,
        email: row.text(6)?,
        stream: row.opt_text(7)?,
    })
}
