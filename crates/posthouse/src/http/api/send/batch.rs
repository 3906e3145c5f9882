//! Many messages in one request, each accepted or refused by itself.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use futures_util::{StreamExt as _, stream};
use outbound::off_the_workers;
use outbound::templates::{Name, Template};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::message::SendMessage;
use super::{Accepted, may_send, refusal, submission, template_named};
use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, ApiResult, Problem};
use crate::http::heavy::Heavy;
use crate::http::json;
use crate::http::peer::Client;
use crate::http::values;

/// Messages in one request.
const MOST: usize = 500;
/// Different templates that they may name.
const MOST_TEMPLATES: usize = 20;
/// JSON values of all of them together: 500 messages with hundreds of recipients each.
const MOST_VALUES: usize = 400_000;
/// So many are on their way to the door together; their transactions share commits.
const AT_ONCE: usize = 64;
/// Bytes of a key that stands for all of them: each message gets its place behind it.
const KEY: usize = 240;

/// Messages to be sent.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SendBatch {
    /// 1 to 500 messages, each as it is sent alone.
    #[serde(deserialize_with = "messages")]
    #[schema(value_type = Vec<SendMessage>, min_items = 1, max_items = 500)]
    messages: Vec<Value>,
}

fn messages<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Value>, D::Error> {
    values::list(deserializer, (MOST, MOST_VALUES), "messages")
}

/// What came of each message of a batch.
#[derive(Serialize, ToSchema)]
pub(super) struct BatchAnswer {
    accepted: usize,
    refused: usize,
    /// One for each message, in the order of the request.
    results: Vec<BatchResult>,
}

/// What came of one message: either it was accepted, or there is a problem.
#[derive(Serialize, ToSchema)]
struct BatchResult {
    /// What the answer would have been, had it come alone.
    #[schema(example = 202)]
    status: u16,
    #[serde(flatten)]
    #[schema(required = false)]
    accepted: Option<Accepted>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

impl From<ApiResult<Accepted>> for BatchResult {
    fn from(result: ApiResult<Accepted>) -> Self {
        match result {
            Ok(accepted) => Self {
                status: 202,
                accepted: Some(accepted),
                problem: None,
            },
            Err(error) => {
                let (problem, _) = error.into_problem();
                Self {
                    status: problem.status(),
                    accepted: None,
                    problem: Some(problem),
                }
            }
        }
    }
}

/// What all messages of a batch have in common.
struct Batch {
    parts: Parts,
    caller: Caller,
    client: Client,
    templates: HashMap<Name, Arc<Template>>,
}

/// Send many messages
///
/// Up to 500 messages, each accepted or refused by itself, as if it had come alone: one that is refused holds up no other, and
/// what is accepted is on disk before this answers. The whole request may be as large as one with a single message of the largest
/// size and holds up to 400,000 JSON values. An `Idempotency-Key` (up to 240 bytes) stands for all messages that bring none of their own: sent again within 24 hours,
/// those that were accepted answer as the first time, and the others are tried. A batch may name up to 20 different templates.
#[utoipa::path(
    post, path = "/messages/batch", tag = "send", operation_id = "sendBatch", request_body = SendBatch,
    params(("Idempotency-Key" = Option<String>, Header, description = "One key for the whole batch")),
    responses(
        (status = 200, description = "Each message was looked at; `results` says what came of it", body = BatchAnswer),
        (status = 403, description = "The key may not send, or the account is suspended or paused", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too big", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "There is no message in it, or there are too many", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too much mail is arriving at once; `Retry-After` says when to try again", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["send"]), ("session" = [])),
)]
pub(super) async fn send_batch(
    State(parts): State<Parts>,
    caller: Caller,
    client: Client,
    headers: HeaderMap,
    Heavy { value, share }: Heavy<SendBatch>,
) -> ApiResult<Json<BatchAnswer>> {
    may_send(&caller)?;
    if value.messages.is_empty() || value.messages.len() > MOST {
        let said = format!("A batch has 1 to {MOST} messages.");
        return Err(ApiError::invalid("messages", said));
    }
    let key = key_of(&headers)?;
    let mut messages = Vec::with_capacity(value.messages.len());
    for (place, value) in value.messages.into_iter().enumerate() {
        let message = json::part::<SendMessage>(value);
        messages.push(message.map(|mut message| {
            if let Some(key) = &key {
                message.or_key(|| format!("{key}#{place}"));
            }
            message
        }));
    }
    let templates = templates_of(&parts, &caller, &messages).await?;
    let batch = Arc::new(Batch {
        parts,
        caller,
        client,
        templates,
    });
    // In a task of its own: a client that goes away must not take the share from under what is still being stored.
    let sending = tokio::spawn(async move {
        let each = stream::iter(messages).map(|message| {
            let batch = Arc::clone(&batch);
            async move { BatchResult::from(batch.send(message).await) }
        });
        let results: Vec<BatchResult> = each.buffered(AT_ONCE).collect().await;
        drop(share);
        results
    });
    let results = sending.await.map_err(|error| ApiError::internal(&error))?;
    let accepted = results.iter().filter(|one| one.accepted.is_some()).count();
    Ok(Json(BatchAnswer {
        accepted,
        refused: results.len() - accepted,
        results,
    }))
}

fn key_of(headers: &HeaderMap) -> ApiResult<Option<String>> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(key) if (1..=KEY).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => Err(ApiError::BadRequest(format!(
            "The header Idempotency-Key is not printable ASCII of 1 to {KEY} bytes."
        ))),
    }
}

/// The templates that the messages name, each read once; one that is not there is its message's own fault.
async fn templates_of(
    parts: &Parts,
    caller: &Caller,
    messages: &[ApiResult<SendMessage>],
) -> ApiResult<HashMap<Name, Arc<Template>>> {
    let mut templates = HashMap::new();
    let named = messages
        .iter()
        .filter_map(|one| one.as_ref().ok()?.template().ok()?);
    for name in named {
        if templates.contains_key(&name) {
            continue;
        }
        if templates.len() == MOST_TEMPLATES {
            let said = format!("A batch names up to {MOST_TEMPLATES} different templates.");
            return Err(ApiError::invalid("messages", said));
        }
        match template_named(parts, caller, &name).await {
            Ok(template) => drop(templates.insert(name, Arc::new(template))),
            Err(ApiError::Invalid(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(templates)
}

impl Batch {
    async fn send(&self, message: ApiResult<SendMessage>) -> ApiResult<Accepted> {
        let message = message?;
        let parts = &self.parts;
        let now = parts.clock.now();
        let message_id = format!("{}@{}", parts.ids.next(now), parts.settings.hostname);
        let template = match message.template()? {
            None => None,
            Some(name) => Some(
                self.templates
                    .get(&name)
                    .cloned()
                    .ok_or_else(|| ApiError::invalid("template", "There is no such template."))?,
            ),
        };
        let limit = parts.settings.max_message_size;
        let composing = off_the_workers(message.work(), move || {
            message.compose(template.as_deref(), limit, (now, &message_id))
        });
        let composed = composing.await.map_err(|error| ApiError::internal(&error))??;
        // What is filled in may be larger than what came.
        let mut room = parts.budget.share();
        if !room.resize(composed.raw.capacity()) {
            return Err(ApiError::Busy);
        }
        let submission = submission(&self.caller, &self.client, composed);
        match parts.outbound.accept(submission).await {
            Ok(accepted) => Ok(Accepted {
                id: accepted.id.to_string(),
                recipients: accepted.recipients,
            }),
            Err(refused) => Err(refusal(&refused.0, now)),
        }
    }
}
