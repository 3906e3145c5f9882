//! One transaction for everything an attempt led to.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use accounts::retention;
use bytes::Bytes;
use mail::bounce::Class;
use mail::time::Time;
use store::events::{self, Event};
use store::{Id, Ids, Result, StoreError, Topic, Tx};

use super::decide::reason;
use super::report::{self, Reporter};
use crate::capture;
use crate::model::{JobRecipient, Message, Outcome, State, said};
use crate::personal::Copies;
use crate::spool::{self, NewMessage, Settled};
use crate::suppressions::{self, EVERY_STREAM, New, Why};

/// What became of recipients of one message, ready to be recorded.
#[derive(Clone)]
pub struct Settlement {
    pub node: Id,
    pub message: Arc<Message>,
    /// The stored message, for reports and for the local inbox; none where it is gone.
    pub body: Option<Bytes>,
    pub results: Vec<(JobRecipient, Settled)>,
    /// Deliveries go into the local inbox under identifiers made from these.
    pub captured: Option<Vec<Id>>,
    /// What they have there, where that is not the stored message.
    pub copies: Option<Copies>,
    pub reporter: Arc<Reporter>,
    pub ids: Ids,
    /// The identifier a report gets when there is one.
    pub report_id: Id,
    pub at: Time,
}

impl Settlement {
    /// The same without what is made from it: no report, nothing for the local inbox.
    fn bare(&self) -> Self {
        let mut bare = Self {
            body: None,
            ..self.clone()
        };
        for (_, settled) in &mut bare.results {
            settled.next.report = None;
        }
        bare
    }
}

/// What was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    pub delivered: u64,
    pub deferred: u64,
    pub bounced: u64,
    pub expired: u64,
    pub reports: u64,
    /// Recipients that were not ours any more: nothing is recorded of them.
    pub lost: u64,
}

/// [`record`] for a transaction that is tried until it is written: where it panics, which it would again, what became of the
/// recipients is recorded without more, so that one message nobody can report on keeps no lane waiting.
pub fn recording(
    settlement: Settlement,
) -> impl FnMut(&mut Tx<'_>) -> Result<Recorded> + Send + Clone + 'static {
    let settlement = Arc::new(settlement);
    let panicked = Arc::new(AtomicBool::new(false));
    move |tx| {
        if panicked.load(Ordering::Relaxed) {
            return record(tx, &settlement.bare());
        }
        catch_unwind(AssertUnwindSafe(|| record(tx, &settlement))).unwrap_or_else(|panic| {
            panicked.store(true, Ordering::Relaxed);
            let ordinals: Vec<u32> = settlement.results.iter().map(|(_, one)| one.ordinal).collect();
            tracing::error!(
                id = %settlement.message.id, ?ordinals, panic = said(&*panic),
                "settle: a mistake of this program; recorded without report and local inbox"
            );
            Err(StoreError::other("settle", "it panicked"))
        })
    }
}

/// Records a settlement: recipients, attempts, events, report, local inbox and the end of the body.
pub fn record(tx: &mut Tx<'_>, settlement: &Settlement) -> Result<Recorded> {
    let message = &settlement.message;
    let mut recorded = Recorded::default();
    let all = settlement.results.len() as u64 == u64::from(message.recipients);
    let any_final = settlement
        .results
        .iter()
        .any(|(_, one)| !one.next.state.is_waiting());
    if any_final && !all {
        spool::in_turn(tx, message.id)?;
    }
    let mut kept = Vec::with_capacity(settlement.results.len());
    for (index, (recipient, settled)) in settlement.results.iter().enumerate() {
        if !spool::settle(tx, settlement.node, message.id, settled, settlement.at)? {
            recorded.lost += 1;
            continue;
        }
        count(&mut recorded, settled.next.state);
        append_event(tx, settlement, (recipient, settled), false)?;
        suppress_the_dead(tx, settlement, (recipient, settled))?;
        if settled.next.state == State::Delivered
            && let (Some(ids), Some(body)) = (&settlement.captured, &settlement.body)
        {
            let copy = match &settlement.copies {
                Some(copies) => copies.of(body, recipient.ordinal),
                None => body.clone(),
            };
            capture::insert(tx, ids[index], message, recipient, (&copy, settlement.at))?;
        }
        kept.push((recipient, settled));
    }
    spool::transcripts::record(tx, message.id, kept.iter().map(|(_, one)| *one))?;
    if let Some(report) = report::of(settlement, &kept) {
        insert_report(tx, settlement, report)?;
        recorded.reports += 1;
    }
    if any_final && recorded.lost < settlement.results.len() as u64 {
        let settled_all =
            all && kept.iter().all(|(_, one)| !one.next.state.is_waiting()) && recorded.lost == 0;
        spool::release_body(tx, message.id, settled_all)?;
    }
    Ok(recorded)
}

/// Records what follows when a recipient that was delivered bounced after all: event, suppression, and a report where one is due.
pub fn bounced_late(
    tx: &mut Tx<'_>,
    settlement: &Settlement,
    (recipient, settled): (&JobRecipient, &Settled),
) -> Result<()> {
    append_event(tx, settlement, (recipient, settled), true)?;
    suppress_the_dead(tx, settlement, (recipient, settled))?;
    if let Some(report) = report::of(settlement, &[(recipient, settled)]) {
        insert_report(tx, settlement, report)?;
    }
    Ok(())
}

/// Stores a report, whose content is kept as long as that of the account's other mail.
fn insert_report(tx: &mut Tx<'_>, settlement: &Settlement, mut report: NewMessage) -> Result<()> {
    if let Some(days) = retention::own(tx, settlement.message.account)?.content {
        report.keep_until = (days > 0).then(|| settlement.at.plus(Duration::from_hours(24) * days));
    }
    spool::insert(tx, &report)?;
    tx.ring(Topic::Due);
    Ok(())
}

/// Puts an address on the suppression list that will never work.
fn suppress_the_dead(
    tx: &mut Tx<'_>,
    settlement: &Settlement,
    (recipient, settled): (&JobRecipient, &Settled),
) -> Result<()> {
    let message = &settlement.message;
    let dead = settled.next.state == State::Bounced && settled.class().is_some_and(Class::is_hard);
    // Mail from the null sender is ours, about an account that did not choose whom it goes to, or an answer to somebody. What
    // stays here tells nothing of any address.
    if !dead || settlement.captured.is_some() || message.reverse_path.is_none() {
        return Ok(());
    }
    let reply = settled.outcome.as_ref().map(Outcome::summary).unwrap_or_default();
    let new = New {
        account: message.account,
        stream: EVERY_STREAM,
        address: &recipient.address,
        why: Why::HardBounce,
        note: &reason(&reply),
        of: Some((message.id, recipient.ordinal)),
    };
    suppressions::add(tx, (settlement.ids.next(settlement.at), settlement.at), &new)?;
    Ok(())
}

fn count(recorded: &mut Recorded, state: State) {
    match state {
        State::Delivered => recorded.delivered += 1,
        State::Deferred | State::Queued => recorded.deferred += 1,
        State::Bounced => recorded.bounced += 1,
        State::Expired => recorded.expired += 1,
        State::Suppressed | State::Scheduled | State::Held | State::Cancelled => {}
    }
}

fn append_event(
    tx: &mut Tx<'_>,
    settlement: &Settlement,
    (recipient, settled): (&JobRecipient, &Settled),
    late: bool,
) -> Result<()> {
    let outcome = settled.outcome.as_ref();
    let mut data = serde_json::json!({
        "reason": settled.next.reason,
        "attempt": settled.attempts,
        "host": outcome.and_then(|outcome| outcome.host.as_deref()),
    });
    if let Some(class) = settled.class() {
        data["class"] = class.as_str().into();
        data["code"] = outcome.and_then(|outcome| outcome.code).into();
        data["enhanced"] = outcome
            .and_then(|outcome| outcome.enhanced)
            .map(|enhanced| enhanced.to_string())
            .into();
    }
    if late {
        data["late"] = true.into();
    }
    if settlement.message.is_report(&settlement.reporter.address()) {
        // What became of it says nothing about whom the account writes to.
        data["own"] = true.into();
    }
    if settlement.captured.is_some() {
        // It reached nobody: no sign that others want the account's mail.
        data["captured"] = true.into();
    }
    let data = data.to_string();
    events::append(
        tx,
        &Event {
            at: settlement.at,
            account: settlement.message.account,
            message: Some(settlement.message.id),
            ordinal: Some(i64::from(recipient.ordinal)),
            kind: settled.next.state.as_str(),
            data: &data,
        },
    )
}
