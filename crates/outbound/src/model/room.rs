//! The bounded memory for waiting mail.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How much waiting mail may stay in memory; the rest waits in the database.
#[derive(Debug)]
pub struct Room {
    max_bytes: u64,
    max_recipients: u64,
    bytes: AtomicU64,
    recipients: AtomicU64,
}

/// A share of a [`Room`], given back when it is dropped.
#[derive(Debug)]
pub struct Held {
    room: Arc<Room>,
    bytes: AtomicU64,
    recipients: u64,
}

impl Room {
    pub fn new(max_bytes: u64, max_recipients: u64) -> Arc<Self> {
        Arc::new(Self {
            max_bytes,
            max_recipients,
            bytes: AtomicU64::new(0),
            recipients: AtomicU64::new(0),
        })
    }

    /// Takes a share, or nothing when the room is full.
    pub fn hold(self: &Arc<Self>, bytes: u64, recipients: u64) -> Option<Held> {
        // Taken first and then compared, so that two takers cannot both see the last free place.
        let held = self.hold_anyway(bytes, recipients);
        let fits = self.bytes.load(Ordering::Relaxed) <= self.max_bytes
            && self.recipients.load(Ordering::Relaxed) <= self.max_recipients;
        fits.then_some(held)
    }

    /// Takes a share whatever is free: for rows that are in hand already.
    pub fn hold_anyway(self: &Arc<Self>, bytes: u64, recipients: u64) -> Held {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.recipients.fetch_add(recipients, Ordering::Relaxed);
        Held {
            room: self.clone(),
            bytes: bytes.into(),
            recipients,
        }
    }

    pub fn free_bytes(&self) -> u64 {
        self.max_bytes.saturating_sub(self.bytes.load(Ordering::Relaxed))
    }

    pub fn free_recipients(&self) -> u64 {
        self.max_recipients
            .saturating_sub(self.recipients.load(Ordering::Relaxed))
    }

    /// Recipients in memory, waiting or being delivered.
    pub fn recipients(&self) -> u64 {
        self.recipients.load(Ordering::Relaxed)
    }
}

impl Held {
    /// Adds octets that belong to what is there already, whatever is free.
    pub fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.room.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.room
            .bytes
            .fetch_sub(*self.bytes.get_mut(), Ordering::Relaxed);
        self.room.recipients.fetch_sub(self.recipients, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_room_takes_nothing_until_something_leaves() {
        let room = Room::new(100, 2);
        let first = room.hold(60, 1).unwrap();
        assert!(room.hold(60, 1).is_none());
        assert_eq!((room.free_bytes(), room.free_recipients()), (40, 1));
        first.add(30);
        assert_eq!(room.free_bytes(), 10);
        drop(first);
        assert_eq!(room.free_bytes(), 100);
        let two = room.hold(1, 2);
        assert!(two.is_some());
        assert!(room.hold(1, 1).is_none());
    }
}
