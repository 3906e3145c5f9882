//! What all connections together may take of something scarce: memory for messages that arrive or are read, listeners.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use store::Id;

#[derive(Clone, Debug)]
pub struct Budget {
    limit: usize,
    used: Arc<AtomicUsize>,
}

/// What somebody holds of the budget; given back when it is dropped.
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

/// A budget of which no account takes more than a part, so that none keeps the others out.
#[derive(Clone, Debug)]
pub struct Fair {
    all: Budget,
    of_one: usize,
    accounts: Arc<Mutex<HashMap<Id, Budget>>>,
}

/// What an account holds of a fair budget; given back when it is dropped.
#[derive(Debug)]
pub struct Claim {
    all: Share,
    own: Share,
}

impl Fair {
    pub fn new(limit: usize, of_one: usize) -> Self {
        Self {
            all: Budget::new(limit),
            of_one,
            accounts: Arc::default(),
        }
    }

    /// So much for `account`, or nothing when that is more than there is for it.
    pub fn claim(&self, account: Id, amount: usize) -> Option<Claim> {
        let mut accounts = self.accounts.lock();
        accounts.retain(|_, budget| budget.used() > 0);
        let own = accounts
            .entry(account)
            .or_insert_with(|| Budget::new(self.of_one))
            .share();
        let mut claim = Claim {
            all: self.all.share(),
            own,
        };
        (claim.own.resize(amount) && claim.all.resize(amount)).then_some(claim)
    }
}

impl Claim {
    /// Gives back what goes beyond `amount`.
    pub fn shrink(&mut self, amount: usize) {
        for share in [&mut self.all, &mut self.own] {
            share.resize(amount.min(share.held));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_account_leaves_room_for_another_and_gives_back_what_it_took() {
        let fair = Fair::new(100, 60);
        let [one, other] = [1, 2].map(|octet| Id::from_bytes([octet; 16]));
        let mut held = fair.claim(one, 60).unwrap();
        assert!(fair.claim(one, 1).is_none());
        assert!(fair.claim(other, 41).is_none());
        let _rest = fair.claim(other, 40).unwrap();
        held.shrink(10);
        assert!(fair.claim(one, 50).is_some());
        drop(held);
        assert!(fair.claim(one, 60).is_some());
        assert_eq!(fair.all.used(), 40);
    }

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
