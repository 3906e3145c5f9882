//! Staying alive among the nodes, taking over from the dead, and throwing away what is old.

use std::sync::Arc;
use std::time::Duration;

use accounts::retention;
use mail::time::Time;
use store::nodes::{self, HEARTBEAT, Heartbeat};
use store::{Id, Tx, events};
use tokio::time::Instant;

use super::core::Core;
use crate::spool::{self, Keeping, PurgePlace};
use crate::{capture, hooks, idempotency, settle, tracking};

/// Pause between two looks for what is old.
const PURGE_EVERY: Duration = Duration::from_mins(1);
/// What came in so long before the last look is looked at again.
const PURGE_OVERLAP: Duration = Duration::from_mins(5);
/// Rows removed in one transaction, so that mail never waits long behind it.
const PURGE_STEP: u32 = 50;
const DAY: Duration = Duration::from_hours(24);
/// A message that was scheduled, and then tried for long, has its first event so much longer than its last.
const LEFT_LATE: Duration = Duration::from_hours(40 * 24);
/// Held rows given up at a time.
const LAPSE_STEP: u64 = 100;

impl Core {
    /// Registers this node and takes back what its last run left in hand.
    pub async fn recover(&self) -> store::Result<u64> {
        let (node, name, now) = (self.node(), self.parts.settings.node_name.clone(), self.now());
        let freed = self
            .parts
            .db
            .write("register this node", move |tx| {
                nodes::register(tx, node, &name, now)?;
                spool::free(tx, node)
            })
            .await?;
        if freed > 0 {
            tracing::info!(recipients = freed, "taken up again after the last run");
        }
        Ok(freed)
    }

    pub(super) async fn keep_alive(self: Arc<Self>) {
        let mut watch = nodes::Watch::default();
        loop {
            tokio::select! {
                () = tokio::time::sleep(HEARTBEAT) => {}
                () = self.stop.cancelled() => return,
            }
            let (node, name, now) = (self.node(), self.parts.settings.node_name.clone(), self.now());
            let silent = watch.silent(Instant::now());
            let beat = self
                .parts
                .db
                .write("say that this node lives", move |tx| {
                    let lease = nodes::heartbeat(tx, node, &name, now)?;
                    let dead = nodes::still_silent(tx, &silent)?;
                    let freed = free_from(tx, node, &dead)?;
                    Ok((lease, freed, nodes::list(tx)?))
                })
                .await;
            match beat {
                Ok((lease, freed, nodes)) => {
                    watch.look(&nodes, Instant::now());
                    if lease == Heartbeat::Lost {
                        tracing::warn!(
                            "another node took this one for dead: check its load; nothing is recorded twice"
                        );
                    }
                    if freed > 0 {
                        tracing::warn!(recipients = freed, "taken over from a node that died");
                        self.poke.notify_one();
                    }
                }
                Err(error) => {
                    // After an outage of the database every node looks dead for a moment.
                    watch.forget();
                    tracing::warn!(%error, "this node could not say that it lives");
                }
            }
        }
    }

    /// Apart from the heartbeat, which may wait for nothing: who misses it is taken for dead, and its mail is sent again.
    pub(super) async fn tidy_forever(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(HEARTBEAT) => {}
                () = self.stop.cancelled() => return,
            }
            self.sweep().await;
            self.release_what_is_left().await;
            if let Err(error) = self.reconcile().await {
                tracing::warn!(%error, "the database was not compared with what is in hand");
            }
        }
    }

    /// Takes over from nodes that are dead by the clock now, instead of when they have been silent for long enough.
    pub async fn take_over(&self) -> store::Result<u64> {
        let (node, now) = (self.node(), self.now());
        let freed = self
            .parts
            .db
            .write("take over from dead nodes", move |tx| {
                let dead = nodes::dead(tx, now)?;
                free_from(tx, node, &dead)
            })
            .await?;
        self.poke.notify_one();
        Ok(freed)
    }

    /// Enforces the expiry of what waits in memory or is held, and forgets lanes nobody uses.
    pub async fn sweep(self: &Arc<Self>) {
        let now = self.now();
        let late = {
            let mut state = self.state.lock();
            state.lanes.forget_unused(now);
            let known = state.lanes.keys();
            state.bells.retain(|lane, _| known.contains(lane));
            state.lanes.expired(now)
        };
        for job in late {
            self.expire(job).await;
        }
        while self.sweep_held().await && !self.stop.is_cancelled() {}
    }

    /// Gives up some of what is held too long; true where there may be more.
    async fn sweep_held(self: &Arc<Self>) -> bool {
        let claiming = self.claiming.lock().await;
        let (node, now) = (self.node(), self.now());
        let lapsed = self
            .parts
            .db
            .write("give up what is held", move |tx| {
                settle::lapse(tx, node, now, LAPSE_STEP)
            })
            .await;
        let lapsed = match lapsed {
            Ok(lapsed) => lapsed,
            Err(error) => {
                tracing::warn!(%error, "what is held too long could not be given up");
                return false;
            }
        };
        let more = (lapsed.readable.len() + lapsed.unreadable.len()) as u64 == LAPSE_STEP;
        let gripped = self.grip(lapsed.readable);
        drop(claiming);
        for (message, ordinal) in &lapsed.unreadable {
            tracing::error!(
                id = %message, ordinal,
                "a recipient that cannot be read was given up, and its sender gets no report"
            );
        }
        self.counters.expired.add(lapsed.unreadable.len() as u64);
        self.take_up(gripped).await;
        more
    }

    pub(super) async fn purge_forever(self: Arc<Self>) {
        let mut looked = None;
        loop {
            self.purge(&mut looked).await;
            tokio::select! {
                () = tokio::time::sleep(PURGE_EVERY) => {}
                () = self.stop.cancelled() => return,
            }
        }
    }

    /// Removes what is old, step by step, until nothing is. When the inboxes were looked at last is known behind `looked`.
    async fn purge(&self, looked: &mut Option<Time>) {
        // None keeps another from going on.
        for done in [
            self.purge_messages().await,
            self.purge_the_rest().await,
            self.purge_inboxes(looked).await,
        ] {
            if let Err(error) = done {
                tracing::warn!(%error, "what is old could not be removed");
            }
        }
    }

    fn keeping(&self) -> Keeping {
        let settings = &self.parts.settings;
        Keeping {
            content: settings.keep_content,
            messages: settings.keep_messages,
            give_up: settings.retry.give_up,
        }
    }

    /// Account by account, each by what it chose.
    async fn purge_messages(&self) -> store::Result<()> {
        let (keeping, now, db) = (self.keeping(), self.now(), &self.parts.db);
        let mut place = Some(PurgePlace::default());
        while let Some(from) = place {
            if self.stop.is_cancelled() {
                return Ok(());
            }
            let look = move |tx: &mut Tx<'_>| spool::old(tx, &keeping, now, from, PURGE_STEP);
            let found = db.read("look for what is old", look).await?;
            place = found.next;
            if !found.messages.is_empty() {
                let remove = move |tx: &mut Tx<'_>| {
                    for message in spool::remove_old(tx, &found.messages)? {
                        tracking::forget(tx, message)?;
                    }
                    Ok(())
                };
                db.write("remove what is old", remove).await?;
            }
        }
        Ok(())
    }

    /// Keeps the inbox of each account within its limits. Where nothing came in, nothing is to be done.
    async fn purge_inboxes(&self, looked: &mut Option<Time>) -> store::Result<()> {
        let (settings, now, db) = (&self.parts.settings, self.now(), &self.parts.db);
        let limits = (settings.inbox_messages, settings.inbox_octets);
        // Clocks of nodes differ, and transactions take a while.
        let since = looked.map(|at| at.minus(PURGE_OVERLAP));
        let look = move |tx: &mut Tx<'_>| capture::crowded(tx, since, limits);
        for account in db.read("look whose inbox is full", look).await? {
            let remove = move |tx: &mut Tx<'_>| capture::thin_out(tx, account, limits, PURGE_STEP);
            while !self.stop.is_cancelled() && db.write("thin an inbox out", remove).await? > 0 {}
        }
        *looked = Some(now);
        Ok(())
    }

    async fn purge_the_rest(&self) -> store::Result<()> {
        let settings = &self.parts.settings;
        let (keeping, now) = (self.keeping(), self.now());
        let oldest = now.minus(settings.keep_messages);
        while !self.stop.is_cancelled() {
            let step = move |tx: &mut Tx<'_>| {
                let dated = spool::date_anew(tx, &keeping)?;
                let bodies = spool::bodies(tx, &keeping, now, PURGE_STEP)?;
                let captured = capture::purge(tx, oldest, PURGE_STEP)?;
                // Events, and what readers did, go with their messages; this is for what has none any more.
                let longest =
                    retention::longest(tx)?.map_or(keeping.messages, |days| keeping.messages.max(DAY * days));
                let nobodys = now.minus(longest + LEFT_LATE);
                let events = events::prune(tx, nobodys, i64::from(PURGE_STEP))?;
                let keys = idempotency::prune(tx, now, PURGE_STEP)?;
                let said = spool::transcripts::purge(tx, now, PURGE_STEP)?;
                let tracked = tracking::prune(tx, nobodys, now, PURGE_STEP)?;
                let hooked = hooks::prune(tx, now, PURGE_STEP)?;
                Ok(u64::from(dated) + bodies + captured + events + keys + said + tracked + hooked)
            };
            if self.parts.db.write("remove what is old", step).await? == 0 {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Frees what dead nodes had in hand and takes them off the list.
fn free_from(tx: &mut Tx<'_>, judge: Id, dead: &[Id]) -> store::Result<u64> {
    let mut freed = 0;
    for dead in dead.iter().filter(|dead| **dead != judge) {
        freed += spool::free(tx, *dead)?;
        nodes::remove(tx, *dead)?;
    }
    Ok(freed)
}
