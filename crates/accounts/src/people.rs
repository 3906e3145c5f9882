//! Accounts and their logins: making them, passwords, suspension, lists.

use std::net::IpAddr;
use std::time::Duration;

use mail::address::Address;
use mail::time::Time;
use store::search::{Conditions, containing};
use store::{Id, Row, Tx};

use crate::audit::{self, By};
use crate::changes::{self, bump};
use crate::links;
use crate::notices::{self, ChangedBy, Matter, Requester};
use crate::scram::{self, MadeKeys};
use crate::state::AccountState;
use crate::{
    Accounts, AccountsError, Attempt, Outcome, Principal, Result, Role, Via, attempts, credits, lockout,
    password,
};

/// An account as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub id: Id,
    pub name: String,
    pub state: AccountState,
    pub operator: bool,
    /// `None` where the account has no limit.
    pub credits: Option<i64>,
    /// What there was behind the last grant: credits are few when they are few of these.
    pub credit_mark: i64,
    pub created_at: Time,
    /// It opened itself and has no verified domain yet, so it sends to its own addresses only.
    pub sandbox: bool,
    /// ISO 3166-1, two letters; empty where nobody said.
    pub country: String,
    /// A name of the tz database; empty where nobody said.
    pub time_zone: String,
}

/// One of an account's logins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub id: Id,
    pub account: Id,
    pub email: String,
}

/// An account to be made, with its first login.
#[derive(Clone, Debug)]
pub struct NewAccount {
    pub email: String,
    pub password: String,
    pub operator: bool,
    /// `None`: no limit for an operator, the free credits for everybody else.
    pub credits: Option<i64>,
}

/// The order of a list of accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccountSort {
    #[default]
    Newest,
    Oldest,
    Name,
    FewestCredits,
}

/// Which accounts a list holds.
#[derive(Clone, Debug, Default)]
pub struct AccountFilter {
    /// A part of the name or of a login address.
    pub q: Option<String>,
    /// `active`, `paused` or `suspended`.
    pub state: Option<String>,
    pub sort: AccountSort,
    pub limit: u32,
    /// The last account of the page before.
    pub after: Option<Id>,
}

/// A password on its way to a login.
#[derive(Clone, Debug)]
pub(crate) struct NewPassword {
    pub(crate) login: Login,
    pub(crate) hash: String,
    /// For SCRAM, where it is on.
    pub(crate) scram: Option<MadeKeys>,
    /// The hash of the token of the web session that goes on.
    pub(crate) keep: Option<[u8; 32]>,
    pub(crate) by: ChangedBy,
    pub(crate) requester: Option<Requester>,
    /// Names the mail about it.
    pub(crate) notice: Id,
    /// Names the line in the audit log.
    pub(crate) audit: Id,
    pub(crate) who: By,
    pub(crate) now: Time,
}

/// A change of one's own password.
#[derive(Clone, Copy)]
pub struct OwnPassword<'a> {
    /// The login and the password that it has.
    pub current: Attempt<'a>,
    pub new: &'a str,
    /// The token of the web session that goes on.
    pub keep: Option<&'a str>,
}

fn columns() -> String {
    format!(
        "a.id, a.name, a.state, a.state_reason, a.operator, a.unlimited, a.balance, a.created_at, \
         CASE WHEN a.sandbox = 1 AND NOT {} THEN 1 ELSE 0 END, a.country, a.time_zone, a.credit_mark",
        crate::domains::HAS_VERIFIED
    )
}

impl Accounts {
    /// Makes an account and its login, confirmed and trusted.
    pub async fn create(&self, new: NewAccount, by: &By) -> Result<Account> {
        self.create_if(new, |_| Ok(true), by)
            .await?
            .ok_or(AccountsError::AlreadySetUp)
    }

    /// Makes the first operator; refused as soon as there is one.
    pub async fn create_first_operator(
        &self,
        email: String,
        password: String,
        ip: Option<IpAddr>,
    ) -> Result<Account> {
        let by = By {
            email: email.trim().to_owned(),
            via: "setup",
            ..By::system().from(ip)
        };
        let new = NewAccount {
            email,
            password,
            operator: true,
            credits: None,
        };
        self.create_if(new, |tx| has_operator(tx).map(|has| !has), &by)
            .await?
            .ok_or(AccountsError::AlreadySetUp)
    }

    /// Whether anybody runs this installation yet.
    pub async fn has_operator(&self) -> Result<bool> {
        Ok(self.inner.db.read("look for an operator", has_operator).await?)
    }

    async fn create_if(
        &self,
        new: NewAccount,
        allowed: fn(&mut Tx<'_>) -> store::Result<bool>,
        by: &By,
    ) -> Result<Option<Account>> {
        let address = Address::parse(new.email.trim())?;
        password::check(&new.password, &new.email)?;
        let hash = self.hash(&new.password).await?;
        let now = self.inner.clock.now();
        let (id, login, grant, audit) = (self.id(now), self.id(now), self.id(now), self.id(now));
        let by = by.clone();
        let unlimited = new.operator && new.credits.is_none();
        let credits = new.credits.unwrap_or(self.inner.settings.free_credits);
        if !(0..=credits::MOST).contains(&credits) {
            return Err(AccountsError::TooMuch);
        }
        let account = Account {
            id,
            name: address.to_string(),
            state: AccountState::Active,
            operator: new.operator,
            credits: (!unlimited).then_some(credits),
            credit_mark: if unlimited { 0 } else { credits },
            created_at: now,
            sandbox: false,
            country: String::new(),
            time_zone: String::new(),
        };
        let (key, made) = (address.login_key(), account.clone());
        let login = NewLogin {
            id: login,
            account: id,
            role: Role::Owner,
            hash,
            language: "en".to_owned(),
            now,
        };
        let outcome = self
            .inner
            .db
            .write("create an account", move |tx| {
                changes::alone(tx)?;
                if !allowed(tx)? {
                    return Ok(Creation::NotAllowed);
                }
                if tx
                    .query_opt("SELECT id FROM logins WHERE login_key = $1", &[(&key).into()])?
                    .is_some()
                {
                    return Ok(Creation::Exists);
                }
                insert_account(tx, &made, unlimited)?;
                insert_login(tx, &login, &address)?;
                credits::open(tx, grant, &made)?;
                let kind = if made.operator { "operator" } else { "" };
                audit::note(tx, (audit, now), id, &by, "account.created", &made.name, kind)?;
                bump(tx, id)?;
                Ok(Creation::Done)
            })
            .await;
        match outcome {
            Ok(Creation::Done) => Ok(Some(account)),
            Ok(Creation::NotAllowed) => Ok(None),
            Ok(Creation::Exists) => Err(AccountsError::LoginExists(account.name)),
            // Two at once: the database saw what our look could not.
            Err(error) if error.kind() == store::ErrorKind::Unique => {
                Err(AccountsError::LoginExists(account.name))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The login that `email` names.
    pub async fn login(&self, email: &str) -> Result<Login> {
        let address = Address::parse(email.trim())?;
        self.refresh().await?;
        let secret = self.login_secret(&address.login_key()).await?;
        let secret = secret.ok_or_else(|| AccountsError::NoSuchLogin(address.to_string()))?;
        Ok(Login {
            id: secret.login,
            account: secret.account,
            email: secret.email.clone(),
        })
    }

    /// The login that `email` names as a sender, without its password: for who runs commands on this machine, and could
    /// set that password as well.
    pub async fn vouched(&self, email: &str) -> Result<Principal> {
        let address = Address::parse(email.trim())?;
        self.refresh().await?;
        let secret = self.login_secret(&address.login_key()).await?;
        let secret = secret.ok_or_else(|| AccountsError::NoSuchLogin(address.to_string()))?;
        Ok(Principal {
            account: secret.account,
            login: Some(secret.login),
            email: secret.email.clone(),
            stamp: secret.stamp,
            via: Via::Command,
        })
    }

    /// Gives a login a new password, on the operator's word. It holds everywhere at once: SMTP sessions that signed in with
    /// the old one end at their next transaction, and so do all web sessions.
    pub async fn set_password(&self, email: &str, new: &str, by: &By) -> Result<()> {
        let login = self.login(email).await?;
        self.change_password(login, (new, None), (ChangedBy::Operator, None), by.clone())
            .await
    }

    /// Changes one's own password, which has to be given.
    pub async fn change_own_password(&self, change: OwnPassword<'_>) -> Result<()> {
        let (id, who) = match self.confirm_password(change.current).await? {
            Outcome::In(who @ Principal { login: Some(id), .. }) => (id, who),
            Outcome::In(_) | Outcome::Wrong => return Err(AccountsError::WrongPassword),
            Outcome::Locked { left } => return Err(AccountsError::Locked { left }),
            Outcome::Busy => return Err(AccountsError::Busy),
        };
        let keep = change.keep.map(crate::token::hash);
        let from = change.current.from;
        let requester = Requester::new(from.ip, &from.client);
        let by = By::principal(&who, Some(from.ip));
        let login = Login {
            id,
            account: who.account,
            email: who.email,
        };
        self.change_password(login, (change.new, keep), (ChangedBy::Owner, Some(requester)), by)
            .await
    }

    async fn change_password(
        &self,
        login: Login,
        (new, keep): (&str, Option<[u8; 32]>),
        (by, requester): (ChangedBy, Option<Requester>),
        who: By,
    ) -> Result<()> {
        password::check(new, &login.email)?;
        let email = login.email.clone();
        let now = self.inner.clock.now();
        let change = NewPassword {
            login,
            hash: self.hash(new).await?,
            scram: self.scram_keys(&email, new).await?,
            keep,
            by,
            requester,
            notice: self.id(now),
            audit: self.id(now),
            who,
            now,
        };
        let changed = self
            .inner
            .db
            .write("change a password", move |tx| replace_password(tx, &change));
        if !changed.await? {
            return Err(AccountsError::NoSuchLogin(email));
        }
        self.refresh().await?;
        Ok(())
    }

    pub async fn account(&self, id: Id) -> Result<Account> {
        let account = self
            .inner
            .db
            .read("read an account", move |tx| {
                tx.query_opt(
                    &format!("SELECT {} FROM accounts a WHERE a.id = $1", columns()),
                    &[(&id).into()],
                )?
                .map(|row| account_of(&row))
                .transpose()
            })
            .await?;
        account.ok_or(AccountsError::NotFound("account"))
    }

    /// How many people can sign in to an account.
    pub async fn count_logins(&self, account: Id) -> Result<u64> {
        let counted = self.inner.db.read("count the logins of an account", move |tx| {
            let row = tx.query_opt(
                "SELECT COUNT(*) FROM logins WHERE account = $1",
                &[(&account).into()],
            )?;
            row.map_or(Ok(0), |row| row.int(0))
        });
        Ok(counted.await?.unsigned_abs())
    }

    /// A page of accounts. One more than `limit` is never read; the last one's id is the next page's `after`.
    pub async fn list(&self, filter: AccountFilter) -> Result<Vec<Account>> {
        Ok(self
            .inner
            .db
            .read("list the accounts", move |tx| list(tx, &filter))
            .await?)
    }

    pub(crate) async fn hash(&self, password: &str) -> Result<String> {
        self.inner.hasher.hash(password, self.inner.ids.secret(16)).await
    }

    pub(crate) fn id(&self, now: Time) -> Id {
        self.inner.ids.next(now)
    }
}

enum Creation {
    Done,
    Exists,
    NotAllowed,
}

fn has_operator(tx: &mut Tx<'_>) -> store::Result<bool> {
    Ok(tx
        .query_opt("SELECT id FROM accounts WHERE operator = 1 LIMIT 1", &[])?
        .is_some())
}

/// Whether it is `unlimited` never changes; what would change it has to say so by `changes::bump`, as `Accounts::pays` remembers it.
pub(crate) fn insert_account(tx: &mut Tx<'_>, account: &Account, unlimited: bool) -> store::Result<()> {
    tx.run(
        "INSERT INTO accounts (id, name, state, state_reason, operator, unlimited, balance, created_at, sandbox, \
         country, time_zone, credit_mark) VALUES ($1, $2, 'active', '', $3, $4, $5, $6, $7, $8, $9, $10)",
        &[
            (&account.id).into(),
            (&account.name).into(),
            account.operator.into(),
            unlimited.into(),
            account.credits.unwrap_or(0).into(),
            account.created_at.into(),
            account.sandbox.into(),
            (&account.country).into(),
            (&account.time_zone).into(),
            account.credit_mark.into(),
        ],
    )
}

/// A login to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewLogin {
    pub(crate) id: Id,
    pub(crate) account: Id,
    pub(crate) role: Role,
    pub(crate) hash: String,
    pub(crate) language: String,
    pub(crate) now: Time,
}

/// Makes a confirmed login.
pub(crate) fn insert_login(tx: &mut Tx<'_>, new: &NewLogin, address: &Address) -> store::Result<()> {
    tx.run(
        "INSERT INTO logins (id, account, email, login_key, password_hash, stamp, confirmed, created_at, \
         password_changed_at, language, role) VALUES ($1, $2, $3, $4, $5, 1, 1, $6, $6, $7, $8)",
        &[
            new.id.into(),
            new.account.into(),
            (&address.to_string()).into(),
            (&address.login_key()).into(),
            (&new.hash).into(),
            new.now.into(),
            (&new.language).into(),
            new.role.as_str().into(),
        ],
    )
}

/// Puts a new password in the old one's place: SMTP and web sessions end, but for the one that is kept, links for a new
/// password are void, locks on the login are lifted, and the owner is written to. False where the login is gone.
pub(crate) fn replace_password(tx: &mut Tx<'_>, change: &NewPassword) -> store::Result<bool> {
    let id = change.login.id;
    attempts::keep_old(tx, id, change.now)?;
    let changed = tx.execute(
        "UPDATE logins SET password_hash = $2, stamp = stamp + 1, password_changed_at = $3 WHERE id = $1",
        &[id.into(), (&change.hash).into(), change.now.into()],
    )?;
    if changed == 0 {
        return Ok(false);
    }
    scram::renew(tx, id, change.scram.as_ref())?;
    crate::sessions::end_all_but(tx, id, change.keep.as_ref(), change.now)?;
    links::forget(tx, id)?;
    lockout::lift(tx, id)?;
    let matter = Matter::PasswordChanged {
        by: change.by,
        requester: change.requester.clone(),
    };
    let due = (change.now, Duration::ZERO);
    notices::note(tx, change.notice, &change.login.email, &matter, due)?;
    let action = match change.by {
        ChangedBy::Link => "password.reset",
        ChangedBy::Owner | ChangedBy::Operator => "password.changed",
    };
    let line = (change.audit, change.now);
    let (account, email) = (change.login.account, &change.login.email);
    audit::note(tx, line, account, &change.who, action, email, "")?;
    bump(tx, change.login.account)?;
    Ok(true)
}

/// The account that a login belongs to, if there is one.
pub(crate) fn account_of_key(tx: &mut Tx<'_>, login_key: &str) -> store::Result<Option<Id>> {
    tx.query_opt(
        "SELECT account FROM logins WHERE login_key = $1",
        &[login_key.into()],
    )?
    .map(|row| row.id(0))
    .transpose()
}

pub(crate) fn login_by_id(tx: &mut Tx<'_>, id: Id) -> store::Result<Option<Login>> {
    tx.query_opt("SELECT account, email FROM logins WHERE id = $1", &[id.into()])?
        .map(|row| {
            Ok(Login {
                id,
                account: row.id(0)?,
                email: row.text(1)?,
            })
        })
        .transpose()
}

fn account_of(row: &Row) -> store::Result<Account> {
    let balance = row.int(6)?;
    Ok(Account {
        id: row.id(0)?,
        name: row.text(1)?,
        state: AccountState::from_columns(&row.text(2)?, row.text(3)?),
        operator: row.bool(4)?,
        credits: (!row.bool(5)?).then_some(balance),
        created_at: row.time(7)?,
        sandbox: row.bool(8)?,
        country: row.text(9)?,
        time_zone: row.text(10)?,
        credit_mark: row.int(11)?,
    })
}

fn list(tx: &mut Tx<'_>, filter: &AccountFilter) -> store::Result<Vec<Account>> {
    let mut conditions = Conditions::default();
    let pattern = filter.q.as_deref().map(containing);
    conditions.add(
        "(lower(a.name) LIKE $ ESCAPE '\\' OR EXISTS (SELECT 1 FROM logins l \
         WHERE l.account = a.id AND l.login_key LIKE $ ESCAPE '\\'))",
        pattern.as_deref(),
    );
    conditions.add("a.state = $", filter.state.as_deref());
    let (column, order, beyond) = match filter.sort {
        AccountSort::Newest => ("a.id", "DESC", "<"),
        AccountSort::Oldest => ("a.id", "ASC", ">"),
        AccountSort::Name => ("a.name", "ASC", ">"),
        AccountSort::FewestCredits => ("a.balance", "ASC", ">"),
    };
    // The place of the last row seen is looked up, so that the cursor is its id whatever the order.
    let place = column.replace("a.", "p.");
    conditions.add(
        &format!("({column}, a.id) {beyond} (SELECT {place}, p.id FROM accounts p WHERE p.id = $)"),
        filter.after.as_ref(),
    );
    let sql = format!(
        "SELECT {} FROM accounts a{} ORDER BY {column} {order}, a.id {order} LIMIT {}",
        columns(),
        conditions.sql(),
        filter.limit
    );
    tx.query(&sql, conditions.values())?
        .iter()
        .map(account_of)
        .collect()
}
