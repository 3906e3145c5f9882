//! How much waits, by one walk over the indexes that hold only what waits.

use std::time::Duration;

use mail::address::Domain;
use store::{Result, Tx};

use super::waiting;
use crate::model::{Depth, DomainDepth};

/// Counts what waits; `give_up` is the age at which recipients expire, from which theirs is known.
pub fn depth(tx: &mut Tx<'_>, give_up: Duration) -> Result<Depth> {
    let mut depth = Depth::default();
    tx.each(
        concat!(
            "SELECT domain, state, COUNT(*), MIN(expires_at) FROM recipients WHERE node IS NULL AND ",
            waiting!(),
            " GROUP BY domain, state"
        ),
        &[],
        |row| {
            // One row that cannot be read is set aside when its turn comes; the others are counted.
            let Ok(domain) = Domain::parse(&row.text(0)?) else {
                return Ok(());
            };
            let (count, oldest_at) = (row.int(2)? as u64, row.time(3)?.minus(give_up));
            if row.text(1)? == "queued" {
                depth.queued += count;
            } else {
                depth.deferred += count;
            }
            depth.oldest_at = Some(depth.oldest_at.map_or(oldest_at, |oldest| oldest.min(oldest_at)));
            let of_domain = depth.domains.entry(domain).or_insert(DomainDepth {
                waiting: 0,
                oldest_at,
            });
            of_domain.waiting += count;
            of_domain.oldest_at = of_domain.oldest_at.min(oldest_at);
            Ok(())
        },
    )?;
    let in_hand = tx.query_opt("SELECT COUNT(*) FROM recipients WHERE node IS NOT NULL", &[])?;
    depth.in_hand = in_hand.map_or(Ok(0), |row| row.int(0))? as u64;
    Ok(depth)
}
