//! The first start: making the first operator.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::session::{Me, signed_in};
use crate::http::Parts;
use crate::http::error::{ApiError, ApiResult, Problem};
use crate::http::json::Body;
use crate::http::peer::Client;
use crate::http::setup::{finish, is_token, needs_token};

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new().routes(routes!(setup_state, set_up))
}

/// Whether this installation waits for its first operator.
#[derive(Serialize, ToSchema)]
struct SetupState {
    /// There is no operator yet.
    needed: bool,
    /// Making one takes the token that the server printed at its start and keeps in `setup-token` in its data directory.
    token_required: bool,
}

/// The first operator.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Setup {
    /// The address of the operator's login, which is also the SMTP username.
    #[schema(example = "ops@example.com")]
    email: String,
    /// At least 10 characters and hard to guess; also the SMTP password.
    #[schema(format = Password)]
    password: String,
    /// The setup token, where it is required.
    token: Option<String>,
}

/// Ask whether an operator has to be made
///
/// Answers without signing in, so that a fresh installation can show its first page.
#[utoipa::path(
    get, path = "/setup", tag = "setup", operation_id = "getSetup",
    responses((status = 200, description = "How things stand", body = SetupState)),
    security(()),
)]
async fn setup_state(
    State(parts): State<Parts>,
    client: Client,
    uri: Uri,
    headers: HeaderMap,
) -> ApiResult<axum::Json<SetupState>> {
    let needed = !parts.accounts.has_operator().await?;
    let token_required = needed && needs_token(&parts.settings.public_url, &client, &uri, &headers);
    Ok(axum::Json(SetupState {
        needed,
        token_required,
    }))
}

/// Make the first operator
///
/// Creates an account with the operator's rights and signs it in with a session cookie. Works once: as soon as there
/// is an operator it answers 409. Unless both the public URL and the client are this very machine, the setup token has
/// to be given.
#[utoipa::path(
    post, path = "/setup", tag = "setup", operation_id = "setUp", request_body = Setup,
    responses(
        (status = 201, description = "The operator exists and is signed in", body = Me),
        (status = 403, description = "The token is missing or wrong", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "There is an operator already", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The address or the password is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many wrong tokens from this network", body = Problem, content_type = "application/problem+json"),
    ),
    security(()),
)]
async fn set_up(
    State(parts): State<Parts>,
    client: Client,
    uri: Uri,
    headers: HeaderMap,
    Body(setup): Body<Setup>,
) -> ApiResult<Response> {
    let now = parts.clock.now();
    let attempt = parts.attempts.reserve(client.network(), now)?;
    let data_dir = &parts.settings.data_dir;
    if needs_token(&parts.settings.public_url, &client, &uri, &headers)
        && !is_token(data_dir, setup.token.as_deref().unwrap_or_default())
    {
        if parts.accounts.has_operator().await? {
            attempt.give_back();
            return Err(accounts::AccountsError::AlreadySetUp.into());
        }
        return Err(ApiError::Forbidden(
            "The setup token is not right. The server printed it at its start and keeps it in `setup-token` in its data directory."
                .to_owned(),
        ));
    }
    attempt.give_back();
    parts
        .accounts
        .create_first_operator(setup.email.clone(), setup.password.clone(), Some(client.ip))
        .await?;
    finish(data_dir);
    tracing::info!("the first operator was made");
    let principal = parts.accounts.vouched(&setup.email).await?;
    let (cookie, me) = signed_in(&parts, &client, &headers, principal).await?;
    Ok((StatusCode::CREATED, cookie, axum::Json(me)).into_response())
}
