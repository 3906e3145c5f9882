//! What is open to an operator who sees the console as an account: a list, and nothing beside it.

use accounts::Impersonation;
use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Parts;
use super::auth::{bearer, impersonation_token, session_token};
use super::error::{ApiError, ApiResult};

/// All that may be asked for, by GET: what an account's people see, without the content of messages, and without what
/// is about how they sign in. A new operation is shut until it stands here.
const OPEN: [&str; 24] = [
    "/account",
    "/account/announcements",
    "/account/credits",
    "/account/limits",
    "/account/retention",
    "/account/tracking",
    "/domains",
    "/domains/{id}",
    "/domains/{id}/zone",
    "/inbox",
    "/live",
    "/messages",
    "/messages/{id}",
    "/messages/{id}/recipients/{ordinal}/attempts/{number}",
    "/openapi.json",
    "/session",
    "/senders",
    "/settings/smtp",
    "/setup",
    "/sign-up",
    "/statistics",
    "/streams",
    "/suppressions",
    "/tracking",
];
/// What ends it.
const WAYS_OUT: [&str; 2] = ["/session", "/session/impersonation"];

/// An impersonation that stands, and the two tokens that it takes.
#[derive(Clone, Debug)]
pub struct Looking {
    pub what: Impersonation,
    token: String,
    session: String,
}

impl Looking {
    /// Whether it stands still.
    pub async fn goes_on(&self, parts: &Parts) -> bool {
        let found = parts.accounts.find_impersonation(&self.token, &self.session);
        found.await.is_ok_and(|found| found.is_some())
    }
}

/// Refuses what is not open to whoever comes with the cookie of an impersonation, and hands on which it is. One that is
/// over opens nothing either, the operator's own session neither: what was asked for in another's place must not be done
/// in one's own.
pub async fn only_look(State(parts): State<Parts>, mut request: Request, next: Next) -> Response {
    let headers = request.headers();
    let Some(token) = impersonation_token(headers).filter(|_| bearer(headers).is_none()) else {
        return next.run(request).await;
    };
    let path = request.extensions().get::<MatchedPath>();
    let path = path.and_then(|path| path.as_str().strip_prefix("/api/v1"));
    let asked = |open: &[&str]| path.is_some_and(|path| open.contains(&path));
    if *request.method() == Method::DELETE && asked(&WAYS_OUT) {
        return next.run(request).await;
    }
    let session = session_token(headers).unwrap_or_default();
    let looking = match stands(&parts, token, session).await {
        Ok(looking) => looking,
        Err(error) => return error.into_response(),
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) || !asked(&OPEN) {
        return ApiError::Impersonating(looking.what.account_name).into_response();
    }
    request.extensions_mut().insert(looking);
    next.run(request).await
}

async fn stands(parts: &Parts, token: String, session: String) -> ApiResult<Looking> {
    let found = parts.accounts.find_impersonation(&token, &session).await?;
    let what = found.ok_or(ApiError::ImpersonationOver)?;
    Ok(Looking { what, token, session })
}
