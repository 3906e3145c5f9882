//! Reports that come to signed return paths, as whoever receives them hands them in.

use bytes::Bytes;
use mail::address::Address;
use store::{Result, Tx};

use super::Outbound;
use crate::feedback::{self, Desk, Taken};
use crate::return_path;
use crate::token::About;

impl Outbound {
    /// Whom a return path of ours stands for; none where the address is not one that this installation signed within its time.
    pub async fn return_path(&self, address: &Address) -> accounts::Result<Option<About>> {
        let parts = &self.0.parts;
        // Before the key is asked for: strangers try addresses, and most are none.
        if !return_path::looks_like_one(address) {
            return Ok(None);
        }
        let key = parts.accounts.signing_key().await?;
        Ok(return_path::read(&key, address, parts.clock.now()))
    }

    /// Acts on a report that came to the return path of this recipient. Once it returns, what followed is durable.
    pub async fn take_report(&self, about: About, raw: Bytes) -> Result<Taken> {
        let parts = &self.0.parts;
        let report = feedback::read(raw).await?;
        let desk = Desk {
            node: parts.settings.node,
            reporter: parts.reporter(),
            ids: parts.ids.clone(),
            at: parts.clock.now(),
        };
        let work = move |tx: &mut Tx<'_>| feedback::take(tx, about, &report, &desk);
        let taken = parts.db.write("take a report", work).await?;
        let counters = &self.0.counters;
        match taken {
            Taken::Bounced => counters.bounced_late.add(1),
            Taken::Complained => counters.complained.add(1),
            Taken::TooEarly => {}
            Taken::Nothing => counters.reports_of_nothing.add(1),
        }
        Ok(taken)
    }
}
