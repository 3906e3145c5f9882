//! Trying a hook out on a message that stays where it is.

use accounts::{HookKind, HooksOf, Scope};
use axum::Json;
use axum::extract::State;
use bytes::Bytes;
use outbound::hooks::{Action, Facts, Run, Stage, with_crlf};
use serde::{Deserialize, Serialize};
use store::Id;
use utoipa::ToSchema;

use super::{KindName, StageName, micros};
use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, ApiResult, Problem, sentence};
use crate::http::json::{Body, id};

/// Recipients of a test run.
const MOST_RECIPIENTS: usize = 100;

/// A run that changes nothing.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TestHook {
    kind: KindName,
    /// The script, or the rule or the receiver as JSON text; it need not be saved.
    #[schema(max_length = 65536)]
    body: String,
    /// Without a word: `message`.
    #[serde(default)]
    #[schema(required = false)]
    stage: StageName,
    /// The message as it would come, header and all.
    #[schema(example = "From: alice@example.com\nSubject: Hello\n\nHello")]
    message: Option<String>,
    /// The hook whose secret signs what a receiver is asked; without one nothing does.
    hook: Option<String>,
    /// Instead of one: a message of the account whose content is still kept.
    message_id: Option<String>,
    /// The reverse-path; without one, what the From field says.
    from: Option<String>,
    /// Whom it goes to; at `rcpt` the last one is the one being named.
    #[serde(default)]
    #[schema(required = false, example = json!(["bob@example.net"]))]
    recipients: Vec<String>,
    #[serde(default)]
    #[schema(required = false)]
    tags: Vec<String>,
}

/// How a test run went.
#[derive(Serialize, ToSchema)]
#[schema(as = HookTrace)]
pub(super) struct TraceView {
    /// As in the log of runs.
    outcome: String,
    /// The reply that the client would get; null where the hook lets it pass.
    #[schema(required = true, example = "554 5.7.1 Rejected")]
    reply: Option<String>,
    /// What it would change, in order.
    #[schema(example = json!(["tag vip"]))]
    actions: Vec<String>,
    log: Vec<String>,
    /// What went wrong; null where nothing did.
    #[schema(required = true)]
    error: Option<String>,
    /// In which line.
    #[schema(required = true)]
    line: Option<u32>,
    duration_us: u64,
    /// Loops, calls and returns that it went through; at most as many as the operator lets one call take.
    steps: u64,
    /// Memory that it held at its end, in bytes.
    memory: u64,
}

impl From<Run> for TraceView {
    fn from(run: Run) -> Self {
        Self {
            outcome: match &run.fault {
                Some(fault) => fault.kind.as_str().to_owned(),
                None => run.said.as_str().to_owned(),
            },
            reply: run.said.refusal().map(|reply| reply.to_string()),
            actions: run.actions.iter().map(Action::describe).collect(),
            log: run.log,
            line: run.fault.as_ref().and_then(|fault| fault.line),
            error: run.fault.map(|fault| fault.message),
            duration_us: micros(run.took),
            steps: run.steps,
            memory: run.memory,
        }
    }
}

/// Try a hook out
///
/// Runs it once on a pasted message or on one of the account's; nothing is sent, changed or logged.
#[utoipa::path(
    post, path = "/hooks/test", tag = "hooks", operation_id = "testHook", request_body = TestHook,
    responses(
        (status = 200, description = "How it went", body = TraceView),
        (status = 404, description = "There is no such message, or its content is gone", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is not accepted", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["account"]), ("session" = [])),
)]
pub(super) async fn test(
    State(parts): State<Parts>,
    caller: Caller,
    Body(asked): Body<TestHook>,
) -> ApiResult<Json<TraceView>> {
    caller.needs(Scope::Account)?;
    let kind = HookKind::from(asked.kind);
    let hooks = parts.outbound.hooks();
    let stages = hooks.check(caller.account_id(), kind, &asked.body).await;
    let stages = stages.map_err(|error| ApiError::invalid("body", error.to_string()))?;
    if let Some(why) = Stage::from(asked.stage).why_not_asked(&stages) {
        return Err(ApiError::invalid("stage", sentence(&why)));
    }
    if asked.recipients.len() > MOST_RECIPIENTS {
        return Err(ApiError::invalid(
            "recipients",
            format!("A test has at most {MOST_RECIPIENTS} recipients."),
        ));
    }
    let (raw, claim) = match (&asked.message, &asked.message_id) {
        (Some(text), None) => (with_crlf(text.as_bytes()), None),
        (None, Some(message)) => stored(&parts, &caller, id(message, "message")?).await?,
        _ => {
            return Err(ApiError::invalid("message", "Give a message, or the id of one."));
        }
    };
    let secret = match asked.hook.as_deref() {
        Some(hook) => {
            let of = HooksOf::Account(caller.account_id());
            parts.accounts.hook(of, id(hook, "hook")?).await?.secret
        }
        None => None,
    };
    let (body, facts) = facts(&caller, asked, raw);
    let what = (kind, body.as_str(), secret.as_deref().unwrap_or_default());
    let run = hooks.test(&caller.principal, what, &facts).await;
    drop(claim);
    Ok(Json(run.into()))
}

/// What would be known of the message.
fn facts(caller: &Caller, asked: TestHook, raw: Bytes) -> (String, Facts) {
    let facts = Facts {
        account: caller.account_id().to_string(),
        login: Some(caller.principal.email.clone()),
        ip: Some(caller.ip),
        tags: asked.tags,
        ..Facts::of_trial(Stage::from(asked.stage), asked.from, asked.recipients, raw)
    };
    (asked.body, facts)
}

/// A message of the caller's own account, with the memory that reading it takes. A mail of our own holds links that open
/// accounts, so none is ever given to a script.
async fn stored(
    parts: &Parts,
    caller: &Caller,
    message: Id,
) -> ApiResult<(Bytes, Option<crate::budget::Claim>)> {
    caller.reads(Scope::Messages)?;
    let account = caller.account_id();
    let found = parts.outbound.provenance(message).await?;
    let found = found.filter(|found| found.account == account && !found.origin.is_notice());
    let found = found.ok_or(ApiError::NotFound("message"))?;
    let octets = usize::try_from(found.size).unwrap_or(usize::MAX);
    let claim = parts
        .reading
        .claim(account, octets)
        .ok_or(ApiError::ManyReaders)?;
    let raw = parts.outbound.source(Some(account), message).await?;
    Ok((raw.ok_or(ApiError::NotFound("message"))?, Some(claim)))
}
