//! Single sender addresses, for whoever has no domain to verify.

use accounts::Scope;
use accounts::senders::Sender;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, ApiResult, Problem};
use crate::http::json::{Body, Named, id};
use crate::http::paging::Page;

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new()
        .routes(routes!(list, ask))
        .routes(routes!(remove))
}

/// An address that the account may send as, or asked to.
#[derive(Serialize, ToSchema)]
#[schema(as = SenderAddress)]
struct SenderView {
    id: String,
    #[schema(example = "press@paper.example")]
    address: String,
    /// Null until whoever reads its mailbox agreed.
    #[schema(required = true, format = DateTime)]
    confirmed_at: Option<String>,
    /// When its mailbox was last written to.
    #[schema(format = DateTime)]
    asked_at: String,
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<Sender> for SenderView {
    fn from(sender: Sender) -> Self {
        Self {
            id: sender.id.to_string(),
            address: sender.address,
            confirmed_at: sender.confirmed_at.map(mail::time::Time::rfc3339),
            asked_at: sender.asked_at.rfc3339(),
            created_at: sender.created_at.rfc3339(),
        }
    }
}

/// List the sender addresses
#[utoipa::path(
    get, path = "/senders", tag = "domains", operation_id = "listSenders",
    responses((status = 200, description = "All of them, by address", body = Page<SenderView>)),
    security(("key" = ["domains"]), ("key" = ["read"]), ("session" = [])),
)]
async fn list(State(parts): State<Parts>, caller: Caller) -> ApiResult<Json<Page<SenderView>>> {
    caller.reads(Scope::Domains)?;
    let senders = parts.accounts.single_senders(caller.account_id()).await?;
    let items = senders.into_iter().map(SenderView::from).collect();
    Ok(Json(Page { items, next: None }))
}

/// An address to ask for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AskForSender {
    #[schema(example = "press@paper.example")]
    address: String,
}

/// Ask for a sender address
///
/// Writes to the address with a link; once whoever reads its mailbox agrees, the account may send as it. Asking again writes
/// again, at most three times a day. Such mail carries no DKIM signature of the address's domain; a verified domain does.
#[utoipa::path(
    post, path = "/senders", tag = "domains", operation_id = "askForSender", request_body = AskForSender,
    responses(
        (status = 202, description = "Asked, or confirmed already", body = SenderView),
        (status = 409, description = "The account has as many as it can have", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It is no address", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "The address, or addresses by this account, were asked often enough today", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["domains"]), ("session" = [])),
)]
async fn ask(
    State(parts): State<Parts>,
    caller: Caller,
    Body(new): Body<AskForSender>,
) -> ApiResult<(StatusCode, Json<SenderView>)> {
    caller.needs(Scope::Domains)?;
    let asked = parts
        .accounts
        .ask_for_sender(caller.account_id(), &new.address, &caller.by())
        .await;
    let sender = asked.map_err(|error| match error {
        accounts::AccountsError::Address(error) => ApiError::invalid("address", error.to_string()),
        error => error.into(),
    })?;
    Ok((StatusCode::ACCEPTED, Json(sender.into())))
}

/// Remove a sender address
///
/// The account may no longer send as it; a link that waits for an answer stops working.
#[utoipa::path(
    delete, path = "/senders/{id}", tag = "domains", operation_id = "removeSender",
    params(("id" = String, Path, description = "The sender address")),
    responses(
        (status = 204, description = "Removed"),
        (status = 404, description = "The account has none of this id", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["domains"]), ("session" = [])),
)]
async fn remove(
    State(parts): State<Parts>,
    caller: Caller,
    Named(sender): Named<String>,
) -> ApiResult<StatusCode> {
    caller.needs(Scope::Domains)?;
    let sender = id(&sender, "sender address")?;
    parts
        .accounts
        .remove_sender(caller.account_id(), sender, &caller.by())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
