//! Announcements: written by the operator, shown on top of the console until somebody puts them away.

use accounts::announcements::{Announcement, NewAnnouncement, Severity};
use accounts::{AccountsError, Scope};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use mail::time::Time;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, ApiResult, Problem};
use crate::http::json::{Body, Named, id};

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new()
        .routes(routes!(own))
        .routes(routes!(put_away))
        .routes(routes!(list, create))
        .routes(routes!(remove))
}

/// How much it matters.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = AnnouncementSeverity)]
#[serde(rename_all = "snake_case")]
enum SeverityName {
    Info,
    Warning,
    Problem,
}

/// An announcement, as it is shown.
#[derive(Serialize, ToSchema)]
struct OwnAnnouncement {
    id: String,
    /// Plain text.
    text: String,
    severity: SeverityName,
}

/// An announcement, as its author sees it.
#[derive(Serialize, ToSchema)]
#[schema(as = Announcement)]
struct AnnouncementView {
    id: String,
    /// Plain text.
    #[schema(
        example = "On Sunday from 06:00 to 07:00 UTC we move to another machine. Mail waits that long."
    )]
    text: String,
    severity: SeverityName,
    #[schema(format = DateTime)]
    from: String,
    /// Null where it is shown until it is removed.
    #[schema(required = true, format = DateTime)]
    until: Option<String>,
    /// The account whose people see it; null for everybody.
    #[schema(required = true)]
    account: Option<String>,
    /// The name of that account.
    #[schema(required = true)]
    account_name: Option<String>,
    /// It stands on the first page of the site as well.
    public: bool,
}

impl From<Severity> for SeverityName {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Info => Self::Info,
            Severity::Warning => Self::Warning,
            Severity::Problem => Self::Problem,
        }
    }
}

impl From<SeverityName> for Severity {
    fn from(name: SeverityName) -> Self {
        match name {
            SeverityName::Info => Self::Info,
            SeverityName::Warning => Self::Warning,
            SeverityName::Problem => Self::Problem,
        }
    }
}

impl From<Announcement> for AnnouncementView {
    fn from(one: Announcement) -> Self {
        Self {
            id: one.id.to_string(),
            text: one.text,
            severity: one.severity.into(),
            from: one.from.rfc3339(),
            until: one.until.map(Time::rfc3339),
            account: one.account.map(|account| account.to_string()),
            account_name: one.account_name,
            public: one.public,
        }
    }
}

#[derive(Serialize, ToSchema)]
struct OwnAnnouncements {
    items: Vec<OwnAnnouncement>,
}

#[derive(Serialize, ToSchema)]
struct Announcements {
    items: Vec<AnnouncementView>,
}

/// List the announcements to you
///
/// Those that run now and that this login has not put away.
#[utoipa::path(
    get, path = "/account/announcements", tag = "announcements", operation_id = "listOwnAnnouncements",
    responses((status = 200, description = "The announcements", body = OwnAnnouncements)),
    security(("key" = []), ("session" = [])),
)]
async fn own(State(parts): State<Parts>, caller: Caller) -> ApiResult<Json<OwnAnnouncements>> {
    let found = parts
        .accounts
        .announcements_for(caller.account_id(), caller.principal.login)
        .await?;
    let items = found.into_iter().map(|one| OwnAnnouncement {
        id: one.id.to_string(),
        text: one.text,
        severity: one.severity.into(),
    });
    Ok(Json(OwnAnnouncements {
        items: items.collect(),
    }))
}

/// Put an announcement away
///
/// For this login; the other people of the account still see it.
#[utoipa::path(
    delete, path = "/account/announcements/{id}", tag = "announcements", operation_id = "putAnnouncementAway",
    params(("id" = String, Path, description = "The announcement")),
    responses(
        (status = 204, description = "Put away"),
        (status = 404, description = "There is none for you", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = []), ("session" = [])),
)]
async fn put_away(
    State(parts): State<Parts>,
    caller: Caller,
    Named(announcement): Named<String>,
) -> ApiResult<StatusCode> {
    let announcement = id(&announcement, "announcement")?;
    let login = caller.principal.login.ok_or(ApiError::NotFound("login"))?;
    parts
        .accounts
        .put_announcement_away(announcement, caller.account_id(), login)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List all announcements
///
/// Those that are over and those that have not begun too, the latest beginning first.
#[utoipa::path(
    get, path = "/announcements", tag = "announcements", operation_id = "listAnnouncements",
    responses((status = 200, description = "The announcements", body = Announcements)),
    security(("key" = ["operator"]), ("session" = [])),
)]
async fn list(State(parts): State<Parts>, caller: Caller) -> ApiResult<Json<Announcements>> {
    caller.needs(Scope::Operator)?;
    let all = parts.accounts.announcements().await?;
    Ok(Json(Announcements {
        items: all.into_iter().map(AnnouncementView::from).collect(),
    }))
}

/// An announcement to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateAnnouncement {
    /// Plain text of at most 500 characters, without line breaks.
    text: String,
    severity: SeverityName,
    /// When it begins; at once where it is not given.
    #[schema(format = DateTime)]
    from: Option<String>,
    /// When it ends; when it is removed where it is not given.
    #[schema(format = DateTime)]
    until: Option<String>,
    /// The address of a login: only the people of its account see the announcement.
    #[schema(example = "alice@example.com")]
    account_email: Option<String>,
    /// It is shown on the first page of the site as well.
    #[serde(default)]
    #[schema(required = false)]
    public: bool,
}

/// Announce something
#[utoipa::path(
    post, path = "/announcements", tag = "announcements", operation_id = "createAnnouncement", request_body = CreateAnnouncement,
    responses(
        (status = 201, description = "Announced", body = AnnouncementView),
        (status = 409, description = "There are too many announcements", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The announcement is not valid", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["operator"]), ("session" = [])),
)]
async fn create(
    State(parts): State<Parts>,
    caller: Caller,
    Body(new): Body<CreateAnnouncement>,
) -> ApiResult<(StatusCode, Json<AnnouncementView>)> {
    caller.needs(Scope::Operator)?;
    caller.needs_fresh()?;
    let moment = |field: &str, text: Option<String>| match text {
        None => Ok(None),
        Some(text) => Time::parse_rfc3339(&text)
            .map(Some)
            .ok_or_else(|| ApiError::invalid(field, "Give a moment such as 2027-01-01T00:00:00Z.")),
    };
    let account = match new
        .account_email
        .as_deref()
        .filter(|email| !email.trim().is_empty())
    {
        Some(email) => Some(account_of(&parts, email).await?),
        None => None,
    };
    let new = NewAnnouncement {
        text: new.text,
        severity: new.severity.into(),
        from: moment("from", new.from)?,
        until: moment("until", new.until)?,
        account,
        public: new.public,
    };
    let made = parts
        .accounts
        .announce(new, &caller.by())
        .await
        .map_err(|error| match error {
            AccountsError::EndsBefore => {
                ApiError::invalid("until", "It has to end later than it begins and than now.")
            }
            error => error.into(),
        })?;
    tracing::info!(announcement = %made.id, by = %caller.account_id(), public = made.public, "announced");
    Ok((StatusCode::CREATED, Json(made.into())))
}

async fn account_of(parts: &Parts, email: &str) -> ApiResult<store::Id> {
    let login = parts.accounts.login(email).await.map_err(|error| match error {
        AccountsError::Address(_) | AccountsError::NoSuchLogin(_) => {
            ApiError::invalid("account_email", "There is no account for this address.")
        }
        error => error.into(),
    })?;
    Ok(login.account)
}

/// Remove an announcement
///
/// Nobody sees it any more.
#[utoipa::path(
    delete, path = "/announcements/{id}", tag = "announcements", operation_id = "removeAnnouncement",
    params(("id" = String, Path, description = "The announcement")),
    responses(
        (status = 204, description = "Removed"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["operator"]), ("session" = [])),
)]
async fn remove(
    State(parts): State<Parts>,
    caller: Caller,
    Named(announcement): Named<String>,
) -> ApiResult<StatusCode> {
    caller.needs(Scope::Operator)?;
    let announcement = id(&announcement, "announcement")?;
    parts
        .accounts
        .remove_announcement(announcement, &caller.by())
        .await?;
    tracing::info!(%announcement, by = %caller.account_id(), "announcement removed");
    Ok(StatusCode::NO_CONTENT)
}
