//! Opening an account by oneself: asked for, confirmed from a mail, or invited to.

use std::time::Duration;

use mail::address::Address;
use mail::time::Time;
use store::{Id, Tx};
use tokio::task::spawn_blocking;

use crate::audit::{self, By};
use crate::limits::{Count, Limit, network};
use crate::links::{self, Purpose};
use crate::notices::{self, Matter, Requester};
use crate::people::{Account, Login, NewLogin, insert_account, insert_login};
use crate::state::AccountState;
use crate::{Accounts, AccountsError, Principal, Result, Role, Via, changes, credits, hash, password, token};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
/// Sign-ups from one network.
const OF_A_NETWORK: Limit = Limit {
    what: "sign_up from",
    most: 20,
    window: HOUR,
};
/// Mails to one address, whoever asks for them. Further sign-ups need none: a link stands for the address, so that the one
/// of a mail that somebody else caused does for its owner too.
const TO_AN_ADDRESS: Limit = Limit {
    what: "sign_up of",
    most: 3,
    window: DAY,
};
/// Sign-ups of one address from one network, so that no network crowds those of others out.
const OF_AN_ADDRESS_FROM_A_NETWORK: Limit = Limit {
    what: "sign_up of and from",
    most: 3,
    window: DAY,
};
/// The newest sign-ups of an address that a password is compared with; each comparison costs a hash.
const COMPARED: usize = 8;
/// Mails to the addresses of one domain at once, which pays for each of them with its attention; further ones wait.
const TO_A_DOMAIN: Limit = Limit {
    what: "sign_up at",
    most: 100,
    window: HOUR,
};
/// So many mails an hour go out at once for one network; each further one waits twice as long as the one before.
const AT_ONCE: u32 = 3;
/// Links live a day; what is older cannot be confirmed.
const UNCONFIRMED: Duration = Duration::from_hours(3 * 24);

/// What somebody gives who opens an account.
#[derive(Clone, Debug)]
pub struct NewSignUp {
    pub email: String,
    pub password: String,
    /// ISO 3166-1, two letters.
    pub country: String,
    /// A name of the tz database.
    pub time_zone: String,
    /// `en` or `fr`.
    pub language: String,
}

/// What is known of a sign-up before anything is stored.
#[derive(Clone)]
struct Checked {
    address: Address,
    password_hash: String,
    country: String,
    time_zone: String,
    language: String,
}

/// The tokens of invitations and confirmations open an account with this.
struct Opening {
    id: Id,
    login: Id,
    grant: Id,
    credits: i64,
    audit: Id,
    now: Time,
}

impl Accounts {
    /// Notes that somebody wants an account and mails the address: a link to confirm, or, where it has an account, that
    /// somebody tried. Answers the same, and in the same time, for both.
    pub async fn sign_up(&self, new: NewSignUp, from: &Requester) -> Result<()> {
        let address = check(&new)?;
        let now = self.inner.clock.now();
        let network = network(from.ip);
        let of_network = network.clone();
        // Before the password is hashed, which is the dear part.
        let pace = self.inner.db.write("count a sign-up", move |tx| {
            Ok(match OF_A_NETWORK.count(tx, &of_network, now)? {
                Count::Over(wait) => Err(wait),
                Count::Within(n) => Ok(pause(n)),
            })
        });
        let pause = pace.await?.map_err(AccountsError::TooOften)?;
        let checked = self.hash_checked(address, new).await?;
        let (id, notice) = (self.id(now), self.id(now));
        let requester = from.clone();
        let noted = self.inner.db.write("note a sign-up", move |tx| {
            let key = checked.address.login_key();
            let of_and_from = format!("{key} {network}");
            if let Count::Over(wait) = OF_AN_ADDRESS_FROM_A_NETWORK.count(tx, &of_and_from, now)? {
                return Ok(Some(wait));
            }
            let email = checked.address.to_string();
            tx.run(
                "INSERT INTO sign_ups (id, email, login_key, password_hash, country, time_zone, language, created_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                &[
                    id.into(),
                    (&email).into(),
                    (&key).into(),
                    (&checked.password_hash).into(),
                    (&checked.country).into(),
                    (&checked.time_zone).into(),
                    (&checked.language).into(),
                    now.into(),
                ],
            )?;
            if let Count::Over(_) = TO_AN_ADDRESS.count(tx, &key, now)? {
                // The answer stays the same: whoever asks need not learn that others did.
                return Ok(None);
            }
            let wait = match TO_A_DOMAIN.count(tx, checked.address.domain().as_str(), now)? {
                Count::Over(wait) => pause.max(wait),
                Count::Within(_) => pause,
            };
            let matter = Matter::SignUp {
                sign_up: id.to_string(),
                requester: requester.clone(),
            };
            notices::note(tx, notice, &email, &matter, (now, wait))?;
            Ok(None)
        });
        noted
            .await?
            .map_or(Ok(()), |wait| Err(AccountsError::TooOften(wait)))
    }

    /// Opens the account that a link in a mail stands for, with its free credits. The link proves the address; the
    /// password says whose sign-up it is: whoever else asked for an account on this address does not get it because its
    /// owner follows a link, and cannot keep the owner from getting one.
    pub async fn confirm_sign_up(&self, token: &str, password: &str) -> Result<Principal> {
        let hash = token::hash(token);
        let now = self.inner.clock.now();
        let found = self.inner.db.read("look a sign-up up", move |tx| {
            match links::find(tx, Purpose::SignUp, &hash, now)? {
                Some(link) => asked(tx, &link.email),
                None => Ok(Vec::new()),
            }
        });
        let asked = found.await?;
        if asked.is_empty() {
            return Err(AccountsError::LinkGone);
        }
        let checked = self.whose_password(password, asked).await?;
        let checked = checked.ok_or(AccountsError::WrongPassword)?;
        self.open(Purpose::SignUp, hash, checked, now).await
    }

    /// Mails an invitation to open an account.
    pub async fn invite(&self, email: &str, language: &str) -> Result<()> {
        let address = Address::parse(email.trim())?;
        let now = self.inner.clock.now();
        let id = self.id(now);
        let matter = Matter::Invited {
            language: language.to_owned(),
        };
        let (email, key) = (address.to_string(), address.login_key());
        let taken = self.inner.db.write("note an invitation", move |tx| {
            if has_login(tx, &key)? {
                return Ok(true);
            }
            notices::note(tx, id, &email, &matter, (now, Duration::ZERO))?;
            Ok(false)
        });
        if taken.await? {
            return Err(AccountsError::LoginExists(address.to_string()));
        }
        Ok(())
    }

    /// The address that an invitation was sent to, while it can be accepted.
    pub async fn invited(&self, token: &str) -> Result<Option<String>> {
        let hash = token::hash(token);
        let now = self.inner.clock.now();
        let found = self.inner.db.read("look an invitation up", move |tx| {
            links::find(tx, Purpose::Invite, &hash, now)
        });
        Ok(found.await?.map(|link| link.email))
    }

    /// Opens the account of somebody who was invited: the link proves the address, which `new` has to name.
    pub async fn accept_invitation(&self, token: &str, new: NewSignUp) -> Result<Principal> {
        let address = check(&new)?;
        let invited = self.invited(token).await?.ok_or(AccountsError::LinkGone)?;
        if !Address::parse(&invited).is_ok_and(|invited| invited.login_key() == address.login_key()) {
            return Err(AccountsError::NotInvited(invited));
        }
        let checked = self.hash_checked(address, new).await?;
        let now = self.inner.clock.now();
        self.open(Purpose::Invite, token::hash(token), checked, now).await
    }

    async fn hash_checked(&self, address: Address, new: NewSignUp) -> Result<Checked> {
        Ok(Checked {
            address,
            password_hash: self.hash(&new.password).await?,
            country: new.country,
            time_zone: new.time_zone,
            language: new.language,
        })
    }

    async fn whose_password(&self, password: &str, asked: Vec<Checked>) -> Result<Option<Checked>> {
        let turn = self.inner.hasher.turn(None).await?;
        let memory = self.inner.hasher.memory();
        let password = password.to_owned();
        spawn_blocking(move || {
            let _turn = turn;
            let is_its = |one: &Checked| hash::verify(&memory, &password, Some(&one.password_hash));
            asked.into_iter().find(is_its)
        })
        .await
        .map_err(|_| AccountsError::Hashing)
    }

    /// Uses the link up and makes the account, in one transaction.
    async fn open(&self, purpose: Purpose, hash: [u8; 32], checked: Checked, now: Time) -> Result<Principal> {
        let opening = Opening {
            id: self.id(now),
            login: self.id(now),
            grant: self.id(now),
            credits: self.inner.settings.free_credits,
            audit: self.id(now),
            now,
        };
        let principal = Principal {
            account: opening.id,
            login: Some(opening.login),
            email: checked.address.to_string(),
            stamp: 1,
            via: Via::Login,
        };
        let opened = self.inner.db.write("open an account", move |tx| {
            if !links::consume(tx, purpose, &hash, now)? || has_login(tx, &checked.address.login_key())? {
                return Ok(false);
            }
            write_account(tx, purpose, &checked, &opening)?;
            Ok(true)
        });
        match opened.await {
            Ok(true) => {
                self.refresh().await?;
                Ok(principal)
            }
            Ok(false) => Err(AccountsError::LinkGone),
            // Two links for one address at once: the database saw what our look could not.
            Err(error) if error.kind() == store::ErrorKind::Unique => Err(AccountsError::LinkGone),
            Err(error) => Err(error.into()),
        }
    }
}

fn write_account(
    tx: &mut Tx<'_>,
    purpose: Purpose,
    checked: &Checked,
    opening: &Opening,
) -> store::Result<()> {
    let Opening {
        id,
        login,
        grant,
        credits,
        audit,
        now,
    } = *opening;
    let email = checked.address.to_string();
    let account = Account {
        id,
        name: email.clone(),
        state: AccountState::Active,
        operator: false,
        credits: Some(credits),
        credit_mark: credits,
        created_at: now,
        sandbox: true,
        country: checked.country.clone(),
        time_zone: checked.time_zone.clone(),
    };
    insert_account(tx, &account, false)?;
    let new = NewLogin {
        id: login,
        account: id,
        role: Role::Owner,
        hash: checked.password_hash.clone(),
        language: checked.language.clone(),
        now,
    };
    insert_login(tx, &new, &checked.address)?;
    credits::open(tx, grant, &account)?;
    forget(tx, &checked.address.login_key())?;
    let owner = Login {
        id: login,
        account: id,
        email,
    };
    let how = match purpose {
        Purpose::Invite => "invited",
        Purpose::SignUp | Purpose::Reset | Purpose::User | Purpose::Sender => "confirmed",
    };
    let by = By::link(&owner, None);
    audit::note(tx, (audit, now), id, &by, "account.opened", &owner.email, how)?;
    changes::bump(tx, id)
}

/// Whoever else asked for an account on this address asked in vain.
pub(crate) fn forget(tx: &mut Tx<'_>, login_key: &str) -> store::Result<()> {
    for row in tx.query(
        "SELECT id FROM sign_ups WHERE login_key = $1",
        &[login_key.into()],
    )? {
        links::forget(tx, row.id(0)?)?;
    }
    tx.run("DELETE FROM sign_ups WHERE login_key = $1", &[login_key.into()])
}

/// Judges what does not depend on what is stored.
fn check(new: &NewSignUp) -> Result<Address> {
    let address = Address::parse(new.email.trim())?;
    password::check(&new.password, &new.email)?;
    let country = new.country.as_bytes();
    if country.len() != 2 || !country.iter().all(u8::is_ascii_uppercase) {
        return Err(AccountsError::BadCountry);
    }
    let zone = |c: char| c.is_ascii_alphanumeric() || "/_+-".contains(c);
    if new.time_zone.is_empty() || new.time_zone.len() > 64 || !new.time_zone.chars().all(zone) {
        return Err(AccountsError::BadTimeZone);
    }
    Ok(address)
}

/// How long the mail of the `n`th sign-up of a network in an hour waits.
fn pause(n: u32) -> Duration {
    if n <= AT_ONCE {
        return Duration::ZERO;
    }
    Duration::from_mins(1 << (n - AT_ONCE - 1).min(6)).min(HOUR)
}

fn has_login(tx: &mut Tx<'_>, login_key: &str) -> store::Result<bool> {
    let login = tx.query_opt("SELECT id FROM logins WHERE login_key = $1", &[login_key.into()])?;
    Ok(login.is_some())
}

/// The sign-ups that wait for this address to be confirmed, newest first.
fn asked(tx: &mut Tx<'_>, email: &str) -> store::Result<Vec<Checked>> {
    let Ok(address) = Address::parse(email) else {
        return Ok(Vec::new());
    };
    let sql = format!(
        "SELECT email, password_hash, country, time_zone, language FROM sign_ups WHERE login_key = $1 \
         ORDER BY id DESC LIMIT {COMPARED}"
    );
    let rows = tx.query(&sql, &[(&address.login_key()).into()])?;
    rows.iter()
        .map(|row| {
            Ok(Checked {
                // As it was typed for this sign-up; all of them name the same mailbox.
                address: Address::parse(&row.text(0)?).unwrap_or_else(|_| address.clone()),
                password_hash: row.text(1)?,
                country: row.text(2)?,
                time_zone: row.text(3)?,
                language: row.text(4)?,
            })
        })
        .collect()
}

/// When somebody last asked for an account with this address that waits to be confirmed.
pub(crate) fn asked_at(tx: &mut Tx<'_>, login_key: &str) -> store::Result<Option<Time>> {
    tx.query_opt(
        "SELECT created_at FROM sign_ups WHERE login_key = $1 ORDER BY created_at DESC LIMIT 1",
        &[login_key.into()],
    )?
    .map(|row| row.time(0))
    .transpose()
}

/// The language that a sign-up's mail is written in, while it waits to be confirmed.
pub(crate) fn language(tx: &mut Tx<'_>, id: Id) -> store::Result<Option<String>> {
    tx.query_opt("SELECT language FROM sign_ups WHERE id = $1", &[id.into()])?
        .map(|row| row.text(0))
        .transpose()
}

pub(crate) fn purge(tx: &mut Tx<'_>, now: Time) -> store::Result<()> {
    tx.run(
        "DELETE FROM sign_ups WHERE created_at <= $1",
        &[now.minus(UNCONFIRMED).into()],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_farm_waits_ever_longer_and_a_household_does_not() {
        let minutes = |n| pause(n).as_secs() / 60;
        assert_eq!((1..=3).map(minutes).collect::<Vec<_>>(), [0, 0, 0]);
        assert_eq!(
            (4..=12).map(minutes).collect::<Vec<_>>(),
            [1, 2, 4, 8, 16, 32, 60, 60, 60]
        );
        assert_eq!(minutes(u32::MAX), 60);
    }
}
