//! The passkeys of a login, in their table.

use mail::time::Time;
use store::{Id, Row, Tx, Value};

use super::webauthn::NewPasskey;
use crate::{Principal, Via};

/// Passkeys that one login can have.
pub(super) const MOST: i64 = 20;

/// A passkey as its owner's list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passkey {
    pub id: Id,
    pub name: String,
    pub created_at: Time,
    pub used_at: Option<Time>,
}

/// A key that somebody wants to sign in with.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) id: Id,
    pub(super) owner: Principal,
    pub(super) login: Id,
    pub(super) public_key: Vec<u8>,
    pub(super) algorithm: i64,
}

pub(super) fn list(tx: &mut Tx<'_>, login: Id) -> store::Result<Vec<Passkey>> {
    tx.query(
        "SELECT id, name, created_at, used_at FROM passkeys WHERE login = $1 ORDER BY id",
        &[(&login).into()],
    )?
    .iter()
    .map(|row| {
        Ok(Passkey {
            id: row.id(0)?,
            name: row.text(1)?,
            created_at: row.time(2)?,
            used_at: row.opt_time(3)?,
        })
    })
    .collect()
}

pub(super) fn count(tx: &mut Tx<'_>, login: Id) -> store::Result<i64> {
    let row = tx.query_opt(
        "SELECT count(*) FROM passkeys WHERE login = $1",
        &[(&login).into()],
    )?;
    row.map_or(Ok(0), |row| row.int(0))
}

/// What authenticators call the keys of a login.
pub(super) fn credentials(tx: &mut Tx<'_>, login: Id) -> store::Result<Vec<Vec<u8>>> {
    tx.query(
        "SELECT credential FROM passkeys WHERE login = $1",
        &[(&login).into()],
    )?
    .iter()
    .map(|row| row.blob(0))
    .collect()
}

pub(super) fn add(
    tx: &mut Tx<'_>,
    (id, login): (Id, Id),
    key: &NewPasskey,
    name: &str,
    now: Time,
) -> store::Result<()> {
    tx.run(
        "INSERT INTO passkeys (id, login, credential, public_key, algorithm, counter, name, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            (&id).into(),
            (&login).into(),
            Value::Blob(&key.credential),
            Value::Blob(&key.public_key),
            key.algorithm.into(),
            i64::from(key.counter).into(),
            name.into(),
            now.into(),
        ],
    )
}

pub(super) fn find(tx: &mut Tx<'_>, credential: &[u8]) -> store::Result<Option<Held>> {
    let row = tx.query_opt(
        "SELECT k.id, k.public_key, k.algorithm, l.id, l.account, l.email, l.stamp FROM passkeys k \
         JOIN logins l ON l.id = k.login WHERE k.credential = $1",
        &[Value::Blob(credential)],
    )?;
    row.map(|row| held(&row)).transpose()
}

fn held(row: &Row) -> store::Result<Held> {
    let login = row.id(3)?;
    Ok(Held {
        id: row.id(0)?,
        login,
        public_key: row.blob(1)?,
        algorithm: row.int(2)?,
        owner: Principal {
            account: row.id(4)?,
            login: Some(login),
            email: row.text(5)?,
            stamp: row.int(6)?,
            via: Via::Login,
        },
    })
}

/// Notes that a key was used. False where its counter did not go up: there may be a copy of it. Keys that count nothing
/// stay at zero.
pub(super) fn used(tx: &mut Tx<'_>, id: Id, counter: u32, now: Time) -> store::Result<bool> {
    let noted = tx.execute(
        "UPDATE passkeys SET counter = $2, used_at = $3 \
         WHERE id = $1 AND (counter < $2 OR (counter = 0 AND $2 = 0))",
        &[(&id).into(), i64::from(counter).into(), now.into()],
    )?;
    Ok(noted == 1)
}

/// Removes a key and says what it was called.
pub(super) fn remove(tx: &mut Tx<'_>, login: Id, id: Id) -> store::Result<Option<String>> {
    let row = tx.query_opt(
        "SELECT name FROM passkeys WHERE id = $1 AND login = $2",
        &[(&id).into(), (&login).into()],
    )?;
    let Some(row) = row else { return Ok(None) };
    tx.run("DELETE FROM passkeys WHERE id = $1", &[(&id).into()])?;
    row.text(0).map(Some)
}

pub(super) fn forget(tx: &mut Tx<'_>, login: Id) -> store::Result<()> {
    tx.run("DELETE FROM passkeys WHERE login = $1", &[(&login).into()])
}
