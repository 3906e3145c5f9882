//! A new message: one row, one body, one row a recipient.

use std::borrow::Cow;

use bytes::Bytes;
use mail::time::Time;
use store::{Id, Result, Tx};

use super::scheduled::scheduled_for;
use crate::model::{JobRecipient, Message, State};

/// A message about to be stored.
#[derive(Clone, Debug)]
pub struct NewMessage {
    pub message: Message,
    pub login: Option<Id>,
    pub tags: Vec<String>,
    /// Message-ID without its brackets.
    pub message_id: String,
    /// The [`crate::model::Origin`] as JSON.
    pub origin: String,
    pub content: Bytes,
    /// Until when the content stays; none: as soon as nobody waits for it any more it goes.
    pub keep_until: Option<Time>,
    pub recipients: Vec<NewRecipient>,
}

impl NewMessage {
    /// When it is to leave, where that is not at once.
    pub fn send_at(&self) -> Option<Time> {
        match self.recipients.first()?.place {
            Place::Scheduled(at) => Some(at),
            _ => None,
        }
    }
}

#[derive(Clone, Debug)]
pub struct NewRecipient {
    pub recipient: JobRecipient,
    pub place: Place,
}

/// Where a fresh recipient waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the memory of this node, which holds the lease.
    InHand(Id),
    /// In the database.
    Waits { until: Time, reason: String },
    /// In the database, until the time that its sender chose.
    Scheduled(Time),
}

/// The reason of a recipient that goes straight to its lane.
pub(super) const FRESH: &str = "on its way to its first attempt";

pub fn insert(tx: &mut Tx<'_>, new: &NewMessage) -> Result<()> {
    let message = &new.message;
    let reverse_path = message
        .reverse_path
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    tx.run(
        "INSERT INTO messages (id, account, login, reverse_path, header_from, subject, message_id, size, recipients, \
         origin, ret, envid, created_at, stream, tags, unsubscribe, track_opens, track_clicks) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
        &[
            message.id.into(),
            message.account.into(),
            new.login.into(),
            (&reverse_path).into(),
            (&message.header_from).into(),
            (&message.subject).into(),
            (&new.message_id).into(),
            (message.size as i64).into(),
            message.recipients.into(),
            (&new.origin).into(),
            message.ret.map(mail::notify::Ret::as_str).into(),
            message.envid.as_ref().into(),
            message.created_at.into(),
            (&message.stream).into(),
            (&tags_to_text(&new.tags)).into(),
            message.wants.unsubscribe.as_int().into(),
            message.wants.track_opens.into(),
            message.wants.track_clicks.into(),
        ],
    )?;
    tx.run(
        "INSERT INTO bodies (message, keep_until, content) VALUES ($1, $2, $3)",
        &[message.id.into(), new.keep_until.into(), (&new.content).into()],
    )?;
    for new in &new.recipients {
        insert_recipient(tx, message, new)?;
    }
    Ok(())
}

/// As the column holds them: between line ends, so that a whole one is found among them.
pub(super) fn tags_to_text(tags: &[String]) -> String {
    if tags.is_empty() {
        String::new()
    } else {
        format!("\n{}\n", tags.join("\n"))
    }
}

pub(super) fn tags_from_text(text: &str) -> Vec<String> {
    text.split_terminator('\n')
        .filter(|tag| !tag.is_empty())
        .map(str::to_owned)
        .collect()
}

fn insert_recipient(tx: &mut Tx<'_>, message: &Message, new: &NewRecipient) -> Result<()> {
    let one = &new.recipient;
    let (state, node, next_at, reason) = match &new.place {
        Place::InHand(node) => (State::Queued, Some(*node), message.created_at, FRESH.into()),
        Place::Waits { until, reason } => {
            let until = (*until).min(one.expires_at);
            (State::Queued, None, until, reason.as_str().into())
        }
        Place::Scheduled(at) => (State::Scheduled, None, *at, scheduled_for(*at).into()),
    };
    let reason: Cow<'_, str> = reason;
    tx.run(
        "INSERT INTO recipients (message, ordinal, account, address, domain, notify, orcpt, state, reason, attempts, \
         next_at, expires_at, node, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        &[
            message.id.into(),
            one.ordinal.into(),
            message.account.into(),
            (&one.address.to_string()).into(),
            one.domain().as_str().into(),
            (&one.notify.as_text()).into(),
            one.orcpt.as_ref().into(),
            state.as_str().into(),
            (&*reason).into(),
            0.into(),
            next_at.into(),
            one.expires_at.into(),
            node.into(),
            message.created_at.into(),
        ],
    )
}
