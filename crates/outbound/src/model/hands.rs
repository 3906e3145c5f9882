//! Which recipients this process has in hand, so that none is ever in two places of it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use store::Id;

/// A recipient's key: its message and its place in the envelope.
pub type RecipientKey = (Id, u32);

/// Set in a recipient's count when the database gave it to this node once more while it was in hand.
const AGAIN: u32 = 1 << 31;

/// Every recipient that is being accepted, waits in a lane, is on the wire or is being settled.
#[derive(Default)]
pub struct Hands(Mutex<Inside>);

#[derive(Default)]
struct Inside {
    held: HashMap<Id, Vec<Arc<Taken>>>,
    /// Recipients that were given once more and were let go of since: the database still says that they are in hand.
    left: Vec<RecipientKey>,
}

/// Recipients of one message that were taken together: one lock for all when they come, and one when the last of them goes.
struct Taken {
    hands: Arc<Hands>,
    message: Id,
    /// Each one's ordinal, ascending, and how many grips there are on it.
    grips: Box<[(u32, AtomicU32)]>,
    /// How many of them are still in hand.
    in_hand: AtomicU32,
}

/// One recipient in hand, until the last copy of this is gone. The default grips nothing.
#[derive(Default)]
pub struct Grip(Option<(Arc<Taken>, usize)>);

impl Hands {
    /// Takes recipients of a message in hand, named in ascending order; nothing for each that is already.
    pub fn take(self: &Arc<Self>, message: Id, ordinals: &[u32]) -> Vec<Option<Grip>> {
        let mut inside = self.0.lock();
        let held = inside.held.entry(message).or_default();
        let free: Vec<bool> = ordinals
            .iter()
            .map(|ordinal| !held.iter().any(|taken| taken.comes_again(*ordinal)))
            .collect();
        let grips: Box<[_]> = ordinals
            .iter()
            .zip(&free)
            .filter(|(_, free)| **free)
            .map(|(ordinal, _)| (*ordinal, AtomicU32::new(1)))
            .collect();
        if grips.is_empty() {
            if held.is_empty() {
                inside.held.remove(&message);
            }
            return ordinals.iter().map(|_| None).collect();
        }
        let taken = Arc::new(Taken {
            hands: self.clone(),
            message,
            in_hand: AtomicU32::new(grips.len() as u32),
            grips,
        });
        held.push(taken.clone());
        let mut places = 0..;
        free.into_iter()
            .map(|free| free.then(|| Grip(places.next().map(|place| (taken.clone(), place)))))
            .collect()
    }

    pub fn holds(&self, (message, ordinal): RecipientKey) -> bool {
        let inside = self.0.lock();
        let held = inside.held.get(&message);
        held.is_some_and(|held| held.iter().any(|taken| taken.holds(ordinal)))
    }

    /// Recipients that have to go back to the database; each is told once.
    pub fn left(&self) -> Vec<RecipientKey> {
        std::mem::take(&mut self.0.lock().left)
    }
}

impl Taken {
    fn count(&self, ordinal: u32) -> Option<&AtomicU32> {
        let place = self.grips.binary_search_by_key(&ordinal, |(one, _)| *one);
        place.ok().map(|place| &self.grips[place].1)
    }

    fn holds(&self, ordinal: u32) -> bool {
        self.count(ordinal)
            .is_some_and(|count| count.load(Ordering::Acquire) & !AGAIN > 0)
    }

    /// Notes that the database gave this recipient once more; false when it is not in hand.
    fn comes_again(&self, ordinal: u32) -> bool {
        let again = |count| (count & !AGAIN > 0).then_some(count | AGAIN);
        self.count(ordinal).is_some_and(|count| {
            count
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, again)
                .is_ok()
        })
    }
}

impl Clone for Grip {
    fn clone(&self) -> Self {
        if let Some((taken, place)) = &self.0 {
            taken.grips[*place].1.fetch_add(1, Ordering::Relaxed);
        }
        Self(self.0.clone())
    }
}

impl Drop for Grip {
    fn drop(&mut self) {
        let Some((taken, place)) = self.0.take() else {
            return;
        };
        let (ordinal, count) = &taken.grips[place];
        let before = count.fetch_sub(1, Ordering::AcqRel);
        if before & !AGAIN > 1 {
            return;
        }
        if before & AGAIN > 0 {
            taken.hands.0.lock().left.push((taken.message, *ordinal));
        }
        if taken.in_hand.fetch_sub(1, Ordering::AcqRel) == 1 {
            let mut inside = taken.hands.0.lock();
            if let Some(held) = inside.held.get_mut(&taken.message) {
                held.retain(|other| !Arc::ptr_eq(other, &taken));
                if held.is_empty() {
                    inside.held.remove(&taken.message);
                }
            }
        }
    }
}

impl fmt::Debug for Grip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Grip").field(&self.0.is_some()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: Id = Id::from_bytes([7; 16]);
    const KEY: RecipientKey = (MESSAGE, 3);

    fn take(hands: &Arc<Hands>) -> Option<Grip> {
        hands.take(MESSAGE, &[3]).remove(0)
    }

    #[test]
    fn a_recipient_is_in_hand_until_its_last_copy_is_gone() {
        let hands = Arc::new(Hands::default());
        let grip = take(&hands).unwrap();
        let copy = grip.clone();
        drop(grip);
        assert!(hands.holds(KEY));
        drop(copy);
        assert!(!hands.holds(KEY));
        assert!(hands.left().is_empty());
        assert!(take(&hands).is_some());
        assert!(hands.0.lock().held.is_empty(), "nothing is remembered");
    }

    #[test]
    fn what_came_again_while_it_was_in_hand_goes_back_once() {
        let hands = Arc::new(Hands::default());
        let grip = take(&hands).unwrap();
        assert!(take(&hands).is_none());
        assert!(hands.left().is_empty());
        drop(grip);
        assert_eq!(hands.left(), [KEY]);
        assert!(hands.left().is_empty());
    }

    #[test]
    fn recipients_taken_together_are_let_go_of_one_by_one() {
        let hands = Arc::new(Hands::default());
        let mut grips = hands.take(MESSAGE, &[1, 3, 5]);
        drop(grips.remove(1));
        assert_eq!(
            [1, 3, 5].map(|one| hands.holds((MESSAGE, one))),
            [true, false, true]
        );
        let again = hands.take(MESSAGE, &[3, 5, 8]);
        assert_eq!(
            again.iter().map(Option::is_some).collect::<Vec<_>>(),
            [true, false, true]
        );
        drop(grips);
        assert_eq!(hands.left(), [(MESSAGE, 5)]);
        assert_eq!(
            [1, 3, 5, 8].map(|one| hands.holds((MESSAGE, one))),
            [false, true, false, true]
        );
        drop(again);
        assert!(hands.0.lock().held.is_empty());
    }
}
