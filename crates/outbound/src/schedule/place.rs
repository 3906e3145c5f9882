//! Finding each job's lane, and sending to the database what its lane cannot take.

use std::sync::Arc;
use std::time::Duration;

use mail::address::Domain;
use mail::time::Time;
use store::Id;

use super::caught::{self, caught};
use super::core::{Core, State};
use super::lanes::{Offer, Wait, Wake};
use crate::model::{Held, Job, JobRecipient, LaneKey, Outcome};
use crate::spool::{self, Place};

/// How long a domain's lane is believed without asking the router, which knows the records' own times.
const ROUTE_BELIEVED: Duration = Duration::from_mins(2);
/// Recipients that may wait in memory for the lane of their domain to be found.
const LOOK_UP_QUEUE: usize = 500;
/// Domains remembered with their lane; when there are more, all are asked for again.
const ROUTES: usize = 50_000;

/// A place in memory for a fresh message, taken before it is stored.
#[derive(Debug)]
pub struct Reservation {
    /// Where each recipient waits, in their order.
    pub places: Vec<Place>,
    /// Lanes whose recipients were sent to the database.
    spilled: Vec<(LaneKey, Domain)>,
    /// The memory it takes; none when nothing of it stays in memory.
    pub held: Option<Arc<Held>>,
}

impl Reservation {
    /// Whether any recipient leaves from memory.
    pub fn is_in_hand(&self) -> bool {
        self.places.iter().any(|place| matches!(place, Place::InHand(_)))
    }
}

impl Core {
    /// Decides where the recipients of a fresh message wait.
    pub fn reserve(
        &self,
        (message, recipients): (Id, &mut [JobRecipient]),
        size: u64,
        now: Time,
    ) -> Reservation {
        let mut reservation = Reservation {
            places: Vec::new(),
            spilled: Vec::new(),
            held: None,
        };
        let full = || Place::Waits {
            until: now,
            reason: "waiting for room in memory".to_owned(),
        };
        let state = self.state.lock();
        let held = if state.lanes.is_stopping() {
            None
        } else {
            self.room.hold(size, recipients.len() as u64)
        };
        let Some(held) = held else {
            reservation.places = recipients.iter().map(|_| full()).collect();
            return reservation;
        };
        reservation.held = Some(Arc::new(held));
        let node = self.node();
        for recipient in recipients.iter() {
            let lane = state.route(recipient.domain(), now);
            let admitted = lane
                .as_ref()
                .map_or(Ok(()), |lane| state.lanes.admits(lane, 1, size, now));
            reservation.places.push(match (admitted, lane) {
                (Err(wait), Some(lane)) => {
                    reservation.spilled.push((lane, recipient.domain().clone()));
                    Place::Waits {
                        until: wait.until,
                        reason: wait.reason,
                    }
                }
                _ => Place::InHand(node),
            });
        }
        drop(state);
        // Before they are stored: whoever finds their rows finds them in hand.
        let mut kept: Vec<&mut JobRecipient> = recipients
            .iter_mut()
            .zip(&reservation.places)
            .filter_map(|(recipient, place)| matches!(place, Place::InHand(_)).then_some(recipient))
            .collect();
        let ordinals: Vec<u32> = kept.iter().map(|recipient| recipient.ordinal).collect();
        for (recipient, grip) in kept.iter_mut().zip(self.hands.take(message, &ordinals)) {
            recipient.grip = grip.unwrap_or_default();
        }
        reservation
    }

    /// A fresh message is stored: what was reserved in memory goes to its lanes.
    pub fn fresh(self: &Arc<Self>, mut job: Job, reservation: &Reservation) {
        let now = self.now();
        if !reservation.spilled.is_empty() {
            let mut state = self.state.lock();
            for (lane, domain) in &reservation.spilled {
                state.lanes.note_spilled(lane, domain, now);
            }
            self.counters.spilled.add(reservation.spilled.len() as u64);
        }
        let mut places = reservation.places.iter();
        job.recipients
            .retain(|_| matches!(places.next(), Some(Place::InHand(_))));
        if job.recipients.is_empty() {
            return;
        }
        let waits = self.place(vec![job], now);
        self.spill_later(waits);
    }

    /// Brings jobs to their lanes; returns those that have to wait in the database.
    #[must_use]
    pub(super) fn place(self: &Arc<Self>, jobs: Vec<Job>, now: Time) -> Vec<(Job, Wait)> {
        let mut wakes = Vec::new();
        let mut waits = Vec::new();
        let mut lookups = Vec::new();
        {
            let mut state = self.state.lock();
            for job in jobs {
                for (lane, part) in state.split(job, now) {
                    match lane {
                        Ok(lane) => match state.lanes.offer(&lane, part, now) {
                            Offer::Taken(wake) => wakes.push(wake),
                            Offer::Waits(part, wait) => waits.push((part, wait)),
                        },
                        Err(domain) => match state.look_up_later(&domain, part, now) {
                            Ok(true) => lookups.push(domain),
                            Ok(false) => {}
                            Err(wait) => waits.push(*wait),
                        },
                    }
                }
            }
        }
        for wake in wakes {
            if wake != Wake::Nothing {
                self.follow(wake);
            }
        }
        for domain in lookups {
            let core = self.clone();
            self.spawn(async move { core.look_up(domain).await });
        }
        waits
    }

    /// Asks for the lane of a domain and places what waits for the answer.
    async fn look_up(self: Arc<Self>, domain: Domain) {
        let found = {
            // The semaphore is never closed.
            let _permit = self.lookups.acquire().await;
            let asking = async { self.parts.courier.lane(domain.clone()).await };
            caught("look up a lane", asking)
                .await
                .unwrap_or(Err(caught::outcome(self.now())))
        };
        let now = self.now();
        let jobs = {
            let mut state = self.state.lock();
            if let Ok(lane) = &found {
                state.remember(domain.clone(), lane.clone(), now);
            }
            state.looking_up.remove(&domain).unwrap_or_default()
        };
        match found {
            Ok(_) => {
                let waits = self.place(jobs, now);
                self.spill(waits).await;
            }
            Err(outcome) => self.settle_all(jobs, &outcome).await,
        }
    }

    /// Settles every recipient of these jobs with one outcome: nobody could be asked.
    pub(super) async fn settle_all(self: &Arc<Self>, jobs: Vec<Job>, outcome: &Outcome) {
        for job in jobs {
            let outcomes = vec![outcome.clone(); job.recipients.len()];
            self.settle_job(&job, None, outcomes).await;
        }
    }

    pub(super) fn spill_later(self: &Arc<Self>, waits: Vec<(Job, Wait)>) {
        if !waits.is_empty() {
            let core = self.clone();
            self.spawn(async move { core.spill(waits).await });
        }
    }

    /// Gives rows in hand back to wait in the database.
    pub(super) async fn spill(self: &Arc<Self>, waits: Vec<(Job, Wait)>) {
        let waits = self.warn_waiting(waits).await;
        let rows: Arc<Vec<(Id, JobRecipient, Wait)>> = Arc::new(
            waits
                .iter()
                .flat_map(|(job, wait)| {
                    job.recipients
                        .iter()
                        .map(|one| (job.message.id, one.clone(), wait.clone()))
                })
                .collect(),
        );
        let node = self.node();
        self.counters.spilled.add(rows.len() as u64);
        for start in (0..rows.len()).step_by(500) {
            let rows = rows.clone();
            self.until_written("send rows to wait", move |tx| {
                for (message, recipient, wait) in rows.iter().skip(start).take(500) {
                    spool::wait(tx, node, (*message, recipient), wait.until, &wait.reason)?;
                }
                Ok(())
            })
            .await;
        }
    }
}

impl State {
    fn route(&self, domain: &Domain, now: Time) -> Option<LaneKey> {
        let (lane, until) = self.routes.get(domain)?;
        (now < *until).then(|| lane.clone())
    }

    fn remember(&mut self, domain: Domain, lane: LaneKey, now: Time) {
        if self.routes.len() >= ROUTES {
            self.routes.clear();
        }
        self.routes.insert(domain, (lane, now.plus(ROUTE_BELIEVED)));
    }

    /// Groups a job's recipients by lane, or by domain where the lane is not known.
    fn split(&self, mut job: Job, now: Time) -> Vec<(Result<LaneKey, Domain>, Job)> {
        let recipients = std::mem::take(&mut job.recipients);
        let mut parts: Vec<(Result<LaneKey, Domain>, Vec<JobRecipient>)> = Vec::new();
        let mut known: Option<(Domain, usize)> = None;
        for recipient in recipients {
            let domain = recipient.domain();
            let index = match &known {
                Some((last, index)) if last == domain => *index,
                _ => {
                    let lane = self.route(domain, now).ok_or_else(|| domain.clone());
                    let index = parts
                        .iter()
                        .position(|(other, _)| *other == lane)
                        .unwrap_or_else(|| {
                            parts.push((lane, Vec::new()));
                            parts.len() - 1
                        });
                    known = Some((domain.clone(), index));
                    index
                }
            };
            parts[index].1.push(recipient);
        }
        match parts.len() {
            1 => parts
                .into_iter()
                .map(|(lane, recipients)| {
                    job.recipients = recipients;
                    (lane, job.clone())
                })
                .collect(),
            _ => parts
                .into_iter()
                .map(|(lane, recipients)| (lane, job.part(recipients)))
                .collect(),
        }
    }

    /// Keeps a job until its domain's lane is known; true when nobody is asking yet.
    fn look_up_later(&mut self, domain: &Domain, job: Job, now: Time) -> Result<bool, Box<(Job, Wait)>> {
        let waiting = self.looking_up.entry(domain.clone()).or_default();
        if waiting.iter().map(|job| job.recipients.len()).sum::<usize>() >= LOOK_UP_QUEUE {
            let until = now.plus(Duration::from_mins(1));
            let reason = format!("waiting: the servers for {domain} are being looked up");
            return Err(Box::new((job, Wait { until, reason })));
        }
        waiting.push(job);
        Ok(waiting.len() == 1)
    }
}
