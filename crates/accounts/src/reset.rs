//! Getting back in without the password: a link to the login's address, good for half an hour and once.

use std::time::Duration;

use mail::address::Address;

use crate::audit::By;
use crate::limits::{Count, Limit, network};
use crate::links::{self, Purpose};
use crate::notices::{self, ChangedBy, Matter, Requester};
use crate::people::{Login, NewPassword, replace_password};
use crate::{Accounts, AccountsError, Result, password, token};

/// Requests from one network.
const OF_A_NETWORK: Limit = Limit {
    what: "reset from",
    most: 20,
    window: Duration::from_hours(1),
};
/// Mails to one address.
const TO_AN_ADDRESS: Limit = Limit {
    what: "reset of",
    most: 3,
    window: Duration::from_hours(1),
};

impl Accounts {
    /// Mails a link for a new password to the address, if it is a login's. Answers the same, and in the same time, if it
    /// is none.
    pub async fn forgot_password(&self, email: &str, from: &Requester) -> Result<()> {
        let address = Address::parse(email.trim())?;
        let now = self.inner.clock.now();
        let id = self.id(now);
        let network = network(from.ip);
        let requester = from.clone();
        let noted = self.inner.db.write("note a forgotten password", move |tx| {
            if let Count::Over(wait) = OF_A_NETWORK.count(tx, &network, now)? {
                return Ok(Some(wait));
            }
            if let Count::Within(_) = TO_AN_ADDRESS.count(tx, &address.login_key(), now)? {
                let matter = Matter::Forgotten {
                    requester: requester.clone(),
                };
                notices::note(tx, id, &address.to_string(), &matter, (now, Duration::ZERO))?;
            }
            Ok(None)
        });
        noted
            .await?
            .map_or(Ok(()), |wait| Err(AccountsError::TooOften(wait)))
    }

    /// Sets the password that a link was sent for, and uses the link up. Every session of the login ends, and its
    /// address is confirmed: the link proved it.
    pub async fn reset_password(&self, token: &str, new: &str, from: &Requester) -> Result<Login> {
        let hash = token::hash(token);
        let now = self.inner.clock.now();
        let found = self.inner.db.read("look a link up", move |tx| {
            let Some(link) = links::find(tx, Purpose::Reset, &hash, now)? else {
                return Ok(None);
            };
            crate::people::login_by_id(tx, link.subject)
        });
        let login = found.await?.ok_or(AccountsError::LinkGone)?;
        // A weak password costs another try, not another link.
        password::check(new, &login.email)?;
        let change = NewPassword {
            login: login.clone(),
            hash: self.hash(new).await?,
            scram: self.scram_keys(&login.email, new).await?,
            keep: None,
            by: ChangedBy::Link,
            requester: Some(from.clone()),
            notice: self.id(now),
            audit: self.id(now),
            who: By::link(&login, Some(from.ip)),
            now,
        };
        let done = self.inner.db.write("reset a password", move |tx| {
            if !links::consume(tx, Purpose::Reset, &hash, now)? {
                return Ok(false);
            }
            tx.run(
                "UPDATE logins SET confirmed = 1 WHERE id = $1",
                &[change.login.id.into()],
            )?;
            replace_password(tx, &change)
        });
        if !done.await? {
            return Err(AccountsError::LinkGone);
        }
        self.refresh().await?;
        Ok(login)
    }
}
