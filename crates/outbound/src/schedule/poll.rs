//! Taking up what waits in the database: idempotent, without input, called by a bell and by the clock.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use mail::address::Domain;
use mail::time::Time;
use store::{Id, Topic};

use super::core::Core;
use crate::model::{Job, LaneKey, Leased};
use crate::spool::{self, Claimed};

/// The poller looks at least this often.
const EVERY: Duration = Duration::from_secs(1);
/// And at most this often, however soon the next row is due.
const PAUSE: Duration = Duration::from_millis(20);
/// Rows taken in one transaction.
pub(super) const CLAIM: u64 = 500;
/// Messages whose recipients are given up at once.
const GIVEN_UP_AT_ONCE: usize = 8;
/// Rows of its past that a lane fetches at once.
const PULL: u64 = 1_000;

/// Rows that this node has in hand, on their way to their lanes.
#[derive(Default)]
pub(super) struct Gripped {
    pub(super) jobs: HashMap<Id, Job>,
    /// Those whose time ran out while they waited.
    late: HashMap<Id, Job>,
    /// Domains whose trouble is to be forgotten.
    forgive: Vec<Domain>,
}

impl Core {
    pub(super) async fn poll_forever(self: Arc<Self>) {
        let mut bell = self.parts.db.bell(Topic::Due);
        loop {
            let pause = self.poll().await;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = bell.rung() => {}
                () = self.poke.notified() => {}
                () = self.stop.cancelled() => return,
            }
        }
    }

    /// One round; says how long there is nothing to do.
    async fn poll(self: &Arc<Self>) -> Duration {
        self.follow_holds().await;
        self.follow_pauses().await;
        self.give_back_what_is_left().await;
        self.pull().await;
        loop {
            let due = match self.parts.db.peek("look for what is due", spool::first_due).await {
                Ok(due) => due,
                Err(error) => {
                    tracing::debug!(%error, "the queue could not be looked at");
                    return EVERY;
                }
            };
            let now = self.now();
            if due.scheduled.is_some_and(|at| at <= now) && self.start_scheduled().await {
                continue;
            }
            let pause = |at: Option<Time>| at.map_or(EVERY, |at| at.since(now).clamp(PAUSE, EVERY));
            if due.waiting.is_none_or(|at| at > now) {
                return pause(due.waiting).min(pause(due.scheduled));
            }
            if self.stop.is_cancelled() || !self.claim_due().await {
                return EVERY;
            }
        }
    }

    /// Takes up rows that are due; false when there is no use in going on now.
    async fn claim_due(self: &Arc<Self>) -> bool {
        let limit = CLAIM.min(self.room.free_recipients());
        if limit == 0 {
            return false;
        }
        let claiming = self.claiming.lock().await;
        let (node, now) = (self.node(), self.now());
        let claimed = self
            .parts
            .db
            .write("take up what is due", move |tx| {
                spool::claim_due(tx, node, now, limit)
            })
            .await;
        match claimed {
            Ok(claimed) => {
                let any = !claimed.is_empty();
                let gripped = self.grip(claimed);
                drop(claiming);
                self.take_up(gripped).await;
                any
            }
            Err(error) => {
                tracing::warn!(%error, "what is due could not be taken up");
                false
            }
        }
    }

    /// Takes claimed rows in hand, before anybody may compare the database with what is in hand again.
    pub(super) fn grip(&self, claimed: Vec<Claimed>) -> Gripped {
        let now = self.now();
        let held = Arc::new(self.room.hold_anyway(0, claimed.len() as u64));
        let mut gripped = Gripped::default();
        let mut messages: HashMap<Id, Vec<Claimed>> = HashMap::new();
        for row in claimed {
            messages.entry(row.message.id).or_default().push(row);
        }
        let taken = messages.into_iter().flat_map(|(message, mut rows)| {
            rows.sort_unstable_by_key(|row| row.recipient.ordinal);
            let ordinals: Vec<u32> = rows.iter().map(|row| row.recipient.ordinal).collect();
            rows.into_iter().zip(self.hands.take(message, &ordinals))
        });
        for (mut row, grip) in taken {
            // Taken from this node while it was in hand, and back with it now: it is where it was.
            let Some(grip) = grip else { continue };
            row.recipient.grip = grip;
            let job = |recipients| Job {
                message: Arc::new(row.message.clone()),
                body: None,
                pattern: None,
                recipients,
                leased: Leased::now(now),
                held: held.clone(),
            };
            if row.recipient.expires_at <= now {
                let late = gripped.late.entry(row.message.id);
                late.or_insert_with(|| job(Vec::new()))
                    .recipients
                    .push(row.recipient);
                continue;
            }
            if row.at_once {
                gripped.forgive.push(row.recipient.domain().clone());
            }
            gripped
                .jobs
                .entry(row.message.id)
                .or_insert_with(|| job(Vec::new()))
                .recipients
                .push(row.recipient);
        }
        gripped
    }

    /// Brings rows in hand to their lanes.
    pub(super) async fn take_up(self: &Arc<Self>, gripped: Gripped) {
        // Several at once, so that they share commits; each may hold a whole message for its report.
        stream::iter(gripped.late.into_values())
            .for_each_concurrent(GIVEN_UP_AT_ONCE, |job| self.expire(job))
            .await;
        if !gripped.forgive.is_empty() {
            let mut state = self.state.lock();
            for domain in &gripped.forgive {
                if let Some((lane, _)) = state.routes.get(domain).cloned() {
                    state.lanes.forgive(&lane);
                }
            }
        }
        let jobs = self.hold_paused(gripped.jobs.into_values().collect()).await;
        let waits = self.place(jobs, self.now());
        self.spill(waits).await;
    }

    /// Fetches what lanes with room had sent to wait.
    async fn pull(self: &Arc<Self>) {
        let lanes = std::mem::take(&mut self.state.lock().pulls);
        for lane in lanes {
            let (domains, room) = self.state.lock().lanes.to_pull(&lane);
            let mut left = PULL.min(room);
            let mut found = Vec::new();
            for domain in domains {
                if left == 0 {
                    break;
                }
                let claiming = self.claiming.lock().await;
                let (whose, limit, wanted) = ((self.node(), self.now()), left, domain.clone());
                let claimed = self
                    .parts
                    .db
                    .write("fetch what waits for a lane", move |tx| {
                        spool::claim_domain(tx, whose, &wanted, limit)
                    })
                    .await;
                let Ok(claimed) = claimed else { break };
                let rows = claimed.len() as u64;
                left -= rows.min(left);
                found.push((domain, rows, rows < limit));
                let gripped = self.grip(claimed);
                drop(claiming);
                self.take_up(gripped).await;
            }
            self.state.lock().lanes.pulled(&lane, &found);
        }
    }

    /// Follows what operators paused and resumed, here or in another process.
    async fn follow_pauses(self: &Arc<Self>) {
        let paused = match self
            .parts
            .db
            .peek("read the paused lanes", super::pauses::paused)
            .await
        {
            Ok(paused) => paused,
            Err(error) => {
                tracing::debug!(%error, "the paused lanes could not be read");
                return;
            }
        };
        let (waits, resumed) = {
            let mut state = self.state.lock();
            let resumed: Vec<LaneKey> = state
                .lanes
                .paused()
                .into_iter()
                .filter(|lane| !paused.contains(lane))
                .collect();
            if resumed.is_empty() && paused.iter().all(|lane| state.lanes.is_paused(lane)) {
                return;
            }
            (state.lanes.set_paused(&paused, self.now()), resumed)
        };
        self.ring_all();
        self.spill(waits).await;
        for lane in resumed {
            self.release(super::paused_reason(&lane)).await;
        }
    }

    /// Makes rows due that wait for this reason.
    async fn release(&self, reason: String) {
        let now = self.now();
        self.until_written("resume a lane", move |tx| spool::resume(tx, &reason, now))
            .await;
    }

    /// Lets every idle connection look at its lane again.
    fn ring_all(&self) {
        for bell in self.state.lock().bells.values() {
            bell.notify_waiters();
        }
    }
}
