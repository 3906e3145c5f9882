//! Two-step sign-in of one's own login: the app, recovery codes, switching it off.

use accounts::{Login, Owner, Passkey, Scope, SecondStep, Site};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use qrcode::QrCode;
use qrcode::render::svg;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::session::verify_again;
use crate::http::Parts;
use crate::http::auth::{Caller, requester};
use crate::http::error::{ApiError, ApiResult, Problem};
use crate::http::json::{Body, Named, id};
use crate::http::peer::Client;

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new()
        .routes(routes!(read))
        .routes(routes!(begin))
        .routes(routes!(confirm))
        .routes(routes!(recovery))
        .routes(routes!(off))
        .routes(routes!(lift))
}

/// Two-step sign-in of your own login.
#[derive(Serialize, ToSchema)]
#[schema(as = SecondStep)]
struct SecondStepView {
    /// Something is asked for behind the password.
    on: bool,
    /// Since when the codes of an app count; null where none do.
    #[schema(required = true, format = DateTime)]
    app_since: Option<String>,
    passkeys: Vec<PasskeyView>,
    recovery_codes_left: i64,
    /// Why passkeys cannot be had here; null where they can.
    #[schema(required = true)]
    no_passkeys: Option<String>,
}

/// A key that a device keeps, which signs in without the password.
#[derive(Serialize, ToSchema)]
#[schema(as = Passkey)]
pub(super) struct PasskeyView {
    id: String,
    #[schema(example = "Laptop")]
    name: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(required = true, format = DateTime)]
    used_at: Option<String>,
}

impl From<Passkey> for PasskeyView {
    fn from(key: Passkey) -> Self {
        Self {
            id: key.id.to_string(),
            name: key.name,
            created_at: key.created_at.rfc3339(),
            used_at: key.used_at.map(mail::time::Time::rfc3339),
        }
    }
}

fn view(step: SecondStep, parts: &Parts) -> SecondStepView {
    SecondStepView {
        on: step.is_on(),
        app_since: step.app_since.map(mail::time::Time::rfc3339),
        passkeys: step.passkeys.into_iter().map(PasskeyView::from).collect(),
        recovery_codes_left: step.recovery_codes_left,
        no_passkeys: Site::at(&parts.settings.public_url)
            .err()
            .map(|why| why.to_string()),
    }
}

/// Whoever changes their own second step.
pub(super) fn owner(caller: &Caller, client: &Client, headers: &HeaderMap) -> ApiResult<Owner> {
    let (id, _) = caller.person()?;
    Ok(Owner {
        login: Login {
            id,
            account: caller.account_id(),
            email: caller.principal.email.clone(),
        },
        by: caller.by(),
        requester: requester(client, headers),
    })
}

/// Ask about two-step sign-in
#[utoipa::path(
    get, path = "/account/second-step", tag = "second-step", operation_id = "getSecondStep",
    responses((status = 200, description = "What is set up for your login", body = SecondStepView)),
    security(("session" = [])),
)]
async fn read(State(parts): State<Parts>, caller: Caller) -> ApiResult<Json<SecondStepView>> {
    let (login, _) = caller.person()?;
    let step = parts.accounts.second_step(login).await?;
    Ok(Json(view(step, &parts)))
}

/// A key for an app that gives codes.
#[derive(Serialize, ToSchema)]
struct NewAppView {
    /// To be typed where no camera is.
    #[schema(example = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")]
    secret: String,
    /// The same for an app on this device.
    #[schema(
        example = "otpauth://totp/Posthouse:alice%40example.com?secret=JBSWY3DPEHPK3PXP&issuer=Posthouse"
    )]
    uri: String,
    /// The same as a picture to scan, an SVG.
    qr: String,
}

/// Begin with an app
///
/// Makes the key for an app that gives codes (RFC 6238, SHA-1, six digits, thirty seconds). Nothing changes until a code of it
/// has been given. Where two-step sign-in is on already, this takes a session that was opened with it within the last 10
/// minutes; so do recovery codes and new passkeys.
#[utoipa::path(
    post, path = "/account/second-step/app", tag = "second-step", operation_id = "beginApp",
    responses(
        (status = 200, description = "The key, shown this once", body = NewAppView),
        (status = 403, description = "Two-step sign-in is on, and this session was opened more than 10 minutes ago", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = [])),
)]
async fn begin(State(parts): State<Parts>, caller: Caller) -> ApiResult<Json<NewAppView>> {
    let (login, _) = caller.person()?;
    caller.needs_second_step(&parts.accounts).await?;
    let secret = parts.accounts.begin_app(login).await?.secret;
    let uri = uri(&parts.settings.hostname, &caller.principal.email, &secret);
    let qr = QrCode::new(&uri)
        .map_err(|error| ApiError::internal(&error))?
        .render::<svg::Color<'_>>()
        .min_dimensions(220, 220)
        .build();
    Ok(Json(NewAppView { secret, uri, qr }))
}

/// What apps read: who it is for, where, and the key.
fn uri(service: &str, email: &str, secret: &str) -> String {
    let escape = |text: &str| -> String {
        let octet = |b: u8| match b {
            b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        };
        text.bytes().map(octet).collect()
    };
    let (service, email) = (escape(service), escape(email));
    format!("otpauth://totp/{service}:{email}?secret={secret}&issuer={service}")
}

/// A code of the app.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Code {
    #[schema(example = "123456")]
    code: String,
}

/// Codes to write down.
#[derive(Serialize, ToSchema)]
pub(super) struct RecoveryCodes {
    /// Ten codes that open the second step once each, shown this once; empty where there are codes already.
    pub(super) recovery_codes: Vec<String>,
}

/// Let the app's codes count
#[utoipa::path(
    post, path = "/account/second-step/app/confirm", tag = "second-step", operation_id = "confirmApp", request_body = Code,
    responses(
        (status = 200, description = "They count from now on; a former app's no more", body = RecoveryCodes),
        (status = 403, description = "Two-step sign-in is on, and this session was opened more than 10 minutes ago", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It is not the code of the key that was begun", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = [])),
)]
async fn confirm(
    State(parts): State<Parts>,
    caller: Caller,
    client: Client,
    headers: HeaderMap,
    Body(given): Body<Code>,
) -> ApiResult<Json<RecoveryCodes>> {
    let owner = owner(&caller, &client, &headers)?;
    caller.needs_second_step(&parts.accounts).await?;
    let login = owner.login.id;
    let recovery_codes = parts.accounts.confirm_app(owner, &given.code).await?;
    tracing::info!(%login, "an app gives codes for the second step");
    Ok(Json(RecoveryCodes { recovery_codes }))
}

/// Make new recovery codes
///
/// Those before count no more.
#[utoipa::path(
    post, path = "/account/second-step/recovery-codes", tag = "second-step", operation_id = "makeRecoveryCodes",
    responses(
        (status = 200, description = "Ten codes, shown this once", body = RecoveryCodes),
        (status = 403, description = "Two-step sign-in is on, and this session was opened more than 10 minutes ago", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Two-step sign-in is off", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = [])),
)]
async fn recovery(
    State(parts): State<Parts>,
    caller: Caller,
    client: Client,
    headers: HeaderMap,
) -> ApiResult<Json<RecoveryCodes>> {
    let owner = owner(&caller, &client, &headers)?;
    caller.needs_second_step(&parts.accounts).await?;
    let recovery_codes = parts.accounts.new_recovery_codes(owner).await?;
    Ok(Json(RecoveryCodes { recovery_codes }))
}

/// Password and second step of whoever is signed in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SwitchOff {
    #[schema(format = Password)]
    password: String,
    /// Six digits of the app, or a recovery code.
    code: String,
}

/// Switch two-step sign-in off
///
/// App, passkeys and recovery codes are forgotten; the password alone signs in.
#[utoipa::path(
    post, path = "/account/second-step/off", tag = "second-step", operation_id = "switchSecondStepOff", request_body = SwitchOff,
    responses(
        (status = 204, description = "Off"),
        (status = 409, description = "It is off already", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The password or the code is not right", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many tries; `Retry-After` says how long to wait", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = [])),
)]
async fn off(
    State(parts): State<Parts>,
    caller: Caller,
    client: Client,
    headers: HeaderMap,
    Body(given): Body<SwitchOff>,
) -> ApiResult<StatusCode> {
    let owner = owner(&caller, &client, &headers)?;
    verify_again(&parts, &caller, &client, &headers, &given.password).await?;
    let login = owner.login.id;
    parts.accounts.second_step_off(owner, &given.code).await?;
    tracing::info!(%login, "two-step sign-in switched off by its owner");
    Ok(StatusCode::NO_CONTENT)
}

/// Whose second step.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Whose {
    /// A login of the account.
    #[schema(example = "alice@example.com")]
    email: String,
}

/// Lift a login's second step
///
/// For whoever lost app, passkeys and recovery codes, when you know who asks. The owner is written to.
#[utoipa::path(
    post, path = "/accounts/{id}/second-step/off", tag = "accounts", operation_id = "liftSecondStep", request_body = Whose,
    params(("id" = String, Path, description = "The account")),
    responses(
        (status = 204, description = "The password alone signs in"),
        (status = 403, description = "It is an owner's of your own or an operator's account, and you are no owner", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "The account has no such login", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is off already", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = ["operator"])),
)]
async fn lift(
    State(parts): State<Parts>,
    caller: Caller,
    Named(account): Named<String>,
    Body(whose): Body<Whose>,
) -> ApiResult<StatusCode> {
    caller.in_person(Scope::Operator)?;
    let account = id(&account, "account")?;
    let login = parts.accounts.login(&whose.email).await?;
    if login.account != account {
        return Err(ApiError::NotFound("login"));
    }
    parts
        .accounts
        .lift_second_step(&login.email, &caller.by())
        .await?;
    tracing::info!(login = %login.id, by = %caller.account_id(), "a second step was lifted");
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_reads_who_and_where_whatever_they_are_called() {
        assert_eq!(
            uri("mail.example.com", "a+b&c@example.com", "ABC"),
            "otpauth://totp/mail.example.com:a%2Bb%26c%40example.com?secret=ABC&issuer=mail.example.com"
        );
    }
}
