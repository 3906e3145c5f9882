//! Where the links of a message lead: stored once, before the first copy leaves, because scanners follow them on the way.

use std::sync::Arc;

use mail::time::Time;
use moka::sync::Cache;
use store::{Id, Result, StoreError, Tx};

use crate::spool::first_id_at;

/// Octets of targets that stay in memory.
const REMEMBERED: u64 = 16 << 20;

/// The message that links are in.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    pub message: Id,
    pub account: Id,
    /// It reaches nobody.
    pub test: bool,
}

/// Where the links of a message lead, and whose they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Links {
    pub(super) targets: Vec<String>,
    /// None where the message was gone when this began to be kept.
    pub(super) account: Option<Id>,
    pub(super) test: bool,
}

/// Stores where the links of a message lead that is stored in the same transaction, under the numbers that [`Pattern::numbers`] says.
///
/// [`Pattern::numbers`]: crate::model::Pattern::numbers
pub fn keep_fresh(tx: &mut Tx<'_>, of: &Source, targets: &[String]) -> Result<()> {
    if targets.is_empty() {
        return Ok(());
    }
    tx.run(
        "INSERT INTO tracked_links (message, targets, account, test) VALUES ($1, $2, $3, $4)",
        &[
            of.message.into(),
            (&text(targets)).into(),
            of.account.into(),
            of.test.into(),
        ],
    )
}

/// Stores where the links lead, and says the number that each has in its copies. Those that were stored before keep theirs,
/// whatever another version of this program finds in the message.
pub fn keep(tx: &mut Tx<'_>, of: &Source, targets: &[String]) -> Result<Vec<u16>> {
    let message = of.message;
    let fresh = tx.execute(
        "INSERT INTO tracked_links (message, targets, account, test) VALUES ($1, $2, $3, $4) ON CONFLICT (message) DO NOTHING",
        &[message.into(), (&text(targets)).into(), of.account.into(), of.test.into()],
    )?;
    if fresh == 1 {
        return Ok((0..=u16::MAX).take(targets.len()).collect());
    }
    // Whoever adds holds the row, so that nobody else adds meanwhile.
    tx.run(
        "UPDATE tracked_links SET targets = targets WHERE message = $1",
        &[message.into()],
    )?;
    let mut known = read(tx, message)?.map_or_else(Vec::new, |links| links.targets);
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
pub(super) fn read(tx: &mut Tx<'_>, message: Id) -> Result<Option<Links>> {
    tx.query_opt(
        "SELECT targets, account, test FROM tracked_links WHERE message = $1",
        &[message.into()],
    )?
    .map(|row| {
        let targets = serde_json::from_str(&row.text(0)?);
        Ok(Links {
            targets: targets.map_err(|error| StoreError::other("read where links lead", error))?,
            account: row.opt_id(1)?,
            test: row.bool(2)?,
        })
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
pub(super) struct Known(Cache<Id, Arc<Links>>);

impl Default for Known {
    fn default() -> Self {
        let weight = |_: &Id, links: &Arc<Links>| {
            let octets: usize = links.targets.iter().map(|one| one.len() + 64).sum();
            u32::try_from(octets + 64).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().max_capacity(REMEMBERED).weigher(weight).build())
    }
}

impl Known {
    pub(super) fn of(&self, message: Id) -> Option<Arc<Links>> {
        self.0.get(&message)
    }

    pub(super) fn remember(&self, message: Id, links: Links) -> Arc<Links> {
        let links = Arc::new(links);
        self.0.insert(message, Arc::clone(&links));
        links
    }
}
