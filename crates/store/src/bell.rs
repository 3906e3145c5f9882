//! The bell: rung after a commit, it wakes whoever waits for new work, and is allowed to be missed.
//!
//! A waiter polls anyway; the bell only makes it quicker. Many rings before a waiter looks are one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::{Notify, watch};

/// What there is news of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Recipients that any node may take.
    Due,
    /// The event log has grown.
    Events,
    /// What domains publish has changed, or a certificate.
    Changes,
    /// There is a mail of our own to be written.
    Notices,
}

impl Topic {
    pub(crate) const ALL: [Self; 4] = [Self::Due, Self::Events, Self::Changes, Self::Notices];

    /// The channel on PostgreSQL.
    pub(crate) fn channel(self) -> &'static str {
        match self {
            Self::Due => "posthouse_due",
            Self::Events => "posthouse_events",
            Self::Changes => "posthouse_changes",
            Self::Notices => "posthouse_notices",
        }
    }
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
#[derive(Clone, Default)]
pub(crate) struct Bells(Arc<Inner>);

#[derive(Default)]
struct Inner {
    here: [watch::Sender<()>; 4],
    /// Rung here and not yet passed on to other processes, by whoever does that.
    outgoing: AtomicU8,
    more: Notify,
}

impl Bells {
    /// After a commit in this process.
    pub(crate) fn ring(&self, topics: Topics) {
        if topics.0 == 0 {
            return;
        }
        for topic in topics.iter() {
            self.0.here[topic as usize].send_replace(());
        }
        self.0.outgoing.fetch_or(topics.0, Ordering::AcqRel);
        self.0.more.notify_one();
    }

    /// Rung in another process.
    pub(crate) fn ring_here(&self, channel: &str) {
        for topic in Topic::ALL.into_iter().filter(|topic| topic.channel() == channel) {
            self.0.here[topic as usize].send_replace(());
        }
    }

    pub(crate) fn listen(&self, topic: Topic) -> Bell {
        Bell(self.0.here[topic as usize].subscribe())
    }

    /// What was rung in this process since the last call, once there is something.
    pub(crate) async fn outgoing(&self) -> Topics {
        loop {
            let topics = self.0.outgoing.swap(0, Ordering::AcqRel);
            if topics != 0 {
                return Topics(topics);
            }
            self.0.more.notified().await;
        }
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
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn many_rings_are_one_and_other_topics_stay_silent() {
        let bells = Bells::default();
        let mut due = bells.listen(Topic::Due);
        let mut events = bells.listen(Topic::Events);
        let mut topics = Topics::default();
        topics.add(Topic::Due);
        bells.ring(topics);
        bells.ring(topics);
        due.rung().await;
        assert!(due.rung().now_or_never().is_none());
        assert!(events.rung().now_or_never().is_none());
        assert_eq!(bells.outgoing().now_or_never(), Some(topics));
        assert_eq!(bells.outgoing().now_or_never(), None);
    }
}
