//! Writes the lines of sign-in attempts, so many new ones a minute and no more, and removes old ones.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use mail::time::Time;
use store::{Id, Tx};

use super::journal::{Alike, Taken};
use super::{Approach, Door, Reason};
use crate::{Accounts, Result, token};

/// New lines a minute of one account, and of all attempts that belong to none. What goes beyond is one line with a count.
const NEW_OF_ACCOUNT: u32 = 60;
const NEW_OF_NOBODY: u32 = 120;
/// Lines kept of one account, and of all attempts that belong to none.
const MOST_OF_ACCOUNT: u32 = 1_000;
const MOST_OF_NOBODY: u32 = 10_000;
const KEPT_FOR: Duration = Duration::from_hours(30 * 24);
/// Lines that one transaction writes or removes.
const STEP: usize = 100;

/// New lines that were begun in the current minute.
#[derive(Default)]
pub(crate) struct Allowance {
    minute: i64,
    begun: HashMap<Option<Id>, u32>,
    /// Accounts with new lines since the last purge.
    grown: HashSet<Option<Id>>,
}

impl Allowance {
    fn take(&mut self, account: Option<Id>, now: Time) -> bool {
        let minute = now.as_secs().div_euclid(60);
        if self.minute != minute {
            self.minute = minute;
            self.begun.clear();
        }
        let most = if account.is_some() {
            NEW_OF_ACCOUNT
        } else {
            NEW_OF_NOBODY
        };
        let begun = self.begun.entry(account).or_default();
        let allowed = *begun < most;
        if allowed {
            *begun += 1;
            self.grown.insert(account);
        }
        allowed
    }
}

/// What is added to one line.
#[derive(Clone)]
struct Line {
    id: Id,
    account: Option<Id>,
    login: String,
    credential: Option<String>,
    from: Approach,
    ip: String,
    reason: Reason,
    count: u64,
    first: Time,
    last: Time,
}

impl Line {
    fn of((alike, reason, account): (Alike, Reason, Option<Id>)) -> Self {
        let Alike {
            tried,
            count,
            first,
            last,
        } = alike;
        Self {
            id: tried.line(&reason),
            account,
            ip: crate::ranges::canonical(tried.from.ip).to_string(),
            login: tried.login,
            credential: tried.credential,
            from: tried.from,
            reason,
            count,
            first,
            last,
        }
    }

    /// The line that counts what is not kept one by one.
    fn more(account: Option<Id>, count: u64, first: Time, last: Time) -> Self {
        let name = account.map(|account| account.to_string()).unwrap_or_default();
        let hash = token::hash(&format!("more\n{name}"));
        Self {
            id: Id::from_bytes(hash[..16].try_into().expect("a hash is longer than an id")),
            account,
            login: String::new(),
            credential: None,
            from: Approach {
                door: Door::Smtp,
                ip: std::net::Ipv4Addr::UNSPECIFIED.into(),
                client: String::new(),
                port: 0,
                tls: None,
                mechanism: "",
            },
            ip: String::new(),
            reason: Reason::More,
            count,
            first,
            last,
        }
    }

    fn add(&mut self, other: Self) {
        let (count, first) = (self.count + other.count, self.first.min(other.first));
        if other.last >= self.last {
            *self = other;
        }
        (self.count, self.first) = (count, first);
    }
}

impl Accounts {
    /// Writes the attempts that have gathered, each with its reason. Whether more wait, whose reason takes a later look.
    pub async fn write_attempts(&self) -> Result<bool> {
        let Taken { alike, left_out } = self.inner.journal.take();
        let mut lines: BTreeMap<Id, Line> = BTreeMap::new();
        let mut add = |line: Line| match lines.get_mut(&line.id) {
            Some(known) => known.add(line),
            None => drop(lines.insert(line.id, line)),
        };
        for told in self.find_reasons(alike).await? {
            add(Line::of(told));
        }
        if let Some((count, first, last)) = left_out {
            add(Line::more(None, count, first, last));
        }
        let lines: Vec<Line> = lines.into_values().collect();
        for some in lines.chunks(STEP) {
            self.write_lines(some.to_vec()).await?;
        }
        Ok(!self.inner.journal.is_empty())
    }

    async fn write_lines(&self, lines: Vec<Line>) -> Result<()> {
        let now = self.inner.clock.now();
        let add_known = move |tx: &mut Tx<'_>| {
            let mut new = Vec::new();
            for line in &lines {
                if update(tx, line)? == 0 {
                    new.push(line.clone());
                }
            }
            Ok(new)
        };
        let new = self
            .inner
            .db
            .write("add to lines of sign-in attempts", add_known)
            .await?;
        let mut new_lines: BTreeMap<Id, Line> = BTreeMap::new();
        for line in new {
            let line = if self.inner.journal.written.lock().take(line.account, now) {
                line
            } else {
                Line::more(line.account, line.count, line.first, line.last)
            };
            match new_lines.get_mut(&line.id) {
                Some(known) => known.add(line),
                None => drop(new_lines.insert(line.id, line)),
            }
        }
        let begin = move |tx: &mut Tx<'_>| new_lines.values().try_for_each(|line| insert(tx, line));
        Ok(self
            .inner
            .db
            .write("begin lines of sign-in attempts", begin)
            .await?)
    }

    pub(super) async fn purge_attempts(&self) -> Result<()> {
        let now = self.inner.clock.now();
        let grown = std::mem::take(&mut self.inner.journal.written.lock().grown);
        for account in grown {
            let purge = move |tx: &mut Tx<'_>| purge_beyond(tx, account);
            self.inner
                .db
                .write("remove surplus sign-in attempts", purge)
                .await?;
        }
        let old = now.minus(KEPT_FOR);
        let purge = move |tx: &mut Tx<'_>| {
            tx.execute(
                &format!(
                    "DELETE FROM sign_in_attempts WHERE line IN \
                     (SELECT line FROM sign_in_attempts WHERE last_at < $1 ORDER BY last_at LIMIT {STEP})"
                ),
                &[old.into()],
            )
        };
        while self.inner.db.write("remove old sign-in attempts", purge).await? == STEP as u64 {}
        self.purge_old_passwords().await
    }
}

fn update(tx: &mut Tx<'_>, line: &Line) -> store::Result<u64> {
    tx.execute(
        "UPDATE sign_in_attempts SET count = count + $2, last_at = $3, port = $4, tls = $5, mechanism = $6, \
         until = $7, near = coalesce($8, near), account = coalesce($9, account) WHERE line = $1",
        &[
            (&line.id).into(),
            line.count.cast_signed().into(),
            line.last.into(),
            i64::from(line.from.port).into(),
            line.from.tls.as_ref().into(),
            line.from.mechanism.into(),
            line.reason.until().into(),
            line.reason.near().into(),
            line.account.as_ref().into(),
        ],
    )
}

fn insert(tx: &mut Tx<'_>, line: &Line) -> store::Result<()> {
    tx.run(
        "INSERT INTO sign_in_attempts (line, account, login_key, ip, client, door, port, tls, mechanism, reason, until, \
         near, count, first_at, last_at, credential) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) \
         ON CONFLICT (line) DO UPDATE SET count = sign_in_attempts.count + excluded.count, last_at = excluded.last_at",
        &[
            (&line.id).into(),
            line.account.as_ref().into(),
            (&line.login).into(),
            (&line.ip).into(),
            (&line.from.client).into(),
            line.from.door.as_str().into(),
            i64::from(line.from.port).into(),
            line.from.tls.as_ref().into(),
            line.from.mechanism.into(),
            line.reason.as_str().into(),
            line.reason.until().into(),
            line.reason.near().into(),
            line.count.cast_signed().into(),
            line.first.into(),
            line.last.into(),
            line.credential.as_ref().into(),
        ],
    )
}

/// Removes what goes beyond the most lines that an account, or nobody, has.
fn purge_beyond(tx: &mut Tx<'_>, account: Option<Id>) -> store::Result<()> {
    let (whose, most, values) = match &account {
        Some(account) => ("account = $1", MOST_OF_ACCOUNT, vec![account.into()]),
        None => ("account IS NULL", MOST_OF_NOBODY, Vec::new()),
    };
    let sql = format!(
        "DELETE FROM sign_in_attempts WHERE {whose} AND last_at <= (SELECT last_at FROM sign_in_attempts \
         WHERE {whose} ORDER BY last_at DESC LIMIT 1 OFFSET {most})"
    );
    tx.run(&sql, &values)
}
