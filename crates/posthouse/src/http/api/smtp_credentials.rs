//! Named SMTP credentials of the account, and the switch that keeps login passwords off SMTP.

use accounts::{CredentialChange, CredentialLimits, Scope, SmtpCredential, SmtpPassword, WantedCredential};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use mail::time::Time;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, ApiResult, Problem};
use crate::http::json::{Body, Named, id};
use crate::http::paging::Page;

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(change, revoke))
        .routes(routes!(passwords, allow_password))
}

/// A named SMTP credential, without its password.
#[derive(Serialize, ToSchema)]
#[schema(as = SmtpCredential)]
struct CredentialView {
    id: String,
    /// The address of the login that it sends as, which is the SMTP username.
    #[schema(example = "alice@example.com")]
    username: String,
    #[schema(example = "Web shop")]
    name: String,
    /// The beginning of the password, to recognise it by.
    #[schema(example = "phs_4fZk1")]
    prefix: String,
    /// Where it may be used from; anywhere where there is none.
    #[schema(example = json!(["192.0.2.0/28"]))]
    networks: Vec<String>,
    /// The most recipients an hour; null for no limit of its own.
    #[schema(required = true, example = 1000)]
    rate: Option<u32>,
    /// When it stops; null for never.
    #[schema(required = true, format = DateTime)]
    expires_at: Option<String>,
    /// The only stream that it sends in; null where a message may name any.
    #[schema(required = true, example = "receipts")]
    stream: Option<String>,
    /// What it sends is kept in the local inbox: nobody receives it, and it costs nothing.
    sandbox: bool,
    #[schema(format = DateTime)]
    created_at: String,
    /// To the minute.
    #[schema(required = true, format = DateTime)]
    used_at: Option<String>,
    /// The client's address at the last use.
    #[schema(required = true, example = "192.0.2.7")]
    used_from: Option<String>,
}

impl From<SmtpCredential> for CredentialView {
    fn from(credential: SmtpCredential) -> Self {
        let limits = credential.limits;
        Self {
            id: credential.id.to_string(),
            username: credential.email,
            name: credential.name,
            prefix: credential.prefix,
            networks: limits.networks.iter().map(ToString::to_string).collect(),
            rate: limits.rate,
            expires_at: limits.expires_at.map(Time::rfc3339),
            stream: limits.stream,
            sandbox: credential.sandbox,
            created_at: credential.created_at.rfc3339(),
            used_at: credential.used_at.map(Time::rfc3339),
            used_from: credential.used_from,
        }
    }
}

/// A credential that was just made.
#[derive(Serialize, ToSchema)]
#[schema(as = NewSmtpCredential)]
struct CreatedCredential {
    /// The SMTP password. It is shown this once and cannot be read again.
    #[schema(example = "phs_4fZk1…")]
    password: String,
    #[serde(flatten)]
    about: CredentialView,
}

/// List the SMTP credentials
///
/// Those of the whole account for whoever looks after it, else one's own.
#[utoipa::path(
    get, path = "/smtp-credentials", tag = "smtp-credentials", operation_id = "listSmtpCredentials",
    responses((status = 200, description = "All credentials that are not revoked", body = Page<CredentialView>)),
    security(("key" = ["credentials"]), ("session" = [])),
)]
async fn list(State(parts): State<Parts>, caller: Caller) -> ApiResult<Json<Page<CredentialView>>> {
    caller.needs(Scope::Credentials)?;
    let found = parts.accounts.smtp_credentials(caller.account_id()).await?;
    let own = caller.only_own();
    let shown = found
        .into_iter()
        .filter(|one| own.is_none_or(|login| one.login == login));
    let items = shown.map(CredentialView::from).collect();
    Ok(Json(Page { items, next: None }))
}

/// A credential to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateSmtpCredential {
    /// What uses it, up to 100 characters.
    #[schema(example = "Web shop")]
    name: String,
    /// The login of the account that it sends as; your own without.
    #[schema(example = "alice@example.com")]
    username: Option<String>,
    /// Addresses or ranges that it may be used from, 20 at most; anywhere without.
    #[serde(default)]
    #[schema(required = false, example = json!(["192.0.2.0/28"]))]
    networks: Vec<String>,
    /// The most recipients an hour.
    #[schema(minimum = 1, maximum = 1_000_000)]
    rate: Option<u32>,
    /// When it stops.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// The only stream that it is to send in; any without.
    #[schema(example = "receipts")]
    stream: Option<String>,
    /// Keeps what it sends in the local inbox. Cannot be changed later.
    #[serde(default)]
    #[schema(required = false)]
    sandbox: bool,
}

/// Create an SMTP credential
///
/// A password of its own for one program or device: the username stays the e-mail address of the login. The answer holds
/// the password, once; only its hash is stored. It signs in over SMTP and nowhere else, and a change of the login's
/// password leaves it as it is.
#[utoipa::path(
    post, path = "/smtp-credentials", tag = "smtp-credentials", operation_id = "createSmtpCredential",
    request_body = CreateSmtpCredential,
    responses(
        (status = 201, description = "Created", body = CreatedCredential),
        (status = 409, description = "The account has as many credentials as it can have", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is not accepted", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["credentials", "send"]), ("session" = [])),
)]
async fn create(
    State(parts): State<Parts>,
    caller: Caller,
    Body(new): Body<CreateSmtpCredential>,
) -> ApiResult<(StatusCode, Json<CreatedCredential>)> {
    caller.needs(Scope::Credentials)?;
    // The password sends.
    caller.needs(Scope::Send)?;
    caller.needs_fresh()?;
    let others = |name: &String| !name.trim().eq_ignore_ascii_case(&caller.principal.email);
    if caller.only_own().is_some() && new.username.as_ref().is_some_and(others) {
        return Err(ApiError::Forbidden(
            "Only an owner or admin makes credentials for other logins of the account.".to_owned(),
        ));
    }
    let wanted = WantedCredential {
        email: new.username,
        name: new.name,
        limits: CredentialLimits {
            stream: new.stream,
            ..limits(&new.networks, new.rate, new.expires_at.as_deref())?
        },
        sandbox: new.sandbox,
    };
    let made = parts
        .accounts
        .create_smtp_credential(&caller.principal, wanted, &caller.by())
        .await
        .map_err(named)?;
    tracing::info!(credential = %made.credential.id, account = %caller.account_id(), "SMTP credential created");
    let created = CreatedCredential {
        password: made.secret,
        about: made.credential.into(),
    };
    Ok((StatusCode::CREATED, Json(created)))
}

/// A change of a credential. What is left out stays; the limits are replaced together.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeSmtpCredential {
    name: Option<String>,
    limits: Option<NewLimits>,
}

/// What a credential is bound to; what is left out binds it no more.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SmtpCredentialLimits)]
struct NewLimits {
    #[serde(default)]
    #[schema(required = false, example = json!(["192.0.2.0/28"]))]
    networks: Vec<String>,
    #[schema(minimum = 1, maximum = 1_000_000)]
    rate: Option<u32>,
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    #[schema(example = "receipts")]
    stream: Option<String>,
}

/// Change an SMTP credential
///
/// Its name and what it is bound to; the latter needs the scope `send` too. It counts at once, for connections that are open
/// too.
#[utoipa::path(
    patch, path = "/smtp-credentials/{id}", tag = "smtp-credentials", operation_id = "changeSmtpCredential",
    params(("id" = String, Path, description = "The credential")), request_body = ChangeSmtpCredential,
    responses(
        (status = 200, description = "Changed", body = CredentialView),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is not accepted", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["credentials"]), ("session" = [])),
)]
async fn change(
    State(parts): State<Parts>,
    caller: Caller,
    Named(credential): Named<String>,
    Body(change): Body<ChangeSmtpCredential>,
) -> ApiResult<Json<CredentialView>> {
    caller.needs(Scope::Credentials)?;
    caller.needs_fresh()?;
    if change.limits.is_some() {
        // Whoever lets its password send more could as well make another.
        caller.needs(Scope::Send)?;
    }
    let credential = id(&credential, "SMTP credential")?;
    must_be_theirs(&parts, &caller, credential).await?;
    let limits = change
        .limits
        .map(|new| {
            let limits = limits(&new.networks, new.rate, new.expires_at.as_deref())?;
            Ok::<_, ApiError>(CredentialLimits {
                stream: new.stream,
                ..limits
            })
        })
        .transpose()?;
    let change = CredentialChange {
        name: change.name,
        limits,
    };
    // What is changed may belong to any stream.
    parts.accounts.within_stream(&caller.principal, None).await?;
    let changed = parts
        .accounts
        .change_smtp_credential(caller.account_id(), credential, change, &caller.by())
        .await
        .map_err(named)?;
    tracing::info!(%credential, account = %caller.account_id(), "SMTP credential changed");
    Ok(Json(changed.into()))
}

/// Revoke an SMTP credential
///
/// It stops working at once and for good. A connection that is open with it is refused at its next command.
#[utoipa::path(
    delete, path = "/smtp-credentials/{id}", tag = "smtp-credentials", operation_id = "revokeSmtpCredential",
    params(("id" = String, Path, description = "The credential")),
    responses(
        (status = 204, description = "Revoked"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["credentials"]), ("session" = [])),
)]
async fn revoke(
    State(parts): State<Parts>,
    caller: Caller,
    Named(credential): Named<String>,
) -> ApiResult<StatusCode> {
    caller.needs(Scope::Credentials)?;
    let credential = id(&credential, "SMTP credential")?;
    must_be_theirs(&parts, &caller, credential).await?;
    parts
        .accounts
        .revoke_smtp_credential(caller.account_id(), credential, &caller.by())
        .await?;
    tracing::info!(%credential, account = %caller.account_id(), "SMTP credential revoked");
    Ok(StatusCode::NO_CONTENT)
}

/// Whether the password of a login signs in over SMTP.
#[derive(Serialize, ToSchema)]
#[schema(as = SmtpPassword)]
struct PasswordView {
    #[schema(example = "alice@example.com")]
    username: String,
    allowed: bool,
}

impl From<SmtpPassword> for PasswordView {
    fn from(password: SmtpPassword) -> Self {
        Self {
            username: password.email,
            allowed: password.allowed,
        }
    }
}

/// List which login passwords sign in over SMTP
#[utoipa::path(
    get, path = "/smtp-passwords", tag = "smtp-credentials", operation_id = "listSmtpPasswords",
    responses((status = 200, description = "The logins of the account", body = Page<PasswordView>)),
    security(("key" = ["account"]), ("session" = [])),
)]
async fn passwords(State(parts): State<Parts>, caller: Caller) -> ApiResult<Json<Page<PasswordView>>> {
    caller.needs(Scope::Account)?;
    let found = parts.accounts.smtp_passwords(caller.account_id()).await?;
    let items = found.into_iter().map(PasswordView::from).collect();
    Ok(Json(Page { items, next: None }))
}

/// Whether a login's password is to sign in over SMTP.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AllowSmtpPassword {
    /// The login; your own without.
    #[schema(example = "alice@example.com")]
    username: Option<String>,
    allowed: bool,
}

/// Allow or forbid a login's password on SMTP
///
/// Where it is forbidden, only named credentials sign in over SMTP; the console takes the password as before. Connections
/// that are open with it are refused at their next command.
#[utoipa::path(
    put, path = "/smtp-passwords", tag = "smtp-credentials", operation_id = "allowSmtpPassword",
    request_body = AllowSmtpPassword,
    responses(
        (status = 200, description = "Changed", body = PasswordView),
        (status = 422, description = "The account has no such login", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["account"]), ("session" = [])),
)]
async fn allow_password(
    State(parts): State<Parts>,
    caller: Caller,
    Body(wanted): Body<AllowSmtpPassword>,
) -> ApiResult<Json<PasswordView>> {
    caller.needs(Scope::Account)?;
    caller.needs_fresh()?;
    let changed = parts
        .accounts
        .allow_smtp_password(
            &caller.principal,
            wanted.username.as_deref(),
            wanted.allowed,
            &caller.by(),
        )
        .await
        .map_err(named)?;
    tracing::info!(login = %changed.login, allowed = changed.allowed, "login password on SMTP switched");
    Ok(Json(changed.into()))
}

/// Who does not look after the account finds the credentials of the own login only.
async fn must_be_theirs(parts: &Parts, caller: &Caller, credential: store::Id) -> ApiResult<()> {
    let Some(login) = caller.only_own() else {
        return Ok(());
    };
    let found = parts.accounts.smtp_credentials(caller.account_id()).await?;
    if found.iter().any(|one| one.id == credential && one.login == login) {
        return Ok(());
    }
    Err(ApiError::NotFound("SMTP credential"))
}

fn limits(networks: &[String], rate: Option<u32>, expires_at: Option<&str>) -> ApiResult<CredentialLimits> {
    let expires_at = expires_at
        .map(|text| {
            Time::parse_rfc3339(text)
                .ok_or_else(|| ApiError::invalid("expires_at", "Give a time such as 2027-01-31T12:00:00Z."))
        })
        .transpose()?;
    let networks = networks.iter().map(String::as_str);
    CredentialLimits::parse(networks, rate, expires_at).map_err(named)
}

/// The fields as this group names them.
fn named(error: accounts::AccountsError) -> ApiError {
    use accounts::AccountsError::{Address, NoSuchLogin, Range, TooManyNetworks};
    match error {
        Address(_) | NoSuchLogin(_) => ApiError::invalid("username", error.to_string()),
        Range(_) | TooManyNetworks(_) => ApiError::invalid("networks", error.to_string()),
        error => error.into(),
    }
}
