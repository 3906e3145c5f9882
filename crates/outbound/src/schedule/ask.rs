//! What operators and senders ask of the scheduler: look, hurry, cancel.

use std::collections::HashMap;
use std::sync::Arc;

use mail::address::Domain;
use store::{Id, Result, Topic};

use super::core::{Core, State};
use super::view::LaneView;
use crate::model::{Asked, Job, LaneKey};
use crate::settle;
use crate::spool::{self, Cancelled, InHand};

impl State {
    /// Where a domain's mail goes, or went before its servers stopped answering.
    fn lane_of(&self, domain: &Domain) -> Option<LaneKey> {
        let known = self.routes.get(domain).map(|(lane, _)| lane.clone());
        known.or_else(|| self.lanes.serving(domain))
    }
}

impl Core {
    /// Every lane with what waits for it, in memory and in the database.
    pub fn views(&self) -> Vec<LaneView> {
        let now = self.now();
        let depth = self.depth();
        let (views, routes) = {
            let state = self.state.lock();
            let routes: HashMap<Domain, LaneKey> = depth
                .domains
                .keys()
                .filter_map(|domain| Some((domain.clone(), state.lane_of(domain)?)))
                .collect();
            (state.lanes.views(now), routes)
        };
        let mut by_lane: HashMap<LaneKey, LaneView> =
            views.into_iter().map(|view| (view.lane.clone(), view)).collect();
        for (domain, waiting) in depth.domains {
            // Mail whose lane nobody has looked up yet stands under its domain.
            let lane = routes
                .get(&domain)
                .cloned()
                .unwrap_or_else(|| LaneKey::new(domain.as_str()));
            let view = by_lane
                .entry(lane.clone())
                .or_insert_with(|| LaneView::empty(lane));
            view.waiting += waiting.waiting;
            view.oldest_at = Some(
                view.oldest_at
                    .map_or(waiting.oldest_at, |oldest| oldest.min(waiting.oldest_at)),
            );
            let name = domain.to_unicode().into_owned();
            if view.domains.len() < 8 && !view.domains.contains(&name) {
                view.domains.push(name);
            }
        }
        let mut views: Vec<_> = by_lane.into_values().collect();
        views.sort_by(|a, b| b.waiting.cmp(&a.waiting).then_with(|| a.lane.cmp(&b.lane)));
        views
    }

    /// Forgets a lane's trouble and makes everything due that waits for it; says how many rows.
    pub async fn retry_lane(self: &Arc<Self>, lane: &LaneKey, asked: Asked) -> Result<u64> {
        let depth = self.depth();
        let domains: Vec<Domain> = {
            let mut state = self.state.lock();
            state.lanes.forgive(lane);
            depth
                .domains
                .into_keys()
                .filter(|domain| match state.lane_of(domain) {
                    Some(of) => of == *lane,
                    None => domain.as_str() == lane.as_str(),
                })
                .collect()
        };
        let lane = lane.clone();
        self.parts
            .db
            .write("retry a lane", move |tx| {
                let mut rows = 0;
                for domain in &domains {
                    rows += spool::hurry(tx, domain, asked.at)?;
                }
                asked.note(tx, None, "lane.retried", lane.as_str())?;
                tx.ring(Topic::Due);
                Ok(rows)
            })
            .await
    }

    /// Cancels what waits of a message; what is on the wire in this process stays.
    pub async fn cancel(
        self: &Arc<Self>,
        message: Id,
        ordinal: Option<u32>,
        asked: Asked,
    ) -> Result<Cancelled> {
        let withdrawn = self.state.lock().withdraw(message, ordinal);
        let ordinals: Vec<u32> = withdrawn
            .iter()
            .flat_map(|job| &job.recipients)
            .map(|one| one.ordinal)
            .collect();
        let (node, now) = (self.node(), asked.at);
        let cancelled = self
            .parts
            .db
            .write("cancel", move |tx| {
                let ours = InHand {
                    node,
                    withdrawn: &ordinals,
                };
                settle::cancel(tx, message, ordinal, Some(ours), &asked)
            })
            .await;
        if let Ok(cancelled) = &cancelled {
            self.counters.cancelled.add(cancelled.ordinals.len() as u64);
        } else {
            // Not cancelled: they go on where they were.
            let waits = self.place(withdrawn, now);
            self.spill_later(waits);
        }
        cancelled
    }
}

impl super::core::State {
    /// Takes what waits of a message out of memory.
    fn withdraw(&mut self, message: Id, ordinal: Option<u32>) -> Vec<Job> {
        let mut out = self.lanes.withdraw(message, ordinal);
        for jobs in self.looking_up.values_mut() {
            let (ours, others): (Vec<Job>, Vec<Job>) = std::mem::take(jobs)
                .into_iter()
                .partition(|job| job.message.id == message);
            *jobs = others;
            for job in ours {
                let (leaves, stays): (Vec<_>, Vec<_>) = job
                    .recipients
                    .iter()
                    .cloned()
                    .partition(|one| ordinal.is_none_or(|this| this == one.ordinal));
                if !stays.is_empty() {
                    jobs.push(job.part(stays));
                }
                if !leaves.is_empty() {
                    out.push(job.part(leaves));
                }
            }
        }
        out
    }
}
