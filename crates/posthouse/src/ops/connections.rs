//! Connections of clients, counted by the kind of listener that took them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the listeners of one kind count.
#[derive(Debug, Default)]
pub struct Connections {
    opened: AtomicU64,
    closed: AtomicU64,
    turned_away: AtomicU64,
}

/// The numbers at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Open now.
    pub open: u64,
    pub opened: u64,
    /// Hung up on because there were too many.
    pub turned_away: u64,
}

/// One connection; over when it is dropped.
#[derive(Debug)]
pub struct Open(Arc<Connections>);

impl Connections {
    pub fn open(self: &Arc<Self>) -> Open {
        self.opened.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(self))
    }

    pub fn turn_away(&self) {
        self.turned_away.fetch_add(1, Ordering::Relaxed);
    }

    pub fn counted(&self) -> Counted {
        // In this order, so that a connection that ends meanwhile is not counted below zero.
        let closed = self.closed.load(Ordering::Acquire);
        let opened = self.opened.load(Ordering::Relaxed);
        Counted {
            open: opened - closed,
            opened,
            turned_away: self.turned_away.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.closed.fetch_add(1, Ordering::Release);
    }
}
