//! What was tried since the last write, in memory and within limits.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mail::address::Address;
use mail::time::Time;
use moka::sync::Cache;
use parking_lot::Mutex;
use store::Id;
use tokio::sync::Notify;

use super::{Approach, Reason};
use crate::{lockout, token};

/// Lines that gather between two writes; what goes beyond is only counted.
const MOST_WAITING: usize = 2_000;
/// Octets of a client's name that are kept.
const NAME: usize = 200;
/// How long the reason of a wrong password is remembered.
const JUDGED_FOR: Duration = Duration::from_hours(1);

/// A failed password whose reason is to be found.
#[derive(Clone)]
pub(crate) struct Wrong {
    /// Names login and password, under a key of this process.
    pub(crate) digest: [u8; 32],
    /// Account and login, where the address names one.
    pub(crate) login: Option<(Id, Id)>,
    /// Kept for the second until its reason is found, and never stored.
    pub(crate) password: String,
}

/// One attempt.
#[derive(Clone)]
pub(crate) struct Tried {
    /// The login's key; empty for what is no address: it may be a password in the wrong field.
    pub(crate) login: String,
    /// Whose attempt it is, where that is known already.
    pub(crate) account: Option<Id>,
    /// The name of the SMTP credential whose password it was.
    pub(crate) credential: Option<String>,
    pub(crate) from: Approach,
    pub(crate) outcome: Outcome,
}

#[derive(Clone)]
pub(crate) enum Outcome {
    Told(Reason),
    Wrong(Wrong),
}

impl Tried {
    pub(crate) fn told(login: Option<&str>, from: &Approach, reason: Reason) -> Self {
        Self {
            login: login.map(login_key).unwrap_or_default(),
            account: None,
            credential: None,
            from: cleaned(from),
            outcome: Outcome::Told(reason),
        }
    }

    pub(crate) fn wrong(login: &str, from: &Approach, wrong: Wrong) -> Self {
        let login = login_key(login);
        let outcome = if login.is_empty() {
            Outcome::Told(Reason::NotAnAddress)
        } else {
            Outcome::Wrong(wrong)
        };
        Self {
            login,
            account: None,
            credential: None,
            from: cleaned(from),
            outcome,
        }
    }

    pub(crate) fn of(mut self, account: Option<Id>) -> Self {
        self.account = account;
        self
    }

    pub(crate) fn with(mut self, credential: &str) -> Self {
        self.credential = Some(credential.to_owned());
        self
    }

    /// Names the line that the attempt belongs to once its reason is known.
    pub(crate) fn line(&self, reason: &Reason) -> Id {
        let Self { login, from, .. } = self;
        let ip = from.ip.to_string();
        let mut parts = vec![
            login.as_str(),
            &ip,
            &from.client,
            from.door.as_str(),
            reason.as_str(),
        ];
        parts.extend(self.credential.as_deref());
        let text = parts.join("\n");
        let hash = token::hash(&text);
        Id::from_bytes(hash[..16].try_into().expect("a hash is longer than an id"))
    }
}

fn login_key(login: &str) -> String {
    Address::parse(login.trim())
        .map(|address| address.login_key())
        .unwrap_or_default()
}

/// Nothing of a client's own words breaks a list or a log.
fn cleaned(from: &Approach) -> Approach {
    let mut from = from.clone();
    from.client = from
        .client
        .chars()
        .filter(|c| !c.is_control())
        .take(NAME)
        .collect();
    from
}

/// Attempts that are alike.
pub(crate) struct Alike {
    pub(crate) tried: Tried,
    pub(crate) count: u64,
    pub(crate) first: Time,
    pub(crate) last: Time,
}

#[derive(Default)]
struct Waiting {
    /// By line, and by digest where the reason is open.
    alike: HashMap<(Id, Option<[u8; 32]>), Alike>,
    /// When the attempts that found no room came, and how many there were.
    left_out: Option<(u64, Time, Time)>,
}

/// The attempts of this process that are not written yet.
pub(crate) struct Journal {
    waiting: Mutex<Waiting>,
    bell: Notify,
    closing: AtomicBool,
    /// Lines of sign-ins that went well, noted within the last hour.
    well: Cache<Id, ()>,
    /// The reasons of wrong passwords, by digest: a device that repeats itself costs nothing more.
    pub(super) judged: Cache<[u8; 32], Reason>,
    pub(super) written: Mutex<super::write::Allowance>,
    pub(super) near: super::near::Found,
}

/// What a write takes out of the journal.
pub(super) struct Taken {
    pub(super) alike: Vec<Alike>,
    pub(super) left_out: Option<(u64, Time, Time)>,
}

impl Journal {
    pub(crate) fn new() -> Self {
        Self {
            waiting: Mutex::default(),
            bell: Notify::new(),
            closing: AtomicBool::new(false),
            well: Cache::builder()
                .max_capacity(20_000)
                .time_to_live(lockout::NOTED_EVERY)
                .build(),
            judged: Cache::builder()
                .max_capacity(20_000)
                .time_to_live(JUDGED_FOR)
                .build(),
            written: Mutex::default(),
            near: super::near::Found::default(),
        }
    }

    pub(crate) fn add(&self, tried: Tried, now: Time) {
        let (line, digest) = match &tried.outcome {
            Outcome::Told(Reason::SignedIn) => {
                let line = tried.line(&Reason::SignedIn);
                // Mail that goes well costs no write of its own.
                if self.well.contains_key(&line) {
                    return;
                }
                self.well.insert(line, ());
                (line, None)
            }
            Outcome::Told(reason) => (tried.line(reason), None),
            Outcome::Wrong(wrong) => (tried.line(&Reason::WrongPassword), Some(wrong.digest)),
        };
        let mut waiting = self.waiting.lock();
        let room = waiting.alike.len() < MOST_WAITING;
        if let Some(alike) = waiting.alike.get_mut(&(line, digest)) {
            alike.count += 1;
            alike.last = now;
            // A lock that grew ends later.
            alike.tried = tried;
        } else if room {
            let alike = Alike {
                tried,
                count: 1,
                first: now,
                last: now,
            };
            waiting.alike.insert((line, digest), alike);
        } else {
            let (count, first, _) = waiting.left_out.unwrap_or((0, now, now));
            waiting.left_out = Some((count + 1, first, now));
        }
        drop(waiting);
        self.bell.notify_one();
    }

    /// Resolves when something waits.
    pub(super) async fn bell(&self) {
        self.bell.notified().await;
    }

    /// Takes attempts back that a later write is to look at.
    pub(super) fn give_back(&self, alike: Alike) {
        let Outcome::Wrong(wrong) = &alike.tried.outcome else {
            return;
        };
        let place = (alike.tried.line(&Reason::WrongPassword), Some(wrong.digest));
        let mut waiting = self.waiting.lock();
        if let Some(newer) = waiting.alike.get_mut(&place) {
            newer.count += alike.count;
            newer.first = alike.first;
        } else {
            waiting.alike.insert(place, alike);
        }
        drop(waiting);
        self.bell.notify_one();
    }

    /// From here on nothing is put off.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.lock().alike.is_empty()
    }

    pub(super) fn take(&self) -> Taken {
        let Waiting { alike, left_out } = std::mem::take(&mut *self.waiting.lock());
        Taken {
            alike: alike.into_values().collect(),
            left_out,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Door;

    fn approach(client: &str) -> Approach {
        Approach {
            door: Door::Smtp,
            ip: [192, 0, 2, 1].into(),
            client: client.to_owned(),
            port: 587,
            tls: None,
            mechanism: "PLAIN",
        }
    }

    #[test]
    fn a_flood_takes_bounded_room_and_is_counted() {
        let journal = Journal::new();
        let now = Time::from_secs(1);
        for n in 0..5_000 {
            let from = approach(&format!("host-{n}"));
            journal.add(Tried::told(Some("a@b.example"), &from, Reason::NoTls), now);
        }
        let taken = journal.take();
        assert_eq!(taken.alike.len(), MOST_WAITING);
        assert_eq!(taken.left_out.map(|(count, ..)| count), Some(3_000));
        assert!(journal.take().alike.is_empty());
    }

    #[test]
    fn a_sign_in_that_goes_well_is_noted_once_an_hour() {
        let journal = Journal::new();
        for _ in 0..100 {
            journal.add(
                Tried::told(Some("a@b.example"), &approach("laptop"), Reason::SignedIn),
                Time::from_secs(1),
            );
        }
        assert_eq!(
            journal.take().alike.iter().map(|alike| alike.count).sum::<u64>(),
            1
        );
    }

    #[test]
    fn what_is_no_address_is_not_kept_and_names_are_cleaned() {
        let from = approach(&format!("a\r\nb\0{}", "x".repeat(1_000)));
        let wrong = Wrong {
            digest: [0; 32],
            login: None,
            password: "p".into(),
        };
        let tried = Tried::wrong("my secret password", &from, wrong);
        assert!(tried.login.is_empty() && matches!(tried.outcome, Outcome::Told(Reason::NotAnAddress)));
        assert!(tried.from.client.starts_with("abxxx") && tried.from.client.len() == NAME);
    }
}
