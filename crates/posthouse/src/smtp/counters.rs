//! What the listeners count of what is said to them, as plain numbers that only grow.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Default)]
pub struct Counters {
    pub(super) tls_handshakes: AtomicU64,
    pub(super) tls_failures: AtomicU64,
    pub(super) commands: AtomicU64,
    pub(super) refusals: AtomicU64,
    pub(super) sign_ins: AtomicU64,
    pub(super) sign_in_failures: AtomicU64,
    pub(super) messages: AtomicU64,
    pub(super) messages_refused: AtomicU64,
    pub(super) octets: AtomicU64,
    pub(super) timeouts: AtomicU64,
}

/// The numbers at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    pub tls_handshakes: u64,
    pub tls_failures: u64,
    pub commands: u64,
    /// Replies of 400 and more.
    pub refusals: u64,
    pub sign_ins: u64,
    pub sign_in_failures: u64,
    pub messages_accepted: u64,
    pub messages_refused: u64,
    /// Octets read from clients, after decryption.
    pub octets_received: u64,
    pub timeouts: u64,
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64, number: u64) {
        counter.fetch_add(number, Ordering::Relaxed);
    }

    pub fn snapshot(&self) -> Snapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Snapshot {
            tls_handshakes: read(&self.tls_handshakes),
            tls_failures: read(&self.tls_failures),
            commands: read(&self.commands),
            refusals: read(&self.refusals),
            sign_ins: read(&self.sign_ins),
            sign_in_failures: read(&self.sign_in_failures),
            messages_accepted: read(&self.messages),
            messages_refused: read(&self.messages_refused),
            octets_received: read(&self.octets),
            timeouts: read(&self.timeouts),
        }
    }
}
