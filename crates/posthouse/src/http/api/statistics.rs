//! What became of the account's mail, counted by day.

use std::collections::BTreeMap;

use accounts::Scope;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use mail::time::Time;
use outbound::csv::row;
use outbound::statistics::{By, Counts, Item, KINDS, Range};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, ApiResult, Problem};
use crate::http::json::Params;

/// Days of one answer.
const MOST_DAYS: i64 = 366;
/// Days where nobody says how many.
const USUAL_DAYS: i64 = 30;

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new().routes(routes!(read)).routes(routes!(export))
}

/// What is told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = StatisticsBy)]
enum Dimension {
    #[default]
    Day,
    Stream,
    Domain,
    Provider,
}

impl From<Dimension> for By {
    fn from(dimension: Dimension) -> Self {
        match dimension {
            Dimension::Day => Self::Day,
            Dimension::Stream => Self::Stream,
            Dimension::Domain => Self::Domain,
            Dimension::Provider => Self::Provider,
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct AskStatistics {
    /// The first day, of UTC; 30 days ending with the last one where it is missing.
    #[param(format = Date, example = "2026-11-01")]
    from: Option<String>,
    /// The last day; today where it is missing.
    #[param(format = Date, example = "2026-11-30")]
    to: Option<String>,
    /// `day`: each day. `stream`: each stream over all days. `domain`: each domain that mail is from. `provider`: whoever runs the
    /// hosts that took or refused it, or the recipients' domain where none was reached.
    #[param(required = false, inline)]
    #[serde(default)]
    by: Dimension,
    /// Only mail of this stream; by day only.
    #[param(example = "transactional")]
    stream: Option<String>,
}

impl AskStatistics {
    fn days(&self, now: Time) -> ApiResult<Range> {
        let day = |text: &Option<String>, field: &str| {
            let Some(text) = text.as_deref().filter(|text| !text.is_empty()) else {
                return Ok(None);
            };
            let whole = text.len() == 10;
            let time = Time::parse_rfc3339(&format!("{text}T00:00:00Z")).filter(|_| whole);
            time.map(|time| Some(time.day()))
                .ok_or_else(|| ApiError::invalid(field, "Give a day like 2026-11-23."))
        };
        let to = day(&self.to, "to")?.unwrap_or(now.day());
        let from = day(&self.from, "from")?.unwrap_or(to - USUAL_DAYS + 1);
        if !(0..MOST_DAYS).contains(&(to - from)) {
            let said = format!("Ask for 1 to {MOST_DAYS} days, the first one first.");
            return Err(ApiError::invalid("from", said));
        }
        Ok(Range { from, to })
    }
}

/// What was counted of some days.
#[derive(Serialize, ToSchema)]
struct Statistics {
    /// Days are of UTC.
    #[schema(format = Date, example = "2026-11-01")]
    from: String,
    #[schema(format = Date, example = "2026-11-30")]
    to: String,
    by: Dimension,
    /// Every day in order; or every name, those with most first and last `*`: all but the 30 domains or providers with most.
    items: Vec<StatisticsItem>,
    total: StatisticsCounts,
}

/// One day or name.
#[derive(Serialize, ToSchema)]
struct StatisticsItem {
    /// The day, or the name of stream, domain or provider.
    #[schema(example = "2026-11-30")]
    name: String,
    #[serde(flatten)]
    counts: StatisticsCounts,
}

/// What was counted. A recipient is counted again for each thing that happens to it.
#[derive(Clone, Default, Serialize, ToSchema)]
struct StatisticsCounts {
    /// Recipients of accepted messages; not told apart by provider.
    accepted: u64,
    delivered: u64,
    /// Attempts that are repeated later.
    deferred: u64,
    bounced: u64,
    /// Bounces by their class.
    #[schema(example = json!({"unknown_mailbox": 2}))]
    bounces: BTreeMap<String, u64>,
    /// Given up after the days that delivery is tried.
    expired: u64,
    suppressed: u64,
    cancelled: u64,
    complained: u64,
    opened: u64,
    clicked: u64,
    unsubscribed: u64,
}

impl StatisticsCounts {
    fn add(&mut self, counts: &Counts) {
        let of = |kind: &str| counts.kinds.get(kind).copied().unwrap_or(0);
        self.accepted += of("accepted");
        self.delivered += of("delivered");
        self.deferred += of("deferred");
        self.bounced += of("bounced");
        self.expired += of("expired");
        self.suppressed += of("suppressed");
        self.cancelled += of("cancelled");
        self.complained += of("complained");
        self.opened += of("opened");
        self.clicked += of("clicked");
        self.unsubscribed += of("unsubscribed");
        for (class, many) in &counts.bounces {
            *self.bounces.entry(class.clone()).or_default() += many;
        }
    }
}

fn date(day: i64) -> String {
    Time::from_secs(day * 24 * 3600).rfc3339()[..10].to_owned()
}

/// Days with nothing in them are there as well, so that a chart needs no gaps filled.
fn items(by: Dimension, days: Range, counted: Vec<Item>) -> Vec<StatisticsItem> {
    let mut found: BTreeMap<i64, Item> = BTreeMap::new();
    let mut named = Vec::new();
    for item in counted {
        match (item.day, &item.name) {
            (Some(day), _) => drop(found.insert(day, item)),
            (None, Some(name)) => {
                let mut one = StatisticsItem {
                    name: name.clone(),
                    counts: StatisticsCounts::default(),
                };
                one.counts.add(&item.counts);
                named.push(one);
            }
            (None, None) => {}
        }
    }
    if by != Dimension::Day {
        return named;
    }
    (days.from..=days.to)
        .map(|day| {
            let mut one = StatisticsItem {
                name: date(day),
                counts: StatisticsCounts::default(),
            };
            if let Some(item) = found.get(&day) {
                one.counts.add(&item.counts);
            }
            one
        })
        .collect()
}

async fn ask(parts: &Parts, caller: &Caller, asked: &AskStatistics) -> ApiResult<Statistics> {
    caller.reads(Scope::Messages)?;
    let days = asked.days(parts.clock.now())?;
    let account = caller.account_id();
    let stream = asked.stream.clone().filter(|stream| !stream.is_empty());
    if stream.is_some() && asked.by != Dimension::Day {
        let said = "One stream is counted by day only.";
        return Err(ApiError::invalid("stream", said));
    }
    let counted = parts
        .outbound
        .statistics(account, asked.by.into(), stream, days)
        .await?;
    let mut total = StatisticsCounts::default();
    for item in &counted {
        total.add(&item.counts);
    }
    Ok(Statistics {
        from: date(days.from),
        to: date(days.to),
        by: asked.by,
        items: items(asked.by, days, counted),
        total,
    })
}

/// Read statistics
///
/// Counted a moment after things happen, and kept for 400 days, longer than the messages themselves. Delivery reports that the service
/// wrote to the account are not counted.
#[utoipa::path(
    get, path = "/statistics", tag = "statistics", operation_id = "getStatistics", params(AskStatistics),
    responses(
        (status = 200, description = "What was counted", body = Statistics),
        (status = 422, description = "The days are none, or too many", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["messages"]), ("key" = ["read"]), ("session" = [])),
)]
async fn read(
    State(parts): State<Parts>,
    caller: Caller,
    Params(asked): Params<AskStatistics>,
) -> ApiResult<Json<Statistics>> {
    Ok(Json(ask(&parts, &caller, &asked).await?))
}

/// Export statistics
///
/// The same as comma-separated values.
#[utoipa::path(
    get, path = "/statistics/export", tag = "statistics", operation_id = "exportStatistics", params(AskStatistics),
    responses((status = 200, description = "A line for each day or name", body = String, content_type = "text/csv")),
    security(("key" = ["messages"]), ("key" = ["read"]), ("session" = [])),
)]
async fn export(
    State(parts): State<Parts>,
    caller: Caller,
    Params(asked): Params<AskStatistics>,
) -> ApiResult<impl IntoResponse> {
    let answer = ask(&parts, &caller, &asked).await?;
    let heads: Vec<&str> = std::iter::once("name").chain(KINDS).collect();
    let mut sheet = row(&heads);
    for StatisticsItem { name, counts } in &answer.items {
        // In the order of the kinds.
        let numbers: [String; KINDS.len()] = [
            counts.accepted,
            counts.delivered,
            counts.deferred,
            counts.bounced,
            counts.expired,
            counts.suppressed,
            counts.cancelled,
            counts.complained,
            counts.opened,
            counts.clicked,
            counts.unsubscribed,
        ]
        .map(|number| number.to_string());
        let cells: Vec<&str> = std::iter::once(name.as_str())
            .chain(numbers.iter().map(String::as_str))
            .collect();
        sheet.push_str(&row(&cells));
    }
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"statistics.csv\"",
        ),
    ];
    Ok((headers, sheet))
}
