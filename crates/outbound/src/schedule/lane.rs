//! One lane: what waits for one destination, and how that destination has been behaving.

use std::collections::{BTreeSet, HashMap};

use mail::address::Domain;
use mail::time::Time;

use super::fair::FairQueue;
use super::rate::Rate;

/// Domains shown as examples of those a lane serves.
const SAMPLE: usize = 8;

#[derive(Debug)]
pub struct Lane {
    pub queue: FairQueue,
    /// Rows of this lane that were sent to wait in the database, by domain, as far as this process knows.
    pub spilled: HashMap<Domain, u64>,
    /// Whether the poller is fetching spilled rows of this lane.
    pub pulling: bool,
    /// Connections of this lane, those still being made included.
    pub connections: usize,
    pub connecting: usize,
    /// Connections without a job, and those of them that were told to look again.
    pub idle: usize,
    pub woken: usize,
    /// How many connections this destination has shown to bear.
    pub limit: usize,
    /// Deliveries since `limit` was last changed.
    pub good_run: usize,
    /// Sessions in a row that the other side broke off.
    pub broken_run: u32,
    /// Recipients being delivered at this moment.
    pub in_flight: u64,
    pub trouble: Option<Trouble>,
    pub paused: bool,
    pub last_reply: Option<(String, Time)>,
    pub rate: Rate,
    pub domains: BTreeSet<Domain>,
    pub used_at: Time,
}

/// A destination that cannot be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub why: String,
    pub failures: u32,
    /// Nobody tries before.
    pub until: Time,
}

impl Lane {
    pub fn new(limit: usize, now: Time) -> Self {
        Self {
            queue: FairQueue::default(),
            spilled: HashMap::new(),
            pulling: false,
            connections: 0,
            connecting: 0,
            idle: 0,
            woken: 0,
            limit,
            good_run: 0,
            broken_run: 0,
            in_flight: 0,
            trouble: None,
            paused: false,
            last_reply: None,
            rate: Rate::default(),
            domains: BTreeSet::new(),
            used_at: now,
        }
    }

    pub fn note_domain(&mut self, domain: &Domain) {
        if self.domains.len() < SAMPLE && !self.domains.contains(domain) {
            self.domains.insert(domain.clone());
        }
    }

    /// How many connections may be open: one alone finds out whether a destination in trouble is back.
    pub fn connection_limit(&self) -> usize {
        if self.trouble.is_some() { 1 } else { self.limit }
    }

    pub fn established(&self) -> usize {
        self.connections - self.connecting
    }

    /// A connection stops waiting for a job, whether it was called or lost patience: all of them are alike.
    pub fn unpark(&mut self) {
        if self.woken > 0 {
            self.woken -= 1;
        } else {
            self.idle = self.idle.saturating_sub(1);
        }
    }

    pub fn is_unused(&self) -> bool {
        self.queue.is_empty()
            && self.connections == 0
            && self.in_flight == 0
            && self.trouble.is_none()
            && !self.paused
    }
}
