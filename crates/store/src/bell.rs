//! The bell: rung after a commit, it wakes whoever waits for new work, and is allowed to be missed.
//!
//! A waiter polls anyway; the bell only makes it quicker. Many rings before a waiter looks are one.

use std::sync::Arc;

use tokio::sync::watch;

/// What there is news of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Recipients that any node may take.
    Due,
    /// The event log has grown.
    Events,
    /// Accounts, credentials or domains have changed.
    Changes,
}

impl Topic {
    pub(crate) const ALL: [Self; 3] = [Self::Due, Self::Events, Self::Changes];
}

/// A set of topics, gathered during a transaction and rung after its commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Topics(u8);

impl Topics {
    pub(crate) fn add(&mut self, topic: Topic) {
        self.0 |= 1 << topic as u8;
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.0 |= other.0;
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Topic> {
        Topic::ALL
            .into_iter()
            .filter(move |topic| self.0 & (1 << *topic as u8) != 0)
    }
}

/// The bells of one process, one for each topic.
#[derive(Clone)]
pub(crate) struct Bells(Arc<[watch::Sender<()>; 3]>);

impl Bells {
    pub(crate) fn new() -> Self {
        Self(Arc::new(std::array::from_fn(|_| watch::Sender::new(()))))
    }

    pub(crate) fn ring(&self, topics: Topics) {
        for topic in topics.iter() {
            self.0[topic as usize].send_replace(());
        }
    }

    pub(crate) fn listen(&self, topic: Topic) -> Bell {
        Bell(self.0[topic as usize].subscribe())
    }
}

/// Waits for a [`Topic`].
pub struct Bell(watch::Receiver<()>);

impl Bell {
    /// Resolves once the bell was rung since the last call, at once when it already was.
    /// When the database is closed it never resolves: the poll goes on alone.
    pub async fn rung(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn many_rings_are_one_and_other_topics_stay_silent() {
        let bells = Bells::new();
        let mut due = bells.listen(Topic::Due);
        let mut events = bells.listen(Topic::Events);
        let mut topics = Topics::default();
        topics.add(Topic::Due);
        bells.ring(topics);
        bells.ring(topics);
        due.rung().await;
        assert!(futures_util::FutureExt::now_or_never(due.rung()).is_none());
        assert!(futures_util::FutureExt::now_or_never(events.rung()).is_none());
    }
}
