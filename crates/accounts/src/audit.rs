//! The audit log: one line for each change of an account or of the installation, in the transaction that makes it.

use std::net::IpAddr;
use std::time::Duration;

use mail::time::Time;
use store::search::{Found, Stretch, containing, literal};
use store::{Id, Row, Tx};

use crate::{Accounts, Login, Principal, Result};

/// Lines are kept this long.
pub const KEPT: Duration = Duration::from_hours(365 * 24);
/// The most octets of a target or a detail; what names more than that is cut.
const LONGEST: usize = 400;
/// Lines removed in one transaction.
const PURGE_STEP: u64 = 500;
const COLUMNS: &str = "id, at, account, by_account, by_login, actor, via, ip, behind, action, target, detail";

/// Who changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By {
    /// The account of whoever does it, which need not be the one that is changed.
    pub account: Option<Id>,
    pub login: Option<Id>,
    /// The address of the login; empty where it is nobody's.
    pub email: String,
    /// By what: `session`, `api_key`, `link`, `command line`, `system` and the like.
    pub via: &'static str,
    pub ip: Option<IpAddr>,
    /// The operator's login that acts as another account.
    pub behind: Option<String>,
}

impl By {
    /// Somebody with a shell on this machine.
    pub fn command_line() -> Self {
        Self::nobody("command line")
    }

    /// Posthouse itself.
    pub fn system() -> Self {
        Self::nobody("system")
    }

    fn nobody(via: &'static str) -> Self {
        Self {
            account: None,
            login: None,
            email: String::new(),
            via,
            ip: None,
            behind: None,
        }
    }

    /// Somebody who signed in.
    pub fn principal(who: &Principal, ip: Option<IpAddr>) -> Self {
        Self {
            account: Some(who.account),
            login: who.login,
            email: who.email.clone(),
            via: who.via.as_str(),
            ip,
            behind: None,
        }
    }

    /// Whoever followed a link in a mail to this login.
    pub(crate) fn link(login: &Login, ip: Option<IpAddr>) -> Self {
        Self {
            account: Some(login.account),
            login: Some(login.id),
            email: login.email.clone(),
            ..Self::nobody("link").from(ip)
        }
    }

    /// Whoever reads the mail of this address, who need not belong to any account: from where is nobody's business.
    pub(crate) fn reader_of(address: &str) -> Self {
        Self {
            email: address.to_owned(),
            ..Self::nobody("link")
        }
    }

    #[must_use]
    pub(crate) fn from(mut self, ip: Option<IpAddr>) -> Self {
        self.ip = ip;
        self
    }
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditLine {
    pub id: Id,
    pub at: Time,
    /// `None` where it is about the whole installation.
    pub account: Option<Id>,
    pub by_account: Option<Id>,
    pub by_login: Option<Id>,
    /// The address of the login that did it; empty where it was none.
    pub actor: String,
    pub via: String,
    pub ip: Option<String>,
    pub behind: Option<String>,
    /// Such as `key.created`.
    pub action: String,
    pub target: String,
    pub detail: String,
}

/// Which lines a page holds, newest first.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// `None`: those of all accounts and of the installation.
    pub account: Option<Id>,
    /// A part of the actor's address; with an account, of an actor of that account.
    pub who: Option<String>,
    /// An action, or what it begins with up to a dot, such as `key`.
    pub what: Option<String>,
    pub limit: u32,
    /// The last line of the page before.
    pub after: Option<Id>,
}

/// Writes a line. `account` is the one that is changed, `None` the whole installation. Neither target nor detail ever
/// holds a secret.
pub fn note(
    tx: &mut Tx<'_>,
    (id, now): (Id, Time),
    account: impl Into<Option<Id>>,
    by: &By,
    action: &'static str,
    target: &str,
    detail: &str,
) -> store::Result<()> {
    let account = account.into();
    let ip = by.ip.map(|ip| ip.to_canonical().to_string());
    tx.run(
        "INSERT INTO audit (id, at, account, by_account, by_login, actor, via, ip, behind, action, target, detail) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        &[
            id.into(),
            now.into(),
            account.as_ref().into(),
            by.account.as_ref().into(),
            by.login.as_ref().into(),
            (&by.email).into(),
            by.via.into(),
            ip.as_deref().into(),
            by.behind.as_deref().into(),
            action.into(),
            cut(target).into(),
            cut(detail).into(),
        ],
    )
}

impl Accounts {
    /// A page of the log.
    pub async fn audit(&self, filter: AuditFilter) -> Result<Found<AuditLine>> {
        let read = move |tx: &mut Tx<'_>| list(tx, &filter);
        Ok(self.inner.db.read("read the audit log", read).await?)
    }

    /// Forgets lines that are older than [`KEPT`].
    pub(crate) async fn purge_audit(&self) -> Result<()> {
        let before = self.inner.clock.now().minus(KEPT);
        let purge = move |tx: &mut Tx<'_>| {
            tx.execute(
                &format!(
                    "DELETE FROM audit WHERE id IN \
                     (SELECT id FROM audit WHERE at < $1 ORDER BY at, id LIMIT {PURGE_STEP})"
                ),
                &[before.into()],
            )
        };
        while self
            .inner
            .db
            .write("forget old lines of the audit log", purge)
            .await?
            == PURGE_STEP
        {}
        Ok(())
    }
}

fn list(tx: &mut Tx<'_>, filter: &AuditFilter) -> store::Result<Found<AuditLine>> {
    let mut stretch = match filter.account {
        Some(account) => Stretch::new("audit", &["account", "id"], vec![account.into()]),
        None => Stretch::new("audit", &["id"], Vec::new()),
    };
    stretch.after(filter.after);
    let who = filter.who.as_deref().map(containing);
    // One action, or all that begin with it and a dot: a name has no dot at its end.
    let what = filter.what.as_deref().map(|what| format!("{}.%", literal(what)));
    let look = |tx: &mut Tx<'_>, many: u32| {
        let (part, mut conditions) = stretch.first(COLUMNS, many);
        conditions.add("lower(actor) LIKE $ ESCAPE '\\'", who.as_deref());
        if filter.account.is_some() && who.is_some() {
            // An account is not shown who from outside changed it, so a search must not tell either.
            conditions.demand("(by_account IS NULL OR by_account = account)");
        }
        conditions.add("action || '.' LIKE $ ESCAPE '\\'", what.as_deref());
        let sql = format!(
            "SELECT {COLUMNS} FROM {part}{}{} LIMIT {}",
            conditions.sql(),
            stretch.order("id"),
            filter.limit
        );
        let lines = tx.query(&sql, conditions.values())?;
        lines.iter().map(line_of).collect::<store::Result<Vec<_>>>()
    };
    if who.is_none() && what.is_none() {
        return look(tx, filter.limit).map(Found::all);
    }
    stretch.search(tx, filter.limit, look)
}

fn line_of(row: &Row) -> store::Result<AuditLine> {
    Ok(AuditLine {
        id: row.id(0)?,
        at: row.time(1)?,
        account: row.opt_id(2)?,
        by_account: row.opt_id(3)?,
        by_login: row.opt_id(4)?,
        actor: row.text(5)?,
        via: row.text(6)?,
        ip: row.opt_text(7)?,
        behind: row.opt_text(8)?,
        action: row.text(9)?,
        target: row.text(10)?,
        detail: row.text(11)?,
    })
}

/// At most [`LONGEST`] octets of `text`, whole characters.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        let long = "é".repeat(LONGEST);
        assert_eq!(cut(&long).len(), LONGEST);
        assert_eq!(cut(&long[..LONGEST - 2]), &long[..LONGEST - 2]);
        assert_eq!(cut(&format!("x{long}")).len(), LONGEST - 1);
    }
}
