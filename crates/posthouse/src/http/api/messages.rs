//! What became of messages: lists, one message, its content, trying again and giving up.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use accounts::Scope;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use mail::bounce::Class;
use mail::message::steer;
use mail::time::Time;
use outbound::history::{Detail, Filter, Summary};
use outbound::model::State as RecipientState;
use outbound::tracking;
use serde::{Deserialize, Serialize};
use store::{Id, Tx};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::content::{self, ContentView, Stored, may_read, whose};
use super::message_view::MessageView;
use super::{export, transcript};
use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, ApiResult, Problem, sentence};
use crate::http::json::{Body, Named, Params, cursor, id};
use crate::http::paging::{SearchPage, limit};

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(read))
        .routes(routes!(read_content))
        .routes(routes!(read_source))
        .routes(routes!(read_html))
        .routes(routes!(retry))
        .routes(routes!(cancel))
        .routes(routes!(schedule))
        .routes(routes!(retry_recipient))
        .routes(routes!(cancel_recipient))
        .routes(routes!(transcript::read))
        .routes(routes!(export::export))
}

/// A message in a list.
#[derive(Serialize, ToSchema)]
pub struct MessageSummary {
    id: String,
    #[schema(format = DateTime)]
    created_at: String,
    /// The address in the From header.
    #[schema(example = "alice@example.com")]
    from: String,
    subject: String,
    #[schema(example = "transactional")]
    stream: String,
    /// In lower case.
    #[schema(example = json!(["order"]))]
    tags: Vec<String>,
    /// In bytes.
    size: u64,
    recipient_count: u64,
    /// The first three of them.
    recipients: Vec<String>,
    /// How many recipients are in each state: `scheduled`, `queued`, `deferred`, `delivered`, `bounced`, `suppressed`, `held`,
    /// `cancelled`, `expired`.
    #[schema(example = json!({"delivered": 2, "deferred": 1}))]
    states: BTreeMap<String, u64>,
    /// Whose it is; in lists of all accounts only.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
}

impl MessageSummary {
    fn of(summary: Summary, account: Option<String>) -> Self {
        Self {
            id: summary.id.to_string(),
            created_at: summary.created_at.rfc3339(),
            from: summary.from,
            subject: summary.subject,
            stream: summary.stream,
            tags: summary.tags,
            size: summary.size,
            recipient_count: summary.recipient_count,
            recipients: summary.recipients,
            states: summary.states,
            account,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum MessageSort {
    #[default]
    Newest,
    Oldest,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListMessages {
    /// The whole address of a recipient, the whole id of a message, or a part of a recipient, sender, subject or Message-ID.
    q: Option<String>,
    /// Only messages with a recipient in this state.
    #[param(example = "deferred")]
    state: Option<String>,
    /// Only messages with a recipient whose last attempt came to this class of bounce or deferral.
    #[param(example = "mailbox_full")]
    class: Option<String>,
    /// Only messages that went in this stream.
    #[param(example = "transactional")]
    stream: Option<String>,
    /// Only messages with this tag; its case makes no difference.
    #[param(example = "order")]
    tag: Option<String>,
    /// Accepted at this time or later (RFC 3339).
    #[param(format = DateTime)]
    since: Option<String>,
    /// Accepted before this time (RFC 3339).
    #[param(format = DateTime)]
    until: Option<String>,
    #[param(required = false, inline)]
    #[serde(default)]
    sort: MessageSort,
    /// Items on a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
    /// The messages of all accounts. Operators only.
    #[param(required = false)]
    #[serde(default)]
    pub(super) all: bool,
}

/// Octets of what is searched for: more than an address or a line of a subject has.
const LONGEST: usize = 998;

impl ListMessages {
    pub(super) fn filter(self, account: Option<Id>, limit: u32) -> ApiResult<Filter> {
        for (field, text) in [("q", &self.q), ("tag", &self.tag), ("stream", &self.stream)] {
            if text.as_ref().is_some_and(|text| text.len() > LONGEST) {
                return Err(ApiError::invalid(field, "That is too long."));
            }
        }
        let state = self.state.filter(|state| !state.is_empty()).map(|state| {
            RecipientState::parse(&state).ok_or_else(|| ApiError::invalid("state", "There is no such state."))
        });
        let class = self.class.filter(|class| !class.is_empty()).map(|class| {
            Class::parse(&class).ok_or_else(|| ApiError::invalid("class", "There is no such class."))
        });
        Ok(Filter {
            account,
            text: self.q,
            state: state.transpose()?,
            class: class.transpose()?,
            stream: self.stream.filter(|stream| !stream.is_empty()),
            tag: self.tag,
            since: time(self.since, "since")?,
            until: time(self.until, "until")?,
            oldest_first: self.sort == MessageSort::Oldest,
            limit: limit + 1,
            after: cursor(self.after.as_deref())?,
        })
    }
}

fn time(text: Option<String>, field: &str) -> ApiResult<Option<Time>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    match Time::parse_rfc3339(&text) {
        Some(time) => Ok(Some(time)),
        None => Err(ApiError::invalid(field, "Give a time like 2026-11-23T12:00:00Z.")),
    }
}

/// List messages
///
/// Recipients, classes, streams and the states of what failed are looked up. Anything else, and whatever is asked for at once, is looked
/// for among up to 10,000 messages a page: a page may be short, even empty, and `searched_to` then says how far it looked. `next` goes on.
#[utoipa::path(
    get, path = "/messages", tag = "messages", operation_id = "listMessages", params(ListMessages),
    responses((status = 200, description = "A page of messages", body = SearchPage<MessageSummary>)),
    security(("key" = ["messages"]), ("key" = ["read"]), ("session" = [])),
)]
async fn list(
    State(parts): State<Parts>,
    caller: Caller,
    Params(asked): Params<ListMessages>,
) -> ApiResult<Json<SearchPage<MessageSummary>>> {
    caller.reads(Scope::Messages)?;
    if asked.all {
        caller.needs(Scope::Operator)?;
    }
    let (all, limit) = (asked.all, limit(asked.limit)?);
    let filter = asked.filter((!all).then(|| caller.account_id()), limit)?;
    let found = parts.outbound.messages(filter).await?;
    let names = if all {
        account_names(&parts, &found.items).await?
    } else {
        HashMap::new()
    };
    let page = SearchPage::of(found, limit, |summary| summary.id);
    Ok(Json(page.map(|summary| {
        let account = names.get(&summary.account).cloned();
        MessageSummary::of(summary, account)
    })))
}

async fn account_names(parts: &Parts, found: &[Summary]) -> ApiResult<HashMap<Id, String>> {
    let mut names = HashMap::new();
    for summary in found {
        if let Entry::Vacant(name) = names.entry(summary.account) {
            name.insert(parts.accounts.account(summary.account).await?.name);
        }
    }
    Ok(names)
}

async fn find(parts: &Parts, caller: &Caller, message: &str) -> ApiResult<Detail> {
    let (account, id) = (whose(caller)?, id(message, "message")?);
    let found = parts.outbound.message(account, id).await?;
    found.ok_or(ApiError::NotFound("message"))
}

async fn stored(parts: &Parts, caller: &Caller, message: &str) -> ApiResult<Stored> {
    let readable = may_read(parts, caller, id(message, "content")?)
        .await?
        .ok_or(ApiError::NotFound("content"))?;
    let found = parts.outbound.source(None, readable.id).await?;
    Ok(readable.with(found.ok_or(ApiError::NotFound("content"))?))
}

/// Read one message
///
/// How it came in, and for each recipient its state, the reason for it in plain words, and every attempt with the
/// reply of the remote server. Operators may read the messages of all accounts.
#[utoipa::path(
    get, path = "/messages/{id}", tag = "messages", operation_id = "getMessage",
    params(("id" = String, Path, description = "The message")),
    responses(
        (status = 200, description = "The message", body = MessageView),
        (status = 404, description = "The account has none of this id", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["messages"]), ("key" = ["read"]), ("session" = [])),
)]
async fn read(
    State(parts): State<Parts>,
    caller: Caller,
    Named(message): Named<String>,
) -> ApiResult<Json<MessageView>> {
    let detail = find(&parts, &caller, &message).await?;
    let id = detail.summary.id;
    let readers = move |tx: &mut Tx<'_>| tracking::of_message(tx, id);
    let readers = parts.db.read("read who opened a message", readers).await?;
    Ok(Json(MessageView::new(detail, &readers)))
}

/// Read what a message holds
///
/// Content is kept for some days, and in any case until nobody waits for it; then this answers 404.
/// When an operator reads a message of another account, the log keeps who read which.
/// The server's own mail about an account holds links: it answers 404 to keys, and to everybody but operators.
#[utoipa::path(
    get, path = "/messages/{id}/content", tag = "messages", operation_id = "getMessageContent",
    params(("id" = String, Path, description = "The message")),
    responses(
        (status = 200, description = "Its parts", body = ContentView),
        (status = 404, description = "There is no such message, or its content is gone", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["messages"]), ("key" = ["read"]), ("session" = [])),
)]
async fn read_content(
    State(parts): State<Parts>,
    caller: Caller,
    Named(message): Named<String>,
) -> ApiResult<Response> {
    content::view(stored(&parts, &caller, &message).await?).await
}

/// Read a message byte for byte
///
/// When an operator reads a message of another account, the log keeps who read which.
#[utoipa::path(
    get, path = "/messages/{id}/source", tag = "messages", operation_id = "getMessageSource",
    params(("id" = String, Path, description = "The message")),
    responses(
        (status = 200, description = "The message as it was accepted, before signing", body = String, content_type = "text/plain"),
        (status = 404, description = "There is no such message, or its content is gone", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["messages"]), ("key" = ["read"]), ("session" = [])),
)]
async fn read_source(
    State(parts): State<Parts>,
    caller: Caller,
    Named(message): Named<String>,
) -> ApiResult<Response> {
    Ok(content::source(stored(&parts, &caller, &message).await?))
}

/// Read the HTML part of a message
///
/// Served under a policy that lets nothing in it run, load or lead anywhere.
/// When an operator reads a message of another account, the log keeps who read which.
#[utoipa::path(
    get, path = "/messages/{id}/html", tag = "messages", operation_id = "getMessageHtml",
    params(("id" = String, Path, description = "The message")),
    responses(
        (status = 200, description = "The HTML part", body = String, content_type = "text/html"),
        (status = 404, description = "There is no such message or no HTML in it, or its content is gone", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["messages"]), ("key" = ["read"]), ("session" = [])),
)]
async fn read_html(
    State(parts): State<Parts>,
    caller: Caller,
    Named(message): Named<String>,
) -> ApiResult<Response> {
    content::html(stored(&parts, &caller, &message).await?).await
}

/// Try a message now
///
/// Makes all its waiting recipients due at once, scheduled and held ones too. Those that wait for nothing are left alone.
#[utoipa::path(
    post, path = "/messages/{id}/retry", tag = "messages", operation_id = "retryMessage",
    params(("id" = String, Path, description = "The message")),
    responses(
        (status = 204, description = "On its way"),
        (status = 404, description = "The account has none of this id", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Nobody waits for it", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["messages"]), ("session" = [])),
)]
async fn retry(
    State(parts): State<Parts>,
    caller: Caller,
    Named(message): Named<String>,
) -> ApiResult<StatusCode> {
    change(&parts, &caller, &message, (None, Change::Retry)).await
}

/// Give a message up
///
/// Cancels all its waiting recipients. One that is being delivered at this very moment may still arrive.
#[utoipa::path(
    post, path = "/messages/{id}/cancel", tag = "messages", operation_id = "cancelMessage",
    params(("id" = String, Path, description = "The message")),
    responses(
        (status = 204, description = "Cancelled"),
        (status = 404, description = "The account has none of this id", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Nobody waits for it", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["messages"]), ("session" = [])),
)]
async fn cancel(
    State(parts): State<Parts>,
    caller: Caller,
    Named(message): Named<String>,
) -> ApiResult<StatusCode> {
    change(&parts, &caller, &message, (None, Change::Cancel)).await
}

/// Another time for a message.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Reschedule {
    /// RFC 3339 with its offset, at most 30 days ahead.
    #[schema(format = DateTime, example = "2027-01-31T09:00:00+01:00")]
    send_at: String,
}

/// Let a message leave at another time
///
/// For one that is scheduled, or that is held because its time passed long before the server could send it.
#[utoipa::path(
    post, path = "/messages/{id}/schedule", tag = "messages", operation_id = "rescheduleMessage",
    params(("id" = String, Path, description = "The message")), request_body = Reschedule,
    responses(
        (status = 204, description = "It leaves at that time"),
        (status = 404, description = "The account has none of this id", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "None of it is scheduled any more", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The time is none that it can leave at", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["messages"]), ("session" = [])),
)]
async fn schedule(
    State(parts): State<Parts>,
    caller: Caller,
    Named(message): Named<String>,
    Body(asked): Body<Reschedule>,
) -> ApiResult<StatusCode> {
    caller.needs(Scope::Messages)?;
    let found = find(&parts, &caller, &message).await?;
    let at = send_at(&asked.send_at, parts.clock.now())?;
    let moved = parts
        .outbound
        .reschedule(found.summary.id, at, &caller.by())
        .await?;
    if moved == 0 {
        return Err(ApiError::Conflict("None of it is scheduled any more.".to_owned()));
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Reads the time at which a message is to leave.
pub(super) fn send_at(text: &str, now: Time) -> ApiResult<Time> {
    steer::send_at(text, now).map_err(|fault| ApiError::invalid("send_at", sentence(&format!("it {fault}"))))
}

/// Try one recipient now
#[utoipa::path(
    post, path = "/messages/{id}/recipients/{ordinal}/retry", tag = "messages", operation_id = "retryRecipient",
    params(("id" = String, Path, description = "The message"), ("ordinal" = u32, Path, description = "The recipient's number")),
    responses(
        (status = 204, description = "On its way"),
        (status = 404, description = "There is no such message or recipient", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It does not wait", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["messages"]), ("session" = [])),
)]
async fn retry_recipient(
    State(parts): State<Parts>,
    caller: Caller,
    Named((message, ordinal)): Named<(String, u32)>,
) -> ApiResult<StatusCode> {
    change(&parts, &caller, &message, (Some(ordinal), Change::Retry)).await
}

/// Give one recipient up
#[utoipa::path(
    post, path = "/messages/{id}/recipients/{ordinal}/cancel", tag = "messages", operation_id = "cancelRecipient",
    params(("id" = String, Path, description = "The message"), ("ordinal" = u32, Path, description = "The recipient's number")),
    responses(
        (status = 204, description = "Cancelled"),
        (status = 404, description = "There is no such message or recipient", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It does not wait", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["messages"]), ("session" = [])),
)]
async fn cancel_recipient(
    State(parts): State<Parts>,
    caller: Caller,
    Named((message, ordinal)): Named<(String, u32)>,
) -> ApiResult<StatusCode> {
    change(&parts, &caller, &message, (Some(ordinal), Change::Cancel)).await
}

#[derive(Clone, Copy)]
enum Change {
    Retry,
    Cancel,
}

async fn change(
    parts: &Parts,
    caller: &Caller,
    message: &str,
    (ordinal, change): (Option<u32>, Change),
) -> ApiResult<StatusCode> {
    caller.needs(Scope::Messages)?;
    let found = find(parts, caller, message).await?;
    if ordinal.is_some_and(|ordinal| !found.recipients.iter().any(|one| one.ordinal == ordinal)) {
        return Err(ApiError::NotFound("recipient"));
    }
    // Mail of ours tells people what was done to them; whoever did it must not be able to take it away.
    if matches!(change, Change::Cancel) && found.origin.is_notice() {
        return Err(ApiError::Forbidden(
            "mail of the service itself is not cancelled".to_owned(),
        ));
    }
    let message = found.summary.id;
    let anybody = match change {
        Change::Retry => {
            let changed = parts.outbound.retry(message, ordinal, &caller.by()).await?;
            changed.rows + changed.in_hand > 0
        }
        Change::Cancel => {
            let cancelled = parts.outbound.cancel(message, ordinal, &caller.by()).await?;
            if cancelled.ordinals.is_empty() && cancelled.on_the_wire > 0 {
                return Err(ApiError::Conflict(
                    "It is being delivered at this moment.".to_owned(),
                ));
            }
            !cancelled.ordinals.is_empty()
        }
    };
    if !anybody {
        return Err(ApiError::Conflict("Nobody waits for it any more.".to_owned()));
    }
    Ok(StatusCode::NO_CONTENT)
}
