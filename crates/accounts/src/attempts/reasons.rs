//! The true reason of a failed password: was it the login's until some day, or which login was meant?
//!
//! The reply is long given when this is looked at. Each wrong password that is looked at costs the same hashes, whether
//! or not its login exists and has old passwords, so that the next attempt does not feel a difference either.

use std::collections::HashSet;
use std::time::Duration;

use ipnet::IpNet;
use mail::time::Time;
use store::{Id, Tx};
use tokio::task::spawn_blocking;

use super::Reason;
use super::journal::{Alike, Outcome, Tried, Wrong};
use super::near::Near;
use crate::lockout::Subject;
use crate::{Accounts, AccountsError, Result, hash};

/// Old passwords of a login that are kept, and how long.
const KEPT: usize = 3;
const KEPT_FOR: Duration = Duration::from_hours(365 * 24);
/// Wrong passwords a write holds against old ones, one of a network.
const CHECKS: usize = 2;
/// Those that wait for a later write; beyond that nobody looks.
const PATIENT: usize = 100;

/// Forgets the passwords of a login that goes.
pub(crate) fn forget_old(tx: &mut Tx<'_>, login: Id) -> store::Result<()> {
    tx.run("DELETE FROM old_passwords WHERE login = $1", &[login.into()])
}

/// Keeps the password that a login is about to lose. Belongs into the transaction that changes it.
pub(crate) fn keep_old(tx: &mut Tx<'_>, login: Id, now: Time) -> store::Result<()> {
    tx.run(
        "INSERT INTO old_passwords (login, until, password_hash) \
         SELECT id, $2, password_hash FROM logins WHERE id = $1 ON CONFLICT (login, until) DO NOTHING",
        &[(&login).into(), now.into()],
    )?;
    tx.run(
        &format!(
            "DELETE FROM old_passwords WHERE login = $1 AND until <= \
             (SELECT until FROM old_passwords WHERE login = $1 ORDER BY until DESC LIMIT 1 OFFSET {KEPT})"
        ),
        &[(&login).into()],
    )
}

impl Accounts {
    /// Finds the reasons that are open. What is beyond the limits of one write goes back to the journal, and what is beyond
    /// the journal's patience, or the server's time at its end, stays what the client was told.
    pub(super) async fn find_reasons(&self, alike: Vec<Alike>) -> Result<Vec<(Alike, Reason, Option<Id>)>> {
        let nearest = self.nearest(unknown(&alike)).await?;
        let mut looked_at: HashSet<IpNet> = HashSet::new();
        let mut told = Vec::with_capacity(alike.len());
        let mut patient = 0;
        for one in alike {
            let (reason, account) = match &one.tried.outcome {
                Outcome::Told(reason) => (reason.clone(), self.account_of(&one.tried).await?),
                Outcome::Wrong(wrong) => {
                    let network = Subject::new("", one.tried.from.ip).network;
                    let judged = self.inner.journal.judged.get(&wrong.digest);
                    let look = judged.is_none() && looked_at.len() < CHECKS && looked_at.insert(network);
                    if judged.is_none() && !look && patient < PATIENT && !self.inner.journal.is_closing() {
                        patient += 1;
                        self.inner.journal.give_back(one);
                        continue;
                    }
                    let old = if look { self.look_at(wrong).await? } else { judged };
                    judge(wrong, old, nearest.get(&one.tried.login))
                }
            };
            told.push((one, reason, account));
        }
        Ok(told)
    }

    async fn account_of(&self, tried: &Tried) -> Result<Option<Id>> {
        if tried.account.is_some() || tried.login.is_empty() {
            return Ok(tried.account);
        }
        let secret = self.login_secret(&tried.login).await?;
        Ok(secret.map(|secret| secret.account))
    }

    /// Remembers and returns whether the password is an old one of its login.
    async fn look_at(&self, wrong: &Wrong) -> Result<Option<Reason>> {
        let until = match self.old_password(wrong).await {
            // Whoever signs in comes first.
            Err(AccountsError::Busy) => return Ok(None),
            until => until?,
        };
        let reason = until.map_or(Reason::WrongPassword, |until| Reason::OldPassword { until });
        self.inner.journal.judged.insert(wrong.digest, reason.clone());
        Ok(Some(reason))
    }

    /// Until when this was the password of its login.
    async fn old_password(&self, wrong: &Wrong) -> Result<Option<Time>> {
        let since = self.inner.clock.now().minus(KEPT_FOR);
        let login = wrong.login.map(|(_, login)| login);
        let old = match login {
            Some(login) => {
                let read = move |tx: &mut Tx<'_>| read_old(tx, login, since);
                self.inner.db.read("read old passwords", read).await?
            }
            None => Vec::new(),
        };
        let mut until = None;
        for place in 0..KEPT {
            let turn = self.inner.hasher.turn(None).await?;
            let (memory, password) = (self.inner.hasher.memory(), wrong.password.clone());
            let known = old.get(place).cloned();
            let matches = spawn_blocking(move || {
                let _turn = turn;
                let matches = hash::verify(&memory, &password, known.as_ref().map(|(_, hash)| hash.as_str()));
                known.filter(|_| matches).map(|(until, _)| until)
            });
            until = until.or(matches.await.map_err(|_| AccountsError::Hashing)?);
        }
        Ok(until)
    }

    pub(super) async fn purge_old_passwords(&self) -> Result<()> {
        let since = self.inner.clock.now().minus(KEPT_FOR);
        let purge =
            move |tx: &mut Tx<'_>| tx.run("DELETE FROM old_passwords WHERE until < $1", &[since.into()]);
        Ok(self.inner.db.write("forget old passwords", purge).await?)
    }
}

/// The addresses that name no login.
fn unknown(alike: &[Alike]) -> Vec<String> {
    let addresses: HashSet<&String> = alike
        .iter()
        .filter(|one| matches!(&one.tried.outcome, Outcome::Wrong(wrong) if wrong.login.is_none()))
        .map(|one| &one.tried.login)
        .collect();
    addresses.into_iter().cloned().collect()
}

/// The reason, and whose attempt it is: an unknown address is shown to the account whose login it nearly is.
fn judge(wrong: &Wrong, old: Option<Reason>, near: Option<&Near>) -> (Reason, Option<Id>) {
    if let Some((account, _)) = wrong.login {
        return (old.unwrap_or(Reason::WrongPassword), Some(account));
    }
    let reason = Reason::UnknownAddress {
        near: near.map(|near| near.login.clone()),
    };
    (reason, near.map(|near| near.account))
}

fn read_old(tx: &mut Tx<'_>, login: Id, since: Time) -> store::Result<Vec<(Time, String)>> {
    let sql = format!(
        "SELECT until, password_hash FROM old_passwords WHERE login = $1 AND until >= $2 \
         ORDER BY until DESC LIMIT {KEPT}"
    );
    tx.query(&sql, &[(&login).into(), since.into()])?
        .iter()
        .map(|row| Ok((row.time(0)?, row.text(1)?)))
        .collect()
}
