//! How long the account's mail is kept.

use accounts::Scope;
use accounts::retention::Retention;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, ApiResult, FieldError, Problem};
use crate::http::json::Body;

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new().routes(routes!(read, choose))
}

/// How long the account's mail is kept, in days.
#[derive(Serialize, ToSchema)]
#[schema(as = Retention)]
struct RetentionView {
    /// Content, counted from when a message leaves; 0: until nobody waits for it.
    #[schema(example = 3)]
    content_days: u32,
    /// Messages, recipients, attempts and events, counted from the last that happened to a message.
    #[schema(example = 30)]
    message_days: u32,
    /// What the account chose in place of what is configured.
    own: OwnRetention,
    /// The least and the most that it may choose.
    least_message_days: u32,
    most_content_days: u32,
    most_message_days: u32,
}

/// What an account chose.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OwnRetention {
    /// Null is as configured.
    #[schema(required = true)]
    content_days: Option<u32>,
    /// Null is as configured.
    #[schema(required = true)]
    message_days: Option<u32>,
}

/// A message is known as long as its bounces and complaints may come back and its link to unsubscribe has to work, so that nobody
/// escapes them; where the operator keeps less, an account may as well.
// CAN-SPAM Act, 15 U.S.C. 7704(a)(3): a way to opt out works for at least 30 days.
fn least(configured: u32) -> u32 {
    configured.min(30)
}

fn view(parts: &Parts, own: Retention) -> RetentionView {
    let ((content, messages), (most_content, most_messages)) = parts.outbound.kept_days();
    RetentionView {
        content_days: own.content.unwrap_or(content),
        message_days: own.messages.unwrap_or(messages),
        own: OwnRetention {
            content_days: own.content,
            message_days: own.messages,
        },
        least_message_days: least(messages),
        most_content_days: most_content,
        most_message_days: most_messages,
    }
}

/// Read how long mail is kept
#[utoipa::path(
    get, path = "/account/retention", tag = "account", operation_id = "getRetention",
    responses((status = 200, description = "What holds, and what may be chosen", body = RetentionView)),
    security(("key" = ["account"]), ("key" = ["read"]), ("session" = [])),
)]
async fn read(State(parts): State<Parts>, caller: Caller) -> ApiResult<Json<RetentionView>> {
    caller.reads(Scope::Account)?;
    parts.accounts.refresh().await?;
    let own = parts.accounts.retention(caller.account_id()).await?;
    Ok(Json(view(&parts, own)))
}

/// Choose how long mail is kept
///
/// It counts for what is there already, too: what is older than that is deleted within minutes, for good. Mail that somebody waits for stays
/// until it is settled.
#[utoipa::path(
    put, path = "/account/retention", tag = "account", operation_id = "chooseRetention", request_body = OwnRetention,
    responses(
        (status = 200, description = "What holds from now on", body = RetentionView),
        (status = 403, description = "Only owners and admins decide it, and not long after they signed in", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A number is out of its bounds", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["account"]), ("session" = [])),
)]
async fn choose(
    State(parts): State<Parts>,
    caller: Caller,
    Body(asked): Body<OwnRetention>,
) -> ApiResult<Json<RetentionView>> {
    caller.needs(Scope::Account)?;
    caller.needs_fresh()?;
    let chosen = Retention {
        content: asked.content_days,
        messages: asked.message_days,
    };
    let ((_, configured), (most_content, most_messages)) = parts.outbound.kept_days();
    let least = least(configured);
    let mut faults = Vec::new();
    if chosen.content.is_some_and(|days| days > most_content) {
        let said = format!("Content is kept for 0 to {most_content} days.");
        faults.push(FieldError::new("content_days", said));
    }
    if chosen
        .messages
        .is_some_and(|days| !(least..=most_messages).contains(&days))
    {
        let said = format!("Messages are kept for {least} to {most_messages} days.");
        faults.push(FieldError::new("message_days", said));
    }
    let holds = view(&parts, chosen);
    if faults.is_empty() && holds.content_days > holds.message_days {
        let said = "Content goes with its message, so it cannot be kept for longer.";
        faults.push(FieldError::new("content_days", said));
    }
    if !faults.is_empty() {
        return Err(ApiError::Invalid(faults));
    }
    let account = caller.account_id();
    parts
        .accounts
        .choose_retention(account, chosen, &caller.by())
        .await?;
    tracing::info!(%account, "retention chosen");
    Ok(Json(holds))
}
