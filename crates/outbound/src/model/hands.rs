//! Which recipients this process has in hand, so that none is ever in two places of it.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use store::Id;

/// A recipient's key: its message and its place in the envelope.
pub type RecipientKey = (Id, u32);

/// Every recipient that is being accepted, waits in a lane, is on the wire or is being settled.
#[derive(Debug, Default)]
pub struct Hands(Mutex<Inside>);

#[derive(Debug, Default)]
struct Inside {
    /// Whether the database gave the recipient to this node once more while it was in hand.
    held: HashMap<RecipientKey, bool>,
    /// Recipients that were given once more and were let go of since: the database still says that they are in hand.
    left: Vec<RecipientKey>,
}

/// One recipient in hand, until the last copy of this is gone. The default grips nothing.
#[derive(Clone, Debug, Default)]
pub struct Grip(#[expect(dead_code, reason = "held for what its drop does")] Option<Arc<Gripped>>);

#[derive(Debug)]
struct Gripped {
    hands: Arc<Hands>,
    key: RecipientKey,
}

impl Hands {
    /// Takes a recipient in hand; nothing when it is already.
    pub fn take(self: &Arc<Self>, key: RecipientKey) -> Option<Grip> {
        let mut inside = self.0.lock();
        if let Some(again) = inside.held.get_mut(&key) {
            *again = true;
            return None;
        }
        inside.held.insert(key, false);
        Some(Grip(Some(Arc::new(Gripped {
            hands: self.clone(),
            key,
        }))))
    }

    pub fn holds(&self, key: RecipientKey) -> bool {
        self.0.lock().held.contains_key(&key)
    }

    /// Recipients that have to go back to the database; each is told once.
    pub fn left(&self) -> Vec<RecipientKey> {
        std::mem::take(&mut self.0.lock().left)
    }
}

impl Drop for Gripped {
    fn drop(&mut self) {
        let mut inside = self.hands.0.lock();
        if inside.held.remove(&self.key) == Some(true) {
            inside.left.push(self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: RecipientKey = (Id::from_bytes([7; 16]), 3);

    #[test]
    fn a_recipient_is_in_hand_until_its_last_copy_is_gone() {
        let hands = Arc::new(Hands::default());
        let grip = hands.take(KEY).unwrap();
        let copy = grip.clone();
        drop(grip);
        assert!(hands.holds(KEY));
        drop(copy);
        assert!(!hands.holds(KEY));
        assert!(hands.left().is_empty());
        assert!(hands.take(KEY).is_some());
    }

    #[test]
    fn what_came_again_while_it_was_in_hand_goes_back_once() {
        let hands = Arc::new(Hands::default());
        let grip = hands.take(KEY).unwrap();
        assert!(hands.take(KEY).is_none());
        assert!(hands.left().is_empty());
        drop(grip);
        assert_eq!(hands.left(), [KEY]);
        assert!(hands.left().is_empty());
    }
}
