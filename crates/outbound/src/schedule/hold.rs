//! The mail of paused accounts: held while the pause lasts, on its way again when it is over, whoever lifted it and from where.
//!
//! What waits in the database is held at once; what a node has in hand is held when its turn comes, on any node. Nothing here
//! takes input: the accounts say whose mail is held, and the rows say what is.

use std::collections::BTreeSet;
use std::sync::Arc;

use accounts::Epoch;
use store::Id;

use super::core::Core;
use crate::model::{Job, RecipientKey};
use crate::{settle, spool};

/// Rows looked for at a time, and rows changed in one transaction, so that mail never waits long behind it.
const LOOK: u64 = 20_000;
const STEP: u64 = 500;

/// Whose mail is held, as of a moment.
#[derive(Debug, Default)]
pub(super) struct Followed {
    at: Option<Epoch>,
    accounts: BTreeSet<Id>,
}

impl Core {
    /// Follows who was paused and whose pause was lifted, here or in another process.
    pub(super) async fn follow_holds(self: &Arc<Self>) {
        let accounts = &self.parts.accounts;
        let Ok(epoch) = accounts.refresh().await else {
            return;
        };
        let mut followed = self.holds.lock().await;
        if followed.at == Some(epoch) {
            return;
        }
        let holding: BTreeSet<Id> = match accounts.holding().await {
            Ok(holding) => holding.into_iter().collect(),
            Err(error) => {
                tracing::warn!(%error, "whose mail is held cannot be looked up");
                return;
            }
        };
        let begun: Vec<Id> = holding.difference(&followed.accounts).copied().collect();
        let over: Vec<Id> = followed.accounts.difference(&holding).copied().collect();
        followed.accounts = holding;
        followed.at = Some(epoch);
        drop(followed);
        for account in begun {
            let core = self.clone();
            self.spawn(async move { core.hold_what_waits(account).await });
        }
        for account in over {
            let core = self.clone();
            self.spawn(async move { core.release_held(account).await });
        }
    }

    /// Lets go on what is held of accounts that are not paused any more: what a crash left behind.
    pub(super) async fn release_what_is_left(self: &Arc<Self>) {
        let mut after = None;
        while let Ok(Some(account)) = self
            .parts
            .db
            .peek("look whose mail is held", move |tx| {
                spool::next_holding(tx, after)
            })
            .await
        {
            after = Some(account);
            if matches!(self.parts.accounts.holds(account).await, Ok(false)) {
                self.release_held(account).await;
            }
        }
    }

    async fn hold_what_waits(self: Arc<Self>, account: Id) {
        let mut held = 0;
        loop {
            let reporter = self.reporter.address();
            let found = self
                .parts
                .db
                .read("look for what waits of an account", move |tx| {
                    spool::waiting_of(tx, account, &reporter, LOOK)
                })
                .await;
            let Ok(rows) = found else { break };
            let rows = Arc::new(rows);
            for start in (0..rows.len()).step_by(STEP as usize) {
                if !matches!(self.parts.accounts.holds(account).await, Ok(true)) {
                    return;
                }
                let (rows, now) = (rows.clone(), self.now());
                let step = self.until_written("hold mail of a paused account", move |tx| {
                    let end = rows.len().min(start + STEP as usize);
                    settle::hold(tx, (account, None), &rows[start..end], now)
                });
                held += step.await.unwrap_or_default();
            }
            if (rows.len() as u64) < LOOK {
                break;
            }
        }
        if held > 0 {
            tracing::info!(%account, recipients = held, "mail of a paused account is held");
        }
    }

    async fn release_held(self: &Arc<Self>, account: Id) {
        let (mut after, mut released): (Option<RecipientKey>, u64) = (None, 0);
        loop {
            let from = after;
            let found = self
                .parts
                .db
                .peek("look for what is held of an account", move |tx| {
                    spool::held_of(tx, account, from, STEP)
                })
                .await;
            let Ok(rows) = found else { break };
            let Some(last) = rows.last() else { break };
            after = Some(*last);
            if !matches!(self.parts.accounts.holds(account).await, Ok(false)) {
                break;
            }
            let now = self.now();
            let step = self.until_written("release mail of an account", move |tx| {
                settle::release(tx, account, &rows, now)
            });
            released += step.await.unwrap_or_default();
        }
        if released > 0 {
            tracing::info!(%account, recipients = released, "held mail goes on");
            self.poke.notify_one();
        }
    }

    /// Holds the jobs in hand whose account is paused; returns the others.
    pub(super) async fn hold_paused(self: &Arc<Self>, jobs: Vec<Job>) -> Vec<Job> {
        let mut go_on = Vec::with_capacity(jobs.len());
        for job in jobs {
            if self.is_to_be_held(&job).await {
                self.hold_job(job).await;
            } else {
                go_on.push(job);
            }
        }
        go_on
    }

    pub(super) async fn is_to_be_held(&self, job: &Job) -> bool {
        // Trouble with looking it up is no reason to keep accepted mail from going on.
        !job.message.is_report(&self.reporter.address())
            && matches!(self.parts.accounts.holds(job.message.account).await, Ok(true))
    }

    pub(super) async fn hold_job(self: &Arc<Self>, job: Job) {
        let (account, node, now) = (job.message.account, self.node(), self.now());
        let rows: Vec<RecipientKey> = job
            .recipients
            .iter()
            .map(|one| (job.message.id, one.ordinal))
            .collect();
        self.until_written("hold mail of a paused account", move |tx| {
            settle::hold(tx, (account, Some(node)), &rows, now)
        })
        .await;
    }
}
