//! Scheduled mail whose time has come: looked at once more, because much can change until then, and brought to its lanes.

use std::sync::Arc;

use super::core::Core;
use super::poll::CLAIM;
use crate::model::Job;
use crate::settle::{self, Started};
use crate::spool::Settled;
use crate::suppressions;

impl Core {
    /// Lets scheduled rows go whose time has come; false when there is no use in going on now.
    pub(super) async fn start_scheduled(self: &Arc<Self>) -> bool {
        let limit = CLAIM.min(self.room.free_recipients());
        if limit == 0 {
            return false;
        }
        let claiming = self.claiming.lock().await;
        let (node, now, give_up) = (self.node(), self.now(), self.parts.settings.retry.give_up);
        let started = self
            .parts
            .db
            .write("start what was scheduled", move |tx| {
                settle::start_scheduled(tx, node, (now, give_up), limit)
            })
            .await;
        let Started { begun, held } = match started {
            Ok(started) => started,
            Err(error) => {
                tracing::warn!(%error, "what was scheduled could not be started");
                return false;
            }
        };
        if held > 0 {
            tracing::warn!(
                recipients = held,
                "scheduled mail is held: its time passed long ago, and a person has to say whether it still goes"
            );
        }
        let any = held > 0 || !begun.is_empty();
        let mut gripped = self.grip(begun);
        drop(claiming);
        for job in gripped.jobs.values_mut() {
            self.leave_out_suppressed(job).await;
        }
        gripped.jobs.retain(|_, job| !job.recipients.is_empty());
        self.take_up(gripped).await;
        any
    }

    /// Settles the recipients of a job who came onto the account's list while it was scheduled.
    async fn leave_out_suppressed(self: &Arc<Self>, job: &mut Job) {
        let account = job.message.account;
        // Trouble with looking it up is no reason to keep accepted mail from going on.
        if !matches!(self.parts.accounts.suppresses(account).await, Ok(true)) {
            return;
        }
        let stream = job.message.stream.clone();
        let addresses: Vec<_> = job.recipients.iter().map(|one| one.address.clone()).collect();
        let found = self
            .until_read("look who is suppressed", move |tx| {
                suppressions::filter(tx, account, &stream, addresses.iter())
            })
            .await
            .unwrap_or_default();
        if found.is_empty() {
            return;
        }
        let (mut suppressed, mut rest) = (Vec::new(), Vec::new());
        for (place, recipient) in std::mem::take(&mut job.recipients).into_iter().enumerate() {
            match found.get(&place) {
                Some(why) => {
                    let settled = Settled {
                        ordinal: recipient.ordinal,
                        attempts: recipient.attempts,
                        outcome: None,
                        next: settle::suppress(recipient.notify, why),
                    };
                    suppressed.push((recipient, settled));
                }
                None => rest.push(recipient),
            }
        }
        self.record(job, None, suppressed).await;
        job.recipients = rest;
    }
}
