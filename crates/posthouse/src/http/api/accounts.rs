//! Accounts as their operator sees them.

use accounts::{Account, AccountFilter, AccountSort, AccountState, NewAccount, Scope};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use store::Id;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, ApiResult, Problem};
use crate::http::json::{Body, Named, Params, id};
use crate::http::paging::{Page, limit};

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(read))
        .routes(routes!(grant))
        .routes(routes!(suspend))
        .routes(routes!(resume))
}

/// Whether an account may send.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccountStateName {
    Active,
    /// By the operator.
    Suspended,
    /// By the guard: too many recipients bounced or complained.
    Paused,
}

impl AccountStateName {
    pub fn of(state: &AccountState) -> Self {
        match state {
            AccountState::Active => Self::Active,
            AccountState::Suspended(_) => Self::Suspended,
            AccountState::Paused(_) => Self::Paused,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Paused => "paused",
        }
    }
}

/// An account.
#[derive(Serialize, ToSchema)]
#[schema(as = Account)]
pub struct AccountView {
    id: String,
    #[schema(example = "alice@example.com")]
    name: String,
    state: AccountStateName,
    /// Why it is suspended or paused.
    #[schema(required = true)]
    state_reason: Option<String>,
    operator: bool,
    /// What is left; null where there is no limit.
    #[schema(required = true)]
    credits: Option<i64>,
    /// What there was behind the last grant. Mail warns at 20 % and at 5 % of it.
    credit_mark: i64,
    #[schema(format = DateTime)]
    created_at: String,
    /// It opened itself and has no verified sending domain yet: it sends to its own addresses only.
    sandbox: bool,
    /// ISO 3166-1, two letters; empty where nobody said.
    #[schema(example = "FR")]
    country: String,
    /// A name of the tz database; empty where nobody said.
    #[schema(example = "Europe/Paris")]
    time_zone: String,
}

impl From<Account> for AccountView {
    fn from(account: Account) -> Self {
        Self {
            id: account.id.to_string(),
            name: account.name,
            state: AccountStateName::of(&account.state),
            state_reason: account.state.reason().map(str::to_owned),
            operator: account.operator,
            credits: account.credits,
            credit_mark: account.credit_mark,
            created_at: account.created_at.rfc3339(),
            sandbox: account.sandbox,
            country: account.country,
            time_zone: account.time_zone,
        }
    }
}

/// The order of a list of accounts.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Sort {
    #[default]
    Newest,
    Oldest,
    Name,
    /// The fewest first.
    Credits,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListAccounts {
    /// A part of the name or of a login address.
    q: Option<String>,
    state: Option<AccountStateName>,
    #[param(required = false, inline)]
    #[serde(default)]
    sort: Sort,
    /// Items on a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// List the accounts
#[utoipa::path(
    get, path = "/accounts", tag = "accounts", operation_id = "listAccounts", params(ListAccounts),
    responses((status = 200, description = "A page of accounts", body = Page<AccountView>)),
    security(("key" = ["operator"]), ("session" = [])),
)]
async fn list(
    State(parts): State<Parts>,
    caller: Caller,
    Params(asked): Params<ListAccounts>,
) -> ApiResult<Json<Page<AccountView>>> {
    caller.needs(Scope::Operator)?;
    let limit = limit(asked.limit)?;
    let filter = AccountFilter {
        q: asked.q.filter(|q| !q.trim().is_empty()),
        state: asked.state.map(|state| state.as_str().to_owned()),
        sort: match asked.sort {
            Sort::Newest => AccountSort::Newest,
            Sort::Oldest => AccountSort::Oldest,
            Sort::Name => AccountSort::Name,
            Sort::Credits => AccountSort::FewestCredits,
        },
        limit: limit + 1,
        after: crate::http::json::cursor(asked.after.as_deref())?,
    };
    let accounts = parts.accounts.list(filter).await?;
    Ok(Json(
        Page::of(accounts, limit, |account| account.id.to_string()).map(AccountView::from),
    ))
}

/// An account to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateAccount {
    /// The address of its login, which is also the SMTP username. It counts as confirmed.
    #[schema(example = "alice@example.com")]
    email: String,
    /// At least 10 characters and hard to guess; also the SMTP password.
    #[schema(format = Password)]
    password: String,
    /// Whether it may do what only operators do. An owner of an operator's account decides that, in person.
    #[serde(default)]
    #[schema(required = false)]
    operator: bool,
    /// Without a number: no limit for an operator, the installation's free credits for everybody else.
    #[schema(minimum = 0)]
    credits: Option<i64>,
}

/// Create an account
#[utoipa::path(
    post, path = "/accounts", tag = "accounts", operation_id = "createAccount", request_body = CreateAccount,
    responses(
        (status = 201, description = "Created", body = AccountView),
        (status = 403, description = "Only an owner of an operator's account makes another operator, and no key does", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The address has an account already", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The address or the password is not accepted", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["operator"]), ("session" = [])),
)]
async fn create(
    State(parts): State<Parts>,
    caller: Caller,
    Body(new): Body<CreateAccount>,
) -> ApiResult<(StatusCode, Json<AccountView>)> {
    caller.needs(Scope::Operator)?;
    caller.needs_fresh()?;
    if new.operator && !caller.is_operating_owner() {
        return Err(ApiError::Forbidden(
            "Only an owner of an operator's account makes another operator, and no key does.".to_owned(),
        ));
    }
    let new = NewAccount {
        email: new.email,
        password: new.password,
        operator: new.operator,
        credits: new.credits,
    };
    let account = parts.accounts.create(new, &caller.by()).await?;
    tracing::info!(account = %account.id, by = %caller.account_id(), "account created");
    Ok((StatusCode::CREATED, Json(account.into())))
}

/// Read one account
#[utoipa::path(
    get, path = "/accounts/{id}", tag = "accounts", operation_id = "getAccountById",
    params(("id" = String, Path, description = "The account")),
    responses(
        (status = 200, description = "The account", body = AccountView),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["operator"]), ("session" = [])),
)]
async fn read(
    State(parts): State<Parts>,
    caller: Caller,
    Named(account): Named<String>,
) -> ApiResult<Json<AccountView>> {
    caller.needs(Scope::Operator)?;
    answer(&parts, id(&account, "account")?).await
}

/// Credits to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GrantCredits {
    /// A negative amount takes credits back; the balance never falls below 0.
    #[schema(example = 10_000)]
    amount: i64,
    /// Stands in the account's ledger, where its people read it: one line of at most 200 characters.
    #[schema(example = "Pack of 10,000, invoice 4711")]
    reason: String,
}

/// Grant credits
#[utoipa::path(
    post, path = "/accounts/{id}/credits", tag = "accounts", operation_id = "grantCredits", request_body = GrantCredits,
    params(("id" = String, Path, description = "The account")),
    responses(
        (status = 200, description = "The account with its new balance", body = AccountView),
        (status = 409, description = "The account has no limit", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The amount is not possible, or there is no reason", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["operator"]), ("session" = [])),
)]
async fn grant(
    State(parts): State<Parts>,
    caller: Caller,
    Named(account): Named<String>,
    Body(credits): Body<GrantCredits>,
) -> ApiResult<Json<AccountView>> {
    caller.needs(Scope::Operator)?;
    caller.needs_fresh()?;
    let account = id(&account, "account")?;
    parts
        .accounts
        .grant(account, credits.amount, &credits.reason, &caller.by())
        .await?;
    tracing::info!(%account, by = %caller.account_id(), amount = credits.amount, "credits granted");
    answer(&parts, account).await
}

/// Why an account is suspended.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Suspend {
    /// Shown to the account's people.
    #[schema(example = "Too many bounces; write to us.")]
    reason: String,
    /// Whether its mail that waits is held until it is resumed, instead of being delivered.
    #[serde(default)]
    #[schema(required = false)]
    hold: bool,
}

/// Suspend an account
///
/// It can still sign in and read, but nothing is accepted from it until it is resumed. What is queued is delivered, unless it is
/// to be held. Its owners are written to, with the reason.
#[utoipa::path(
    post, path = "/accounts/{id}/suspend", tag = "accounts", operation_id = "suspendAccount", request_body = Suspend,
    params(("id" = String, Path, description = "The account")),
    responses(
        (status = 200, description = "Suspended", body = AccountView),
        (status = 409, description = "It is your own", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["operator"]), ("session" = [])),
)]
async fn suspend(
    State(parts): State<Parts>,
    caller: Caller,
    Named(account): Named<String>,
    Body(suspend): Body<Suspend>,
) -> ApiResult<Json<AccountView>> {
    caller.needs(Scope::Operator)?;
    caller.needs_fresh()?;
    let account = id(&account, "account")?;
    if suspend.reason.trim().is_empty() || suspend.reason.chars().any(char::is_control) {
        return Err(ApiError::invalid(
            "reason",
            "Say why, in one line; the account's people read it.",
        ));
    }
    if account == caller.account_id() {
        return Err(ApiError::Conflict(
            "You cannot suspend your own account.".to_owned(),
        ));
    }
    let (reason, by) = (&suspend.reason, &caller.by());
    if suspend.hold {
        parts.accounts.suspend_and_hold(account, reason, by).await?;
    } else {
        parts.accounts.suspend(account, reason, by).await?;
    }
    tracing::info!(%account, by = %caller.account_id(), "account suspended");
    answer(&parts, account).await
}

/// Resume a suspended or paused account
///
/// What is held of it goes on its way, and the guard counts anew. Its owners are written to.
#[utoipa::path(
    post, path = "/accounts/{id}/resume", tag = "accounts", operation_id = "resumeAccount",
    params(("id" = String, Path, description = "The account")),
    responses((status = 200, description = "Active", body = AccountView)),
    security(("key" = ["operator"]), ("session" = [])),
)]
async fn resume(
    State(parts): State<Parts>,
    caller: Caller,
    Named(account): Named<String>,
) -> ApiResult<Json<AccountView>> {
    caller.needs(Scope::Operator)?;
    caller.needs_fresh()?;
    let account = id(&account, "account")?;
    parts.accounts.resume(account, &caller.by()).await?;
    tracing::info!(%account, by = %caller.account_id(), "account resumed");
    answer(&parts, account).await
}

async fn answer(parts: &Parts, account: Id) -> ApiResult<Json<AccountView>> {
    Ok(Json(parts.accounts.account(account).await?.into()))
}
