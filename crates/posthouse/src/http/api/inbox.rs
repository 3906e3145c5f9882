//! The local inbox: mail that was kept instead of being delivered.

use accounts::Scope;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use outbound::capture::{Captured, InboxFilter};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::content::{self, ContentView, Stored, may_read, whose};
use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, ApiResult, Problem};
use crate::http::json::{Named, Params, cursor, id};
use crate::http::paging::{Page, limit};

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new()
        .routes(routes!(list, clear))
        .routes(routes!(read_content))
        .routes(routes!(read_source))
        .routes(routes!(read_html))
}

/// One kept mail.
#[derive(Serialize, ToSchema)]
struct InboxItem {
    id: String,
    #[schema(format = DateTime)]
    at: String,
    /// The address in its From header.
    from: String,
    /// The envelope recipient.
    to: String,
    subject: String,
    /// In bytes.
    size: u64,
    /// The message it belongs to.
    message: String,
}

impl From<Captured> for InboxItem {
    fn from(mail: Captured) -> Self {
        Self {
            id: mail.id.to_string(),
            at: mail.at.rfc3339(),
            from: mail.from,
            to: mail.to,
            subject: mail.subject,
            size: mail.size,
            message: mail.message.to_string(),
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListInbox {
    /// A part of a recipient, sender or subject.
    q: Option<String>,
    /// Items on a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// List the inbox
///
/// Newest first. Operators see the mail of all accounts.
#[utoipa::path(
    get, path = "/inbox", tag = "inbox", operation_id = "listInbox", params(ListInbox),
    responses((status = 200, description = "A page of kept mail", body = Page<InboxItem>)),
    security(("key" = ["messages"]), ("key" = ["read"]), ("session" = [])),
)]
async fn list(
    State(parts): State<Parts>,
    caller: Caller,
    Params(asked): Params<ListInbox>,
) -> ApiResult<Json<Page<InboxItem>>> {
    let account = whose(&caller)?;
    let limit = limit(asked.limit)?;
    let filter = InboxFilter {
        account,
        text: asked.q.filter(|q| !q.trim().is_empty()),
        after: cursor(asked.after.as_deref())?,
        limit: limit + 1,
    };
    let mails = parts.outbound.inbox(filter).await?;
    Ok(Json(
        Page::of(mails, limit, |mail| mail.id.to_string()).map(InboxItem::from),
    ))
}

/// Read what a kept mail holds
///
/// When an operator reads a message of another account, the log keeps who read which.
/// The server's own mail about an account holds links: it answers 404 to keys, and to everybody but operators.
#[utoipa::path(
    get, path = "/inbox/{id}/content", tag = "inbox", operation_id = "getInboxContent",
    params(("id" = String, Path, description = "The kept mail")),
    responses(
        (status = 200, description = "Its parts", body = ContentView),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["messages"]), ("key" = ["read"]), ("session" = [])),
)]
async fn read_content(
    State(parts): State<Parts>,
    caller: Caller,
    Named(mail): Named<String>,
) -> ApiResult<Response> {
    content::view(kept(&parts, &caller, &mail).await?).await
}

/// Read a kept mail byte for byte
///
/// When an operator reads a message of another account, the log keeps who read which.
#[utoipa::path(
    get, path = "/inbox/{id}/source", tag = "inbox", operation_id = "getInboxSource",
    params(("id" = String, Path, description = "The kept mail")),
    responses(
        (status = 200, description = "The mail as it would have left", body = String, content_type = "text/plain"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["messages"]), ("key" = ["read"]), ("session" = [])),
)]
async fn read_source(
    State(parts): State<Parts>,
    caller: Caller,
    Named(mail): Named<String>,
) -> ApiResult<Response> {
    Ok(content::source(kept(&parts, &caller, &mail).await?))
}

/// Read the HTML part of a kept mail
///
/// Served under a policy that lets nothing in it run, load or lead anywhere.
/// When an operator reads a message of another account, the log keeps who read which.
#[utoipa::path(
    get, path = "/inbox/{id}/html", tag = "inbox", operation_id = "getInboxHtml",
    params(("id" = String, Path, description = "The kept mail")),
    responses(
        (status = 200, description = "The HTML part", body = String, content_type = "text/html"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["messages"]), ("key" = ["read"]), ("session" = [])),
)]
async fn read_html(
    State(parts): State<Parts>,
    caller: Caller,
    Named(mail): Named<String>,
) -> ApiResult<Response> {
    content::html(kept(&parts, &caller, &mail).await?).await
}

/// Empty the inbox
///
/// Removes all kept mail of the account; an operator removes everybody's.
#[utoipa::path(
    delete, path = "/inbox", tag = "inbox", operation_id = "clearInbox",
    responses((status = 204, description = "Empty")),
    security(("key" = ["messages"]), ("session" = [])),
)]
async fn clear(State(parts): State<Parts>, caller: Caller) -> ApiResult<StatusCode> {
    caller.needs(Scope::Messages)?;
    let removed = parts.outbound.clear_inbox(whose(&caller)?).await?;
    tracing::info!(removed, by = %caller.account_id(), "inbox emptied");
    Ok(StatusCode::NO_CONTENT)
}

async fn kept(parts: &Parts, caller: &Caller, mail: &str) -> ApiResult<Stored> {
    let found = parts
        .outbound
        .inbox_mail(whose(caller)?, id(mail, "mail")?)
        .await?;
    let mail = found.ok_or(ApiError::NotFound("mail"))?;
    let readable = may_read(parts, caller, mail.message)
        .await?
        .ok_or(ApiError::NotFound("mail"))?;
    let content = parts.outbound.inbox_content(mail.id).await?;
    Ok(readable.with(content.ok_or(ApiError::NotFound("mail"))?))
}
