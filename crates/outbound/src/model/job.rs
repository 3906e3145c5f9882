//! One message on its way to one destination.

use std::fmt;
use std::sync::Arc;

use mail::address::{Address, Domain};
use mail::notify::Notify;
use mail::time::Time;

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

/// One recipient that still waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRecipient {
    pub ordinal: u32,
    pub address: Address,
    pub notify: Notify,
    pub orcpt: Option<String>,
    /// Attempts made so far.
    pub attempts: u32,
    pub expires_at: Time,
}

impl JobRecipient {
    pub fn domain(&self) -> &Domain {
        self.address.domain()
    }
}
