//! API keys of the account.

use accounts::{ApiKey, Scope, WantedKey};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiResult, Problem};
use crate::http::json::{Body, Named, id};
use crate::http::paging::Page;

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(revoke))
}

/// One right of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScopeName {
    /// Read what the account sees, and change nothing: messages, domains, settings.
    Read,
    /// Send messages.
    Send,
    /// Read messages, retry and cancel them.
    Messages,
    /// Read and change sending domains.
    Domains,
    /// The API keys and SMTP credentials of the key's own user.
    Credentials,
    /// Read and change the account: everybody's keys, users, settings. Holds `credentials`.
    Account,
    /// What only operators do; given by operators only.
    Operator,
}

impl From<ScopeName> for Scope {
    fn from(name: ScopeName) -> Self {
        match name {
            ScopeName::Read => Self::Read,
            ScopeName::Send => Self::Send,
            ScopeName::Messages => Self::Messages,
            ScopeName::Domains => Self::Domains,
            ScopeName::Credentials => Self::Credentials,
            ScopeName::Account => Self::Account,
            ScopeName::Operator => Self::Operator,
        }
    }
}

impl From<Scope> for ScopeName {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Read => Self::Read,
            Scope::Send => Self::Send,
            Scope::Messages => Self::Messages,
            Scope::Domains => Self::Domains,
            Scope::Credentials => Self::Credentials,
            Scope::Account => Self::Account,
            Scope::Operator => Self::Operator,
        }
    }
}

/// An API key, without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = Key)]
struct KeyView {
    id: String,
    #[schema(example = "Web shop")]
    name: String,
    /// The beginning of the key, to recognise it by.
    #[schema(example = "ph_4fZk1q")]
    prefix: String,
    scopes: Vec<ScopeName>,
    /// The only stream that it sends in; null where it may name any.
    #[schema(required = true, example = "receipts")]
    stream: Option<String>,
    /// Whose it is. A key never may more than the role of its user, whatever its scopes.
    #[schema(example = "alice@example.com")]
    user: String,
    #[schema(format = DateTime)]
    created_at: String,
    /// To the minute.
    #[schema(required = true, format = DateTime)]
    used_at: Option<String>,
}

/// A key that was just made.
#[derive(Serialize, ToSchema)]
#[schema(as = NewKey)]
struct CreatedKey {
    /// The whole key. It is shown this once and cannot be read again.
    #[schema(example = "ph_4fZk1q…")]
    key: String,
    #[serde(flatten)]
    about: KeyView,
}

impl From<ApiKey> for KeyView {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id.to_string(),
            name: key.name,
            prefix: key.prefix,
            scopes: key.scopes.iter().map(ScopeName::from).collect(),
            stream: key.stream,
            user: key.email,
            created_at: key.created_at.rfc3339(),
            used_at: key.used_at.map(mail::time::Time::rfc3339),
        }
    }
}

/// List the keys
///
/// Those of the whole account for whoever looks after it, else one's own.
#[utoipa::path(
    get, path = "/keys", tag = "keys", operation_id = "listKeys",
    responses((status = 200, description = "All keys that are not revoked", body = Page<KeyView>)),
    security(("key" = ["credentials"]), ("session" = [])),
)]
async fn list(State(parts): State<Parts>, caller: Caller) -> ApiResult<Json<Page<KeyView>>> {
    caller.needs(Scope::Credentials)?;
    let items = parts
        .accounts
        .keys(caller.account_id(), caller.only_own())
        .await?
        .into_iter()
        .map(KeyView::from)
        .collect();
    Ok(Json(Page { items, next: None }))
}

/// A key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateKey {
    /// To know it by, up to 100 characters.
    #[schema(example = "Web shop")]
    name: String,
    /// What it may do. Nobody can give a scope that he does not hold himself.
    #[schema(min_items = 1)]
    scopes: Vec<ScopeName>,
    /// The only stream that it is to send in; any without.
    #[schema(example = "receipts")]
    stream: Option<String>,
}

/// Create a key
///
/// The answer holds the whole key, once; only its hash is stored.
#[utoipa::path(
    post, path = "/keys", tag = "keys", operation_id = "createKey", request_body = CreateKey,
    responses(
        (status = 201, description = "Created", body = CreatedKey),
        (status = 403, description = "A scope goes beyond what you hold", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The account has as many keys as it can have", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The name or the scopes are not accepted", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["credentials"]), ("session" = [])),
)]
async fn create(
    State(parts): State<Parts>,
    caller: Caller,
    Body(new): Body<CreateKey>,
) -> ApiResult<(StatusCode, Json<CreatedKey>)> {
    caller.needs(Scope::Credentials)?;
    caller.needs_fresh()?;
    let wanted = WantedKey {
        name: new.name,
        scopes: new.scopes.into_iter().map(Scope::from).collect(),
        stream: new.stream,
    };
    let made = parts
        .accounts
        .create_key(&caller.principal, &caller.scopes, wanted, &caller.by())
        .await?;
    tracing::info!(key = %made.key.id, account = %caller.account_id(), "API key created");
    Ok((
        StatusCode::CREATED,
        Json(CreatedKey {
            key: made.secret,
            about: made.key.into(),
        }),
    ))
}

/// Revoke a key
///
/// It stops working at once and for good.
#[utoipa::path(
    delete, path = "/keys/{id}", tag = "keys", operation_id = "revokeKey",
    params(("id" = String, Path, description = "The key")),
    responses(
        (status = 204, description = "Revoked"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["credentials"]), ("session" = [])),
)]
async fn revoke(
    State(parts): State<Parts>,
    caller: Caller,
    Named(key): Named<String>,
) -> ApiResult<StatusCode> {
    caller.needs(Scope::Credentials)?;
    let key = id(&key, "API key")?;
    parts
        .accounts
        .revoke_key(caller.account_id(), key, caller.only_own(), &caller.by())
        .await?;
    tracing::info!(%key, account = %caller.account_id(), "API key revoked");
    Ok(StatusCode::NO_CONTENT)
}
