//! Web sessions: a random token in a cookie, its hash in the database.

use std::time::Duration;

use mail::time::Time;
use store::{Id, Row, Tx, Value};

use crate::{Accounts, AccountsError, Principal, Result, Role, Scope, Via, impersonation, token};

const IDLE: Duration = Duration::from_hours(14 * 24);
const ABSOLUTE: Duration = Duration::from_hours(30 * 24);
/// How long a proof of who somebody is, the password entered, counts for what is dangerous.
pub const FRESH: Duration = Duration::from_mins(10);
/// A session that is used notes so at most this often.
pub(crate) const SEEN_EVERY: Duration = Duration::from_mins(1);

/// Where a session was opened from, for the list of sessions.
#[derive(Clone, Debug, Default)]
pub struct SessionOrigin {
    pub ip: String,
    pub agent: String,
}

/// A session that a token opened.
#[derive(Clone, Debug)]
pub struct Session {
    pub principal: Principal,
    pub created_at: Time,
    pub expires_at: Time,
    /// What its user is in the account at this moment.
    pub role: Role,
    /// Whoever uses it proved who they are no longer ago than [`FRESH`].
    pub fresh: bool,
    /// It was opened no longer ago than that; with whatever second step the login had then.
    pub young: bool,
}

/// A session as its owner's list shows it.
#[derive(Clone, Debug)]
pub struct OwnSession {
    /// The beginning of its token's hash, which opens nothing.
    pub id: Id,
    pub created_at: Time,
    /// To the minute.
    pub seen_at: Time,
    /// Where it was opened from.
    pub origin: SessionOrigin,
    /// It is the one that asks.
    pub current: bool,
}

impl Accounts {
    /// Opens a session for somebody who proved who they are, and returns its token. `None` where the password changed in
    /// between.
    pub async fn open_session(&self, who: &Principal, origin: SessionOrigin) -> Result<Option<String>> {
        let Some(login) = who.login else { return Ok(None) };
        let token = token::base62(&self.inner.ids.secret(token::RANDOM_OCTETS));
        let (hash, now, stamp) = (token::hash(&token), self.inner.clock.now(), who.stamp);
        let open = move |tx: &mut Tx<'_>| insert(tx, &hash, (login, stamp), &origin, now);
        let opened = self.inner.db.write("open a web session", open).await?;
        Ok(opened.then_some(token))
    }

    /// Whose session this token opens, if it still does.
    pub async fn find_session(&self, token: &str) -> Result<Option<Session>> {
        let hash = token::hash(token);
        let now = self.inner.clock.now();
        let found = self
            .inner
            .db
            .read("look a web session up", move |tx| read_session(tx, &hash, now))
            .await?;
        let Some((session, seen_at)) = found else {
            return Ok(None);
        };
        if now.since(seen_at) >= SEEN_EVERY {
            let expires_at = now.plus(IDLE).min(session.created_at.plus(ABSOLUTE));
            self.inner
                .db
                .write("note that a web session is used", move |tx| {
                    tx.run(
                        "UPDATE sessions SET seen_at = $2, expires_at = $3 WHERE token_hash = $1",
                        &[Value::Blob(&hash), now.into(), expires_at.into()],
                    )
                })
                .await?;
        }
        Ok(Some(session))
    }

    /// Notes that `who`, whose password was just verified, uses this session: what is dangerous may be done with it for
    /// a while. False where it is somebody else's, or over.
    pub async fn confirm_session(&self, token: &str, who: &Principal) -> Result<bool> {
        let (hash, who, now) = (token::hash(token), who.clone(), self.inner.clock.now());
        let confirm = move |tx: &mut Tx<'_>| confirm(tx, &hash, &who, now);
        Ok(self.inner.db.write("confirm a web session", confirm).await?)
    }

    /// The sessions of the login whose session `token` opens, those used last first.
    pub async fn own_sessions(&self, login: Id, token: &str) -> Result<Vec<OwnSession>> {
        let (current, now) = (token::hash(token), self.inner.clock.now());
        let read = move |tx: &mut Tx<'_>| {
            let sql = format!(
                "SELECT token_hash, created_at, seen_at, ip, agent FROM sessions s WHERE {LIVE} \
                 ORDER BY seen_at DESC, token_hash LIMIT 500"
            );
            let own = tx.query(&sql, &[(&login).into(), now.into()])?;
            own.iter().map(|row| own_session(row, &current)).collect()
        };
        Ok(self.inner.db.read("list web sessions", read).await?)
    }

    /// Ends one session of a login, as [`OwnSession::id`] names it.
    pub async fn end_session(&self, login: Id, id: Id) -> Result<()> {
        let end = move |tx: &mut Tx<'_>| {
            let own = tx.query(
                "SELECT token_hash FROM sessions WHERE login = $1",
                &[(&login).into()],
            )?;
            for row in own {
                let hash = row.blob(0)?;
                if id_of(&hash) == Some(id) {
                    tx.run(
                        "DELETE FROM sessions WHERE token_hash = $1",
                        &[Value::Blob(&hash)],
                    )?;
                    return Ok(true);
                }
            }
            Ok(false)
        };
        if self.inner.db.write("end a web session", end).await? {
            return Ok(());
        }
        Err(AccountsError::NotFound("session"))
    }

    /// Ends every session of a login but the one that `token` opens, and says how many those were.
    pub async fn end_other_sessions(&self, login: Id, token: &str) -> Result<u64> {
        let keep = token::hash(token);
        let end = move |tx: &mut Tx<'_>| {
            tx.execute(
                "DELETE FROM sessions WHERE login = $1 AND token_hash <> $2",
                &[(&login).into(), Value::Blob(&keep)],
            )
        };
        Ok(self.inner.db.write("end the other web sessions", end).await?)
    }

    pub async fn close_session(&self, token: &str) -> Result<()> {
        let (hash, ids, now) = (token::hash(token), self.inner.ids.clone(), self.inner.clock.now());
        let close = move |tx: &mut Tx<'_>| {
            impersonation::end_of_session(tx, &hash, &ids, now)?;
            tx.run(
                "DELETE FROM sessions WHERE token_hash = $1",
                &[Value::Blob(&hash)],
            )
        };
        Ok(self.inner.db.write("close a web session", close).await?)
    }
}

/// Notes that `who` proved to be there. False where the session with this token's hash is another's, or is over.
pub(crate) fn confirm(tx: &mut Tx<'_>, hash: &[u8; 32], who: &Principal, now: Time) -> store::Result<bool> {
    let Some(login) = who.login else { return Ok(false) };
    let confirmed = tx.execute(
        "UPDATE sessions SET proved_at = $4 WHERE token_hash = $1 AND login = $2 AND stamp = $3",
        &[Value::Blob(hash), (&login).into(), who.stamp.into(), now.into()],
    )?;
    Ok(confirmed == 1)
}

/// Opens the session with this token's hash. False where the login's password is another by now.
pub(crate) fn insert(
    tx: &mut Tx<'_>,
    hash: &[u8; 32],
    (login, stamp): (Id, i64),
    origin: &SessionOrigin,
    now: Time,
) -> store::Result<bool> {
    let current = tx.query_opt("SELECT stamp FROM logins WHERE id = $1", &[(&login).into()])?;
    if current.map(|row| row.int(0)).transpose()? != Some(stamp) {
        return Ok(false);
    }
    let agent: String = origin
        .agent
        .chars()
        .filter(|c| !c.is_control())
        .take(300)
        .collect();
    tx.run("DELETE FROM sessions WHERE expires_at <= $1", &[now.into()])?;
    tx.run(
        "INSERT INTO sessions (token_hash, login, stamp, created_at, seen_at, proved_at, expires_at, ip, agent) \
         VALUES ($1, $2, $3, $4, $4, $4, $5, $6, $7)",
        &[
            Value::Blob(hash),
            (&login).into(),
            stamp.into(),
            now.into(),
            now.plus(IDLE).into(),
            (&origin.ip).into(),
            (&agent).into(),
        ],
    )?;
    Ok(true)
}

/// A session of the login `$1` that the time `$2` and a change of the password have left open.
const LIVE: &str =
    "s.login = $1 AND s.expires_at > $2 AND s.stamp = (SELECT stamp FROM logins WHERE id = $1)";

fn own_session(row: &Row, current: &[u8; 32]) -> store::Result<OwnSession> {
    let hash = row.blob(0)?;
    Ok(OwnSession {
        id: id_of(&hash).unwrap_or(Id::from_bytes([0; 16])),
        created_at: row.time(1)?,
        seen_at: row.time(2)?,
        origin: SessionOrigin {
            ip: row.text(3)?,
            agent: row.text(4)?,
        },
        current: hash == current,
    })
}

fn id_of(hash: &[u8]) -> Option<Id> {
    hash.first_chunk().map(|beginning| Id::from_bytes(*beginning))
}

fn read_session(tx: &mut Tx<'_>, hash: &[u8; 32], now: Time) -> store::Result<Option<(Session, Time)>> {
    let row = tx.query_opt(
        "SELECT l.account, l.id, l.email, l.stamp, s.created_at, s.expires_at, s.seen_at, s.proved_at, l.role FROM sessions s \
         JOIN logins l ON l.id = s.login AND l.stamp = s.stamp WHERE s.token_hash = $1 AND s.expires_at > $2",
        &[Value::Blob(hash), now.into()],
    )?;
    row.map(|row| {
        let principal = Principal {
            account: row.id(0)?,
            login: Some(row.id(1)?),
            email: row.text(2)?,
            stamp: row.int(3)?,
            via: Via::Session,
        };
        let created_at = row.time(4)?;
        Ok((
            Session {
                principal,
                created_at,
                expires_at: row.time(5)?,
                role: Role::from_text(&row.text(8)?),
                fresh: now.since(row.time(7)?) <= FRESH,
                young: now.since(created_at) <= FRESH,
            },
            row.time(6)?,
        ))
    })
    .transpose()
}

/// Whether the session with this token's hash is this login's, with this password, and its user an operator who may act.
pub(crate) fn operates(
    tx: &mut Tx<'_>,
    hash: &[u8],
    (login, stamp): (Id, i64),
    now: Time,
) -> store::Result<bool> {
    let row = tx.query_opt(
        "SELECT l.role FROM sessions s JOIN logins l ON l.id = s.login AND l.stamp = s.stamp \
         JOIN accounts a ON a.id = l.account WHERE s.token_hash = $1 AND s.login = $2 AND s.stamp = $3 \
         AND s.expires_at > $4 AND a.operator = 1 AND a.state <> 'suspended'",
        &[Value::Blob(hash), (&login).into(), stamp.into(), now.into()],
    )?;
    let role = row.map(|row| row.text(0)).transpose()?;
    Ok(role.is_some_and(|role| Role::from_text(&role).scopes(true).contains(Scope::Operator)))
}

/// Ends the sessions of a login whose password just changed; the one with the token hash `keep`, where the old one was
/// entered, takes the new stamp.
pub(crate) fn end_all_but(
    tx: &mut Tx<'_>,
    login: Id,
    keep: Option<&[u8; 32]>,
    now: Time,
) -> store::Result<()> {
    let Some(keep) = keep else {
        return tx.run("DELETE FROM sessions WHERE login = $1", &[(&login).into()]);
    };
    tx.run(
        "DELETE FROM sessions WHERE login = $1 AND token_hash <> $2",
        &[(&login).into(), Value::Blob(keep)],
    )?;
    tx.run(
        "UPDATE sessions SET stamp = (SELECT stamp FROM logins WHERE id = $1), proved_at = $3 \
         WHERE login = $1 AND token_hash = $2",
        &[(&login).into(), Value::Blob(keep), now.into()],
    )
}
