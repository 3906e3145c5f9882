//! Wrong setup tokens are counted by network; too many of them and the next ones are not even looked at.

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
        // A clock that was set back keeps nobody out until it has caught up.
        self.since > now || now.since(self.since) >= WINDOW
    }
}

/// An attempt that counts as a failure until it is given back.
///
/// It is counted before the password is looked at: many attempts at once are as many as one after the other.
#[must_use]
pub struct Attempt {
    attempts: Attempts,
    network: IpAddr,
    since: Time,
}

impl Attempts {
    /// Counts an attempt, or refuses a network that failed too often, with the seconds it has to wait.
    pub fn reserve(&self, network: IpAddr, now: Time) -> Result<Attempt, ApiError> {
        let mut all = self.0.lock();
        if all.len() >= REMEMBERED {
            all.retain(|_, failures| !failures.is_over(now));
        }
        let failures = all.entry(network).or_insert(Failures { since: now, count: 0 });
        if failures.is_over(now) {
            *failures = Failures { since: now, count: 0 };
        }
        if failures.count >= LIMIT {
            let left = WINDOW.saturating_sub(now.since(failures.since));
            return Err(ApiError::TooManyAttempts(left.as_secs().max(1)));
        }
        failures.count += 1;
        Ok(Attempt {
            attempts: self.clone(),
            network,
            since: failures.since,
        })
    }
}

impl Attempt {
    /// It was no wrong guess.
    pub fn give_back(self) {
        let mut all = self.attempts.0.lock();
        let Some(failures) = all.get_mut(&self.network) else {
            return;
        };
        // The window it was counted in may be over.
        if failures.since == self.since {
            failures.count -= 1;
            if failures.count == 0 {
                all.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time::from_secs(1_000);

    fn network(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn the_eleventh_attempt_has_to_wait_until_the_window_is_over() {
        let attempts = Attempts::default();
        for _ in 0..LIMIT {
            let _ = attempts.reserve(network(1), START).unwrap();
        }
        let later = START.plus(Duration::from_mins(1));
        assert!(matches!(
            attempts.reserve(network(1), later),
            Err(ApiError::TooManyAttempts(240))
        ));
        let _ = attempts.reserve(network(2), later).unwrap();
        let _ = attempts.reserve(network(1), START.plus(WINDOW)).unwrap();
    }

    #[test]
    fn attempts_in_hand_count_and_those_that_succeed_are_given_back() {
        let attempts = Attempts::default();
        let mut in_hand: Vec<_> = (0..LIMIT)
            .map(|_| attempts.reserve(network(1), START).unwrap())
            .collect();
        assert!(attempts.reserve(network(1), START).is_err());
        in_hand.pop().unwrap().give_back();
        let _ = attempts.reserve(network(1), START).unwrap();
        assert!(attempts.reserve(network(1), START).is_err());
    }

    #[test]
    fn an_attempt_of_a_window_that_is_over_gives_nothing_back() {
        let attempts = Attempts::default();
        let old = attempts.reserve(network(1), START).unwrap();
        let later = START.plus(WINDOW);
        let _ = attempts.reserve(network(1), later).unwrap();
        old.give_back();
        assert_eq!(attempts.0.lock()[&network(1)].count, 1);
    }
}
