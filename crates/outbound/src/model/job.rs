//! One message on its way to one destination.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mail::address::{Address, Domain};
use mail::notify::{Notify, Ret};
use mail::time::Time;
use store::Id;
use tokio::time::Instant;

use super::{Grip, Held, Pattern, Wants};

/// Name of a lane: the destination site that a set of domains shares, e.g. its sorted MX hosts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneKey(Arc<str>);

impl LaneKey {
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LaneKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What all jobs of one message share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub id: Id,
    pub account: Id,
    /// The slug of the stream that it went in.
    pub stream: String,
    /// None is the null sender: no report about such a message is ever sent.
    pub reverse_path: Option<Address>,
    /// The address of the header From; its domain chooses the DKIM keys. Empty where there is none.
    pub header_from: String,
    pub subject: String,
    pub ret: Option<Ret>,
    pub envid: Option<String>,
    /// Octets of the stored message.
    pub size: u64,
    /// How many recipients the message has in all, whatever became of them.
    pub recipients: u32,
    pub created_at: Time,
    /// What each recipient's copy has of its own.
    pub wants: Wants,
}

impl Message {
    /// Whether it is a report of our own, which comes from this address and the null sender.
    pub fn is_report(&self, reporter: &str) -> bool {
        self.reverse_path.is_none() && self.header_from == reporter
    }
}

/// One recipient that still waits.
#[derive(Clone, Debug)]
pub struct JobRecipient {
    pub ordinal: u32,
    pub address: Address,
    pub notify: Notify,
    pub orcpt: Option<String>,
    /// Attempts made so far.
    pub attempts: u32,
    pub expires_at: Time,
    /// Its sender was told that it takes long.
    pub warned: bool,
    /// Keeps it in hand of this process.
    pub grip: Grip,
}

impl JobRecipient {
    pub fn domain(&self) -> &Domain {
        self.address.domain()
    }
}

/// When a lease was last seen to be ours: by the clock, which runs on while a machine is suspended, and by the machine's running time,
/// which no correction of the clock changes.
#[derive(Clone, Copy, Debug)]
pub struct Leased {
    at: Time,
    since: Instant,
}

impl Leased {
    /// Seen now, which the clock says is `at`.
    pub fn now(at: Time) -> Self {
        Self {
            at,
            since: Instant::now(),
        }
    }

    /// Whether less than `span` has passed since by either, and the clock was not set back.
    pub fn is_within(&self, span: Duration, now: Time) -> bool {
        self.at <= now && now.since(self.at) < span && self.since.elapsed() < span
    }
}

/// Recipients of one message that go the same way, held in memory under a lease.
#[derive(Clone, Debug)]
pub struct Job {
    pub message: Arc<Message>,
    /// The stored message when it is still in memory, otherwise it is read when its turn comes.
    pub body: Option<Bytes>,
    /// How its copies are made, where its links were stored with it.
    pub pattern: Option<Arc<Pattern>>,
    pub recipients: Vec<JobRecipient>,
    /// When the lease on these rows was last seen to be ours.
    pub leased: Leased,
    /// The share of the memory for waiting mail that this job's message takes; given back with its last job.
    pub held: Arc<Held>,
}

impl Job {
    /// The part of this job that `recipients` are, with everything shared.
    #[must_use]
    pub fn part(&self, recipients: Vec<JobRecipient>) -> Self {
        Self {
            recipients,
            ..self.clone()
        }
    }

    /// Octets of the body that wait in memory with this job.
    pub fn bytes(&self) -> u64 {
        self.body.as_ref().map_or(0, |body| body.len() as u64)
    }
}
