//! When failed sign-ins lock somebody out and for how long: rules over a count and a clock, nothing else.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use mail::address::Address;
use mail::time::Time;

use crate::ranges::canonical;
use crate::token;

/// How many failures lock, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    failures: u32,
    /// The time in which they have to fall.
    pub(super) window: Duration,
    /// The first lock; each that follows is twice as long, up to the longest.
    first: Duration,
    longest: Duration,
    /// Failures are kept by steps of this length, each under its end, so that a record stays short: a failure may
    /// count for this much longer than the window, never shorter. Zero keeps each by itself.
    grain: Duration,
}

/// One login from one client address.
pub(crate) const PAIR: Rule = Rule {
    failures: 10,
    window: Duration::from_mins(10),
    first: Duration::from_mins(5),
    longest: Duration::from_hours(1),
    grain: Duration::ZERO,
};

/// All logins from one network.
pub(crate) const NETWORK: Rule = Rule {
    failures: 100,
    window: Duration::from_mins(10),
    first: Duration::from_mins(15),
    longest: Duration::from_mins(15),
    grain: Duration::from_secs(15),
};

/// Wrong codes for the second step of one login, from wherever: who gives them has the password already.
pub(crate) const CODES: Rule = Rule {
    failures: 5,
    window: Duration::from_hours(1),
    first: Duration::from_mins(5),
    longest: Duration::from_hours(1),
    grain: Duration::ZERO,
};

/// How long after a lock ended the next one still counts as its continuation.
const GOES_ON: Duration = Duration::from_hours(1);

/// What is remembered of one pair or one network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// When, and how many; oldest first. Not more entries than the rule has failures.
    failures: Vec<(Time, u32)>,
    locked_until: Option<Time>,
    /// Locks that followed each other.
    locks: u32,
}

impl Record {
    pub(crate) fn from_columns(failures: &str, locked_until: Option<Time>, locks: i64) -> Self {
        let entry = |text: &str| {
            let (at, count) = text.split_once('*').unwrap_or((text, "1"));
            Some((Time::from_micros(at.parse().ok()?), count.parse().ok()?))
        };
        Self {
            failures: failures.split_whitespace().filter_map(entry).collect(),
            locked_until,
            locks: u32::try_from(locks).unwrap_or(0),
        }
    }

    /// The failures as [`Record::from_columns`] reads them.
    pub(crate) fn failures_text(&self) -> String {
        let entries: Vec<String> = self
            .failures
            .iter()
            .map(|(at, count)| format!("{}*{count}", at.as_micros()))
            .collect();
        entries.join(" ")
    }

    pub(crate) const fn locked_until(&self) -> Option<Time> {
        self.locked_until
    }

    pub(crate) const fn locks(&self) -> u32 {
        self.locks
    }

    /// The end of the lock that is in force.
    pub(crate) fn lock(&self, now: Time) -> Option<Time> {
        self.locked_until.filter(|until| *until > now)
    }

    /// Counts a failure. While a lock is in force nothing counts: nobody looked at the password.
    pub(crate) fn fail(&mut self, rule: &Rule, now: Time) {
        if self.lock(now).is_some() {
            return;
        }
        if self.locked_until.is_some_and(|until| now.since(until) >= GOES_ON) {
            self.locked_until = None;
            self.locks = 0;
        }
        self.failures.retain(|(at, _)| now.since(*at) < rule.window);
        let step = i64::try_from(rule.grain.as_micros()).unwrap_or(i64::MAX);
        let at = match step {
            0 => now,
            step => Time::from_micros((now.as_micros().div_euclid(step) + 1).saturating_mul(step)),
        };
        match self.failures.last_mut() {
            Some((last, count)) if step > 0 && *last == at => *count += 1,
            _ => self.failures.push((at, 1)),
        }
        if self.failures.iter().map(|(_, count)| count).sum::<u32>() >= rule.failures {
            self.failures.clear();
            let longer = 1_u32.checked_shl(self.locks).unwrap_or(u32::MAX);
            self.locked_until = Some(now.plus(rule.first.saturating_mul(longer).min(rule.longest)));
            self.locks += 1;
        }
    }

    /// From when on the record says nothing any more and can be forgotten.
    pub(crate) fn spent_at(&self, rule: &Rule) -> Time {
        let counted = self.failures.last().map(|(at, _)| at.plus(rule.window));
        let locked = self.locked_until.map(|until| until.plus(GOES_ON));
        counted.max(locked).unwrap_or(Time::from_micros(0))
    }
}

/// The end of the lock that meets an attempt. A client address from which this very login signed in well lately is
/// not locked for what others in its network do, but for failures of its own.
pub(crate) fn judge(pair: Option<Time>, network: Option<Time>, known_good: bool) -> Option<Time> {
    pair.max(network.filter(|_| !known_good))
}

/// What an attempt counts against.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Subject {
    /// The canonical key of the address, or a fingerprint of what is none: it may be a password in the wrong field.
    pub(crate) login: String,
    /// The address, or the /64 of an IPv6 client, who owns all of it.
    pub(crate) client: IpNet,
    /// The /24 or the /48.
    pub(crate) network: IpNet,
}

impl Subject {
    pub(crate) fn new(login: &str, ip: IpAddr) -> Self {
        let ip = canonical(ip);
        let wide = |v4, v6| {
            let prefix = if ip.is_ipv4() { v4 } else { v6 };
            IpNet::new(ip, prefix)
                .expect("the prefix fits the family")
                .trunc()
        };
        Self {
            login: login_text(login),
            client: wide(32, 64),
            network: wide(24, 48),
        }
    }
}

pub(crate) fn login_text(login: &str) -> String {
    match Address::parse(login.trim()) {
        Ok(address) => address.login_key(),
        Err(_) => token::base62(&token::hash(login)[..12]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time::from_secs(1_000_000);

    fn at(seconds: u64) -> Time {
        START.plus(Duration::from_secs(seconds))
    }

    /// What happens at a second, and until which second the record is locked right after it.
    struct Row(&'static str, u64, u32, Option<u64>);

    fn walk(rule: &Rule, rows: &[Row]) {
        let mut record = Record::default();
        for Row(what, second, failures, locked) in rows {
            for _ in 0..*failures {
                record.fail(rule, at(*second));
            }
            assert_eq!(
                record.lock(at(*second)),
                locked.map(at),
                "{what} (second {second})"
            );
            // What is stored is what is read back.
            let text = record.failures_text();
            let read = Record::from_columns(&text, record.locked_until, record.locks.into());
            assert_eq!(read, record);
        }
    }

    #[test]
    fn the_rules_of_a_pair_one_after_the_other() {
        const MIN: u64 = 60;
        walk(
            &PAIR,
            &[
                Row("nine failures lock nobody", 0, 9, None),
                Row(
                    "the tenth within ten minutes locks for five",
                    599,
                    1,
                    Some(599 + 5 * MIN),
                ),
                Row("while it is locked nothing counts", 700, 50, Some(599 + 5 * MIN)),
                Row("it ends by itself", 599 + 5 * MIN, 0, None),
                Row("the count begins anew", 900, 9, None),
                Row("the second lock is twice as long", 901, 1, Some(901 + 10 * MIN)),
                Row("the third", 901 + 10 * MIN, 10, Some(901 + 30 * MIN)),
                Row("the fourth", 901 + 30 * MIN, 10, Some(901 + 70 * MIN)),
                Row(
                    "the fifth is the longest",
                    901 + 70 * MIN,
                    10,
                    Some(901 + 130 * MIN),
                ),
                Row("and so is the sixth", 901 + 130 * MIN, 10, Some(901 + 190 * MIN)),
                Row(
                    "just within the hour it still goes on",
                    901 + 249 * MIN,
                    10,
                    Some(901 + 309 * MIN),
                ),
                Row(
                    "an hour after its end it is forgotten",
                    901 + 369 * MIN,
                    10,
                    Some(901 + 374 * MIN),
                ),
            ],
        );
    }

    #[test]
    fn failures_older_than_the_window_do_not_count() {
        walk(
            &PAIR,
            &[
                Row("nine", 0, 9, None),
                Row("ten minutes later they are gone", 600, 9, None),
                Row("eighteen in twenty minutes lock nobody", 1_199, 0, None),
                Row("the tenth of the second window does", 1_199, 1, Some(1_499)),
            ],
        );
        // The window slides: it is not one that begins anew.
        walk(
            &PAIR,
            &[
                Row("one early", 0, 1, None),
                Row("eight late", 590, 8, None),
                Row("the early one is out", 600, 1, None),
                Row("ten within ten minutes, whatever minute it is", 601, 1, Some(901)),
            ],
        );
    }

    #[test]
    fn the_rules_of_codes_one_after_the_other() {
        const MIN: u64 = 60;
        walk(
            &CODES,
            &[
                Row("people mistype", 0, 4, None),
                Row("within the hour the fifth locks", 59 * MIN, 1, Some(64 * MIN)),
                Row("while it is locked nothing counts", 60 * MIN, 9, Some(64 * MIN)),
                Row("it ends by itself", 64 * MIN, 4, None),
                Row("the next lock is twice as long", 64 * MIN, 1, Some(74 * MIN)),
                Row("the third", 74 * MIN, 5, Some(94 * MIN)),
                Row("the fourth", 94 * MIN, 5, Some(134 * MIN)),
                Row("the fifth is the longest", 134 * MIN, 5, Some(194 * MIN)),
                Row("and so is the sixth", 194 * MIN, 5, Some(254 * MIN)),
                Row(
                    "just within the hour it still goes on",
                    313 * MIN,
                    5,
                    Some(373 * MIN),
                ),
                Row("an hour after its end it is forgotten", 433 * MIN, 4, None),
                Row("and begins at five minutes", 434 * MIN, 1, Some(439 * MIN)),
            ],
        );
    }

    #[test]
    fn the_rules_of_a_network_one_after_the_other() {
        walk(
            &NETWORK,
            &[
                Row("ninety-nine failures lock nobody", 0, 99, None),
                Row("the hundredth locks for fifteen minutes", 300, 1, Some(1_200)),
                Row("it ends by itself", 1_200, 99, None),
                Row("the next lock is as long", 1_201, 1, Some(2_101)),
            ],
        );
        let mut busy = Record::default();
        for second in 0..2_000 {
            busy.fail(
                &Rule {
                    failures: u32::MAX,
                    ..NETWORK
                },
                at(second),
            );
        }
        let kept: u32 = busy.failures.iter().map(|(_, count)| count).sum();
        assert!(
            busy.failures.len() <= 41 && kept <= 615,
            "{kept} in {} entries",
            busy.failures.len()
        );
    }

    #[test]
    fn a_known_good_client_answers_for_its_own_failures_only() {
        let (pair, network) = (Some(at(5)), Some(at(9)));
        for (known, pair, network, locked) in [
            (false, None, None, None),
            (false, pair, None, pair),
            (false, None, network, network),
            (false, pair, network, network),
            (true, None, network, None),
            (true, pair, network, pair),
        ] {
            assert_eq!(
                judge(pair, network, known),
                locked,
                "{known} {pair:?} {network:?}"
            );
        }
    }

    #[test]
    fn a_record_is_kept_as_long_as_it_says_something() {
        let mut record = Record::default();
        assert!(record.spent_at(&PAIR) < START);
        record.fail(&PAIR, START);
        assert_eq!(record.spent_at(&PAIR), at(600));
        (0..9).for_each(|_| record.fail(&PAIR, START));
        assert_eq!(record.spent_at(&PAIR), at(300 + 3_600));
        // Forgotten then, it would judge the next failure alike.
        let (mut kept, mut fresh) = (record.clone(), Record::default());
        kept.fail(&PAIR, record.spent_at(&PAIR));
        fresh.fail(&PAIR, record.spent_at(&PAIR));
        assert_eq!(kept, fresh);
    }

    #[test]
    fn a_subject_is_the_login_however_it_is_written_and_the_network_it_comes_from() {
        let subject = |login: &str, ip: &str| Subject::new(login, ip.parse().unwrap());
        assert_eq!(
            subject(" Alice@Bücher.example", "::ffff:192.0.2.7"),
            subject("alice@XN--BCHER-KVA.example", "192.0.2.7")
        );
        let v4 = subject("a@b.example", "192.0.2.7");
        assert_eq!(
            (v4.client.to_string(), v4.network.to_string()),
            ("192.0.2.7/32".into(), "192.0.2.0/24".into())
        );
        let v6 = subject("a@b.example", "2001:db8:1:2:3::4");
        assert_eq!(
            (v6.client.to_string(), v6.network.to_string()),
            ("2001:db8:1:2::/64".into(), "2001:db8:1::/48".into())
        );
        let slip = subject("my secret password\0", "192.0.2.7").login;
        assert!(
            !slip.contains("secret") && !slip.contains('\0') && slip.len() < 40,
            "{slip}"
        );
        assert_ne!(slip, subject("another", "192.0.2.7").login);
    }
}
