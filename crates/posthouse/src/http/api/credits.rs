//! The ledger of an account, for its people and for the operator.

use accounts::Scope;
use accounts::credits::{Kind, LedgerEntry, Place};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use store::Id;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, ApiResult, Problem};
use crate::http::json::{Named, Params, id};
use crate::http::paging::{Page, limit};

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new()
        .routes(routes!(own))
        .routes(routes!(of_account))
}

/// An entry of a ledger: credits that came, or all that went on one day.
#[derive(Serialize, ToSchema)]
#[schema(as = LedgerEntry)]
struct EntryView {
    /// The day for use, an identifier for everything else.
    id: String,
    kind: EntryKind,
    /// The day in UTC. The use of a day stands behind what was granted on it.
    #[schema(example = "2026-11-25")]
    day: String,
    /// The moment; null for use.
    #[schema(required = true, format = DateTime)]
    at: Option<String>,
    /// Negative where credits went.
    #[schema(example = -120)]
    amount: i64,
    /// What was left behind this entry. Behind the newest it is what is left now.
    #[schema(example = 380)]
    balance: i64,
    /// What the operator wrote; empty for use and for the credits an account began with.
    reason: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = LedgerEntryKind)]
#[serde(rename_all = "snake_case")]
enum EntryKind {
    /// Recipients that were accepted on this day.
    Usage,
    /// What the account began with.
    Opening,
    Grant,
    /// Taken back by the operator.
    Correction,
    Voucher,
}

impl From<LedgerEntry> for EntryView {
    fn from(entry: LedgerEntry) -> Self {
        let (kind, at) = match entry.kind {
            Kind::Usage => (EntryKind::Usage, None),
            Kind::Opening => (EntryKind::Opening, Some(entry.at)),
            Kind::Grant => (EntryKind::Grant, Some(entry.at)),
            Kind::Correction => (EntryKind::Correction, Some(entry.at)),
            Kind::Voucher => (EntryKind::Voucher, Some(entry.at)),
        };
        Self {
            id: entry.place.to_string(),
            kind,
            day: entry.day(),
            at: at.map(mail::time::Time::rfc3339),
            amount: entry.amount,
            balance: entry.balance,
            reason: entry.reason,
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct LedgerParams {
    /// Items on a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// Read the ledger
///
/// The newest entry first. Grants stand one by one, use day by day; each entry says what was left behind it. An account
/// without limit is not counted.
#[utoipa::path(
    get, path = "/account/credits", tag = "credits", operation_id = "getLedger", params(LedgerParams),
    responses((status = 200, description = "A page of the ledger", body = Page<EntryView>)),
    security(("key" = ["account"]), ("key" = ["read"]), ("session" = [])),
)]
async fn own(
    State(parts): State<Parts>,
    caller: Caller,
    Params(params): Params<LedgerParams>,
) -> ApiResult<Json<Page<EntryView>>> {
    caller.reads(Scope::Account)?;
    page(&parts, caller.account_id(), params).await
}

/// Read the ledger of an account
#[utoipa::path(
    get, path = "/accounts/{id}/credits", tag = "credits", operation_id = "getLedgerOfAccount",
    params(("id" = String, Path, description = "The account"), LedgerParams),
    responses(
        (status = 200, description = "A page of the ledger", body = Page<EntryView>),
        (status = 404, description = "There is no such account", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["operator"]), ("session" = [])),
)]
async fn of_account(
    State(parts): State<Parts>,
    caller: Caller,
    Named(account): Named<String>,
    Params(params): Params<LedgerParams>,
) -> ApiResult<Json<Page<EntryView>>> {
    caller.needs(Scope::Operator)?;
    let account = parts.accounts.account(id(&account, "account")?).await?;
    page(&parts, account.id, params).await
}

async fn page(parts: &Parts, account: Id, params: LedgerParams) -> ApiResult<Json<Page<EntryView>>> {
    let limit = limit(params.limit)?;
    let after = params.after.as_deref().map(str::parse::<Place>).transpose();
    let after = after.map_err(|_| ApiError::invalid("after", "Give the `next` of the page before."))?;
    let entries = parts.accounts.ledger(account, after, limit + 1).await?;
    Ok(Json(
        Page::of(entries, limit, |entry| entry.place.to_string()).map(EntryView::from),
    ))
}
