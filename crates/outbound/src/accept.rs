//! The only door for mail: SMTP, the API, commands and our own notices all come through it.

mod write;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use accounts::smtp_credentials::OverRate;
use accounts::{
    Allowance, Epoch, Hook, LimitOf, Principal, Reached, Stream, StreamFault, StreamKind, Terms, Validity,
    Via, streams, tracking::MayTrack,
};
use bytes::Bytes;
use mail::address::Address;
use mail::message::{Authors, Head, Steering, Trace, is_kept_back, names_link};
use mail::replies;
use mail::reply::Reply;
use mail::time::Time;
use store::{ErrorKind, Id, StoreError};

use self::write::{AtOnce, Stored, write};
use crate::hooks::{Asked, Facts, Hooks, Stage};
use crate::idempotency::{self, Key};
use crate::model::{
    Accepted, BIG, Counters, Grip, Job, JobRecipient, Leased, Message, Pattern, Refused, Submission,
    Unsubscribe, Wants, off_the_workers,
};
use crate::personal::Copies;
use crate::sandbox;
use crate::schedule::{Core, Parts, Reservation};
use crate::spool::{NewMessage, NewRecipient, Place};

const DAY: Duration = Duration::from_hours(24);
/// How often a message is checked because its account changed between check and commit.
const ROUNDS: u32 = 3;

/// The door: what it needs to check a message and to store it.
#[derive(Clone)]
pub struct Door {
    parts: Parts,
    hooks: Hooks,
    counters: Arc<Counters>,
    /// Absent in a process that delivers nothing: its mail waits in the database.
    scheduler: Option<Arc<Core>>,
}

/// Who sends the message, and when the rights to send it were checked.
struct Checked {
    via: Via,
    /// The check counts as long as the account has not changed since.
    at: Epoch,
    /// What it takes of the account's day.
    allowance: Allowance,
    /// It is taken from the account's credits as well.
    pays: bool,
    /// What the credential says that it came by.
    terms: Option<Arc<Terms>>,
    /// The account has suppressed addresses.
    suppresses: bool,
    stream: Arc<Stream>,
    /// What the account, and the domain it is from, leave to message and stream.
    may_track: MayTrack,
    /// It is kept here and reaches nobody.
    sandboxed: bool,
    /// The hook that wants it sent to nobody.
    discarded: Option<String>,
    /// How long its content is kept; none: until nobody waits for it.
    keep_content: Option<Duration>,
    key: Option<Key>,
}

/// What is read from the header of a message on its way in.
struct Reading {
    authors: Authors,
    subject: String,
    message_id: String,
    content: Bytes,
    asks: Asks,
}

/// What the hooks made of a message, and what told it from another before they did.
#[derive(Default)]
struct Ruled {
    tags: Option<Vec<String>>,
    stream: Option<String>,
    discarded: Option<String>,
    digest: Option<[u8; 32]>,
}

/// What its sender, and the hooks, say about a message.
#[derive(Clone)]
struct Asks {
    steering: Steering,
    key: Option<Key>,
    /// The message has the name of the link to unsubscribe in it.
    names_link: bool,
    /// We write it ourselves: it is about the account, which it is for, and not from it.
    ours: bool,
    discarded: Option<String>,
}

impl Door {
    pub fn new(parts: Parts, hooks: Hooks, counters: Arc<Counters>, scheduler: Option<Arc<Core>>) -> Self {
        Self {
            parts,
            hooks,
            counters,
            scheduler,
        }
    }

    /// Takes a message, durably, or says why not. Nothing is known of a refused message afterwards.
    pub async fn accept(&self, submission: Submission) -> Result<Accepted, Refused> {
        let taken = self.check_and_store(submission).await;
        match &taken {
            Ok(accepted) => {
                if accepted.again {
                    return taken.map_err(Refused);
                }
                self.counters.accepted.add(1);
                self.counters.accepted_recipients.add(accepted.recipients as u64);
            }
            Err(_) => self.counters.refused.add(1),
        }
        taken.map_err(Refused)
    }

    async fn check_and_store(&self, mut submission: Submission) -> Result<Accepted, Reply> {
        if !self.parts.db.has_room() {
            return Err(replies::STORAGE_FULL);
        }
        let now = self.parts.clock.now();
        let id = self.parts.ids.next(now);
        self.check_size(&submission)?;
        let body = std::mem::take(&mut submission.body);
        let mut epoch = self.refresh().await?;
        let (body, ruled) = self.ask_hooks(&submission, body, now).await?;
        let (door, octets) = (self.clone(), body.len());
        let (reading, submission) = off_the_workers(octets, move || {
            let reading = door.read(&submission, (body, ruled), id, now)?;
            Ok::<_, Reply>((reading, submission))
        })
        .await
        .map_err(|_| replies::STORAGE_ERROR)??;
        let (authors, asks) = (reading.authors.clone(), reading.asks.clone());
        let recipients = submission.envelope.recipients.len();
        let mut new = self.new_message(&submission, reading, id, now);
        for _ in 0..ROUNDS {
            let checked = self.check_rights(&submission, &authors, &asks, epoch).await?;
            new.message.stream.clone_from(&checked.stream.slug);
            new.keep_until = checked
                .keep_content
                .map(|kept| new.send_at().unwrap_or(now).plus(kept));
            new.message.wants = asks.wants(&checked.stream, checked.may_track);
            // In a task of its own: a client that goes away in the middle must not leave a stored message nobody delivers.
            let door = self.clone();
            let storing = tokio::spawn(async move { door.store(new, checked, now).await });
            let (stored, same) = storing.await.map_err(|_| replies::STORAGE_ERROR)??;
            match stored {
                Stored::Yes(_) => {
                    return Ok(Accepted {
                        id,
                        recipients,
                        again: false,
                    });
                }
                Stored::Before(accepted) => return Ok(accepted),
                Stored::KeyUsed => return Err(replies::KEY_USED),
                Stored::TooFewCredits { needed, left } => {
                    return Err(replies::too_few_credits(needed, left));
                }
                Stored::Suspended => return Err(replies::ACCOUNT_SUSPENDED),
                Stored::Limited(reached) => return Err(day_used_up(reached)),
                Stored::OverRate(OverRate::Reached { limit, wait }) => {
                    return Err(replies::rate_reached(limit, wait));
                }
                Stored::OverRate(OverRate::NeverFits { limit, most }) => {
                    return Err(replies::never_fits(limit, &most));
                }
                Stored::Stale => {
                    new = same;
                    epoch = self.refresh().await?;
                }
            }
        }
        Err(replies::ACCOUNT_CHANGES)
    }

    fn check_size(&self, submission: &Submission) -> Result<(), Reply> {
        let settings = &self.parts.settings;
        let recipients = submission.envelope.recipients.len();
        if submission.body.len() as u64 > settings.max_message_size {
            return Err(replies::TOO_BIG);
        }
        if recipients == 0 {
            return Err(replies::NO_VALID_RECIPIENTS);
        }
        if recipients > settings.max_recipients {
            return Err(replies::TOO_MANY_RECIPIENTS);
        }
        Ok(())
    }

    /// What the hooks say, and the message as they leave it. Without a hook nothing is looked at.
    async fn ask_hooks(
        &self,
        submission: &Submission,
        body: Bytes,
        now: Time,
    ) -> Result<(Bytes, Ruled), Reply> {
        let who = &submission.principal;
        let envelope = &submission.envelope;
        let begun = || Facts::begin(who, &submission.origin, envelope.reverse_path.as_ref());
        let recipients = || -> Arc<Vec<String>> {
            let all = envelope.recipients.iter();
            Arc::new(all.map(|one| one.address.to_string()).collect())
        };
        let mut together = self.hooks.together();
        // Over SMTP these two were asked when the client said so, and the answer was to the one recipient.
        if submission.origin.via != "smtp" {
            if let Some(hooks) = self.hooks_at(who, Stage::Mail).await? {
                refusal(self.hooks.ask(who, &hooks, &mut begun(), &mut together).await)?;
            }
            if let Some(hooks) = self.hooks_at(who, Stage::Rcpt).await? {
                let (all, mut facts) = (recipients(), begun());
                for place in 0..all.len() {
                    facts.name(&all, place);
                    refusal(self.hooks.ask(who, &hooks, &mut facts, &mut together).await)
                        .map_err(|reply| reply.with_text(format!("{}: {}", all[place], reply.text)))?;
                }
            }
        }
        let Some(hooks) = self.hooks_at(who, Stage::Message).await? else {
            return Ok((body, Ruled::default()));
        };
        let (copy, about) = (body.clone(), submission.clone());
        let asks = off_the_workers(body.len(), move || {
            let head = Head::of_arriving(&copy).map_err(|_| replies::HEADER_TOO_BIG)?;
            asks(&about, (&head, &copy), Ruled::default(), now)
        });
        let Asks { steering, key, .. } = asks.await.map_err(|_| replies::STORAGE_ERROR)??;
        let stream = self.parts.accounts.stream(who, steering.stream.as_deref()).await;
        let stream = stream.map_err(|error| unavailable(&error))?;
        let mut facts = begun().message(recipients(), body);
        facts.tags = steering.tags;
        facts.stream = stream.ok().map(|stream| stream.slug.clone());
        let asked = refusal(self.hooks.ask(who, &hooks, &mut facts, &mut together).await)?;
        let ruled = Ruled {
            tags: Some(facts.tags),
            stream: asked.stream,
            discarded: asked.discarded,
            // What hooks write may differ each time, and it is the same message all the same.
            digest: key.map(|key| key.digest),
        };
        Ok((facts.raw, ruled))
    }

    async fn hooks_at(&self, who: &Principal, stage: Stage) -> Result<Option<Arc<[Arc<Hook>]>>, Reply> {
        self.hooks
            .at(who, stage)
            .await
            .map_err(|error| unavailable(&error))
    }

    /// Reads the header and writes ours on top of it.
    fn read(
        &self,
        submission: &Submission,
        (body, ruled): (Bytes, Ruled),
        id: Id,
        now: Time,
    ) -> Result<Reading, Reply> {
        let head = Head::of_arriving(&body).map_err(|_| replies::HEADER_TOO_BIG)?;
        if self.parts.settings.is_loop(&head) {
            return Err(replies::MAIL_LOOP);
        }
        let authors = head.authors().map_err(replies::bad_author)?;
        let hostname = &self.parts.settings.hostname;
        let id = id.to_string();
        let fresh_id = format!("{id}@{hostname}");
        let origin = &submission.origin;
        let recipients = &submission.envelope.recipients;
        let trace = Trace {
            helo: origin.helo.as_deref().unwrap_or_default(),
            ip: origin.ip,
            by: hostname,
            with: &origin.protocol,
            id: &id,
            tls: origin.tls.as_deref(),
            only_recipient: match recipients.as_slice() {
                [one] => Some(&one.address),
                _ => None,
            },
            at: now,
        };
        let top = trace.received() + &head.completion(now, &fresh_id);
        let beginning = head.rewritten(top.as_bytes(), |field| is_kept_back(field, hostname));
        let asks = asks(submission, (&head, &body), ruled, now)?;
        Ok(Reading {
            authors,
            asks,
            subject: head.subject().unwrap_or_default(),
            message_id: head.message_id().unwrap_or(fresh_id),
            content: beginning.put_on(body),
        })
    }

    async fn refresh(&self) -> Result<Epoch, Reply> {
        let epoch = self.parts.accounts.refresh().await;
        epoch.map_err(|error| unavailable(&error))
    }

    /// Whether this sender may send this, as of this epoch.
    async fn check_rights(
        &self,
        submission: &Submission,
        authors: &Authors,
        asks: &Asks,
        epoch: Epoch,
    ) -> Result<Checked, Reply> {
        let accounts = &self.parts.accounts;
        let principal = &submission.principal;
        match accounts
            .still_valid_from(principal, submission.origin.ip)
            .await
            .map_err(|error| unavailable(&error))?
        {
            Validity::Ok => {}
            Validity::SignedOut => return Err(replies::SIGNED_OUT),
            Validity::Suspended(reason) => return Err(replies::account_suspended(&reason)),
            Validity::Paused(reason) => return Err(replies::account_paused(&reason)),
        }
        let may_send_as = async |sender: &Address| {
            let allowed = accounts.may_send_as(principal, sender).await;
            allowed.map_err(|error| unavailable(&error))
        };
        if let Some(reverse_path) = &submission.envelope.reverse_path
            && !may_send_as(reverse_path).await?
        {
            return Err(replies::SENDER_NOT_ALLOWED);
        }
        if !may_send_as(&authors.from).await? {
            return Err(replies::FROM_NOT_ALLOWED);
        }
        for (field, address) in &authors.others {
            if !may_send_as(address).await? {
                return Err(replies::author_not_allowed(field));
            }
        }
        let stream = accounts.stream(principal, asks.steering.stream.as_deref()).await;
        let stream = stream
            .map_err(|error| unavailable(&error))?
            .map_err(|fault| refused_stream(&fault))?;
        let terms = accounts.terms(principal).await;
        let terms = terms.map_err(|error| unavailable(&error))?;
        let recipients = || submission.envelope.recipients.iter().map(|one| &one.address);
        let sandboxed = asks.steering.sandbox
            || terms.as_ref().is_some_and(|terms| terms.sandbox)
            || sandbox::is_test(recipients(), &self.parts.settings.hostname)?;
        // What goes into the sandbox reaches nobody.
        if !sandboxed
            && !accounts
                .may_send_to(principal, recipients())
                .await
                .map_err(|error| unavailable(&error))?
        {
            return Err(replies::SANDBOXED);
        }
        let allowance = accounts.allowance(principal, recipients()).await;
        let pays = accounts.pays(principal.account).await;
        let suppresses = accounts.suppresses(principal.account).await;
        let may_track = accounts.may_track(principal.account, authors.from.domain()).await;
        let own = accounts.retention(principal.account).await;
        let own = own.map_err(|error| unavailable(&error))?.content;
        let kept = own.map_or(self.parts.settings.keep_content, |days| DAY * days);
        Ok(Checked {
            via: principal.via,
            at: epoch,
            allowance: allowance.map_err(|error| unavailable(&error))?,
            pays: pays.map_err(|error| unavailable(&error))?,
            // Our own mail is no part of what the account may or may not send.
            suppresses: principal.via != Via::System && suppresses.map_err(|error| unavailable(&error))?,
            terms,
            // The same text to nobody and to somebody, or by another stream, is not the same message.
            key: asks.key.clone().map(|key| key.of(sandboxed, &stream.slug)),
            stream,
            may_track: may_track.map_err(|error| unavailable(&error))?,
            sandboxed,
            discarded: asks.discarded.clone(),
            // Our own mail holds links that open something; nobody is to find one in the history.
            keep_content: (principal.via != Via::System && !kept.is_zero()).then_some(kept),
        })
    }

    fn new_message(&self, submission: &Submission, reading: Reading, id: Id, now: Time) -> NewMessage {
        let settings = &self.parts.settings;
        let steering = reading.asks.steering;
        let send_at = steering.send_at.filter(|at| *at > now && !steering.sandbox);
        let leaves = send_at.unwrap_or(now);
        let expires_at = leaves.plus(settings.retry.give_up);
        let recipients = submission
            .envelope
            .recipients
            .iter()
            .zip(0..)
            .map(|(one, ordinal)| NewRecipient {
                recipient: JobRecipient {
                    ordinal,
                    address: one.address.clone(),
                    notify: one.notify,
                    orcpt: one.orcpt.clone(),
                    attempts: 0,
                    expires_at,
                    warned: false,
                    grip: Grip::default(),
                },
                place: send_at.map_or_else(
                    || Place::Waits {
                        until: now,
                        reason: "waiting to be taken up".to_owned(),
                    },
                    Place::Scheduled,
                ),
            });
        NewMessage {
            message: Message {
                id,
                account: submission.principal.account,
                stream: streams::DEFAULT.to_owned(),
                reverse_path: submission.envelope.reverse_path.clone(),
                header_from: reading.authors.from.to_string(),
                subject: shortened(reading.subject),
                ret: submission.envelope.ret,
                envid: submission.envelope.envid.clone(),
                size: reading.content.len() as u64,
                recipients: submission.envelope.recipients.len() as u32,
                created_at: now,
                wants: Wants::default(),
            },
            login: submission.principal.login,
            tags: steering.tags,
            message_id: shortened(reading.message_id),
            origin: submission.origin.to_json(),
            content: reading.content,
            // What holds for its account says the check of its rights.
            keep_until: None,
            recipients: recipients.collect(),
        }
    }

    /// Stores the message and hands it to its lanes; gives it back when it was not stored.
    async fn store(
        self,
        mut new: NewMessage,
        checked: Checked,
        now: Time,
    ) -> Result<(Stored, NewMessage), Reply> {
        let mut recipients: Vec<JobRecipient> =
            new.recipients.iter().map(|one| one.recipient.clone()).collect();
        let kept = if let Some(hook) = &checked.discarded {
            Some(sandbox::discard(&self.parts, &mut new, hook, now))
        } else if checked.sandboxed {
            let copies = self.copies(&new, now).await?;
            Some(sandbox::keep(&self.parts, (&mut new, copies), now))
        } else {
            None
        };
        let standby = (checked.suppresses && kept.is_none()).then(|| {
            self.parts
                .settlement(new.message.clone(), new.content.clone(), now)
        });
        let reservation = self
            .scheduler
            .as_ref()
            .filter(|_| kept.is_none() && new.send_at().is_none())
            .map(|core| core.reserve((new.message.id, &mut recipients), new.message.size, now));
        // A big message is looked through when it leaves: it may be refused yet.
        let pattern = match &reservation {
            Some(reservation) if reservation.is_in_hand() && new.content.len() < BIG => {
                self.pattern(&new).await?
            }
            _ => None,
        };
        if let (Some(pattern), Some(Reservation { held: Some(held), .. })) = (&pattern, &reservation) {
            held.add(pattern.weight());
        }
        if let Some(reservation) = &reservation {
            for (recipient, place) in new.recipients.iter_mut().zip(&reservation.places) {
                recipient.place = place.clone();
            }
        }
        let at_once = AtOnce {
            kept,
            standby,
            links: pattern.clone(),
        };
        let new = Arc::new(new);
        let writing = new.clone();
        let checked = Arc::new(checked);
        let ids = self.parts.ids.clone();
        // Many connections charge one account at once: by its key they queue up instead of deadlocking.
        let stored = self
            .parts
            .db
            .write_for(new.message.account, "accept", move |tx| {
                write(tx, &ids, &writing, &checked, &at_once)
            })
            .await
            .map_err(|error| not_stored(&error))?;
        if let (Stored::Yes(suppressed), Some(core), Some(mut reservation)) =
            (&stored, &self.scheduler, reservation)
        {
            leave_out(suppressed, &mut recipients);
            leave_out(suppressed, &mut reservation.places);
            hand_over(core, (&new, pattern), recipients, &reservation);
        }
        let new = Arc::try_unwrap(new).unwrap_or_else(|shared| (*shared).clone());
        Ok((stored, new))
    }

    /// How the copies of a message are made that wants each recipient to have one.
    async fn pattern(&self, new: &NewMessage) -> Result<Option<Arc<Pattern>>, Reply> {
        let (wants, raw) = (new.message.wants, new.content.clone());
        if !wants.is_personal() {
            return Ok(None);
        }
        let pattern = off_the_workers(raw.len(), move || Pattern::of(&raw, wants)).await;
        Ok(Some(Arc::new(pattern.map_err(|_| replies::STORAGE_ERROR)?)))
    }

    /// What makes the copies that are kept of a test.
    async fn copies(&self, new: &NewMessage, now: Time) -> Result<Option<Copies>, Reply> {
        let Some(pattern) = self.pattern(new).await? else {
            return Ok(None);
        };
        let numbers = pattern.numbers();
        let places = self.parts.places(&new.message).await;
        let places = places.map_err(|error| unavailable(&error))?;
        let to = (&self.parts.accounts, Arc::new(places));
        let copies = Copies::new((pattern, numbers), to, (new.message.id, now)).await;
        let copies = copies.map_err(|error| unavailable(&error))?;
        Ok(Some(copies.on_trial()))
    }
}

fn leave_out<T>(places: &HashSet<usize>, of: &mut Vec<T>) {
    let mut place = 0..;
    of.retain(|_| !place.next().is_some_and(|place| places.contains(&place)));
}

/// Gives a stored message to its lanes from memory.
fn hand_over(
    core: &Arc<Core>,
    (new, pattern): (&NewMessage, Option<Arc<Pattern>>),
    recipients: Vec<JobRecipient>,
    reservation: &Reservation,
) {
    let Some(held) = reservation.held.clone() else {
        return;
    };
    let job = Job {
        message: Arc::new(new.message.clone()),
        body: Some(new.content.clone()),
        pattern,
        recipients,
        leased: Leased::now(new.message.created_at),
        held,
    };
    core.fresh(job, reservation);
}

fn day_used_up(reached: Reached) -> Reply {
    replies::day_used_up(reached.most, reached.of == LimitOf::FirstTime, reached.opens_in)
}

/// What a message says about itself, in its header or beside it; what we write ourselves says nothing.
fn asks(
    submission: &Submission,
    (head, body): (&Head<'_>, &[u8]),
    ruled: Ruled,
    now: Time,
) -> Result<Asks, Reply> {
    let mut steering = match &submission.given {
        Some(given) => given.steering.clone(),
        None if submission.principal.via == Via::System => Steering::default(),
        None => Steering::parse(head, now).map_err(|error| replies::bad_steering(&error))?,
    };
    steering.tags = ruled.tags.unwrap_or(steering.tags);
    steering.stream = ruled.stream.or(steering.stream);
    let key = steering.idempotency_key.as_ref().map(|name| Key {
        name: name.clone(),
        digest: submission
            .given
            .as_ref()
            .and_then(|given| given.digest)
            .or(ruled.digest)
            .unwrap_or_else(|| idempotency::digest(&submission.envelope, head, body)),
    });
    let ours = submission.principal.via == Via::System;
    Ok(Asks {
        key,
        names_link: !ours && steering.unsubscribe.is_none() && names_link(body),
        ours,
        steering,
        discarded: ruled.discarded,
    })
}

fn refusal(mut asked: Asked) -> Result<Asked, Reply> {
    match asked.refusal.take() {
        Some(refusal) => Err(refusal),
        None => Ok(asked),
    }
}

impl Asks {
    /// What the message wants: what it says, else what its stream does, else nothing. Whoever says no to the link keeps its name
    /// in the text as it is, but for marketing, whose readers have a way out in any case. What may not be tracked is not.
    fn wants(&self, stream: &Stream, may_track: MayTrack) -> Wants {
        if self.ours {
            return Wants::default();
        }
        let unsubscribe = if self.steering.unsubscribe.unwrap_or(stream.unsubscribe) {
            Unsubscribe::Yes
        } else if self.names_link || stream.kind == StreamKind::Marketing {
            Unsubscribe::Named
        } else {
            Unsubscribe::No
        };
        let track = self.steering.track;
        Wants {
            unsubscribe,
            track_opens: may_track.opens && track.map_or(stream.track_opens, |track| track.opens),
            track_clicks: may_track.clicks && track.map_or(stream.track_clicks, |track| track.clicks),
        }
    }
}

fn refused_stream(fault: &StreamFault) -> Reply {
    match fault {
        StreamFault::Bound(_) => replies::stream_not_allowed(fault),
        StreamFault::Unknown(_) | StreamFault::Archived(_) => replies::no_such_stream(fault),
    }
}

/// What a list shows of a text; the message itself keeps all of it.
fn shortened(text: String) -> String {
    const LIMIT: usize = 998;
    if text.len() <= LIMIT {
        text
    } else {
        text.chars().take(LIMIT / 4).collect()
    }
}

fn unavailable(error: &accounts::AccountsError) -> Reply {
    tracing::warn!(%error, "a message was not accepted: its sender could not be checked");
    replies::STORAGE_ERROR
}

fn not_stored(error: &StoreError) -> Reply {
    tracing::warn!(%error, "a message was not accepted: it could not be stored");
    match error.kind() {
        ErrorKind::Full => replies::STORAGE_FULL,
        _ => replies::STORAGE_ERROR,
    }
}
