//! Half a session: the password was right, the second step is still to come. It opens nothing but that step.

use std::time::Duration;

use mail::time::Time;
use store::{Id, Tx, Value};

use crate::{Principal, Via};

const LIFE: Duration = Duration::from_mins(5);
/// Codes that one half may try.
pub(super) const MOST_TRIES: i64 = 5;

pub(super) fn open(tx: &mut Tx<'_>, hash: &[u8; 32], who: (Id, i64), now: Time) -> store::Result<()> {
    purge(tx, now)?;
    tx.run(
        "INSERT INTO half_sessions (token_hash, login, stamp, tries, expires_at) VALUES ($1, $2, $3, 0, $4)",
        &[
            Value::Blob(hash),
            (&who.0).into(),
            who.1.into(),
            now.plus(LIFE).into(),
        ],
    )
}

/// Whose half this is, if it still counts; a change of the password ends it.
pub(super) fn find(tx: &mut Tx<'_>, hash: &[u8; 32], now: Time) -> store::Result<Option<Principal>> {
    let row = tx.query_opt(
        "SELECT l.account, l.id, l.email, l.stamp FROM half_sessions h \
         JOIN logins l ON l.id = h.login AND l.stamp = h.stamp WHERE h.token_hash = $1 AND h.expires_at > $2",
        &[Value::Blob(hash), now.into()],
    )?;
    row.map(|row| {
        Ok(Principal {
            account: row.id(0)?,
            login: Some(row.id(1)?),
            email: row.text(2)?,
            stamp: row.int(3)?,
            via: Via::Login,
        })
    })
    .transpose()
}

/// Counts a try before the code is looked at, so that many at once are no more than one after the other. The tries that
/// are left, `None` where there was none.
pub(super) fn count_try(tx: &mut Tx<'_>, hash: &[u8; 32]) -> store::Result<Option<i64>> {
    let counted = tx.execute(
        "UPDATE half_sessions SET tries = tries + 1 WHERE token_hash = $1 AND tries < $2",
        &[Value::Blob(hash), MOST_TRIES.into()],
    )?;
    if counted == 0 {
        return Ok(None);
    }
    let row = tx.query_opt(
        "SELECT tries FROM half_sessions WHERE token_hash = $1",
        &[Value::Blob(hash)],
    )?;
    row.map(|row| Ok(MOST_TRIES - row.int(0)?)).transpose()
}

pub(super) fn close(tx: &mut Tx<'_>, hash: &[u8; 32]) -> store::Result<()> {
    tx.run(
        "DELETE FROM half_sessions WHERE token_hash = $1",
        &[Value::Blob(hash)],
    )
}

pub(super) fn forget(tx: &mut Tx<'_>, login: Id) -> store::Result<()> {
    tx.run("DELETE FROM half_sessions WHERE login = $1", &[(&login).into()])
}

pub(super) fn purge(tx: &mut Tx<'_>, now: Time) -> store::Result<()> {
    tx.run("DELETE FROM half_sessions WHERE expires_at <= $1", &[now.into()])
}
