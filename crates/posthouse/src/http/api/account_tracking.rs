//! Whether anything of the account's mail may be tracked.

use accounts::Scope;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiResult, Problem};
use crate::http::json::Body;

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new().routes(routes!(read, switch))
}

/// Whether anything of the account's mail may be tracked.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AccountTracking {
    /// False: nothing is, whatever messages, streams and domains say. True: they decide.
    allowed: bool,
}

/// Read whether mail may be tracked
#[utoipa::path(
    get, path = "/account/tracking", tag = "account", operation_id = "getAccountTracking",
    responses((status = 200, description = "What holds", body = AccountTracking)),
    security(("key" = ["account"]), ("key" = ["read"]), ("session" = [])),
)]
async fn read(State(parts): State<Parts>, caller: Caller) -> ApiResult<Json<AccountTracking>> {
    caller.reads(Scope::Account)?;
    parts.accounts.refresh().await?;
    let allowed = parts.accounts.tracks(caller.account_id()).await?;
    Ok(Json(AccountTracking { allowed }))
}

/// Switch tracking off, or leave it to messages and streams
///
/// What is tracked of a message is what it asks for itself, else what its stream says. From that is taken away what the domain of its From
/// does not allow, and all of it where the account does not. It is decided when the message is accepted.
#[utoipa::path(
    put, path = "/account/tracking", tag = "account", operation_id = "switchAccountTracking", request_body = AccountTracking,
    responses(
        (status = 200, description = "What holds for messages that are accepted from now on", body = AccountTracking),
        (status = 403, description = "Only owners and admins decide it", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["account"]), ("session" = [])),
)]
async fn switch(
    State(parts): State<Parts>,
    caller: Caller,
    Body(asked): Body<AccountTracking>,
) -> ApiResult<Json<AccountTracking>> {
    caller.needs(Scope::Account)?;
    let account = caller.account_id();
    parts
        .accounts
        .switch_tracking(account, asked.allowed, &caller.by())
        .await?;
    tracing::info!(%account, allowed = asked.allowed, "tracking switched");
    Ok(Json(asked))
}
