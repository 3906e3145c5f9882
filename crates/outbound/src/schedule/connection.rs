//! One connection of one lane: connect, deliver job after job, close.

use std::sync::Arc;

use super::caught::{self, caught};
use super::core::Core;
use super::lanes::{Failure, Turn};
use crate::model::{LaneKey, Link, Outcome, Verdict};

impl Core {
    /// The life of a connection that the lanes have already counted in.
    pub(super) async fn run_connection(self: Arc<Self>, lane: LaneKey) {
        let domain = self.state.lock().lanes.next_domain(&lane);
        let Some(domain) = domain else {
            // Others were quicker: nothing waits any more.
            let wake = {
                let mut state = self.state.lock();
                state.lanes.connecting_given_up(&lane, self.now())
            };
            self.follow(wake);
            return;
        };
        let connecting = async { self.parts.courier.connect(domain.clone()).await };
        let met = caught("connect", connecting)
            .await
            .unwrap_or(Err(caught::outcome(self.now())));
        match met {
            Ok(link) => {
                self.state.lock().lanes.connected(&lane, self.now());
                self.serve(&lane, link).await;
            }
            Err(outcome) => {
                self.counters.connect_failures.add(1);
                self.state.lock().routes.remove(&domain);
                self.connection_failed(&lane, outcome).await;
            }
        }
    }

    async fn connection_failed(self: &Arc<Self>, lane: &LaneKey, outcome: Outcome) {
        let now = self.now();
        let (failure, wake) = {
            let mut state = self.state.lock();
            let failure = state.lanes.connect_failed(lane, &outcome.summary(), now);
            (failure, state.lanes.next_starved())
        };
        self.follow(wake);
        let Failure::Down { first, rest, wait } = failure else {
            return;
        };
        tracing::info!(%lane, why = outcome.summary(), until = %wait.until.rfc3339(), "a destination cannot be reached");
        if let Some(job) = first {
            let outcomes = vec![outcome; job.recipients.len()];
            let count = job.recipients.len();
            self.settle_job(&job, None, outcomes).await;
            self.state.lock().lanes.finished(lane, count, self.now());
        }
        self.spill(rest.into_iter().map(|job| (job, wait.clone())).collect())
            .await;
    }

    /// Takes jobs until the lane has none for long, the other side is done, or the service stops.
    async fn serve(self: &Arc<Self>, lane: &LaneKey, mut link: Box<dyn Link>) {
        let bell = self.bell(lane);
        let mut parked = false;
        let mut patience_is_over = false;
        loop {
            let (turn, wake, pull) = {
                let mut state = self.state.lock();
                let (turn, wake) = state.lanes.take(lane, parked, self.now());
                let pull = state.lanes.wants_pull(lane);
                if pull {
                    state.pulls.push(lane.clone());
                }
                (turn, wake, pull)
            };
            self.follow(wake);
            if pull {
                self.poke.notify_one();
            }
            parked = false;
            match turn {
                Turn::Job(job) => {
                    patience_is_over = false;
                    if !self.deliver(lane, &mut link, job).await {
                        break;
                    }
                }
                // Without this a stop that the lanes were not told of would turn this loop without ever waiting.
                Turn::Park if patience_is_over || self.stop.is_cancelled() => {
                    parked = true;
                    break;
                }
                Turn::Park => {
                    parked = true;
                    tokio::select! {
                        () = bell.notified() => {}
                        () = tokio::time::sleep(self.parts.settings.idle_connection) => patience_is_over = true,
                        () = self.stop.cancelled() => {}
                    }
                }
                Turn::Close => break,
            }
        }
        let wake = self.state.lock().lanes.closed(lane, parked, self.now());
        self.follow(wake);
        link.close().await;
    }
}

/// What the lane learns from a job's outcomes.
pub(super) fn lesson(outcomes: &[Outcome]) -> (u32, Option<&Outcome>) {
    let delivered = outcomes
        .iter()
        .filter(|one| one.verdict == Verdict::Delivered)
        .count() as u32;
    (delivered, outcomes.last())
}
