//! How much waits, measured now and then beside the mail instead of at every question.

use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use crate::model::Depth;
use crate::spool;

/// Least time between two measurements.
const EVERY: Duration = Duration::from_secs(5);
/// Measuring may take one part in so many of the time.
const SHARE: u32 = 50;

impl Core {
    /// The last measurement.
    pub fn depth(&self) -> Depth {
        self.depth.lock().clone()
    }

    pub(super) async fn measure_forever(self: Arc<Self>) {
        let give_up = self.parts.settings.retry.give_up;
        let mut failing = false;
        loop {
            let asked = tokio::time::Instant::now();
            let measured = self.parts.db.read("measure the queue", move |tx| {
                // Not the wait for a reader, which costs nothing.
                let began = tokio::time::Instant::now();
                Ok((spool::depth(tx, give_up)?, began.elapsed()))
            });
            let pause = match measured.await {
                Ok((depth, took)) => {
                    failing = false;
                    *self.depth.lock() = depth;
                    EVERY.max(took * SHARE)
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "the queue is not measured");
                    }
                    EVERY.max(asked.elapsed() * SHARE)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.cancelled() => return,
            }
        }
    }
}
