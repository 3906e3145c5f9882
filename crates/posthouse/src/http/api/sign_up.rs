//! Opening an account: asking for one, confirming its address, inviting people.

use accounts::{AccountsError, ModeInForce, NewSignUp, Principal, Requester, Scope, SignUpMode};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::session::{Me, signed_in};
use crate::http::Parts;
use crate::http::auth::{Caller, requester};
use crate::http::error::{ApiError, ApiResult, Problem};
use crate::http::json::Body;
use crate::http::peer::Client;

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new()
        .routes(routes!(sign_up_state, sign_up))
        .routes(routes!(confirm))
        .routes(routes!(invite))
        .routes(routes!(mode, choose_mode))
}

/// Who may open an account.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = SignUpMode)]
#[serde(rename_all = "lowercase")]
enum SignUpModeName {
    /// Anybody who confirms an address.
    Open,
    /// Whoever was invited.
    Invite,
    /// Nobody; the operator makes accounts.
    Closed,
}

impl SignUpModeName {
    fn of(mode: SignUpMode) -> Self {
        match mode {
            SignUpMode::Open => Self::Open,
            SignUpMode::Invite => Self::Invite,
            SignUpMode::Closed => Self::Closed,
        }
    }

    fn mode(self) -> SignUpMode {
        match self {
            Self::Open => SignUpMode::Open,
            Self::Invite => SignUpMode::Invite,
            Self::Closed => SignUpMode::Closed,
        }
    }
}

/// Whether an account can be opened here.
#[derive(Serialize, ToSchema)]
struct SignUpState {
    mode: SignUpModeName,
    /// What an account starts with.
    #[schema(example = 500)]
    free_credits: u32,
}

/// The language of pages and mails.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Language {
    #[default]
    En,
    Fr,
}

impl Language {
    fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Fr => "fr",
        }
    }
}

/// Somebody who wants an account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignUp {
    /// The address of the login, which becomes the SMTP username.
    #[schema(example = "alice@example.com")]
    email: String,
    /// At least 10 characters and hard to guess; becomes the SMTP password.
    #[schema(format = Password)]
    password: String,
    /// ISO 3166-1, two letters.
    #[schema(example = "FR")]
    country: String,
    /// A name of the tz database.
    #[schema(example = "Europe/Paris")]
    time_zone: String,
    #[serde(default)]
    #[schema(required = false)]
    language: Language,
    /// The token of an invitation. With it the account opens at once.
    invitation: Option<String>,
}

/// What was done, as far as everybody may know.
#[derive(Serialize, ToSchema)]
pub(super) struct Noted {
    #[schema(example = "We have written to alice@example.com.")]
    message: String,
}

impl Noted {
    pub(super) fn answer(message: String) -> Response {
        (StatusCode::ACCEPTED, Json(Self { message })).into_response()
    }
}

/// Ask whether an account can be opened here
#[utoipa::path(
    get, path = "/sign-up", tag = "sign-up", operation_id = "getSignUp",
    responses((status = 200, description = "How things stand", body = SignUpState)),
    security(()),
)]
async fn sign_up_state(State(parts): State<Parts>) -> ApiResult<Json<SignUpState>> {
    let mode = parts.accounts.sign_up_mode().await?.mode;
    Ok(Json(SignUpState {
        mode: SignUpModeName::of(mode),
        free_credits: parts.settings.free_credits,
    }))
}

/// Who may open an account, and who says so.
#[derive(Serialize, ToSchema)]
struct SignUpModeView {
    /// What counts.
    mode: SignUpModeName,
    /// What `accounts.signup` says.
    configured: SignUpModeName,
    /// What an operator chose here, which goes before the configuration; null where nobody did.
    #[schema(required = true)]
    chosen: Option<SignUpModeName>,
}

impl From<ModeInForce> for SignUpModeView {
    fn from(found: ModeInForce) -> Self {
        Self {
            mode: SignUpModeName::of(found.mode),
            configured: SignUpModeName::of(found.configured),
            chosen: found.chosen.map(SignUpModeName::of),
        }
    }
}

/// Read who may open an account
#[utoipa::path(
    get, path = "/sign-up/mode", tag = "sign-up", operation_id = "getSignUpMode",
    responses((status = 200, description = "What counts, and who says so", body = SignUpModeView)),
    security(("key" = ["operator"]), ("session" = [])),
)]
async fn mode(State(parts): State<Parts>, caller: Caller) -> ApiResult<Json<SignUpModeView>> {
    caller.needs(Scope::Operator)?;
    Ok(Json(parts.accounts.sign_up_mode().await?.into()))
}

/// A choice of who may open an account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignUpChoice {
    /// Null is as configured.
    #[schema(required = true)]
    mode: Option<SignUpModeName>,
}

/// Choose who may open an account
///
/// It counts on every node at once and beyond restarts, and goes before `accounts.signup` until null is chosen.
#[utoipa::path(
    put, path = "/sign-up/mode", tag = "sign-up", operation_id = "setSignUpMode", request_body = SignUpChoice,
    responses((status = 200, description = "What counts now", body = SignUpModeView)),
    security(("key" = ["operator"]), ("session" = [])),
)]
async fn choose_mode(
    State(parts): State<Parts>,
    caller: Caller,
    Body(choice): Body<SignUpChoice>,
) -> ApiResult<Json<SignUpModeView>> {
    caller.needs(Scope::Operator)?;
    caller.needs_fresh()?;
    let mode = choice.mode.map(SignUpModeName::mode);
    let chosen = parts.accounts.choose_sign_up_mode(mode, &caller.by()).await?;
    tracing::info!(by = %caller.account_id(), mode = chosen.mode.as_str(), "who may open an account was chosen");
    Ok(Json(chosen.into()))
}

/// Open an account
///
/// The address gets a link to confirm it with; until then there is no account. The answer is the same when there is one
/// already: then its owner is told. After a few sign-ups from one network within an hour the mails of further ones wait
/// some minutes. With an invitation, whose link proved the address, the account opens at once.
#[utoipa::path(
    post, path = "/sign-up", tag = "sign-up", operation_id = "signUp", request_body = SignUp,
    responses(
        (status = 201, description = "The invitation was good: the account is open and signed in", body = Me),
        (status = 202, description = "The address was written to, unless it was so too often", body = Noted),
        (status = 403, description = "Accounts are not opened here, or by invitation only", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "The invitation is used up or too old", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Something is not accepted; `errors` says what", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many sign-ups from this network, or from it for this address; `Retry-After` says how long to wait", body = Problem, content_type = "application/problem+json"),
    ),
    security(()),
)]
async fn sign_up(
    State(parts): State<Parts>,
    client: Client,
    headers: HeaderMap,
    Body(sign_up): Body<SignUp>,
) -> ApiResult<Response> {
    let SignUp {
        email,
        password,
        country,
        time_zone,
        language,
        invitation,
    } = sign_up;
    let new = NewSignUp {
        email,
        password,
        country,
        time_zone,
        language: language.code().to_owned(),
    };
    let email = new.email.trim().to_owned();
    match open_account(&parts, new, invitation, &requester(&client, &headers)).await? {
        Some(principal) => {
            let (cookie, me) = signed_in(&parts, &client, &headers, principal).await?;
            Ok((StatusCode::CREATED, cookie, Json(me)).into_response())
        }
        None => Ok(Noted::answer(format!(
            "We have written to {email}. Open the link in that mail to go on."
        ))),
    }
}

/// Opens the account of an invitation, or has its address confirmed first; a page without JavaScript does it like the API.
pub async fn open_account(
    parts: &Parts,
    new: NewSignUp,
    invitation: Option<String>,
    from: &Requester,
) -> ApiResult<Option<Principal>> {
    match (parts.accounts.sign_up_mode().await?.mode, invitation) {
        (SignUpMode::Open | SignUpMode::Invite, Some(token)) => {
            let principal = parts.accounts.accept_invitation(&token, new).await?;
            tracing::info!(account = %principal.account, "an invitation was accepted");
            Ok(Some(principal))
        }
        (_, None) => {
            open_to_all(parts).await?;
            parts.accounts.sign_up(new, from).await?;
            Ok(None)
        }
        (SignUpMode::Closed, Some(_)) => Err(ApiError::Forbidden("Accounts are not opened here.".to_owned())),
    }
}

/// Refuses where not everybody may open an account.
async fn open_to_all(parts: &Parts) -> ApiResult<()> {
    let why = match parts.accounts.sign_up_mode().await?.mode {
        SignUpMode::Open => return Ok(()),
        SignUpMode::Invite => "Opening an account takes an invitation.",
        SignUpMode::Closed => "Accounts are not opened here.",
    };
    Err(ApiError::Forbidden(why.to_owned()))
}

/// The token of a confirmation link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Confirmation {
    token: String,
    /// The password that was chosen: who follows the link and who signed up are the same.
    #[schema(format = Password)]
    password: String,
}

/// Confirm an address
///
/// Opens the account with its free credits and signs it in. The link stands for the address, the password for the sign-up:
/// of several sign-ups the newest ones count. The link works once; a wrong password does not use it up.
#[utoipa::path(
    post, path = "/sign-up/confirm", tag = "sign-up", operation_id = "confirmSignUp", request_body = Confirmation,
    responses(
        (status = 201, description = "The account is open and signed in", body = Me),
        (status = 403, description = "Accounts are not opened here any more, or by invitation only", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "The link is used up or too old", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It is not the password that was chosen", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many wrong passwords from this network", body = Problem, content_type = "application/problem+json"),
    ),
    security(()),
)]
async fn confirm(
    State(parts): State<Parts>,
    client: Client,
    headers: HeaderMap,
    Body(confirmation): Body<Confirmation>,
) -> ApiResult<Response> {
    let Confirmation { token, password } = confirmation;
    let principal = confirm_account(&parts, &client, &token, &password).await?;
    let (cookie, me) = signed_in(&parts, &client, &headers, principal).await?;
    Ok((StatusCode::CREATED, cookie, Json(me)).into_response())
}

/// Opens the account that a confirmation link stands for; wrong passwords count as failed sign-ins do.
pub async fn confirm_account(
    parts: &Parts,
    client: &Client,
    token: &str,
    password: &str,
) -> ApiResult<Principal> {
    open_to_all(parts).await?;
    let attempt = parts.attempts.reserve(client.network(), parts.clock.now())?;
    let confirmed = parts.accounts.confirm_sign_up(token, password).await;
    let principal = match confirmed {
        Err(AccountsError::WrongPassword) => {
            return Err(ApiError::invalid(
                "password",
                "This is not the password that was chosen.",
            ));
        }
        // Tokens are too long to be guessed; only passwords count.
        confirmed => {
            attempt.give_back();
            confirmed?
        }
    };
    tracing::info!(account = %principal.account, "an account was opened");
    Ok(principal)
}

/// Somebody to invite.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Invitation {
    #[schema(example = "bob@example.com")]
    email: String,
    #[serde(default)]
    #[schema(required = false)]
    language: Language,
}

/// Invite somebody to open an account
///
/// The address gets a link that works once, for a week.
#[utoipa::path(
    post, path = "/invitations", tag = "sign-up", operation_id = "invite", request_body = Invitation,
    responses(
        (status = 202, description = "The address is written to", body = Noted),
        (status = 409, description = "It has an account, or nobody may open one", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["operator"]), ("session" = [])),
)]
async fn invite(
    State(parts): State<Parts>,
    caller: Caller,
    Body(invitation): Body<Invitation>,
) -> ApiResult<Response> {
    caller.needs(Scope::Operator)?;
    caller.needs_fresh()?;
    if parts.accounts.sign_up_mode().await?.mode == SignUpMode::Closed {
        return Err(ApiError::Conflict(
            "Nobody can accept an invitation while nobody may open an account.".to_owned(),
        ));
    }
    let Invitation { email, language } = invitation;
    parts.accounts.invite(&email, language.code()).await?;
    tracing::info!(by = %caller.account_id(), "somebody was invited");
    Ok(Noted::answer(format!("We have written to {}.", email.trim())))
}
