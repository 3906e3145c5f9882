//! What the deliveries of one message to many recipients have in common, worked out once on this node.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mail::time::Time;
use parking_lot::Mutex;
use store::Id;
use tokio::sync::OnceCell;

use crate::model::Pattern;

/// Messages that are remembered, and the octets that their patterns may take together: a message whose turn comes later is
/// looked through once more.
const MOST: usize = 32;
const WEIGHT: u64 = 16 << 20;
/// For how long: keys change, and a signature says when it was made.
const LIFE: Duration = Duration::from_mins(5);

#[derive(Debug, Default)]
pub(super) struct Shared {
    /// The oldest in front.
    entries: Mutex<VecDeque<(Id, Arc<Entry>)>>,
}

#[derive(Debug)]
pub(super) struct Entry {
    since: Time,
    /// How its copies are made.
    pub pattern: OnceCell<Arc<Pattern>>,
    /// The numbers under which the targets of its links are stored.
    pub numbers: OnceCell<Arc<[u16]>>,
    /// The signatures of a message whose copies are all alike.
    pub signatures: OnceCell<Bytes>,
}

impl Entry {
    fn new(since: Time) -> Arc<Self> {
        Arc::new(Self {
            since,
            pattern: OnceCell::new(),
            numbers: OnceCell::new(),
            signatures: OnceCell::new(),
        })
    }

    fn weight(&self) -> u64 {
        self.pattern.get().map_or(0, |pattern| pattern.weight())
    }
}

impl Shared {
    /// What is shared of a message with so many recipients.
    pub fn of(&self, message: Id, recipients: u32, now: Time) -> Arc<Entry> {
        if recipients < 2 {
            return Entry::new(now);
        }
        let mut entries = self.entries.lock();
        if let Some(at) = entries.iter().position(|(id, _)| *id == message) {
            let (_, entry) = &entries[at];
            // A clock that was set back would leave the signatures dated in the future.
            if entry.since <= now && now.since(entry.since) < LIFE {
                return Arc::clone(entry);
            }
            entries.remove(at);
        }
        while entries.len() >= MOST || entries.iter().map(|(_, entry)| entry.weight()).sum::<u64>() > WEIGHT {
            entries.pop_front();
        }
        let entry = Entry::new(now);
        entries.push_back((message, Arc::clone(&entry)));
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> Id {
        Id::from_bytes([number; 16])
    }

    #[test]
    fn a_message_to_many_is_remembered_for_a_while_and_one_to_one_is_not() {
        let (shared, now) = (Shared::default(), Time::from_secs(1_000_000));
        let first = shared.of(id(1), 2, now);
        assert!(Arc::ptr_eq(&first, &shared.of(id(1), 2, now)));
        assert!(!Arc::ptr_eq(&first, &shared.of(id(1), 2, now.plus(LIFE))));
        let back = now.minus(Duration::from_secs(1));
        assert!(!Arc::ptr_eq(
            &shared.of(id(1), 2, now),
            &shared.of(id(1), 2, back)
        ));
        let alone = shared.of(id(2), 1, now);
        assert!(!Arc::ptr_eq(&alone, &shared.of(id(2), 1, now)));
    }

    #[test]
    fn no_more_messages_are_remembered_than_there_is_room_for() {
        let (shared, now) = (Shared::default(), Time::from_secs(1_000_000));
        let first = shared.of(id(0), 2, now);
        for number in 1..=MOST as u8 {
            shared.of(id(number), 2, now);
        }
        assert_eq!(shared.entries.lock().len(), MOST);
        assert!(!Arc::ptr_eq(&first, &shared.of(id(0), 2, now)));
    }
}
