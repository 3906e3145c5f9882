//! Announcements: short notices of the operator, on top of the console until somebody puts them away, and, where they are
//! public, on the first page of the site.

use mail::time::Time;
use store::{Id, Row, Tx, Value};

use crate::audit::{self, By};
use crate::{Accounts, AccountsError, Result};

/// The most that are kept, those that are over among them.
const MOST: i64 = 200;
const LONGEST: usize = 500;

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Info,
    Warning,
    Problem,
}

impl Severity {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }

    /// As it is stored; what a newer version wrote is shown quietly.
    fn stored(text: &str) -> Self {
        match text {
            "warning" => Self::Warning,
            "problem" => Self::Problem,
            _ => Self::Info,
        }
    }
}

/// What the operator says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAnnouncement {
    pub text: String,
    pub severity: Severity,
    /// From now on where it is not given.
    pub from: Option<Time>,
    /// Until it is removed where it is not given.
    pub until: Option<Time>,
    /// To its people only; to everybody where it is not given.
    pub account: Option<Id>,
    /// Also to whoever opens the site.
    pub public: bool,
}

/// An announcement as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    pub id: Id,
    pub text: String,
    pub severity: Severity,
    pub from: Time,
    pub until: Option<Time>,
    pub account: Option<Id>,
    /// The name of that account.
    pub account_name: Option<String>,
    pub public: bool,
}

const COLUMNS: &str = "n.id, n.text, n.severity, n.begins_at, n.ends_at, n.account, n.public, \
    (SELECT a.name FROM accounts a WHERE a.id = n.account)";
const RUNS: &str = "n.begins_at <= $1 AND (n.ends_at IS NULL OR n.ends_at > $1)";

impl Accounts {
    /// Writes an announcement.
    pub async fn announce(&self, new: NewAnnouncement, by: &By) -> Result<Announcement> {
        let now = self.inner.clock.now();
        let text = new.text.trim().to_owned();
        if text.is_empty() || text.chars().count() > LONGEST || text.chars().any(char::is_control) {
            return Err(AccountsError::BadAnnouncement);
        }
        let from = new.from.unwrap_or(now);
        if new.until.is_some_and(|until| until <= from.max(now)) {
            return Err(AccountsError::EndsBefore);
        }
        if new.public && new.account.is_some() {
            return Err(AccountsError::PublicToOne);
        }
        let account_name = match new.account {
            Some(account) => Some(self.account(account).await?.name),
            None => None,
        };
        let announcement = Announcement {
            id: self.id(now),
            text,
            severity: new.severity,
            from,
            until: new.until,
            account: new.account,
            account_name,
            public: new.public,
        };
        let written = announcement.clone();
        let (audit, by) = (self.id(now), by.clone());
        let fits = self.inner.db.write("announce something", move |tx| {
            let row = tx.query_opt("SELECT COUNT(*) FROM announcements", &[])?;
            if row.map_or(Ok(0), |row| row.int(0))? >= MOST {
                return Ok(false);
            }
            insert(tx, &written, now)?;
            let to = match (&written.account_name, written.public) {
                (Some(name), _) => name.as_str(),
                (None, true) => "everybody and the site",
                (None, false) => "everybody",
            };
            audit::note(
                tx,
                (audit, now),
                None,
                &by,
                "announcement.created",
                to,
                &written.text,
            )?;
            Ok(true)
        });
        if !fits.await? {
            return Err(AccountsError::TooMany {
                most: MOST,
                of: "announcements",
                remedy: "remove some that are over",
            });
        }
        Ok(announcement)
    }

    /// All there are, those that begin last first.
    pub async fn announcements(&self) -> Result<Vec<Announcement>> {
        let all = self.inner.db.read("list the announcements", |tx| {
            let sql = format!(
                "SELECT {COLUMNS} FROM announcements n ORDER BY n.begins_at DESC, n.id DESC LIMIT {MOST}"
            );
            tx.query(&sql, &[])?.iter().map(announcement_of).collect()
        });
        Ok(all.await?)
    }

    /// Those that somebody is to see now: a login that has not put them away.
    pub async fn announcements_for(&self, account: Id, login: Option<Id>) -> Result<Vec<Announcement>> {
        let now = self.inner.clock.now();
        let found = self.inner.db.read("look for announcements", move |tx| {
            let sql = format!(
                "SELECT {COLUMNS} FROM announcements n WHERE {RUNS} AND (n.account IS NULL OR n.account = $2) \
                 AND NOT EXISTS (SELECT 1 FROM announcements_put_away p WHERE p.announcement = n.id AND p.login = $3) \
                 ORDER BY n.begins_at, n.id"
            );
            // Nobody has the nil identifier.
            let login = login.unwrap_or(Id::from_bytes([0; 16]));
            let values: [Value<'_>; 3] = [now.into(), (&account).into(), (&login).into()];
            tx.query(&sql, &values)?.iter().map(announcement_of).collect()
        });
        Ok(found.await?)
    }

    /// Those that the site shows now.
    pub async fn public_announcements(&self) -> Result<Vec<Announcement>> {
        let now = self.inner.clock.now();
        let found = self.inner.db.peek("look for public announcements", move |tx| {
            let sql = format!(
                "SELECT {COLUMNS} FROM announcements n WHERE {RUNS} AND n.public = 1 AND n.account IS NULL \
                 ORDER BY n.begins_at, n.id"
            );
            tx.query(&sql, &[now.into()])?
                .iter()
                .map(announcement_of)
                .collect()
        });
        Ok(found.await?)
    }

    /// Shows it to this login no more. Only what `account` is shown can be put away.
    pub async fn put_announcement_away(&self, announcement: Id, account: Id, login: Id) -> Result<()> {
        let put = self.inner.db.write("put an announcement away", move |tx| {
            let shown = tx.query_opt(
                "SELECT 1 FROM announcements WHERE id = $1 AND (account IS NULL OR account = $2)",
                &[(&announcement).into(), (&account).into()],
            )?;
            if shown.is_none() {
                return Ok(false);
            }
            tx.run(
                "INSERT INTO announcements_put_away (announcement, login) VALUES ($1, $2) \
                 ON CONFLICT (announcement, login) DO NOTHING",
                &[(&announcement).into(), (&login).into()],
            )?;
            Ok(true)
        });
        if !put.await? {
            return Err(AccountsError::NotFound("announcement"));
        }
        Ok(())
    }

    /// Removes an announcement; it disappears everywhere.
    pub async fn remove_announcement(&self, id: Id, by: &By) -> Result<()> {
        let now = self.inner.clock.now();
        let (audit, by) = (self.id(now), by.clone());
        let removed = self.inner.db.write("remove an announcement", move |tx| {
            tx.run(
                "DELETE FROM announcements_put_away WHERE announcement = $1",
                &[(&id).into()],
            )?;
            let gone = tx.query_opt(
                "DELETE FROM announcements WHERE id = $1 RETURNING text",
                &[(&id).into()],
            )?;
            let Some(gone) = gone else { return Ok(false) };
            audit::note(
                tx,
                (audit, now),
                None,
                &by,
                "announcement.removed",
                "",
                &gone.text(0)?,
            )?;
            Ok(true)
        });
        if !removed.await? {
            return Err(AccountsError::NotFound("announcement"));
        }
        Ok(())
    }
}

fn insert(tx: &mut Tx<'_>, new: &Announcement, now: Time) -> store::Result<()> {
    tx.run(
        "INSERT INTO announcements (id, text, severity, begins_at, ends_at, account, public, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            (&new.id).into(),
            (&new.text).into(),
            new.severity.as_str().into(),
            new.from.into(),
            new.until.into(),
            new.account.into(),
            new.public.into(),
            now.into(),
        ],
    )
}

fn announcement_of(row: &Row) -> store::Result<Announcement> {
    Ok(Announcement {
        id: row.id(0)?,
        text: row.text(1)?,
        severity: Severity::stored(&row.text(2)?),
        from: row.time(3)?,
        until: row.opt_time(4)?,
        account: row.opt_id(5)?,
        public: row.bool(6)?,
        account_name: row.opt_text(7)?,
    })
}
