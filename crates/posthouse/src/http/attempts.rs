//! Failed sign-ins are counted by network; too many of them and the next ones are not even looked at.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use mail::time::Time;
use parking_lot::Mutex;

use super::error::ApiError;

/// Failures that one network may collect within [`WINDOW`].
const LIMIT: u32 = 10;
const WINDOW: Duration = Duration::from_mins(5);
/// Networks remembered; when there are more, those whose window is over are forgotten.
const REMEMBERED: usize = 10_000;

/// The failures of the last minutes. A success does not wipe them: whoever guesses may well own one account.
#[derive(Clone, Default)]
pub struct Attempts(Arc<Mutex<HashMap<IpAddr, Failures>>>);

struct Failures {
    since: Time,
    count: u32,
}

impl Failures {
    fn is_over(&self, now: Time) -> bool {
        now.since(self.since) >= WINDOW
    }
}

impl Attempts {
    /// Refuses a network that failed too often, with the seconds it has to wait.
    pub fn check(&self, network: IpAddr, now: Time) -> Result<(), ApiError> {
        let all = self.0.lock();
        match all.get(&network) {
            Some(failures) if failures.count >= LIMIT && !failures.is_over(now) => {
                let left = WINDOW.saturating_sub(now.since(failures.since));
                Err(ApiError::TooManyAttempts(left.as_secs().max(1)))
            }
            _ => Ok(()),
        }
    }

    pub fn failed(&self, network: IpAddr, now: Time) {
        let mut all = self.0.lock();
        if all.len() >= REMEMBERED {
            all.retain(|_, failures| !failures.is_over(now));
        }
        let failures = all.entry(network).or_insert(Failures { since: now, count: 0 });
        if failures.is_over(now) {
            *failures = Failures { since: now, count: 0 };
        }
        failures.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eleventh_attempt_has_to_wait_until_the_window_is_over() {
        let attempts = Attempts::default();
        let network = "192.0.2.1".parse().unwrap();
        let start = Time::from_secs(1_000);
        for _ in 0..LIMIT {
            attempts.check(network, start).unwrap();
            attempts.failed(network, start);
        }
        let later = start.plus(Duration::from_mins(1));
        assert!(matches!(
            attempts.check(network, later),
            Err(ApiError::TooManyAttempts(240))
        ));
        attempts.check("192.0.2.2".parse().unwrap(), later).unwrap();
        attempts.check(network, start.plus(WINDOW)).unwrap();
    }
}
