//! The recipients of a search as a sheet.

use axum::body::Body as Answer;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use bytes::Bytes;
use futures_util::stream;
use outbound::Outbound;
use outbound::csv::row;
use outbound::history::{Exported, Filter, Summary};

use super::messages::ListMessages;
use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::ApiResult;
use crate::http::json::Params;
use accounts::Scope;

/// Messages that are read at once; each may have a thousand recipients.
const PAGE: u32 = 50;
/// Lines of a sheet: more than most programs open gladly.
const MOST: usize = 100_000;

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
/// A line for each recipient of each message of the search as comma-separated values, up to 100,000; of a search for a state or a class
/// only the recipients that have it. What a spreadsheet program would take for a formula has an apostrophe before it.
#[utoipa::path(
    get, path = "/messages/export", tag = "messages", operation_id = "exportMessages", params(ListMessages),
    responses((status = 200, description = "The recipients", body = String, content_type = "text/csv")),
    security(("key" = ["messages"]), ("key" = ["read"]), ("session" = [])),
)]
pub(super) async fn export(
    State(parts): State<Parts>,
    caller: Caller,
    Params(asked): Params<ListMessages>,
) -> ApiResult<impl IntoResponse> {
    caller.reads(Scope::Messages)?;
    // A sheet is of one's own mail, whoever asks.
    let filter = asked.filter(Some(caller.account_id()), 0)?;
    // The first page is read before the answer begins: trouble with the database is a status and not half a sheet.
    let first = page(&parts.outbound, &filter).await?;
    let outbound = parts.outbound.clone();
    let begun = (row(&HEADING), first, 0_usize);
    let pages = stream::try_unfold(Some(begun), move |state| {
        let (outbound, mut filter) = (outbound.clone(), filter.clone());
        async move {
            let Some((mut text, messages, mut lines)) = state else {
                return Ok::<_, store::StoreError>(None);
            };
            for (message, recipients) in &messages {
                for recipient in recipients.iter().take(MOST - lines) {
                    text.push_str(&line(message, recipient));
                    lines += 1;
                }
            }
            let full = messages.len() == PAGE as usize && lines < MOST;
            let next = match messages.last().filter(|_| full) {
                Some((last, _)) => {
                    filter.after = Some(last.id);
                    Some((String::new(), page(&outbound, &filter).await?, lines))
                }
                None => None,
            };
            Ok(Some((Bytes::from(text), next)))
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"messages.csv\"",
        ),
    ];
    Ok((headers, Answer::from_stream(pages)))
}

async fn page(outbound: &Outbound, filter: &Filter) -> store::Result<Vec<(Summary, Vec<Exported>)>> {
    let filter = Filter {
        limit: PAGE,
        ..filter.clone()
    };
    outbound.export_messages(filter).await
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
