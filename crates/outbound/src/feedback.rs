//! Late news: a report that came to the signed return path of a message, and what follows from it, in one transaction.

use std::sync::Arc;

use bytes::Bytes;
use mail::report::{Complaint, Done, Fate, Report};
use mail::time::Time;
use store::events::{self, Event};
use store::{Id, Ids, Result, Topic, Tx};

use crate::model::{JobRecipient, Message, Outcome, Verdict};
use crate::settle::{self, Reporter, Settlement};
use crate::spool::{self, Claimed, Settled};
use crate::suppressions::{self, EVERY_STREAM, New, Why};
use crate::token::About;

/// What came of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    Bounced,
    Complained,
    /// The recipient still waits, perhaps only for the record of the very delivery that this report is about: it has to come again.
    TooEarly,
    /// It says nothing, or nothing new: about a delay, a delivery, a message that is gone, what was reported before.
    Nothing,
}

/// What acting on a report takes.
#[derive(Clone)]
pub struct Desk {
    pub node: Id,
    pub reporter: Arc<Reporter>,
    pub ids: Ids,
    pub at: Time,
}

/// Acts on a report about one recipient. Doing it twice changes nothing the second time.
pub fn take(tx: &mut Tx<'_>, about: About, report: &Report, desk: &Desk) -> Result<Taken> {
    match report {
        Report::Status(fates) => match find(tx, about)? {
            Some(found) => bounce(tx, found, fates, desk),
            None => Ok(Taken::Nothing),
        },
        Report::Complaint(complaint) if complaint.counts() => match find(tx, about)? {
            Some(found) => complain(tx, &found, complaint, desk),
            None => Ok(Taken::Nothing),
        },
        // Such as that it is no spam after all.
        Report::Nothing | Report::Complaint(_) => Ok(Taken::Nothing),
    }
}

fn find(tx: &mut Tx<'_>, about: About) -> Result<Option<Claimed>> {
    spool::late::find(tx, about.message, about.ordinal)
}

fn bounce(tx: &mut Tx<'_>, found: Claimed, fates: &[Fate], desk: &Desk) -> Result<Taken> {
    let Some(fate) = failure(&found.recipient, fates) else {
        return Ok(Taken::Nothing);
    };
    if found.state.is_waiting() {
        return Ok(Taken::TooEarly);
    }
    let outcome = outcome(fate, desk.at);
    let Some(next) = settle::late(found.state, found.recipient.notify, &outcome) else {
        return Ok(Taken::Nothing);
    };
    let settled = Settled {
        ordinal: found.recipient.ordinal,
        attempts: found.recipient.attempts + 1,
        outcome: Some(outcome),
        next,
    };
    if !spool::late::bounced(tx, found.message.id, &settled, desk.at)? {
        return Ok(Taken::Nothing);
    }
    let message = Arc::new(found.message);
    // The content is still there where it is kept; without it the report names the message by its identifiers alone.
    let body = spool::body(tx, message.id)?;
    let settlement = Settlement {
        message,
        body,
        node: desk.node,
        results: Vec::new(),
        captured: None,
        copies: None,
        reporter: desk.reporter.clone(),
        ids: desk.ids.clone(),
        report_id: desk.ids.next(desk.at),
        at: desk.at,
    };
    settle::bounced_late(tx, &settlement, (&found.recipient, &settled))?;
    tx.ring(Topic::Due);
    Ok(Taken::Bounced)
}

/// What failed for this recipient. A list or an alias behind it may have failed in part: then its own address has to be among
/// what failed, because one of many behind it says nothing about it.
fn failure<'a>(recipient: &JobRecipient, fates: &'a [Fate]) -> Option<&'a Fate> {
    let own = recipient.address.login_key();
    let mut failed = fates.iter().filter(|fate| fate.done == Done::Failed);
    let named = |fate: &&Fate| fate.addresses.contains(&own);
    failed.clone().find(named).or_else(|| {
        failed
            .next()
            .filter(|_| fates.iter().all(|fate| fate.done == Done::Failed))
    })
}

fn outcome(fate: &Fate, at: Time) -> Outcome {
    let text = if fate.text.is_empty() {
        "a report says that it failed, and not why".to_owned()
    } else {
        fate.text.clone()
    };
    Outcome {
        code: fate.code,
        enhanced: fate.enhanced,
        reply: text,
        host: fate.host.clone(),
        ..Outcome::without_reply(
            Verdict::Bounced,
            mail::reply::Enhanced::new(5, 0, 0),
            String::new(),
            at,
        )
    }
}

fn complain(tx: &mut Tx<'_>, found: &Claimed, complaint: &Complaint, desk: &Desk) -> Result<Taken> {
    let (message, recipient) = (&found.message, &found.recipient);
    if !spool::late::complained(tx, message.id, recipient.ordinal, desk.at)? {
        return Ok(Taken::Nothing);
    }
    let mut data = said(recipient, &complaint.kind, complaint.reporter.as_deref());
    if message.is_report(&desk.reporter.address()) {
        data["own"] = true.into();
    }
    // Who complains of each of a row of old messages is one who complains.
    if !suppress(tx, (desk.ids.next(desk.at), desk.at), message, recipient)? {
        data["again"] = true.into();
    }
    append(tx, message, recipient.ordinal, &data, desk.at)?;
    Ok(Taken::Complained)
}

/// The complaint of a test address, whose reader there is none: it suppresses nobody, and is no sign of anything.
pub(crate) fn complain_as_test(
    tx: &mut Tx<'_>,
    message: &Message,
    recipient: &JobRecipient,
    at: Time,
) -> Result<()> {
    spool::late::complained(tx, message.id, recipient.ordinal, at)?;
    let mut data = said(recipient, "abuse", None);
    data["captured"] = true.into();
    append(tx, message, recipient.ordinal, &data, at)
}

fn said(recipient: &JobRecipient, class: &str, host: Option<&str>) -> serde_json::Value {
    serde_json::json!({
        "recipient": recipient.address.to_string(),
        "class": class,
        "host": host,
    })
}

fn append(
    tx: &mut Tx<'_>,
    message: &Message,
    ordinal: u32,
    data: &serde_json::Value,
    at: Time,
) -> Result<()> {
    events::append(
        tx,
        &Event {
            at,
            account: message.account,
            message: Some(message.id),
            ordinal: Some(i64::from(ordinal)),
            kind: "complained",
            data: &data.to_string(),
        },
    )
}

/// False where the address was suppressed already.
fn suppress(tx: &mut Tx<'_>, entry: (Id, Time), message: &Message, recipient: &JobRecipient) -> Result<bool> {
    // Our own reports belong to the account that they are for, which did not choose to write them.
    if message.reverse_path.is_none() {
        return Ok(true);
    }
    let new = New {
        account: message.account,
        stream: EVERY_STREAM,
        address: &recipient.address,
        why: Why::Complaint,
        note: "",
        of: Some((message.id, recipient.ordinal)),
    };
    suppressions::add(tx, entry, &new)
}

/// What a report says, read where it blocks nobody.
pub async fn read(raw: Bytes) -> Result<Report> {
    let octets = raw.len();
    crate::model::off_the_workers(octets, move || mail::report::read(&raw))
        .await
        .map_err(|error| store::StoreError::other("read a report", error))
}
