//! What the database says is in hand of this node, compared with what is: rows that nothing here holds go back to wait.
//!
//! They are left over by a COMMIT whose answer was lost and by a task that panicked. A row whose result is being written is
//! still in hand, and one that is being claimed is kept out by a lock, so none is given back that somebody works on.

use super::core::Core;
use crate::model::RecipientKey;
use crate::spool;

/// Rows compared at a time.
const PAGE: u64 = 1_000;
/// Pages in one round; with more in hand, the next round goes on where this one stopped.
const PAGES: u32 = 20;

impl Core {
    /// One round; says how many rows were given back.
    pub async fn reconcile(&self) -> store::Result<u64> {
        let mut freed = 0;
        for _ in 0..PAGES {
            let mut reached = self.claiming.lock().await;
            let (node, after) = (self.node(), *reached);
            let rows = self
                .parts
                .db
                .read("look at what is in hand", move |tx| {
                    spool::in_hand(tx, node, after, PAGE)
                })
                .await?;
            *reached = rows.last().copied().filter(|_| rows.len() as u64 == PAGE);
            // Asked for after the database: what was let go of in between is not this node's there any more, and stays as it is.
            let lost = rows.into_iter().filter(|key| !self.hands.holds(*key)).collect();
            freed += self.give_back(lost).await?;
            if reached.is_none() {
                break;
            }
        }
        Ok(freed)
    }

    /// Gives back what came again while it was in hand and was let go of since.
    pub(super) async fn give_back_what_is_left(&self) {
        let left = self.hands.left();
        if left.is_empty() {
            return;
        }
        let _claiming = self.claiming.lock().await;
        let lost = left.into_iter().filter(|key| !self.hands.holds(*key)).collect();
        if let Err(error) = self.give_back(lost).await {
            tracing::debug!(%error, "rows could not be given back; the next round finds them");
        }
    }

    async fn give_back(&self, lost: Vec<RecipientKey>) -> store::Result<u64> {
        if lost.is_empty() {
            return Ok(0);
        }
        let node = self.node();
        let freed = self
            .parts
            .db
            .write("give back what nobody holds", move |tx| {
                spool::give_back(tx, node, &lost)
            })
            .await?;
        if freed > 0 {
            tracing::warn!(
                recipients = freed,
                "taken up again: they stood as in hand, and nothing held them"
            );
            self.counters.recovered.add(freed);
            self.poke.notify_one();
        }
        Ok(freed)
    }
}
