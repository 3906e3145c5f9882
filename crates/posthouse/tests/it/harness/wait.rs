//! Waiting for something to become true, with a deadline and without a guess.

use std::thread;
use std::time::Duration;

use tokio::time::Instant;

/// How long a test waits for what must happen. Generous: it is only used up by a failing test.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Asks again until there is an answer; panics with `what` at the deadline.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain: {what}");
        thread::park_timeout(Duration::from_millis(10));
    }
}
