//! New DKIM keys for a domain: they sign once their records are found, the old ones' records stay for a while.

use store::Id;

use super::checks::FIRST;
use super::records::Stage;
use super::{OVERLAP, SendingDomain, insert_keys, taken_selectors};
use crate::audit::{self, By};
use crate::changes;
use crate::{Accounts, AccountsError, Result};

impl Accounts {
    /// Makes a new pair of keys beside those in use. Refused while an earlier one still waits for its records, and while old
    /// ones are leaving: so a domain never has more than two pairs.
    pub async fn renew_domain_keys(&self, account: Id, id: Id, by: &By) -> Result<SendingDomain> {
        let stored = self.stored_domain(account, id).await?;
        let waits = |domain: &super::Stored| domain.staged().iter().any(|key| key.stage == Stage::Next);
        let shown = stored.name.to_unicode().into_owned();
        if waits(&stored) {
            return Err(AccountsError::KeysWait(shown));
        }
        let leaving = stored.keys.iter().filter_map(|key| key.retired_at).max();
        if let Some(at) = leaving {
            let left = at.plus(OVERLAP).since(self.inner.clock.now());
            return Err(AccountsError::KeysLeave(shown, left));
        }
        let pairs = self.make_keys().await?;
        let now = self.inner.clock.now();
        let key_ids = [self.id(now), self.id(now)];
        let (audit, by) = (self.id(now), by.clone());
        let name = stored.name;
        let made = self
            .inner
            .db
            .write("make new DKIM keys", move |tx| {
                changes::alone(tx)?;
                let in_use = "SELECT COUNT(*) FROM dkim_keys WHERE domain = $1 \
                              AND EXISTS (SELECT 1 FROM domains d WHERE d.id = $1 AND d.account = $2)";
                let in_use = tx.query_opt(in_use, &[(&id).into(), (&account).into()])?;
                // Another one made keys meanwhile, or the domain is gone.
                if in_use.map_or(Ok(0), |row| row.int(0))? != pairs.len() as i64 {
                    return Ok(false);
                }
                let taken = taken_selectors(tx, &name)?;
                insert_keys(tx, id, (&key_ids, &pairs), &taken, now)?;
                let next = "UPDATE domains SET next_check_at = $2 WHERE id = $1";
                tx.run(next, &[(&id).into(), now.plus(FIRST).into()])?;
                audit::note(
                    tx,
                    (audit, now),
                    account,
                    &by,
                    "domain.keys_made",
                    &name.to_unicode(),
                    "",
                )?;
                Ok(true)
            })
            .await?;
        if made {
            self.domain(account, id).await
        } else {
            Err(AccountsError::KeysWait(shown))
        }
    }
}
