//! Webhooks of the account: endpoints, how deliveries to them went, tests and replays.

use accounts::Scope;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use mail::time::Time;
use outbound::webhooks::{Endpoint, EndpointChange, NewEndpoint, PausedBy, Wanted};
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
        .routes(routes!(show, change, delete))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(rotate))
}

/// Why a webhook is told nothing.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = WebhookPause)]
enum PauseView {
    /// Somebody of the account paused it.
    Hand,
    /// Its receiver answered 410: it is gone for good.
    Gone,
    /// Every attempt failed for a week.
    Failing,
}

impl From<PausedBy> for PauseView {
    fn from(by: PausedBy) -> Self {
        match by {
            PausedBy::Hand | PausedBy::Deleted => Self::Hand,
            PausedBy::Gone => Self::Gone,
            PausedBy::Failing => Self::Failing,
        }
    }
}

/// A receiver that is told what happens.
#[derive(Serialize, ToSchema)]
#[schema(as = Webhook)]
struct WebhookView {
    id: String,
    #[schema(example = "https://example.com/posthouse")]
    url: String,
    #[schema(example = "Web shop")]
    description: String,
    /// The types of events it is told; empty stands for all, also for those that come with later versions.
    #[schema(example = json!(["bounced", "complained"]))]
    types: Vec<String>,
    /// The stream whose events it is told; null stands for every stream.
    #[schema(required = true)]
    stream: Option<String>,
    /// Why it is told nothing; null while it is active.
    #[schema(required = true)]
    paused: Option<PauseView>,
    #[schema(format = DateTime)]
    created_at: String,
    /// The first failure since the last success; null while all is well.
    #[schema(required = true, format = DateTime)]
    failing_since: Option<String>,
    /// Until when messages carry a signature by the secret before the present one as well.
    #[schema(required = true, format = DateTime)]
    old_secret_until: Option<String>,
}

/// A webhook and its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = NewWebhook)]
struct SecretView {
    /// Checks the signatures of its messages. It is shown this once and cannot be read again.
    #[schema(example = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")]
    secret: String,
    webhook: WebhookView,
}

fn view(endpoint: Endpoint, now: Time) -> WebhookView {
    WebhookView {
        id: endpoint.id.to_string(),
        old_secret_until: endpoint.old_secret_until(now).map(Time::rfc3339),
        url: endpoint.url,
        description: endpoint.description,
        types: endpoint.kinds,
        stream: endpoint.stream,
        paused: endpoint.paused.map(PauseView::from),
        created_at: endpoint.created_at.rfc3339(),
        failing_since: endpoint.failing_since.map(Time::rfc3339),
    }
}

fn secret(new: NewEndpoint, now: Time) -> SecretView {
    SecretView {
        secret: new.secret,
        webhook: view(new.endpoint, now),
    }
}

/// List the webhooks
#[utoipa::path(
    get, path = "/webhooks", tag = "webhooks", operation_id = "listWebhooks",
    responses((status = 200, description = "All webhooks of the account, the oldest first", body = Page<WebhookView>)),
    security(("key" = ["account"]), ("key" = ["read"]), ("session" = [])),
)]
async fn list(State(parts): State<Parts>, caller: Caller) -> ApiResult<Json<Page<WebhookView>>> {
    caller.reads(Scope::Account)?;
    let now = parts.clock.now();
    let found = parts.webhooks.endpoints(caller.account_id()).await?;
    let items = found.into_iter().map(|one| view(one, now)).collect();
    Ok(Json(Page { items, next: None }))
}

/// A webhook to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateWebhook {
    /// Where messages are posted to: `https://`, on port 443 or from 1024 on, and not to a private address.
    #[schema(example = "https://example.com/posthouse", max_length = 2048)]
    url: String,
    /// To know it by.
    #[serde(default)]
    #[schema(required = false, example = "Web shop", max_length = 200)]
    description: String,
    /// The types of events it is told; without any, all.
    #[serde(default)]
    #[schema(required = false, example = json!(["bounced", "complained"]))]
    types: Vec<String>,
    /// The stream whose events it is told; without one, every stream.
    stream: Option<String>,
}

/// Create a webhook
///
/// The answer holds the secret that signs its messages, once. It is told what happens from now on. An account has at most 20.
#[utoipa::path(
    post, path = "/webhooks", tag = "webhooks", operation_id = "createWebhook", request_body = CreateWebhook,
    responses(
        (status = 201, description = "Created", body = SecretView),
        (status = 409, description = "The account has as many webhooks as it can have", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is not accepted", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["account"]), ("session" = [])),
)]
async fn create(
    State(parts): State<Parts>,
    caller: Caller,
    Body(new): Body<CreateWebhook>,
) -> ApiResult<(StatusCode, Json<SecretView>)> {
    caller.needs(Scope::Account)?;
    caller.needs_fresh()?;
    let wanted = Wanted {
        url: new.url,
        description: new.description,
        kinds: new.types,
        stream: new.stream,
    };
    let account = caller.account_id();
    let made = parts.webhooks.create(account, wanted, &caller.by()).await?;
    tracing::info!(webhook = %made.endpoint.id, %account, "webhook created");
    Ok((StatusCode::CREATED, Json(secret(made, parts.clock.now()))))
}

/// Show a webhook
#[utoipa::path(
    get, path = "/webhooks/{id}", tag = "webhooks", operation_id = "getWebhook",
    params(("id" = String, Path, description = "The webhook")),
    responses(
        (status = 200, description = "The webhook", body = WebhookView),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["account"]), ("key" = ["read"]), ("session" = [])),
)]
async fn show(
    State(parts): State<Parts>,
    caller: Caller,
    Named(webhook): Named<String>,
) -> ApiResult<Json<WebhookView>> {
    caller.reads(Scope::Account)?;
    let found = parts
        .webhooks
        .endpoint(caller.account_id(), id(&webhook, "webhook")?)
        .await?;
    Ok(Json(view(found, parts.clock.now())))
}

/// A change of a webhook: what is given is replaced.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeWebhook {
    #[schema(max_length = 2048)]
    url: Option<String>,
    #[schema(max_length = 200)]
    description: Option<String>,
    /// Empty stands for all.
    types: Option<Vec<String>>,
    /// An empty one stands for every stream.
    stream: Option<String>,
}

/// Change a webhook
#[utoipa::path(
    patch, path = "/webhooks/{id}", tag = "webhooks", operation_id = "changeWebhook",
    params(("id" = String, Path, description = "The webhook")), request_body = ChangeWebhook,
    responses(
        (status = 200, description = "Changed", body = WebhookView),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is not accepted", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["account"]), ("session" = [])),
)]
async fn change(
    State(parts): State<Parts>,
    caller: Caller,
    Named(webhook): Named<String>,
    Body(new): Body<ChangeWebhook>,
) -> ApiResult<Json<WebhookView>> {
    caller.needs(Scope::Account)?;
    // Whoever finds a browser open must not lead an account's news elsewhere.
    caller.needs_fresh()?;
    let change = EndpointChange {
        url: new.url,
        description: new.description,
        kinds: new.types,
        stream: new.stream,
    };
    let webhook = id(&webhook, "webhook")?;
    let changed = parts
        .webhooks
        .change(caller.account_id(), webhook, change, &caller.by())
        .await?;
    Ok(Json(view(changed, parts.clock.now())))
}

/// Delete a webhook
///
/// What waits for it is told nobody, and the record of what it was told goes with it.
#[utoipa::path(
    delete, path = "/webhooks/{id}", tag = "webhooks", operation_id = "deleteWebhook",
    params(("id" = String, Path, description = "The webhook")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["account"]), ("session" = [])),
)]
async fn delete(
    State(parts): State<Parts>,
    caller: Caller,
    Named(webhook): Named<String>,
) -> ApiResult<StatusCode> {
    caller.needs(Scope::Account)?;
    let webhook = id(&webhook, "webhook")?;
    parts
        .webhooks
        .delete(caller.account_id(), webhook, &caller.by())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Pause a webhook
///
/// It is told nothing until it is resumed; what happens meanwhile can be replayed.
#[utoipa::path(
    post, path = "/webhooks/{id}/pause", tag = "webhooks", operation_id = "pauseWebhook",
    params(("id" = String, Path, description = "The webhook")),
    responses(
        (status = 200, description = "Paused", body = WebhookView),
        (status = 409, description = "It is paused already", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["account"]), ("session" = [])),
)]
async fn pause(
    State(parts): State<Parts>,
    caller: Caller,
    Named(webhook): Named<String>,
) -> ApiResult<Json<WebhookView>> {
    caller.needs(Scope::Account)?;
    let webhook = id(&webhook, "webhook")?;
    let paused = parts
        .webhooks
        .pause(caller.account_id(), webhook, &caller.by())
        .await?;
    Ok(Json(view(paused, parts.clock.now())))
}

/// Resume a webhook
///
/// It is told what happens from now on, and what already waited for it for less than 24 hours.
#[utoipa::path(
    post, path = "/webhooks/{id}/resume", tag = "webhooks", operation_id = "resumeWebhook",
    params(("id" = String, Path, description = "The webhook")),
    responses(
        (status = 200, description = "Resumed", body = WebhookView),
        (status = 409, description = "It is not paused", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["account"]), ("session" = [])),
)]
async fn resume(
    State(parts): State<Parts>,
    caller: Caller,
    Named(webhook): Named<String>,
) -> ApiResult<Json<WebhookView>> {
    caller.needs(Scope::Account)?;
    let webhook = id(&webhook, "webhook")?;
    let resumed = parts
        .webhooks
        .resume(caller.account_id(), webhook, &caller.by())
        .await?;
    Ok(Json(view(resumed, parts.clock.now())))
}

/// Give a webhook a new secret
///
/// The answer holds it, once. For 24 hours each message carries two signatures, by the new secret and by the one before, so
/// that its receiver can be changed in peace.
#[utoipa::path(
    post, path = "/webhooks/{id}/secret", tag = "webhooks", operation_id = "rotateWebhookSecret",
    params(("id" = String, Path, description = "The webhook")),
    responses(
        (status = 200, description = "The new secret", body = SecretView),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["account"]), ("session" = [])),
)]
async fn rotate(
    State(parts): State<Parts>,
    caller: Caller,
    Named(webhook): Named<String>,
) -> ApiResult<Json<SecretView>> {
    caller.needs(Scope::Account)?;
    caller.needs_fresh()?;
    let webhook = id(&webhook, "webhook")?;
    let rotated = parts
        .webhooks
        .rotate(caller.account_id(), webhook, &caller.by())
        .await?;
    Ok(Json(secret(rotated, parts.clock.now())))
}
