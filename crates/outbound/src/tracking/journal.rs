//! What was fetched since the last write, in memory and within limits: equal requests are one with a count.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mail::time::Time;
use mail::visitor::Act;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::model::RecipientKey;

/// Recipients whose news wait at most; what goes beyond is only counted.
const MOST_RECIPIENTS: usize = 10_000;
/// Different requests of one recipient that wait at most.
const MOST_ENTRIES: usize = 100;
/// Clicks of one recipient wait for so long: a scanner follows one link after the other, and by that it is known.
const HELD: Duration = Duration::from_secs(3);

/// What was fetched, by whom as far as that is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Entry {
    pub act: Act,
    pub link: Option<u16>,
    pub client: &'static str,
    /// Why the request by itself was no person's.
    pub why: Option<&'static str>,
    pub country: Option<String>,
}

/// How often, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Often {
    pub count: u64,
    pub first: Time,
}

/// What is new of one recipient.
pub(super) type News = (RecipientKey, BTreeMap<Entry, Often>);

#[derive(Default)]
pub(super) struct Journal {
    waiting: Mutex<HashMap<RecipientKey, BTreeMap<Entry, Often>>>,
    bell: Notify,
    left_out: AtomicU64,
}

impl Journal {
    pub(super) fn add(&self, key: RecipientKey, entry: Entry, now: Time) {
        let often = Often { count: 1, first: now };
        self.put(key, [(entry, often)]);
        self.bell.notify_one();
    }

    fn put(&self, key: RecipientKey, news: impl IntoIterator<Item = (Entry, Often)>) {
        let mut waiting = self.waiting.lock();
        let room = waiting.len() < MOST_RECIPIENTS || waiting.contains_key(&key);
        for (entry, often) in news {
            if !room {
                self.left_out.fetch_add(often.count, Ordering::Relaxed);
                continue;
            }
            let of_recipient = waiting.entry(key).or_default();
            if let Some(known) = of_recipient.get_mut(&entry) {
                known.count += often.count;
                known.first = known.first.min(often.first);
            } else if of_recipient.len() < MOST_ENTRIES {
                of_recipient.insert(entry, often);
            } else {
                self.left_out.fetch_add(often.count, Ordering::Relaxed);
            }
        }
    }

    /// Takes back what could not be written.
    pub(super) fn give_back(&self, news: &[News]) {
        for (key, entries) in news {
            self.put(*key, entries.clone());
        }
        self.bell.notify_one();
    }

    /// Resolves when something waits.
    pub(super) async fn bell(&self) {
        self.bell.notified().await;
    }

    pub(super) fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }

    /// What has waited long enough, or all, in the order of its recipients: whoever writes rows in one order waits for nobody
    /// who waits for him.
    pub(super) fn take(&self, now: Time, all: bool) -> Vec<News> {
        let mut waiting = self.waiting.lock();
        let is_ripe = |entries: &BTreeMap<Entry, Often>| {
            let clicks = entries.iter().filter(|(entry, _)| entry.act == Act::Click);
            let first = clicks.map(|(_, often)| often.first).min();
            // A clock that was set back lets nothing wait until it has caught up.
            first.is_none_or(|first| first > now || now.since(first) >= HELD)
        };
        let mut ripe: Vec<News> = waiting.extract_if(|_, entries| all || is_ripe(entries)).collect();
        let more = !waiting.is_empty();
        drop(waiting);
        if more {
            self.bell.notify_one();
        }
        ripe.sort_by_key(|(key, _)| *key);
        ripe
    }
}

#[cfg(test)]
mod tests {
    use store::Id;

    use super::*;

    const NOW: Time = Time::from_secs(1_796_000_000);

    fn key(n: u32) -> RecipientKey {
        (Id::from_bytes([7; 16]), n)
    }

    fn entry(link: Option<u16>) -> Entry {
        Entry {
            act: if link.is_some() { Act::Click } else { Act::Open },
            link,
            client: "gmail",
            why: None,
            country: None,
        }
    }

    #[test]
    fn equal_requests_are_one_and_clicks_wait_for_those_behind_them() {
        let journal = Journal::default();
        for _ in 0..1_000 {
            journal.add(key(1), entry(None), NOW);
        }
        journal.add(key(2), entry(Some(0)), NOW);
        let taken = journal.take(NOW, false);
        assert_eq!(taken.len(), 1);
        assert_eq!(taken[0].1[&entry(None)].count, 1_000);
        journal.add(key(2), entry(Some(1)), NOW.plus(Duration::from_secs(2)));
        assert!(journal.take(NOW.plus(Duration::from_secs(2)), false).is_empty());
        let taken = journal.take(NOW.plus(HELD), false);
        assert_eq!(taken[0].1.len(), 2);
        assert!(journal.take(NOW, true).is_empty());
    }

    #[test]
    fn a_flood_takes_bounded_room_and_is_counted() {
        let journal = Journal::default();
        for n in 0..200 {
            journal.add(key(1), entry(Some(n)), NOW);
        }
        for n in 0..MOST_RECIPIENTS as u32 + 49 {
            journal.add(key(10 + n), entry(None), NOW);
        }
        assert_eq!(journal.left_out(), 100 + 50);
        assert_eq!(journal.take(NOW, true).len(), MOST_RECIPIENTS);
    }

    #[test]
    fn what_could_not_be_written_waits_with_what_came_meanwhile() {
        let journal = Journal::default();
        journal.add(key(1), entry(None), NOW);
        let taken = journal.take(NOW, false);
        journal.add(key(1), entry(None), NOW.plus(HELD));
        journal.give_back(&taken);
        let again = journal.take(NOW, false);
        assert_eq!(again[0].1[&entry(None)], Often { count: 2, first: NOW });
    }
}
