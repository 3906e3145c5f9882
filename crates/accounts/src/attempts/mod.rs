//! Sign-in attempts as people read them: who tried, from where, and the true reason why it failed.
//!
//! The reply to a client is given before anything is looked up here. What was tried gathers in memory, the reason is found
//! and the lines are written about once a second, and both have their limits: a flood neither grows the tables nor takes
//! more than a few hashes a second.

mod journal;
mod near;
mod reasons;
mod write;

use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use mail::address::Address;
use mail::time::Time;
use store::search::Conditions;
use store::{Id, Row, Tx};
use tokio::time::{Instant, sleep, sleep_until};

pub(crate) use self::journal::{Journal, Tried, Wrong};
pub(crate) use self::reasons::{forget_old, keep_old};

use crate::{Accounts, Result};

/// How long attempts gather before they are written.
const GATHER: Duration = Duration::from_secs(1);
/// Pause between two looks for what is old.
const PURGE_EVERY: Duration = Duration::from_mins(10);

/// The way in that somebody tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Door {
    Smtp,
    /// The console.
    Web,
    /// An API key.
    Api,
}

impl Door {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Web => "web",
            Self::Api => "api",
        }
    }

    fn from_text(text: &str) -> Self {
        match text {
            "web" => Self::Web,
            "api" => Self::Api,
            _ => Self::Smtp,
        }
    }
}

/// What is known of a client that tries to sign in.
#[derive(Clone, Debug)]
pub struct Approach {
    pub door: Door,
    pub ip: IpAddr,
    /// The name in its EHLO, or its user agent.
    pub client: String,
    /// The port of ours that it came to.
    pub port: u16,
    /// Version and cipher suite, where it speaks TLS.
    pub tls: Option<String>,
    /// `PLAIN`, `LOGIN`, `form`, `key`.
    pub mechanism: &'static str,
}

/// What came of an attempt, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    SignedIn,
    /// The password was right; the second step was asked for.
    PasswordOnly,
    /// Somebody who was signed in entered the password again.
    Confirmed,
    /// The password was right, the code behind it was not.
    WrongCode,
    /// A passkey of the login whose answer did not hold.
    WrongPasskey,
    WrongPassword,
    /// The password was the login's until then.
    OldPassword {
        until: Time,
    },
    UnknownAddress {
        /// The login that was meant, most likely.
        near: Option<String>,
    },
    /// What was given as the username is no e-mail address.
    NotAnAddress,
    /// Nobody looked at the password.
    Locked {
        until: Time,
    },
    /// The client sent its password without TLS, or was about to.
    NoTls,
    /// The client wanted to sign in on the port where other servers deliver.
    WrongPort,
    /// The password is a named SMTP credential's, which was revoked then.
    RevokedCredential {
        until: Time,
    },
    /// The same, and its time is over since then.
    ExpiredCredential {
        until: Time,
    },
    /// The same, and it is bound to other networks.
    IpNotAllowed,
    /// The same, and it opens SMTP only.
    CredentialNotHere,
    /// The password was right, and does not sign in over SMTP.
    PasswordSwitchedOff,
    RevokedKey,
    UnknownKey,
    /// Attempts that were too many to be kept one by one.
    More,
}

impl Reason {
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::SignedIn => "signed_in",
            Self::PasswordOnly => "password_only",
            Self::Confirmed => "confirmed",
            Self::WrongCode => "wrong_code",
            Self::WrongPasskey => "wrong_passkey",
            Self::WrongPassword => "wrong_password",
            Self::OldPassword { .. } => "old_password",
            Self::UnknownAddress { .. } => "unknown_address",
            Self::NotAnAddress => "not_an_address",
            Self::Locked { .. } => "locked",
            Self::NoTls => "no_tls",
            Self::WrongPort => "wrong_port",
            Self::RevokedCredential { .. } => "revoked_credential",
            Self::ExpiredCredential { .. } => "expired_credential",
            Self::IpNotAllowed => "ip_not_allowed",
            Self::CredentialNotHere => "credential_not_here",
            Self::PasswordSwitchedOff => "password_switched_off",
            Self::RevokedKey => "revoked_key",
            Self::UnknownKey => "unknown_key",
            Self::More => "more",
        }
    }

    /// Whether whoever tried was kept out.
    pub const fn is_failure(&self) -> bool {
        !matches!(self, Self::SignedIn | Self::PasswordOnly | Self::Confirmed)
    }

    /// When the password or the credential stopped, or when the lock ends.
    pub const fn until(&self) -> Option<Time> {
        match self {
            Self::OldPassword { until }
            | Self::Locked { until }
            | Self::RevokedCredential { until }
            | Self::ExpiredCredential { until } => Some(*until),
            _ => None,
        }
    }

    pub fn near(&self) -> Option<&str> {
        match self {
            Self::UnknownAddress { near } => near.as_deref(),
            _ => None,
        }
    }

    fn from_columns(reason: &str, until: Option<Time>, near: Option<String>) -> Self {
        let time = until.unwrap_or(Time::from_micros(0));
        match reason {
            "signed_in" => Self::SignedIn,
            "password_only" => Self::PasswordOnly,
            "confirmed" => Self::Confirmed,
            "wrong_code" => Self::WrongCode,
            "wrong_passkey" => Self::WrongPasskey,
            "old_password" => Self::OldPassword { until: time },
            "unknown_address" => Self::UnknownAddress { near },
            "not_an_address" => Self::NotAnAddress,
            "locked" => Self::Locked { until: time },
            "no_tls" => Self::NoTls,
            "wrong_port" => Self::WrongPort,
            "revoked_credential" => Self::RevokedCredential { until: time },
            "expired_credential" => Self::ExpiredCredential { until: time },
            "ip_not_allowed" => Self::IpNotAllowed,
            "credential_not_here" => Self::CredentialNotHere,
            "password_switched_off" => Self::PasswordSwitchedOff,
            "revoked_key" => Self::RevokedKey,
            "unknown_key" => Self::UnknownKey,
            "more" => Self::More,
            _ => Self::WrongPassword,
        }
    }
}

/// The attempts of one device with one outcome: a device that goes on failing is one line with a count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInAttempt {
    pub id: Id,
    /// The address that was given; empty where it was none.
    pub login: String,
    /// Empty in a line that stands for many clients.
    pub ip: String,
    pub client: String,
    pub door: Door,
    pub port: u16,
    pub tls: Option<String>,
    pub mechanism: String,
    /// The name of the SMTP credential that was tried.
    pub credential: Option<String>,
    pub reason: Reason,
    /// How often. A device that signs in well is noted once an hour.
    pub count: u64,
    pub first_at: Time,
    pub last_at: Time,
}

/// Which attempts a list holds, the latest first.
#[derive(Clone, Debug, Default)]
pub struct AttemptFilter {
    /// Only those that this account may see: on its own logins, and on addresses that are nearly one of them.
    pub account: Option<Id>,
    /// Only those on this address.
    pub login: Option<String>,
    pub limit: u32,
    /// The last line of the page before.
    pub after: Option<Id>,
}

const COLUMNS: &str = "line, login_key, ip, client, door, port, tls, mechanism, reason, until, near, count, first_at, last_at, \
     credential";

impl Accounts {
    /// A page of attempts. One more than `limit` is never read; the last one's id is the next page's `after`.
    pub async fn sign_in_attempts(&self, filter: AttemptFilter) -> Result<Vec<SignInAttempt>> {
        let login = match &filter.login {
            Some(email) => Some(Address::parse(email.trim())?.login_key()),
            None => None,
        };
        let read = move |tx: &mut Tx<'_>| list(tx, &filter, login.as_deref());
        Ok(self.inner.db.read("list sign-in attempts", read).await?)
    }

    /// Notes an attempt that ended before there was a password to look at.
    pub fn note_attempt(&self, login: Option<&str>, from: &Approach, reason: Reason) {
        let now = self.inner.clock.now();
        self.inner.journal.add(Tried::told(login, from, reason), now);
    }

    /// Writes attempts as they gather, until `stop`.
    pub async fn keep_attempts(self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut purge_at = Instant::now();
        loop {
            let stopped = tokio::select! {
                () = &mut stop => true,
                () = sleep_until(purge_at) => {
                    if let Err(error) = self.purge_sign_ins().await {
                        tracing::warn!(%error, "old sign-in attempts were not removed");
                    }
                    purge_at = Instant::now() + PURGE_EVERY;
                    continue;
                }
                () = self.inner.journal.bell() => tokio::select! {
                    () = &mut stop => true,
                    () = sleep(GATHER) => false,
                },
            };
            if stopped {
                self.inner.journal.close();
            }
            if let Err(error) = self.write_attempts().await {
                tracing::warn!(%error, "sign-in attempts were not written");
            }
            if stopped {
                return;
            }
        }
    }

    /// Removes what is too old to be kept, or too much.
    pub async fn purge_sign_ins(&self) -> Result<()> {
        self.purge_lockouts().await?;
        self.purge_audit().await?;
        self.purge_attempts().await
    }
}

fn list(tx: &mut Tx<'_>, filter: &AttemptFilter, login: Option<&str>) -> store::Result<Vec<SignInAttempt>> {
    let mut conditions = Conditions::default();
    conditions.add("account = $", filter.account.as_ref());
    conditions.add("login_key = $", login);
    conditions.add(
        "(last_at, line) < (SELECT p.last_at, p.line FROM sign_in_attempts p WHERE p.line = $)",
        filter.after.as_ref(),
    );
    let sql = format!(
        "SELECT {COLUMNS} FROM sign_in_attempts{} ORDER BY last_at DESC, line DESC LIMIT {}",
        conditions.sql(),
        filter.limit
    );
    tx.query(&sql, conditions.values())?
        .iter()
        .map(attempt_of)
        .collect()
}

fn attempt_of(row: &Row) -> store::Result<SignInAttempt> {
    Ok(SignInAttempt {
        id: row.id(0)?,
        login: row.text(1)?,
        ip: row.text(2)?,
        client: row.text(3)?,
        door: Door::from_text(&row.text(4)?),
        port: u16::try_from(row.int(5)?).unwrap_or(0),
        tls: row.opt_text(6)?,
        mechanism: row.text(7)?,
        reason: Reason::from_columns(&row.text(8)?, row.opt_time(9)?, row.opt_text(10)?),
        count: row.int(11)?.unsigned_abs(),
        first_at: row.time(12)?,
        last_at: row.time(13)?,
        credential: row.opt_text(14)?,
    })
}
