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
    /// The system's, moved by the seconds in this file.
    #[cfg(debug_assertions)]
    Moved(Arc<std::path::Path>),
}

/// Names a file with a number of seconds that a test moves the clock of a running server by. Debug builds only.
#[cfg(debug_assertions)]
const OFFSET_FILE: &str = "POSTHOUSE_TEST_CLOCK";

/// Moves the hand of a [`Clock::manual`].
#[derive(Clone, Debug)]
pub struct Hand(Arc<AtomicI64>);

impl Clock {
    pub fn system() -> Self {
        #[cfg(debug_assertions)]
        if let Some(file) = std::env::var_os(OFFSET_FILE) {
            return Self(Source::Moved(std::path::Path::new(&file).into()));
        }
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
            #[cfg(debug_assertions)]
            Source::Moved(file) => Time::from_micros(system_now().as_micros() + offset(file)),
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

/// In microseconds, forwards or back. A file that is not there moves nothing.
#[cfg(debug_assertions)]
fn offset(file: &std::path::Path) -> i64 {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.trim().parse().unwrap_or(0) * 1_000_000
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

    #[cfg(debug_assertions)]
    #[test]
    fn a_file_moves_the_clock_of_a_debug_build() {
        let file = std::env::temp_dir().join(format!("posthouse-clock-{}", std::process::id()));
        let clock = Clock(Source::Moved(file.as_path().into()));
        let before = clock.now();
        std::fs::write(&file, "3600\n").unwrap();
        let after = clock.now();
        std::fs::write(&file, "-3600\n").unwrap();
        assert!(before.since(clock.now()) > Duration::from_mins(59));
        std::fs::remove_file(file).unwrap();
        assert!(after.since(before) >= Duration::from_hours(1));
    }

    #[test]
    fn the_system_clock_is_past_2025() {
        assert!(Clock::system().now() > Time::from_secs(1_735_689_600));
    }
}
