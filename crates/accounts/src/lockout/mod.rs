//! Keeps guessers out: failed sign-ins by login and client address, and by network, in tables that all nodes share.
//!
//! The state lives in the database alone. An attempt reads it by key, a failure writes it before it is answered, and
//! nothing is held in memory that an attacker could push out: a row goes only when it says nothing any more, and there are
//! no more rows than passwords that were hashed within the hours that a row lasts.

mod codes;
mod in_hand;
mod rules;

use std::time::Duration;

use mail::address::Address;
use mail::time::Time;
use store::{Id, Row, Tx};

pub(crate) use self::codes::Codes;
pub(crate) use self::in_hand::InHand;
pub(crate) use self::rules::Subject;

use self::rules::{NETWORK, PAIR, Record, Rule, judge};
use crate::audit::{self, By};
use crate::{Accounts, AccountsError, Result};

/// A wrong password that is repeated counts once within the window of a pair.
pub(crate) const SAME_COUNTS_ONCE: Duration = PAIR.window;
/// How long a client address counts as known after a sign-in.
const KNOWN_FOR: Duration = Duration::from_hours(30 * 24);
/// A client address that goes on signing in is noted so at most this often.
pub(crate) const NOTED_EVERY: Duration = Duration::from_hours(1);
/// Known client addresses of one login; of more, those seen last are kept.
const MOST_KNOWN: u32 = 200;
/// Rows that one look for spent ones removes.
const PURGE_STEP: u32 = 500;

/// A lock that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lockout {
    pub id: Id,
    /// The login's address; `None` where a whole network is locked, for every login.
    pub login: Option<String>,
    /// In CIDR form; empty where the codes of the login's second step are locked, from everywhere.
    pub network: String,
    pub until: Time,
    /// Locks that followed each other, this one included.
    pub locks: u32,
}

/// What stands against an attempt.
#[derive(Debug)]
pub(crate) struct Standing {
    /// The end of the lock that meets it.
    pub(crate) locked_until: Option<Time>,
    /// The pair has failures that a success wipes.
    pub(crate) has_failures: bool,
}

impl Accounts {
    /// `login` is the login that the subject names, where there is one.
    pub(crate) async fn standing(&self, subject: &Subject, login: Option<Id>) -> Result<Standing> {
        let now = self.inner.clock.now();
        let db = &self.inner.db;
        let wanted = subject.clone();
        let (pair, network) = db
            .peek("look for failed sign-ins", move |tx| read_records(tx, &wanted))
            .await?;
        let network_lock = network.and_then(|record| record.lock(now));
        let known = match (login, network_lock) {
            (Some(login), Some(_)) => {
                let client = subject.client.to_string();
                let since = now.minus(KNOWN_FOR);
                db.peek("look for a known client", move |tx| {
                    is_known(tx, login, &client, since)
                })
                .await?
            }
            _ => false,
        };
        Ok(Standing {
            locked_until: judge(pair.as_ref().and_then(|pair| pair.lock(now)), network_lock, known),
            has_failures: pair.is_some(),
        })
    }

    /// Counts a wrong password; it counts everywhere when this returns.
    pub(crate) async fn count_failure(&self, subject: &Subject) -> Result<()> {
        let now = self.inner.clock.now();
        let subject = subject.clone();
        let ids = [self.id(now), self.id(now)];
        // Transactions on the rows of one network line up instead of running into each other.
        let line = subject_id(&subject.network.to_string());
        self.inner
            .db
            .write_for(line, "count a failed sign-in", move |tx| {
                let client = subject.client.to_string();
                count(tx, ids[0], (&client, &subject.login), &PAIR, now)?;
                count(tx, ids[1], (&subject.network.to_string(), ""), &NETWORK, now)
            })
            .await?;
        Ok(())
    }

    /// Notes that `login` signed in well from the subject's address, and forgets its failures there: whoever knows the
    /// password was only mistaken before.
    pub(crate) async fn note_known(&self, login: Id, subject: &Subject) -> Result<()> {
        let now = self.inner.clock.now();
        let (client, login_key) = (subject.client.to_string(), subject.login.clone());
        let note = move |tx: &mut Tx<'_>| {
            tx.run(
                "DELETE FROM sign_in_limits WHERE network = $1 AND login_key = $2",
                &[(&client).into(), (&login_key).into()],
            )?;
            note_known(tx, login, &client, now)
        };
        Ok(self.inner.db.write("note a good sign-in", note).await?)
    }

    /// The locks in force, those that last longest first.
    pub async fn lockouts(&self) -> Result<Vec<Lockout>> {
        let now = self.inner.clock.now();
        let read = move |tx: &mut Tx<'_>| {
            tx.query(
                "SELECT id, login_key, network, locked_until, locks FROM sign_in_limits \
                 WHERE locked_until > $1 ORDER BY locked_until DESC, id LIMIT 1000",
                &[now.into()],
            )?
            .iter()
            .map(lockout_of)
            .collect()
        };
        Ok(self.inner.db.read("list the lockouts", read).await?)
    }

    /// The locks in force that meet this login address from somewhere.
    pub async fn lockouts_of(&self, email: &str) -> Result<Vec<Lockout>> {
        let login = Address::parse(email.trim())?.login_key();
        let all = self.lockouts().await?;
        Ok(all
            .into_iter()
            .filter(|lockout| lockout.login.as_ref().is_none_or(|locked| *locked == login))
            .collect())
    }

    /// Lifts one lock and forgets the failures behind it.
    pub async fn lift_lockout(&self, id: Id, by: &By) -> Result<()> {
        let now = self.inner.clock.now();
        let (audit, by) = (self.id(now), by.clone());
        let lift = move |tx: &mut Tx<'_>| {
            let lock = "SELECT login_key, network FROM sign_in_limits WHERE id = $1";
            let Some(lock) = tx.query_opt(lock, &[(&id).into()])? else {
                return Ok(false);
            };
            tx.run("DELETE FROM sign_in_limits WHERE id = $1", &[(&id).into()])?;
            let (login, network) = (lock.text(0)?, lock.text(1)?);
            note_lifted(tx, (audit, now), &by, (&login, &network))?;
            Ok(true)
        };
        if self.inner.db.write("lift a lockout", lift).await? {
            Ok(())
        } else {
            Err(AccountsError::NotFound("lockout"))
        }
    }

    /// Lifts what `whom` names, a login address or a network in CIDR form, and returns how many locks that were.
    pub async fn lift_lockouts(&self, whom: &str, by: &By) -> Result<u64> {
        let (login, network) = match Address::parse(whom.trim()) {
            Ok(address) => (Some(address.login_key()), None),
            Err(error) if whom.contains('@') => return Err(error.into()),
            Err(_) => (None, Some(crate::ranges::parse(whom)?.to_string())),
        };
        let now = self.inner.clock.now();
        let (audit, by) = (self.id(now), by.clone());
        let lift = move |tx: &mut Tx<'_>| {
            let (column, value) = match (&login, &network) {
                (Some(login), _) => ("login_key", login),
                (None, Some(network)) => ("network", network),
                (None, None) => return Ok(0),
            };
            let locked =
                format!("SELECT count(*) FROM sign_in_limits WHERE {column} = $1 AND locked_until > $2");
            let locks = tx.query_opt(&locked, &[value.into(), now.into()])?;
            tx.run(
                &format!("DELETE FROM sign_in_limits WHERE {column} = $1"),
                &[value.into()],
            )?;
            let (login, network) = (login.as_deref(), network.as_deref());
            let whom = (login.unwrap_or_default(), network.unwrap_or_default());
            note_lifted(tx, (audit, now), &by, whom)?;
            locks.map_or(Ok(0), |row| row.int(0))
        };
        let lifted = self.inner.db.write("lift lockouts", lift).await?;
        Ok(lifted.unsigned_abs())
    }

    /// Removes what says nothing any more.
    pub(crate) async fn purge_lockouts(&self) -> Result<()> {
        let now = self.inner.clock.now();
        let purge = move |tx: &mut Tx<'_>| {
            let limits = tx.execute(
                &format!(
                    "DELETE FROM sign_in_limits WHERE id IN \
                     (SELECT id FROM sign_in_limits WHERE spent_at <= $1 ORDER BY spent_at LIMIT {PURGE_STEP})"
                ),
                &[now.into()],
            )?;
            tx.run(
                "DELETE FROM known_clients WHERE seen_at < $1",
                &[now.minus(KNOWN_FOR).into()],
            )?;
            Ok(limits)
        };
        while self.inner.db.write("forget spent lockouts", purge).await? == u64::from(PURGE_STEP) {}
        Ok(())
    }
}

/// Lifts every lock of a login's password, in the transaction that gives it a new one. What wrong codes locked stays: whoever
/// reads the login's mail could otherwise guess at them for ever.
pub(crate) fn lift(tx: &mut Tx<'_>, login: Id) -> store::Result<()> {
    tx.run(
        "DELETE FROM sign_in_limits WHERE login_key = (SELECT login_key FROM logins WHERE id = $1) AND network <> $2",
        &[(&login).into(), codes::EVERYWHERE.into()],
    )
}

/// Forgets from where a login that goes was used.
pub(crate) fn forget_known(tx: &mut Tx<'_>, login: Id) -> store::Result<()> {
    tx.run("DELETE FROM known_clients WHERE login = $1", &[login.into()])
}

/// A lock of a login is its account's matter, any other the installation's.
fn note_lifted(
    tx: &mut Tx<'_>,
    line: (Id, Time),
    by: &By,
    (login, network): (&str, &str),
) -> store::Result<()> {
    let account = crate::people::account_of_key(tx, login)?;
    let target = if login.is_empty() { network } else { login };
    let from = if login.is_empty() { "" } else { network };
    audit::note(tx, line, account, by, "lockout.lifted", target, from)
}

/// Names a line of transactions.
fn subject_id(text: &str) -> Id {
    let hash = crate::token::hash(text);
    Id::from_bytes(hash[..16].try_into().expect("a hash is longer than an id"))
}

fn read_records(tx: &mut Tx<'_>, subject: &Subject) -> store::Result<(Option<Record>, Option<Record>)> {
    let rows = tx.query(
        "SELECT failures, locked_until, locks, login_key, network FROM sign_in_limits \
         WHERE (network = $1 AND login_key = $2) OR (network = $3 AND login_key = '')",
        &[
            (&subject.client.to_string()).into(),
            (&subject.login).into(),
            (&subject.network.to_string()).into(),
        ],
    )?;
    let (mut pair, mut network) = (None, None);
    for row in rows {
        let whole_network = row.text(3)?.is_empty();
        let record = record_of(&row)?;
        if whole_network {
            network = Some(record);
        } else {
            pair = Some(record);
        }
    }
    Ok((pair, network))
}

fn record_of(row: &Row) -> store::Result<Record> {
    Ok(Record::from_columns(&row.text(0)?, row.opt_time(1)?, row.int(2)?))
}

fn count(tx: &mut Tx<'_>, id: Id, key: (&str, &str), rule: &Rule, now: Time) -> store::Result<()> {
    let mut record = hold(tx, id, key, now)?;
    record.fail(rule, now);
    keep(tx, key, &record, rule)
}

/// The record of a key, which no other transaction reads so until this one is over. Makes its row if there is none.
fn hold(tx: &mut Tx<'_>, id: Id, (network, login_key): (&str, &str), now: Time) -> store::Result<Record> {
    tx.run(
        "INSERT INTO sign_in_limits (id, network, login_key, failures, locks, spent_at) VALUES ($1, $2, $3, '', 0, $4) \
         ON CONFLICT (network, login_key) DO UPDATE SET locks = sign_in_limits.locks",
        &[(&id).into(), network.into(), login_key.into(), now.into()],
    )?;
    let row = tx.query_opt(
        "SELECT failures, locked_until, locks FROM sign_in_limits WHERE network = $1 AND login_key = $2",
        &[network.into(), login_key.into()],
    )?;
    row.map_or(Ok(Record::default()), |row| record_of(&row))
}

fn keep(
    tx: &mut Tx<'_>,
    (network, login_key): (&str, &str),
    record: &Record,
    rule: &Rule,
) -> store::Result<()> {
    tx.run(
        "UPDATE sign_in_limits SET failures = $3, locked_until = $4, locks = $5, spent_at = $6 \
         WHERE network = $1 AND login_key = $2",
        &[
            network.into(),
            login_key.into(),
            (&record.failures_text()).into(),
            record.locked_until().into(),
            record.locks().into(),
            record.spent_at(rule).into(),
        ],
    )
}

fn is_known(tx: &mut Tx<'_>, login: Id, client: &str, since: Time) -> store::Result<bool> {
    let known = tx.query_opt(
        "SELECT 1 FROM known_clients WHERE login = $1 AND network = $2 AND seen_at >= $3",
        &[(&login).into(), client.into(), since.into()],
    )?;
    Ok(known.is_some())
}

fn note_known(tx: &mut Tx<'_>, login: Id, client: &str, now: Time) -> store::Result<()> {
    tx.run(
        "INSERT INTO known_clients (login, network, seen_at) VALUES ($1, $2, $3) \
         ON CONFLICT (login, network) DO UPDATE SET seen_at = excluded.seen_at",
        &[(&login).into(), client.into(), now.into()],
    )?;
    tx.run(
        &format!(
            "DELETE FROM known_clients WHERE login = $1 AND seen_at <= \
             (SELECT seen_at FROM known_clients WHERE login = $1 ORDER BY seen_at DESC LIMIT 1 OFFSET {MOST_KNOWN})"
        ),
        &[(&login).into()],
    )
}

fn lockout_of(row: &Row) -> store::Result<Lockout> {
    let login = row.text(1)?;
    Ok(Lockout {
        id: row.id(0)?,
        login: (!login.is_empty()).then_some(login),
        network: row.text(2)?,
        until: row.time(3)?,
        locks: u32::try_from(row.int(4)?).unwrap_or(u32::MAX),
    })
}
