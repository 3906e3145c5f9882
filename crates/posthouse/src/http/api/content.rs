//! A stored message as a person looks at it: its parts, its source, its HTML behind bars.

use accounts::Scope;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use mail::message::Content;
use outbound::off_the_workers;
use serde::Serialize;
use store::Id;
use utoipa::ToSchema;

use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, ApiResult};

/// Nothing in a mail's HTML may run, load or lead anywhere; only our own pages may frame it.
const PREVIEW_CSP: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
    form-action 'none'; base-uri 'none'; frame-ancestors 'self'";

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

impl ContentView {
    pub async fn of(raw: Bytes) -> ApiResult<Self> {
        let content = looked_through(raw).await?;
        Ok(Self {
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
        })
    }
}

async fn looked_through(raw: Bytes) -> ApiResult<Content> {
    let looking = off_the_workers(raw.len(), move || mail::message::content(&raw));
    looking.await.map_err(|error| ApiError::internal(&error))
}

/// Whose content the caller may look at: an operator helps with everybody's.
pub fn whose(caller: &Caller) -> ApiResult<Option<Id>> {
    caller.needs(Scope::Messages)?;
    Ok(if caller.scopes.contains(Scope::Operator) {
        None
    } else {
        Some(caller.account_id())
    })
}

/// Lets the caller read what a message of theirs holds, and leaves a trace where it is another account's. False where it
/// is not theirs to read: a mail of our own holds links that open accounts, so no key reads one, whatever its scopes, and
/// of people only operators do, who can give every login a new password anyway.
pub async fn may_read(parts: &Parts, caller: &Caller, message: Id) -> ApiResult<bool> {
    let Some((owner, origin)) = parts.outbound.owner(message).await? else {
        return Ok(false);
    };
    let is_operator = caller.session.is_some() && caller.scopes.contains(Scope::Operator);
    if origin.is_notice() && !is_operator {
        return Ok(false);
    }
    note_reading(caller, owner, message);
    Ok(true)
}

fn note_reading(caller: &Caller, owner: Id, message: Id) {
    if owner != caller.account_id() {
        let login = caller.principal.login.map(|login| login.to_string());
        let via = caller.principal.via.as_str();
        tracing::info!(login, via, id = %message, account = %owner, "an operator read a message of another account");
    }
}

/// The message byte for byte, to be read, never to be rendered.
pub fn source(raw: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], raw).into_response()
}

/// The HTML part.
pub async fn html(raw: Bytes) -> ApiResult<Response> {
    let html = looked_through(raw)
        .await?
        .html
        .ok_or(ApiError::NotFound("HTML part"))?;
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, PREVIEW_CSP),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    Ok((headers, html).into_response())
}
