//! Opens and clicks: where tracked links lead, who fetched what, events and counters of it. What machines fetch is told apart and
//! not counted.
//!
//! A request is answered from memory or by one look-up and never waits for what is noted of it: that gathers in memory, equal
//! requests together, and is written many at once.

mod counts;
mod journal;
mod links;
mod record;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use accounts::Accounts;
use mail::time::Time;
use mail::visitor::{self, Act, Visit};
use store::{Clock, Db, Id, Result, Tx};
use tokio::time::sleep;

pub use counts::{Count, Counts, Dimension, Figures, Range, figures};
pub use links::{Source, keep, keep_fresh};
pub use record::{Engaged, of_message};

use self::journal::{Entry, Journal};
use self::links::{Known, Links};
use crate::token::{self, About, Purpose};

/// What comes within this time is written together.
const GATHER: Duration = Duration::from_secs(1);
/// Recipients whose news one transaction writes.
const STEP: usize = 100;

/// A request for the picture or a link.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub agent: String,
    /// Looked at and never stored.
    pub ip: IpAddr,
    /// ISO 3166 code of the country that the address is in, where that is known.
    pub country: Option<String>,
}

/// What becomes of whoever follows a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leads {
    To(String),
    /// There, but it is told and not led to: a test costs its sender nothing and nobody receives it, so its links are good for
    /// nothing but to hide behind our name where they lead.
    AsTest(String),
    /// Nowhere any more: who sent it is suspended.
    Stopped,
    /// The token is nobody's or too old, or its message forgotten.
    Nowhere,
}

/// Why nobody can be led on.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("the key of links could not be read")]
    Key(#[from] accounts::AccountsError),
    #[error(transparent)]
    Store(#[from] store::StoreError),
}

/// Opens and clicks of this process. Clones share what has gathered.
#[derive(Clone)]
pub struct Tracking(Arc<Inner>);

struct Inner {
    db: Db,
    clock: Clock,
    accounts: Accounts,
    known: Known,
    journal: Journal,
}

impl Tracking {
    pub fn new(db: Db, clock: Clock, accounts: Accounts) -> Self {
        Self(Arc::new(Inner {
            db,
            clock,
            accounts,
            known: Known::default(),
            journal: Journal::default(),
        }))
    }

    /// Notes that the picture of this token was fetched; a token that nobody made is nothing.
    pub async fn opened(&self, text: &str, request: &Request) -> Result<(), LinkError> {
        let key = self.0.accounts.signing_key().await?;
        if let Some(about) = token::read(&key, Purpose::Open, text, self.0.clock.now()) {
            self.note(about, None, request);
        }
        Ok(())
    }

    /// Where the link of this token leads, and notes that it was followed.
    pub async fn clicked(&self, text: &str, request: &Request) -> Result<Leads, LinkError> {
        let key = self.0.accounts.signing_key().await?;
        let Some((about, link)) = token::read_click(&key, text, self.0.clock.now()) else {
            return Ok(Leads::Nowhere);
        };
        let Some(links) = self.links(about.message).await? else {
            return Ok(Leads::Nowhere);
        };
        let Some(target) = links.targets.get(usize::from(link)).cloned() else {
            return Ok(Leads::Nowhere);
        };
        if let Some(account) = links.account
            && self.0.accounts.is_suspended(account).await?
        {
            return Ok(Leads::Stopped);
        }
        self.note(about, Some(link), request);
        Ok(if links.test {
            Leads::AsTest(target)
        } else {
            Leads::To(target)
        })
    }

    async fn links(&self, message: Id) -> Result<Option<Arc<Links>>> {
        let known = match self.0.known.of(message) {
            None => {
                let read = move |tx: &mut Tx<'_>| links::read(tx, message);
                let stored = self.0.db.peek("look where a link leads", read).await?;
                stored.map(|links| self.0.known.remember(message, links))
            }
            known => known,
        };
        Ok(known)
    }

    fn note(&self, about: About, link: Option<u16>, request: &Request) {
        let act = if link.is_some() { Act::Click } else { Act::Open };
        let why = visitor::machine(&Visit {
            act,
            method: &request.method,
            agent: &request.agent,
            ip: request.ip,
        });
        let entry = Entry {
            act,
            link,
            client: visitor::client(&request.agent),
            why,
            country: request.country.clone(),
        };
        self.0
            .journal
            .add((about.message, about.ordinal), entry, self.0.clock.now());
    }

    /// Requests that found no room to be noted since this process began.
    pub fn left_out(&self) -> u64 {
        self.0.journal.left_out()
    }

    /// Writes what gathers until told to stop, and then what is left.
    pub async fn keep(self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            let stopped = tokio::select! {
                () = &mut stop => true,
                () = self.0.journal.bell() => tokio::select! {
                    () = &mut stop => true,
                    () = sleep(GATHER) => false,
                },
            };
            if let Err(error) = self.write(stopped).await {
                tracing::warn!(%error, "opens and clicks were not written; they are tried again");
            }
            if stopped {
                return;
            }
        }
    }

    /// Writes what has gathered long enough, or `all` of it.
    pub async fn write(&self, all: bool) -> Result<()> {
        let ripe = self.0.journal.take(self.0.clock.now(), all);
        for (n, step) in ripe.chunks(STEP).enumerate() {
            let news = Arc::new(step.to_vec());
            let write = move |tx: &mut Tx<'_>| record::write(tx, &news);
            if let Err(error) = self.0.db.write("note opens and clicks", write).await {
                self.0.journal.give_back(&ripe[n * STEP..]);
                return Err(error);
            }
        }
        Ok(())
    }
}

/// Forgets what the readers of a message did, which goes with it; its links lead on, because the mail is out there.
pub fn forget(tx: &mut Tx<'_>, message: Id) -> Result<()> {
    record::forget(tx, message)
}

/// Forgets what was kept for the messages before `oldest`, of which none is there any more, and counters and links that are older
/// than any link counts: at most `limit` rows of each.
pub fn prune(tx: &mut Tx<'_>, oldest: Time, now: Time, limit: u32) -> Result<u64> {
    let expired = now.minus(Duration::from_hours(24 * Purpose::Click.days().unsigned_abs()));
    let readers = record::prune(tx, oldest, limit)?;
    let links = links::prune(tx, expired.min(oldest), limit)?;
    Ok(readers + links + counts::prune(tx, expired, limit)?)
}
