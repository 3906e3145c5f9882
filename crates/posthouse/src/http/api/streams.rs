//! Streams of the account: what its mail is sorted into.

use accounts::{NewStream, Scope, Stream, StreamChange, StreamKind};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use mail::time::Time;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiResult, Problem};
use crate::http::json::{Body, Named};
use crate::http::paging::Page;

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(change))
}

/// What kind of mail a stream carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = StreamKind)]
enum KindName {
    /// What somebody waits for: a receipt, a password link.
    Transactional,
    /// What somebody subscribed to.
    Marketing,
}

impl From<KindName> for StreamKind {
    fn from(name: KindName) -> Self {
        match name {
            KindName::Transactional => Self::Transactional,
            KindName::Marketing => Self::Marketing,
        }
    }
}

impl From<StreamKind> for KindName {
    fn from(kind: StreamKind) -> Self {
        match kind {
            StreamKind::Transactional => Self::Transactional,
            StreamKind::Marketing => Self::Marketing,
        }
    }
}

/// A stream of the account.
#[derive(Serialize, ToSchema)]
#[schema(as = Stream)]
struct StreamView {
    /// What messages, keys and credentials call it. It never changes.
    #[schema(example = "receipts")]
    slug: String,
    /// What people call it.
    #[schema(example = "Receipts")]
    name: String,
    kind: KindName,
    /// Whether a link to unsubscribe by stands at the end of its messages that name none. Those of a marketing stream have the
    /// header fields that mail programs show a button for in any case.
    unsubscribe: bool,
    /// Whether it counts who opens its messages.
    track_opens: bool,
    /// Whether it counts who follows the links in them.
    track_clicks: bool,
    /// Every account has it: it is there without being made and is not archived.
    built_in: bool,
    /// Null for one that every account has.
    #[schema(required = true, format = DateTime)]
    created_at: Option<String>,
    /// Since when nothing more is sent in it; null while it is in use.
    #[schema(required = true, format = DateTime)]
    archived_at: Option<String>,
}

impl From<Stream> for StreamView {
    fn from(stream: Stream) -> Self {
        Self {
            built_in: stream.is_everybodys(),
            slug: stream.slug,
            name: stream.name,
            kind: stream.kind.into(),
            unsubscribe: stream.unsubscribe,
            track_opens: stream.track_opens,
            track_clicks: stream.track_clicks,
            created_at: stream.created_at.map(Time::rfc3339),
            archived_at: stream.archived_at.map(Time::rfc3339),
        }
    }
}

/// List the streams
///
/// The two that every account has come first: `transactional`, where a message goes that names none, and `marketing`.
#[utoipa::path(
    get, path = "/streams", tag = "streams", operation_id = "listStreams",
    responses((status = 200, description = "All streams, archived ones included", body = Page<StreamView>)),
    security(("key" = ["account"]), ("key" = ["read"]), ("session" = [])),
)]
async fn list(State(parts): State<Parts>, caller: Caller) -> ApiResult<Json<Page<StreamView>>> {
    caller.reads(Scope::Account)?;
    let streams = parts.accounts.streams(caller.account_id()).await?;
    let items = streams.into_iter().map(StreamView::from).collect();
    Ok(Json(Page { items, next: None }))
}

/// A stream to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateStream {
    /// 1 to 40 letters, digits and inner hyphens; taken in lower case. Cannot be changed later.
    #[schema(example = "receipts")]
    slug: String,
    /// Up to 100 characters.
    #[schema(example = "Receipts")]
    name: String,
    /// Cannot be changed later.
    kind: KindName,
}

/// Create a stream
#[utoipa::path(
    post, path = "/streams", tag = "streams", operation_id = "createStream", request_body = CreateStream,
    responses(
        (status = 201, description = "Created", body = StreamView),
        (status = 409, description = "There is one of this slug, or the account has as many as it can have", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is not accepted", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["account"]), ("session" = [])),
)]
async fn create(
    State(parts): State<Parts>,
    caller: Caller,
    Body(new): Body<CreateStream>,
) -> ApiResult<(StatusCode, Json<StreamView>)> {
    caller.needs(Scope::Account)?;
    let new = NewStream {
        slug: new.slug,
        name: new.name,
        kind: new.kind.into(),
    };
    let made = parts
        .accounts
        .create_stream(caller.account_id(), new, &caller.by())
        .await?;
    tracing::info!(stream = made.slug, account = %caller.account_id(), "stream created");
    Ok((StatusCode::CREATED, Json(made.into())))
}

/// A change of a stream. What is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeStream {
    name: Option<String>,
    /// An archived stream takes no more messages; what went in it stays readable.
    archived: Option<bool>,
    /// What is said of these three holds for messages that are accepted from now on and do not say otherwise themselves.
    unsubscribe: Option<bool>,
    track_opens: Option<bool>,
    track_clicks: Option<bool>,
}

/// Change, archive or restore a stream
///
/// One that credentials or keys are bound to cannot be archived.
#[utoipa::path(
    patch, path = "/streams/{slug}", tag = "streams", operation_id = "changeStream",
    params(("slug" = String, Path, description = "The stream")), request_body = ChangeStream,
    responses(
        (status = 200, description = "Changed", body = StreamView),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is one that every account has, or something is bound to it", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The name is not accepted", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["account"]), ("session" = [])),
)]
async fn change(
    State(parts): State<Parts>,
    caller: Caller,
    Named(slug): Named<String>,
    Body(change): Body<ChangeStream>,
) -> ApiResult<Json<StreamView>> {
    caller.needs(Scope::Account)?;
    let change = StreamChange {
        name: change.name,
        archived: change.archived,
        track_opens: change.track_opens,
        track_clicks: change.track_clicks,
        unsubscribe: change.unsubscribe,
    };
    let changed = parts
        .accounts
        .change_stream(caller.account_id(), &slug, change, &caller.by())
        .await?;
    tracing::info!(stream = changed.slug, account = %caller.account_id(), "stream changed");
    Ok(Json(changed.into()))
}
