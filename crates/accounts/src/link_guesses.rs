//! Limits on links that stand for a recipient: how many that are none a network may try, and how often one changes something.

use std::net::IpAddr;
use std::time::Duration;

use mail::time::Time;
use store::Tx;

use crate::limits::{Count, Limit, network};
use crate::{Accounts, Result};

/// Whoever has a link is never counted, so that a provider which follows those of many is not kept out.
const OF_A_NETWORK: Limit = Limit {
    what: "link guess",
    most: 60,
    window: Duration::from_mins(10),
};
/// Each change is a line in the log and perhaps a call of a webhook.
const OF_A_RECIPIENT: Limit = Limit {
    what: "link change",
    most: 30,
    window: Duration::from_hours(1),
};

impl Accounts {
    /// Counts a link that is none; how long the network has to wait where it tried too many.
    pub async fn guessed_link(&self, ip: IpAddr) -> Result<Option<Duration>> {
        let (now, network) = (self.inner.clock.now(), network(ip));
        let known = network.clone();
        let looking = self.inner.db.peek("look at guessed links", move |tx| {
            OF_A_NETWORK.left(tx, &known, now)
        });
        if let (0, wait) = looking.await? {
            return Ok(Some(wait));
        }
        let counting = self.inner.db.write("count a guessed link", move |tx| {
            OF_A_NETWORK.count(tx, &network, now)
        });
        Ok(match counting.await? {
            Count::Within(_) => None,
            Count::Over(wait) => Some(wait),
        })
    }
}

/// Counts a change that a recipient makes by a link; false where there were too many of late.
pub fn changes_by_link(tx: &mut Tx<'_>, who: &str, now: Time) -> store::Result<bool> {
    Ok(matches!(OF_A_RECIPIENT.count(tx, who, now)?, Count::Within(_)))
}
