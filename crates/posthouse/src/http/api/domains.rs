//! Sending domains and the DNS records that vouch for them.

use std::time::Duration;

use accounts::Scope;
use accounts::domains::{Answer, Findings, Record, SendingDomain};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use outbound::route::Names;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, ApiResult, Problem};
use crate::http::json::{Body, Named, id};
use crate::http::paging::Page;

/// How long one name server has for one answer.
const PATIENCE: Duration = Duration::from_secs(5);

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(read, remove))
        .routes(routes!(check))
}

/// A domain that the account sends from, or wants to.
#[derive(Serialize, ToSchema)]
#[schema(as = Domain)]
struct DomainView {
    id: String,
    /// In U-labels.
    #[schema(example = "shop.example")]
    name: String,
    state: DomainState,
    /// `dns` when a record of ours was found, `operator` when the operator vouches for it, empty while pending.
    #[schema(example = "dns")]
    verified_by: &'static str,
    #[schema(required = true, format = DateTime)]
    verified_at: Option<String>,
    /// When DNS was last asked.
    #[schema(required = true, format = DateTime)]
    checked_at: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    /// What to publish, and what was found in its place.
    records: Vec<RecordView>,
}

/// Whether the account may send from a domain.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum DomainState {
    Pending,
    Verified,
}

/// What a record is for.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum RecordPurpose {
    DkimRsa,
    DkimEd25519,
    Spf,
    Dmarc,
}

/// One DNS record to publish.
#[derive(Serialize, ToSchema)]
#[schema(as = DomainRecord)]
struct RecordView {
    purpose: RecordPurpose,
    #[schema(example = "TXT")]
    r#type: &'static str,
    /// The full name, without a dot at its end.
    #[schema(example = "ph2611r._domainkey.shop.example")]
    name: String,
    value: String,
    /// One of the required records is enough to verify the domain.
    required: bool,
    /// What the last check found under the name.
    found: Vec<String>,
    /// Null until the first check.
    #[schema(required = true)]
    ok: Option<bool>,
    /// What is wrong and what to do.
    #[schema(required = true)]
    problem: Option<String>,
}

impl From<Record> for RecordView {
    fn from(record: Record) -> Self {
        use accounts::domains::Purpose;
        Self {
            purpose: match record.purpose {
                Purpose::DkimRsa => RecordPurpose::DkimRsa,
                Purpose::DkimEd25519 => RecordPurpose::DkimEd25519,
                Purpose::Spf => RecordPurpose::Spf,
                Purpose::Dmarc => RecordPurpose::Dmarc,
            },
            r#type: "TXT",
            name: record.name,
            value: record.value,
            required: record.required,
            found: record.found,
            ok: record.ok,
            problem: record.problem,
        }
    }
}

impl From<SendingDomain> for DomainView {
    fn from(domain: SendingDomain) -> Self {
        Self {
            id: domain.id.to_string(),
            name: domain.name.to_unicode().into_owned(),
            state: if domain.verified.is_some() {
                DomainState::Verified
            } else {
                DomainState::Pending
            },
            verified_by: domain.verified.map_or("", |(by, _)| by.as_str()),
            verified_at: domain.verified.map(|(_, at)| at.rfc3339()),
            checked_at: domain.checked_at.map(mail::time::Time::rfc3339),
            created_at: domain.created_at.rfc3339(),
            records: domain.records.into_iter().map(RecordView::from).collect(),
        }
    }
}

/// List the domains
#[utoipa::path(
    get, path = "/domains", tag = "domains", operation_id = "listDomains",
    responses((status = 200, description = "All domains of the account, by name", body = Page<DomainView>)),
    security(("key" = ["domains"]), ("key" = ["read"]), ("session" = [])),
)]
async fn list(State(parts): State<Parts>, caller: Caller) -> ApiResult<Json<Page<DomainView>>> {
    caller.reads(Scope::Domains)?;
    let items = parts
        .accounts
        .domains(caller.account_id())
        .await?
        .into_iter()
        .map(DomainView::from)
        .collect();
    Ok(Json(Page { items, next: None }))
}

/// A domain to be added.
#[derive(Deserialize, ToSchema)]
struct AddDomain {
    /// What stands behind the @ of your senders.
    #[schema(example = "shop.example")]
    name: String,
}

/// Add a domain
///
/// Makes its DKIM keys (RSA-2048 and Ed25519). Publish the records of the answer, then check them; as soon as one of the
/// DKIM records is found, the account may send from every address of the domain and its mail is signed.
#[utoipa::path(
    post, path = "/domains", tag = "domains", operation_id = "addDomain", request_body = AddDomain,
    responses(
        (status = 201, description = "Added", body = DomainView),
        (status = 409, description = "The account has it already, or as many as it can have", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The name is no domain to send from", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["domains"]), ("session" = [])),
)]
async fn add(
    State(parts): State<Parts>,
    caller: Caller,
    Body(new): Body<AddDomain>,
) -> ApiResult<(StatusCode, Json<DomainView>)> {
    caller.needs(Scope::Domains)?;
    let added = parts
        .accounts
        .add_domain(caller.account_id(), &new.name, false, &caller.by())
        .await;
    let domain = added.map_err(|error| match error {
        accounts::AccountsError::Address(error) => ApiError::invalid("name", error.to_string()),
        error => error.into(),
    })?;
    tracing::info!(domain = %domain.id, account = %caller.account_id(), "sending domain added");
    Ok((StatusCode::CREATED, Json(domain.into())))
}

/// Read one domain
#[utoipa::path(
    get, path = "/domains/{id}", tag = "domains", operation_id = "getDomain",
    params(("id" = String, Path, description = "The domain")),
    responses(
        (status = 200, description = "The domain", body = DomainView),
        (status = 404, description = "The account has none of this id", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["domains"]), ("key" = ["read"]), ("session" = [])),
)]
async fn read(
    State(parts): State<Parts>,
    caller: Caller,
    Named(domain): Named<String>,
) -> ApiResult<Json<DomainView>> {
    caller.reads(Scope::Domains)?;
    let domain = id(&domain, "domain")?;
    Ok(Json(
        parts.accounts.domain(caller.account_id(), domain).await?.into(),
    ))
}

/// Remove a domain
///
/// With its keys. The account may no longer send from it; what is queued is delivered without a signature.
#[utoipa::path(
    delete, path = "/domains/{id}", tag = "domains", operation_id = "removeDomain",
    params(("id" = String, Path, description = "The domain")),
    responses(
        (status = 204, description = "Removed"),
        (status = 404, description = "The account has none of this id", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["domains"]), ("session" = [])),
)]
async fn remove(
    State(parts): State<Parts>,
    caller: Caller,
    Named(domain): Named<String>,
) -> ApiResult<StatusCode> {
    caller.needs(Scope::Domains)?;
    caller.needs_fresh()?;
    let domain = id(&domain, "domain")?;
    parts
        .accounts
        .remove_domain(caller.account_id(), domain, &caller.by())
        .await?;
    tracing::info!(%domain, account = %caller.account_id(), "sending domain removed");
    Ok(StatusCode::NO_CONTENT)
}

/// Check the records of a domain
///
/// Asks DNS now and answers with what it found, record by record.
#[utoipa::path(
    post, path = "/domains/{id}/check", tag = "domains", operation_id = "checkDomain",
    params(("id" = String, Path, description = "The domain")),
    responses(
        (status = 200, description = "The domain after the check", body = DomainView),
        (status = 404, description = "The account has none of this id", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["domains"]), ("session" = [])),
)]
async fn check(
    State(parts): State<Parts>,
    caller: Caller,
    Named(domain): Named<String>,
) -> ApiResult<Json<DomainView>> {
    caller.needs(Scope::Domains)?;
    let domain = id(&domain, "domain")?;
    let names = parts.accounts.names_to_check(caller.account_id(), domain).await?;
    // A resolver of its own remembers nothing: whoever just published a record wants to know what is there now.
    let dns = Names::new(&parts.settings.resolver, PATIENCE).map_err(|error| ApiError::internal(&error))?;
    let dns = &dns;
    let lookups = names.into_iter().map(|name| async move {
        let answer = match dns.texts(&name).await {
            Ok(found) => Answer::Found(found),
            Err(reason) => Answer::Failed(reason),
        };
        (name, answer)
    });
    let findings: Findings = futures_util::future::join_all(lookups)
        .await
        .into_iter()
        .collect();
    Ok(Json(
        parts
            .accounts
            .record_check(caller.account_id(), domain, findings, &caller.by())
            .await?
            .into(),
    ))
}
