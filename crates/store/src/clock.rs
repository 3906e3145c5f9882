//! The only place that reads the clock; everything else takes `now` or a [`Clock`].

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mail::time::Time;

/// Tells the time: the system's, or one that a test moves by hand.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<AtomicI64>),
}

/// Moves the hand of a [`Clock::manual`].
#[derive(Clone, Debug)]
pub struct Hand(Arc<AtomicI64>);

impl Clock {
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `start` until its hand is moved.
    pub fn manual(start: Time) -> (Self, Hand) {
        let micros = Arc::new(AtomicI64::new(start.as_micros()));
        (Self(Source::Manual(micros.clone())), Hand(micros))
    }

    pub fn now(&self) -> Time {
        match &self.0 {
            Source::System => system_now(),
            Source::Manual(micros) => Time::from_micros(micros.load(Ordering::SeqCst)),
        }
    }
}

impl Hand {
    pub fn set(&self, now: Time) {
        self.0.store(now.as_micros(), Ordering::SeqCst);
    }

    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
fn system_now() -> Time {
    // A clock before 1970 is a machine without a clock; 1970 is as good an answer as any.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_by_its_hand() {
        let (clock, hand) = Clock::manual(Time::from_secs(100));
        let copy = clock.clone();
        assert_eq!(clock.now(), Time::from_secs(100));
        hand.advance(Duration::from_secs(5));
        assert_eq!(copy.now(), Time::from_secs(105));
        hand.set(Time::from_secs(1));
        assert_eq!(clock.now(), Time::from_secs(1));
    }

    #[test]
    fn the_system_clock_is_past_2025() {
        assert!(Clock::system().now() > Time::from_secs(1_735_689_600));
    }
}
