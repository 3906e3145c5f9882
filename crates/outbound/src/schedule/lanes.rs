//! Who is served when: every lane of this process as one state machine without clock or I/O.
//!
//! The driver tells what happened and when; the answers say what to do: open a connection, wake one, send a job, let rows
//! wait in the database. A lane may hold no more than what the room for waiting mail still has free, so however many
//! slow destinations there are, some room is always left for the next one.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use mail::address::Domain;
use mail::time::Time;
use store::Id;

use super::lane::{Lane, Trouble};
use super::view::LaneView;
use crate::model::{Job, LaneKey, Room};
use crate::settle::{Jitter, Policy};

/// Longest pause before a destination in trouble is tried again.
const LONGEST_BACK_OFF: Duration = Duration::from_mins(30);
/// Rows that wait for their turn look again after this time if nobody called them before.
const TURN: Duration = Duration::from_mins(10);
/// Recipients that may come to a destination in trouble to find out whether it is back.
const PROBE: u64 = 20;
/// Sessions in a row that end broken before the whole destination counts as being in trouble.
const BROKEN_SESSIONS: u32 = 5;
/// With fewer recipients than this in memory, a lane fetches what it sent to wait.
const LOW_WATER: u64 = 200;
/// A lane nobody used for this long is forgotten.
const FORGET: Duration = Duration::from_hours(1);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    pub connections_per_lane: usize,
    /// Over all lanes.
    pub connections: usize,
    // RFC 5321 section 4.5.3.1.8: a server takes at least 100.
    pub recipients_per_transaction: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_per_lane: 20,
            connections: 500,
            recipients_per_transaction: 100,
        }
    }
}

/// Why and until when rows wait in the database instead of in a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    pub until: Time,
    pub reason: String,
}

/// What the driver does next for a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wake {
    Nothing,
    /// Tell one idle connection of this lane to look for a job.
    Idle(LaneKey),
    /// Make one more connection for this lane.
    Open(LaneKey),
}

/// The answer to a job that wants into a lane.
#[derive(Debug)]
pub enum Offer {
    Taken(Wake),
    Waits(Job, Wait),
}

/// The answer to a connection that asks for work.
#[derive(Debug)]
pub enum Turn {
    Job(Job),
    /// Nothing now; look again when woken.
    Park,
    Close,
}

/// The answer to a connection that could not be made.
#[derive(Debug)]
pub enum Failure {
    /// Other connections stand: this one was too many, its jobs go through them.
    Retreat,
    /// The destination is in trouble: `first` had its attempt, `rest` waits in the database.
    Down {
        first: Option<Job>,
        rest: Vec<Job>,
        wait: Wait,
    },
}

#[derive(Debug)]
pub struct Lanes {
    by_key: HashMap<LaneKey, Lane>,
    limits: Limits,
    policy: Policy,
    room: Arc<Room>,
    connections: usize,
    /// Lanes that wanted a connection when the limit over all of them was reached.
    starved: VecDeque<LaneKey>,
    stopping: bool,
}

impl Lanes {
    pub fn new(limits: Limits, policy: Policy, room: Arc<Room>) -> Self {
        Self {
            by_key: HashMap::new(),
            limits,
            policy,
            room,
            connections: 0,
            starved: VecDeque::new(),
            stopping: false,
        }
    }

    /// Whether so much fresh mail may go to this lane from memory.
    pub fn admits(&self, key: &LaneKey, recipients: u64, bytes: u64, now: Time) -> Result<(), Wait> {
        let Some(lane) = self.by_key.get(key) else {
            return Ok(());
        };
        if lane.paused {
            return Err(paused(key, now));
        }
        if let Some(trouble) = &lane.trouble {
            let probing = now >= trouble.until && lane.queue.recipients() + lane.in_flight < PROBE;
            if !probing {
                let after = if now < trouble.until {
                    trouble.until
                } else {
                    now.plus(self.back_off(key, trouble.failures))
                };
                return Err(Wait {
                    until: after,
                    reason: format!("waiting: {}", trouble.why),
                });
            }
        }
        let held = lane.queue.recipients();
        let fits = held + recipients <= self.room.free_recipients().max(PROBE)
            && lane.queue.bytes() + bytes <= self.room.free_bytes();
        if fits || lane.queue.is_empty() {
            Ok(())
        } else {
            Err(Wait {
                until: now.plus(TURN),
                reason: format!("waiting its turn behind {held} others to the same destination"),
            })
        }
    }

    /// A job whose rows are in hand wants into its lane.
    pub fn offer(&mut self, key: &LaneKey, job: Job, now: Time) -> Offer {
        if let Err(wait) = self.admits(key, job.recipients.len() as u64, job.bytes(), now) {
            let lane = self.lane(key, now);
            for recipient in &job.recipients {
                lane.note_domain(recipient.domain());
                *lane.spilled.entry(recipient.domain().clone()).or_default() += 1;
            }
            return Offer::Waits(job, wait);
        }
        let lane = self.lane(key, now);
        lane.used_at = now;
        for recipient in &job.recipients {
            lane.note_domain(recipient.domain());
        }
        lane.queue.push(job);
        Offer::Taken(self.wake(key))
    }

    /// Fresh rows of this lane were written to the database to wait there.
    pub fn note_spilled(&mut self, key: &LaneKey, domain: &Domain, now: Time) {
        let lane = self.lane(key, now);
        lane.note_domain(domain);
        *lane.spilled.entry(domain.clone()).or_default() += 1;
    }

    /// A connection of this lane asks for work; `parked` when it was waiting for some.
    pub fn take(&mut self, key: &LaneKey, parked: bool, now: Time) -> (Turn, Wake) {
        let crowded = !self.starved.is_empty();
        let share = self.limits.connections / (self.starved.len() + self.by_key.len()).max(1);
        let limit = self.limits.recipients_per_transaction;
        let stopping = self.stopping;
        let lane = self.lane(key, now);
        if parked {
            lane.unpark();
        }
        // What stands counts, not what is being made: else new connections would make place for each other for ever.
        let too_many = lane.connections > lane.connection_limit()
            || crowded && (lane.queue.is_empty() || lane.established() > share.max(1));
        if stopping || lane.paused || too_many {
            return (Turn::Close, Wake::Nothing);
        }
        let Some(job) = lane.queue.pop(limit) else {
            lane.idle += 1;
            return (Turn::Park, Wake::Nothing);
        };
        lane.used_at = now;
        lane.in_flight += job.recipients.len() as u64;
        let more = !lane.queue.is_empty() && lane.connecting == 0 && lane.idle == 0;
        let wake = if more { self.wake(key) } else { Wake::Nothing };
        (Turn::Job(job), wake)
    }

    /// Whether spilled rows of this lane should be fetched now; asks once until [`Lanes::pulled`].
    pub fn wants_pull(&mut self, key: &LaneKey) -> bool {
        let Some(lane) = self.by_key.get_mut(key) else {
            return false;
        };
        let wants = !lane.pulling
            && !lane.spilled.is_empty()
            && lane.trouble.is_none()
            && !lane.paused
            && lane.queue.recipients() < LOW_WATER;
        lane.pulling |= wants;
        wants
    }

    /// Domains to fetch for a lane, with how many rows are worth fetching.
    pub fn to_pull(&self, key: &LaneKey) -> (Vec<Domain>, u64) {
        let Some(lane) = self.by_key.get(key) else {
            return (Vec::new(), 0);
        };
        let room = self.room.free_recipients() / 2;
        (lane.spilled.keys().take(50).cloned().collect(), room)
    }

    /// What a fetch found: rows taken, and whether that was all the domain had.
    pub fn pulled(&mut self, key: &LaneKey, found: &[(Domain, u64, bool)]) {
        let Some(lane) = self.by_key.get_mut(key) else {
            return;
        };
        lane.pulling = false;
        for (domain, rows, all) in found {
            if *all {
                lane.spilled.remove(domain);
            } else if let Some(left) = lane.spilled.get_mut(domain) {
                *left = left.saturating_sub(*rows).max(1);
            }
        }
    }

    /// A domain for which something waits here: any will do to find the hosts.
    pub fn next_domain(&self, key: &LaneKey) -> Option<Domain> {
        let lane = self.by_key.get(key)?;
        lane.queue
            .jobs()
            .flat_map(|job| &job.recipients)
            .map(|one| one.domain().clone())
            .next()
    }

    /// A connection that was to be made is not needed any more.
    pub fn connecting_given_up(&mut self, key: &LaneKey, now: Time) -> Wake {
        let lane = self.lane(key, now);
        lane.connecting = lane.connecting.saturating_sub(1);
        self.closed(key, false, now)
    }

    /// A connection stands.
    pub fn connected(&mut self, key: &LaneKey, now: Time) {
        let lane = self.lane(key, now);
        lane.connecting = lane.connecting.saturating_sub(1);
        lane.trouble = None;
    }

    /// A connection could not be made; it is counted out here.
    pub fn connect_failed(&mut self, key: &LaneKey, why: &str, now: Time) -> Failure {
        let limit = self.limits.recipients_per_transaction;
        let lane = self.lane(key, now);
        lane.connecting = lane.connecting.saturating_sub(1);
        lane.connections = lane.connections.saturating_sub(1);
        let others = lane.established();
        let known = lane.trouble.as_ref().is_some_and(|trouble| now < trouble.until);
        let first = if others > 0 || known {
            None
        } else {
            lane.queue.pop(limit)
        };
        if others > 0 {
            lane.limit = others;
            lane.good_run = 0;
        }
        if let Some(first) = &first {
            lane.in_flight += first.recipients.len() as u64;
        }
        self.connections = self.connections.saturating_sub(1);
        if others > 0 {
            return Failure::Retreat;
        }
        let (rest, wait) = self.down(key, why, now);
        Failure::Down { first, rest, wait }
    }

    /// A session ended before its time. After several in a row the destination is in trouble: its jobs wait.
    pub fn session_broken(&mut self, key: &LaneKey, why: &str, now: Time) -> Option<(Vec<Job>, Wait)> {
        let lane = self.lane(key, now);
        lane.broken_run += 1;
        lane.good_run = 0;
        (lane.broken_run >= BROKEN_SESSIONS).then(|| {
            self.lane(key, now).broken_run = 0;
            self.down(key, why, now)
        })
    }

    /// Puts the lane into trouble and empties it.
    fn down(&mut self, key: &LaneKey, why: &str, now: Time) -> (Vec<Job>, Wait) {
        let failures = self
            .by_key
            .get(key)
            .and_then(|lane| lane.trouble.as_ref())
            .map_or(0, |t| t.failures);
        let known = self
            .lane(key, now)
            .trouble
            .as_ref()
            .is_some_and(|trouble| now < trouble.until);
        if !known {
            let until = now.plus(self.back_off(key, failures + 1));
            self.lane(key, now).trouble = Some(Trouble {
                why: why.to_owned(),
                failures: failures + 1,
                until,
            });
        }
        let lane = self.lane(key, now);
        let until = lane.trouble.as_ref().map_or(now, |trouble| trouble.until);
        let rest = lane.queue.drain();
        for recipient in rest.iter().flat_map(|job| &job.recipients) {
            *lane.spilled.entry(recipient.domain().clone()).or_default() += 1;
        }
        lane.last_reply = Some((why.to_owned(), now));
        let reason = format!("waiting: {why}");
        (rest, Wait { until, reason })
    }

    fn back_off(&self, key: &LaneKey, failures: u32) -> Duration {
        self.policy
            .gap(failures, Jitter::of(key.as_str().as_bytes(), 0, failures))
            .min(LONGEST_BACK_OFF)
    }

    /// A job is settled: these recipients are no longer in flight.
    pub fn finished(&mut self, key: &LaneKey, recipients: usize, now: Time) {
        let lane = self.lane(key, now);
        lane.in_flight = lane.in_flight.saturating_sub(recipients as u64);
        lane.used_at = now;
    }

    /// The destination answered: what it said last, and how many recipients it took.
    pub fn answered(&mut self, key: &LaneKey, delivered: u32, reply: String, now: Time) {
        let most = self.limits.connections_per_lane;
        let lane = self.lane(key, now);
        lane.broken_run = 0;
        lane.last_reply = Some((reply, now));
        lane.rate.add(delivered, now);
        lane.good_run += 1;
        // One more connection for each round of good deliveries, so that a limit found too low is found out.
        if lane.limit < most && lane.good_run >= lane.limit {
            lane.limit += 1;
            lane.good_run = 0;
        }
    }

    /// An established connection is gone; `parked` when it was waiting for work.
    pub fn closed(&mut self, key: &LaneKey, parked: bool, now: Time) -> Wake {
        self.connections = self.connections.saturating_sub(1);
        let lane = self.lane(key, now);
        if parked {
            lane.unpark();
        }
        lane.connections = lane.connections.saturating_sub(1);
        if self.stopping {
            return Wake::Nothing;
        }
        match self.next_starved() {
            Wake::Nothing => self.wake(key),
            wake => {
                if self.by_key.get(key).is_some_and(|lane| !lane.queue.is_empty())
                    && !self.starved.contains(key)
                {
                    self.starved.push_back(key.clone());
                }
                wake
            }
        }
    }

    /// A connection has become free over all lanes: the lane that has waited longest for one.
    pub fn next_starved(&mut self) -> Wake {
        // Each once: a lane that still finds no room stands in line again.
        for _ in 0..self.starved.len() {
            let Some(starved) = self.starved.pop_front() else {
                break;
            };
            match self.wake(&starved) {
                Wake::Nothing => {}
                wake => return wake,
            }
        }
        Wake::Nothing
    }

    #[cfg(test)]
    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.by_key.values().flat_map(|lane| lane.queue.jobs())
    }

    /// Whom to call for what waits in a lane.
    fn wake(&mut self, key: &LaneKey) -> Wake {
        let full = self.connections >= self.limits.connections;
        let stopping = self.stopping;
        let Some(lane) = self.by_key.get_mut(key) else {
            return Wake::Nothing;
        };
        if lane.queue.is_empty() || lane.paused || stopping {
            return Wake::Nothing;
        }
        if lane.idle > 0 {
            lane.idle -= 1;
            lane.woken += 1;
            return Wake::Idle(key.clone());
        }
        if lane.connections >= lane.connection_limit() || lane.connecting as u64 >= lane.queue.recipients() {
            return Wake::Nothing;
        }
        if full {
            if !self.starved.contains(key) {
                self.starved.push_back(key.clone());
            }
            return Wake::Nothing;
        }
        lane.connections += 1;
        lane.connecting += 1;
        self.connections += 1;
        Wake::Open(key.clone())
    }

    /// Takes over which lanes are paused; what they held has to wait in the database.
    pub fn set_paused(&mut self, paused_lanes: &[LaneKey], now: Time) -> Vec<(Job, Wait)> {
        for lane in self.by_key.values_mut() {
            lane.paused = false;
        }
        let mut out = Vec::new();
        for key in paused_lanes {
            let lane = self.lane(key, now);
            lane.paused = true;
            let jobs = lane.queue.drain();
            for recipient in jobs.iter().flat_map(|job| &job.recipients) {
                *lane.spilled.entry(recipient.domain().clone()).or_default() += 1;
            }
            out.extend(jobs.into_iter().map(|job| (job, paused(key, now))));
        }
        out
    }

    pub fn paused(&self) -> Vec<LaneKey> {
        self.by_key
            .iter()
            .filter(|(_, lane)| lane.paused)
            .map(|(key, _)| key.clone())
            .collect()
    }

    pub fn is_paused(&self, key: &LaneKey) -> bool {
        self.by_key.get(key).is_some_and(|lane| lane.paused)
    }

    /// Forgets a lane's trouble, because somebody asked to try now.
    pub fn forgive(&mut self, key: &LaneKey) {
        if let Some(lane) = self.by_key.get_mut(key) {
            lane.trouble = None;
            lane.broken_run = 0;
        }
    }

    /// Takes out what waits of a message (or one recipient of it).
    pub fn withdraw(&mut self, message: Id, ordinal: Option<u32>) -> Vec<Job> {
        self.extract(|job_message, at| job_message == message && ordinal.is_none_or(|one| one == at.0))
    }

    /// Takes out the recipients whose time ran out while they waited here.
    pub fn expired(&mut self, now: Time) -> Vec<Job> {
        self.extract(|_, at| at.1 <= now)
    }

    fn extract(&mut self, leaves: impl Fn(Id, (u32, Time)) -> bool) -> Vec<Job> {
        self.by_key
            .values_mut()
            .flat_map(|lane| {
                lane.queue
                    .extract(|message, one| leaves(message.id, (one.ordinal, one.expires_at)))
            })
            .collect()
    }

    /// Drops lanes nobody used for long.
    pub fn forget_unused(&mut self, now: Time) {
        self.by_key
            .retain(|_, lane| !(lane.is_unused() && now.since(lane.used_at) > FORGET));
    }

    /// No more jobs from now on: connections close when they ask for one.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    pub fn connections(&self) -> usize {
        self.connections
    }

    pub fn keys(&self) -> Vec<LaneKey> {
        self.by_key.keys().cloned().collect()
    }

    /// The lane that served this domain last.
    pub fn serving(&self, domain: &Domain) -> Option<LaneKey> {
        let mut lanes = self.by_key.iter();
        lanes
            .find(|(_, lane)| lane.domains.contains(domain))
            .map(|(key, _)| key.clone())
    }

    pub fn views(&self, now: Time) -> Vec<LaneView> {
        let mut views: Vec<_> = self
            .by_key
            .iter()
            .map(|(key, lane)| LaneView {
                lane: key.clone(),
                domains: lane
                    .domains
                    .iter()
                    .map(|domain| domain.to_unicode().into_owned())
                    .collect(),
                waiting: lane.queue.recipients(),
                in_flight: lane.in_flight,
                connections: lane.connections,
                oldest_at: lane.queue.oldest(),
                rate_per_minute: lane.rate.per_minute(now),
                last_reply: lane.last_reply.as_ref().map(|(reply, _)| reply.clone()),
                last_reply_at: lane.last_reply.as_ref().map(|(_, at)| *at),
                paused: lane.paused,
                next_try_at: lane.trouble.as_ref().map(|trouble| trouble.until),
            })
            .collect();
        views.sort_by(|a, b| a.lane.cmp(&b.lane));
        views
    }

    fn lane(&mut self, key: &LaneKey, now: Time) -> &mut Lane {
        let limit = self.limits.connections_per_lane;
        self.by_key
            .entry(key.clone())
            .or_insert_with(|| Lane::new(limit, now))
    }
}

fn paused(key: &LaneKey, now: Time) -> Wait {
    Wait {
        until: now.plus(TURN),
        reason: paused_reason(key),
    }
}

/// The reason rows carry that wait for a paused lane; resuming finds them by it.
pub fn paused_reason(key: &LaneKey) -> String {
    format!("lane {key} is paused by the operator")
}
