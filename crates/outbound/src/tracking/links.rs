//! Where the links of a message lead: stored once, before the first copy leaves, because scanners follow them on the way.

use std::sync::Arc;

use mail::time::Time;
use moka::sync::Cache;
use store::{Id, Result, StoreError, Tx};

use crate::spool::first_id_at;

/// Octets of targets that stay in memory.
const REMEMBERED: u64 = 16 << 20;

/// Stores where the links lead, and says the number that each has in its copies. Those that were stored before keep theirs,
/// whatever another version of this program finds in the message.
pub fn keep(tx: &mut Tx<'_>, message: Id, targets: &[String]) -> Result<Vec<u16>> {
    let fresh = tx.execute(
        "INSERT INTO tracked_links (message, targets) VALUES ($1, $2) ON CONFLICT (message) DO NOTHING",
        &[message.into(), (&text(targets)).into()],
    )?;
    if fresh == 1 {
        return Ok((0..=u16::MAX).take(targets.len()).collect());
    }
    // Whoever adds holds the row, so that nobody else adds meanwhile.
    tx.run(
        "UPDATE tracked_links SET targets = targets WHERE message = $1",
        &[message.into()],
    )?;
    let mut known = read(tx, message)?.unwrap_or_default();
    let before = known.len();
    let numbers = targets
        .iter()
        .map(|target| {
            let place = known.iter().position(|one| one == target).unwrap_or_else(|| {
                known.push(target.clone());
                known.len() - 1
            });
            u16::try_from(place).unwrap_or(u16::MAX)
        })
        .collect();
    if known.len() > before {
        tx.run(
            "UPDATE tracked_links SET targets = $2 WHERE message = $1",
            &[message.into(), (&text(&known)).into()],
        )?;
    }
    Ok(numbers)
}

fn text(targets: &[String]) -> String {
    serde_json::to_string(targets).expect("texts in a list are always JSON")
}

/// Where they lead; none where nothing is stored.
pub(super) fn read(tx: &mut Tx<'_>, message: Id) -> Result<Option<Vec<String>>> {
    tx.query_opt(
        "SELECT targets FROM tracked_links WHERE message = $1",
        &[message.into()],
    )?
    .map(|row| {
        serde_json::from_str(&row.text(0)?).map_err(|error| StoreError::other("read where links lead", error))
    })
    .transpose()
}

pub(super) fn prune(tx: &mut Tx<'_>, before: Time, limit: u32) -> Result<u64> {
    tx.execute(
        "DELETE FROM tracked_links WHERE message IN \
         (SELECT message FROM tracked_links WHERE message < $1 ORDER BY message LIMIT $2)",
        &[first_id_at(before).into(), limit.into()],
    )
}

/// What was looked up lately: people follow links of the same messages.
pub(super) struct Known(Cache<Id, Arc<Vec<String>>>);

impl Default for Known {
    fn default() -> Self {
        let weight = |_: &Id, targets: &Arc<Vec<String>>| {
            let octets: usize = targets.iter().map(|one| one.len() + 64).sum();
            u32::try_from(octets + 64).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().max_capacity(REMEMBERED).weigher(weight).build())
    }
}

impl Known {
    pub(super) fn of(&self, message: Id) -> Option<Arc<Vec<String>>> {
        self.0.get(&message)
    }

    pub(super) fn remember(&self, message: Id, targets: Vec<String>) -> Arc<Vec<String>> {
        let targets = Arc::new(targets);
        self.0.insert(message, Arc::clone(&targets));
        targets
    }
}
