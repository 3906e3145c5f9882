//! The memory that arriving messages may take, over all connections of SMTP and HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Clone, Debug)]
pub struct Budget {
    limit: usize,
    used: Arc<AtomicUsize>,
}

/// What one arriving message holds of the budget; given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    budget: Budget,
    held: usize,
}

impl Budget {
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            used: Arc::default(),
        }
    }

    pub fn is_spent(&self) -> bool {
        self.used() >= self.limit
    }

    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether so much is free at the moment; it may be gone before it is taken.
    pub fn has_room(&self, octets: usize) -> bool {
        octets <= self.limit.saturating_sub(self.used())
    }

    /// A share that holds nothing yet.
    pub fn share(&self) -> Share {
        Share {
            budget: self.clone(),
            held: 0,
        }
    }
}

impl Share {
    /// Makes the share `octets` large; false, and as before, when that is more than there is.
    pub fn resize(&mut self, octets: usize) -> bool {
        let used = &self.budget.used;
        if octets > self.held {
            let more = octets - self.held;
            if used.fetch_add(more, Ordering::Relaxed) + more > self.budget.limit {
                used.fetch_sub(more, Ordering::Relaxed);
                return false;
            }
        } else if octets < self.held {
            used.fetch_sub(self.held - octets, Ordering::Relaxed);
        }
        self.held = octets;
        true
    }

    /// Makes the share at least `octets` large; false, and as before, when that is more than there is.
    pub fn cover(&mut self, octets: usize) -> bool {
        octets <= self.held || self.resize(octets)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.resize(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_never_pass_the_limit_and_come_back() {
        let budget = Budget::new(100);
        let (mut one, mut other) = (budget.share(), budget.share());
        assert!(one.resize(60));
        assert!(!other.resize(41));
        assert!(other.resize(40));
        assert!(budget.is_spent() && budget.has_room(0) && !budget.has_room(1));
        assert!(one.resize(10));
        assert!(one.cover(5) && budget.used() == 50);
        assert!(one.cover(60) && !one.cover(61));
        assert_eq!(budget.used(), 100);
        drop(one);
        drop(other);
        assert_eq!(budget.used(), 0);
    }
}
