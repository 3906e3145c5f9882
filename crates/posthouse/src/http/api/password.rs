//! Getting back in without the password: asking for a link, and using it.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::sign_up::Noted;
use crate::http::Parts;
use crate::http::auth::requester;
use crate::http::error::{ApiResult, Problem};
use crate::http::json::Body;
use crate::http::peer::Client;

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new()
        .routes(routes!(forgot))
        .routes(routes!(reset))
}

/// A login whose password nobody remembers.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Forgotten {
    #[schema(example = "alice@example.com")]
    email: String,
}

/// Ask for a new password
///
/// If the address is a login's, it gets a link that works once, for 30 minutes; three of them an hour at most. The answer is
/// the same whether it is one or not.
#[utoipa::path(
    post, path = "/password/forgot", tag = "sign-up", operation_id = "forgotPassword", request_body = Forgotten,
    responses(
        (status = 202, description = "The address was written to if it has a login", body = Noted),
        (status = 422, description = "It is no address", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests from this network; `Retry-After` says how long to wait", body = Problem, content_type = "application/problem+json"),
    ),
    security(()),
)]
async fn forgot(
    State(parts): State<Parts>,
    client: Client,
    headers: HeaderMap,
    Body(forgotten): Body<Forgotten>,
) -> ApiResult<Response> {
    let email = forgotten.email.trim();
    parts
        .accounts
        .forgot_password(email, &requester(&client, &headers))
        .await?;
    Ok(Noted::answer(format!(
        "If {email} has an account here, we have written to it. The link in that mail works for 30 minutes."
    )))
}

/// A new password, and the token of the link that allows it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Reset {
    token: String,
    /// At least 10 characters and hard to guess; it is the SMTP password too.
    #[schema(format = Password)]
    password: String,
}

/// Choose a new password
///
/// The old one stops everywhere: every web session ends, SMTP sessions end at their next message. A lockout of the login
/// ends as well. A weak password does not use the link up. The owner is written to.
#[utoipa::path(
    post, path = "/password/reset", tag = "sign-up", operation_id = "resetPassword", request_body = Reset,
    responses(
        (status = 204, description = "The new password counts; sign in with it"),
        (status = 410, description = "The link is used up or too old", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The password is too weak", body = Problem, content_type = "application/problem+json"),
    ),
    security(()),
)]
async fn reset(
    State(parts): State<Parts>,
    client: Client,
    headers: HeaderMap,
    Body(reset): Body<Reset>,
) -> ApiResult<StatusCode> {
    let login = parts
        .accounts
        .reset_password(&reset.token, &reset.password, &requester(&client, &headers))
        .await?;
    tracing::info!(account = %login.account, "a password was reset");
    Ok(StatusCode::NO_CONTENT)
}
