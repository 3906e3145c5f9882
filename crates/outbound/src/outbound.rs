//! Sending as the binary holds it: the door, the scheduler, and what can be asked of them.

mod links;
mod reports;
mod suppressions;
mod templates;

use std::sync::Arc;
use std::time::Duration;

use accounts::By;
use mail::message::Head;
use mail::time::Time;
use store::search::Found;
use store::{ErrorKind, Id, Result, StoreError, Topic, Tx};

use crate::accept::Door;
use crate::capture::{self, Captured, InboxFilter};
use crate::hooks::Hooks;
use crate::model::{
    Accepted, Asked, Counters, Counts, Depth, LaneKey, Refused, Submission, Unrecorded, Window,
};
use crate::schedule::{Core, LaneView, Parts, pauses};
use crate::settle;
use crate::spool::history::{self, Detail, ExportPage, ExportPlace, Filter, Provenance, Summary};
use crate::spool::transcripts;
use crate::spool::{self, Cancelled, Changed};
use crate::statistics;
use crate::turns::{PATIENCE, Turn, Turns};

pub use links::{Preferences, Subscription};
pub use suppressions::{Imported, Suppress, Suppressed};
pub use templates::{Made, Wording};

/// Sending. Clones share it; when the last one is dropped without [`Outbound::shut_down`] its tasks end where they stand,
/// as with a killed process, and the next start takes up what they had in hand.
#[derive(Clone)]
pub struct Outbound(Arc<Inner>);

/// Searches at once, of all accounts; there are three readers and more.
const SEARCHES: usize = 2;

struct Inner {
    parts: Parts,
    hooks: Hooks,
    door: Door,
    counters: Arc<Counters>,
    /// Whoever looks through much leaves a reader to what mail and people wait for.
    searches: Turns,
    core: Option<Arc<Core>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(core) = &self.core {
            core.abandon();
        }
    }
}

impl Outbound {
    /// Starts sending: takes up what the last run of this node left, then delivers.
    pub async fn start(parts: Parts) -> Result<Self> {
        let counters = Arc::new(Counters::default());
        let core = Core::new(parts.clone(), counters.clone());
        core.recover().await?;
        core.start();
        Ok(Self::new(parts, counters, Some(core)))
    }

    /// For commands beside or without a running server: accepts and manages, but delivers nothing. What it accepts waits in
    /// the database for a server.
    pub fn idle(parts: Parts) -> Self {
        Self::new(parts, Arc::new(Counters::default()), None)
    }

    fn new(parts: Parts, counters: Arc<Counters>, core: Option<Arc<Core>>) -> Self {
        let hooks = Hooks::new(
            &parts.db,
            &parts.accounts,
            (&parts.clock, &parts.ids),
            parts.client.clone(),
            parts.settings.hooks,
        );
        let door = Door::new(parts.clone(), hooks.clone(), counters.clone(), core.clone());
        Self(Arc::new(Inner {
            parts,
            hooks,
            door,
            counters,
            searches: Turns::new(SEARCHES, 1),
            core,
        }))
    }

    /// Takes a message, durably, or says why not: the only way in for mail.
    pub async fn accept(&self, submission: Submission) -> Result<Accepted, Refused> {
        self.0.door.accept(submission).await
    }

    /// Whether mail went through so many servers that it runs in a circle.
    pub fn is_loop(&self, raw: &[u8]) -> bool {
        Head::parse(raw).is_ok_and(|head| self.0.parts.settings.is_loop(&head))
    }

    /// What accounts and the operator want to have a say in.
    pub fn hooks(&self) -> &Hooks {
        &self.0.hooks
    }

    /// Takes no new jobs, lets those in flight finish for up to `limit`, and gives the rest back.
    pub async fn shut_down(&self, limit: Duration) {
        self.0.hooks.journal().flush(self.0.parts.clock.now()).await;
        if let Some(core) = &self.0.core {
            core.shut_down(limit).await;
        }
    }

    fn asked(&self, by: &By) -> Asked {
        let at = self.0.parts.clock.now();
        Asked {
            by: by.clone(),
            at,
            line: self.0.parts.ids.next(at),
        }
    }

    /// Makes waiting recipients of a message due now.
    pub async fn retry(&self, message: Id, ordinal: Option<u32>, by: &By) -> Result<Changed> {
        let asked = self.asked(by);
        let give_up = self.0.parts.settings.retry.give_up;
        let changed = self.0.parts.db.write("retry", move |tx| {
            tx.ring(Topic::Due);
            let changed = spool::retry(tx, message, ordinal, (asked.at, asked.at.plus(give_up)))?;
            if let Some(account) = changed.account {
                asked.note(tx, Some(account), "message.retried", &message.to_string())?;
            }
            Ok(changed)
        });
        changed.await
    }

    /// Lets a message leave at another time: what of it is scheduled, or held because its time passed long ago. Says how many
    /// recipients that are.
    pub async fn reschedule(&self, message: Id, at: Time, by: &By) -> Result<u64> {
        let asked = self.asked(by);
        let give_up = self.0.parts.settings.retry.give_up;
        let db = &self.0.parts.db;
        db.write("reschedule", move |tx| {
            settle::reschedule(tx, message, (at, at.plus(give_up)), &asked)
        })
        .await
    }

    /// Gives waiting recipients of a message up.
    pub async fn cancel(&self, message: Id, ordinal: Option<u32>, by: &By) -> Result<Cancelled> {
        let asked = self.asked(by);
        if let Some(core) = &self.0.core {
            return core.cancel(message, ordinal, asked).await;
        }
        let db = &self.0.parts.db;
        db.write("cancel", move |tx| {
            settle::cancel(tx, message, ordinal, None, &asked)
        })
        .await
    }

    /// Sends what is held of an account back: each sender gets a report. Says how many recipients that are; a running server
    /// writes the reports.
    pub async fn return_held(&self, account: Id, by: &By) -> Result<u64> {
        const STEP: u64 = 500;
        let (mut after, mut returned) = (None, 0);
        loop {
            let from = after;
            let db = &self.0.parts.db;
            let rows = db
                .peek("look for what is held of an account", move |tx| {
                    spool::held_of(tx, account, from, STEP)
                })
                .await?;
            let Some(last) = rows.last() else { break };
            after = Some(*last);
            let now = self.0.parts.clock.now();
            returned += db
                .write("return what is held", move |tx| {
                    let mut returned = 0;
                    for row in &rows {
                        returned += u64::from(spool::return_held(tx, *row, now)?);
                    }
                    Ok(returned)
                })
                .await?;
        }
        let asked = self.asked(by);
        self.0
            .parts
            .db
            .write("note that mail was returned", move |tx| {
                asked.note(
                    tx,
                    Some(account),
                    "mail.returned",
                    &format!("{returned} recipients"),
                )
            })
            .await?;
        Ok(returned)
    }

    /// How many recipients of an account are held, counted up to `most`.
    pub async fn held(&self, account: Id, most: u32) -> Result<u64> {
        let db = &self.0.parts.db;
        db.read("count what is held of an account", move |tx| {
            spool::count_held(tx, account, most)
        })
        .await
    }

    /// Lets a lane rest until it is resumed, on every node and beyond restarts.
    pub async fn pause_lane(&self, lane: LaneKey, by: &By) -> Result<()> {
        let asked = self.asked(by);
        self.0
            .parts
            .db
            .write("pause a lane", move |tx| pauses::pause(tx, &lane, &asked))
            .await
    }

    /// False when the lane was not paused.
    pub async fn resume_lane(&self, lane: LaneKey, by: &By) -> Result<bool> {
        let asked = self.asked(by);
        self.0
            .parts
            .db
            .write("resume a lane", move |tx| pauses::resume(tx, &lane, &asked))
            .await
    }

    /// The paused lanes.
    pub async fn paused_lanes(&self) -> Result<Vec<LaneKey>> {
        self.0
            .parts
            .db
            .read("read the paused lanes", pauses::paused)
            .await
    }

    /// Forgets a lane's trouble and tries everything that waits for it now; says how many recipients were waiting in the
    /// database. Only a process that delivers knows lanes.
    pub async fn retry_lane(&self, lane: &LaneKey, by: &By) -> Result<u64> {
        match &self.0.core {
            Some(core) => core.retry_lane(lane, self.asked(by)).await,
            None => Ok(0),
        }
    }

    /// Every lane, the fullest first.
    pub fn lanes(&self) -> Vec<LaneView> {
        self.0.core.as_ref().map(|core| core.views()).unwrap_or_default()
    }

    /// How much waits, as last measured.
    pub fn depth(&self) -> Depth {
        self.0.core.as_ref().map(|core| core.depth()).unwrap_or_default()
    }

    /// Open connections to other servers.
    pub fn connections(&self) -> usize {
        self.0
            .core
            .as_ref()
            .map(|core| core.connections())
            .unwrap_or_default()
    }

    pub fn counters(&self) -> Counts {
        self.0.counters.snapshot()
    }

    /// What the next hop took and is not recorded yet.
    pub fn unrecorded(&self) -> Window {
        self.0.core.as_ref().map_or_else(
            || Unrecorded::default().snapshot(),
            |core| core.unrecorded.snapshot(),
        )
    }

    /// Messages, page by page.
    pub async fn messages(&self, filter: Filter) -> Result<Found<Summary>> {
        let turn = self.turn_to_search(filter.account).await?;
        let list = move |tx: &mut Tx<'_>| history::list(tx, &filter);
        self.search("list messages", turn, list).await
    }

    async fn search<T: Send + 'static>(
        &self,
        label: &'static str,
        turn: Turn,
        mut look: impl FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let look = move |tx: &mut Tx<'_>| {
            // Held here: who hangs up gets no second one while the first still looks.
            let _ = &turn;
            look(tx)
        };
        self.0.parts.db.read(label, look).await
    }

    /// One search of an account at a time.
    async fn turn_to_search(&self, account: Option<Id>) -> Result<Turn> {
        let account = account.unwrap_or(Id::from_bytes([0; 16]));
        let turn = self.0.searches.take(account, PATIENCE).await;
        turn.ok_or_else(|| {
            let why = "the searches before it are not through; ask again, or narrow the time";
            StoreError::new(ErrorKind::Unavailable, "search", why)
        })
    }

    /// The same with each recipient, for a sheet: up to `lines` of them from a place on.
    pub async fn export_messages(
        &self,
        filter: Filter,
        place: ExportPlace,
        lines: usize,
    ) -> Result<ExportPage> {
        let turn = loop {
            // It has begun already, so it waits as long as it takes.
            if let Ok(turn) = self.turn_to_search(filter.account).await {
                break turn;
            }
        };
        let export = move |tx: &mut Tx<'_>| history::export(tx, &filter, place.clone(), lines);
        self.search("export messages", turn, export).await
    }

    /// What was counted of an account's mail.
    pub async fn statistics(
        &self,
        account: Id,
        by: statistics::By,
        stream: Option<String>,
        days: statistics::Range,
    ) -> Result<Vec<statistics::Item>> {
        let db = &self.0.parts.db;
        db.read("read statistics", move |tx| {
            statistics::read(tx, account, (by, stream.as_deref()), days)
        })
        .await
    }

    /// How long mail is kept where an account does not choose, and the most that it may choose, in days: content, then messages.
    pub fn kept_days(&self) -> ((u32, u32), (u32, u32)) {
        let settings = &self.0.parts.settings;
        let days = |time: Duration| u32::try_from(time.as_secs().div_ceil(24 * 3600)).unwrap_or(u32::MAX);
        (
            (days(settings.keep_content), days(settings.keep_messages)),
            (settings.most_content_days, settings.most_message_days),
        )
    }

    /// One message with all that is known of it; `account` none may see everybody's.
    pub async fn message(&self, account: Option<Id>, id: Id) -> Result<Option<Detail>> {
        self.0
            .parts
            .db
            .read("read a message's page", move |tx| {
                history::detail(tx, account, id)
            })
            .await
    }

    /// What was said in one attempt, while that is kept; `account` none may see everybody's.
    pub async fn transcript(
        &self,
        account: Option<Id>,
        attempt: (Id, u32, u32),
    ) -> Result<Option<Vec<transcripts::Line>>> {
        self.0
            .parts
            .db
            .read("read what was said in an attempt", move |tx| {
                transcripts::of_attempt(tx, account, attempt)
            })
            .await
    }

    /// A message as it was stored, while its content is kept.
    pub async fn source(&self, account: Option<Id>, id: Id) -> Result<Option<bytes::Bytes>> {
        self.0
            .parts
            .db
            .read("read a message's source", move |tx| {
                history::content(tx, account, id)
            })
            .await
    }

    /// The account a message belongs to, how it came in, and its size.
    pub async fn provenance(&self, id: Id) -> Result<Option<Provenance>> {
        self.0
            .parts
            .db
            .peek("look whose a message is", move |tx| history::provenance(tx, id))
            .await
    }

    pub async fn inbox(&self, filter: InboxFilter) -> Result<Vec<Captured>> {
        self.0
            .parts
            .db
            .read("list the inbox", move |tx| capture::list(tx, &filter))
            .await
    }

    /// A captured mail without its content; `account` none may see everybody's.
    pub async fn inbox_mail(&self, account: Option<Id>, id: Id) -> Result<Option<Captured>> {
        self.0
            .parts
            .db
            .peek("find a captured mail", move |tx| capture::find(tx, account, id))
            .await
    }

    /// What a captured mail holds.
    pub async fn inbox_content(&self, id: Id) -> Result<Option<bytes::Bytes>> {
        self.0
            .parts
            .db
            .read("read a captured mail", move |tx| capture::content(tx, id))
            .await
    }

    pub async fn clear_inbox(&self, account: Option<Id>) -> Result<u64> {
        self.0
            .parts
            .db
            .write("clear the inbox", move |tx| capture::clear(tx, account))
            .await
    }
}
