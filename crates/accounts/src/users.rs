//! The users of an account: invited by mail, given a role, removed. An account is never without an owner.

use std::time::Duration;

use mail::address::Address;
use mail::time::Time;
use store::{Id, Row, Tx};

use crate::audit::{self, By};
use crate::limits::{Count, Limit};
use crate::links::{self, Purpose};
use crate::notices::{self, Matter, Requester};
use crate::people::{Login, NewLogin, insert_login};
use crate::{
    Accounts, AccountsError, Principal, Result, Role, Via, api_keys, attempts, changes, ip_credentials,
    lockout, password, scram, second_step, sessions, smtp_credentials, token,
};

/// The most users of one account, those included who are invited and have not come yet.
pub const MOST_USERS: i64 = 100;

const DAY: Duration = Duration::from_hours(24);
/// Mails of one account.
const OF_AN_ACCOUNT: Limit = Limit {
    what: "user invitations of",
    most: 50,
    window: DAY,
};
/// Mails of one invitation.
const OF_AN_INVITATION: Limit = Limit {
    what: "user invitation",
    most: 3,
    window: DAY,
};
/// Mails to one address, whichever accounts invite it.
const TO_AN_ADDRESS: Limit = Limit {
    what: "user invitations to",
    most: 5,
    window: DAY,
};
/// The list shows invitations for so long; the link in the mail works for a week.
const KEPT: Duration = Duration::from_hours(30 * 24);

/// Somebody who signs in to an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub id: Id,
    /// Also the SMTP username.
    pub email: String,
    pub role: Role,
    pub created_at: Time,
}

/// Somebody who is invited into an account and has not come yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserInvitation {
    pub id: Id,
    pub email: String,
    pub role: Role,
    /// The address of who invited.
    pub invited_by: String,
    pub created_at: Time,
    pub sent_at: Time,
    /// When the link in the last mail stops working.
    pub expires_at: Time,
}

/// What an invitation offers to whoever has its link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    pub(crate) id: Id,
    pub(crate) account: Id,
    pub email: String,
    pub role: Role,
    pub invited_by: String,
    pub language: String,
}

/// What came of a change of users.
enum Done<T> {
    With(T),
    Refused(AccountsError),
}

impl<T> Done<T> {
    fn result(self) -> Result<T> {
        match self {
            Self::With(value) => Ok(value),
            Self::Refused(error) => Err(error),
        }
    }
}

/// The place of a change: who asks for it, in which account, and the line that tells of it.
struct Change {
    account: Id,
    by: By,
    line: (Id, Time),
    /// Of the mail to whom it is about.
    notice: Id,
}

impl Change {
    fn note(&self, tx: &mut Tx<'_>, action: &'static str, target: &str, detail: &str) -> store::Result<()> {
        audit::note(tx, self.line, self.account, &self.by, action, target, detail)
    }

    /// What the asker is in the account at this moment. Whoever stands outside of it, an operator or a command, is not
    /// bound by its roles.
    fn asker(&self, tx: &mut Tx<'_>) -> store::Result<Option<Role>> {
        if self.by.account != Some(self.account) {
            return Ok(Some(Role::Owner));
        }
        let Some(login) = self.by.login else {
            return Ok(None);
        };
        Ok(user(tx, self.account, login)?.map(|user| user.role))
    }

    /// Refuses who may not do something about somebody of these roles.
    fn refused(&self, tx: &mut Tx<'_>, roles: &[Role]) -> store::Result<Option<AccountsError>> {
        Ok(match self.asker(tx)? {
            Some(asker) if decides_about(asker, roles) => None,
            Some(Role::Admin) => Some(AccountsError::OwnersOnly),
            _ => Some(AccountsError::AdminsOnly),
        })
    }
}

/// Whether this role makes and unmakes all of those.
fn decides_about(asker: Role, roles: &[Role]) -> bool {
    match asker {
        Role::Owner => true,
        Role::Admin => !roles.contains(&Role::Owner),
        Role::Marketer | Role::Developer | Role::Viewer => false,
    }
}

impl Accounts {
    /// Who signs in to this account, the longest there first.
    pub async fn users(&self, account: Id) -> Result<Vec<User>> {
        let read = move |tx: &mut Tx<'_>| {
            tx.query(
                "SELECT id, email, role, created_at FROM logins WHERE account = $1 ORDER BY id",
                &[account.into()],
            )?
            .iter()
            .map(user_of)
            .collect()
        };
        Ok(self.inner.db.read("list the users of an account", read).await?)
    }

    /// Who is invited into this account and has not come yet, newest first.
    pub async fn user_invitations(&self, account: Id) -> Result<Vec<UserInvitation>> {
        let read = move |tx: &mut Tx<'_>| {
            tx.query(
                "SELECT id, email, role, invited_by, created_at, sent_at FROM user_invitations \
                 WHERE account = $1 ORDER BY id DESC",
                &[account.into()],
            )?
            .iter()
            .map(invitation_of)
            .collect()
        };
        Ok(self
            .inner
            .db
            .read("list the invitations of an account", read)
            .await?)
    }

    /// Invites somebody into an account by mail. Whether the address has a login elsewhere is looked at when the mail is
    /// written, and told to the address only.
    pub async fn invite_user(
        &self,
        account: Id,
        (email, role): (&str, Role),
        language: Option<&str>,
        by: &By,
    ) -> Result<UserInvitation> {
        let address = Address::parse(email.trim())?;
        let now = self.inner.clock.now();
        let change = self.change(account, by, now);
        let (id, notice) = (self.id(now), self.id(now));
        let language = language.map(str::to_owned);
        let invited = self.inner.db.write("invite a user", move |tx| {
            changes::alone(tx)?;
            if let Some(refused) = change.refused(tx, &[role])? {
                return Ok(Done::Refused(refused));
            }
            let (email, key) = (address.to_string(), address.login_key());
            if crate::people::account_of_key(tx, &key)? == Some(account) {
                return Ok(Done::Refused(AccountsError::UserExists(email)));
            }
            let twice = "SELECT id FROM user_invitations WHERE account = $1 AND login_key = $2";
            if tx.query_opt(twice, &[account.into(), (&key).into()])?.is_some() {
                return Ok(Done::Refused(AccountsError::Invited(email)));
            }
            if let Some(refused) = no_room(tx, account)? {
                return Ok(Done::Refused(refused));
            }
            if let Count::Over(wait) = OF_AN_ACCOUNT.count(tx, &account.to_string(), now)? {
                return Ok(Done::Refused(AccountsError::TooOften(wait)));
            }
            let language = match &language {
                Some(language) => language.clone(),
                None => language_of(tx, change.by.login)?,
            };
            tx.run(
                "INSERT INTO user_invitations (id, account, email, login_key, role, invited_by, language, created_at, \
                 sent_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
                &[
                    id.into(),
                    account.into(),
                    (&email).into(),
                    (&key).into(),
                    role.as_str().into(),
                    (&change.by.email).into(),
                    (&language).into(),
                    now.into(),
                ],
            )?;
            mail_it(tx, notice, (id, &address), now)?;
            change.note(tx, "user.invited", &email, role.as_str())?;
            Ok(Done::With(UserInvitation {
                id,
                email,
                role,
                invited_by: change.by.email.clone(),
                created_at: now,
                sent_at: now,
                expires_at: now.plus(Purpose::User.life()),
            }))
        });
        invited.await?.result()
    }

    /// Mails an invitation again; links of earlier mails stop working.
    pub async fn send_user_invitation(&self, account: Id, id: Id, by: &By) -> Result<()> {
        let now = self.inner.clock.now();
        let change = self.change(account, by, now);
        let notice = self.id(now);
        let sent = self.inner.db.write("send an invitation again", move |tx| {
            let Some(invitation) = invitation(tx, account, id)? else {
                return Ok(Done::Refused(AccountsError::NotFound("invitation")));
            };
            if let Some(refused) = change.refused(tx, &[invitation.role])? {
                return Ok(Done::Refused(refused));
            }
            let counts = [(OF_AN_INVITATION, id), (OF_AN_ACCOUNT, account)];
            for (limit, whose) in counts {
                if let Count::Over(wait) = limit.count(tx, &whose.to_string(), now)? {
                    return Ok(Done::Refused(AccountsError::TooOften(wait)));
                }
            }
            links::forget(tx, id)?;
            tx.run(
                "UPDATE user_invitations SET sent_at = $2 WHERE id = $1",
                &[id.into(), now.into()],
            )?;
            if let Ok(address) = Address::parse(&invitation.email) {
                mail_it(tx, notice, (id, &address), now)?;
            }
            change.note(tx, "user.invited_again", &invitation.email, "")?;
            Ok(Done::With(()))
        });
        sent.await?.result()
    }

    /// Takes an invitation back; its link stops working.
    pub async fn withdraw_user_invitation(&self, account: Id, id: Id, by: &By) -> Result<()> {
        let now = self.inner.clock.now();
        let change = self.change(account, by, now);
        let withdrawn = self.inner.db.write("withdraw an invitation", move |tx| {
            let Some(invitation) = invitation(tx, account, id)? else {
                return Ok(Done::Refused(AccountsError::NotFound("invitation")));
            };
            if let Some(refused) = change.refused(tx, &[invitation.role])? {
                return Ok(Done::Refused(refused));
            }
            links::forget(tx, id)?;
            forget(tx, id)?;
            change.note(tx, "user.invitation_withdrawn", &invitation.email, "")?;
            Ok(Done::With(()))
        });
        withdrawn.await?.result()
    }

    /// What the link of an invitation offers, while it works.
    pub async fn offered(&self, token: &str) -> Result<Option<Offer>> {
        let hash = token::hash(token);
        let now = self.inner.clock.now();
        let found = self.inner.db.read("look an invitation up", move |tx| {
            match links::find(tx, Purpose::User, &hash, now)? {
                Some(link) => offer(tx, link.subject),
                None => Ok(None),
            }
        });
        Ok(found.await?)
    }

    /// Makes whoever has the link of an invitation a user of the account, with a password of their own. The link proves
    /// the address.
    pub async fn join(
        &self,
        token: &str,
        password: &str,
        language: &str,
        from: &Requester,
    ) -> Result<Principal> {
        let offer = self.offered(token).await?.ok_or(AccountsError::LinkGone)?;
        // A weak password costs another try, not another link.
        password::check(password, &offer.email)?;
        let address = Address::parse(&offer.email)?;
        let login = NewLogin {
            id: self.id(self.inner.clock.now()),
            account: offer.account,
            role: offer.role,
            hash: self.hash(password).await?,
            language: language.to_owned(),
            now: self.inner.clock.now(),
        };
        let who = Principal {
            account: offer.account,
            login: Some(login.id),
            email: offer.email.clone(),
            stamp: 1,
            via: Via::Login,
        };
        let (now, line, from, hash) = (login.now, self.id(login.now), from.ip, token::hash(token));
        let joined = self.inner.db.write("take a user in", move |tx| {
            changes::alone(tx)?;
            if !links::consume(tx, Purpose::User, &hash, now)?
                || self::offer(tx, offer.id)?.as_ref() != Some(&offer)
                || crate::people::account_of_key(tx, &address.login_key())?.is_some()
            {
                return Ok(false);
            }
            // The invitation held the place.
            forget(tx, offer.id)?;
            links::forget(tx, offer.id)?;
            insert_login(tx, &login, &address)?;
            crate::sign_up::forget(tx, &address.login_key())?;
            let by = By::link(
                &Login {
                    id: login.id,
                    account: offer.account,
                    email: offer.email.clone(),
                },
                Some(from),
            );
            let target = (&offer.email, offer.role.as_str());
            audit::note(
                tx,
                (line, now),
                offer.account,
                &by,
                "user.joined",
                target.0,
                target.1,
            )?;
            changes::bump(tx, offer.account)?;
            Ok(true)
        });
        match joined.await {
            Ok(true) => {
                self.refresh().await?;
                Ok(who)
            }
            Ok(false) => Err(AccountsError::LinkGone),
            // Two links for one address at once: the database saw what our look could not.
            Err(error) if error.kind() == store::ErrorKind::Unique => Err(AccountsError::LinkGone),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives a user another role; it counts at once, on every node, for sessions and keys alike.
    pub async fn set_role(&self, account: Id, user: Id, role: Role, by: &By) -> Result<()> {
        let change = self.change(account, by, self.inner.clock.now());
        let set = self.inner.db.write("give a user a role", move |tx| {
            changes::alone(tx)?;
            let Some(user) = self::user(tx, account, user)? else {
                return Ok(Done::Refused(AccountsError::NotFound("user")));
            };
            if let Some(refused) = change.refused(tx, &[user.role, role])? {
                return Ok(Done::Refused(refused));
            }
            if role != Role::Owner && is_last_owner(tx, account, &user)? {
                return Ok(Done::Refused(AccountsError::LastOwner));
            }
            give(tx, &change, &user, role)?;
            changes::bump(tx, account)?;
            Ok(Done::With(()))
        });
        set.await?.result()?;
        self.refresh().await?;
        Ok(())
    }

    /// Makes another user an owner in the place of the asker, who stays as an admin.
    pub async fn hand_over(&self, account: Id, user: Id, by: &By) -> Result<()> {
        let now = self.inner.clock.now();
        let change = self.change(account, by, now);
        let second = self.change(account, by, now);
        let handed = self.inner.db.write("hand an account over", move |tx| {
            changes::alone(tx)?;
            let asker = match change.by.login {
                Some(login) => self::user(tx, account, login)?,
                None => None,
            };
            let Some(asker) = asker.filter(|asker| asker.role == Role::Owner) else {
                return Ok(Done::Refused(AccountsError::OwnersOnly));
            };
            let Some(user) = self::user(tx, account, user)?.filter(|user| user.id != asker.id) else {
                return Ok(Done::Refused(AccountsError::NotFound("other user")));
            };
            give(tx, &change, &user, Role::Owner)?;
            give(tx, &second, &asker, Role::Admin)?;
            changes::bump(tx, account)?;
            Ok(Done::With(()))
        });
        handed.await?.result()?;
        self.refresh().await?;
        Ok(())
    }

    /// Removes a user: the login, its sessions, keys and credentials end at once, the account's messages stay.
    pub async fn remove_user(&self, account: Id, user: Id, by: &By) -> Result<()> {
        let now = self.inner.clock.now();
        let change = self.change(account, by, now);
        let removed = self.inner.db.write("remove a user", move |tx| {
            changes::alone(tx)?;
            let Some(user) = self::user(tx, account, user)? else {
                return Ok(Done::Refused(AccountsError::NotFound("user")));
            };
            if let Some(refused) = change.refused(tx, &[user.role])? {
                return Ok(Done::Refused(refused));
            }
            if is_last_owner(tx, account, &user)? {
                return Ok(Done::Refused(AccountsError::LastOwner));
            }
            sessions::end_all_but(tx, user.id, None, now)?;
            api_keys::revoke_all_of(tx, user.id, now)?;
            smtp_credentials::revoke_all_of(tx, user.id, now)?;
            ip_credentials::revoke_all_of(tx, user.id, now)?;
            links::forget(tx, user.id)?;
            attempts::forget_old(tx, user.id)?;
            second_step::forget(tx, user.id)?;
            scram::renew(tx, user.id, None)?;
            lockout::forget_known(tx, user.id)?;
            forget_invitations_of(tx, account, &user, None)?;
            tx.run("DELETE FROM logins WHERE id = $1", &[user.id.into()])?;
            change.note(tx, "user.removed", &user.email, user.role.as_str())?;
            changes::bump_ranges(tx, account)?;
            Ok(Done::With(()))
        });
        removed.await?.result()?;
        self.refresh().await?;
        Ok(())
    }

    fn change(&self, account: Id, by: &By, now: Time) -> Change {
        Change {
            account,
            by: by.clone(),
            line: (self.id(now), now),
            notice: self.id(now),
        }
    }
}

/// What the invitation offers now, for the mail about it and for who follows its link.
pub(crate) fn offer(tx: &mut Tx<'_>, id: Id) -> store::Result<Option<Offer>> {
    let sql = "SELECT account, email, role, invited_by, language FROM user_invitations WHERE id = $1";
    tx.query_opt(sql, &[id.into()])?
        .map(|row| {
            Ok(Offer {
                id,
                account: row.id(0)?,
                email: row.text(1)?,
                role: Role::from_text(&row.text(2)?),
                invited_by: row.text(3)?,
                language: row.text(4)?,
            })
        })
        .transpose()
}

pub(crate) fn purge(tx: &mut Tx<'_>, now: Time) -> store::Result<()> {
    tx.run(
        "DELETE FROM user_invitations WHERE sent_at <= $1",
        &[now.minus(KEPT).into()],
    )
}

/// The mail of an invitation, unless its address gets too many of them: whoever invites need not learn that others did.
fn mail_it(tx: &mut Tx<'_>, notice: Id, (id, address): (Id, &Address), now: Time) -> store::Result<()> {
    if let Count::Over(_) = TO_AN_ADDRESS.count(tx, &address.login_key(), now)? {
        return Ok(());
    }
    let matter = Matter::UserInvited {
        invitation: id.to_string(),
    };
    notices::note(tx, notice, &address.to_string(), &matter, (now, Duration::ZERO))
}

fn forget(tx: &mut Tx<'_>, invitation: Id) -> store::Result<()> {
    tx.run("DELETE FROM user_invitations WHERE id = $1", &[invitation.into()])
}

/// Takes back what a user offered others and could offer no more in this role, or as nobody: an invitation counts for as
/// long as the word of who made it.
fn forget_invitations_of(tx: &mut Tx<'_>, account: Id, user: &User, role: Option<Role>) -> store::Result<()> {
    let made = "SELECT id, role FROM user_invitations WHERE account = $1 AND invited_by = $2";
    for row in tx.query(made, &[account.into(), (&user.email).into()])? {
        let offered = Role::from_text(&row.text(1)?);
        if !role.is_some_and(|role| decides_about(role, &[offered])) {
            let id = row.id(0)?;
            links::forget(tx, id)?;
            forget(tx, id)?;
        }
    }
    Ok(())
}

fn give(tx: &mut Tx<'_>, change: &Change, user: &User, role: Role) -> store::Result<()> {
    tx.run(
        "UPDATE logins SET role = $2 WHERE id = $1",
        &[user.id.into(), role.as_str().into()],
    )?;
    forget_invitations_of(tx, change.account, user, Some(role))?;
    if user.role != role {
        let inside = change.by.account == Some(change.account);
        let matter = Matter::RoleChanged {
            role: role.to_string(),
            // Who runs the service is named to nobody.
            by: inside.then(|| change.by.email.clone()),
        };
        notices::note(
            tx,
            change.notice,
            &user.email,
            &matter,
            (change.line.1, Duration::ZERO),
        )?;
    }
    let from_to = format!("{} → {role}", user.role);
    change.note(tx, "user.role_changed", &user.email, &from_to)
}

fn user(tx: &mut Tx<'_>, account: Id, id: Id) -> store::Result<Option<User>> {
    let sql = "SELECT id, email, role, created_at FROM logins WHERE account = $1 AND id = $2";
    tx.query_opt(sql, &[account.into(), id.into()])?
        .map(|row| user_of(&row))
        .transpose()
}

/// Whether the login is an owner of an operator's account, or of the one that `by` belongs to, and `by` is no owner
/// themselves. Whoever has a shell on this machine is above both.
pub(crate) fn is_owner_to(tx: &mut Tx<'_>, login: &Login, by: &By) -> store::Result<bool> {
    let Some(account) = by.account else {
        return Ok(false);
    };
    let operators = "SELECT id FROM accounts WHERE id = $1 AND operator = 1";
    if account != login.account && tx.query_opt(operators, &[(&login.account).into()])?.is_none() {
        return Ok(false);
    }
    let whose = user(tx, login.account, login.id)?;
    let asker = match by.login {
        Some(asker) => user(tx, account, asker)?,
        None => None,
    };
    let is_owner = |user: Option<User>| user.is_some_and(|user| user.role == Role::Owner);
    Ok(is_owner(whose) && !is_owner(asker))
}

/// Counts while no other change of users can come between.
fn is_last_owner(tx: &mut Tx<'_>, account: Id, user: &User) -> store::Result<bool> {
    if user.role != Role::Owner {
        return Ok(false);
    }
    let others = "SELECT id FROM logins WHERE account = $1 AND role = 'owner' AND id <> $2 LIMIT 1";
    Ok(tx.query_opt(others, &[account.into(), user.id.into()])?.is_none())
}

fn no_room(tx: &mut Tx<'_>, account: Id) -> store::Result<Option<AccountsError>> {
    let count = "SELECT (SELECT count(*) FROM logins WHERE account = $1) \
                 + (SELECT count(*) FROM user_invitations WHERE account = $1)";
    let count = tx.query_opt(count, &[account.into()])?;
    let full = count.map_or(Ok(0), |row| row.int(0))? >= MOST_USERS;
    Ok(full.then_some(AccountsError::TooMany {
        most: MOST_USERS,
        of: "users and invitations",
        remedy: "remove one that is not needed any more",
    }))
}

pub(crate) fn language_of(tx: &mut Tx<'_>, login: Option<Id>) -> store::Result<String> {
    let sql = "SELECT language FROM logins WHERE id = $1";
    let row = tx.query_opt(sql, &[login.into()])?;
    row.map_or(Ok("en".to_owned()), |row| row.text(0))
}

fn invitation(tx: &mut Tx<'_>, account: Id, id: Id) -> store::Result<Option<UserInvitation>> {
    let sql = "SELECT id, email, role, invited_by, created_at, sent_at FROM user_invitations \
               WHERE account = $1 AND id = $2";
    tx.query_opt(sql, &[account.into(), id.into()])?
        .map(|row| invitation_of(&row))
        .transpose()
}

fn user_of(row: &Row) -> store::Result<User> {
    Ok(User {
        id: row.id(0)?,
        email: row.text(1)?,
        role: Role::from_text(&row.text(2)?),
        created_at: row.time(3)?,
    })
}

fn invitation_of(row: &Row) -> store::Result<UserInvitation> {
    let sent_at = row.time(5)?;
    Ok(UserInvitation {
        id: row.id(0)?,
        email: row.text(1)?,
        role: Role::from_text(&row.text(2)?),
        invited_by: row.text(3)?,
        created_at: row.time(4)?,
        sent_at,
        expires_at: sent_at.plus(Purpose::User.life()),
    })
}
