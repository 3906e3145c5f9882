//! What the next hop took and the database does not say yet: at a crash it is sent again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use store::{Histogram, Latencies};
use tokio::time::Instant;

/// The window between a remote 250 and the commit that records it.
#[derive(Debug, Default)]
pub struct Unrecorded {
    recipients: AtomicU64,
    took: Latencies,
}

/// The window at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Recipients in it now.
    pub recipients: u64,
    /// How long messages were in it, one by one and connection by connection.
    pub took: Histogram,
}

/// Recipients of one message in the window, until this is dropped.
#[derive(Debug)]
pub struct Taken {
    unrecorded: Arc<Unrecorded>,
    recipients: u64,
    since: Instant,
}

impl Unrecorded {
    /// The next hop has just taken so many.
    pub fn taken(self: &Arc<Self>, recipients: u64) -> Taken {
        self.recipients.fetch_add(recipients, Ordering::Relaxed);
        Taken {
            unrecorded: self.clone(),
            recipients,
            since: Instant::now(),
        }
    }

    pub fn snapshot(&self) -> Window {
        Window {
            recipients: self.recipients.load(Ordering::Relaxed),
            took: self.took.snapshot(),
        }
    }
}

impl Taken {
    pub fn recorded(self) {
        if self.recipients > 0 {
            self.unrecorded.took.add(self.since.elapsed());
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.unrecorded
            .recipients
            .fetch_sub(self.recipients, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_in_the_window_until_it_is_recorded_or_given_up() {
        let unrecorded = Arc::new(Unrecorded::default());
        let (one, two) = (unrecorded.taken(2), unrecorded.taken(3));
        assert_eq!(unrecorded.snapshot().recipients, 5);
        one.recorded();
        drop(two);
        unrecorded.taken(0).recorded();
        let window = unrecorded.snapshot();
        assert_eq!((window.recipients, window.took.counts.iter().sum()), (0, 1_u64));
    }
}
