//! The second step of signing in on the web: behind the right password, a code of an app, a recovery code or a passkey.
//!
//! It is on where a login has an app or a passkey. SMTP has no second step; its password is a matter of the login's switch.

mod challenges;
mod half;
mod keys;
mod manage;
mod passkeys;
mod recovery;
mod totp;
mod webauthn;

use std::time::Duration;

use mail::time::Time;
use store::{Id, Tx};

pub use self::keys::Passkey;
pub use self::manage::{NewApp, Owner};
pub use self::passkeys::Challenge;
pub use self::webauthn::{ALGORITHMS, Assertion, Fault, NoPasskeys, Registration, Site};

use crate::limits::{Count, Limit};
use crate::lockout::Codes;
use crate::notices::{self, Matter, Requester, StepChange};
use crate::sessions::insert;
use crate::{Accounts, Approach, By, Principal, Reason, Result, SessionOrigin, audit, token};

/// Wrong codes of a login within an hour that are taken for slips; with one more its owner is written to, because whoever
/// gives them has the password.
const WRONG: Limit = Limit {
    what: "wrong codes of",
    most: 4,
    window: Duration::from_hours(1),
};
/// Mails about that.
const WARNED: Limit = Limit {
    what: "warned of codes of",
    most: 1,
    window: Duration::from_hours(24),
};

/// What the second step can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A code of an app.
    Totp,
    /// A recovery code.
    Recovery,
    Passkey,
}

/// A login's second step as its owner sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecondStep {
    /// Since when an app's codes count.
    pub app_since: Option<Time>,
    pub passkeys: Vec<Passkey>,
    pub recovery_codes_left: i64,
}

impl SecondStep {
    pub fn is_on(&self) -> bool {
        self.app_since.is_some() || !self.passkeys.is_empty()
    }

    /// What may be given behind the password; empty where nothing has to be.
    pub fn steps(&self) -> Vec<Step> {
        let all = [
            (Step::Totp, self.app_since.is_some()),
            (Step::Passkey, !self.passkeys.is_empty()),
            (Step::Recovery, self.is_on() && self.recovery_codes_left > 0),
        ];
        all.iter()
            .filter(|(_, has)| *has)
            .map(|(step, _)| *step)
            .collect()
    }
}

/// What the right password opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entered {
    /// A session, by its token.
    In(String),
    /// Half of one: the second step is to come.
    Half { token: String, steps: Vec<Step> },
    /// The password changed in between.
    Gone,
}

/// What a code came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// It was right; a session by its token.
    In {
        token: String,
        who: Principal,
    },
    Wrong,
    /// There is no such half, or it is too old, or has had its tries.
    Gone,
    /// The login has had too many wrong ones; none is looked at for so long.
    TooOften(Duration),
}

/// Whether a login has a second step.
pub(crate) fn is_on(tx: &mut Tx<'_>, login: Id) -> store::Result<bool> {
    Ok(read(tx, login)?.is_on())
}

fn read(tx: &mut Tx<'_>, login: Id) -> store::Result<SecondStep> {
    Ok(SecondStep {
        app_since: totp::since(tx, login)?,
        passkeys: keys::list(tx, login)?,
        recovery_codes_left: recovery::left(tx, login)?,
    })
}

/// Removes everything that a login has for its second step.
pub(crate) fn forget(tx: &mut Tx<'_>, login: Id) -> store::Result<()> {
    totp::forget(tx, login)?;
    keys::forget(tx, login)?;
    recovery::forget(tx, login)?;
    half::forget(tx, login)
}

/// Removes what is too old to count.
pub(crate) fn purge(tx: &mut Tx<'_>, now: Time) -> store::Result<()> {
    half::purge(tx, now)?;
    challenges::purge(tx, now)
}

/// Uses a code of an app or a recovery code up.
fn take(tx: &mut Tx<'_>, login: Id, given: &str, now: Time) -> store::Result<Option<Step>> {
    if let Some(digits) = totp::digits(given) {
        return Ok(totp::take(tx, login, &digits, now)?.then_some(Step::Totp));
    }
    Ok(recovery::take(tx, login, given)?.then_some(Step::Recovery))
}

/// Counts a wrong code, and says whether the owner is to hear of it now.
fn guessed(tx: &mut Tx<'_>, login: Id, now: Time) -> store::Result<bool> {
    let login = login.to_string();
    let many = matches!(WRONG.count(tx, &login, now)?, Count::Over(_));
    Ok(many && matches!(WARNED.count(tx, &login, now)?, Count::Within(_)))
}

impl Accounts {
    pub async fn second_step(&self, login: Id) -> Result<SecondStep> {
        let read = move |tx: &mut Tx<'_>| read(tx, login);
        Ok(self.inner.db.read("read a second step", read).await?)
    }

    /// Lets somebody in whose password was just verified, or half in where a second step is on.
    pub async fn enter(&self, who: &Principal, origin: SessionOrigin) -> Result<Entered> {
        let Some(login) = who.login else {
            return Ok(Entered::Gone);
        };
        let token = token::base62(&self.inner.ids.secret(token::RANDOM_OCTETS));
        let (hash, now, stamp) = (token::hash(&token), self.inner.clock.now(), who.stamp);
        let open = move |tx: &mut Tx<'_>| {
            let steps = read(tx, login)?.steps();
            let opened = if steps.is_empty() {
                insert(tx, &hash, (login, stamp), &origin, now)?
            } else {
                half::open(tx, &hash, (login, stamp), now)?;
                half::find(tx, &hash, now)?.is_some()
            };
            Ok(opened.then_some(steps))
        };
        let opened = self.inner.db.write("let somebody in", open).await?;
        Ok(match opened {
            None => Entered::Gone,
            Some(steps) if steps.is_empty() => Entered::In(token),
            Some(steps) => Entered::Half { token, steps },
        })
    }

    /// Whose half a session this is, and what can be given for the other half.
    pub async fn half_session(&self, token: &str) -> Result<Option<(Principal, Vec<Step>)>> {
        let (hash, now) = (token::hash(token), self.inner.clock.now());
        let find = move |tx: &mut Tx<'_>| {
            let Some(who) = half::find(tx, &hash, now)? else {
                return Ok(None);
            };
            let steps = match who.login {
                Some(login) => read(tx, login)?.steps(),
                None => Vec::new(),
            };
            Ok(Some((who, steps)))
        };
        Ok(self.inner.db.read("look half a session up", find).await?)
    }

    pub async fn close_half_session(&self, token: &str) -> Result<()> {
        let hash = token::hash(token);
        let close = move |tx: &mut Tx<'_>| half::close(tx, &hash);
        Ok(self.inner.db.write("close half a session", close).await?)
    }

    /// Gives a code for the second step. Where it is right, half a session becomes a whole one with a new token.
    pub async fn give_code(&self, half: &str, code: &str, from: &Approach) -> Result<Given> {
        let now = self.inner.clock.now();
        let token = token::base62(&self.inner.ids.secret(token::RANDOM_OCTETS));
        let (half, whole) = (token::hash(half), token::hash(&token));
        let (code, requester) = (code.to_owned(), Requester::new(from.ip, &from.client));
        let ids = (self.id(now), self.id(now), self.id(now));
        let origin = SessionOrigin {
            ip: from.ip.to_string(),
            agent: from.client.clone(),
        };
        let give = move |tx: &mut Tx<'_>| {
            let Some(left) = half::count_try(tx, &half)? else {
                return Ok((Tried::Gone, None));
            };
            let Some(who) = half::find(tx, &half, now)? else {
                return Ok((Tried::Gone, None));
            };
            let Some(login) = who.login else {
                return Ok((Tried::Gone, None));
            };
            let codes = Codes::of(tx, &who.email, ids.2, now)?;
            if let Some(wait) = codes.locked(now) {
                return Ok((Tried::TooOften(wait), Some(who)));
            }
            let Some(step) = take(tx, login, &code, now)? else {
                codes.wrong(tx, now)?;
                if left == 0 {
                    half::close(tx, &half)?;
                }
                if guessed(tx, login, now)? {
                    let matter = Matter::SecondStep {
                        change: StepChange::CodesGuessed,
                        requester: Some(requester.clone()),
                    };
                    notices::note(tx, ids.1, &who.email, &matter, (now, Duration::ZERO))?;
                }
                return Ok((Tried::Wrong, Some(who)));
            };
            half::close(tx, &half)?;
            insert(tx, &whole, (login, who.stamp), &origin, now)?;
            if step == Step::Recovery {
                let by = By::principal(&who, Some(requester.ip));
                let left = recovery::left(tx, login)?;
                let detail = format!("{left} left");
                audit::note(
                    tx,
                    (ids.0, now),
                    who.account,
                    &by,
                    "second_step.recovery_used",
                    &who.email,
                    &detail,
                )?;
                let matter = Matter::SecondStep {
                    change: StepChange::RecoveryUsed,
                    requester: Some(requester.clone()),
                };
                notices::note(tx, ids.1, &who.email, &matter, (now, Duration::ZERO))?;
            }
            Ok((Tried::Right, Some(who)))
        };
        let (tried, who) = self.inner.db.write("try a second step", give).await?;
        if let Some(who) = &who {
            let reason = match tried {
                Tried::Right => Reason::SignedIn,
                Tried::TooOften(wait) => Reason::Locked {
                    until: now.plus(wait),
                },
                Tried::Wrong | Tried::Gone => Reason::WrongCode,
            };
            self.note_second(who, from, reason);
        }
        Ok(match (tried, who) {
            (Tried::Right, Some(who)) => Given::In { token, who },
            (Tried::TooOften(wait), _) => Given::TooOften(wait),
            (Tried::Wrong, _) => Given::Wrong,
            (Tried::Right | Tried::Gone, _) => Given::Gone,
        })
    }

    fn note_second(&self, who: &Principal, from: &Approach, reason: Reason) {
        let tried = crate::attempts::Tried::told(Some(&who.email), from, reason).of(Some(who.account));
        self.inner.journal.add(tried, self.inner.clock.now());
    }
}

#[derive(Clone, Copy)]
enum Tried {
    Right,
    Wrong,
    Gone,
    TooOften(Duration),
}
