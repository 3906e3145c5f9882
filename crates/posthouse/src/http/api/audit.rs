//! The audit log: who changed what.

use accounts::{AuditFilter, AuditLine, Scope};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use store::Id;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, ApiResult};
use crate::http::json::{Params, cursor};
use crate::http::paging::{SearchPage, limit};

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new().routes(routes!(own)).routes(routes!(all))
}

/// A change.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditLine)]
struct LineView {
    id: String,
    #[schema(format = DateTime)]
    at: String,
    /// The account that was changed; null where it was the installation.
    #[schema(required = true)]
    account: Option<String>,
    /// The address of the login that did it. Empty where it was none, and where an operator of the service did it to an
    /// account that is not theirs.
    #[schema(example = "alice@example.com")]
    who: String,
    /// Whether it was an operator of the service, from outside of the account.
    operator: bool,
    /// By what: `session`, `api_key`, `login` (SMTP or a form with the password), `link`, `command line`, `setup`, `system`.
    #[schema(example = "session")]
    via: String,
    #[schema(required = true, example = "192.0.2.7")]
    ip: Option<String>,
    /// Which operator acted as the account.
    #[schema(required = true)]
    behind: Option<String>,
    #[schema(example = "key.created")]
    action: String,
    /// What it was done to.
    #[schema(example = "Web shop (ph_4fZk1q…)")]
    target: String,
    detail: String,
}

impl LineView {
    /// As an operator sees it.
    fn of(line: AuditLine) -> Self {
        Self {
            id: line.id.to_string(),
            at: line.at.rfc3339(),
            operator: line.behind.is_some() || (line.by_account.is_some() && line.by_account != line.account),
            account: line.account.map(|id| id.to_string()),
            who: line.actor,
            via: line.via,
            ip: line.ip,
            behind: line.behind,
            action: line.action,
            target: line.target,
            detail: line.detail,
        }
    }

    /// As its account sees it: that an operator did it, and not from where.
    fn to_its_account(line: AuditLine) -> Self {
        let mut view = Self::of(line);
        if view.operator {
            view.who.clear();
            view.ip = None;
            view.behind = None;
        }
        view
    }
}

/// Which changes.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct AuditParams {
    /// A part of the address of who did it.
    who: Option<String>,
    /// An action (`key.created`) or a group of them (`key`).
    what: Option<String>,
    /// 1 to 200, 50 without.
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// Read the account's audit log
///
/// Every change of the account, its users, keys, credentials and domains, newest first. Kept for a year.
#[utoipa::path(
    get, path = "/account/audit", tag = "audit", operation_id = "listOwnAudit", params(AuditParams),
    responses((status = 200, description = "A page of changes", body = SearchPage<LineView>)),
    security(("key" = ["account"]), ("session" = [])),
)]
async fn own(
    State(parts): State<Parts>,
    caller: Caller,
    Params(params): Params<AuditParams>,
) -> ApiResult<Json<SearchPage<LineView>>> {
    caller.needs(Scope::Account)?;
    let page = page(&parts, params, Some(caller.account_id())).await?;
    Ok(Json(page.map(LineView::to_its_account)))
}

/// Read the whole audit log
///
/// Changes of every account and of the installation, newest first.
#[utoipa::path(
    get, path = "/audit", tag = "audit", operation_id = "listAudit", params(AuditParams),
    responses((status = 200, description = "A page of changes", body = SearchPage<LineView>)),
    security(("key" = ["operator"]), ("session" = [])),
)]
async fn all(
    State(parts): State<Parts>,
    caller: Caller,
    Params(params): Params<AuditParams>,
) -> ApiResult<Json<SearchPage<LineView>>> {
    caller.needs(Scope::Operator)?;
    let page = page(&parts, params, None).await?;
    Ok(Json(page.map(LineView::of)))
}

async fn page(parts: &Parts, params: AuditParams, account: Option<Id>) -> ApiResult<SearchPage<AuditLine>> {
    let limit = limit(params.limit)?;
    let short = |text: Option<String>, field: &str| match text {
        Some(text) if text.len() > 254 => Err(ApiError::invalid(field, "That is too long.")),
        text => Ok(text
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty())),
    };
    let filter = AuditFilter {
        account,
        who: short(params.who, "who")?,
        what: short(params.what, "what")?,
        limit: limit + 1,
        after: cursor(params.after.as_deref())?,
    };
    let found = parts.accounts.audit(filter).await?;
    Ok(SearchPage::of(found, limit, |line| line.id))
}
