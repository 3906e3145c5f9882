//! What went to a webhook, how each attempt went, and sending it again.

use accounts::Scope;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use outbound::webhooks::{self, Attempt, Delivery, DeliveryFilter};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::events::{moment, place};
use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, ApiResult, Problem};
use crate::http::json::{Body, Named, Params, cursor, id};
use crate::http::paging::{Page, limit};

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(replay))
        .routes(routes!(replay_range))
        .routes(routes!(test))
}

/// What became of a message to a webhook.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = WebhookDeliveryState)]
enum StateView {
    /// It is tried, or tried again.
    Waiting,
    /// Its receiver took it: a status from 200 to 299.
    Delivered,
    /// Nobody took it within 24 hours, or its receiver answered 410.
    Failed,
}

impl From<webhooks::State> for StateView {
    fn from(state: webhooks::State) -> Self {
        match state {
            webhooks::State::Waiting => Self::Waiting,
            webhooks::State::Delivered => Self::Delivered,
            webhooks::State::Failed => Self::Failed,
        }
    }
}

impl From<StateView> for webhooks::State {
    fn from(state: StateView) -> Self {
        match state {
            StateView::Waiting => Self::Waiting,
            StateView::Delivered => Self::Delivered,
            StateView::Failed => Self::Failed,
        }
    }
}

/// A message to a webhook.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookDelivery)]
struct DeliveryView {
    id: String,
    /// Its `webhook-id`, the same at each attempt and replay.
    #[schema(example = "evt_0-345")]
    event: String,
    #[serde(rename = "type")]
    #[schema(example = "delivered")]
    kind: String,
    state: StateView,
    attempts: i64,
    #[schema(format = DateTime)]
    created_at: String,
    /// When it is tried next; null where it is not.
    #[schema(required = true, format = DateTime)]
    next_at: Option<String>,
}

impl From<&Delivery> for DeliveryView {
    fn from(delivery: &Delivery) -> Self {
        let waits = delivery.state == webhooks::State::Waiting;
        Self {
            id: delivery.id.to_string(),
            event: delivery.event.clone(),
            kind: delivery.kind.clone(),
            state: delivery.state.into(),
            attempts: delivery.attempts,
            created_at: delivery.created_at.rfc3339(),
            next_at: waits.then(|| delivery.due_at.rfc3339()),
        }
    }
}

/// How one attempt went.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookAttempt)]
struct AttemptView {
    number: i64,
    #[schema(format = DateTime)]
    at: String,
    duration_ms: u64,
    /// The HTTP status; null where there was no answer.
    #[schema(required = true)]
    status: Option<u16>,
    /// Why there was no answer; empty where there was one.
    problem: String,
    /// The first 1,024 bytes of the answer's body.
    answer: String,
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        Self {
            number: attempt.number,
            at: attempt.at.rfc3339(),
            duration_ms: u64::try_from(attempt.duration.as_millis()).unwrap_or(u64::MAX),
            status: attempt.status,
            problem: attempt.problem,
            answer: attempt.answer,
        }
    }
}

/// A message to a webhook with its attempts.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookDeliveryDetail)]
struct DetailView {
    delivery: DeliveryView,
    /// The body as it is sent.
    payload: String,
    /// The last one first.
    attempts: Vec<AttemptView>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListDeliveries {
    /// Items on a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
    /// Only those in this state.
    #[param(inline)]
    state: Option<StateView>,
}

/// List what went to a webhook
///
/// Newest first. What ended is kept for 30 days.
#[utoipa::path(
    get, path = "/webhooks/{id}/deliveries", tag = "webhooks", operation_id = "listWebhookDeliveries",
    params(("id" = String, Path, description = "The webhook"), ListDeliveries),
    responses(
        (status = 200, description = "A page of deliveries", body = Page<DeliveryView>),
        (status = 404, description = "There is no such webhook", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["account"]), ("key" = ["read"]), ("session" = [])),
)]
async fn list(
    State(parts): State<Parts>,
    caller: Caller,
    Named(webhook): Named<String>,
    Params(asked): Params<ListDeliveries>,
) -> ApiResult<Json<Page<DeliveryView>>> {
    caller.reads(Scope::Account)?;
    let limit = limit(asked.limit)?;
    let filter = DeliveryFilter {
        state: asked.state.map(webhooks::State::from),
        after: cursor(asked.after.as_deref())?,
        limit: limit + 1,
    };
    let webhook = id(&webhook, "webhook")?;
    let found = parts
        .webhooks
        .deliveries(caller.account_id(), webhook, filter)
        .await?;
    let page = Page::of(found, limit, |one| one.id.to_string());
    Ok(Json(page.map(|one| DeliveryView::from(&one))))
}

/// Show a delivery with its attempts
#[utoipa::path(
    get, path = "/webhooks/{id}/deliveries/{delivery}", tag = "webhooks", operation_id = "getWebhookDelivery",
    params(
        ("id" = String, Path, description = "The webhook"),
        ("delivery" = String, Path, description = "The delivery"),
    ),
    responses(
        (status = 200, description = "The delivery", body = DetailView),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["account"]), ("key" = ["read"]), ("session" = [])),
)]
async fn show(
    State(parts): State<Parts>,
    caller: Caller,
    Named((webhook, delivery)): Named<(String, String)>,
) -> ApiResult<Json<DetailView>> {
    caller.reads(Scope::Account)?;
    let (webhook, delivery) = (id(&webhook, "webhook")?, id(&delivery, "delivery")?);
    let (found, attempts) = parts
        .webhooks
        .delivery(caller.account_id(), webhook, delivery)
        .await?;
    Ok(Json(DetailView {
        delivery: (&found).into(),
        payload: found.payload,
        attempts: attempts.into_iter().map(AttemptView::from).collect(),
    }))
}

/// Send a delivery again
///
/// With the same `webhook-id`, so that a receiver that remembers what it has seen can tell.
#[utoipa::path(
    post, path = "/webhooks/{id}/deliveries/{delivery}/replay", tag = "webhooks", operation_id = "replayWebhookDelivery",
    params(
        ("id" = String, Path, description = "The webhook"),
        ("delivery" = String, Path, description = "The delivery"),
    ),
    responses(
        (status = 202, description = "It is on its way"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It still waits, or the webhook is paused", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["account"]), ("session" = [])),
)]
async fn replay(
    State(parts): State<Parts>,
    caller: Caller,
    Named((webhook, delivery)): Named<(String, String)>,
) -> ApiResult<StatusCode> {
    caller.needs(Scope::Account)?;
    let (webhook, delivery) = (id(&webhook, "webhook")?, id(&delivery, "delivery")?);
    parts
        .webhooks
        .replay(caller.account_id(), webhook, delivery)
        .await?;
    Ok(StatusCode::ACCEPTED)
}

/// What is to be sent again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReplayRange {
    /// What happened at this moment or later.
    #[schema(format = DateTime, example = "2026-11-25T18:00:00Z")]
    since: String,
    /// What happened before this moment.
    #[schema(format = DateTime, example = "2026-11-25T19:00:00Z")]
    until: String,
    /// The `next` of the answer before.
    after: Option<String>,
}

/// What a replay came to.
#[derive(Serialize, ToSchema)]
struct Replayed {
    /// How many events are on their way.
    queued: u64,
    /// Give this as `after` to go on; null where the range is done.
    #[schema(required = true)]
    next: Option<String>,
}

/// Send the events of a time range again
///
/// All that the webhook would be told now of what happened then, also from before it was made, as far as the log reaches.
/// One request takes up to 1,000 events.
#[utoipa::path(
    post, path = "/webhooks/{id}/replay", tag = "webhooks", operation_id = "replayWebhook",
    params(("id" = String, Path, description = "The webhook")), request_body = ReplayRange,
    responses(
        (status = 202, description = "They are on their way", body = Replayed),
        (status = 409, description = "The webhook is paused, or much waits for it already", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is not accepted", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["account"]), ("session" = [])),
)]
async fn replay_range(
    State(parts): State<Parts>,
    caller: Caller,
    Named(webhook): Named<String>,
    Body(range): Body<ReplayRange>,
) -> ApiResult<(StatusCode, Json<Replayed>)> {
    caller.needs(Scope::Account)?;
    let given = |field: &str, text: &str| {
        moment(field, Some(text))?.ok_or_else(|| ApiError::invalid(field, "It is missing."))
    };
    let range_of = (given("since", &range.since)?, given("until", &range.until)?);
    let webhook = id(&webhook, "webhook")?;
    let replayed = parts
        .webhooks
        .replay_range(
            caller.account_id(),
            webhook,
            range_of,
            place(range.after.as_deref())?,
        )
        .await?;
    let answer = Replayed {
        queued: replayed.queued,
        next: replayed.next.map(|next| next.to_string()),
    };
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

/// Test a webhook
///
/// Sends a message of type `test` once, whatever types the webhook is told and even where it is paused. How that went is
/// read from the delivery.
#[utoipa::path(
    post, path = "/webhooks/{id}/test", tag = "webhooks", operation_id = "testWebhook",
    params(("id" = String, Path, description = "The webhook")),
    responses(
        (status = 202, description = "It is on its way", body = DeliveryView),
        (status = 404, description = "There is no such webhook", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "A test is on its way already", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["account"]), ("session" = [])),
)]
async fn test(
    State(parts): State<Parts>,
    caller: Caller,
    Named(webhook): Named<String>,
) -> ApiResult<(StatusCode, Json<DeliveryView>)> {
    caller.needs(Scope::Account)?;
    let webhook = id(&webhook, "webhook")?;
    let delivery = parts.webhooks.test(caller.account_id(), webhook).await?;
    Ok((StatusCode::ACCEPTED, Json((&delivery).into())))
}
