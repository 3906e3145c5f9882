//! Seeing the console as an account, for operators who were asked for help.

use accounts::{Impersonation, Scope};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::session::is_secure;
use crate::http::Parts;
use crate::http::auth::{Caller, IMPERSONATION_COOKIE, impersonation_cookie, impersonation_token, no_cookie};
use crate::http::error::{ApiResult, Problem};
use crate::http::json::{Body, Named, id};
use crate::http::peer::Client;

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new().routes(routes!(begin)).routes(routes!(leave))
}

/// An operator who sees the console as an account.
#[derive(Serialize, ToSchema)]
#[schema(as = Impersonation)]
pub(super) struct ImpersonationView {
    /// The operator.
    #[schema(example = "ops@example.com")]
    by: String,
    reason: String,
    #[schema(format = DateTime)]
    expires_at: String,
}

impl From<Impersonation> for ImpersonationView {
    fn from(what: Impersonation) -> Self {
        Self {
            by: what.operator.email,
            reason: what.reason,
            expires_at: what.expires_at.rfc3339(),
        }
    }
}

/// Why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BeginImpersonation {
    /// The account's owners read it in a mail, its people in the audit log: one line of at most 200 characters.
    #[schema(example = "You asked why mail to example.net waits.")]
    reason: String,
}

/// See the console as an account
///
/// For 30 minutes this browser sees what the account's people see. Nothing can be changed, and neither the content of messages
/// nor anything about how they sign in is open: all of that is refused with a problem of type `/problems/impersonating`. It
/// ends with the operator's session, password, role or account as well, from when on everything but the way out is refused
/// with `/problems/impersonation-over`. The account's owners are written to, and beginning and end stand in the audit logs of
/// both accounts.
#[utoipa::path(
    post, path = "/accounts/{id}/impersonation", tag = "accounts", operation_id = "beginImpersonation", request_body = BeginImpersonation,
    params(("id" = String, Path, description = "The account")),
    responses(
        (status = 201, description = "It has begun", body = ImpersonationView),
        (status = 403, description = "It is an operator's account, or you are no operator in person", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "There is no reason", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "20 were begun within the hour", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = ["operator"])),
)]
async fn begin(
    State(parts): State<Parts>,
    caller: Caller,
    client: Client,
    headers: HeaderMap,
    Named(account): Named<String>,
    Body(given): Body<BeginImpersonation>,
) -> ApiResult<Response> {
    caller.in_person(Scope::Operator)?;
    let (login, session) = caller.person()?;
    let account = id(&account, "account")?;
    let (token, begun) = parts
        .accounts
        .begin_impersonation(session, (account, &given.reason), &caller.principal, &caller.by())
        .await?;
    tracing::info!(%account, %login, "an operator sees the console as an account");
    let cookie = impersonation_cookie(&token, is_secure(&parts, &client, &headers));
    let cookies = AppendHeaders([(header::SET_COOKIE, cookie)]);
    let view = ImpersonationView::from(begun);
    Ok((StatusCode::CREATED, cookies, Json(view)).into_response())
}

/// Leave an account that you see the console as
///
/// Leaving where nothing has begun, or it is over, is fine.
#[utoipa::path(
    delete, path = "/session/impersonation", tag = "session", operation_id = "leaveImpersonation",
    responses((status = 204, description = "You are yourself again")),
    security(()),
)]
async fn leave(State(parts): State<Parts>, client: Client, headers: HeaderMap) -> ApiResult<Response> {
    if let Some(token) = impersonation_token(&headers) {
        parts.accounts.leave_impersonation(&token, client.ip).await?;
    }
    let cookie = no_cookie(IMPERSONATION_COOKIE, is_secure(&parts, &client, &headers));
    let cookies = AppendHeaders([(header::SET_COOKIE, cookie)]);
    Ok((StatusCode::NO_CONTENT, cookies).into_response())
}
