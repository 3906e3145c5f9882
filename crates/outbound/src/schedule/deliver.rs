//! One job over one connection: load, sign, send, and settle before anything else happens.

use std::sync::Arc;
use std::time::Duration;

use accounts::AccountsError;
use bytes::Bytes;
use mail::address::Address;
use mail::notify::{Notify, Ret};
use mail::reply::Enhanced;
use store::{ErrorKind, StoreError, Tx};

use super::caught::{self, caught};
use super::connection::lesson;
use super::core::Core;
use super::lanes::Wait;
use super::shared::Entry;
use crate::model::{
    Job, JobRecipient, LaneKey, Leased, Link, Message, Outcome, Parcel, Pattern, State, Verdict,
    off_the_workers,
};
use crate::personal::Copies;
use crate::return_path;
use crate::settle::{self, Jitter, Recorded, Settlement, Standing};
use crate::simulator;
use crate::spool::{self, Settled};
use crate::token::About;
use crate::tracking::{self, Source};

/// A lease seen longer ago than this is looked at again before anything is sent under it.
const LEASE_TRUSTED: Duration = Duration::from_secs(5);
/// Copies of up to so many octets are held without asking: there are no more of them than connections.
const SMALL_COPY: usize = 256 << 10;
/// What bigger ones take in memory together.
pub(super) const COPIES_OCTETS: usize = 256 << 20;
/// Pauses between attempts to write what must be written.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Core {
    /// Delivers a job and settles it. When this returns, its outcome is durable. False when the connection is not to be used again.
    pub(super) async fn deliver(
        self: &Arc<Self>,
        lane: &LaneKey,
        link: &mut Box<dyn Link>,
        job: Job,
    ) -> bool {
        let count = job.recipients.len();
        let mut fit = true;
        if let Some((job, body)) = self.ready(job).await {
            let sent = caught("deliver", self.send(link, &job, &body)).await;
            fit = sent.is_some() && link.is_usable();
            let (delivered, _) = lesson(sent.as_ref().map_or(&[], |(outcomes, _)| outcomes));
            let taken = self.unrecorded.taken(u64::from(delivered));
            if let Some((outcomes, _)) = &sent {
                self.learn(lane, fit, outcomes);
            }
            let (outcomes, copies) = sent.unwrap_or_else(|| {
                let outcome = caught::outcome(self.now());
                (vec![outcome; job.recipients.len()], None)
            });
            self.settle_job(&job, Some(Content { body, copies }), outcomes)
                .await;
            taken.recorded();
        }
        self.state.lock().lanes.finished(lane, count, self.now());
        fit
    }

    /// Makes the recipient's copy where the message wants one, signs and hands over.
    async fn send(
        &self,
        link: &mut Box<dyn Link>,
        job: &Job,
        body: &Bytes,
    ) -> (Vec<Outcome>, Option<Copies>) {
        let began = Leased::now(self.now());
        let shared = self.shared.of(job.message.id, job.message.recipients, self.now());
        let copies = match self.copies(job, body, &shared).await {
            Ok(copies) => copies,
            Err(error) => {
                tracing::warn!(id = %job.message.id, %error, "not sent yet: the links of its recipients could not be made");
                let outcome = caught::outcome(self.now());
                return (vec![outcome; job.recipients.len()], None);
            }
        };
        // Big copies are each a message of their own in memory, for as long as a receiver takes over them.
        let _room = match &copies {
            Some(_) if body.len() > SMALL_COPY => {
                let octets = body.len().min(COPIES_OCTETS);
                self.copies_room.acquire_many(octets as u32).await.ok()
            }
            _ => None,
        };
        let slow = !began.is_within(LEASE_TRUSTED, self.now());
        if copies.is_some() && slow && !self.is_leased(job).await {
            // Another node may have it by now: it has its turn again, and its lease is looked at then.
            let late = Outcome::without_reply(
                Verdict::Deferred,
                Enhanced::new(4, 3, 2),
                "not sent yet: this server was too busy to make the recipient's copy in time",
                self.now(),
            );
            return (vec![late; job.recipients.len()], None);
        }
        let (prefix, body) = match (&copies, job.recipients.as_slice()) {
            (Some(copies), [recipient]) => {
                let copy = copy(copies, body, recipient.ordinal).await;
                (self.sign(job, &copy).await, copy)
            }
            _ => (self.signatures(job, body, &shared).await, body.clone()),
        };
        let mut parcel = Parcel {
            reverse_path: job.message.reverse_path.clone(),
            recipients: job.recipients.clone(),
            ret: job.message.ret,
            envid: job.message.envid.clone(),
            prefix,
            body,
        };
        if let Some(signed) = self.return_path(job).await {
            parcel.reverse_path = Some(signed);
            // Reports come to us, and we report to the sender: what he asked for is no business of the next hop. Of the message
            // nobody needs more than its header section, because we still have it or may keep it no longer.
            parcel.ret = Some(Ret::Headers);
            parcel.envid = None;
            for recipient in &mut parcel.recipients {
                recipient.notify = Notify::default();
            }
        }
        (link.deliver(&parcel).await, copies)
    }

    /// Does this node still have the whole job? Looked at once: no answer is none.
    async fn is_leased(&self, job: &Job) -> bool {
        let (node, message) = (self.node(), job.message.id);
        let read = self.parts.db.read("look at a lease again", move |tx| {
            spool::leased(tx, node, message)
        });
        let leased = read.await.unwrap_or_default();
        job.recipients.iter().all(|one| leased.contains(&one.ordinal))
    }

    /// What makes the copies of a message that wants each recipient to have one; the message is looked through once for all, where that was not when it was accepted.
    async fn copies(&self, job: &Job, body: &Bytes, shared: &Entry) -> Result<Option<Copies>, AccountsError> {
        let message = &job.message;
        if !message.wants.is_personal() {
            return Ok(None);
        }
        let pattern = match &job.pattern {
            Some(pattern) => (Arc::clone(pattern), pattern.numbers()),
            None => self.look_through(job, body, shared).await?,
        };
        let places = self.parts.places(message).await?;
        let to = (&self.parts.accounts, Arc::new(places));
        let copies = Copies::new(pattern, to, (message.id, self.now())).await?;
        Ok(Some(copies))
    }

    /// Looks for what each copy has of its own, and stores where the links lead.
    async fn look_through(
        &self,
        job: &Job,
        body: &Bytes,
        shared: &Entry,
    ) -> Result<(Arc<Pattern>, Arc<[u16]>), AccountsError> {
        let pattern = shared.pattern.get_or_init(async || {
            let (raw, wants) = (body.clone(), job.message.wants);
            let made = off_the_workers(raw.len(), move || Pattern::of(&raw, wants)).await;
            Arc::new(made.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())))
        });
        let pattern = Arc::clone(pattern.await);
        let numbers = shared.numbers.get_or_try_init(|| self.keep_links(job, &pattern));
        let numbers = Arc::clone(numbers.await?);
        Ok((pattern, numbers))
    }

    /// Stores where the links lead, before anybody can follow them.
    async fn keep_links(&self, job: &Job, pattern: &Pattern) -> Result<Arc<[u16]>, AccountsError> {
        if pattern.targets().is_empty() {
            return Ok(Arc::new([]));
        }
        let targets: Arc<[String]> = pattern.targets().into();
        let hostname = &self.parts.settings.hostname;
        let is_test = |one: &JobRecipient| simulator::is_domain(one.address.domain(), hostname);
        let of = Source {
            message: job.message.id,
            account: job.message.account,
            test: job.recipients.iter().any(is_test),
        };
        // Tried once: a lease does not wait for a database that comes back.
        let kept = self.parts.db.write("keep where links lead", move |tx| {
            tracking::keep(tx, &of, &targets)
        });
        Ok(Arc::from(kept.await?))
    }

    /// The signatures of a message that is the same for all of its recipients.
    async fn signatures(&self, job: &Job, body: &Bytes, shared: &Entry) -> Bytes {
        let signatures = shared.signatures.get_or_try_init(async || {
            let signed = self.sign(job, body).await;
            // What went out unsigned says nothing about the next time.
            if signed.is_empty() { Err(()) } else { Ok(signed) }
        });
        signatures.await.cloned().unwrap_or_default()
    }

    /// The signed return path of a job of one recipient. The null sender stays it: its mail is never reported on.
    async fn return_path(&self, job: &Job) -> Option<Address> {
        let ours = self.parts.settings.return_path.as_ref()?;
        let [recipient] = job.recipients.as_slice() else {
            return None;
        };
        if !self.parts.signs_return_paths() || job.message.reverse_path.is_none() {
            return None;
        }
        let accounts = &self.parts.accounts;
        let from = Address::parse(&job.message.header_from).ok();
        let read = async {
            let key = accounts.signing_key().await?;
            // A name of the sender's own domain, where it leads here, lets SPF speak for that domain.
            let own = match &from {
                Some(from) => accounts.return_path(job.message.account, from.domain()).await?,
                None => None,
            };
            Ok::<_, AccountsError>((key, own))
        };
        let (key, own) = match read.await {
            Ok(read) => read,
            Err(error) => {
                tracing::warn!(id = %job.message.id, %error, "sent with the sender's own return path: the key could not be read");
                return None;
            }
        };
        let about = About {
            message: job.message.id,
            ordinal: recipient.ordinal,
        };
        return_path::make(&key, about, own.as_ref().unwrap_or(ours), self.now())
    }

    /// The job with its body and without the recipients that are not ours to deliver any more.
    async fn ready(self: &Arc<Self>, mut job: Job) -> Option<(Job, Bytes)> {
        let now = self.now();
        let (late, rest) = std::mem::take(&mut job.recipients)
            .into_iter()
            .partition(|one| one.expires_at <= now);
        job.recipients = rest;
        self.expire(job.part(late)).await;
        if self.is_to_be_held(&job).await {
            self.hold_job(job).await;
            return None;
        }
        let in_memory = job.body.clone();
        if let Some(body) = in_memory.filter(|_| job.leased.is_within(LEASE_TRUSTED, now)) {
            return (!job.recipients.is_empty()).then_some((job, body));
        }
        let (node, message, wants_body) = (self.node(), job.message.id, job.body.is_none());
        let found = self
            .until_read("look at a lease", move |tx| {
                let leased = spool::leased(tx, node, message)?;
                let body = if wants_body {
                    spool::body(tx, message)?
                } else {
                    None
                };
                Ok((leased, body))
            })
            .await?;
        let (leased, loaded) = found;
        let before = job.recipients.len();
        job.recipients.retain(|one| leased.contains(&one.ordinal));
        self.counters
            .leases_lost
            .add((before - job.recipients.len()) as u64);
        if job.recipients.is_empty() {
            return None;
        }
        if let Some(body) = job.body.clone().or(loaded) {
            return Some((job, body));
        }
        tracing::error!(id = %job.message.id, "a waiting message has no content");
        let gone = Outcome::without_reply(
            Verdict::Bounced,
            Enhanced::new(5, 3, 0),
            "the content of the message is gone",
            now,
        );
        self.settle_all(vec![job], &gone).await;
        None
    }

    /// The signatures to put in front. An RSA signature is short enough for a worker thread to bear, hashing a big body is not.
    async fn sign(&self, job: &Job, body: &Bytes) -> Bytes {
        let Ok(from) = Address::parse(&job.message.header_from) else {
            return Bytes::new();
        };
        let signers = match self
            .parts
            .accounts
            .signers(job.message.account, from.domain())
            .await
        {
            Ok(signers) if signers.is_empty() => return Bytes::new(),
            Ok(signers) => signers,
            Err(error) => {
                tracing::warn!(id = %job.message.id, %error, "sent unsigned: the keys could not be read");
                return Bytes::new();
            }
        };
        let (body, now) = (body.clone(), self.now());
        let signed = off_the_workers(body.len(), move || mail::dkim::sign(&body, &signers, now));
        match signed.await {
            Ok(Ok(fields)) => fields.into(),
            Ok(Err(error)) => {
                tracing::warn!(id = %job.message.id, %error, "sent unsigned");
                Bytes::new()
            }
            Err(error) => {
                tracing::error!(id = %job.message.id, %error, "sent unsigned");
                Bytes::new()
            }
        }
    }

    fn learn(self: &Arc<Self>, lane: &LaneKey, usable: bool, outcomes: &[Outcome]) {
        let (delivered, last) = lesson(outcomes);
        let Some(last) = last else { return };
        let now = self.now();
        let down = {
            let mut state = self.state.lock();
            let broken =
                !usable && delivered == 0 && outcomes.iter().all(|one| one.verdict == Verdict::Deferred);
            if broken {
                state.lanes.session_broken(lane, &last.summary(), now)
            } else {
                state.lanes.answered(lane, delivered, last.summary(), now);
                None
            }
        };
        if let Some((jobs, wait)) = down {
            self.spill_later(jobs.into_iter().map(|job| (job, wait.clone())).collect());
        }
    }

    /// Decides what the outcomes mean and records it, for as long as it takes.
    pub(super) async fn settle_job(
        self: &Arc<Self>,
        job: &Job,
        content: Option<Content>,
        outcomes: Vec<Outcome>,
    ) {
        let now = self.now();
        let results = job
            .recipients
            .iter()
            .zip(outcomes)
            .filter_map(|(recipient, outcome)| {
                let standing = standing(&job.message, recipient, self.parts.settings.retry.give_up);
                let attempts = recipient.attempts + 1;
                let jitter = Jitter::of(job.message.id.as_bytes(), recipient.ordinal, attempts);
                let next = settle::next(&standing, &outcome, &self.parts.settings.retry, jitter, now)?;
                let settled = Settled {
                    ordinal: recipient.ordinal,
                    attempts,
                    outcome: Some(outcome),
                    next,
                };
                Some((recipient.clone(), settled))
            })
            .collect();
        self.record(job, content, results).await;
    }

    /// Tells the senders who are due a word of what goes back to wait, and gives that back with it; returns the rest.
    pub(super) async fn warn_waiting(self: &Arc<Self>, waits: Vec<(Job, Wait)>) -> Vec<(Job, Wait)> {
        let now = self.now();
        let mut rest = Vec::with_capacity(waits.len());
        for (mut job, wait) in waits {
            let mut told = Vec::new();
            job.recipients.retain(|recipient| {
                let standing = standing(&job.message, recipient, self.parts.settings.retry.give_up);
                let policy = &self.parts.settings.retry;
                let Some(next) = settle::delayed(&standing, &wait.reason, wait.until, policy, now) else {
                    return true;
                };
                let settled = Settled {
                    ordinal: recipient.ordinal,
                    attempts: recipient.attempts,
                    outcome: None,
                    next,
                };
                told.push((recipient.clone(), settled));
                false
            });
            if !told.is_empty() {
                self.record(&job, None, told).await;
            }
            if !job.recipients.is_empty() {
                rest.push((job, wait));
            }
        }
        rest
    }

    /// Gives up recipients whose time ran out while they waited.
    pub(super) async fn expire(self: &Arc<Self>, job: Job) {
        if job.recipients.is_empty() {
            return;
        }
        let message = job.message.id;
        let ordinals: Arc<[u32]> = job.recipients.iter().map(|one| one.ordinal).collect();
        let heard = self.until_read("read what was heard last", move |tx| {
            let all = ordinals.iter();
            all.map(|ordinal| spool::heard_last(tx, (message, *ordinal)))
                .collect::<Result<Vec<_>, _>>()
        });
        // Without an answer this process ends, and who is there next gives them up.
        let Some(heard) = heard.await else { return };
        let results = job.recipients.iter().zip(heard);
        let results = results
            .map(|(recipient, why)| {
                let why = why.as_deref().unwrap_or("waiting for its turn");
                let settled = Settled {
                    ordinal: recipient.ordinal,
                    attempts: recipient.attempts,
                    outcome: None,
                    next: settle::expire(recipient.notify, why),
                };
                (recipient.clone(), settled)
            })
            .collect();
        self.record(&job, None, results).await;
    }

    pub(super) async fn record(
        self: &Arc<Self>,
        job: &Job,
        content: Option<Content>,
        results: Vec<(JobRecipient, Settled)>,
    ) {
        let now = self.now();
        let reports = results.iter().any(|(_, one)| one.next.report.is_some());
        let (body, copies) = content.map(|content| (content.body, content.copies)).unzip();
        let mut body = body.or_else(|| job.body.clone());
        if body.is_none() && reports && job.message.reverse_path.is_some() {
            let message = job.message.id;
            body = self
                .until_read("read a message", move |tx| spool::body(tx, message))
                .await
                .flatten();
        }
        let stays = results
            .first()
            .is_some_and(|(recipient, _)| self.parts.keeps(recipient.domain()));
        let captured = stays.then(|| results.iter().map(|_| self.parts.ids.next(now)).collect());
        let settlement = Settlement {
            node: self.node(),
            message: job.message.clone(),
            body,
            results,
            captured,
            copies: copies.flatten(),
            reporter: self.reporter.clone(),
            ids: self.parts.ids.clone(),
            report_id: self.parts.ids.next(now),
            at: now,
        };
        let recorded = self.until_written("settle", settle::recording(settlement)).await;
        if let Some(recorded) = recorded {
            self.count(job, recorded);
        }
    }

    fn count(&self, job: &Job, recorded: Recorded) {
        let counters = &self.counters;
        counters.delivered.add(recorded.delivered);
        counters.deferred.add(recorded.deferred);
        counters.bounced.add(recorded.bounced);
        counters.expired.add(recorded.expired);
        counters.reports.add(recorded.reports);
        counters.leases_lost.add(recorded.lost);
        if recorded.lost > 0 {
            tracing::warn!(
                id = %job.message.id, recipients = recorded.lost,
                "an outcome was not recorded: the recipient was taken from this node or cancelled meanwhile"
            );
        }
    }

    /// Writes until it is written: an outcome in memory is never thrown away and its message never sent again meanwhile.
    /// None only when the service stops for good first.
    pub(super) async fn until_written<T, F>(&self, label: &'static str, work: F) -> Option<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send + Clone + 'static,
    {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.parts.db.write(label, work.clone()).await {
                Ok(value) => return Some(value),
                Err(error) => Self::note_trouble(label, &error, pause),
            }
            self.counters.settle_retries.add(1);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.kill.cancelled() => return None,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    pub(super) async fn until_read<T, F>(&self, label: &'static str, work: F) -> Option<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send + Clone + 'static,
    {
        let mut pause = FIRST_PAUSE;
        loop {
            // Not at once on this thread: it may load a whole message.
            match self.parts.db.read(label, work.clone()).await {
                Ok(value) => return Some(value),
                Err(error) => Self::note_trouble(label, &error, pause),
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.cancelled() => return None,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The first failure is worth a line, a repetition only when something other than load is the matter.
    fn note_trouble(label: &str, error: &StoreError, pause: Duration) {
        let passing = error.kind() == ErrorKind::Retryable;
        if pause == FIRST_PAUSE && !passing || pause == LONGEST_PAUSE {
            tracing::warn!(%error, "{label}: the database did not take it, trying again");
        }
    }
}

/// A message as it is stored, and what made the copy that its recipient was sent.
pub(super) struct Content {
    body: Bytes,
    copies: Option<Copies>,
}

async fn copy(copies: &Copies, body: &Bytes, ordinal: u32) -> Bytes {
    let (making, raw) = (copies.clone(), body.clone());
    let made = off_the_workers(raw.len(), move || making.of(&raw, ordinal)).await;
    made.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

fn standing(message: &Message, recipient: &JobRecipient, give_up: Duration) -> Standing {
    Standing {
        state: if recipient.attempts == 0 {
            State::Queued
        } else {
            State::Deferred
        },
        attempts: recipient.attempts,
        // What was scheduled waits from its time on, which its expiry tells.
        created_at: message.created_at.max(recipient.expires_at.minus(give_up)),
        expires_at: recipient.expires_at,
        notify: recipient.notify,
        warned: recipient.warned,
    }
}
