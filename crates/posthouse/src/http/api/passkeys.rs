//! Passkeys: adding and removing one's own, signing in with one, and using one where the password is asked for again.

use accounts::{ALGORITHMS, Assertion, Door, Registration, Site};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::second_step::{PasskeyView, owner};
use super::session::{Me, described, whole};
use crate::http::Parts;
use crate::http::auth::{Caller, half_token};
use crate::http::error::{ApiError, ApiResult, Problem};
use crate::http::json::{Body, Named, id};
use crate::http::peer::Client;

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new()
        .routes(routes!(begin))
        .routes(routes!(add))
        .routes(routes!(remove))
        .routes(routes!(begin_sign_in))
        .routes(routes!(sign_in))
        .routes(routes!(begin_confirm))
        .routes(routes!(confirm))
}

/// What a browser needs to make a passkey; octets are base64url without padding.
#[derive(Serialize, ToSchema)]
struct NewPasskeyAsked {
    challenge: String,
    /// The host name that the key is bound to.
    #[schema(example = "mail.example.com")]
    site: String,
    /// What the device knows the login by.
    user: String,
    #[schema(example = "alice@example.com")]
    email: String,
    /// COSE numbers of the kinds of keys that are taken, the best first.
    algorithms: Vec<i64>,
    /// Keys of this login that a device may hold already.
    exclude: Vec<String>,
}

/// A new passkey as the browser's `PublicKeyCredential` has it; octets are base64url without padding.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPasskey {
    /// To know it by, up to 100 characters.
    #[schema(example = "Laptop")]
    name: String,
    client_data: String,
    authenticator_data: String,
    /// The DER of a `SubjectPublicKeyInfo`.
    public_key: String,
    /// Its COSE number.
    #[schema(example = -7)]
    algorithm: i64,
}

/// A passkey that was just added.
#[derive(Serialize, ToSchema)]
struct AddedPasskey {
    passkey: PasskeyView,
    /// Ten codes that open the second step once each, shown this once; empty where there are codes already.
    recovery_codes: Vec<String>,
}

/// What a browser needs to use a passkey; octets are base64url without padding.
#[derive(Serialize, ToSchema)]
struct PasskeyAsked {
    challenge: String,
    #[schema(example = "mail.example.com")]
    site: String,
    /// The keys that are meant, where the password was given already; otherwise the device offers what it has.
    allow: Vec<String>,
}

/// A proof as the browser's `PublicKeyCredential` has it; octets are base64url without padding.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasskeyProof {
    id: String,
    client_data: String,
    authenticator_data: String,
    signature: String,
    /// What the device knows the login by, where it says so.
    user: Option<String>,
}

impl PasskeyProof {
    fn assertion(&self) -> ApiResult<Assertion> {
        Ok(Assertion {
            credential: octets(&self.id, "id")?,
            client_data: octets(&self.client_data, "client_data")?,
            authenticator_data: octets(&self.authenticator_data, "authenticator_data")?,
            signature: octets(&self.signature, "signature")?,
            user: self
                .user
                .as_deref()
                .map(|user| octets(user, "user"))
                .transpose()?,
        })
    }
}

fn octets(text: &str, field: &'static str) -> ApiResult<Vec<u8>> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| ApiError::invalid(field, "This is not base64url without padding."))
}

/// The site that passkeys are bound to, where there can be one.
fn site(parts: &Parts) -> ApiResult<Site> {
    Site::at(&parts.settings.public_url)
        .map_err(|why| ApiError::Conflict(crate::http::error::sentence(&why.to_string())))
}

/// Begin a passkey
#[utoipa::path(
    post, path = "/account/passkeys/begin", tag = "second-step", operation_id = "beginPasskey",
    responses(
        (status = 200, description = "What the browser needs to make one, within 5 minutes", body = NewPasskeyAsked),
        (status = 403, description = "Two-step sign-in is on, and this session was opened more than 10 minutes ago", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Passkeys cannot be had at this address", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = [])),
)]
async fn begin(State(parts): State<Parts>, caller: Caller) -> ApiResult<Json<NewPasskeyAsked>> {
    let (login, _) = caller.person()?;
    caller.needs_second_step(&parts.accounts).await?;
    let site = site(&parts)?;
    let asked = parts.accounts.begin_passkey(login).await?;
    Ok(Json(NewPasskeyAsked {
        challenge: asked.challenge,
        site: site.id,
        user: URL_SAFE_NO_PAD.encode(login.as_bytes()),
        email: caller.principal.email,
        algorithms: ALGORITHMS.to_vec(),
        exclude: asked.credentials,
    }))
}

/// Add a passkey
///
/// Up to 20. The first thing set up for the second step switches it on, and the answer then holds recovery codes.
#[utoipa::path(
    post, path = "/account/passkeys", tag = "second-step", operation_id = "addPasskey", request_body = NewPasskey,
    responses(
        (status = 201, description = "Added", body = AddedPasskey),
        (status = 403, description = "Two-step sign-in is on, and this session was opened more than 10 minutes ago", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is there already, or there are as many as there can be", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The answer of the browser does not hold, or came too late", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = [])),
)]
async fn add(
    State(parts): State<Parts>,
    caller: Caller,
    client: Client,
    headers: HeaderMap,
    Body(new): Body<NewPasskey>,
) -> ApiResult<(StatusCode, Json<AddedPasskey>)> {
    let owner = owner(&caller, &client, &headers)?;
    caller.needs_second_step(&parts.accounts).await?;
    let answer = Registration {
        client_data: octets(&new.client_data, "client_data")?,
        authenticator_data: octets(&new.authenticator_data, "authenticator_data")?,
        public_key: octets(&new.public_key, "public_key")?,
        algorithm: new.algorithm,
    };
    let (login, site) = (owner.login.id, site(&parts)?);
    let added = parts
        .accounts
        .add_passkey(owner, &new.name, (&site, &answer))
        .await;
    let (passkey, recovery_codes) = added?;
    tracing::info!(%login, passkey = %passkey.id, "passkey added");
    let passkey = passkey.into();
    Ok((
        StatusCode::CREATED,
        Json(AddedPasskey {
            passkey,
            recovery_codes,
        }),
    ))
}

/// Remove a passkey
///
/// The last thing that a second step can be is not removed; switch two-step sign-in off instead.
#[utoipa::path(
    delete, path = "/account/passkeys/{id}", tag = "second-step", operation_id = "removePasskey",
    params(("id" = String, Path, description = "The passkey")),
    responses(
        (status = 204, description = "It signs in no more"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Nothing would be left for the second step", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = [])),
)]
async fn remove(
    State(parts): State<Parts>,
    caller: Caller,
    client: Client,
    headers: HeaderMap,
    Named(key): Named<String>,
) -> ApiResult<StatusCode> {
    let owner = owner(&caller, &client, &headers)?;
    caller.needs_fresh()?;
    let (login, passkey) = (owner.login.id, id(&key, "passkey")?);
    parts.accounts.remove_passkey(owner, passkey).await?;
    tracing::info!(%login, %passkey, "passkey removed");
    Ok(StatusCode::NO_CONTENT)
}

/// Begin a sign-in with a passkey
#[utoipa::path(
    post, path = "/session/passkey/begin", tag = "session", operation_id = "beginPasskeySignIn",
    responses(
        (status = 200, description = "What the browser needs to use one, within 5 minutes", body = PasskeyAsked),
        (status = 409, description = "Passkeys cannot be had at this address", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many of them from this network; `Retry-After` says how long to wait", body = Problem, content_type = "application/problem+json"),
    ),
    security(()),
)]
async fn begin_sign_in(
    State(parts): State<Parts>,
    client: Client,
    headers: HeaderMap,
) -> ApiResult<Json<PasskeyAsked>> {
    let site = site(&parts)?;
    let half = match half_token(&headers) {
        Some(token) => parts.accounts.half_session(&token).await?,
        None => None,
    };
    let login = half.and_then(|(who, _)| who.login);
    let from = client.approach(&headers, Door::Web);
    let asked = parts.accounts.begin_passkey_sign_in(login, &from).await?;
    Ok(Json(PasskeyAsked {
        challenge: asked.challenge,
        site: site.id,
        allow: asked.credentials,
    }))
}

/// Sign in with a passkey
///
/// The key and the device's own check of its user are both steps at once, so neither password nor code is asked for.
#[utoipa::path(
    post, path = "/session/passkey", tag = "session", operation_id = "signInWithPasskey", request_body = PasskeyProof,
    responses(
        (status = 200, description = "Signed in", body = Me),
        (status = 401, description = "The passkey opens nothing here", body = Problem, content_type = "application/problem+json"),
    ),
    security(()),
)]
async fn sign_in(
    State(parts): State<Parts>,
    client: Client,
    headers: HeaderMap,
    Body(proof): Body<PasskeyProof>,
) -> ApiResult<Response> {
    let site = site(&parts)?;
    let from = client.approach(&headers, Door::Web);
    let (principal, token) = parts
        .accounts
        .sign_in_with_passkey(&site, proof.assertion()?, &from)
        .await?
        .ok_or(ApiError::WrongPasskey)?;
    let cookies = whole(&parts, &client, &headers, &token).await?;
    let me = described(&parts, &principal).await?;
    Ok((cookies, Json(me)).into_response())
}

/// Begin to use a passkey instead of entering the password again
#[utoipa::path(
    post, path = "/session/confirm/passkey/begin", tag = "session", operation_id = "beginPasskeyConfirm",
    responses(
        (status = 200, description = "What the browser needs to use one, within 5 minutes", body = PasskeyAsked),
        (status = 404, description = "Your login has no passkey", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Passkeys cannot be had at this address", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many of them from this network; `Retry-After` says how long to wait", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = [])),
)]
async fn begin_confirm(
    State(parts): State<Parts>,
    caller: Caller,
    client: Client,
    headers: HeaderMap,
) -> ApiResult<Json<PasskeyAsked>> {
    let (login, _) = caller.person()?;
    let site = site(&parts)?;
    let from = client.approach(&headers, Door::Web);
    let asked = parts.accounts.begin_passkey_confirm(login, &from).await?;
    if asked.credentials.is_empty() {
        return Err(ApiError::NotFound("passkey"));
    }
    Ok(Json(PasskeyAsked {
        challenge: asked.challenge,
        site: site.id,
        allow: asked.credentials,
    }))
}

/// Use a passkey instead of entering the password again
///
/// A passkey of the login that is signed in counts as its password entered again does.
#[utoipa::path(
    post, path = "/session/confirm/passkey", tag = "session", operation_id = "confirmSessionWithPasskey",
    request_body = PasskeyProof,
    responses(
        (status = 204, description = "It counts for the next 10 minutes"),
        (status = 422, description = "The passkey is not one of yours, its answer does not hold, or it came too late", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = [])),
)]
async fn confirm(
    State(parts): State<Parts>,
    caller: Caller,
    client: Client,
    headers: HeaderMap,
    Body(proof): Body<PasskeyProof>,
) -> ApiResult<StatusCode> {
    let mine = caller.person()?;
    let (site, answer) = (site(&parts)?, proof.assertion()?);
    let from = client.approach(&headers, Door::Web);
    let confirmed = parts
        .accounts
        .confirm_session_with_passkey(mine, &site, answer, &from)
        .await?;
    if confirmed {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(ApiError::invalid(
        "passkey",
        "This passkey did not show that it is you. Try again, or enter your password.",
    ))
}
