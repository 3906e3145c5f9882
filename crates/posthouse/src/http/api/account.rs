//! The account that is signed in, and its password.

use accounts::password::{Strength, strength};
use accounts::{Attempt, Door, OwnPassword, Scope};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::accounts::AccountView;
use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, ApiResult, Problem};
use crate::http::json::Body;
use crate::http::peer::Client;

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new()
        .routes(routes!(account))
        .routes(routes!(change_password))
        .routes(routes!(password_strength))
}

/// Read the account
#[utoipa::path(
    get, path = "/account", tag = "account", operation_id = "getAccount",
    responses((status = 200, description = "The account", body = AccountView)),
    security(("key" = ["account"]), ("key" = ["read"]), ("session" = [])),
)]
async fn account(caller: Caller) -> ApiResult<Json<AccountView>> {
    caller.reads(Scope::Account)?;
    Ok(Json(AccountView::from(caller.account)))
}

/// A change of password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordChange {
    #[schema(format = Password)]
    current: String,
    /// At least 10 characters and hard to guess.
    #[schema(format = Password)]
    new: String,
}

/// Change the password
///
/// The new password is the SMTP password too, from this moment on. The old one stops everywhere: SMTP sessions that
/// signed in with it end at their next message, other web sessions end. API keys stay. The owner is written to.
#[utoipa::path(
    post, path = "/account/password", tag = "account", operation_id = "changePassword", request_body = PasswordChange,
    responses(
        (status = 204, description = "Changed"),
        (status = 422, description = "The current password is wrong (`current`) or the new one too weak (`new`)", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many wrong passwords; `Retry-After` says how long to wait", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["account"]), ("session" = [])),
)]
async fn change_password(
    State(parts): State<Parts>,
    caller: Caller,
    client: Client,
    headers: HeaderMap,
    Body(change): Body<PasswordChange>,
) -> ApiResult<StatusCode> {
    caller.is_person_or_holds(Scope::Account)?;
    let current = Attempt {
        login: &caller.principal.email,
        password: &change.current,
        from: &client.approach(&headers, Door::Web),
    };
    let asked = OwnPassword {
        current,
        new: &change.new,
        keep: caller.session.as_deref(),
    };
    let changed = parts.accounts.change_own_password(asked).await;
    match changed {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(accounts::AccountsError::WrongPassword) => {
            Err(ApiError::invalid("current", "The current password is not right."))
        }
        Err(accounts::AccountsError::Weak(weak)) => Err(ApiError::invalid("new", weak.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// A password to be judged.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordToJudge {
    #[schema(format = Password)]
    password: String,
    /// The login it is for: a password made of the address is a weak one.
    email: Option<String>,
}

/// How good a password is.
#[derive(Serialize, ToSchema)]
struct PasswordStrength {
    /// From 0 (guessed at once) to 4.
    #[schema(minimum = 0, maximum = 4)]
    score: u8,
    /// Whether it would be accepted.
    ok: bool,
    /// What is wrong with it; empty when nothing is.
    warning: String,
    suggestions: Vec<String>,
}

/// Judge a password
///
/// For forms that show the strength while somebody types. Nothing is stored or logged. Needs no sign-in, because the
/// first operator has none yet.
#[utoipa::path(
    post, path = "/password-strength", tag = "account", operation_id = "judgePassword", request_body = PasswordToJudge,
    responses((status = 200, description = "The judgement", body = PasswordStrength)),
    security(()),
)]
async fn password_strength(Body(asked): Body<PasswordToJudge>) -> ApiResult<Json<PasswordStrength>> {
    let judged = tokio::task::spawn_blocking(move || {
        let email = asked.email.unwrap_or_default();
        strength(&asked.password, email.get(..254).unwrap_or(&email))
    });
    let Strength {
        score,
        ok,
        warning,
        suggestions,
    } = judged.await.map_err(|error| ApiError::internal(&error))?;
    Ok(Json(PasswordStrength {
        score,
        ok,
        warning,
        suggestions,
    }))
}
