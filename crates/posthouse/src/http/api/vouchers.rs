//! Vouchers: made by the operator, redeemed by accounts.

use accounts::Scope;
use accounts::credits::{Batch, NewBatch};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use mail::time::Time;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, ApiResult, Problem};
use crate::http::json::{Body, Named, Params, cursor, id};
use crate::http::paging::{Page, limit};
use crate::http::peer::Client;

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(revoke))
        .routes(routes!(redeem))
}

/// Codes that were made together.
#[derive(Serialize, ToSchema)]
#[schema(as = VoucherBatch)]
struct BatchView {
    id: String,
    /// Stands in the ledger of whoever redeems a code.
    #[schema(example = "Spring fair")]
    reason: String,
    /// Credits for each use.
    #[schema(example = 500)]
    amount: i64,
    /// How many codes.
    codes: u32,
    /// How many accounts may redeem each of them.
    uses: u32,
    /// How often codes of this batch were redeemed.
    used: i64,
    #[schema(format = DateTime)]
    created_at: String,
    /// Null where they hold for good.
    #[schema(required = true, format = DateTime)]
    expires_at: Option<String>,
    #[schema(required = true, format = DateTime)]
    revoked_at: Option<String>,
}

impl From<Batch> for BatchView {
    fn from(batch: Batch) -> Self {
        Self {
            id: batch.id.to_string(),
            reason: batch.reason,
            amount: batch.amount,
            codes: batch.codes,
            uses: batch.uses,
            used: batch.used,
            created_at: batch.created_at.rfc3339(),
            expires_at: batch.expires_at.map(Time::rfc3339),
            revoked_at: batch.revoked_at.map(Time::rfc3339),
        }
    }
}

/// Codes that were just made.
#[derive(Serialize, ToSchema)]
struct NewVouchers {
    batch: BatchView,
    /// This is the only time they are told.
    #[schema(example = json!(["7K3M-Q9XA-2BCD-EF4G"]))]
    codes: Vec<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListVouchers {
    /// Items on a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// List the vouchers
///
/// Batch by batch, the newest first. The codes themselves are known to nobody any more.
#[utoipa::path(
    get, path = "/vouchers", tag = "credits", operation_id = "listVouchers", params(ListVouchers),
    responses((status = 200, description = "A page of batches", body = Page<BatchView>)),
    security(("key" = ["operator"]), ("session" = [])),
)]
async fn list(
    State(parts): State<Parts>,
    caller: Caller,
    Params(asked): Params<ListVouchers>,
) -> ApiResult<Json<Page<BatchView>>> {
    caller.needs(Scope::Operator)?;
    let limit = limit(asked.limit)?;
    let batches = parts
        .accounts
        .vouchers(cursor(asked.after.as_deref())?, limit + 1)
        .await?;
    let page = Page::of(batches, limit, |batch| batch.id.to_string());
    Ok(Json(page.map(BatchView::from)))
}

/// Vouchers to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateVouchers {
    /// One line of at most 200 characters.
    #[schema(example = "Spring fair")]
    reason: String,
    /// Credits for each use.
    #[schema(minimum = 1, example = 500)]
    amount: i64,
    /// How many codes.
    #[serde(default = "one")]
    #[schema(required = false, minimum = 1, maximum = 1000, default = 1)]
    codes: u32,
    /// How many accounts may redeem each code; one account never does twice.
    #[serde(default = "one")]
    #[schema(required = false, minimum = 1, maximum = 1_000_000, default = 1)]
    uses: u32,
    /// When they stop; without it they hold for good.
    #[schema(format = DateTime, example = "2027-01-01T00:00:00Z")]
    expires_at: Option<String>,
}

const fn one() -> u32 {
    1
}

/// Make vouchers
///
/// The answer holds the codes; only their hashes are kept.
#[utoipa::path(
    post, path = "/vouchers", tag = "credits", operation_id = "createVouchers", request_body = CreateVouchers,
    responses(
        (status = 201, description = "Made", body = NewVouchers),
        (status = 409, description = "There are too many batches", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A number is out of its bounds, or the end is past", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["operator"]), ("session" = [])),
)]
async fn create(
    State(parts): State<Parts>,
    caller: Caller,
    Body(new): Body<CreateVouchers>,
) -> ApiResult<(StatusCode, Json<NewVouchers>)> {
    caller.needs(Scope::Operator)?;
    caller.needs_fresh()?;
    let moment = |text: String| {
        Time::parse_rfc3339(&text)
            .ok_or_else(|| ApiError::invalid("expires_at", "Give a moment such as 2027-01-01T00:00:00Z."))
    };
    let new = NewBatch {
        reason: new.reason,
        amount: new.amount,
        codes: new.codes,
        uses: new.uses,
        expires_at: new.expires_at.map(moment).transpose()?,
    };
    let (batch, codes) = parts.accounts.create_vouchers(new, &caller.by()).await?;
    tracing::info!(batch = %batch.id, by = %caller.account_id(), codes = batch.codes, amount = batch.amount, "vouchers made");
    let batch = batch.into();
    Ok((StatusCode::CREATED, Json(NewVouchers { batch, codes })))
}

/// Revoke vouchers
///
/// All codes of the batch. Credits that were redeemed stay.
#[utoipa::path(
    delete, path = "/vouchers/{id}", tag = "credits", operation_id = "revokeVouchers",
    params(("id" = String, Path, description = "The batch")),
    responses(
        (status = 204, description = "Revoked"),
        (status = 404, description = "There is no such batch, or it is revoked already", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["operator"]), ("session" = [])),
)]
async fn revoke(
    State(parts): State<Parts>,
    caller: Caller,
    Named(batch): Named<String>,
) -> ApiResult<StatusCode> {
    caller.needs(Scope::Operator)?;
    let batch = id(&batch, "batch of vouchers")?;
    parts.accounts.revoke_vouchers(batch, &caller.by()).await?;
    tracing::info!(%batch, by = %caller.account_id(), "vouchers revoked");
    Ok(StatusCode::NO_CONTENT)
}

/// A code to be redeemed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RedeemVoucher {
    /// Small letters, blanks and missing hyphens do not matter.
    #[schema(example = "7K3M-Q9XA-2BCD-EF4G")]
    code: String,
}

/// What it brought.
#[derive(Serialize, ToSchema)]
struct Redeemed {
    #[schema(example = 500)]
    amount: i64,
    /// What there is now.
    #[schema(example = 880)]
    credits: i64,
}

/// Redeem a voucher
///
/// An account may try 20 codes an hour. A code that was never made, is used up, too old or revoked is refused in the same
/// words.
#[utoipa::path(
    post, path = "/account/credits/redeem", tag = "credits", operation_id = "redeemVoucher", request_body = RedeemVoucher,
    responses(
        (status = 200, description = "The credits are there", body = Redeemed),
        (status = 409, description = "This account redeemed the code before, or has no limit", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The code brings nothing", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many tries; `Retry-After` says how long to wait", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["account"]), ("session" = [])),
)]
async fn redeem(
    State(parts): State<Parts>,
    caller: Caller,
    client: Client,
    Body(voucher): Body<RedeemVoucher>,
) -> ApiResult<Json<Redeemed>> {
    caller.needs(Scope::Account)?;
    let account = caller.account_id();
    let redeemed = parts
        .accounts
        .redeem(account, &voucher.code, client.ip, &caller.by())
        .await?;
    tracing::info!(%account, amount = redeemed.amount, "a voucher was redeemed");
    Ok(Json(Redeemed {
        amount: redeemed.amount,
        credits: redeemed.balance,
    }))
}
