//! Challenges for passkeys: each is answered once, within minutes, by whom it was made for.

use std::time::Duration;

use mail::time::Time;
use store::{Id, Tx, Value};

use crate::token;

pub(super) const LIFE: Duration = Duration::from_mins(5);
pub(super) const OCTETS: usize = 32;

fn hash(challenge: &[u8]) -> [u8; 32] {
    token::hash_of(challenge)
}

/// Remembers a challenge. With a login it is for a new key of that login, or for one of its keys to
/// prove that somebody is there still (what the browser signs says which of the two); without one for signing in.
pub(super) fn make(tx: &mut Tx<'_>, challenge: &[u8], login: Option<Id>, now: Time) -> store::Result<()> {
    purge(tx, now)?;
    tx.run(
        "INSERT INTO challenges (challenge_hash, login, expires_at) VALUES ($1, $2, $3)",
        &[
            Value::Blob(&hash(challenge)),
            login.as_ref().into(),
            now.plus(LIFE).into(),
        ],
    )
}

/// Uses a challenge up. False where it is none, too old, or was made for something else.
pub(super) fn take(tx: &mut Tx<'_>, challenge: &[u8], login: Option<Id>, now: Time) -> store::Result<bool> {
    let (whose, mut values): (&str, Vec<Value<'_>>) = match &login {
        Some(login) => ("login = $3", vec![login.into()]),
        None => ("login IS NULL", Vec::new()),
    };
    let hash = hash(challenge);
    let mut all = vec![Value::Blob(&hash), now.into()];
    all.append(&mut values);
    let sql = format!("DELETE FROM challenges WHERE challenge_hash = $1 AND expires_at > $2 AND {whose}");
    Ok(tx.execute(&sql, &all)? == 1)
}

pub(super) fn purge(tx: &mut Tx<'_>, now: Time) -> store::Result<()> {
    tx.run("DELETE FROM challenges WHERE expires_at <= $1", &[now.into()])
}
