//! What an authority issued, our account with it and the proofs of an order, in the database, where every node finds them.
//!
//! Who orders has the account to itself for the time of a lease, so that nodes order one after the other; what comes of the order is
//! written only while nobody took the lease over. The keys lie there as they are, like those of DKIM.

use std::collections::HashMap;
use std::time::Duration;

use accounts::domains::{TooManyOrders, count_order};
use mail::time::Time;
use store::{Db, Id, Result, Row, Topic, Tx};

use super::pair::Pair;

/// An order that takes longer is taken for dead: longer than one is waited for.
const LEASE: Duration = Duration::from_mins(5);
/// A certificate of our own that nobody wants any more is kept this long behind the time to renew it.
const LEFT_BEHIND: Duration = Duration::from_hours(30 * 24);
/// Waits after failures; the last repeats. Authorities count failures by the hour and close the door on the impatient.
const PATIENCE: [Duration; 4] = [
    Duration::from_mins(5),
    Duration::from_mins(20),
    Duration::from_hours(1),
    Duration::from_hours(6),
];

/// Why the last order did not end with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The authority did not find us behind a name.
    Name,
    /// It could not be asked, or would not; or something is wrong with us.
    Authority,
    /// The account has had as many orders as it can in a day.
    Limit,
}

impl Fault {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Authority => "authority",
            Self::Limit => "limit",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Name, Self::Authority, Self::Limit]
            .into_iter()
            .find(|fault| fault.as_str() == text)
    }
}

/// How a certificate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its turn has not come yet.
    Waiting,
    Issued,
    /// The last order failed; there may be an older certificate that still holds.
    Failing,
}

impl State {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Issued => "issued",
            Self::Failing => "failing",
        }
    }
}

/// A certificate that is wanted, as far as it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Sorted, in lower case, parted by spaces.
    pub names: String,
    pub for_links: bool,
    /// Of what was issued last; empty until then.
    pub fingerprint: String,
    pub not_after: Option<Time>,
    /// When there was a certificate for the first time.
    pub since: Option<Time>,
    /// When it is to be ordered.
    pub next_at: Time,
    pub tried_at: Option<Time>,
    pub failures: i64,
    pub fault: Option<Fault>,
    pub error: String,
}

const COLUMNS: &str =
    "names, for_links, fingerprint, not_after, since, next_at, tried_at, failures, fault, error";

impl Kept {
    fn of(row: &Row) -> Result<Self> {
        Ok(Self {
            names: row.text(0)?,
            for_links: row.bool(1)?,
            fingerprint: row.text(2)?,
            not_after: row.opt_time(3)?,
            since: row.opt_time(4)?,
            next_at: row.time(5)?,
            tried_at: row.opt_time(6)?,
            failures: row.int(7)?,
            fault: Fault::parse(&row.text(8)?),
            error: row.text(9)?,
        })
    }

    pub fn state(&self, now: Time) -> State {
        if self.fault.is_some() {
            State::Failing
        } else if self.holds(now) {
            State::Issued
        } else {
            State::Waiting
        }
    }

    /// Why the last order failed, for whoever runs this server.
    pub fn why(&self) -> &str {
        match self.fault {
            Some(Fault::Limit) => "its account has had as many orders as it can have in a day",
            _ => &self.error,
        }
    }

    pub fn holds(&self, now: Time) -> bool {
        self.not_after.is_some_and(|end| end > now)
    }

    /// Whether it is to be ordered now; what failed before `hurry` as well.
    pub(super) fn is_due(&self, now: Time, hurry: Option<Time>) -> bool {
        let hurried = |hurry: Time| self.tried_at.is_none_or(|tried| tried < hurry);
        self.next_at <= now || (self.fault.is_some() && hurry.is_some_and(hurried))
    }

    /// Of our own, for names that nobody asks for any more.
    pub(super) fn is_left_behind(&self, own: &str, now: Time) -> bool {
        !self.for_links && self.names != own && self.next_at.plus(LEFT_BEHIND) < now
    }
}

/// How names are kept together.
pub fn key_of<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<String> = names.map(str::to_ascii_lowercase).collect();
    names.sort_unstable();
    names.dedup();
    names.join(" ")
}

pub fn list(tx: &mut Tx<'_>) -> Result<Vec<Kept>> {
    let sql = format!("SELECT {COLUMNS} FROM certificates ORDER BY for_links, names");
    tx.query(&sql, &[])?.iter().map(Kept::of).collect()
}

pub fn one(tx: &mut Tx<'_>, names: &str) -> Result<Option<Kept>> {
    let sql = format!("SELECT {COLUMNS} FROM certificates WHERE names = $1");
    tx.query_opt(&sql, &[names.into()])?
        .map(|row| Kept::of(&row))
        .transpose()
}

/// Key and chain.
pub fn pem(tx: &mut Tx<'_>, names: &str) -> Result<Option<String>> {
    let row = tx.query_opt("SELECT pem FROM certificates WHERE names = $1", &[names.into()])?;
    row.map_or(Ok(None), |row| row.opt_text(0))
}

/// Says that there is to be one, as soon as its turn comes.
pub(super) fn want(tx: &mut Tx<'_>, names: &str, for_links: bool, now: Time) -> Result<()> {
    tx.run(
        "INSERT INTO certificates (names, for_links, next_at) VALUES ($1, $2, $3) ON CONFLICT (names) DO NOTHING",
        &[names.into(), for_links.into(), now.into()],
    )
}

/// With its key, and with the proofs of an order that may be going on: what comes of that is dropped.
pub(super) fn forget(tx: &mut Tx<'_>, names: &str) -> Result<()> {
    tx.run("DELETE FROM acme_proofs WHERE names = $1", &[names.into()])?;
    tx.run("DELETE FROM certificates WHERE names = $1", &[names.into()])
}

/// What is there already, from elsewhere than an order of this server's; one that holds longer stays.
pub(super) fn take_over(
    tx: &mut Tx<'_>,
    (names, for_links): (&str, bool),
    pem: &str,
    pair: &Pair,
) -> Result<()> {
    let facts = &pair.facts;
    tx.run(
        "INSERT INTO certificates (names, for_links, pem, fingerprint, not_after, since, next_at) VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (names) DO UPDATE SET pem = excluded.pem, fingerprint = excluded.fingerprint, not_after = excluded.not_after, \
         since = excluded.since, next_at = excluded.next_at, failures = 0, fault = '', error = '' \
         WHERE certificates.not_after IS NULL OR certificates.not_after < excluded.not_after",
        &[
            names.into(),
            for_links.into(),
            pem.into(),
            (&facts.fingerprint_sha256).into(),
            facts.not_after.into(),
            facts.not_before.into(),
            facts.renew_at().into(),
        ],
    )?;
    tx.ring(Topic::Changes);
    Ok(())
}

/// The account that was made before, where there is none yet.
pub(super) fn take_account_over(tx: &mut Tx<'_>, directory: &str, credentials: &str) -> Result<()> {
    tx.run(
        "INSERT INTO acme_accounts (directory, credentials) VALUES ($1, $2) ON CONFLICT (directory) DO UPDATE SET \
         credentials = excluded.credentials WHERE acme_accounts.credentials IS NULL",
        &[directory.into(), credentials.into()],
    )
}

/// Who asks for a turn, and for what.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) directory: String,
    /// The names of this server.
    pub(super) own: String,
    /// Names for links, with the account of each.
    pub(super) links: HashMap<String, Id>,
    /// What failed before then is tried again at once.
    pub(super) hurry: Option<Time>,
}

impl Asked {
    pub(super) fn is_for(&self, kept: &Kept) -> bool {
        if kept.for_links {
            self.links.contains_key(&kept.names)
        } else {
            kept.names == self.own
        }
    }
}

/// The right to order one certificate.
#[derive(Clone)]
pub(super) struct Turn {
    pub(super) names: String,
    pub(super) for_links: bool,
    pub(super) directory: String,
    /// Our account with the authority, once there is one.
    pub(super) credentials: Option<String>,
    number: i64,
    failures: i64,
}

impl Turn {
    pub(super) fn names(&self) -> Vec<String> {
        self.names.split(' ').map(str::to_owned).collect()
    }

    /// How long a failure makes wait.
    pub(super) fn patience(&self) -> Duration {
        let failures = usize::try_from(self.failures).unwrap_or(usize::MAX);
        PATIENCE[failures.min(PATIENCE.len() - 1)]
    }
}

/// Takes the turn for the certificate that needs it most, where no node has it and something is due.
pub(super) fn take_turn(tx: &mut Tx<'_>, asked: &Asked, now: Time) -> Result<Option<Turn>> {
    let directory = &asked.directory;
    tx.run(
        "INSERT INTO acme_accounts (directory) VALUES ($1) ON CONFLICT (directory) DO NOTHING",
        &[directory.into()],
    )?;
    let sql = "SELECT turn, busy_until, credentials FROM acme_accounts WHERE directory = $1";
    let Some(row) = tx.query_opt(sql, &[directory.into()])? else {
        return Ok(None);
    };
    let (before, busy_until) = (row.int(0)?, row.time(1)?);
    // No lease reaches further, but for one of a clock that has been corrected since.
    if busy_until > now && busy_until <= now.plus(LEASE) {
        return Ok(None);
    }
    let until = now.plus(LEASE);
    let mine = tx.execute(
        "UPDATE acme_accounts SET turn = turn + 1, busy_until = $3 WHERE directory = $1 AND turn = $2",
        &[directory.into(), before.into(), until.into()],
    )?;
    let due = if mine == 1 {
        most_urgent(tx, asked, now)?
    } else {
        None
    };
    let Some(kept) = due else {
        if mine == 1 {
            free(tx, directory, before + 1)?;
        }
        return Ok(None);
    };
    tx.run(
        "UPDATE certificates SET tried_at = $2, next_at = $3 WHERE names = $1",
        &[(&kept.names).into(), now.into(), until.into()],
    )?;
    tx.run(
        "DELETE FROM acme_proofs WHERE names = $1",
        &[(&kept.names).into()],
    )?;
    Ok(Some(Turn {
        names: kept.names,
        for_links: kept.for_links,
        directory: directory.clone(),
        credentials: row.opt_text(2)?,
        number: before + 1,
        failures: kept.failures,
    }))
}

/// Our own names come first; what is there is renewed before anything is fetched anew, and what failed again and again comes last.
fn most_urgent(tx: &mut Tx<'_>, asked: &Asked, now: Time) -> Result<Option<Kept>> {
    let mut due = list(tx)?;
    due.retain(|kept| asked.is_for(kept) && kept.is_due(now, asked.hurry));
    due.sort_by_key(|kept| {
        (
            kept.for_links,
            // A name that does not lead here any more is no renewal.
            kept.failures > 1,
            kept.not_after.is_none(),
            kept.failures,
            kept.next_at,
        )
    });
    for kept in due {
        if !kept.for_links {
            return Ok(Some(kept));
        }
        let account = asked.links.get(&kept.names).copied();
        let account = account.filter(|_| !kept.holds(now) || kept.failures > 0);
        match count_order(tx, &asked.directory, account, now)? {
            Ok(()) => return Ok(Some(kept)),
            Err(TooManyOrders::OfAll) => return Ok(None),
            Err(TooManyOrders::OfAccount(wait)) => tx.run(
                "UPDATE certificates SET tried_at = $2, next_at = $3, fault = $4, error = '' WHERE names = $1",
                &[
                    (&kept.names).into(),
                    now.into(),
                    now.plus(wait).into(),
                    Fault::Limit.as_str().into(),
                ],
            )?,
        }
    }
    Ok(None)
}

/// Whether the turn was still held.
fn free(tx: &mut Tx<'_>, directory: &str, number: i64) -> Result<bool> {
    let held = tx.execute(
        "UPDATE acme_accounts SET busy_until = 0 WHERE directory = $1 AND turn = $2",
        &[directory.into(), number.into()],
    )?;
    Ok(held == 1)
}

/// Gives the turn back as it was taken, for an order that was not ended.
pub(super) fn give_back(tx: &mut Tx<'_>, turn: &Turn, now: Time) -> Result<()> {
    if free(tx, &turn.directory, turn.number)? {
        tx.run(
            "DELETE FROM acme_proofs WHERE names = $1",
            &[(&turn.names).into()],
        )?;
        tx.run(
            "UPDATE certificates SET next_at = $2 WHERE names = $1",
            &[(&turn.names).into(), now.into()],
        )?;
        tx.ring(Topic::Changes);
    }
    Ok(())
}

/// Writes what came of an order, key and chain or why not, and gives the turn back. False where another node has taken it over.
pub(super) fn conclude(
    tx: &mut Tx<'_>,
    turn: &Turn,
    outcome: &std::result::Result<(String, Pair), (Fault, String)>,
    now: Time,
) -> Result<bool> {
    if !free(tx, &turn.directory, turn.number)? {
        return Ok(false);
    }
    tx.run(
        "DELETE FROM acme_proofs WHERE names = $1",
        &[(&turn.names).into()],
    )?;
    match outcome {
        Ok((pem, pair)) => tx.run(
            "UPDATE certificates SET pem = $2, fingerprint = $3, not_after = $4, since = COALESCE(since, $5), next_at = $6, \
             failures = 0, fault = '', error = '' WHERE names = $1",
            &[
                (&turn.names).into(),
                pem.into(),
                (&pair.facts.fingerprint_sha256).into(),
                pair.facts.not_after.into(),
                now.into(),
                // Whatever a clock that is far off makes of a new one.
                pair.facts.renew_at().max(now.plus(PATIENCE[PATIENCE.len() - 1])).into(),
            ],
        )?,
        Err((fault, error)) => tx.run(
            "UPDATE certificates SET next_at = $2, failures = failures + 1, fault = $3, error = $4 WHERE names = $1",
            &[
                (&turn.names).into(),
                now.plus(turn.patience()).into(),
                fault.as_str().into(),
                error.into(),
            ],
        )?,
    }
    tx.ring(Topic::Changes);
    Ok(true)
}

/// Keeps the account that was made in this turn for all that follow; none where the authority knows it no more.
pub(super) async fn keep_account(db: &Db, turn: &Turn, credentials: Option<String>) -> Result<()> {
    let turn = turn.clone();
    db.write("keep the account of an ACME authority", move |tx| {
        tx.run(
            "UPDATE acme_accounts SET credentials = $3 WHERE directory = $1 AND turn = $2",
            &[
                (&turn.directory).into(),
                turn.number.into(),
                credentials.as_deref().into(),
            ],
        )
    })
    .await
}

/// Lays a proof out, on every node.
pub(super) async fn put_proof(db: &Db, turn: &Turn, token: String, proof: String) -> Result<()> {
    let names = turn.names.clone();
    db.write("lay out a proof for an ACME authority", move |tx| {
        tx.run(
            "INSERT INTO acme_proofs (token, names, proof) VALUES ($1, $2, $3) \
             ON CONFLICT (token) DO UPDATE SET names = excluded.names, proof = excluded.proof",
            &[(&token).into(), (&names).into(), (&proof).into()],
        )
    })
    .await
}

pub(super) async fn proof(db: &Db, token: String) -> Result<Option<String>> {
    db.peek("read a proof for an ACME authority", move |tx| {
        let row = tx.query_opt(
            "SELECT proof FROM acme_proofs WHERE token = $1",
            &[(&token).into()],
        )?;
        row.map(|row| row.text(0)).transpose()
    })
    .await
}

#[cfg(test)]
mod tests;
