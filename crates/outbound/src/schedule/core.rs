//! What all tasks of the scheduler share.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use accounts::{Accounts, AccountsError};
use bytes::Bytes;
use mail::address::{Address, Domain};
use mail::time::Time;
use parking_lot::Mutex;
use store::{Clock, Db, Id, Ids};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::deliver::COPIES_OCTETS;
use super::hold::Followed;
use super::lanes::{Lanes, Limits, Wake};
use super::shared::Shared;
use crate::calls::Client;
use crate::model::{Counters, Courier, Depth, Hands, Job, LaneKey, Message, RecipientKey, Room, Unrecorded};
use crate::personal::Places;
use crate::settings::Settings;
use crate::settle::{Reporter, Settlement};
use crate::simulator;

/// How many DNS look-ups run at once.
const LOOKUPS: usize = 64;

/// What the scheduler is built from.
#[derive(Clone)]
pub struct Parts {
    pub db: Db,
    pub accounts: Accounts,
    pub clock: Clock,
    pub ids: Ids,
    pub settings: Arc<Settings>,
    pub courier: Arc<dyn Courier>,
    /// Calls receivers that accounts chose; absent where none are called.
    pub client: Option<Arc<Client>>,
}

impl Parts {
    pub(crate) fn reporter(&self) -> Arc<Reporter> {
        let settings = &self.settings;
        Arc::new(Reporter {
            hostname: settings.hostname.clone(),
            give_up: settings.retry.give_up,
            keep_content: settings.keep_content,
        })
    }

    /// Where the links of a message's recipients lead: to a name of its sender's own domain, where that leads here.
    pub async fn places(&self, message: &Message) -> Result<Places, AccountsError> {
        let site = &self.settings.public_url;
        let own = match Address::parse(&message.header_from) {
            Ok(from) => self.accounts.links(message.account, from.domain()).await?,
            Err(_) => None,
        };
        let own = own.and_then(|name| self.settings.own_names.at(site, &name));
        Ok(Places {
            site: own.unwrap_or_else(|| site.clone()),
            mail: self.settings.return_path.clone(),
        })
    }

    /// Whether what leaves has a return path for each recipient. What stays here bounces nowhere.
    pub fn signs_return_paths(&self) -> bool {
        self.settings.return_path.is_some() && !self.courier.captures()
    }

    /// Whether what is delivered to `domain` stays here, in the local inbox.
    pub fn keeps(&self, domain: &Domain) -> bool {
        self.courier.captures() || simulator::is_domain(domain, &self.settings.hostname)
    }

    /// A settlement of recipients that are settled in the transaction that stores their message; who they are is still to be said.
    pub fn settlement(&self, message: Message, body: Bytes, now: Time) -> Settlement {
        Settlement {
            node: self.settings.node,
            message: Arc::new(message),
            body: Some(body),
            results: Vec::new(),
            captured: None,
            copies: None,
            reporter: self.reporter(),
            ids: self.ids.clone(),
            report_id: self.ids.next(now),
            at: now,
        }
    }
}

/// The scheduler: shared by its tasks and by whoever asks it something.
pub struct Core {
    pub(super) parts: Parts,
    pub(super) reporter: Arc<Reporter>,
    pub(super) shared: Shared,
    /// Room for big copies, in octets.
    pub(super) copies_room: Semaphore,
    pub(super) state: Mutex<State>,
    pub(super) room: Arc<Room>,
    pub(super) hands: Arc<Hands>,
    /// Held while rows are claimed and brought in hand, so that whoever holds it sees none in between; in it, how far the
    /// comparison of the database with what is in hand has come.
    pub(super) claiming: tokio::sync::Mutex<Option<RecipientKey>>,
    /// Whose mail is held, as far as this node has followed.
    pub(super) holds: tokio::sync::Mutex<Followed>,
    pub counters: Arc<Counters>,
    pub unrecorded: Arc<Unrecorded>,
    pub(super) depth: Mutex<Depth>,
    /// Calls the poller.
    pub(super) poke: Notify,
    pub(super) lookups: Semaphore,
    pub(super) tasks: TaskTracker,
    /// No new work.
    pub(super) stop: CancellationToken,
    /// Drop everything at the next await, as if the process had died.
    pub(super) kill: CancellationToken,
}

/// What changes under one lock.
pub(super) struct State {
    pub lanes: Lanes,
    /// Wakes the idle connections of a lane.
    pub bells: HashMap<LaneKey, Arc<Notify>>,
    /// Which lane a domain's mail takes, and until when that is believed without asking again.
    pub routes: HashMap<Domain, (LaneKey, Time)>,
    /// Jobs of domains whose lane is being looked up.
    pub looking_up: HashMap<Domain, Vec<Job>>,
    /// Lanes that ask for the rows they sent to wait.
    pub pulls: Vec<LaneKey>,
}

impl Core {
    pub fn new(parts: Parts, counters: Arc<Counters>) -> Arc<Self> {
        let settings = &parts.settings;
        let room = Room::new(settings.memory_bytes, settings.memory_recipients);
        let limits = Limits {
            connections_per_lane: settings.connections_per_lane,
            connections: settings.connections,
            // Each recipient has a return path of its own, and its outcome is recorded before the next one is tried.
            recipients_per_transaction: if parts.signs_return_paths() {
                1
            } else {
                settings.recipients_per_transaction
            },
        };
        let state = State {
            lanes: Lanes::new(limits, settings.retry.clone(), room.clone()),
            bells: HashMap::new(),
            routes: HashMap::new(),
            looking_up: HashMap::new(),
            pulls: Vec::new(),
        };
        Arc::new(Self {
            reporter: parts.reporter(),
            shared: Shared::default(),
            copies_room: Semaphore::new(COPIES_OCTETS),
            state: Mutex::new(state),
            room,
            hands: Arc::default(),
            claiming: tokio::sync::Mutex::default(),
            holds: tokio::sync::Mutex::default(),
            counters,
            unrecorded: Arc::default(),
            depth: Mutex::new(Depth::default()),
            poke: Notify::new(),
            lookups: Semaphore::new(LOOKUPS),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            kill: CancellationToken::new(),
            parts,
        })
    }

    /// Starts the tasks that run as long as the scheduler does.
    pub fn start(self: &Arc<Self>) {
        let poller = self.clone();
        self.spawn(async move { poller.poll_forever().await });
        let heart = self.clone();
        self.spawn(async move { heart.keep_alive().await });
        let upkeep = self.clone();
        self.spawn(async move { upkeep.tidy_forever().await });
        let purge = self.clone();
        self.spawn(async move { purge.purge_forever().await });
        let depth = self.clone();
        self.spawn(async move { depth.measure_forever().await });
    }

    /// Connections to other servers, those being made included.
    pub fn connections(&self) -> usize {
        self.state.lock().lanes.connections()
    }

    /// Takes no new jobs, lets those in flight finish for up to `limit`, and gives the rest of the rows back.
    pub async fn shut_down(self: &Arc<Self>, limit: Duration) {
        self.stop.cancel();
        let bells: Vec<_> = {
            let mut state = self.state.lock();
            state.lanes.stop();
            state.bells.values().cloned().collect()
        };
        for bell in bells {
            bell.notify_waiters();
            bell.notify_one();
        }
        self.tasks.close();
        if tokio::time::timeout(limit, self.tasks.wait()).await.is_err() {
            tracing::warn!(
                connections = self.state.lock().lanes.connections(),
                "stopped before every delivery had finished; what is unfinished is tried again later"
            );
        }
        self.abandon();
        let node = self.node();
        let freed = self
            .parts
            .db
            // The node stays on the list until its lease runs out: what an accept under way commits after this passes on with it.
            .write("give back what is in hand", move |tx| {
                crate::spool::free(tx, node)
            })
            .await;
        if let Err(error) = freed {
            tracing::warn!(%error, "what was in hand could not be given back; it is at the next start");
        }
    }

    /// Drops every task where it stands, as a killed process would.
    pub fn abandon(&self) {
        self.stop.cancel();
        self.kill.cancel();
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let kill = self.kill.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = kill.cancelled() => {}
                () = task => {}
            }
        });
    }

    /// Does what the lanes asked for.
    pub(super) fn follow(self: &Arc<Self>, wake: Wake) {
        match wake {
            Wake::Nothing => {}
            Wake::Idle(lane) => self.bell(&lane).notify_one(),
            Wake::Open(lane) => {
                let core = self.clone();
                self.spawn(async move { core.run_connection(lane).await });
            }
        }
    }

    pub(super) fn bell(&self, lane: &LaneKey) -> Arc<Notify> {
        self.state.lock().bells.entry(lane.clone()).or_default().clone()
    }

    pub(super) fn now(&self) -> Time {
        self.parts.clock.now()
    }

    pub(super) fn node(&self) -> Id {
        self.parts.settings.node
    }
}
