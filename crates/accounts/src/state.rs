//! Whether an account may send: suspended by the operator, paused by the guard, and back again.

use mail::time::Time;
use store::{Id, Ids, Tx};

use crate::audit::{self, By};
use crate::changes::bump;
use crate::notices::Matter;
use crate::{Accounts, AccountsError, Result, guard};

/// Whether an account may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountState {
    Active,
    /// With the operator's reason.
    Suspended(String),
    /// By the guard, with its reason: too many recipients bounced or complained.
    Paused(String),
}

impl AccountState {
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended(_) => "suspended",
            Self::Paused(_) => "paused",
        }
    }

    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Active => None,
            Self::Suspended(reason) | Self::Paused(reason) => Some(reason),
        }
    }

    pub(crate) fn from_columns(state: &str, reason: String) -> Self {
        match state {
            "active" => Self::Active,
            "paused" => Self::Paused(reason),
            _ => Self::Suspended(reason),
        }
    }
}

/// Another state of an account, ready to be written.
#[derive(Clone)]
pub(crate) struct StateChange {
    pub(crate) account: Id,
    /// Changes nothing but an account in this state; none is any.
    pub(crate) from: Option<&'static str>,
    state: AccountState,
    hold: bool,
    by: By,
    ids: Ids,
    pub(crate) now: Time,
}

impl StateChange {
    /// Changes the state, and notes who did it and whom to tell. False where there is no such account.
    pub(crate) fn write(&self, tx: &mut Tx<'_>) -> store::Result<bool> {
        let (account, now) = (self.account, self.now);
        // Before the account itself, in the order in which the guard writes them.
        if self.state == AccountState::Active {
            guard::begin_anew(tx, account)?;
        }
        let reason = self.state.reason().unwrap_or_default();
        let changed = tx.execute(
            "UPDATE accounts SET state = $2, state_reason = $3, \
             holds = CASE WHEN $2 = 'active' THEN 0 WHEN $4 = 1 THEN 1 ELSE holds END, \
             paused = CASE WHEN $2 = 'active' THEN NULL ELSE paused END \
             WHERE id = $1 AND ($5 = '' OR state = $5)",
            &[
                (&account).into(),
                self.state.as_str().into(),
                reason.into(),
                self.hold.into(),
                self.from.unwrap_or_default().into(),
            ],
        )?;
        if changed == 0 {
            return Ok(false);
        }
        let action = match &self.state {
            AccountState::Active => "account.resumed",
            AccountState::Suspended(_) => "account.suspended",
            AccountState::Paused(_) => "account.paused",
        };
        let mut id = || self.ids.next(now);
        audit::note(tx, (id(), now), account, &self.by, action, "", reason)?;
        guard::tell_owners(tx, account, &Matter::of_state(&self.state), &mut id, now)?;
        bump(tx, account)?;
        Ok(true)
    }
}

impl Accounts {
    /// Stops an account from sending; what was accepted before is delivered, unless it is held already.
    pub async fn suspend(&self, account: Id, reason: &str, by: &By) -> Result<()> {
        self.set_state(account, (AccountState::Suspended(one_line(reason)), false), by)
            .await
    }

    /// The same, and what was accepted before is held until the account is resumed, or returned.
    pub async fn suspend_and_hold(&self, account: Id, reason: &str, by: &By) -> Result<()> {
        self.set_state(account, (AccountState::Suspended(one_line(reason)), true), by)
            .await
    }

    /// Lets an account send again; what is held goes on its way.
    pub async fn resume(&self, account: Id, by: &By) -> Result<()> {
        self.set_state(account, (AccountState::Active, false), by).await
    }

    async fn set_state(&self, account: Id, to: (AccountState, bool), by: &By) -> Result<()> {
        let change = self.state_change(account, to, by);
        let changed = self
            .inner
            .db
            .write("change the state of an account", move |tx| {
                let before =
                    tx.query_opt("SELECT state FROM accounts WHERE id = $1", &[(&account).into()])?;
                if change.state == AccountState::Active
                    && before.is_some_and(|row| row.text(0).is_ok_and(|before| before == "active"))
                {
                    return Ok(true);
                }
                change.write(tx)
            })
            .await?;
        if !changed {
            return Err(AccountsError::NotFound("account"));
        }
        self.refresh().await?;
        Ok(())
    }

    pub(crate) fn state_change(
        &self,
        account: Id,
        (state, hold): (AccountState, bool),
        by: &By,
    ) -> StateChange {
        StateChange {
            account,
            from: None,
            state,
            hold,
            by: by.clone(),
            ids: self.inner.ids.clone(),
            now: self.inner.clock.now(),
        }
    }
}

/// A reason as lists, logs and SMTP show it.
fn one_line(reason: &str) -> String {
    const LONGEST: usize = 200;
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    reason.trim().chars().map(plain).take(LONGEST).collect()
}
