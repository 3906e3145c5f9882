//! What was said with another server in one attempt.

use axum::Json;
use axum::extract::State;
use outbound::spool::transcripts::{Line, Who};
use serde::Serialize;
use utoipa::ToSchema;

use super::content::whose;
use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, ApiResult, Problem};
use crate::http::json::{Named, id};

/// A conversation, line by line.
#[derive(Serialize, ToSchema)]
pub(super) struct Transcript {
    lines: Vec<TranscriptLine>,
}

/// A line of a conversation.
#[derive(Serialize, ToSchema)]
struct TranscriptLine {
    /// Milliseconds since the connection was begun; of a message that was not its first, since that message was.
    at_ms: u64,
    by: Speaker,
    #[schema(example = "250 2.1.0 Ok")]
    text: String,
}

/// Who said a line: this server, the other one, or nobody: then it says what happened beside the conversation.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Speaker {
    We,
    They,
    Note,
}

impl From<Line> for TranscriptLine {
    fn from(line: Line) -> Self {
        Self {
            at_ms: line.milliseconds,
            by: match line.who {
                Who::We => Speaker::We,
                Who::They => Speaker::They,
                Who::Note => Speaker::Note,
            },
            text: line.text,
        }
    }
}

/// Read what was said in an attempt
///
/// The commands and replies of the SMTP session, without passwords and without the message itself. A transaction is for all recipients
/// that went with it, so others of the same message may be named. Where everything went well, of the opening of the connection
/// only the greeting and the encryption are kept. Kept for 30 days.
#[utoipa::path(
    get, path = "/messages/{id}/recipients/{ordinal}/attempts/{number}", tag = "messages", operation_id = "getTranscript",
    params(
        ("id" = String, Path, description = "The message"), ("ordinal" = u32, Path, description = "The recipient's number"),
        ("number" = u32, Path, description = "The attempt's number"),
    ),
    responses(
        (status = 200, description = "The conversation", body = Transcript),
        (status = 404, description = "There is no such attempt, no connection was tried in it, or it is too long ago", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["messages"]), ("key" = ["read"]), ("session" = [])),
)]
pub(super) async fn read(
    State(parts): State<Parts>,
    caller: Caller,
    Named((message, ordinal, number)): Named<(String, u32, u32)>,
) -> ApiResult<Json<Transcript>> {
    let (account, message) = (whose(&caller)?, id(&message, "message")?);
    let found = parts
        .outbound
        .transcript(account, (message, ordinal, number))
        .await?;
    let lines = found.ok_or(ApiError::NotFound("transcript"))?;
    let lines = lines.into_iter().map(TranscriptLine::from).collect();
    Ok(Json(Transcript { lines }))
}
