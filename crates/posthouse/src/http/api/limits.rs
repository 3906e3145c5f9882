//! How many recipients an account may write to a day: the operator sets it, its people see it.

use accounts::{DayView, OwnLimits, Scope};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiResult, Problem};
use crate::http::json::{Body, Named, id};

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new()
        .routes(routes!(own))
        .routes(routes!(read, set))
}

/// An account's day.
#[derive(Serialize, ToSchema)]
#[schema(as = DayLimits)]
struct DayLimitsView {
    /// The most recipients a day; null where there is no limit.
    #[schema(required = true, example = 1000)]
    recipients: Option<u32>,
    /// The most recipients a day that the account has never written to before; null where there is no limit.
    #[schema(required = true, example = 200)]
    first_time: Option<u32>,
    /// Used of the day, where there is a limit.
    recipients_used: u32,
    first_time_used: u32,
    /// When the next day begins: days are of UTC.
    #[schema(format = DateTime)]
    opens_at: String,
    /// What the operator gave this account in place of the configured limits.
    own: OwnLimitsView,
}

/// An account's own limits.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OwnLimits)]
struct OwnLimitsView {
    /// Null is as configured, 0 is no limit.
    #[schema(required = true)]
    recipients: Option<u32>,
    /// Null is as configured, 0 is no limit.
    #[schema(required = true)]
    first_time: Option<u32>,
}

impl From<DayView> for DayLimitsView {
    fn from(day: DayView) -> Self {
        Self {
            recipients: day.limits.recipients,
            first_time: day.limits.first_time,
            recipients_used: day.used.recipients,
            first_time_used: day.used.first_time,
            opens_at: day.opens_at.rfc3339(),
            own: OwnLimitsView {
                recipients: day.own.recipients,
                first_time: day.own.first_time,
            },
        }
    }
}

/// Read the account's limits
///
/// What is over a limit is refused for the day: SMTP answers 450, the API 429.
#[utoipa::path(
    get, path = "/account/limits", tag = "account", operation_id = "getLimits",
    responses((status = 200, description = "Limits, and what is used of the day", body = DayLimitsView)),
    security(("key" = ["account"]), ("key" = ["read"]), ("session" = [])),
)]
async fn own(State(parts): State<Parts>, caller: Caller) -> ApiResult<Json<DayLimitsView>> {
    caller.reads(Scope::Account)?;
    Ok(Json(parts.accounts.day(caller.account_id()).await?.into()))
}

/// Read an account's limits
#[utoipa::path(
    get, path = "/accounts/{id}/limits", tag = "accounts", operation_id = "getAccountLimits",
    params(("id" = String, Path, description = "The account")),
    responses(
        (status = 200, description = "Limits, and what is used of the day", body = DayLimitsView),
        (status = 404, description = "There is no such account", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["operator"]), ("session" = [])),
)]
async fn read(
    State(parts): State<Parts>,
    caller: Caller,
    Named(account): Named<String>,
) -> ApiResult<Json<DayLimitsView>> {
    caller.needs(Scope::Operator)?;
    Ok(Json(parts.accounts.day(id(&account, "account")?).await?.into()))
}

/// Give an account limits of its own
///
/// They count at once, for what is used of the day too.
#[utoipa::path(
    put, path = "/accounts/{id}/limits", tag = "accounts", operation_id = "setAccountLimits", request_body = OwnLimitsView,
    params(("id" = String, Path, description = "The account")),
    responses(
        (status = 200, description = "The limits now in force", body = DayLimitsView),
        (status = 404, description = "There is no such account", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["operator"]), ("session" = [])),
)]
async fn set(
    State(parts): State<Parts>,
    caller: Caller,
    Named(account): Named<String>,
    Body(limits): Body<OwnLimitsView>,
) -> ApiResult<Json<DayLimitsView>> {
    caller.needs(Scope::Operator)?;
    caller.needs_fresh()?;
    let account = id(&account, "account")?;
    let own = OwnLimits {
        recipients: limits.recipients,
        first_time: limits.first_time,
    };
    parts.accounts.limit_day(account, own, &caller.by()).await?;
    tracing::info!(%account, by = %caller.account_id(), "limits of an account set");
    Ok(Json(parts.accounts.day(account).await?.into()))
}
