//! What is known of a login address, for whoever is asked why signing in fails.

use mail::address::Address;
use mail::time::Time;
use store::{Row, Tx};

use crate::state::AccountState;
use crate::{Accounts, Result, sign_up};

/// A login as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginFacts {
    pub email: String,
    /// Whether the address was confirmed.
    pub confirmed: bool,
    pub state: AccountState,
    pub password_changed_at: Time,
}

/// An address, seen from inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Diagnosis {
    Login(LoginFacts),
    /// Nobody has it.
    Unknown {
        /// The login that was meant, most likely.
        near: Option<String>,
        /// Since when a sign-up with it waits for its owner to follow the link.
        asked_at: Option<Time>,
    },
}

impl Accounts {
    /// For operators only: it tells which addresses exist.
    pub async fn diagnose(&self, email: &str) -> Result<Diagnosis> {
        let login_key = Address::parse(email.trim())?.login_key();
        let wanted = login_key.clone();
        let read = move |tx: &mut Tx<'_>| {
            let asked_at = sign_up::asked_at(tx, &wanted)?;
            let row = tx.query_opt(
                "SELECT l.email, l.confirmed, a.state, a.state_reason, l.password_changed_at FROM logins l \
                 JOIN accounts a ON a.id = l.account WHERE l.login_key = $1",
                &[(&wanted).into()],
            )?;
            Ok((row.map(|row| facts_of(&row)).transpose()?, asked_at))
        };
        match self.inner.db.read("look at a login", read).await? {
            (Some(facts), _) => Ok(Diagnosis::Login(facts)),
            (None, asked_at) => Ok(Diagnosis::Unknown {
                near: self.nearest_login(login_key).await?,
                asked_at,
            }),
        }
    }
}

fn facts_of(row: &Row) -> store::Result<LoginFacts> {
    Ok(LoginFacts {
        email: row.text(0)?,
        confirmed: row.bool(1)?,
        state: AccountState::from_columns(&row.text(2)?, row.text(3)?),
        password_changed_at: row.time(4)?,
    })
}
