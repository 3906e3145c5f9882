//! Attempts of one login from one client are looked at one after the other: many at once are no more guesses than ten.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use super::Subject;

/// The subjects whose attempts are being looked at or wait for that.
#[derive(Clone, Default)]
pub(crate) struct InHand(Arc<Mutex<HashMap<Subject, Arc<Turn<()>>>>>);

/// A place in the line of a subject; giving it up lets the next one on.
pub(crate) struct Place {
    all: InHand,
    subject: Subject,
    turn: Option<Arc<Turn<()>>>,
    guard: Option<OwnedMutexGuard<()>>,
}

impl InHand {
    /// Waits until no other attempt of the subject is in hand.
    pub(crate) async fn enter(&self, subject: Subject) -> Place {
        let turn = Arc::clone(self.0.lock().entry(subject.clone()).or_default());
        // Made before the wait: whoever gives up waiting leaves nothing behind either.
        let mut place = Place {
            all: self.clone(),
            subject,
            turn: Some(Arc::clone(&turn)),
            guard: None,
        };
        place.guard = Some(turn.lock_owned().await);
        place
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.guard = None;
        let mut all = self.all.0.lock();
        self.turn = None;
        // Clones are made under this lock only: a count of one is the map's own.
        if all
            .get(&self.subject)
            .is_some_and(|turn| Arc::strong_count(turn) == 1)
        {
            all.remove(&self.subject);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(login: &str) -> Subject {
        Subject::new(login, [192, 0, 2, 1].into())
    }

    #[tokio::test]
    async fn one_subject_waits_for_itself_and_for_nobody_else() {
        let line = InHand::default();
        let first = line.enter(subject("a@b.example")).await;
        let mut second = Box::pin(line.enter(subject("a@b.example")));
        tokio::select! {
            biased;
            _ = &mut second => panic!("two at once"),
            _ = line.enter(subject("c@d.example")) => {}
        }
        drop(first);
        drop(second.await);
        assert!(line.0.lock().is_empty(), "nobody is left");
    }

    #[tokio::test]
    async fn whoever_gives_up_waiting_leaves_nothing_behind() {
        let line = InHand::default();
        let first = line.enter(subject("a@b.example")).await;
        tokio::select! {
            biased;
            _ = line.enter(subject("a@b.example")) => panic!("two at once"),
            () = std::future::ready(()) => {}
        }
        drop(first);
        assert!(line.0.lock().is_empty());
    }
}
