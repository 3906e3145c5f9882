//! How much waits.

use std::collections::HashMap;

use mail::address::Domain;
use mail::time::Time;

/// What waited at the last measurement, in the database and in hand of any node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Recipients that wait for their first attempt and nobody has in hand.
    pub queued: u64,
    /// Recipients that wait for another attempt.
    pub deferred: u64,
    /// Recipients some node has in hand.
    pub in_hand: u64,
    /// When the oldest of them came in.
    pub oldest_at: Option<Time>,
    /// Recipients in the database by domain.
    pub domains: HashMap<Domain, DomainDepth>,
}

/// What waits for one domain in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DomainDepth {
    pub waiting: u64,
    pub oldest_at: Time,
}
