//! What happened since the start, as plain atomics that metrics read.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Counted since the start of the process; they never look at a table.
        #[derive(Debug, Default)]
        pub struct Counters { $($(#[$doc])* pub $name: Counter),* }

        /// The counters at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counts { $($(#[$doc])* pub $name: u64),* }

        impl Counters {
            pub fn snapshot(&self) -> Counts {
                Counts { $($name: self.$name.get()),* }
            }
        }
    };
}

counters! {
    /// Messages that got their 250.
    accepted,
    /// Recipients of these.
    accepted_recipients,
    /// Messages that were refused, for good or for now.
    refused,
    /// Recipients the next hop took.
    delivered,
    /// Attempts that ended with "later".
    deferred,
    bounced,
    /// Recipients that bounced after their server had taken the message.
    bounced_late,
    complained,
    /// Times that recipients left a stream or came back.
    changed_by_link,
    /// Reports that said nothing, or nothing new.
    reports_of_nothing,
    expired,
    cancelled,
    /// Delivery reports sent.
    reports,
    /// Connections that could not be made.
    connect_failures,
    /// Recipients that were sent to wait in the database because their lane could not take them.
    spilled,
    /// Outcomes that were not recorded, because the recipient was no longer this node's.
    leases_lost,
    /// Recipients that stood in the database as in hand of this node though nothing here held them.
    recovered,
    /// Settlements that had to be tried again because the database did not take them.
    settle_retries,
}

/// One number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
