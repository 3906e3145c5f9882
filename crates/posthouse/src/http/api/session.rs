//! Signing in to the console and out of it.

use accounts::{Account, Attempt, Door, Outcome, Principal, SessionOrigin};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::Parts;
use crate::http::auth::{Caller, agent, no_cookie, session_cookie, session_token};
use crate::http::error::{ApiError, ApiResult, Problem};
use crate::http::json::Body;
use crate::http::peer::Client;

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new()
        .routes(routes!(sign_in, me, sign_out))
        .routes(routes!(confirm))
}

/// Who is signed in, and where.
#[derive(Serialize, ToSchema)]
pub struct Me {
    login: LoginView,
    account: MyAccount,
    server: ServerView,
}

/// The login that signed in.
#[derive(Serialize, ToSchema)]
struct LoginView {
    /// Null for a key, which belongs to an account rather than to a login.
    #[schema(required = true)]
    id: Option<String>,
    /// Also the SMTP username.
    #[schema(example = "alice@example.com")]
    email: String,
}

/// The account it belongs to.
#[derive(Serialize, ToSchema)]
struct MyAccount {
    id: String,
    name: String,
    /// Whether it may do what only operators do.
    operator: bool,
    state: super::accounts::AccountStateName,
    /// Why the operator suspended it.
    #[schema(required = true)]
    state_reason: Option<String>,
    /// What is left; null where there is no limit.
    #[schema(required = true)]
    credits: Option<i64>,
    /// What there was behind the last grant: credits are few at 20 % of it.
    credit_mark: i64,
    /// It opened itself and has no verified sending domain yet: it sends to its own addresses only.
    sandbox: bool,
}

/// The installation.
#[derive(Serialize, ToSchema)]
struct ServerView {
    /// What the service is called.
    #[schema(example = "Posthouse")]
    name: String,
    #[schema(example = "0.1.0")]
    version: &'static str,
    #[schema(example = "mail.example.com")]
    hostname: String,
    /// Where mail goes: `mx` (straight to its recipients), `smarthost`, or `capture` (kept in the local inbox).
    #[schema(example = "mx")]
    route: &'static str,
}

/// A login address and its password.
#[derive(Deserialize, ToSchema)]
struct SignIn {
    /// In any case; the domain as U-label or A-label.
    #[schema(example = "alice@example.com")]
    email: String,
    #[schema(format = Password)]
    password: String,
}

/// Sign in
///
/// Opens a web session and sets the cookie `posthouse_session` (`HttpOnly`, `SameSite=Lax`). A session ends after 14 days
/// without use, after 30 days in any case, and with a change of the password. Programs use an API key instead.
#[utoipa::path(
    post, path = "/session", tag = "session", operation_id = "signIn", request_body = SignIn,
    responses(
        (status = 200, description = "Signed in", body = Me),
        (status = 401, description = "The address or the password is not right", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many failures of this address from here, or from this network; `Retry-After` says how long to wait", body = Problem, content_type = "application/problem+json"),
    ),
    security(()),
)]
async fn sign_in(
    State(parts): State<Parts>,
    client: Client,
    headers: HeaderMap,
    Body(sign_in): Body<SignIn>,
) -> ApiResult<Response> {
    let SignIn { email, password } = sign_in;
    let (cookie, principal) = sign_in_with_password(&parts, &client, &headers, &email, &password).await?;
    let account = parts.accounts.account(principal.account).await?;
    Ok((cookie, Json(describe(&parts, &principal, account))).into_response())
}

/// Opens a session for whoever has this address and password; a page without JavaScript does it like the API.
pub async fn sign_in_with_password(
    parts: &Parts,
    client: &Client,
    headers: &HeaderMap,
    email: &str,
    password: &str,
) -> ApiResult<(SetCookie, Principal)> {
    let principal = verify(parts, client, headers, email, password).await?;
    let cookie = open(parts, client, headers, &principal).await?;
    Ok((cookie, principal))
}

/// Who has this address and password.
async fn verify(
    parts: &Parts,
    client: &Client,
    headers: &HeaderMap,
    email: &str,
    password: &str,
) -> ApiResult<Principal> {
    let attempt = Attempt {
        login: email,
        password,
        from: &client.approach(headers, Door::Web),
    };
    match parts.accounts.sign_in(attempt).await? {
        Outcome::In(principal) => Ok(principal),
        Outcome::Wrong => Err(ApiError::WrongPassword),
        Outcome::Locked { left } => Err(ApiError::too_many_attempts(left)),
        Outcome::Busy => Err(ApiError::Unavailable),
    }
}

/// Ask who is signed in
#[utoipa::path(
    get, path = "/session", tag = "session", operation_id = "getSession",
    responses(
        (status = 200, description = "You are", body = Me),
        (status = 401, description = "Nobody is", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = []), ("session" = [])),
)]
async fn me(State(parts): State<Parts>, caller: Caller) -> Json<Me> {
    Json(describe(&parts, &caller.principal, caller.account))
}

/// The password of whoever is signed in.
#[derive(Deserialize, ToSchema)]
struct Confirm {
    #[schema(format = Password)]
    password: String,
}

/// Enter the password again
///
/// What is dangerous asks for a password that was entered in this web session within the last 10 minutes, and is refused
/// with a problem of type `/problems/confirm-password` otherwise. Wrong passwords are counted like those of any sign-in.
#[utoipa::path(
    post, path = "/session/confirm", tag = "session", operation_id = "confirmSession", request_body = Confirm,
    responses(
        (status = 204, description = "It counts for the next 10 minutes"),
        (status = 422, description = "The password is not right", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many failures of this login from here; `Retry-After` says how long to wait", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = [])),
)]
async fn confirm(
    State(parts): State<Parts>,
    caller: Caller,
    client: Client,
    headers: HeaderMap,
    Body(confirm): Body<Confirm>,
) -> ApiResult<StatusCode> {
    let (_, token) = caller.person()?;
    let (login, password) = (caller.principal.email.as_str(), confirm.password.as_str());
    let who = match verify(&parts, &client, &headers, login, password).await {
        Err(ApiError::WrongPassword) => {
            return Err(ApiError::invalid("password", "The password is not right."));
        }
        verified => verified?,
    };
    if !parts.accounts.confirm_session(token, &who).await? {
        return Err(ApiError::NotSignedIn);
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Sign out
///
/// Ends the web session and takes the cookie away. Signing out without being signed in is fine.
#[utoipa::path(
    delete, path = "/session", tag = "session", operation_id = "signOut",
    responses((status = 204, description = "Signed out")),
    security(()),
)]
async fn sign_out(State(parts): State<Parts>, client: Client, headers: HeaderMap) -> ApiResult<Response> {
    if let Some(token) = session_token(&headers) {
        parts.accounts.close_session(&token).await?;
    }
    let secure = is_secure(&parts, &client, &headers);
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, no_cookie(secure))]).into_response())
}

pub type SetCookie = AppendHeaders<[(HeaderName, HeaderValue); 1]>;

/// Opens a session for somebody whose password was just verified, and says who that is.
pub(super) async fn signed_in(
    parts: &Parts,
    client: &Client,
    headers: &HeaderMap,
    principal: Principal,
) -> ApiResult<(SetCookie, Me)> {
    let cookie = open(parts, client, headers, &principal).await?;
    let account = parts.accounts.account(principal.account).await?;
    Ok((cookie, describe(parts, &principal, account)))
}

/// Whatever session the browser had is over; the new one has a token that nobody could plant.
async fn open(
    parts: &Parts,
    client: &Client,
    headers: &HeaderMap,
    principal: &Principal,
) -> ApiResult<SetCookie> {
    let origin = SessionOrigin {
        ip: client.ip.to_string(),
        agent: agent(headers).to_owned(),
    };
    let token = parts
        .accounts
        .open_session(principal, origin)
        .await?
        .ok_or(ApiError::WrongPassword)?;
    if let Some(old) = session_token(headers) {
        parts.accounts.close_session(&old).await?;
    }
    let cookie = session_cookie(&token, is_secure(parts, client, headers));
    Ok(AppendHeaders([(header::SET_COOKIE, cookie)]))
}

fn is_secure(parts: &Parts, client: &Client, headers: &HeaderMap) -> bool {
    // A proxy that speaks TLS for us may not say so; asked for under the public name it was https all the same.
    let public_host = parts.settings.public_url.strip_prefix("https://");
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    client.tls || (public_host.is_some() && public_host == host)
}

fn describe(parts: &Parts, principal: &Principal, account: Account) -> Me {
    Me {
        login: LoginView {
            id: principal.login.map(|id| id.to_string()),
            email: principal.email.clone(),
        },
        account: MyAccount {
            id: account.id.to_string(),
            name: account.name,
            operator: account.operator,
            state: super::accounts::AccountStateName::of(&account.state),
            state_reason: account.state.reason().map(str::to_owned),
            credits: account.credits,
            credit_mark: account.credit_mark,
            sandbox: account.sandbox,
        },
        server: ServerView {
            name: parts.settings.name.clone(),
            version: env!("CARGO_PKG_VERSION"),
            hostname: parts.settings.hostname.clone(),
            route: parts.settings.route,
        },
    }
}
