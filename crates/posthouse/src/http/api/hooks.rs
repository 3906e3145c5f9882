//! Event hooks of the account, and those of the operator: scripts, rules and receivers, their versions and their runs.

mod trying;

use accounts::{Hook, HookBody, HookChange, HookKind, HooksOf, NewHook, Scope};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use mail::time::Time;
use outbound::calls::sign;
use outbound::hooks::{Day, KeptRun, Stage};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, ApiResult, Problem};
use crate::http::json::{Body, Named, Params, id};
use crate::http::paging::Page;

/// Days whose figures are shown.
const DAYS: u32 = 30;

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, change, delete))
        .routes(routes!(versions))
        .routes(routes!(runs))
        .routes(routes!(trying::test))
}

/// Whose hooks are meant.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Whose {
    /// The operator's, which run for every account and before its own. Operators only.
    #[serde(default)]
    #[param(required = false)]
    everybody: bool,
}

impl Whose {
    fn reads(&self, caller: &Caller) -> ApiResult<HooksOf> {
        if self.everybody {
            caller.needs(Scope::Operator)?;
            return Ok(HooksOf::Everybody);
        }
        caller.reads(Scope::Account)?;
        Ok(HooksOf::Account(caller.account_id()))
    }

    fn changes(&self, caller: &Caller) -> ApiResult<HooksOf> {
        if self.everybody {
            caller.needs(Scope::Operator)?;
            return Ok(HooksOf::Everybody);
        }
        caller.needs(Scope::Account)?;
        Ok(HooksOf::Account(caller.account_id()))
    }
}

/// What a hook is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = HookKind)]
enum KindName {
    /// Luau, with at least one of the functions `on_mail`, `on_rcpt` and `on_message`.
    Script,
    /// A ready rule, as JSON.
    Rule,
    /// A receiver that is asked when the message is there, as JSON: `{"url": "https://…", "timeout": 3000}`.
    Http,
}

impl From<KindName> for HookKind {
    fn from(kind: KindName) -> Self {
        match kind {
            KindName::Script => Self::Script,
            KindName::Rule => Self::Rule,
            KindName::Http => Self::Http,
        }
    }
}

impl From<HookKind> for KindName {
    fn from(kind: HookKind) -> Self {
        match kind {
            HookKind::Script => Self::Script,
            HookKind::Rule => Self::Rule,
            HookKind::Http => Self::Http,
        }
    }
}

/// What happens to a message whose hook broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = HookFault)]
enum OnFault {
    /// It goes on as if the hook were not there.
    Open,
    /// It is refused for now (451), so its sender tries again.
    Closed,
}

/// When a hook is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = HookStage)]
enum StageName {
    /// Somebody begins a message.
    Mail,
    /// Somebody names a recipient.
    Rcpt,
    /// The message is there.
    #[default]
    Message,
}

impl From<StageName> for Stage {
    fn from(name: StageName) -> Self {
        match name {
            StageName::Mail => Self::Mail,
            StageName::Rcpt => Self::Rcpt,
            StageName::Message => Self::Message,
        }
    }
}

/// What the runs of one day came to.
#[derive(Serialize, ToSchema)]
#[schema(as = HookDay)]
struct DayView {
    #[schema(example = "2026-11-26", format = Date)]
    day: String,
    runs: i64,
    rejected: i64,
    deferred: i64,
    discarded: i64,
    /// Runs that broke.
    failed: i64,
    /// All of them together, in microseconds.
    duration_us: i64,
}

impl From<Day> for DayView {
    fn from(day: Day) -> Self {
        let begin = Time::from_secs(day.day * 86_400).rfc3339();
        Self {
            day: begin.chars().take(10).collect(),
            runs: day.runs,
            rejected: day.rejected,
            deferred: day.deferred,
            discarded: day.discarded,
            failed: day.failed,
            duration_us: day.duration,
        }
    }
}

/// An event hook.
#[derive(Serialize, ToSchema)]
#[schema(as = Hook)]
struct HookView {
    id: String,
    #[schema(example = "No mail to our competitors")]
    name: String,
    kind: KindName,
    enabled: bool,
    on_fault: OnFault,
    /// The number of its newest version.
    version: i64,
    /// When it has something to say.
    #[schema(example = json!(["message"]))]
    stages: Vec<String>,
    #[schema(format = DateTime)]
    created_at: String,
    /// When its newest version was saved.
    #[schema(format = DateTime)]
    changed_at: String,
    /// What the runs of today (UTC) came to; null while there was none.
    #[schema(required = true)]
    today: Option<DayView>,
    /// Checks the signatures of what a receiver is asked, as Standard Webhooks describes it. It is shown when the hook is made, this
    /// once; null otherwise.
    #[schema(required = true, example = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")]
    secret: Option<String>,
}

fn view(hook: Hook, today: Option<Day>) -> HookView {
    HookView {
        id: hook.id.to_string(),
        name: hook.name,
        kind: hook.kind.into(),
        enabled: hook.enabled,
        on_fault: if hook.fail_open {
            OnFault::Open
        } else {
            OnFault::Closed
        },
        version: hook.version,
        stages: hook.stages.split(' ').map(str::to_owned).collect(),
        created_at: hook.created_at.rfc3339(),
        changed_at: hook.changed_at.rfc3339(),
        today: today.map(DayView::from),
        secret: None,
    }
}

async fn with_today(parts: &Parts, hook: Hook) -> ApiResult<HookView> {
    let today = parts.clock.now().day();
    let days = parts.outbound.hooks().journal().days(hook.id, 1).await?;
    Ok(view(hook, days.into_iter().find(|one| one.day == today)))
}

/// List the hooks
///
/// In the order in which they are asked.
#[utoipa::path(
    get, path = "/hooks", tag = "hooks", operation_id = "listHooks", params(Whose),
    responses((status = 200, description = "All hooks of the account, or the operator's", body = Page<HookView>)),
    security(("key" = ["account"]), ("key" = ["read"]), ("session" = [])),
)]
async fn list(
    State(parts): State<Parts>,
    caller: Caller,
    Params(whose): Params<Whose>,
) -> ApiResult<Json<Page<HookView>>> {
    let of = whose.reads(&caller)?;
    let mut items = Vec::new();
    for hook in parts.accounts.hooks(of).await? {
        items.push(with_today(&parts, hook).await?);
    }
    Ok(Json(Page { items, next: None }))
}

/// A hook to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateHook {
    #[schema(example = "No mail to our competitors", max_length = 100)]
    name: String,
    kind: KindName,
    /// The script, or the rule or the receiver as JSON text.
    #[schema(
        example = "function on_rcpt(m)\n  if m.recipient:match(\"@example%.com$\") then reject() end\nend",
        max_length = 65536
    )]
    body: String,
    /// Without a word: it is.
    enabled: Option<bool>,
    /// Without a word: `open`, and `closed` for one that counts for everybody.
    on_fault: Option<OnFault>,
}

/// Create a hook
///
/// It is asked behind those that are there. An account has at most 20.
#[utoipa::path(
    post, path = "/hooks", tag = "hooks", operation_id = "createHook", params(Whose), request_body = CreateHook,
    responses(
        (status = 201, description = "Created", body = HookView),
        (status = 409, description = "There are as many hooks as there can be", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is not accepted: what is wrong with a script, and in which line", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["account"]), ("session" = [])),
)]
async fn create(
    State(parts): State<Parts>,
    caller: Caller,
    Params(whose): Params<Whose>,
    Body(new): Body<CreateHook>,
) -> ApiResult<(StatusCode, Json<HookView>)> {
    let of = whose.changes(&caller)?;
    caller.needs_fresh()?;
    let kind = HookKind::from(new.kind);
    let body = checked(&parts, &caller, kind, new.body).await?;
    let new = NewHook {
        name: new.name,
        kind,
        enabled: new.enabled.unwrap_or(true),
        // Who sends can break a script that looks at what he sends: an operator's holds unless he says otherwise.
        fail_open: match new.on_fault {
            Some(on_fault) => on_fault == OnFault::Open,
            None => !whose.everybody,
        },
        body,
        secret: (kind == HookKind::Http).then(|| parts.ids.secret(sign::SECRET_OCTETS)),
    };
    let hook = parts.accounts.create_hook(of, new, &caller.by()).await?;
    tracing::info!(hook = %hook.id, account = %caller.account_id(), everybody = whose.everybody, "hook created");
    let secret = hook.secret.as_deref().map(sign::shown);
    let made = HookView {
        secret,
        ..view(hook, None)
    };
    Ok((StatusCode::CREATED, Json(made)))
}

async fn checked(parts: &Parts, caller: &Caller, kind: HookKind, body: String) -> ApiResult<HookBody> {
    let checked = parts
        .outbound
        .hooks()
        .check(caller.account_id(), kind, &body)
        .await;
    let stages = checked.map_err(|error| ApiError::invalid("body", error.to_string()))?;
    Ok(HookBody { body, stages })
}

/// A hook and what it says.
#[derive(Serialize, ToSchema)]
#[schema(as = HookDetail)]
struct DetailView {
    hook: HookView,
    /// The script, or the rule or the receiver as JSON text.
    body: String,
}

/// Show a hook
#[utoipa::path(
    get, path = "/hooks/{id}", tag = "hooks", operation_id = "getHook",
    params(("id" = String, Path, description = "The hook"), Whose),
    responses(
        (status = 200, description = "The hook", body = DetailView),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["account"]), ("key" = ["read"]), ("session" = [])),
)]
async fn show(
    State(parts): State<Parts>,
    caller: Caller,
    Named(hook): Named<String>,
    Params(whose): Params<Whose>,
) -> ApiResult<Json<DetailView>> {
    let of = whose.reads(&caller)?;
    let hook = parts.accounts.hook(of, id(&hook, "hook")?).await?;
    let body = parts.accounts.hook_body(hook.id, hook.version).await?;
    let body = body.ok_or(ApiError::NotFound("hook"))?;
    let hook = with_today(&parts, hook).await?;
    Ok(Json(DetailView { hook, body }))
}

/// A change of a hook: what is given is replaced.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeHook {
    #[schema(max_length = 100)]
    name: Option<String>,
    /// A new version, where it says something else than the newest.
    #[schema(max_length = 65536)]
    body: Option<String>,
    enabled: Option<bool>,
    on_fault: Option<OnFault>,
    /// Where among the others it is asked, counted from 0.
    #[schema(minimum = 0)]
    position: Option<usize>,
    /// Makes what this version says the newest once more.
    restore: Option<i64>,
}

/// Change a hook
///
/// It counts at the next command of every client, on every node.
#[utoipa::path(
    patch, path = "/hooks/{id}", tag = "hooks", operation_id = "changeHook",
    params(("id" = String, Path, description = "The hook"), Whose), request_body = ChangeHook,
    responses(
        (status = 200, description = "Changed", body = HookView),
        (status = 404, description = "There is none, or no such version", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is not accepted", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["account"]), ("session" = [])),
)]
async fn change(
    State(parts): State<Parts>,
    caller: Caller,
    Named(hook): Named<String>,
    Params(whose): Params<Whose>,
    Body(new): Body<ChangeHook>,
) -> ApiResult<Json<HookView>> {
    let of = whose.changes(&caller)?;
    caller.needs_fresh()?;
    let hook = parts.accounts.hook(of, id(&hook, "hook")?).await?;
    let body = match (new.body, new.restore) {
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid(
                "restore",
                "Give a text or a version, not both.",
            ));
        }
        (Some(body), None) => Some(body),
        (None, Some(version)) => {
            let body = parts.accounts.hook_body(hook.id, version).await?;
            Some(body.ok_or(ApiError::NotFound("version"))?)
        }
        (None, None) => None,
    };
    let body = match body {
        Some(body) => Some(checked(&parts, &caller, hook.kind, body).await?),
        None => None,
    };
    let change = HookChange {
        name: new.name,
        enabled: new.enabled,
        fail_open: new.on_fault.map(|on_fault| on_fault == OnFault::Open),
        place: new.position,
        body,
    };
    let changed = parts
        .accounts
        .change_hook(of, hook.id, change, &caller.by())
        .await?;
    Ok(Json(with_today(&parts, changed).await?))
}

/// Delete a hook
///
/// Its versions go with it.
#[utoipa::path(
    delete, path = "/hooks/{id}", tag = "hooks", operation_id = "deleteHook",
    params(("id" = String, Path, description = "The hook"), Whose),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["account"]), ("session" = [])),
)]
async fn delete(
    State(parts): State<Parts>,
    caller: Caller,
    Named(hook): Named<String>,
    Params(whose): Params<Whose>,
) -> ApiResult<StatusCode> {
    let of = whose.changes(&caller)?;
    caller.needs_fresh()?;
    let hook = id(&hook, "hook")?;
    parts.accounts.delete_hook(of, hook, &caller.by()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// One save of a hook.
#[derive(Serialize, ToSchema)]
#[schema(as = HookVersion)]
struct VersionView {
    version: i64,
    #[schema(format = DateTime)]
    at: String,
    /// The address of the login that saved it; empty where it was a command.
    who: String,
    body: String,
}

/// List the versions of a hook
///
/// The last 50 saves, the newest first.
#[utoipa::path(
    get, path = "/hooks/{id}/versions", tag = "hooks", operation_id = "listHookVersions",
    params(("id" = String, Path, description = "The hook"), Whose),
    responses(
        (status = 200, description = "Its versions", body = Page<VersionView>),
        (status = 404, description = "There is no such hook", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["account"]), ("key" = ["read"]), ("session" = [])),
)]
async fn versions(
    State(parts): State<Parts>,
    caller: Caller,
    Named(hook): Named<String>,
    Params(whose): Params<Whose>,
) -> ApiResult<Json<Page<VersionView>>> {
    let of = whose.reads(&caller)?;
    let found = parts.accounts.hook_versions(of, id(&hook, "hook")?).await?;
    let items = found.into_iter().map(|one| VersionView {
        version: one.version,
        at: one.at.rfc3339(),
        who: one.who,
        body: one.body,
    });
    Ok(Json(Page {
        items: items.collect(),
        next: None,
    }))
}

/// How one run went.
#[derive(Serialize, ToSchema)]
#[schema(as = HookRun)]
struct RunView {
    id: String,
    #[schema(format = DateTime)]
    at: String,
    version: i64,
    stage: String,
    /// `passed`, `accepted`, `rejected`, `deferred`, `discarded`, or how it broke: `error`, `memory`, `steps`, `time`, `busy`.
    #[schema(example = "rejected")]
    outcome: String,
    /// The reply that it gave, what it changed, or what went wrong.
    detail: String,
    /// The line of the script that went wrong.
    #[schema(required = true)]
    line: Option<i64>,
    duration_us: u64,
    /// What it printed.
    log: String,
}

impl From<KeptRun> for RunView {
    fn from(run: KeptRun) -> Self {
        Self {
            id: run.id.to_string(),
            at: run.at.rfc3339(),
            version: run.version,
            stage: run.stage,
            outcome: run.outcome,
            detail: run.detail,
            line: run.line,
            duration_us: micros(run.took),
            log: run.log,
        }
    }
}

fn micros(took: std::time::Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

/// The log of a hook.
#[derive(Serialize, ToSchema)]
#[schema(as = HookLog)]
struct LogView {
    /// The last 200 of the last 7 days, the newest first; of very many at once only some.
    runs: Vec<RunView>,
    /// All runs of the last 30 days that had any, the newest first.
    days: Vec<DayView>,
}

/// Show how runs of a hook went
///
/// It is written a second behind.
#[utoipa::path(
    get, path = "/hooks/{id}/runs", tag = "hooks", operation_id = "listHookRuns",
    params(("id" = String, Path, description = "The hook"), Whose),
    responses(
        (status = 200, description = "Its last runs and its figures", body = LogView),
        (status = 404, description = "There is no such hook", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["account"]), ("key" = ["read"]), ("session" = [])),
)]
async fn runs(
    State(parts): State<Parts>,
    caller: Caller,
    Named(hook): Named<String>,
    Params(whose): Params<Whose>,
) -> ApiResult<Json<LogView>> {
    let of = whose.reads(&caller)?;
    let hook = parts.accounts.hook(of, id(&hook, "hook")?).await?;
    let journal = parts.outbound.hooks().journal();
    let runs = journal.runs(hook.id, parts.clock.now()).await?;
    let days = journal.days(hook.id, DAYS).await?;
    Ok(Json(LogView {
        runs: runs.into_iter().map(RunView::from).collect(),
        days: days.into_iter().map(DayView::from).collect(),
    }))
}
