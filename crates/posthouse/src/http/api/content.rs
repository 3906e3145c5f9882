//! A stored message as a person looks at it: its parts, its source, its HTML behind bars.

use std::time::Duration;

use accounts::Scope;
use axum::Extension;
use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, IntoResponseParts, Response};
use bytes::Bytes;
use mail::message::Content;
use outbound::off_the_workers;
use serde::Serialize;
use store::Id;
use utoipa::ToSchema;

use crate::budget::{Claim, Fair};
use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, ApiResult};
use crate::http::untaken::Urgent;

/// Nothing in a mail's HTML may run, load or lead anywhere; only our own pages may frame it.
const PREVIEW_CSP: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
    form-action 'none'; base-uri 'none'; frame-ancestors 'self'";

/// Octets of memory for messages that are being read, together with the answers that are being sent, of all accounts.
const READING: usize = 256 * 1024 * 1024;
/// One account takes no more than this part of it: who reads slowly on purpose keeps nobody else out.
const PARTS: usize = 8;
/// What looking into a message takes beside it: its text and its HTML, decoded.
const LOOKING: usize = 4 * 1024 * 1024;

/// Who reads an answer gets this long, and a second for so many octets of it: the memory is to come back.
const PATIENCE: Duration = Duration::from_secs(30);
const LEAST_RATE: usize = 32 * 1024;

/// However big a message may be, each account can look at one.
pub fn memory_for_reading(max_message_size: usize) -> Fair {
    let of_one = (READING / PARTS).max(max_message_size.saturating_add(2 * LOOKING));
    Fair::new(READING.max(PARTS.saturating_mul(of_one)), of_one)
}

/// A message that may be read, before its content is in memory.
pub struct Readable {
    pub id: Id,
    claim: Claim,
}

/// What a message holds, with its claim on the memory.
pub struct Stored {
    raw: Bytes,
    claim: Claim,
}

impl Readable {
    pub fn with(self, raw: Bytes) -> Stored {
        Stored {
            raw,
            claim: self.claim,
        }
    }
}

/// An answer that keeps its claim until it has been sent.
struct Sent<T> {
    octets: T,
    _claim: Claim,
}

impl<T: AsRef<[u8]>> AsRef<[u8]> for Sent<T> {
    fn as_ref(&self) -> &[u8] {
        self.octets.as_ref()
    }
}

fn answer<T: AsRef<[u8]> + Send + 'static>(
    headers: impl IntoResponseParts,
    octets: T,
    mut claim: Claim,
) -> Response {
    let length = octets.as_ref().len();
    claim.shrink(length);
    let urgent = Urgent(PATIENCE + Duration::from_secs((length / LEAST_RATE) as u64));
    let sent = Sent {
        octets,
        _claim: claim,
    };
    let body = Body::from(Bytes::from_owner(sent));
    (headers, Extension(urgent), body).into_response()
}

/// What a message holds.
#[derive(Serialize, ToSchema)]
#[schema(as = Content)]
pub struct ContentView {
    /// In their order, decoded.
    headers: Vec<Header>,
    /// The text part.
    #[schema(required = true)]
    text: Option<String>,
    /// Whether there is an HTML part; it is read at `…/html`.
    html: bool,
    attachments: Vec<Attachment>,
}

/// One header field.
#[derive(Serialize, ToSchema)]
struct Header {
    #[schema(example = "Subject")]
    name: String,
    value: String,
}

/// One attachment, without its content.
#[derive(Serialize, ToSchema)]
struct Attachment {
    #[schema(required = true, example = "invoice.pdf")]
    name: Option<String>,
    #[schema(example = "application/pdf")]
    content_type: String,
    /// In bytes, decoded.
    size: usize,
}

impl From<Content> for ContentView {
    fn from(content: Content) -> Self {
        Self {
            headers: content
                .headers
                .into_iter()
                .map(|(name, value)| Header { name, value })
                .collect(),
            text: content.text,
            html: content.html.is_some(),
            attachments: content
                .attachments
                .into_iter()
                .map(|part| Attachment {
                    name: Some(part.name).filter(|name| !name.is_empty()),
                    content_type: part.content_type,
                    size: part.size,
                })
                .collect(),
        }
    }
}

async fn looked_through(raw: Bytes) -> ApiResult<Content> {
    let looking = off_the_workers(raw.len(), move || mail::message::content(&raw));
    looking.await.map_err(|error| ApiError::internal(&error))
}

/// Whose content the caller may look at: an operator helps with everybody's.
pub fn whose(caller: &Caller) -> ApiResult<Option<Id>> {
    caller.reads(Scope::Messages)?;
    Ok(if caller.scopes.contains(Scope::Operator) {
        None
    } else {
        Some(caller.account_id())
    })
}

/// Lets the caller read what a message of theirs holds, and leaves a trace where it is another account's. None where it
/// is not theirs to read: a mail of our own holds links that open accounts, so no key reads one, whatever its scopes, and
/// of people only owners of an operator's account do: to an admin of it the links would open the owners' logins.
pub async fn may_read(parts: &Parts, caller: &Caller, message: Id) -> ApiResult<Option<Readable>> {
    let whose = whose(caller)?;
    let Some(found) = parts.outbound.provenance(message).await? else {
        return Ok(None);
    };
    if whose.is_some_and(|account| account != found.account) {
        return Ok(None);
    }
    if found.origin.is_notice() && !caller.is_operating_owner() {
        return Ok(None);
    }
    let octets = usize::try_from(found.size)
        .unwrap_or(usize::MAX)
        .saturating_add(LOOKING);
    let Some(claim) = parts.reading.claim(caller.account_id(), octets) else {
        return Err(ApiError::ManyReaders);
    };
    note_reading(caller, found.account, message);
    Ok(Some(Readable { id: message, claim }))
}

fn note_reading(caller: &Caller, owner: Id, message: Id) {
    if owner != caller.account_id() {
        let login = caller.principal.login.map(|login| login.to_string());
        let via = caller.principal.via.as_str();
        tracing::info!(login, via, id = %message, account = %owner, "an operator read a message of another account");
    }
}

/// The message byte for byte, to be read, never to be rendered.
pub fn source(stored: Stored) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    answer(headers, stored.raw, stored.claim)
}

/// Its parts.
pub async fn view(stored: Stored) -> ApiResult<Response> {
    let view = ContentView::from(looked_through(stored.raw).await?);
    let json = serde_json::to_vec(&view).map_err(|error| ApiError::internal(&error))?;
    let headers = [(header::CONTENT_TYPE, "application/json")];
    Ok(answer(headers, json, stored.claim))
}

/// The HTML part.
pub async fn html(stored: Stored) -> ApiResult<Response> {
    let html = looked_through(stored.raw)
        .await?
        .html
        .ok_or(ApiError::NotFound("HTML part"))?;
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, PREVIEW_CSP),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    Ok(answer(headers, html, stored.claim))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_holds_memory_is_urgent_and_the_longer_the_more_time_it_has() {
        let fair = memory_for_reading(1024 * 1024);
        for (octets, seconds) in [(10, 30), (24 * 1024 * 1024, 30 + 768)] {
            let claim = fair.claim(Id::from_bytes([1; 16]), octets).unwrap();
            let raw = Bytes::from(vec![b'x'; octets]);
            let response = source(Stored { raw, claim });
            let urgent = response.extensions().get::<Urgent>();
            assert_eq!(urgent, Some(&Urgent(Duration::from_secs(seconds))));
        }
    }
}
