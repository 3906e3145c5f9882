//! Who is locked out after failed sign-ins, for the operator to see and to lift.

use accounts::{Lockout, Scope};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiResult, Problem};
use crate::http::json::{Named, id};
use crate::http::paging::Page;

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(lift))
}

/// A lock that is in force.
#[derive(Serialize, ToSchema)]
#[schema(as = Lockout)]
struct LockoutView {
    id: String,
    /// The login address that is locked from this network; null where the network is locked for every login.
    #[schema(required = true, example = "alice@example.com")]
    login: Option<String>,
    /// Empty where wrong codes locked the second step of the login, from everywhere.
    #[schema(example = "192.0.2.7/32")]
    network: String,
    #[schema(format = DateTime)]
    until: String,
    /// Locks that followed each other, this one included; each is longer.
    locks: u32,
}

impl From<Lockout> for LockoutView {
    fn from(lockout: Lockout) -> Self {
        Self {
            id: lockout.id.to_string(),
            login: lockout.login,
            network: lockout.network,
            until: lockout.until.rfc3339(),
            locks: lockout.locks,
        }
    }
}

/// List the lockouts
///
/// At most 1,000, those that last longest first. Each ends by itself.
#[utoipa::path(
    get, path = "/lockouts", tag = "sign-in", operation_id = "listLockouts",
    responses((status = 200, description = "All locks in force", body = Page<LockoutView>)),
    security(("key" = ["operator"]), ("session" = [])),
)]
async fn list(State(parts): State<Parts>, caller: Caller) -> ApiResult<Json<Page<LockoutView>>> {
    caller.needs(Scope::Operator)?;
    let lockouts = parts.accounts.lockouts().await?;
    let items = lockouts.into_iter().map(LockoutView::from).collect();
    Ok(Json(Page { items, next: None }))
}

/// Lift a lockout
///
/// Its client may try again at once, on every node, and starts without failures. A wait after wrong codes of the second step is
/// lifted by a person only, not by a key.
#[utoipa::path(
    delete, path = "/lockouts/{id}", tag = "sign-in", operation_id = "liftLockout",
    params(("id" = String, Path, description = "The lockout")),
    responses(
        (status = 204, description = "Lifted"),
        (status = 404, description = "There is none, or it ended by itself", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["operator"]), ("session" = [])),
)]
async fn lift(
    State(parts): State<Parts>,
    caller: Caller,
    Named(lockout): Named<String>,
) -> ApiResult<StatusCode> {
    caller.needs(Scope::Operator)?;
    let lockout = id(&lockout, "lockout")?;
    // Those of wrong codes stand for the login wherever it is signed in from: a program that lifts them would try them all.
    let of_codes = |one: &accounts::Lockout| one.id == lockout && one.network.is_empty();
    if parts.accounts.lockouts().await?.iter().any(of_codes) {
        caller.in_person(Scope::Operator)?;
    }
    parts.accounts.lift_lockout(lockout, &caller.by()).await?;
    tracing::info!(%lockout, by = %caller.account_id(), "a lockout was lifted");
    Ok(StatusCode::NO_CONTENT)
}
