//! The lanes in a world of rows, connections and destinations that is driven by hand, its clock as well; `properties` says what has to hold in it.

mod properties;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mail::address::Address;
use mail::notify::Notify;
use mail::reply::Enhanced;
use mail::time::Time;
use store::Id;

use super::lanes::{Failure, Lanes, Limits, Offer, Turn, Wait, Wake};
use crate::model::{
    Grip, Hands, Job, JobRecipient, LaneKey, Leased, Message, Outcome, Room, State, Verdict, Wants,
};
use crate::settle::{self, Jitter, Policy, Standing};

const LANES: usize = 3;
const LIMITS: Limits = Limits {
    connections_per_lane: 2,
    connections: 3,
    recipients_per_transaction: 2,
};
const ROOM: (u64, u64) = (1_000_000, 30);
const LIFE: Duration = Duration::from_hours(5);

#[derive(Clone, Copy, Debug)]
enum Event {
    Accept {
        lane: usize,
        recipients: u8,
    },
    Claim,
    /// The nth connection being made: made, or not.
    Connect(usize, bool),
    /// The nth job in flight: how it ends, and whether the connection survives.
    Deliver(usize, Verdict, bool),
    IdleOver(usize),
    Pass(u16),
    /// Somebody corrects the clock.
    SetBack(u16),
    /// What waits in memory too long is given up.
    Sweep,
    Pause(usize, bool),
    Cancel(usize),
    Pull(usize),
    Crash,
    /// The nth waiting row stands as in hand though nothing here holds it.
    Lose(usize),
    /// Another node took this one for dead: every row is given back, and what is in memory stays there.
    TakenForDead,
    Reconcile,
}

#[derive(Debug)]
struct Row {
    lane: usize,
    state: State,
    reason: String,
    in_hand: bool,
    next_at: Time,
    attempts: u32,
    recipient: JobRecipient,
    taken_by_peer: bool,
    /// It stands as in hand, and nothing here knows.
    lost: bool,
}

#[derive(Debug)]
enum Connection {
    Connecting,
    Parked,
    Busy(Job),
}

struct World {
    now: Time,
    policy: Policy,
    room: Arc<Room>,
    hands: Arc<Hands>,
    lanes: Lanes,
    rows: HashMap<(Id, u32), Row>,
    connections: Vec<(usize, Connection)>,
    paused: [bool; LANES],
    made: u64,
}

fn key(lane: usize) -> LaneKey {
    LaneKey::new(&format!("lane{lane}"))
}

fn lane_of(key: &LaneKey) -> usize {
    key.as_str()[4..].parse().unwrap()
}

impl World {
    fn new() -> Self {
        let policy = Policy {
            retry: vec![Duration::from_mins(1), Duration::from_mins(10)],
            give_up: LIFE,
            warn_after: Duration::ZERO,
        };
        let room = Room::new(ROOM.0, ROOM.1);
        Self {
            now: Time::from_secs(1_800_000_000),
            lanes: Lanes::new(LIMITS, policy.clone(), room.clone()),
            policy,
            room,
            hands: Arc::default(),
            rows: HashMap::new(),
            connections: Vec::new(),
            paused: [false; LANES],
            made: 0,
        }
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Accept { lane, recipients } => self.accept(lane, recipients),
            Event::Claim => self.claim(),
            Event::Connect(nth, made) => self.connect(nth, made),
            Event::Deliver(nth, verdict, survives) => self.deliver(nth, verdict, survives),
            Event::IdleOver(nth) => self.idle_over(nth),
            Event::Pass(seconds) => self.now = self.now.plus(Duration::from_secs(u64::from(seconds))),
            Event::SetBack(seconds) => self.now = self.now.minus(Duration::from_secs(u64::from(seconds))),
            Event::Sweep => self.sweep(),
            Event::Pause(lane, paused) => self.pause(lane, paused),
            Event::Cancel(nth) => self.cancel(nth),
            Event::Pull(lane) => self.pull(lane),
            Event::Crash => self.crash(),
            Event::Lose(nth) => self.lose(nth),
            Event::TakenForDead => self.rows.values_mut().for_each(|row| row.in_hand = false),
            Event::Reconcile => self.reconcile(),
        }
        self.check();
    }

    fn accept(&mut self, lane: usize, recipients: u8) {
        self.made += 1;
        let mut bytes = [0; 16];
        bytes[8..].copy_from_slice(&self.made.to_be_bytes());
        let id = Id::from_bytes(bytes);
        let count = u32::from(recipients);
        let held = self.room.hold(10, u64::from(count));
        let admitted = self.lanes.admits(&key(lane), u64::from(count), 10, self.now);
        let in_hand = held.is_some() && admitted.is_ok();
        let recipients: Vec<JobRecipient> = (0..count)
            .map(|ordinal| JobRecipient {
                ordinal,
                address: Address::parse(&format!("u{ordinal}@d{lane}.example")).unwrap(),
                notify: Notify::default(),
                orcpt: None,
                attempts: 0,
                expires_at: self.now.plus(LIFE),
                warned: false,
                grip: if in_hand {
                    self.hands.take(id, &[ordinal]).remove(0).unwrap()
                } else {
                    Grip::default()
                },
            })
            .collect();
        for recipient in &recipients {
            let wait = admitted.as_ref().err();
            let row = Row {
                lane,
                state: State::Queued,
                reason: wait.map_or("fresh".to_owned(), |wait| wait.reason.clone()),
                in_hand,
                next_at: wait.map_or(self.now, |wait| wait.until).min(recipient.expires_at),
                attempts: 0,
                recipient: JobRecipient {
                    grip: Grip::default(),
                    ..recipient.clone()
                },
                taken_by_peer: false,
                lost: false,
            };
            self.rows.insert((id, recipient.ordinal), row);
            if !in_hand && admitted.is_err() {
                self.lanes.note_spilled(&key(lane), recipient.domain(), self.now);
            }
        }
        if let (Some(held), true) = (held, in_hand) {
            let job = self.job(id, recipients, Arc::new(held));
            self.offer(lane, job);
        }
    }

    fn job(&self, id: Id, recipients: Vec<JobRecipient>, held: Arc<crate::model::Held>) -> Job {
        let message = Message {
            id,
            account: Id::from_bytes([id.as_bytes()[15] % 3; 16]),
            stream: String::new(),
            reverse_path: None,
            header_from: String::new(),
            subject: String::new(),
            ret: None,
            envid: None,
            size: 10,
            recipients: recipients.len() as u32,
            created_at: self.now,
            wants: Wants::default(),
        };
        Job {
            message: Arc::new(message),
            body: None,
            pattern: None,
            recipients,
            leased: Leased::now(self.now),
            held,
        }
    }

    fn offer(&mut self, lane: usize, job: Job) {
        match self.lanes.offer(&key(lane), job, self.now) {
            Offer::Taken(wake) => self.follow(wake),
            Offer::Waits(job, wait) => self.spill(&job, &wait),
        }
    }

    fn spill(&mut self, job: &Job, wait: &Wait) {
        for one in &job.recipients {
            let row = self.rows.get_mut(&(job.message.id, one.ordinal)).unwrap();
            if row.in_hand {
                row.in_hand = false;
                row.reason.clone_from(&wait.reason);
                row.next_at = wait.until.min(one.expires_at);
            }
        }
    }

    fn claim(&mut self) {
        let mut due: Vec<(Id, u32)> = self
            .rows
            .iter()
            .filter(|(_, row)| row.state.is_waiting() && !row.in_hand && row.next_at <= self.now)
            .map(|(at, _)| *at)
            .collect();
        due.sort();
        due.truncate(self.room.free_recipients().min(5) as usize);
        self.take_up(&due);
    }

    fn take_up(&mut self, due: &[(Id, u32)]) {
        for at in due {
            let held = Arc::new(self.room.hold_anyway(0, 1));
            let row = self.rows.get_mut(at).unwrap();
            if row.recipient.expires_at <= self.now {
                row.state = State::Expired;
                continue;
            }
            row.in_hand = true;
            row.recipient.attempts = row.attempts;
            let Some(grip) = self.hands.take(at.0, &[at.1]).remove(0) else {
                continue;
            };
            let (lane, recipient) = (
                row.lane,
                JobRecipient {
                    grip,
                    ..row.recipient.clone()
                },
            );
            let job = self.job(at.0, vec![recipient], held);
            self.offer(lane, job);
        }
    }

    fn pull(&mut self, lane: usize) {
        if !self.lanes.wants_pull(&key(lane)) {
            return;
        }
        let (domains, room) = self.lanes.to_pull(&key(lane));
        let mut found = Vec::new();
        for domain in domains {
            let mut rows: Vec<(Id, u32)> = self
                .rows
                .iter()
                .filter(|(_, row)| {
                    row.state == State::Queued && !row.in_hand && row.recipient.domain() == &domain
                })
                .map(|(at, _)| *at)
                .collect();
            rows.sort();
            let all = (rows.len() as u64) < room;
            rows.truncate(room as usize);
            self.take_up(&rows);
            found.push((domain, rows.len() as u64, all));
        }
        self.lanes.pulled(&key(lane), &found);
    }

    fn follow(&mut self, wake: Wake) {
        match wake {
            Wake::Nothing => {}
            Wake::Open(lane) => self.connections.push((lane_of(&lane), Connection::Connecting)),
            Wake::Idle(lane) => {
                let parked = self.nth(0, |at, connection| {
                    at == lane_of(&lane) && matches!(connection, Connection::Parked)
                });
                self.ask(parked.expect("an idle connection was there to wake"), true);
            }
        }
    }

    /// A connection asks for its next job.
    fn ask(&mut self, index: usize, parked: bool) {
        let lane = self.connections[index].0;
        let (turn, wake) = self.lanes.take(&key(lane), parked, self.now);
        match turn {
            Turn::Job(job) => {
                assert!(job.recipients.len() <= LIMITS.recipients_per_transaction);
                self.connections[index].1 = Connection::Busy(job);
            }
            Turn::Park => self.connections[index].1 = Connection::Parked,
            Turn::Close => self.close(index, false),
        }
        self.follow(wake);
    }

    fn close(&mut self, index: usize, parked: bool) {
        let (lane, _) = self.connections.remove(index);
        let wake = self.lanes.closed(&key(lane), parked, self.now);
        self.follow(wake);
    }

    fn nth(&self, nth: usize, fits: impl Fn(usize, &Connection) -> bool) -> Option<usize> {
        let indexes: Vec<usize> = (0..self.connections.len())
            .filter(|index| fits(self.connections[*index].0, &self.connections[*index].1))
            .collect();
        (!indexes.is_empty()).then(|| indexes[nth % indexes.len()])
    }

    fn connect(&mut self, nth: usize, made: bool) {
        let Some(index) = self.nth(nth, |_, one| matches!(one, Connection::Connecting)) else {
            return;
        };
        let lane = self.connections[index].0;
        if self.lanes.next_domain(&key(lane)).is_none() {
            self.connections.remove(index);
            let wake = self.lanes.connecting_given_up(&key(lane), self.now);
            self.follow(wake);
        } else if made {
            self.lanes.connected(&key(lane), self.now);
            self.ask(index, false);
        } else {
            self.connections.remove(index);
            if let Failure::Down { first, rest, wait } =
                self.lanes.connect_failed(&key(lane), "refused", self.now)
            {
                if let Some(job) = first {
                    let count = job.recipients.len();
                    self.settle(&job, Verdict::Deferred);
                    self.lanes.finished(&key(lane), count, self.now);
                }
                for job in rest {
                    self.spill(&job, &wait);
                }
            }
            let wake = self.lanes.next_starved();
            self.follow(wake);
        }
    }

    fn deliver(&mut self, nth: usize, verdict: Verdict, survives: bool) {
        let Some(index) = self.nth(nth, |_, one| matches!(one, Connection::Busy(_))) else {
            return;
        };
        let lane = self.connections[index].0;
        let Connection::Busy(job) = std::mem::replace(&mut self.connections[index].1, Connection::Parked)
        else {
            unreachable!("it was chosen for being busy")
        };
        if !survives && verdict == Verdict::Deferred {
            if let Some((jobs, wait)) = self.lanes.session_broken(&key(lane), "421 broken", self.now) {
                for job in jobs {
                    self.spill(&job, &wait);
                }
            }
        } else {
            self.lanes.answered(&key(lane), 1, "250 ok".to_owned(), self.now);
        }
        self.settle(&job, verdict);
        self.lanes.finished(&key(lane), job.recipients.len(), self.now);
        drop(job);
        if survives {
            self.ask(index, false);
        } else {
            self.close(index, false);
        }
    }

    fn settle(&mut self, job: &Job, verdict: Verdict) {
        for one in &job.recipients {
            let row = self.rows.get_mut(&(job.message.id, one.ordinal)).unwrap();
            if !row.in_hand {
                // The lease is lost: cancelled meanwhile. Nothing is recorded.
                continue;
            }
            assert!(!row.taken_by_peer, "sent again after a recorded delivery");
            let standing = Standing {
                state: row.state,
                attempts: row.attempts,
                created_at: job.message.created_at,
                expires_at: one.expires_at,
                notify: one.notify,
                warned: one.warned,
            };
            let outcome = Outcome::without_reply(verdict, Enhanced::new(4, 0, 0), "said", self.now);
            let next = settle::next(&standing, &outcome, &self.policy, Jitter::NONE, self.now).unwrap();
            row.attempts += 1;
            row.state = next.state;
            row.reason = next.reason;
            row.in_hand = false;
            row.next_at = next.next_at.unwrap_or(self.now);
            row.taken_by_peer = next.state == State::Delivered;
        }
    }

    fn idle_over(&mut self, nth: usize) {
        let Some(index) = self.nth(nth, |_, one| matches!(one, Connection::Parked)) else {
            return;
        };
        let lane = self.connections[index].0;
        let (turn, wake) = self.lanes.take(&key(lane), true, self.now);
        match turn {
            Turn::Job(job) => self.connections[index].1 = Connection::Busy(job),
            Turn::Park => self.close(index, true),
            Turn::Close => self.close(index, false),
        }
        self.follow(wake);
    }

    fn pause(&mut self, lane: usize, paused: bool) {
        self.paused[lane] = paused;
        let keys: Vec<LaneKey> = (0..LANES).filter(|lane| self.paused[*lane]).map(key).collect();
        for (job, wait) in self.lanes.set_paused(&keys, self.now) {
            self.spill(&job, &wait);
        }
        if !paused {
            let reason = super::paused_reason(&key(lane));
            for row in self
                .rows
                .values_mut()
                .filter(|row| row.reason == reason && !row.in_hand)
            {
                row.next_at = row.next_at.min(self.now);
            }
        }
    }

    fn cancel(&mut self, nth: usize) {
        let mut waiting: Vec<(Id, u32)> = self
            .rows
            .iter()
            .filter(|(_, row)| row.state.is_waiting())
            .map(|(at, _)| *at)
            .collect();
        waiting.sort();
        if waiting.is_empty() {
            return;
        }
        let at = waiting[nth % waiting.len()];
        self.lanes.withdraw(at.0, Some(at.1));
        let row = self.rows.get_mut(&at).unwrap();
        row.state = State::Cancelled;
        row.in_hand = false;
    }

    fn crash(&mut self) {
        self.connections.clear();
        self.room = Room::new(ROOM.0, ROOM.1);
        self.hands = Arc::default();
        self.lanes = Lanes::new(LIMITS, self.policy.clone(), self.room.clone());
        for row in self.rows.values_mut() {
            row.in_hand = false;
            row.lost = false;
        }
        let keys: Vec<LaneKey> = (0..LANES).filter(|lane| self.paused[*lane]).map(key).collect();
        assert!(self.lanes.set_paused(&keys, self.now).is_empty());
    }

    fn sweep(&mut self) {
        for job in self.lanes.expired(self.now) {
            for one in &job.recipients {
                let row = self.rows.get_mut(&(job.message.id, one.ordinal)).unwrap();
                if row.in_hand {
                    row.state = State::Expired;
                    row.in_hand = false;
                }
            }
        }
    }

    fn lose(&mut self, nth: usize) {
        let mut waiting: Vec<(Id, u32)> = self
            .rows
            .iter()
            .filter(|(at, row)| row.state.is_waiting() && !row.in_hand && !self.hands.holds(**at))
            .map(|(at, _)| *at)
            .collect();
        waiting.sort();
        if waiting.is_empty() {
            return;
        }
        let row = self.rows.get_mut(&waiting[nth % waiting.len()]).unwrap();
        row.in_hand = true;
        row.lost = true;
    }

    fn reconcile(&mut self) {
        for (at, row) in self.rows.iter_mut().filter(|(_, row)| row.in_hand) {
            if !self.hands.holds(*at) {
                row.in_hand = false;
                row.lost = false;
            }
        }
    }

    fn check(&self) {
        let busy = self.connections.iter().filter_map(|(_, one)| match one {
            Connection::Busy(job) => Some(job),
            _ => None,
        });
        let mut in_memory: HashMap<(Id, u32), usize> = HashMap::new();
        for job in self.lanes.jobs().chain(busy) {
            for one in &job.recipients {
                *in_memory.entry((job.message.id, one.ordinal)).or_default() += 1;
            }
        }
        for (at, row) in &self.rows {
            let copies = in_memory.get(at).copied().unwrap_or(0);
            assert_eq!(
                copies,
                usize::from(self.hands.holds(*at)),
                "in hand once: {row:?}"
            );
            if row.state.is_waiting() {
                assert!(
                    copies == 1 || !row.in_hand || row.lost,
                    "a row in hand is in memory: {row:?}"
                );
                assert!(
                    !row.reason.is_empty() && row.next_at <= row.recipient.expires_at,
                    "{row:?}"
                );
            }
        }
        assert!(self.connections.len() <= LIMITS.connections);
        assert_eq!(self.connections.len(), self.lanes.connections());
        for lane in 0..LANES {
            let open = self.connections.iter().filter(|(of, _)| *of == lane).count();
            assert!(open <= LIMITS.connections_per_lane);
        }
    }

    /// From here on no destination ever answers, and lanes stay paused as they are: whatever waits, wherever it waits, must expire.
    fn run_out_of_time(&mut self) {
        for _ in 0..100 {
            for _ in 0..LIMITS.connections {
                self.step(Event::Connect(0, false));
                self.step(Event::Deliver(0, Verdict::Deferred, false));
                self.step(Event::IdleOver(0));
            }
            self.step(Event::Sweep);
            self.step(Event::Reconcile);
            let is_due = |row: &Row, now| row.state.is_waiting() && !row.in_hand && row.next_at <= now;
            for _ in 0..self.rows.len() {
                if self.room.free_recipients() == 0 || !self.rows.values().any(|row| is_due(row, self.now)) {
                    break;
                }
                self.step(Event::Claim);
            }
            if !self.rows.values().any(|row| row.state.is_waiting()) {
                return;
            }
            self.step(Event::Pass(1_800));
        }
        let stuck: Vec<_> = self.rows.values().filter(|row| row.state.is_waiting()).collect();
        panic!("these wait for ever: {stuck:?}");
    }

    /// From here on every destination is well: everything that waits must get there, or expire.
    fn settle_down(&mut self) {
        for lane in 0..LANES {
            self.pause(lane, false);
        }
        for round in 0..4_000 {
            if !self.rows.values().any(|row| row.state.is_waiting()) {
                return;
            }
            self.step(Event::Claim);
            self.step(Event::Reconcile);
            self.step(Event::Pull(round % LANES));
            self.step(Event::Connect(0, true));
            self.step(Event::Deliver(round, Verdict::Delivered, true));
            if round % 3 == 0 {
                self.step(Event::IdleOver(round));
                self.step(Event::Pass(20));
            }
        }
        let stuck: Vec<_> = self.rows.values().filter(|row| row.state.is_waiting()).collect();
        panic!("these never left: {stuck:?}");
    }
}
