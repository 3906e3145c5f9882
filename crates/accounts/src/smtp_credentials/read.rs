//! What a credential says at the moment, and whose a password is.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use mail::time::Time;
use store::{Id, Tx, Value};

use crate::attempts::Reason;
use crate::{Accounts, Approach, Door, Principal, Result, Via, ranges, token};

/// What a credential allows whoever signed in with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    pub id: Id,
    pub name: String,
    /// The most recipients an hour.
    pub rate: Option<u32>,
    /// Mail is kept in the local inbox, costs nothing and reaches nobody.
    pub sandbox: bool,
    /// The only stream that it sends in.
    pub stream: Option<String>,
}

/// A credential in force, as the directory keeps it.
pub(crate) struct Active {
    pub(crate) terms: Arc<Terms>,
    pub(crate) login: Id,
    secret_hash: Vec<u8>,
    networks: Vec<IpNet>,
    expires_at: Option<Time>,
}

/// What a password turned out to be.
pub(crate) enum Found {
    Good(Arc<Terms>),
    /// A credential of this login that does not open this door now.
    Bad {
        name: String,
        reason: Reason,
    },
}

impl Active {
    /// Why it does not hold now for a client at `from`, which is left out where nobody comes from anywhere.
    pub(crate) fn fault(&self, from: Option<IpAddr>, now: Time) -> Option<Reason> {
        if let Some(until) = self.expires_at.filter(|at| *at <= now) {
            return Some(Reason::ExpiredCredential { until });
        }
        let outside = from.is_some_and(|ip| {
            let ip = ranges::canonical(ip);
            !self.networks.is_empty() && !self.networks.iter().any(|network| network.contains(&ip))
        });
        outside.then_some(Reason::IpNotAllowed)
    }
}

impl Accounts {
    /// The credential of `login` in force that this password belongs to, as the directory knows it; `None` where it belongs
    /// to none.
    ///
    /// Chance makes such a password, 256 bits of it, so there is nothing to guess, and its hash may be looked up.
    pub(crate) async fn active_smtp_credential(
        &self,
        (account, login): (Id, Id),
        password: &str,
        from: &Approach,
    ) -> Result<Option<Found>> {
        if !token::is_smtp_password(password) {
            return Ok(None);
        }
        let hash = token::hash(password);
        let now = self.inner.clock.now();
        let active = self.active_credentials(account).await?;
        let active = active
            .iter()
            .flat_map(|all| all.values())
            .find(|one| one.login == login && one.secret_hash == hash);
        Ok(active.map(|active| {
            let elsewhere = (from.door != Door::Smtp).then_some(Reason::CredentialNotHere);
            let fault = elsewhere.or_else(|| active.fault(Some(from.ip), now));
            match fault {
                None => Found::Good(Arc::clone(&active.terms)),
                Some(reason) => Found::Bad {
                    name: active.terms.name.clone(),
                    reason,
                },
            }
        }))
    }

    /// The same among those that were revoked, which the database is asked for.
    pub(crate) async fn revoked_smtp_credential(&self, login: Id, password: &str) -> Result<Option<Found>> {
        if !token::is_smtp_password(password) {
            return Ok(None);
        }
        let (hash, now) = (token::hash(password), self.inner.clock.now());
        let revoked = move |tx: &mut Tx<'_>| {
            let row = tx.query_opt(
                "SELECT name, revoked_at FROM smtp_credentials WHERE secret_hash = $1 AND login = $2",
                &[Value::Blob(&hash), (&login).into()],
            )?;
            row.map(|row| Ok((row.text(0)?, row.opt_time(1)?))).transpose()
        };
        let revoked = self
            .inner
            .db
            .peek("look for a revoked SMTP credential", revoked)
            .await?;
        Ok(revoked.map(|(name, since)| Found::Bad {
            name,
            reason: Reason::RevokedCredential {
                until: since.unwrap_or(now),
            },
        }))
    }

    /// What the credential allows that `principal` signed in with; `None` for every other way in.
    pub async fn terms(&self, principal: &Principal) -> Result<Option<Arc<Terms>>> {
        let Via::Credential(id) = principal.via else {
            return Ok(None);
        };
        let active = self.active_credentials(principal.account).await?;
        Ok(active.and_then(|all| all.get(&id).map(|one| Arc::clone(&one.terms))))
    }

    /// Notes that a credential was used, at most once a minute.
    pub(crate) fn touch_smtp_credential(&self, id: Id, from: IpAddr) {
        let from = ranges::canonical(from).to_string();
        self.touch_with(id, move |tx, now| {
            tx.run(
                "UPDATE smtp_credentials SET used_at = $2, used_from = $3 WHERE id = $1",
                &[(&id).into(), now.into(), (&from).into()],
            )
        });
    }
}

/// The account's credentials that are not revoked.
pub(crate) fn read_active(tx: &mut Tx<'_>, account: Id) -> store::Result<HashMap<Id, Active>> {
    tx.query(
        "SELECT id, login, name, secret_hash, ranges, rate, expires_at, sandbox, stream FROM smtp_credentials \
         WHERE account = $1 AND revoked_at IS NULL",
        &[(&account).into()],
    )?
    .iter()
    .map(|row| {
        let id = row.id(0)?;
        let terms = Terms {
            id,
            name: row.text(2)?,
            rate: rate(row.opt_int(5)?),
            sandbox: row.bool(7)?,
            stream: row.opt_text(8)?,
        };
        let active = Active {
            terms: Arc::new(terms),
            login: row.id(1)?,
            secret_hash: row.blob(3)?,
            networks: networks_from_text(&row.text(4)?),
            expires_at: row.opt_time(6)?,
        };
        Ok((id, active))
    })
    .collect()
}

pub(super) fn networks_to_text(networks: &[IpNet]) -> String {
    let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
    networks.join(" ")
}

pub(super) fn networks_from_text(text: &str) -> Vec<IpNet> {
    text.split_whitespace()
        .filter_map(|network| network.parse().ok())
        .collect()
}

pub(super) fn rate(column: Option<i64>) -> Option<u32> {
    column.map(|rate| u32::try_from(rate).unwrap_or(u32::MAX))
}
