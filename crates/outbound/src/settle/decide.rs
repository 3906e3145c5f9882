//! What an outcome means for its recipient: the one transition function, pure.

use std::time::Duration;

use mail::notify::Notify;
use mail::time::Time;

use crate::model::{Next, Outcome, Report, State, Verdict};

/// Longest reason that is stored, in characters.
const REASON_LIMIT: usize = 400;

/// How long to wait between attempts, and for how long in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Gaps before the second, third, … attempt; the last one repeats.
    pub retry: Vec<Duration>,
    /// Age at which a recipient is given up.
    pub give_up: Duration,
    /// Age from which who asked for that is told that his message still waits; zero: never.
    pub warn_after: Duration,
}

impl Default for Policy {
    // RFC 5321 section 4.5.4.1: give up after four to five days at the earliest.
    fn default() -> Self {
        let minutes = [1, 5, 15, 30, 60, 120, 240, 360].map(Duration::from_mins);
        Self {
            retry: minutes.to_vec(),
            give_up: Duration::from_hours(5 * 24),
            warn_after: Duration::from_hours(4),
        }
    }
}

impl Policy {
    /// The gap after attempt number `attempt`, counted from 1, moved by up to a fifth either way.
    pub fn gap(&self, attempt: u32, jitter: Jitter) -> Duration {
        let step = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
        let gap = self.retry.get(step).or(self.retry.last());
        jitter.around(gap.copied().unwrap_or(Duration::from_mins(1)))
    }
}

/// A value in 0..=1 that keeps recipients which failed together from coming back together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jitter(f64);

impl Jitter {
    pub const NONE: Self = Self(0.5);

    /// Spread over what is being retried, so that it needs no randomness and a test can repeat it.
    pub fn of(message: &[u8], ordinal: u32, attempt: u32) -> Self {
        // FNV-1a, finished with a multiply-shift so that neighbours part.
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let tail = [ordinal.to_be_bytes(), attempt.to_be_bytes()].concat();
        for byte in message.iter().chain(&tail) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        Self((hash >> 11) as f64 / (1_u64 << 53) as f64)
    }

    pub fn around(self, gap: Duration) -> Duration {
        gap.mul_f64(0.8 + 0.4 * self.0.clamp(0.0, 1.0))
    }
}

/// Where a recipient stands before an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub state: State,
    /// Attempts made before this one.
    pub attempts: u32,
    pub created_at: Time,
    pub expires_at: Time,
    pub notify: Notify,
    /// The sender was told already that it takes long.
    pub warned: bool,
}

impl Standing {
    /// Whether the sender is now told that it takes long: when he asked for that, and once.
    // RFC 3461 section 4.1: NOTIFY=DELAY, after a time that we choose.
    fn warns(&self, policy: &Policy, now: Time) -> bool {
        self.notify.wants_delay()
            && !self.warned
            && !policy.warn_after.is_zero()
            && now >= self.created_at.plus(policy.warn_after)
    }
}

/// The only place where an outcome becomes a state. `None`: the recipient is not waiting, so an outcome changes nothing.
pub fn next(
    standing: &Standing,
    outcome: &Outcome,
    policy: &Policy,
    jitter: Jitter,
    now: Time,
) -> Option<Next> {
    if !standing.state.is_waiting() {
        return None;
    }
    let failed = standing.notify.wants_failure().then_some(Report::Failed);
    Some(match outcome.verdict {
        Verdict::Delivered => Next {
            state: State::Delivered,
            reason: reason(&outcome.summary()),
            next_at: None,
            // RFC 3461 section 5.2.2: we report only what the next hop will not.
            report: (standing.notify.wants_success() && !outcome.notify_passed_on).then_some(Report::Relayed),
        },
        Verdict::Bounced => Next {
            state: State::Bounced,
            reason: reason(&outcome.summary()),
            next_at: None,
            report: failed,
        },
        Verdict::Deferred if now >= standing.expires_at => Next {
            state: State::Expired,
            reason: reason(&format!("given up after {}", outcome.summary())),
            next_at: None,
            report: failed,
        },
        Verdict::Deferred => {
            let gap = policy.gap(standing.attempts.saturating_add(1), jitter);
            Next {
                state: State::Deferred,
                reason: reason(&format!("next try after {}", outcome.summary())),
                next_at: Some(now.plus(gap).min(standing.expires_at)),
                report: standing.warns(policy, now).then_some(Report::Delayed),
            }
        }
    })
}

/// A recipient that waits without an attempt of its own, behind a destination that is down or a paused lane, when its sender is
/// now told; none when there is nothing to tell.
pub fn delayed(standing: &Standing, why: &str, until: Time, policy: &Policy, now: Time) -> Option<Next> {
    (standing.state.is_waiting() && standing.warns(policy, now)).then(|| Next {
        state: standing.state,
        reason: reason(why),
        next_at: Some(until.min(standing.expires_at)),
        report: Some(Report::Delayed),
    })
}

/// The fate of a recipient whose time ran out while it waited; `why` is the last reply, or what it waited for.
pub fn expire(notify: Notify, why: &str) -> Next {
    Next {
        state: State::Expired,
        reason: reason(&format!("given up after {why}")),
        next_at: None,
        report: notify.wants_failure().then_some(Report::Failed),
    }
}

/// What a report means for a recipient that its server had taken before. `None`: it was not delivered, so nothing is late.
pub fn late(state: State, notify: Notify, outcome: &Outcome) -> Option<Next> {
    if state != State::Delivered || outcome.verdict != Verdict::Bounced {
        return None;
    }
    let who = outcome.host.as_deref().unwrap_or("another server");
    Some(Next {
        state: State::Bounced,
        reason: reason(&format!("reported later by {who}: {}", outcome.summary())),
        next_at: None,
        report: notify.wants_failure().then_some(Report::Failed),
    })
}

/// The fate of a recipient whose address is on the suppression list, as `why` says: it is not tried, and its sender is told as
/// of any other that did not get the message.
pub fn suppress(notify: Notify, why: &str) -> Next {
    Next {
        state: State::Suppressed,
        reason: reason(why),
        next_at: None,
        report: notify.wants_failure().then_some(Report::Failed),
    }
}

/// The fate of a recipient of a message that a hook, as `why` says, wants sent to nobody: its sender is told nothing.
pub fn discard(why: &str) -> Next {
    Next {
        state: State::Cancelled,
        reason: reason(why),
        next_at: None,
        report: None,
    }
}

/// One line of bounded length.
pub fn reason(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(REASON_LIMIT)
        .collect()
}

#[cfg(test)]
mod tests {
    use mail::reply::Enhanced;
    use proptest::prelude::*;

    use super::*;

    const NOW: Time = Time::from_secs(1_800_000_000);

    fn outcome(verdict: Verdict) -> Outcome {
        let (code, enhanced) = match verdict {
            Verdict::Delivered => (250, Enhanced::new(2, 0, 0)),
            Verdict::Deferred => (451, Enhanced::new(4, 7, 1)),
            Verdict::Bounced => (550, Enhanced::new(5, 1, 1)),
        };
        Outcome {
            code: Some(code),
            ..Outcome::without_reply(verdict, enhanced, "text", NOW)
        }
    }

    fn standing(state: State) -> Standing {
        Standing {
            state,
            attempts: 0,
            created_at: NOW,
            expires_at: NOW.plus(Duration::from_hours(1)),
            notify: Notify::default(),
            warned: false,
        }
    }

    fn step(standing: &Standing, verdict: Verdict) -> Option<Next> {
        next(standing, &outcome(verdict), &Policy::default(), Jitter::NONE, NOW)
    }

    #[test]
    fn every_state_and_outcome_has_its_next_state() {
        use State::*;
        use Verdict as V;
        for state in State::ALL {
            for verdict in [V::Delivered, V::Deferred, V::Bounced] {
                let expected = match (state, verdict) {
                    (Queued | State::Deferred, V::Delivered) => Some(Delivered),
                    (Queued | State::Deferred, V::Deferred) => Some(State::Deferred),
                    (Queued | State::Deferred, V::Bounced) => Some(Bounced),
                    (Scheduled | Delivered | Bounced | Suppressed | Held | Cancelled | Expired, _) => None,
                };
                let next = step(&standing(state), verdict);
                assert_eq!(next.as_ref().map(|n| n.state), expected, "{state:?} {verdict:?}");
                if let Some(next) = next {
                    assert_eq!(next.state.is_waiting(), next.next_at.is_some());
                    assert!(!next.reason.is_empty());
                }
            }
        }
    }

    #[test]
    fn only_what_was_delivered_bounces_late_and_only_by_a_failure() {
        for state in State::ALL {
            for verdict in [Verdict::Delivered, Verdict::Deferred, Verdict::Bounced] {
                let next = late(state, Notify::default(), &outcome(verdict));
                let expected =
                    (state == State::Delivered && verdict == Verdict::Bounced).then_some(State::Bounced);
                assert_eq!(next.map(|next| next.state), expected, "{state:?} {verdict:?}");
            }
        }
        let never = late(State::Delivered, Notify::Never, &outcome(Verdict::Bounced)).unwrap();
        assert_eq!(never.report, None);
        assert_eq!(never.reason, "reported later by another server: 550 5.1.1 text");
    }

    #[test]
    fn a_deferred_recipient_past_its_expiry_is_given_up_and_reported() {
        let late = Standing {
            expires_at: NOW,
            ..standing(State::Deferred)
        };
        let next = step(&late, Verdict::Deferred).unwrap();
        assert_eq!(next.state, State::Expired);
        assert_eq!(next.reason, "given up after 451 4.7.1 text");
        assert_eq!(next.report, Some(Report::Failed));
    }

    #[test]
    fn a_delivery_after_the_expiry_still_counts() {
        let late = Standing {
            expires_at: NOW,
            ..standing(State::Deferred)
        };
        assert_eq!(step(&late, Verdict::Delivered).unwrap().state, State::Delivered);
    }

    #[test]
    fn the_reason_for_waiting_names_the_reply() {
        let next = step(&standing(State::Queued), Verdict::Deferred).unwrap();
        assert_eq!(next.reason, "next try after 451 4.7.1 text");
    }

    #[test]
    fn reports_follow_notify() {
        let asked = |notify| Standing {
            notify,
            ..standing(State::Queued)
        };
        let success = Notify::parse("SUCCESS");
        let report = |notify, verdict| step(&asked(notify), verdict).unwrap().report;
        assert_eq!(report(Notify::default(), Verdict::Bounced), Some(Report::Failed));
        assert_eq!(report(Notify::default(), Verdict::Delivered), None);
        assert_eq!(report(Notify::default(), Verdict::Deferred), None);
        assert_eq!(report(Notify::Never, Verdict::Bounced), None);
        assert_eq!(report(success, Verdict::Bounced), None);
        assert_eq!(report(success, Verdict::Delivered), Some(Report::Relayed));
        let passed_on = Outcome {
            notify_passed_on: true,
            transcript: None,
            ..outcome(Verdict::Delivered)
        };
        let next = next(&asked(success), &passed_on, &Policy::default(), Jitter::NONE, NOW);
        assert_eq!(next.unwrap().report, None);
    }

    #[test]
    fn a_delay_is_reported_once_to_who_asked_and_only_when_it_is_long() {
        let hours = |hours| Duration::from_hours(hours);
        for (notify, age, warned, warn_after, verdict, expected) in [
            (
                "DELAY",
                hours(4),
                false,
                hours(4),
                Verdict::Deferred,
                Some(Report::Delayed),
            ),
            (
                "FAILURE,DELAY",
                hours(90),
                false,
                hours(4),
                Verdict::Deferred,
                Some(Report::Delayed),
            ),
            ("DELAY", hours(3), false, hours(4), Verdict::Deferred, None),
            ("DELAY", hours(4), true, hours(4), Verdict::Deferred, None),
            ("DELAY", hours(90), false, Duration::ZERO, Verdict::Deferred, None),
            ("DELAY", hours(4), false, hours(4), Verdict::Delivered, None),
            ("DELAY", hours(4), false, hours(4), Verdict::Bounced, None),
            ("", hours(90), false, hours(4), Verdict::Deferred, None),
            ("NEVER", hours(90), false, hours(4), Verdict::Deferred, None),
            (
                "SUCCESS,FAILURE",
                hours(90),
                false,
                hours(4),
                Verdict::Deferred,
                None,
            ),
        ] {
            let standing = Standing {
                created_at: NOW.minus(age),
                notify: Notify::parse(notify),
                warned,
                ..standing(State::Deferred)
            };
            let policy = Policy {
                warn_after,
                ..Policy::default()
            };
            let next = next(&standing, &outcome(verdict), &policy, Jitter::NONE, NOW).unwrap();
            assert_eq!(
                next.report, expected,
                "{notify} {age:?} {warned} {warn_after:?} {verdict:?}"
            );
        }
    }

    #[test]
    fn gaps_grow_and_the_last_one_repeats() {
        let policy = Policy::default();
        let gaps: Vec<_> = (1..12).map(|n| policy.gap(n, Jitter::NONE)).collect();
        assert!(gaps.is_sorted());
        assert_eq!(gaps[0], Duration::from_mins(1));
        assert_eq!(gaps[7], gaps[10]);
    }

    proptest! {
        #[test]
        fn a_waiting_recipient_is_never_due_after_its_expiry(
            attempts in 0..2000_u32, left in 0..10_000_000_i64, ordinal in 0..1000_u32, id in any::<[u8; 16]>()
        ) {
            let standing = Standing {
                attempts,
                expires_at: NOW.plus(Duration::from_micros(left as u64 * 1000)),
                ..standing(State::Deferred)
            };
            let jitter = Jitter::of(&id, ordinal, attempts);
            let next = next(&standing, &outcome(Verdict::Deferred), &Policy::default(), jitter, NOW).unwrap();
            if let Some(at) = next.next_at {
                prop_assert!(at <= standing.expires_at && at > NOW || standing.expires_at == at);
            } else {
                prop_assert_eq!(next.state, State::Expired);
            }
        }

        #[test]
        fn jitter_moves_a_gap_by_a_fifth_at_most(id in any::<[u8; 16]>(), ordinal in any::<u32>(), attempt in 1..20_u32) {
            let policy = Policy::default();
            let plain = policy.gap(attempt, Jitter::NONE).as_secs_f64();
            let moved = policy.gap(attempt, Jitter::of(&id, ordinal, attempt)).as_secs_f64();
            prop_assert!((moved / plain - 1.0).abs() <= 0.2001);
        }
    }
}
