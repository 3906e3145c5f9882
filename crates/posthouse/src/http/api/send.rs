//! Handing messages over as JSON: one, or many in one request.

mod batch;
mod message;

use accounts::{AccountState, Scope};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use mail::replies;
use mail::reply::Reply;
use mail::time::Time;
use outbound::templates::{Name, Template};
use outbound::{Origin, Submission, off_the_workers};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::message::{Composed, SendMessage};
use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, ApiResult, Problem};
use crate::http::heavy::Heavy;
use crate::http::peer::Client;

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new()
        .routes(routes!(send))
        .routes(routes!(batch::send_batch))
}

/// A message that was accepted.
#[derive(Serialize, ToSchema)]
struct Accepted {
    /// Ask for it under `/messages/{id}`.
    id: String,
    /// Envelope recipients, each one credit.
    recipients: usize,
}

/// Send a message
///
/// Accepted means stored: it is on disk before this answers, and delivery is tried for days. Every recipient in `to`,
/// `cc` and `bcc` is a delivery of its own and takes one credit.
#[utoipa::path(
    post, path = "/messages", tag = "send", operation_id = "sendMessage", request_body = SendMessage,
    params(("Idempotency-Key" = Option<String>, Header, description = "As the field `idempotency_key`")),
    responses(
        (status = 202, description = "Accepted", body = Accepted),
        (status = 402, description = "The account has too few credits for all recipients, so nobody was sent anything", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The account may not send as this sender, is suspended or paused, is in the sandbox and this goes elsewhere, or a hook refuses the message", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The idempotency key stands for another message of the last 24 hours", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The message is too big", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The message is not valid; `errors` says where", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "The account has used up its recipients of today; `Retry-After` says when the next day begins", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too much mail is arriving at once, or storage is not available; `Retry-After` says when to try again", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["send"]), ("session" = [])),
)]
async fn send(
    State(parts): State<Parts>,
    caller: Caller,
    client: Client,
    headers: HeaderMap,
    Heavy { mut value, mut share }: Heavy<SendMessage>,
) -> ApiResult<(StatusCode, Json<Accepted>)> {
    may_send(&caller)?;
    let now = parts.clock.now();
    let message_id = format!("{}@{}", parts.ids.next(now), parts.settings.hostname);
    let limit = parts.settings.max_message_size;
    value.take_key_of(&headers)?;
    let template = match value.template()? {
        Some(name) => Some(template_named(&parts, &caller, &name).await?),
        None => None,
    };
    let composing = off_the_workers(value.work(), move || {
        let composed = value.compose(template.as_ref(), limit, (now, &message_id))?;
        share.resize(composed.raw.capacity());
        Ok::<_, ApiError>((composed, share))
    });
    let composed = composing.await.map_err(|error| ApiError::internal(&error))?;
    let (composed, share) = composed?;
    let submission = submission(&caller, &client, composed);
    // In a task of its own: a client that goes away must not take the share from under what is still being stored.
    let accepting = tokio::spawn(async move {
        let accepted = parts.outbound.accept(submission).await;
        drop(share);
        accepted
    });
    match accepting.await.map_err(|error| ApiError::internal(&error))? {
        Ok(accepted) => {
            let accepted = Accepted {
                id: accepted.id.to_string(),
                recipients: accepted.recipients,
            };
            Ok((StatusCode::ACCEPTED, Json(accepted)))
        }
        Err(refused) => Err(refusal(&refused.0, now)),
    }
}

/// Refuses whoever may not send at all.
fn may_send(caller: &Caller) -> ApiResult<()> {
    caller.needs(Scope::Send)?;
    match &caller.account.state {
        AccountState::Active => Ok(()),
        AccountState::Suspended(reason) => Err(ApiError::Suspended(reason.clone())),
        AccountState::Paused(reason) => Err(ApiError::Paused(reason.clone())),
    }
}

async fn template_named(parts: &Parts, caller: &Caller, name: &Name) -> ApiResult<Template> {
    let found = parts.outbound.template(caller.account_id(), name).await?;
    found.ok_or_else(|| ApiError::invalid("template", "There is no such template."))
}

/// A composed message as the door takes it.
fn submission(caller: &Caller, client: &Client, composed: Composed) -> Submission {
    Submission {
        origin: Origin {
            via: "api".to_owned(),
            protocol: "HTTP".to_owned(),
            ip: Some(client.ip),
            login: Some(caller.principal.email.clone()),
            ..Origin::default()
        },
        principal: caller.principal.clone(),
        envelope: composed.envelope,
        body: Bytes::from(composed.raw),
        given: Some(composed.given),
    }
}

/// The door speaks SMTP; what it says has a status of its own here.
fn refusal(reply: &Reply, now: Time) -> ApiError {
    let is = |known: &Reply| (reply.code, reply.enhanced) == (known.code, known.enhanced);
    if reply.bare && reply.is_permanent() {
        // What a hook says ends as its author ends it.
        let end = if reply.text.ends_with(['.', '!', '?']) {
            ""
        } else {
            "."
        };
        return ApiError::Forbidden(format!("{}{end}", reply.text));
    }
    if is(&replies::OUT_OF_CREDITS) {
        ApiError::OutOfCredits(reply.text.clone().into_owned())
    } else if is(&replies::DAY_USED_UP) {
        let next_day = Time::from_secs((now.day() + 1) * 24 * 3600);
        ApiError::DayUsedUp(format!("{}.", reply.text), next_day.since(now).as_secs().max(1))
    } else if *reply == replies::STORAGE_FULL {
        ApiError::StorageFull
    } else if *reply == replies::KEY_USED {
        ApiError::Conflict(format!("{}.", reply.text))
    } else if is(&replies::STREAM_NOT_ALLOWED) {
        ApiError::Forbidden(format!("{}.", reply.text))
    } else if is(&replies::BAD_STEERING) {
        ApiError::invalid("stream", format!("{}.", reply.text))
    } else if [replies::NO_SUCH_TEST_ADDRESS, replies::TEST_ADDRESS_AMONG_OTHERS].contains(reply) {
        ApiError::invalid("to", format!("{}.", reply.text))
    } else if *reply == replies::SANDBOXED {
        ApiError::Sandboxed
    } else if is(&replies::SENDER_NOT_ALLOWED) || is(&replies::FROM_NOT_ALLOWED) {
        ApiError::Forbidden(format!(
            "{}. Add its domain under Sending domains and verify it first.",
            reply.text
        ))
    } else if replies::is_account_paused(reply) {
        ApiError::Paused(reply.text.clone().into_owned())
    } else if is(&replies::ACCOUNT_SUSPENDED) {
        ApiError::Suspended(reply.text.clone().into_owned())
    } else if is(&replies::TOO_BIG) || is(&replies::HEADER_TOO_BIG) {
        ApiError::TooLarge
    } else if is(&replies::TOO_MANY_RECIPIENTS) {
        ApiError::invalid("to", "There are more recipients than one message may have.")
    } else if let Some(wait) = reply.wait {
        ApiError::RateReached(format!("{}.", reply.text), wait.as_secs())
    } else if reply.is_temporary() {
        ApiError::Unavailable
    } else {
        ApiError::invalid("message", format!("{}.", reply.text))
    }
}
