//! Switching the second step on and off, and its recovery codes.

use std::time::Duration;

use mail::time::Time;
use store::{Id, Tx};

use super::{forget, is_on, keys, recovery, take, totp};
use crate::changes::{alone, bump};
use crate::lockout::Codes;
use crate::notices::{self, Matter, Requester, StepChange};
use crate::typed_code::TypedCode;
use crate::{Accounts, AccountsError, By, Login, Result, audit, users};

/// Somebody who changes the second step of their own login.
#[derive(Clone, Debug)]
pub struct Owner {
    pub login: Login,
    pub by: By,
    pub requester: Requester,
}

/// A key for an app, which counts when a code of it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewApp {
    /// As people type it.
    pub secret: String,
}

/// A change, and the names of its lines.
pub(super) struct Change {
    pub(super) ids: (Id, Id),
    pub(super) now: Time,
    pub(super) what: StepChange,
}

impl Change {
    /// Writes the audit line and the mail about it, and says that what the login may do is another.
    pub(super) fn note(
        &self,
        tx: &mut Tx<'_>,
        owner: &Owner,
        action: &'static str,
        detail: &str,
    ) -> store::Result<()> {
        let Login { account, email, .. } = &owner.login;
        audit::note(
            tx,
            (self.ids.0, self.now),
            *account,
            &owner.by,
            action,
            email,
            detail,
        )?;
        let operator = self.what == StepChange::OffByOperator;
        let matter = Matter::SecondStep {
            change: self.what,
            requester: (!operator).then(|| owner.requester.clone()),
        };
        notices::note(tx, self.ids.1, email, &matter, (self.now, Duration::ZERO))?;
        bump(tx, *account)
    }
}

impl Accounts {
    pub(super) fn step_change(&self, what: StepChange) -> Change {
        let now = self.inner.clock.now();
        Change {
            ids: (self.id(now), self.id(now)),
            now,
            what,
        }
    }

    /// A set of recovery codes to be shown once.
    pub(super) fn new_codes(&self) -> Vec<TypedCode> {
        (0..recovery::CODES)
            .map(|_| TypedCode::new(&self.inner.ids))
            .collect()
    }

    /// Makes a key for an app. It counts when [`Accounts::confirm_app`] got a code of it; until then nothing changes.
    pub async fn begin_app(&self, login: Id) -> Result<NewApp> {
        let now = self.inner.clock.now();
        let key = self.inner.ids.secret(totp::KEY_OCTETS);
        let secret = totp::typed(&key);
        let begin = move |tx: &mut Tx<'_>| totp::begin(tx, login, &key, now);
        self.inner.db.write("begin an app for codes", begin).await?;
        Ok(NewApp { secret })
    }

    /// Lets the codes of an app count from now on; a former app's no more. Returns recovery codes where the second step
    /// was off before.
    pub async fn confirm_app(&self, owner: Owner, code: &str) -> Result<Vec<String>> {
        let code = totp::digits(code).ok_or(AccountsError::WrongCode)?;
        let (fresh, change) = (self.new_codes(), self.step_change(StepChange::On));
        let confirm = move |tx: &mut Tx<'_>| {
            alone(tx)?;
            let (login, was_on) = (owner.login.id, is_on(tx, owner.login.id)?);
            if !totp::confirm(tx, login, &code, change.now)? {
                return Ok(None);
            }
            if was_on {
                let change = Change {
                    what: StepChange::AppReplaced,
                    ..change
                };
                change.note(tx, &owner, "second_step.app_set", "")?;
                return Ok(Some(Vec::new()));
            }
            let shown = recovery::replace(tx, login, &fresh)?;
            change.note(tx, &owner, "second_step.on", "app")?;
            Ok(Some(shown))
        };
        let confirmed = self.inner.db.write("let an app's codes count", confirm).await?;
        self.refresh().await?;
        confirmed.ok_or(AccountsError::WrongCode)
    }

    /// Makes a new set of recovery codes; those before count no more.
    pub async fn new_recovery_codes(&self, owner: Owner) -> Result<Vec<String>> {
        let (fresh, change) = (self.new_codes(), self.step_change(StepChange::RecoveryNew));
        let replace = move |tx: &mut Tx<'_>| {
            alone(tx)?;
            if !is_on(tx, owner.login.id)? {
                return Ok(None);
            }
            let shown = recovery::replace(tx, owner.login.id, &fresh)?;
            change.note(tx, &owner, "second_step.recovery_made", "")?;
            Ok(Some(shown))
        };
        let made = self.inner.db.write("make recovery codes", replace).await?;
        made.ok_or(AccountsError::NoSecondStep)
    }

    /// Switches one's own second step off. The password was verified before; a code is used up here.
    pub async fn second_step_off(&self, owner: Owner, code: &str) -> Result<()> {
        let (code, change) = (code.to_owned(), self.step_change(StepChange::Off));
        let row = self.id(change.now);
        let off = move |tx: &mut Tx<'_>| {
            alone(tx)?;
            let login = owner.login.id;
            if !is_on(tx, login)? {
                return Ok(Err(AccountsError::NoSecondStep));
            }
            let codes = Codes::of(tx, &owner.login.email, row, change.now)?;
            if let Some(wait) = codes.locked(change.now) {
                return Ok(Err(AccountsError::TooOften(wait)));
            }
            if take(tx, login, &code, change.now)?.is_none() {
                codes.wrong(tx, change.now)?;
                return Ok(Err(AccountsError::WrongCode));
            }
            forget(tx, login)?;
            change.note(tx, &owner, "second_step.off", "")?;
            Ok(Ok(()))
        };
        self.inner.db.write("switch a second step off", off).await??;
        self.refresh().await?;
        Ok(())
    }

    /// Switches the second step of a login off on the operator's word, for whoever lost everything.
    pub async fn lift_second_step(&self, email: &str, by: &By) -> Result<()> {
        let login = self.login(email).await?;
        let owner = Owner {
            login,
            by: by.clone(),
            requester: Requester::new(std::net::Ipv4Addr::UNSPECIFIED.into(), ""),
        };
        let change = self.step_change(StepChange::OffByOperator);
        let off = move |tx: &mut Tx<'_>| {
            alone(tx)?;
            // An operator's account has admins as well, and they are not above its owners.
            if users::is_owner_to(tx, &owner.login, &owner.by)? {
                return Ok(Err(AccountsError::OwnersOnly));
            }
            if !is_on(tx, owner.login.id)? {
                return Ok(Err(AccountsError::NoSecondStep));
            }
            forget(tx, owner.login.id)?;
            change.note(tx, &owner, "second_step.lifted", "")?;
            Ok(Ok(()))
        };
        self.inner.db.write("lift a second step", off).await??;
        self.refresh().await?;
        Ok(())
    }

    /// Removes a passkey of one's own, as long as something is left for the second step.
    pub async fn remove_passkey(&self, owner: Owner, key: Id) -> Result<()> {
        let change = self.step_change(StepChange::PasskeyRemoved);
        let remove = move |tx: &mut Tx<'_>| {
            // Two that remove a key each wait for one another, so the second of them sees what the first left.
            alone(tx)?;
            let login = owner.login.id;
            // Without a second step the account is open to whoever has the password: that is another question.
            if totp::since(tx, login)?.is_none() && keys::count(tx, login)? == 1 {
                return Ok(Err(AccountsError::LastStep));
            }
            let Some(name) = keys::remove(tx, login, key)? else {
                return Ok(Err(AccountsError::NotFound("passkey")));
            };
            change.note(tx, &owner, "passkey.removed", &name)?;
            Ok(Ok(()))
        };
        self.inner.db.write("remove a passkey", remove).await??;
        self.refresh().await?;
        Ok(())
    }
}
