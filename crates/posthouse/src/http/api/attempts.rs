//! Sign-in attempts: what the client was not told, told to whoever owns the login.

use accounts::{AttemptFilter, Scope, SignInAttempt};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, ApiResult};
use crate::http::json::{Params, cursor, id};
use crate::http::paging::{Page, limit};

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new().routes(routes!(own)).routes(routes!(all))
}

/// The attempts of one device with one outcome.
#[derive(Serialize, ToSchema)]
#[schema(as = SignInAttempt)]
struct AttemptView {
    id: String,
    /// The username that was given; empty where it was no address, which may be a password in the wrong field.
    #[schema(example = "alice@example.com")]
    login: String,
    /// Empty in a line that stands for many clients.
    #[schema(example = "192.0.2.7")]
    ip: String,
    /// The name in the client's EHLO, or its user agent.
    #[schema(example = "laptop.example.com")]
    client: String,
    door: DoorName,
    /// The port of this server that the client came to.
    #[schema(example = 587)]
    port: u16,
    /// Version and cipher suite; null without TLS.
    #[schema(required = true, example = "TLSv1_3 TLS13_AES_256_GCM_SHA384")]
    tls: Option<String>,
    /// `PLAIN` or `LOGIN` over SMTP, `form` in the console, `key` for the API.
    #[schema(example = "PLAIN")]
    mechanism: String,
    /// The name of the SMTP credential whose password was given.
    #[schema(required = true, example = "Web shop")]
    credential: Option<String>,
    reason: ReasonName,
    /// When an old password or a credential stopped, or when a lock ends.
    #[schema(required = true, format = DateTime)]
    until: Option<String>,
    /// The login that was meant, most likely, where the address is unknown.
    #[schema(required = true, example = "alice@example.com")]
    near: Option<String>,
    /// How often. A device that signs in well is noted once an hour.
    count: u64,
    #[schema(format = DateTime)]
    first_at: String,
    #[schema(format = DateTime)]
    last_at: String,
}

/// The way in.
#[derive(Serialize, ToSchema)]
#[schema(as = SignInDoor)]
#[serde(rename_all = "snake_case")]
enum DoorName {
    Smtp,
    Web,
    Api,
}

/// What came of it and why. `more` counts attempts that were too many to be kept one by one.
#[derive(Serialize, ToSchema)]
#[schema(as = SignInReason)]
#[serde(rename_all = "snake_case")]
enum ReasonName {
    SignedIn,
    PasswordOnly,
    Confirmed,
    WrongCode,
    WrongPasskey,
    WrongPassword,
    OldPassword,
    UnknownAddress,
    NotAnAddress,
    Locked,
    NoTls,
    WrongPort,
    RevokedCredential,
    ExpiredCredential,
    IpNotAllowed,
    CredentialNotHere,
    PasswordSwitchedOff,
    RevokedKey,
    UnknownKey,
    More,
}

impl From<SignInAttempt> for AttemptView {
    fn from(attempt: SignInAttempt) -> Self {
        use accounts::{Door, Reason};
        Self {
            id: attempt.id.to_string(),
            login: attempt.login,
            ip: attempt.ip,
            client: attempt.client,
            door: match attempt.door {
                Door::Smtp => DoorName::Smtp,
                Door::Web => DoorName::Web,
                Door::Api => DoorName::Api,
            },
            port: attempt.port,
            tls: attempt.tls,
            mechanism: attempt.mechanism,
            credential: attempt.credential,
            until: attempt.reason.until().map(mail::time::Time::rfc3339),
            near: attempt.reason.near().map(str::to_owned),
            reason: match attempt.reason {
                Reason::SignedIn => ReasonName::SignedIn,
                Reason::PasswordOnly => ReasonName::PasswordOnly,
                Reason::Confirmed => ReasonName::Confirmed,
                Reason::WrongCode => ReasonName::WrongCode,
                Reason::WrongPasskey => ReasonName::WrongPasskey,
                Reason::WrongPassword => ReasonName::WrongPassword,
                Reason::OldPassword { .. } => ReasonName::OldPassword,
                Reason::UnknownAddress { .. } => ReasonName::UnknownAddress,
                Reason::NotAnAddress => ReasonName::NotAnAddress,
                Reason::Locked { .. } => ReasonName::Locked,
                Reason::NoTls => ReasonName::NoTls,
                Reason::WrongPort => ReasonName::WrongPort,
                Reason::RevokedCredential { .. } => ReasonName::RevokedCredential,
                Reason::ExpiredCredential { .. } => ReasonName::ExpiredCredential,
                Reason::IpNotAllowed => ReasonName::IpNotAllowed,
                Reason::CredentialNotHere => ReasonName::CredentialNotHere,
                Reason::PasswordSwitchedOff => ReasonName::PasswordSwitchedOff,
                Reason::RevokedKey => ReasonName::RevokedKey,
                Reason::UnknownKey => ReasonName::UnknownKey,
                Reason::More => ReasonName::More,
            },
            count: attempt.count,
            first_at: attempt.first_at.rfc3339(),
            last_at: attempt.last_at.rfc3339(),
        }
    }
}

/// Which attempts.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct AttemptParams {
    /// Only those on this login address.
    login: Option<String>,
    /// 1 to 200, 50 without.
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// Which attempts of all.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct AllParams {
    /// Only those on this login address.
    login: Option<String>,
    /// Only those on the logins of this account.
    account: Option<String>,
    /// 1 to 200, 50 without.
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// List the sign-in attempts on the account's logins
///
/// The latest first, good ones too. A device that goes on failing is one line with a count. An attempt on an address that
/// nobody has stands here too, where the address is nearly one of the account's own. Kept for 30 days. Users who do not look
/// after the account see the attempts on their own login.
#[utoipa::path(
    get, path = "/account/sign-in-attempts", tag = "sign-in", operation_id = "listOwnSignInAttempts",
    params(AttemptParams),
    responses((status = 200, description = "A page of attempts", body = Page<AttemptView>)),
    security(("key" = ["account"]), ("key" = ["read"]), ("session" = [])),
)]
async fn own(
    State(parts): State<Parts>,
    caller: Caller,
    Params(params): Params<AttemptParams>,
) -> ApiResult<Json<Page<AttemptView>>> {
    caller.reads(Scope::Account)?;
    let account = Some(caller.account_id());
    // Others' devices are the business of whoever looks after the account.
    let params = AttemptParams {
        login: match caller.only_own() {
            Some(_) => Some(caller.principal.email.clone()),
            None => params.login,
        },
        ..params
    };
    page(&parts, params, account).await
}

/// List all sign-in attempts
///
/// Of every account and of none, the latest first.
#[utoipa::path(
    get, path = "/sign-in-attempts", tag = "sign-in", operation_id = "listSignInAttempts",
    params(AllParams),
    responses((status = 200, description = "A page of attempts", body = Page<AttemptView>)),
    security(("key" = ["operator"]), ("session" = [])),
)]
async fn all(
    State(parts): State<Parts>,
    caller: Caller,
    Params(params): Params<AllParams>,
) -> ApiResult<Json<Page<AttemptView>>> {
    caller.needs(Scope::Operator)?;
    let account = params
        .account
        .map(|account| id(&account, "account"))
        .transpose()?;
    let params = AttemptParams {
        login: params.login,
        limit: params.limit,
        after: params.after,
    };
    page(&parts, params, account).await
}

async fn page(
    parts: &Parts,
    params: AttemptParams,
    account: Option<store::Id>,
) -> ApiResult<Json<Page<AttemptView>>> {
    let limit = limit(params.limit)?;
    let filter = AttemptFilter {
        account,
        login: params.login,
        limit: limit + 1,
        after: cursor(params.after.as_deref())?,
    };
    let found = parts
        .accounts
        .sign_in_attempts(filter)
        .await
        .map_err(|error| match error {
            accounts::AccountsError::Address(error) => ApiError::invalid("login", error.to_string()),
            error => error.into(),
        })?;
    let page = Page::of(found, limit, |attempt| attempt.id.to_string());
    Ok(Json(page.map(AttemptView::from)))
}
