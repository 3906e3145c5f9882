//! The recipients of a search as a sheet.

use axum::body::Body as Answer;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use outbound::Outbound;
use outbound::csv::row;
use outbound::history::{ExportPage, ExportPlace, Exported, Filter, Summary};
use store::Id;

use super::messages::ListMessages;
use crate::budget::Claim;
use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, ApiResult, Problem};
use crate::http::json::Params;
use accounts::Scope;

/// Messages that are looked at in one go, and lines that are held at once.
const PAGE: u32 = 50;
const LINES: usize = 500;

const HEADING: [&str; 11] = [
    "accepted",
    "message",
    "from",
    "subject",
    "stream",
    "tags",
    "recipient",
    "state",
    "class",
    "reason",
    "since",
];

/// Export the recipients of a search
///
/// A line for each recipient of each message of the search as comma-separated values, all of them; of a search for a state or a class
/// only the recipients that have it. What a spreadsheet program would take for a formula has an apostrophe before it. Where something
/// breaks on the way the answer is cut off, which HTTP tells from its end. An account has two exports at once.
#[utoipa::path(
    get, path = "/messages/export", tag = "messages", operation_id = "exportMessages", params(ListMessages),
    responses(
        (status = 200, description = "The recipients", body = String, content_type = "text/csv"),
        (status = 429, description = "Two exports of the account are being written", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["messages"]), ("key" = ["read"]), ("session" = [])),
)]
pub(super) async fn export(
    State(parts): State<Parts>,
    caller: Caller,
    Params(asked): Params<ListMessages>,
) -> ApiResult<impl IntoResponse> {
    caller.reads(Scope::Messages)?;
    // A sheet is of one's own mail, whoever asks.
    let filter = Filter {
        limit: PAGE,
        ..asked.filter(Some(caller.account_id()), 0)?
    };
    let claim = claim(&parts, caller.account_id())?;
    // The first page is read before the answer begins: trouble with the database is a status and not half a sheet.
    let first = page(&parts.outbound, &filter, ExportPlace::default()).await?;
    let outbound = parts.outbound.clone();
    let pages = stream::try_unfold(Some((row(&HEADING), first)), move |state| {
        let (outbound, filter) = (outbound.clone(), filter.clone());
        async move {
            let Some((mut text, page_now)) = state else {
                return Ok::<_, store::StoreError>(None);
            };
            for (message, recipients) in &page_now.messages {
                for recipient in recipients {
                    text.push_str(&line(message, recipient));
                }
            }
            let next = match page_now.next {
                Some(place) => Some((String::new(), page(&outbound, &filter, place).await?)),
                None => None,
            };
            Ok(Some((Bytes::from(text), next)))
        }
    });
    Ok(sheet("messages.csv", pages, claim))
}

/// The right to write one more sheet of an account.
pub(super) fn claim(parts: &Parts, account: Id) -> ApiResult<Claim> {
    parts.exports.claim(account, 1).ok_or(ApiError::ManyExports)
}

/// The answer that carries a sheet; the claim is given back when it ends, however it ends.
pub(super) fn sheet<S>(name: &'static str, pages: S, claim: Claim) -> impl IntoResponse
where
    S: Stream<Item = store::Result<Bytes>> + Send + 'static,
{
    let pages = pages.inspect(move |_| {
        let _ = &claim;
    });
    let headers = [
        (
            header::CONTENT_TYPE,
            "text/csv; charset=utf-8; header=present".to_owned(),
        ),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        ),
    ];
    (headers, Answer::from_stream(pages))
}

async fn page(outbound: &Outbound, filter: &Filter, place: ExportPlace) -> store::Result<ExportPage> {
    outbound.export_messages(filter.clone(), place, LINES).await
}

fn line(message: &Summary, recipient: &Exported) -> String {
    row(&[
        &message.created_at.rfc3339(),
        &message.id.to_string(),
        &message.from,
        &message.subject,
        &message.stream,
        &message.tags.join(" "),
        &recipient.address,
        &recipient.state,
        recipient.class.as_deref().unwrap_or_default(),
        &recipient.reason,
        &recipient.updated_at.rfc3339(),
    ])
}
