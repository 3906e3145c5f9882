//! Suppressions: whom the account is not to write to.

use accounts::Scope;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use bytes::Bytes;
use futures_util::stream;
use mail::address::Address;
use outbound::suppressions::{self, EVERY_STREAM, Filter, Suppression, Why};
use outbound::{Outbound, Suppress, Suppressed, off_the_workers};
use serde::{Deserialize, Serialize};
use store::Id;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::export::{claim, sheet};
use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, ApiResult, Problem};
use crate::http::heavy::Heavy;
use crate::http::json::{Body, Named, Params, cursor, id};
use crate::http::paging::{SearchPage, limit};

/// Entries that an export reads at once.
const EXPORTED: u32 = 1_000;
/// Lines with a mistake that a report lists; the others are counted.
const LISTED: usize = 500;

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(import))
        .routes(routes!(export))
        .routes(routes!(remove))
}

/// Why an address is on the list.
#[derive(Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SuppressionReason)]
enum Reason {
    HardBounce,
    Complaint,
    Unsubscribe,
    Manual,
    Import,
}

impl From<Why> for Reason {
    fn from(why: Why) -> Self {
        match why {
            Why::HardBounce => Self::HardBounce,
            Why::Complaint => Self::Complaint,
            Why::Unsubscribe => Self::Unsubscribe,
            Why::Manual => Self::Manual,
            Why::Import => Self::Import,
        }
    }
}

impl From<Reason> for Why {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::HardBounce => Self::HardBounce,
            Reason::Complaint => Self::Complaint,
            Reason::Unsubscribe => Self::Unsubscribe,
            Reason::Manual => Self::Manual,
            Reason::Import => Self::Import,
        }
    }
}

/// An address that gets no mail of this account.
#[derive(Serialize, ToSchema)]
#[schema(as = Suppression)]
struct SuppressionView {
    id: String,
    #[schema(example = "bob@example.net")]
    address: String,
    /// The stream that it counts for; null for all of them.
    #[schema(required = true, example = "marketing")]
    stream: Option<String>,
    reason: Reason,
    note: String,
    /// The message that bounced, or that was complained about.
    #[schema(required = true)]
    message: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<Suppression> for SuppressionView {
    fn from(one: Suppression) -> Self {
        Self {
            id: one.id.to_string(),
            address: one.address,
            stream: Some(one.stream).filter(|stream| stream != EVERY_STREAM),
            reason: one.why.into(),
            note: one.note,
            message: one.message.map(|id| id.to_string()),
            created_at: one.created_at.rfc3339(),
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListSuppressions {
    /// A part of an address or of a note.
    q: Option<String>,
    /// Only those that count for this stream alone.
    stream: Option<String>,
    reason: Option<Reason>,
    /// Items on a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// List the suppressions
///
/// Addresses that get no mail of this account, the newest first. Who bounced for good or complained is here by itself.
#[utoipa::path(
    get, path = "/suppressions", tag = "suppressions", operation_id = "listSuppressions", params(ListSuppressions),
    responses((status = 200, description = "A page of addresses", body = SearchPage<SuppressionView>)),
    security(("key" = ["account"]), ("key" = ["read"]), ("session" = [])),
)]
async fn list(
    State(parts): State<Parts>,
    caller: Caller,
    Params(asked): Params<ListSuppressions>,
) -> ApiResult<Json<SearchPage<SuppressionView>>> {
    caller.reads(Scope::Account)?;
    let limit = limit(asked.limit)?;
    let text = asked.q.map(|text| text.trim().to_owned());
    if text.as_ref().is_some_and(|text| text.len() > 254) {
        return Err(ApiError::invalid("q", "That is too long."));
    }
    let filter = Filter {
        text: text.filter(|text| !text.is_empty()),
        stream: asked.stream.map(|name| stream_of(Some(name))).transpose()?,
        why: asked.reason.map(Why::from),
        limit: limit + 1,
        after: cursor(asked.after.as_deref())?,
    };
    let found = parts.outbound.suppressions(caller.account_id(), filter).await?;
    let page = SearchPage::of(found, limit, |one| one.id);
    Ok(Json(page.map(SuppressionView::from)))
}

/// An address to be suppressed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateSuppression {
    #[schema(example = "bob@example.net")]
    address: String,
    /// Without it, it counts for every stream.
    #[schema(example = "marketing")]
    stream: Option<String>,
    /// Up to 200 characters.
    #[serde(default)]
    #[schema(required = false, example = "asked on the phone")]
    note: String,
}

/// Suppress an address
///
/// From the next message on it gets nothing, and costs nothing. What is being delivered already is still sent; what is scheduled
/// is not.
#[utoipa::path(
    post, path = "/suppressions", tag = "suppressions", operation_id = "createSuppression",
    request_body = CreateSuppression,
    responses(
        (status = 200, description = "It was suppressed before, and is as it was", body = SuppressionView),
        (status = 201, description = "Suppressed", body = SuppressionView),
        (status = 409, description = "The account has as many as it can have", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The address, the stream or the note is not accepted", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["account"]), ("session" = [])),
)]
async fn create(
    State(parts): State<Parts>,
    caller: Caller,
    Body(new): Body<CreateSuppression>,
) -> ApiResult<(StatusCode, Json<SuppressionView>)> {
    caller.needs(Scope::Account)?;
    let address = Address::parse(new.address.trim())
        .map_err(|error| ApiError::invalid("address", error.to_string()))?;
    let new = Suppress {
        stream: stream_of(new.stream)?,
        address,
        note: note_of(&new.note)?,
    };
    let done = parts
        .outbound
        .suppress(caller.account_id(), new, &caller.by())
        .await?;
    match done {
        Suppressed::Added(one) => {
            tracing::info!(suppression = %one.id, account = %caller.account_id(), "an address was suppressed");
            Ok((StatusCode::CREATED, Json(one.into())))
        }
        Suppressed::Already(one) => Ok((StatusCode::OK, Json(one.into()))),
        Suppressed::Full => Err(full()),
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct RemoveSuppression {
    /// Why it may be written to again; it stands in the audit log. Without it nothing is removed.
    #[serde(default)]
    #[param(required = true, example = "has a new mailbox")]
    note: String,
}

/// Take an address from the list
///
/// It gets mail again. Do so only when its owner wants that.
#[utoipa::path(
    delete, path = "/suppressions/{id}", tag = "suppressions", operation_id = "removeSuppression",
    params(("id" = String, Path, description = "The entry"), RemoveSuppression),
    responses(
        (status = 204, description = "Removed"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The note is missing", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["account"]), ("session" = [])),
)]
async fn remove(
    State(parts): State<Parts>,
    caller: Caller,
    Named(entry): Named<String>,
    Params(why): Params<RemoveSuppression>,
) -> ApiResult<StatusCode> {
    caller.needs(Scope::Account)?;
    let entry = id(&entry, "suppression")?;
    let note = note_of(&why.note)?;
    if note.is_empty() {
        return Err(ApiError::invalid("note", "Say why it may be written to again."));
    }
    let account = caller.account_id();
    let removed = parts
        .outbound
        .unsuppress(account, entry, &note, &caller.by())
        .await?;
    removed.ok_or(ApiError::NotFound("suppression"))?;
    tracing::info!(suppression = %entry, %account, "an address was taken from the suppressions");
    Ok(StatusCode::NO_CONTENT)
}

/// A list to be imported.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ImportSuppressions {
    /// Comma-separated values: one address a line, or a first line that names the columns `address` and `note`.
    #[schema(example = "address,note\nbob@example.net,asked on the phone\n")]
    csv: String,
    /// Without it, they count for every stream.
    #[schema(example = "marketing")]
    stream: Option<String>,
}

/// What came of an import.
#[derive(Serialize, ToSchema)]
struct ImportReport {
    added: u64,
    /// On the list before, or in the import twice.
    already: u64,
    /// Lines that could not be read.
    refused: usize,
    /// The first 500 of them.
    lines: Vec<RefusedLine>,
    /// The account has as many suppressions as it can have: this line and those behind it were not imported.
    #[schema(required = true)]
    full_from: Option<usize>,
}

/// A line that was not imported.
#[derive(Serialize, ToSchema)]
struct RefusedLine {
    /// From 1.
    line: usize,
    /// What stands there.
    text: String,
    #[schema(example = "the address has no @")]
    problem: String,
}

/// Import suppressions
///
/// Up to 200,000 lines. An import only adds: it never takes an address from the list and changes none that is there.
#[utoipa::path(
    post, path = "/suppressions/import", tag = "suppressions", operation_id = "importSuppressions",
    request_body = ImportSuppressions,
    responses(
        (status = 200, description = "Done, with a word about each line that was not taken", body = ImportReport),
        (status = 422, description = "This is no list", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["account"]), ("session" = [])),
)]
async fn import(
    State(parts): State<Parts>,
    caller: Caller,
    Heavy { value, share: _share }: Heavy<ImportSuppressions>,
) -> ApiResult<Json<ImportReport>> {
    caller.needs(Scope::Account)?;
    let stream = stream_of(value.stream)?;
    let csv = value.csv;
    let sheet = off_the_workers(csv.len(), move || suppressions::read_sheet(&csv))
        .await
        .map_err(|error| ApiError::internal(&error))?
        .map_err(|error| ApiError::invalid("csv", error.to_string()))?;
    let account = caller.account_id();
    let done = parts
        .outbound
        .import_suppressions(account, &stream, sheet, &caller.by())
        .await?;
    tracing::info!(%account, added = done.added, refused = done.refused.len(), "suppressions imported");
    let refused = done.refused.len();
    let lines = done.refused.into_iter().take(LISTED);
    Ok(Json(ImportReport {
        added: done.added,
        already: done.already,
        refused,
        lines: lines
            .map(|(line, text, problem)| RefusedLine { line, text, problem })
            .collect(),
        full_from: done.full_from,
    }))
}

/// Export the suppressions
///
/// All of them as comma-separated values, the newest first. What a spreadsheet program would take for a formula has an
/// apostrophe before it, which the import takes away again. Where something breaks on the way the answer is cut off, which HTTP
/// tells from its end. An account has two exports at once.
#[utoipa::path(
    get, path = "/suppressions/export", tag = "suppressions", operation_id = "exportSuppressions",
    responses(
        (status = 200, description = "The list", body = String, content_type = "text/csv"),
        (status = 429, description = "Two exports of the account are being written", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["account"]), ("key" = ["read"]), ("session" = [])),
)]
async fn export(State(parts): State<Parts>, caller: Caller) -> ApiResult<impl IntoResponse> {
    caller.reads(Scope::Account)?;
    let account = caller.account_id();
    let claim = claim(&parts, account)?;
    // The first page is read before the answer begins: trouble with the database is a status and not half a list.
    let first = page(&parts.outbound, account, None).await?;
    let outbound = parts.outbound.clone();
    let pages = stream::try_unfold(Some((suppressions::heading(), first)), move |state| {
        let outbound = outbound.clone();
        async move {
            let Some((mut text, (entries, after))) = state else {
                return Ok::<_, store::StoreError>(None);
            };
            for one in &entries {
                text.push_str(&suppressions::line(one));
            }
            let next = match after {
                Some(after) => Some((String::new(), page(&outbound, account, Some(after)).await?)),
                None => None,
            };
            Ok(Some((Bytes::from(text), next)))
        }
    });
    Ok(sheet("suppressions.csv", pages, claim))
}

async fn page(
    outbound: &Outbound,
    account: Id,
    after: Option<Id>,
) -> store::Result<(Vec<Suppression>, Option<Id>)> {
    let filter = Filter {
        limit: EXPORTED,
        after,
        ..Filter::default()
    };
    let entries = outbound.suppressions(account, filter).await?;
    let entries = entries.items;
    let full = entries.len() == EXPORTED as usize;
    let after = entries.last().filter(|_| full).map(|one| one.id);
    Ok((entries, after))
}

/// The stream that is named, or all of them.
fn stream_of(name: Option<String>) -> ApiResult<String> {
    let name = name.unwrap_or_default();
    let fine = |sign: char| sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == '-';
    if name.len() > 40 || !name.chars().all(fine) {
        return Err(ApiError::invalid("stream", "There is no such stream."));
    }
    Ok(name)
}

fn note_of(note: &str) -> ApiResult<String> {
    suppressions::note(note)
        .ok_or_else(|| ApiError::invalid("note", "A note is one line of at most 200 characters."))
}

fn full() -> ApiError {
    ApiError::Conflict(format!(
        "The account has {} suppressions that its people made, the most that one can have.",
        suppressions::MOST
    ))
}
