//! What the tasks of webhooks share.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use store::{Clock, Db, Id, Ids};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::calls::Client;
use crate::model::Counter;

/// Attempts at once to receivers that answer well, and to those that are slow or failing: however many of these there are,
/// they keep nobody else waiting.
const QUICK: usize = 128;
const SLOW: usize = 32;

pub struct Core {
    pub db: Db,
    pub clock: Clock,
    pub ids: Ids,
    /// Calls to private addresses and without TLS are allowed.
    pub open: bool,
    pub client: Arc<Client>,
    pub quick: Semaphore,
    pub slow: Semaphore,
    pub state: Mutex<State>,
    /// Calls the dispatcher.
    pub poke: Notify,
    pub counters: Counters,
    pub tasks: TaskTracker,
    /// No new attempts.
    pub stop: CancellationToken,
    /// Drop everything where it stands.
    pub kill: CancellationToken,
}

/// What changes under one lock.
#[derive(Default)]
pub struct State {
    /// Endpoints that are being worked for.
    pub working: HashSet<Id>,
    /// Endpoints whose last attempt took long or failed.
    pub slow: HashSet<Id>,
}

/// Counted since the start.
#[derive(Default)]
pub struct Counters {
    pub delivered: Counter,
    pub failed: Counter,
    /// As last measured.
    pub waiting: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Attempts that ended with a 2xx.
    pub delivered: u64,
    /// Attempts that did not.
    pub failed: u64,
    /// Deliveries that wait, as last measured.
    pub waiting: u64,
}

impl Counters {
    pub fn snapshot(&self) -> Counts {
        Counts {
            delivered: self.delivered.get(),
            failed: self.failed.get(),
            waiting: self.waiting.load(Ordering::Relaxed),
        }
    }
}

impl Core {
    pub fn new((db, clock, ids): (Db, Clock, Ids), client: Arc<Client>) -> Arc<Self> {
        Arc::new(Self {
            db,
            clock,
            ids,
            open: client.is_open(),
            client,
            quick: Semaphore::new(QUICK),
            slow: Semaphore::new(SLOW),
            state: Mutex::default(),
            poke: Notify::new(),
            counters: Counters::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            kill: CancellationToken::new(),
        })
    }

    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let kill = self.kill.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = kill.cancelled() => {}
                () = task => {}
            }
        });
    }
}
