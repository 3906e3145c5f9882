//! How much a credential may send within an hour, counted in the transaction that accepts.

use std::time::Duration;

use mail::time::Time;
use store::{Id, Tx};

use super::Terms;
use crate::limits::Limit;
use crate::{Accounts, Principal, Result};

const HOUR: Duration = Duration::from_hours(1);
/// What an account may send into the sandbox, where nothing costs anything, within an hour: recipients, and octets times
/// recipients, because each has a copy in the inbox.
const SANDBOX: Limit = Limit {
    what: "sandbox",
    most: 1_000,
    window: HOUR,
};
const SANDBOX_OCTETS: Limit = Limit {
    what: "sandbox-octets",
    most: 256 * 1024 * 1024,
    window: HOUR,
};
/// Recipients of an account within an hour that cost nothing because nothing is sent to them: suppressed, or discarded by a
/// hook. Far more than lists that are kept have; what a script could write rows with all day long.
const UNSENT: Limit = Limit {
    what: "unsent",
    most: 50_000,
    window: HOUR,
};

/// An hourly limit that does not let a message through. Whose it is, is to be read behind "the hourly limit of".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OverRate {
    /// It is reached, until there is room again.
    Reached { limit: &'static str, wait: Duration },
    /// The message alone is more than an hour has: waiting does not help.
    NeverFits { limit: &'static str, most: String },
}

/// What may still be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLeft {
    /// Whose limit it is, to be read behind "the hourly limit of".
    pub limit: &'static str,
    /// Recipients.
    pub left: u64,
    /// Until there are more again.
    pub wait: Duration,
}

impl Accounts {
    /// How many recipients the credential of `terms` may still have within the hour; `None` where nothing limits it.
    pub async fn rate_left(&self, principal: &Principal, terms: &Terms) -> Result<Option<RateLeft>> {
        let limits = limits(Draws {
            account: principal.account,
            terms: Some(terms),
            sandbox: terms.sandbox,
            unsent: 0,
        });
        if limits.is_empty() {
            return Ok(None);
        }
        let now = self.inner.clock.now();
        let read = move |tx: &mut Tx<'_>| {
            let mut least: Option<RateLeft> = None;
            for (limit, who) in &limits {
                let (left, wait) = limit.left(tx, who, now)?;
                if least.is_none_or(|least| left < least.left) {
                    least = Some(RateLeft {
                        limit: called(limit),
                        left,
                        wait,
                    });
                }
            }
            Ok(least)
        };
        Ok(self
            .inner
            .db
            .peek("read what a credential may still send", read)
            .await?)
    }
}

/// Who sends, by which credential if by one, and whether the message goes into the sandbox, which a credential may say or
/// the message itself.
#[derive(Clone, Copy, Debug)]
pub struct Draws<'a> {
    pub account: Id,
    pub terms: Option<&'a Terms>,
    pub sandbox: bool,
    /// Recipients who are sent nothing.
    pub unsent: u32,
}

/// Counts a message of so many recipients, each of so many octets, or counts nothing and says which limit is in its way. Belongs
/// into the transaction that accepts.
pub fn charge(
    tx: &mut Tx<'_>,
    draws: Draws<'_>,
    (recipients, octets): (u64, u64),
    now: Time,
) -> store::Result<Result<(), OverRate>> {
    let wanted = wanted(draws, recipients, octets);
    if let Some((limit, ..)) = wanted.iter().find(|(limit, _, many)| *many > limit.most.into()) {
        let (limit, most) = (called(limit), in_words(limit));
        return Ok(Err(OverRate::NeverFits { limit, most }));
    }
    for (place, (limit, who, many)) in wanted.iter().enumerate() {
        if let Err(wait) = limit.take(tx, who, *many, now)? {
            put_back(tx, &wanted[..place])?;
            let limit = called(limit);
            return Ok(Err(OverRate::Reached { limit, wait }));
        }
    }
    Ok(Ok(()))
}

/// Takes back what [`charge`] counted in this transaction, for a message that is not accepted after all.
pub fn give_back(tx: &mut Tx<'_>, draws: Draws<'_>, (recipients, octets): (u64, u64)) -> store::Result<()> {
    put_back(tx, &wanted(draws, recipients, octets))
}

fn put_back(tx: &mut Tx<'_>, taken: &[(Limit, String, u64)]) -> store::Result<()> {
    taken
        .iter()
        .try_for_each(|(limit, who, many)| limit.give_back(tx, who, *many))
}

/// The limits in recipients.
fn limits(draws: Draws<'_>) -> Vec<(Limit, String)> {
    let own = draws.terms.and_then(|terms| {
        let limit = Limit {
            what: "smtp-credential",
            most: terms.rate?,
            window: HOUR,
        };
        Some((limit, terms.id.to_string()))
    });
    let sandbox = draws.sandbox.then(|| (SANDBOX, draws.account.to_string()));
    own.into_iter().chain(sandbox).collect()
}

fn wanted(draws: Draws<'_>, recipients: u64, octets: u64) -> Vec<(Limit, String, u64)> {
    let mut wanted: Vec<_> = limits(draws)
        .into_iter()
        .map(|(limit, who)| (limit, who, recipients))
        .collect();
    if draws.sandbox {
        let copies = octets.saturating_mul(recipients);
        wanted.push((SANDBOX_OCTETS, draws.account.to_string(), copies));
    } else if draws.unsent > 0 {
        wanted.push((UNSENT, draws.account.to_string(), draws.unsent.into()));
    }
    wanted
}

fn called(limit: &Limit) -> &'static str {
    match limit.what {
        "smtp-credential" => "this credential",
        "unsent" => "recipients who are suppressed or discarded",
        _ => "the sandbox",
    }
}

/// How much the limit lets through in an hour.
fn in_words(limit: &Limit) -> String {
    if limit.what == SANDBOX_OCTETS.what {
        format!("{} MiB over all recipients", limit.most / (1024 * 1024))
    } else {
        format!("{} recipients", limit.most)
    }
}
