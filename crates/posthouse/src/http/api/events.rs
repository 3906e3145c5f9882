//! The event log of an account, read on from where one stopped.

use accounts::Scope;
use axum::Json;
use axum::extract::State;
use mail::time::Time;
use outbound::feed::{self, KINDS, Told, Wanted};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::Tx;
use store::events::Cursor;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, ApiResult};
use crate::http::json::Params;
use crate::http::paging::limit;

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new().routes(routes!(list))
}

/// What happened. `type` is what happened:
///
/// - `accepted`: the message was taken; one event for all its recipients. `recipients`, `size` (bytes), `suppressed`, and
///   `sandbox`, true where it came by a sandbox credential.
/// - `delivered`: the recipient's server took it.
/// - `deferred`: it did not for now; it is tried again.
/// - `bounced`: it refused for good.
/// - `expired`: it was given up because of its age.
/// - `scheduled`: what waits for its time was given another one.
/// - `held`: it waits, because the account is paused or because its time passed while the server was away; `queued`: it goes on,
///   or its time has come.
/// - `cancelled`: somebody gave it up.
/// - `suppressed`: it was not sent, because the recipient is suppressed.
/// - `complained`: the recipient called it spam.
/// - `opened`: its picture was fetched; `clicked`: a link was followed. `client`, `machine` and, where that is true, `why`;
///   `link`, `url`, `country` and `count` where there are any. At most 30 events of one recipient are told, and 10 of
///   machines.
/// - `unsubscribed`, `resubscribed`: the recipient wants no more of a stream, or wants it again.
#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
pub struct EventView {
    /// Its place in the log. A webhook has it in `webhook-id`, behind `evt_`.
    #[schema(example = "0-345")]
    id: String,
    #[serde(rename = "type")]
    #[schema(example = "delivered")]
    kind: String,
    #[schema(format = DateTime)]
    timestamp: String,
    #[schema(value_type = EventData)]
    data: Value,
}

/// What an event says. Which fields there are depends on its type; further ones may be added.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what the log holds")]
pub struct EventData {
    /// The message it happened to.
    #[schema(required = true)]
    message: Option<String>,
    /// Its Message-ID; null when the message is no longer on record.
    #[schema(required = true, example = "1@mail.example.com")]
    message_id: Option<String>,
    /// The recipient it happened to, counted from 0; null for the message as a whole.
    #[schema(required = true)]
    ordinal: Option<i64>,
    /// The address of the recipient; null for the message as a whole, and when it is no longer on record.
    #[schema(required = true, example = "zoe@example.net")]
    recipient: Option<String>,
    /// The stream of the message; missing when it is no longer on record.
    #[schema(example = "transactional")]
    stream: Option<String>,
    /// The tags of the message; missing when it is no longer on record.
    tags: Option<Vec<String>>,
    /// Of `accepted`: when it is to leave, where it was scheduled.
    #[schema(format = DateTime)]
    send_at: Option<String>,
    /// Why, mostly the reply of the other server.
    #[schema(example = "250 2.0.0 Ok: queued as 4XyZ")]
    reason: Option<String>,
    /// Which attempt it was, counted from 1.
    attempt: Option<u32>,
    /// The server it happened with.
    #[schema(example = "mx.example.net")]
    host: Option<String>,
    /// Of `accepted`: how many recipients.
    recipients: Option<u32>,
    /// Of `accepted`: how many of them were left out, because they are suppressed.
    suppressed: Option<u32>,
    /// Of `accepted`: the size of the message.
    size: Option<u64>,
    /// True where the message came by a sandbox credential.
    sandbox: Option<bool>,
    /// True where it was kept in the local inbox and reached nobody.
    captured: Option<bool>,
    /// Of `opened` and `clicked`: what the recipient reads with; one of a few names.
    #[schema(example = "gmail")]
    client: Option<String>,
    /// Of `opened` and `clicked`: a scanner, a prefetching mail program or a like thing did it, and nobody counts it.
    machine: Option<bool>,
    /// By what the machine is known.
    #[schema(example = "too_soon")]
    why: Option<String>,
    /// Of `clicked`: the number of the link in its message, counted from 0.
    link: Option<u32>,
    /// Of `clicked`: where the link leads, without what stands behind a question mark or a number sign: it may open something.
    #[schema(example = "https://example.com/offer")]
    url: Option<String>,
    /// Of `opened` and `clicked`: the code of the country, where the operator knows it.
    #[schema(example = "FR")]
    country: Option<String>,
    /// Of `opened` and `clicked`: how often, where more than once within seconds.
    count: Option<u32>,
    /// True where it is about a report of ours to you, not about mail of yours.
    own: Option<bool>,
}

impl From<Told> for EventView {
    fn from(told: Told) -> Self {
        Self {
            id: told.id(),
            kind: told.kind,
            timestamp: told.at.rfc3339(),
            data: Value::Object(told.data),
        }
    }
}

/// A part of the log, in the order in which things were recorded.
#[derive(Serialize, ToSchema)]
struct Events {
    items: Vec<EventView>,
    /// Give this as `after` to read on now; null when nothing else has happened so far. With a filter, a page may hold
    /// fewer items than asked for and still have a next one.
    #[schema(required = true)]
    next: Option<String>,
    /// Give this as `after` to go on later from here; null where nothing was read.
    #[schema(required = true, example = "0-345")]
    cursor: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListEvents {
    /// Items on a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next` or `cursor` of the page before.
    after: Option<String>,
    /// Only these types, with commas between them.
    #[serde(rename = "type")]
    #[param(example = "bounced,complained")]
    types: Option<String>,
    /// Only events of this stream.
    stream: Option<String>,
    /// Only events of this message.
    message: Option<String>,
    /// Only what happened at this moment or later.
    #[param(format = DateTime)]
    since: Option<String>,
}

/// Read the events
///
/// The oldest first. To follow the log, ask again with the last answer's `cursor` as `after`. Events are kept as long as
/// messages are.
#[utoipa::path(
    get, path = "/events", tag = "events", operation_id = "listEvents", params(ListEvents),
    responses((status = 200, description = "A part of the log", body = Events)),
    security(("key" = ["messages"]), ("key" = ["read"]), ("session" = [])),
)]
async fn list(
    State(parts): State<Parts>,
    caller: Caller,
    Params(asked): Params<ListEvents>,
) -> ApiResult<Json<Events>> {
    caller.reads(Scope::Messages)?;
    let wanted = Wanted {
        account: caller.account_id(),
        kinds: asked.types.as_deref().map_or(Ok(Vec::new()), kinds)?,
        stream: asked.stream,
        message: match asked.message {
            Some(text) => Some(
                text.parse()
                    .map_err(|_| ApiError::invalid("message", "This is no identifier of a message."))?,
            ),
            None => None,
        },
        since: moment("since", asked.since.as_deref())?,
        until: None,
        after: place(asked.after.as_deref())?,
        limit: limit(asked.limit)? as usize,
    };
    let read = move |tx: &mut Tx<'_>| feed::read(tx, &wanted);
    let page = parts.db.read("read the events of an account", read).await?;
    let cursor = page.cursor.map(|cursor| cursor.to_string());
    Ok(Json(Events {
        items: page.events.into_iter().map(EventView::from).collect(),
        next: cursor.clone().filter(|_| page.more),
        cursor,
    }))
}

fn kinds(text: &str) -> ApiResult<Vec<String>> {
    text.split(',')
        .map(|kind| match kind.trim() {
            kind if KINDS.contains(&kind) => Ok(kind.to_owned()),
            _ => Err(ApiError::invalid(
                "type",
                format!("There are {}.", KINDS.join(", ")),
            )),
        })
        .collect()
}

/// A moment that somebody typed.
pub fn moment(field: &str, text: Option<&str>) -> ApiResult<Option<Time>> {
    let wrong = || ApiError::invalid(field, "Give a moment like 2026-11-25T18:04:00Z.");
    text.map(|text| Time::parse_rfc3339(text).ok_or_else(wrong))
        .transpose()
}

/// A place in the log that a page told.
pub fn place(text: Option<&str>) -> ApiResult<Option<Cursor>> {
    let wrong = |_| ApiError::invalid("after", "Give the `next` or `cursor` of the page before.");
    text.map(|text| text.parse().map_err(wrong)).transpose()
}
