//! When a client has been waited for long enough.

use std::time::Duration;

use tokio::time::Instant;

/// What a message may take before its rate is looked at.
const GRACE: Duration = Duration::from_mins(1);
/// The least octets a second that a message has to arrive with, over its whole length.
const LEAST_RATE: u64 = 512;

/// The deadlines of one connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For each command, and for each pause inside a message.
    pub pause: Duration,
    /// For the whole text of a message.
    pub text: Duration,
}

/// The text of a message on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transfer {
    started: Instant,
    octets: u64,
}

impl Transfer {
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
            octets: 0,
        }
    }

    pub fn arrived(&mut self, octets: usize) {
        self.octets += octets as u64;
    }
}

impl Patience {
    /// Until when the next bytes have to come.
    // RFC 5321 section 4.5.3.2
    pub fn until(&self, now: Instant, transfer: Option<Transfer>) -> Instant {
        let pause = now + self.pause;
        transfer.map_or(pause, |transfer| {
            let rate = GRACE + Duration::from_secs(transfer.octets / LEAST_RATE);
            pause.min(transfer.started + self.text.min(rate))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        pause: Duration::from_mins(5),
        text: Duration::from_mins(30),
    };

    fn allowed(octets: u64, after: Duration) -> Duration {
        let started = Instant::now();
        let transfer = Transfer { started, octets };
        PATIENCE.until(started + after, Some(transfer)) - started
    }

    #[test]
    fn a_command_may_take_its_pause() {
        let now = Instant::now();
        assert_eq!(PATIENCE.until(now, None) - now, PATIENCE.pause);
    }

    #[test]
    fn a_message_has_to_keep_moving() {
        assert_eq!(allowed(0, Duration::ZERO), GRACE);
        assert_eq!(allowed(512 * 30, Duration::ZERO), GRACE + Duration::from_secs(30));
        assert_eq!(allowed(10_000_000, Duration::ZERO), PATIENCE.pause);
        assert_eq!(allowed(10_000_000, Duration::from_mins(29)), PATIENCE.text);
    }
}
