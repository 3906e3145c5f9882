//! What waits for delivery, lane by lane.

use accounts::Scope;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use outbound::model::LaneKey;
use outbound::schedule::LaneView;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, ApiResult};
use crate::http::json::Body;

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new()
        .routes(routes!(read))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(retry))
}

/// What waits.
#[derive(Serialize, ToSchema)]
struct Queue {
    /// The fullest first.
    lanes: Vec<Lane>,
    /// Recipients waiting for their first attempt.
    waiting: u64,
    /// Recipients waiting for another attempt.
    deferred: u64,
    /// Recipients being delivered at this moment.
    in_flight: u64,
}

/// Everything that goes to the same mail servers.
#[derive(Serialize, ToSchema)]
struct Lane {
    #[serde(rename = "lane")]
    #[schema(example = "mx:mx1.example.net,mx2.example.net")]
    key: String,
    /// Some of the domains it serves.
    domains: Vec<String>,
    /// Recipients waiting.
    waiting: u64,
    connections: usize,
    /// Since when the oldest of them waits.
    #[schema(required = true, format = DateTime)]
    oldest_at: Option<String>,
    /// Recipients delivered in the last minute.
    rate_per_minute: u64,
    #[schema(required = true, example = "451 4.7.1 Try again later")]
    last_reply: Option<String>,
    #[schema(required = true, format = DateTime)]
    last_reply_at: Option<String>,
    paused: bool,
    /// When a lane in trouble is tried again.
    #[schema(required = true, format = DateTime)]
    next_try_at: Option<String>,
}

impl From<LaneView> for Lane {
    fn from(view: LaneView) -> Self {
        let time = |time: Option<mail::time::Time>| time.map(mail::time::Time::rfc3339);
        Self {
            key: view.lane.as_str().to_owned(),
            domains: view.domains,
            waiting: view.waiting,
            connections: view.connections,
            oldest_at: time(view.oldest_at),
            rate_per_minute: view.rate_per_minute,
            last_reply: view.last_reply,
            last_reply_at: time(view.last_reply_at),
            paused: view.paused,
            next_try_at: time(view.next_try_at),
        }
    }
}

/// Read the queue
#[utoipa::path(
    get, path = "/queue", tag = "queue", operation_id = "getQueue",
    responses((status = 200, description = "What waits", body = Queue)),
    security(("key" = ["operator"]), ("session" = [])),
)]
async fn read(State(parts): State<Parts>, caller: Caller) -> ApiResult<Json<Queue>> {
    caller.needs(Scope::Operator)?;
    let lanes = parts.outbound.lanes();
    let depth = parts.outbound.depth();
    Ok(Json(Queue {
        in_flight: lanes.iter().map(|lane| lane.in_flight).sum(),
        lanes: lanes.into_iter().map(Lane::from).collect(),
        waiting: depth.queued,
        deferred: depth.deferred,
    }))
}

/// The lane that is meant.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WhichLane {
    /// As `GET /queue` names it.
    #[schema(example = "mx:mx1.example.net,mx2.example.net")]
    lane: String,
}

impl WhichLane {
    fn key(&self) -> ApiResult<LaneKey> {
        if self.lane.is_empty() || self.lane.len() > 2_000 || self.lane.chars().any(char::is_control) {
            return Err(ApiError::invalid("lane", "Give a lane as `GET /queue` names it."));
        }
        Ok(LaneKey::new(&self.lane))
    }
}

/// Pause a lane
///
/// What is being delivered is finished; the rest waits until the lane is resumed, on every node and beyond restarts.
/// Its mail still expires.
#[utoipa::path(
    post, path = "/queue/pause", tag = "queue", operation_id = "pauseLane", request_body = WhichLane,
    responses((status = 204, description = "Paused")),
    security(("key" = ["operator"]), ("session" = [])),
)]
async fn pause(
    State(parts): State<Parts>,
    caller: Caller,
    Body(which): Body<WhichLane>,
) -> ApiResult<StatusCode> {
    caller.needs(Scope::Operator)?;
    let lane = which.key()?;
    parts.outbound.pause_lane(lane, &caller.by()).await?;
    tracing::info!(lane = which.lane, by = %caller.account_id(), "lane paused");
    Ok(StatusCode::NO_CONTENT)
}

/// Resume a paused lane
#[utoipa::path(
    post, path = "/queue/resume", tag = "queue", operation_id = "resumeLane", request_body = WhichLane,
    responses((status = 204, description = "Resumed")),
    security(("key" = ["operator"]), ("session" = [])),
)]
async fn resume(
    State(parts): State<Parts>,
    caller: Caller,
    Body(which): Body<WhichLane>,
) -> ApiResult<StatusCode> {
    caller.needs(Scope::Operator)?;
    if !parts.outbound.resume_lane(which.key()?, &caller.by()).await? {
        return Err(ApiError::Conflict("The lane is not paused.".to_owned()));
    }
    tracing::info!(lane = which.lane, by = %caller.account_id(), "lane resumed");
    Ok(StatusCode::NO_CONTENT)
}

/// Try a lane now
///
/// Forgets its trouble and makes everything due that waits for it.
#[utoipa::path(
    post, path = "/queue/retry", tag = "queue", operation_id = "retryLane", request_body = WhichLane,
    responses((status = 204, description = "On its way")),
    security(("key" = ["operator"]), ("session" = [])),
)]
async fn retry(
    State(parts): State<Parts>,
    caller: Caller,
    Body(which): Body<WhichLane>,
) -> ApiResult<StatusCode> {
    caller.needs(Scope::Operator)?;
    parts.outbound.retry_lane(&which.key()?, &caller.by()).await?;
    tracing::info!(lane = which.lane, by = %caller.account_id(), "lane asked to try now");
    Ok(StatusCode::NO_CONTENT)
}
