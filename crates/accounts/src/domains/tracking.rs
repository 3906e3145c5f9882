//! Whether mail from a domain may be tracked, verified or not.

use std::collections::HashMap;

use mail::address::Domain;
use store::{Id, Tx};

use super::SendingDomain;
use crate::audit::{self, By};
use crate::changes::bump;
use crate::tracking::MayTrack;
use crate::{Accounts, AccountsError, Result};

impl Accounts {
    /// Says what may be tracked of mail from the domain that is accepted from now on.
    pub async fn switch_domain_tracking(
        &self,
        account: Id,
        id: Id,
        may: MayTrack,
        by: &By,
    ) -> Result<SendingDomain> {
        let now = self.inner.clock.now();
        let (audit, by) = (self.id(now), by.clone());
        let switch = move |tx: &mut Tx<'_>| {
            let own = "SELECT name FROM domains WHERE id = $1 AND account = $2";
            let Some(own) = tx.query_opt(own, &[id.into(), account.into()])? else {
                return Ok(false);
            };
            tx.run(
                "UPDATE domains SET track_opens = $2, track_clicks = $3 WHERE id = $1",
                &[id.into(), may.opens.into(), may.clicks.into()],
            )?;
            let (name, said) = (own.text(0)?, may.said());
            audit::note(tx, (audit, now), account, &by, "domain.tracking", &name, &said)?;
            bump(tx, account)?;
            Ok(true)
        };
        let switched = self.inner.db.write("switch the tracking of a domain", switch);
        if !switched.await? {
            return Err(AccountsError::NotFound("domain"));
        }
        self.refresh().await?;
        self.domain(account, id).await
    }
}

/// The domains of an account of whose mail not everything may be tracked.
pub(crate) fn held_back(tx: &mut Tx<'_>, account: Id) -> store::Result<HashMap<Domain, MayTrack>> {
    tx.query(
        "SELECT name, track_opens, track_clicks FROM domains WHERE account = $1 AND (track_opens = 0 OR track_clicks = 0)",
        &[account.into()],
    )?
    .iter()
    .map(|row| {
        let may = MayTrack {
            opens: row.bool(1)?,
            clicks: row.bool(2)?,
        };
        Ok((super::stored_name(&row.text(0)?)?, may))
    })
    .collect()
}
