//! How accounts stand with the guard: why one is paused, who decides, and what becomes of its held mail.

use accounts::{Cause, Decides, Scope, percent};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use outbound::history::Filter;
use serde::Serialize;
use store::Id;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::accounts::AccountStateName;
use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiResult, Problem};
use crate::http::json::{Named, id};

/// Held recipients are counted up to here.
const COUNTED: u32 = 100_000;

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new()
        .routes(routes!(own))
        .routes(routes!(resume))
        .routes(routes!(read))
        .routes(routes!(return_held))
        .routes(routes!(details))
}

/// How an account stands with the guard.
#[derive(Serialize, ToSchema)]
#[schema(as = Guard)]
struct GuardView {
    state: AccountStateName,
    /// The last recipients that reached their end, at most 1,000.
    recipients: u32,
    /// Of these, refused for good.
    bounced: u32,
    /// Complaints that came meanwhile.
    complained: u32,
    /// In per cent; above it the account is paused. Zero: never.
    #[schema(example = "8")]
    most_bounced: String,
    #[schema(example = "0.3")]
    most_complained: String,
    /// Why the guard paused the account, where it did.
    #[schema(required = true)]
    pause: Option<PauseView>,
    /// Recipients whose mail is held, counted up to 100,000.
    held: u64,
}

/// Why an account is paused.
#[derive(Serialize, ToSchema)]
#[schema(as = Pause)]
struct PauseView {
    cause: CauseName,
    /// So many failed or complained,
    failed: u32,
    /// of so many,
    of: u32,
    /// more than so many per cent.
    #[schema(example = "8")]
    most: String,
    #[schema(format = DateTime)]
    at: String,
    decides: DecidesName,
}

#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum CauseName {
    Bounces,
    Complaints,
}

/// Who lifts a pause.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum DecidesName {
    Operator,
    /// The account's own people, once a day, and the operator.
    Owner,
}

async fn view(parts: &Parts, account: Id) -> ApiResult<Json<GuardView>> {
    let standing = parts.accounts.guarded(account).await?;
    let decides = match standing.decides {
        Decides::Operator => DecidesName::Operator,
        Decides::Owner => DecidesName::Owner,
    };
    Ok(Json(GuardView {
        state: AccountStateName::of(&standing.state),
        recipients: standing.counted.recipients,
        bounced: standing.counted.bounced,
        complained: standing.counted.complained,
        most_bounced: percent(standing.thresholds.bounces.0),
        most_complained: percent(standing.thresholds.complaints.0),
        pause: standing.pause.map(|pause| PauseView {
            cause: match pause.cause {
                Cause::Bounces => CauseName::Bounces,
                Cause::Complaints => CauseName::Complaints,
            },
            failed: pause.failed,
            of: pause.of,
            most: percent(pause.most),
            at: pause.at().rfc3339(),
            decides,
        }),
        held: parts.outbound.held(account, COUNTED).await?,
    }))
}

/// Read how the account stands with the guard
#[utoipa::path(
    get, path = "/account/guard", tag = "account", operation_id = "getGuard",
    responses((status = 200, description = "What is counted, and why it is paused", body = GuardView)),
    security(("key" = ["account"]), ("session" = [])),
)]
async fn own(State(parts): State<Parts>, caller: Caller) -> ApiResult<Json<GuardView>> {
    caller.needs(Scope::Account)?;
    view(&parts, caller.account_id()).await
}

/// Lift the pause of one's own account
///
/// Where `guard.owner_resumes` allows it, once a day. Held mail goes on its way, and the guard counts anew.
#[utoipa::path(
    post, path = "/account/resume", tag = "account", operation_id = "resume",
    responses(
        (status = 204, description = "The account may send again"),
        (status = 403, description = "The operator decides", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is not paused", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "It was lifted a moment ago", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["account"]), ("session" = [])),
)]
async fn resume(State(parts): State<Parts>, caller: Caller) -> ApiResult<StatusCode> {
    caller.needs(Scope::Account)?;
    parts
        .accounts
        .resume_own(caller.account_id(), &caller.by())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Read how an account stands with the guard
#[utoipa::path(
    get, path = "/accounts/{id}/guard", tag = "accounts", operation_id = "getAccountGuard",
    params(("id" = String, Path, description = "The account")),
    responses(
        (status = 200, description = "What is counted, and why it is paused", body = GuardView),
        (status = 404, description = "There is no such account", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["operator"]), ("session" = [])),
)]
async fn read(
    State(parts): State<Parts>,
    caller: Caller,
    Named(account): Named<String>,
) -> ApiResult<Json<GuardView>> {
    caller.needs(Scope::Operator)?;
    view(&parts, id(&account, "account")?).await
}

/// What an operator sees of an account beside its state.
#[derive(Serialize, ToSchema)]
struct AccountDetails {
    /// How many people can sign in.
    logins: u64,
    /// When its last message was accepted; null where none is on record.
    #[schema(required = true, format = DateTime)]
    last_message_at: Option<String>,
    /// Its sending domains.
    domains: Vec<DomainOfAccount>,
}

/// A sending domain of an account.
#[derive(Serialize, ToSchema)]
struct DomainOfAccount {
    #[schema(example = "example.com")]
    name: String,
    verified: bool,
}

/// Read what an account consists of
#[utoipa::path(
    get, path = "/accounts/{id}/details", tag = "accounts", operation_id = "getAccountDetails",
    params(("id" = String, Path, description = "The account")),
    responses(
        (status = 200, description = "Logins, domains and last activity", body = AccountDetails),
        (status = 404, description = "There is no such account", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["operator"]), ("session" = [])),
)]
async fn details(
    State(parts): State<Parts>,
    caller: Caller,
    Named(account): Named<String>,
) -> ApiResult<Json<AccountDetails>> {
    caller.needs(Scope::Operator)?;
    let account = id(&account, "account")?;
    parts.accounts.account(account).await?;
    let last = Filter {
        account: Some(account),
        limit: 1,
        ..Filter::default()
    };
    let last = parts.outbound.messages(last).await?.items;
    let domains = parts.accounts.domains(account).await?;
    Ok(Json(AccountDetails {
        logins: parts.accounts.count_logins(account).await?,
        last_message_at: last.first().map(|message| message.created_at.rfc3339()),
        domains: domains
            .into_iter()
            .map(|domain| DomainOfAccount {
                name: domain.name.to_unicode().into_owned(),
                verified: domain.verified.is_some(),
            })
            .collect(),
    }))
}

/// What was returned.
#[derive(Serialize, ToSchema)]
struct Returned {
    /// Recipients that are given up; each sender gets a report.
    recipients: u64,
}

/// Return the held mail of an account
///
/// Each sender gets a report that it was not delivered. It cannot be undone.
#[utoipa::path(
    post, path = "/accounts/{id}/return", tag = "accounts", operation_id = "returnHeldMail",
    params(("id" = String, Path, description = "The account")),
    responses(
        (status = 200, description = "How much is returned", body = Returned),
        (status = 404, description = "There is no such account", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["operator"]), ("session" = [])),
)]
async fn return_held(
    State(parts): State<Parts>,
    caller: Caller,
    Named(account): Named<String>,
) -> ApiResult<Json<Returned>> {
    caller.needs(Scope::Operator)?;
    caller.needs_fresh()?;
    let account = id(&account, "account")?;
    parts.accounts.account(account).await?;
    let recipients = parts.outbound.return_held(account, &caller.by()).await?;
    tracing::info!(%account, recipients, by = %caller.account_id(), "held mail returned");
    Ok(Json(Returned { recipients }))
}
