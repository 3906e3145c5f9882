//! Figures of opens and clicks.

use std::time::Duration;

use accounts::Scope;
use axum::Json;
use axum::extract::State;
use outbound::tracking::{self, Count, Counts, Figures, Range};
use serde::{Deserialize, Serialize};
use store::Tx;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::events::moment;
use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, ApiResult, Problem};
use crate::http::json::Params;

/// What is shown where nobody says since when.
const STANDARD: Duration = Duration::from_hours(30 * 24);
/// The longest time that is told by hours, and by days.
const MOST_HOURS: Duration = Duration::from_hours(31 * 24);
const MOST_DAYS: Duration = Duration::from_hours(400 * 24);

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new().routes(routes!(read))
}

/// Opens and clicks that were counted. What machines did stands beside it and is in no other figure.
#[derive(Serialize, ToSchema)]
#[schema(as = TrackingCount)]
struct CountView {
    /// Each time.
    opens: u64,
    /// Recipients who opened for the first time.
    openers: u64,
    machine_opens: u64,
    clicks: u64,
    /// Recipients who followed a link for the first time.
    clickers: u64,
    machine_clicks: u64,
}

impl From<Count> for CountView {
    fn from(count: Count) -> Self {
        Self {
            opens: count.opens,
            openers: count.openers,
            machine_opens: count.machine_opens,
            clicks: count.clicks,
            clickers: count.clickers,
            machine_clicks: count.machine_clicks,
        }
    }
}

/// An hour or a day (UTC).
#[derive(Serialize, ToSchema)]
struct TrackingPoint {
    /// Its beginning.
    #[schema(format = DateTime)]
    at: String,
    #[serde(flatten)]
    count: CountView,
}

/// A program that people read with, or a country that they read in.
#[derive(Serialize, ToSchema)]
struct TrackingName {
    #[schema(example = "gmail")]
    name: String,
    #[serde(flatten)]
    count: CountView,
}

/// Opens and clicks of a time.
#[derive(Serialize, ToSchema)]
#[schema(as = TrackingFigures)]
struct FiguresView {
    total: CountView,
    /// Hours or days with something in them, in order.
    points: Vec<TrackingPoint>,
    /// What people read with, by whole days.
    clients: Vec<TrackingName>,
    /// Codes of countries, by whole days; empty where the operator gives no database of addresses.
    countries: Vec<TrackingName>,
}

impl From<Figures> for FiguresView {
    fn from(figures: Figures) -> Self {
        let named = |counts: Counts| {
            let view = |(name, count): (String, Count)| TrackingName {
                name,
                count: count.into(),
            };
            counts.into_iter().map(view).collect()
        };
        Self {
            total: figures.total.into(),
            points: figures
                .points
                .into_iter()
                .map(|(at, count)| TrackingPoint {
                    at: at.rfc3339(),
                    count: count.into(),
                })
                .collect(),
            clients: named(figures.clients),
            countries: named(figures.countries),
        }
    }
}

/// How fine the figures are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum By {
    #[default]
    Day,
    Hour,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct AskedFigures {
    /// Only mail of this stream.
    stream: Option<String>,
    /// The beginning; 30 days before the end where it is not given.
    #[param(format = DateTime)]
    since: Option<String>,
    /// The end; now where it is not given.
    #[param(format = DateTime)]
    until: Option<String>,
    /// `day` (unless said otherwise), up to 400 of them, or `hour`, up to 31 days.
    #[param(inline)]
    by: Option<By>,
}

/// Read figures of opens and clicks
///
/// Each is counted in the hour in which it happened, whenever its message was sent. Counters are kept for 400 days.
#[utoipa::path(
    get, path = "/tracking", tag = "messages", operation_id = "getTracking", params(AskedFigures),
    responses(
        (status = 200, description = "The figures", body = FiguresView),
        (status = 422, description = "A field is not accepted", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["messages"]), ("key" = ["read"]), ("session" = [])),
)]
async fn read(
    State(parts): State<Parts>,
    caller: Caller,
    Params(asked): Params<AskedFigures>,
) -> ApiResult<Json<FiguresView>> {
    caller.reads(Scope::Messages)?;
    let until = moment("until", asked.until.as_deref())?.unwrap_or_else(|| parts.clock.now());
    let since = moment("since", asked.since.as_deref())?.unwrap_or_else(|| until.minus(STANDARD));
    let by_day = asked.by.unwrap_or_default() == By::Day;
    let most = if by_day { MOST_DAYS } else { MOST_HOURS };
    if since > until || until.since(since) > most {
        let days = most.as_secs() / 86_400;
        return Err(ApiError::invalid(
            "since",
            format!("Give a moment before the end, and at most {days} days before it."),
        ));
    }
    let range = Range {
        account: caller.account_id(),
        stream: asked.stream,
        since,
        until,
        by_day,
    };
    let read = move |tx: &mut Tx<'_>| tracking::figures(tx, &range);
    let figures = parts.db.read("read figures of opens and clicks", read).await?;
    Ok(Json(figures.into()))
}
