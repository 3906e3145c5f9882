//! IP ranges that stand in for a password.

use accounts::{AccountsError, IpCredential, Scope};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
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
        .routes(routes!(revoke))
}

/// An IP range and the account it stands for.
#[derive(Serialize, ToSchema)]
#[schema(as = Credential)]
struct CredentialView {
    id: String,
    account: String,
    /// The login it sends as.
    #[schema(example = "printer@example.com")]
    account_email: String,
    #[schema(example = "Printers, second floor")]
    name: String,
    #[schema(example = "192.0.2.0/28")]
    range: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(required = true, format = DateTime)]
    used_at: Option<String>,
}

impl From<IpCredential> for CredentialView {
    fn from(credential: IpCredential) -> Self {
        Self {
            id: credential.id.to_string(),
            account: credential.account.to_string(),
            account_email: credential.email,
            name: credential.name,
            range: credential.range,
            created_at: credential.created_at.rfc3339(),
            used_at: credential.used_at.map(mail::time::Time::rfc3339),
        }
    }
}

/// List the IP ranges
#[utoipa::path(
    get, path = "/credentials", tag = "credentials", operation_id = "listCredentials",
    responses((status = 200, description = "All ranges in force", body = Page<CredentialView>)),
    security(("key" = ["operator"]), ("session" = [])),
)]
async fn list(State(parts): State<Parts>, caller: Caller) -> ApiResult<Json<Page<CredentialView>>> {
    caller.needs(Scope::Operator)?;
    let items = parts
        .accounts
        .ip_credentials()
        .await?
        .into_iter()
        .map(CredentialView::from)
        .collect();
    Ok(Json(Page { items, next: None }))
}

/// A range to be let in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateCredential {
    /// The login that clients in the range send as.
    #[schema(example = "printer@example.com")]
    account_email: String,
    /// An address or a range, IPv4 from /8 on, IPv6 from /32 on.
    #[schema(example = "192.0.2.0/28")]
    range: String,
    /// To know it by; the range itself where it is empty.
    #[serde(default)]
    #[schema(required = false)]
    name: String,
}

/// Let an IP range send without a password
///
/// For devices that can neither sign in nor speak TLS. Whoever sits behind an address of the range sends as this
/// account, so keep it narrow. Where ranges overlap, the narrower one counts. For a login of another account this takes an
/// operator in person; a key does it for its own account, with the scope `account` as well.
#[utoipa::path(
    post, path = "/credentials", tag = "credentials", operation_id = "createCredential", request_body = CreateCredential,
    responses(
        (status = 201, description = "In force", body = CredentialView),
        (status = 403, description = "A key lets nobody send as another account", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The range stands for an account already, or the account has as many as it can have", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The range or the address is not accepted", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["operator", "account"]), ("session" = [])),
)]
async fn create(
    State(parts): State<Parts>,
    caller: Caller,
    Body(new): Body<CreateCredential>,
) -> ApiResult<(StatusCode, Json<CredentialView>)> {
    caller.needs(Scope::Operator)?;
    caller.needs_fresh()?;
    let unknown = |error| match error {
        AccountsError::Address(_) | AccountsError::NoSuchLogin(_) => {
            ApiError::invalid("account_email", error.to_string())
        }
        error => error.into(),
    };
    // Sending as somebody is a right of theirs, which a key that only operates does not hold.
    if caller.person().is_err() {
        let login = parts.accounts.login(&new.account_email).await.map_err(unknown)?;
        if login.account != caller.account_id() {
            return Err(ApiError::Forbidden(
                "Only an operator in person lets a range send as another account; no key does.".to_owned(),
            ));
        }
        caller.needs(Scope::Account)?;
    }
    let made = parts
        .accounts
        .create_ip_credential(&new.account_email, &new.range, &new.name, &caller.by())
        .await;
    let credential = made.map_err(unknown)?;
    tracing::info!(credential = %credential.id, account = %credential.account, by = %caller.account_id(), "IP range let in");
    Ok((StatusCode::CREATED, Json(credential.into())))
}

/// Shut an IP range out
///
/// Its clients are refused from the next message on.
#[utoipa::path(
    delete, path = "/credentials/{id}", tag = "credentials", operation_id = "revokeCredential",
    params(("id" = String, Path, description = "The credential")),
    responses(
        (status = 204, description = "Revoked"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["operator"]), ("session" = [])),
)]
async fn revoke(
    State(parts): State<Parts>,
    caller: Caller,
    Named(credential): Named<String>,
) -> ApiResult<StatusCode> {
    caller.needs(Scope::Operator)?;
    let credential = id(&credential, "credential")?;
    parts
        .accounts
        .revoke_ip_credential(credential, &caller.by())
        .await?;
    tracing::info!(%credential, by = %caller.account_id(), "IP range shut out");
    Ok(StatusCode::NO_CONTENT)
}
