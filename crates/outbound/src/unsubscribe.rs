//! What a recipient does by the link of a message: takes itself out of a stream or of all, and comes back.
//!
//! Only what the recipient did is undone: an address that bounced, complained or was put on the list stays there.

use std::collections::HashMap;

use mail::address::Address;
use mail::message::Head;
use mail::time::Time;
use store::events::{self, Event};
use store::{Id, Result, Tx};

use crate::spool;
use crate::suppressions::{self, EVERY_STREAM, New, Why};
use crate::token::About;

/// The recipient of a message, as far as it is about what else it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    pub account: Id,
    pub address: Address,
    /// The stream that the message went in.
    pub stream: String,
    /// The address that the message says it is from; empty where it says none.
    pub from: String,
}

/// How an address stands on one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Subscribed,
    /// By its own will, and it may come back.
    Unsubscribed,
    /// For another reason, which is not its to change.
    Blocked,
}

/// By which way it was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The button of a mail program.
    // RFC 8058
    OneClick,
    Page,
    // RFC 2369 section 3.2
    Mail,
}

impl By {
    const fn as_str(self) -> &'static str {
        match self {
            Self::OneClick => "one_click",
            Self::Page => "page",
            Self::Mail => "mail",
        }
    }
}

/// What is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub about: About,
    /// None is the stream of the message; [`EVERY_STREAM`] is all of them.
    pub stream: Option<String>,
    /// Out of it, or back into it.
    pub out: bool,
    pub by: By,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    Yes,
    /// It was so before, or is not the recipient's to change.
    No,
    /// The message is gone.
    Gone,
    /// Too often of late.
    TooOften,
}

/// Whom a link is about; none where the message is gone.
pub fn reader(tx: &mut Tx<'_>, about: About) -> Result<Option<Reader>> {
    let found = spool::late::find(tx, about.message, about.ordinal)?;
    Ok(found.map(|found| Reader {
        account: found.message.account,
        address: found.recipient.address,
        stream: found.message.stream,
        from: found.message.header_from,
    }))
}

/// How an address stands in these streams; what counts for all is at [`EVERY_STREAM`].
pub fn standings(tx: &mut Tx<'_>, reader: &Reader, streams: &[String]) -> Result<HashMap<String, Standing>> {
    let found = suppressions::reasons(tx, reader.account, &reader.address, streams)?;
    let standing = |why: Option<&Why>| match why {
        None => Standing::Subscribed,
        Some(Why::Unsubscribe) => Standing::Unsubscribed,
        Some(_) => Standing::Blocked,
    };
    let every = std::iter::once(EVERY_STREAM).chain(streams.iter().map(String::as_str));
    Ok(every
        .map(|stream| (stream.to_owned(), standing(found.get(stream))))
        .collect())
}

/// Makes a change; doing it twice changes nothing the second time.
pub fn change(tx: &mut Tx<'_>, (id, now): (Id, Time), change: &Change) -> Result<Changed> {
    let Some(reader) = reader(tx, change.about)? else {
        return Ok(Changed::Gone);
    };
    let stream = change.stream.as_ref().unwrap_or(&reader.stream);
    let key = (reader.account, stream.as_str(), &reader.address);
    let standing = suppressions::reasons(tx, reader.account, &reader.address, std::slice::from_ref(stream))?;
    let before = standing.get(stream.as_str());
    let changes = if change.out {
        before.is_none()
    } else {
        before == Some(&Why::Unsubscribe)
    };
    if !changes {
        return Ok(Changed::No);
    }
    let who = format!("{} {}", change.about.message, change.about.ordinal);
    if !accounts::changes_by_link(tx, &who, now)? {
        return Ok(Changed::TooOften);
    }
    let done = if change.out {
        let new = New {
            account: reader.account,
            stream,
            address: &reader.address,
            why: Why::Unsubscribe,
            note: "",
            of: Some((change.about.message, change.about.ordinal)),
        };
        suppressions::add(tx, (id, now), &new)?
    } else {
        suppressions::take_back(tx, key)?
    };
    if !done {
        return Ok(Changed::No);
    }
    let mut data = serde_json::json!({
        "recipient": reader.address.to_string(),
        "by": change.by.as_str(),
    });
    if stream == EVERY_STREAM {
        data["every_stream"] = true.into();
    } else {
        data["stream"] = stream.as_str().into();
    }
    events::append(
        tx,
        &Event {
            at: now,
            account: reader.account,
            message: Some(change.about.message),
            ordinal: Some(i64::from(change.about.ordinal)),
            kind: if change.out {
                "unsubscribed"
            } else {
                "resubscribed"
            },
            data: &data.to_string(),
        },
    )?;
    Ok(Changed::Yes)
}

/// Whether mail to an unsubscribe address was written by nobody: an answer of a program, or a report.
// RFC 3834 section 5, and the field that was used before it
pub fn is_automatic(raw: &[u8]) -> bool {
    let Ok(head) = Head::parse(raw) else { return true };
    let said = |name: &str| head.first(name).map(|field| field.decoded().to_ascii_lowercase());
    said("auto-submitted").is_some_and(|value| !value.starts_with("no"))
        || said("precedence").is_some_and(|value| ["bulk", "junk", "auto_reply"].contains(&value.trim()))
        || head.has("x-autoreply")
        || head.has("x-autorespond")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_programs_are_told_from_mail_of_people() {
        for fields in [
            "",
            "Auto-Submitted: no\r\n",
            "Precedence: list\r\n",
            "Subject: unsubscribe\r\n",
        ] {
            assert!(!is_automatic(format!("{fields}\r\n").as_bytes()), "{fields}");
        }
        for fields in [
            "Auto-Submitted: auto-replied (vacation)\r\n",
            "auto-submitted: AUTO-GENERATED\r\n",
            "Precedence: bulk\r\n",
            "X-Autoreply: yes\r\n",
        ] {
            assert!(is_automatic(format!("{fields}\r\n").as_bytes()), "{fields}");
        }
    }
}
