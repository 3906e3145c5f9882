//! Signing in to the console and out of it.

use accounts::{
    Account, AccountsError, Attempt, Door, Entered, Given, Outcome, Principal, Role, Scopes, SessionOrigin,
    Step,
};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use serde::{Deserialize, Serialize};
use store::{Db, ErrorKind};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::impersonation::ImpersonationView;
use super::keys::ScopeName;
use super::users::RoleName;
use crate::http::Parts;
use crate::http::auth::{
    COOKIE, Caller, HALF_COOKIE, IMPERSONATION_COOKIE, agent, half_cookie, half_token, impersonation_token,
    no_cookie, session_cookie, session_token,
};
use crate::http::error::{ApiError, ApiResult, Problem};
use crate::http::json::Body;
use crate::http::peer::Client;

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new()
        .routes(routes!(sign_in, me, sign_out))
        .routes(routes!(confirm))
        .routes(routes!(second, give_code))
}

/// Who is signed in, and where.
#[derive(Serialize, ToSchema)]
pub struct Me {
    login: LoginView,
    account: MyAccount,
    server: ServerView,
    /// Where an operator sees the console as this account; the login is nobody's then, its address the account's name.
    #[schema(required = true)]
    impersonation: Option<ImpersonationView>,
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
    /// What its user is in the account.
    role: RoleName,
    /// What this session or key may do.
    scopes: Vec<ScopeName>,
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
    storage: StorageName,
}

/// Whether the server takes anything new. What was accepted is kept in each case.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[schema(as = StorageState)]
#[serde(rename_all = "snake_case")]
enum StorageName {
    Fine,
    /// The disk is full: mail is refused for now until there is room.
    Full,
    /// The database takes no writes for another reason.
    Failing,
}

impl StorageName {
    fn of(db: &Db) -> Self {
        match db.refuses_writes() {
            Some(ErrorKind::Full) => Self::Full,
            _ if !db.has_room() => Self::Full,
            Some(_) => Self::Failing,
            None => Self::Fine,
        }
    }
}

/// A login address and its password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignIn {
    /// In any case; the domain as U-label or A-label.
    #[schema(example = "alice@example.com")]
    email: String,
    #[schema(format = Password)]
    password: String,
}

/// What the second step can be.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[schema(as = SecondStepKind)]
#[serde(rename_all = "snake_case")]
pub enum StepName {
    /// A code of an app.
    Totp,
    Passkey,
    /// A recovery code.
    Recovery,
}

impl From<Step> for StepName {
    fn from(step: Step) -> Self {
        match step {
            Step::Totp => Self::Totp,
            Step::Passkey => Self::Passkey,
            Step::Recovery => Self::Recovery,
        }
    }
}

/// The password was right; the second step is to come within 5 minutes.
#[derive(Serialize, ToSchema)]
struct SecondStepAsked {
    /// What it can be.
    second: Vec<StepName>,
}

impl SecondStepAsked {
    fn of(steps: Vec<Step>) -> Self {
        Self {
            second: steps.into_iter().map(StepName::from).collect(),
        }
    }
}

/// Whoever is signed in, or what is still missing.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum SignInAnswer {
    In(Box<Me>),
    Half(SecondStepAsked),
}

/// Sign in
///
/// Opens a web session and sets the cookie `posthouse_session` (`HttpOnly`, `SameSite=Lax`). Where a second step is switched
/// on, the answer says what it can be (`second`) and the cookie is `posthouse_second`, which is good for nothing but
/// `POST /session/second`, for 5 minutes. A session ends after 14 days without use, after 30 days in any case, and with a
/// change of the password. Programs use an API key instead.
#[utoipa::path(
    post, path = "/session", tag = "session", operation_id = "signIn", request_body = SignIn,
    responses(
        (status = 200, description = "Signed in, or half", body = SignInAnswer),
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
    let (cookie, answer) = match sign_in_with_password(&parts, &client, &headers, &email, &password).await? {
        SignedIn::In(cookie, principal) => (
            cookie,
            SignInAnswer::In(Box::new(described(&parts, &principal).await?)),
        ),
        SignedIn::Half(cookie, steps) => (cookie, SignInAnswer::Half(SecondStepAsked::of(steps))),
    };
    Ok((cookie, Json(answer)).into_response())
}

/// What the right password came to, with the cookies of it.
pub enum SignedIn {
    In(SetCookies, Principal),
    /// The second step is to come.
    Half(SetCookies, Vec<Step>),
}

/// Opens a session for whoever has this address and password, or half of one; a page without JavaScript does it like the
/// API.
pub async fn sign_in_with_password(
    parts: &Parts,
    client: &Client,
    headers: &HeaderMap,
    email: &str,
    password: &str,
) -> ApiResult<SignedIn> {
    let attempt = Attempt {
        login: email,
        password,
        from: &client.approach(headers, Door::Web),
    };
    let principal = passed(parts.accounts.sign_in(attempt).await?)?;
    match parts.accounts.enter(&principal, origin(client, headers)).await? {
        Entered::In(token) => {
            let cookies = whole(parts, client, headers, &token).await?;
            Ok(SignedIn::In(cookies, principal))
        }
        Entered::Half { token, steps } => {
            let cookie = half_cookie(&token, is_secure(parts, client, headers));
            Ok(SignedIn::Half(set([cookie]), steps))
        }
        Entered::Gone => Err(ApiError::WrongPassword),
    }
}

/// Ask what the second step can be
#[utoipa::path(
    get, path = "/session/second", tag = "session", operation_id = "getSecondStepAsked",
    responses(
        (status = 200, description = "The password was right; one of these is to come", body = SecondStepAsked),
        (status = 401, description = "No sign-in is half done here, or it took too long", body = Problem, content_type = "application/problem+json"),
    ),
    security(()),
)]
async fn second(State(parts): State<Parts>, headers: HeaderMap) -> ApiResult<Json<SecondStepAsked>> {
    let half = half_token(&headers).ok_or(ApiError::NotSignedIn)?;
    let (_, steps) = parts
        .accounts
        .half_session(&half)
        .await?
        .ok_or(ApiError::NotSignedIn)?;
    Ok(Json(SecondStepAsked::of(steps)))
}

/// A code for the second step.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SecondCode {
    /// Six digits of the app, or a recovery code.
    #[schema(example = "123456")]
    code: String,
}

/// Give the second step's code
///
/// Six digits of the app, each good once, or a recovery code. Five wrong ones end the sign-in and lock the codes of the login for
/// 5 minutes; while it goes on, each lock is twice as long as the one before, up to an hour.
#[utoipa::path(
    post, path = "/session/second", tag = "session", operation_id = "giveSecondStep", request_body = SecondCode,
    responses(
        (status = 200, description = "Signed in", body = Me),
        (status = 401, description = "No sign-in is half done here: begin with the password", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The code is not right, or was used already", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many tries; `Retry-After` says how long to wait", body = Problem, content_type = "application/problem+json"),
    ),
    security(()),
)]
async fn give_code(
    State(parts): State<Parts>,
    client: Client,
    headers: HeaderMap,
    Body(given): Body<SecondCode>,
) -> ApiResult<Response> {
    let (cookies, principal) = sign_in_with_code(&parts, &client, &headers, &given.code).await?;
    let me = described(&parts, &principal).await?;
    Ok((cookies, Json(me)).into_response())
}

/// Makes half a session whole.
pub async fn sign_in_with_code(
    parts: &Parts,
    client: &Client,
    headers: &HeaderMap,
    code: &str,
) -> ApiResult<(SetCookies, Principal)> {
    let half = half_token(headers).ok_or(ApiError::NotSignedIn)?;
    let from = client.approach(headers, Door::Web);
    match parts.accounts.give_code(&half, code, &from).await? {
        Given::In { token, who } => Ok((whole(parts, client, headers, &token).await?, who)),
        Given::Wrong => Err(AccountsError::WrongCode.into()),
        Given::Gone => Err(ApiError::NotSignedIn),
        Given::TooOften(wait) => Err(ApiError::TooOften(wait.as_secs().max(1))),
    }
}

fn passed(outcome: Outcome) -> ApiResult<Principal> {
    match outcome {
        Outcome::In(principal) => Ok(principal),
        Outcome::Wrong => Err(ApiError::WrongPassword),
        Outcome::Locked { left } => Err(ApiError::too_many_attempts(left)),
        Outcome::Busy => Err(ApiError::Unavailable),
    }
}

/// Verifies the password of whoever is signed in.
pub(super) async fn verify_again(
    parts: &Parts,
    caller: &Caller,
    client: &Client,
    headers: &HeaderMap,
    password: &str,
) -> ApiResult<Principal> {
    let attempt = Attempt {
        login: &caller.principal.email,
        password,
        from: &client.approach(headers, Door::Web),
    };
    match passed(parts.accounts.confirm_password(attempt).await?) {
        Err(ApiError::WrongPassword) => Err(ApiError::invalid("password", "The password is not right.")),
        verified => verified,
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
    let impersonation = caller.looking.map(|looking| looking.what.into());
    let me = describe(
        &parts,
        &caller.principal,
        (caller.role, &caller.scopes),
        caller.account,
    );
    Json(Me { impersonation, ..me })
}

/// The password of whoever is signed in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
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
    let who = verify_again(&parts, &caller, &client, &headers, &confirm.password).await?;
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
    if let Some(half) = half_token(&headers) {
        parts.accounts.close_half_session(&half).await?;
    }
    let secure = is_secure(&parts, &client, &headers);
    let all = [COOKIE, HALF_COOKIE, IMPERSONATION_COOKIE];
    let cookies = set(all.map(|name| no_cookie(name, secure)));
    Ok((StatusCode::NO_CONTENT, cookies).into_response())
}

pub type SetCookies = AppendHeaders<Vec<(HeaderName, HeaderValue)>>;

fn set(cookies: impl IntoIterator<Item = HeaderValue>) -> SetCookies {
    AppendHeaders(
        cookies
            .into_iter()
            .map(|cookie| (header::SET_COOKIE, cookie))
            .collect(),
    )
}

/// Opens a session for somebody whose password was just chosen, and says who that is.
pub(super) async fn signed_in(
    parts: &Parts,
    client: &Client,
    headers: &HeaderMap,
    principal: Principal,
) -> ApiResult<(SetCookies, Me)> {
    let token = parts
        .accounts
        .open_session(&principal, origin(client, headers))
        .await?
        .ok_or(ApiError::WrongPassword)?;
    let cookies = whole(parts, client, headers, &token).await?;
    let me = described(parts, &principal).await?;
    Ok((cookies, me))
}

/// The cookies of a session that was just opened. Whatever session the browser had is over; the new one has a token that
/// nobody could plant.
pub(super) async fn whole(
    parts: &Parts,
    client: &Client,
    headers: &HeaderMap,
    token: &str,
) -> ApiResult<SetCookies> {
    if let Some(old) = session_token(headers) {
        parts.accounts.close_session(&old).await?;
    }
    let secure = is_secure(parts, client, headers);
    let session = session_cookie(token, secure);
    let mut cookies = vec![session];
    if let Some(half) = half_token(headers) {
        parts.accounts.close_half_session(&half).await?;
        cookies.push(no_cookie(HALF_COOKIE, secure));
    }
    if impersonation_token(headers).is_some() {
        cookies.push(no_cookie(IMPERSONATION_COOKIE, secure));
    }
    Ok(set(cookies))
}

fn origin(client: &Client, headers: &HeaderMap) -> SessionOrigin {
    SessionOrigin {
        ip: client.ip.to_string(),
        agent: agent(headers).to_owned(),
    }
}

pub(super) fn is_secure(parts: &Parts, client: &Client, headers: &HeaderMap) -> bool {
    // A proxy that speaks TLS for us may not say so; asked for under the public name it was https all the same.
    let public_host = parts.settings.public_url.strip_prefix("https://");
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    client.tls || (public_host.is_some() && public_host == host)
}

/// Whoever just signed in.
pub(super) async fn described(parts: &Parts, principal: &Principal) -> ApiResult<Me> {
    let account = parts.accounts.account(principal.account).await?;
    parts.accounts.refresh().await?;
    let role = parts.accounts.role(principal).await?;
    let role = role.ok_or(ApiError::NotSignedIn)?;
    let scopes = role.scopes(account.operator);
    Ok(describe(parts, principal, (role, &scopes), account))
}

fn describe(parts: &Parts, principal: &Principal, (role, scopes): (Role, &Scopes), account: Account) -> Me {
    Me {
        login: LoginView {
            id: principal.login.map(|id| id.to_string()),
            email: principal.email.clone(),
            role: role.into(),
            scopes: scopes.iter().map(ScopeName::from).collect(),
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
            storage: StorageName::of(&parts.db),
        },
        impersonation: None,
    }
}
