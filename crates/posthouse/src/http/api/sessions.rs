//! One's own web sessions: where one is signed in, and ending that.

use accounts::OwnSession;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::Parts;
use crate::http::agent::named;
use crate::http::auth::Caller;
use crate::http::error::{ApiResult, Problem};
use crate::http::json::{Named, id};
use crate::http::paging::Page;

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new()
        .routes(routes!(list, end_others))
        .routes(routes!(end))
}

/// A browser in which somebody is signed in.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
struct SessionView {
    id: String,
    /// Empty where it does not say.
    #[schema(example = "Firefox")]
    browser: String,
    /// What it runs on, where it says so.
    #[schema(required = true, example = "Windows")]
    system: Option<&'static str>,
    /// Where it signed in from.
    #[schema(example = "192.0.2.7")]
    ip: String,
    /// It is the one that asks.
    current: bool,
    #[schema(format = DateTime)]
    created_at: String,
    /// To the minute.
    #[schema(format = DateTime)]
    used_at: String,
}

impl From<OwnSession> for SessionView {
    fn from(session: OwnSession) -> Self {
        let agent = named(&session.origin.agent);
        Self {
            id: session.id.to_string(),
            browser: agent.name,
            system: agent.system,
            ip: session.origin.ip,
            current: session.current,
            created_at: session.created_at.rfc3339(),
            used_at: session.seen_at.rfc3339(),
        }
    }
}

/// List your sessions
#[utoipa::path(
    get, path = "/sessions", tag = "session", operation_id = "listSessions",
    responses((status = 200, description = "Every browser in which this login is signed in, the last used first", body = Page<SessionView>)),
    security(("session" = [])),
)]
async fn list(State(parts): State<Parts>, caller: Caller) -> ApiResult<Json<Page<SessionView>>> {
    let (login, token) = caller.person()?;
    let own = parts.accounts.own_sessions(login, token).await?;
    let items = own.into_iter().map(SessionView::from).collect();
    Ok(Json(Page { items, next: None }))
}

/// End your other sessions
///
/// Every browser but this one is signed out at once.
#[utoipa::path(
    delete, path = "/sessions", tag = "session", operation_id = "endOtherSessions",
    responses((status = 204, description = "Ended")),
    security(("session" = [])),
)]
async fn end_others(State(parts): State<Parts>, caller: Caller) -> ApiResult<StatusCode> {
    let (login, token) = caller.person()?;
    let ended = parts.accounts.end_other_sessions(login, token).await?;
    tracing::info!(%login, ended, "web sessions ended by their owner");
    Ok(StatusCode::NO_CONTENT)
}

/// End a session
#[utoipa::path(
    delete, path = "/sessions/{id}", tag = "session", operation_id = "endSession",
    params(("id" = String, Path, description = "The session")),
    responses(
        (status = 204, description = "Signed out there"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = [])),
)]
async fn end(
    State(parts): State<Parts>,
    caller: Caller,
    Named(session): Named<String>,
) -> ApiResult<StatusCode> {
    let (login, _) = caller.person()?;
    let session = id(&session, "session")?;
    parts.accounts.end_session(login, session).await?;
    tracing::info!(%login, "a web session ended by its owner");
    Ok(StatusCode::NO_CONTENT)
}
