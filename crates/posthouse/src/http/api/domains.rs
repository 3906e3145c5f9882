//! Sending domains and the DNS records that vouch for them.

use accounts::Scope;
use accounts::domains::{Purpose, Record, SendingDomain, Stage, zone};
use accounts::tracking::MayTrack;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use mail::time::Time;
use outbound::domains::CheckError;
use serde::{Deserialize, Serialize};
use store::Tx;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, ApiResult, Problem};
use crate::http::json::{Body, Named, id};
use crate::http::paging::Page;
use crate::tls::kept::{self, Fault, Kept};

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(read, remove))
        .routes(routes!(check))
        .routes(routes!(switch_tracking))
        .routes(routes!(renew_keys))
        .routes(routes!(zone_file))
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
    /// When DNS was last asked. It is asked again by itself, a pending domain more often than a verified one.
    #[schema(required = true, format = DateTime)]
    checked_at: Option<String>,
    /// The name servers that were asked; empty until then.
    #[schema(example = "192.0.2.53")]
    resolver: String,
    /// Since when none of the DKIM records of a verified domain is found any more. Its mail is sent all the same.
    #[schema(required = true, format = DateTime)]
    missing_since: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    tracking: DomainTracking,
    /// How the certificate for the name of the domain's links stands. Null where that name does not lead here, and where this
    /// server fetches none.
    #[schema(required = true)]
    links_certificate: Option<LinksCertificate>,
    /// What to publish, and what was found in its place.
    records: Vec<RecordView>,
}

/// What may be tracked of mail from a domain. What is false is not tracked, whatever messages and streams say.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DomainTracking {
    opens: bool,
    clicks: bool,
}

/// The certificate for the name of a domain's links. The name stands in links as soon as there is one.
#[derive(Serialize, ToSchema)]
struct LinksCertificate {
    state: CertificateState,
    /// Until when the one in force holds; it is renewed in time.
    #[schema(required = true, format = DateTime)]
    valid_until: Option<String>,
    /// When one was ordered last.
    #[schema(required = true, format = DateTime)]
    tried_at: Option<String>,
    /// When the next one is ordered.
    #[schema(required = true, format = DateTime)]
    next_try_at: Option<String>,
    /// Why the last order failed.
    #[schema(required = true)]
    problem: Option<String>,
}

/// How a certificate stands.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum CertificateState {
    /// Its turn to be ordered has not come yet.
    Waiting,
    Issued,
    /// The last order failed. An older one may still hold.
    Failing,
}

impl LinksCertificate {
    fn of(kept: Option<Kept>, now: Time) -> Self {
        let Some(kept) = kept else {
            return Self {
                state: CertificateState::Waiting,
                valid_until: None,
                tried_at: None,
                next_try_at: None,
                problem: None,
            };
        };
        let state = match kept.state(now) {
            kept::State::Waiting => CertificateState::Waiting,
            kept::State::Issued => CertificateState::Issued,
            kept::State::Failing => CertificateState::Failing,
        };
        Self {
            state,
            valid_until: kept.not_after.filter(|end| *end > now).map(Time::rfc3339),
            tried_at: kept.tried_at.map(Time::rfc3339),
            next_try_at: Some(kept.next_at.max(now).rfc3339()),
            problem: kept.fault.map(|fault| match fault {
                Fault::Name => kept.error,
                Fault::Authority => {
                    "The certificate authority could not be asked, or refused. The operator of this service sees why.".to_owned()
                }
                Fault::Limit => "This account has had as many orders as it can have in a day.".to_owned(),
            }),
        }
    }
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
    /// An alias to a key of the operator, instead of a key of the domain's own.
    DkimDelegated,
    Spf,
    Dmarc,
    ReturnPath,
    /// The name that links in the domain's mail have.
    Links,
    /// A logo beside the mail, for those who have one.
    Bimi,
}

/// Where a record stands in the life of its key; records of no key are always in use.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum RecordStage {
    InUse,
    /// Its key signs as soon as the record is found.
    Next,
    /// Its key signs no more; the record is needed for mail that is on its way.
    Leaving,
}

/// How much a record is needed.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum RecordNeed {
    /// One of the records that say so is enough to verify the domain, whichever it is.
    OneOf,
    Recommended,
    Optional,
}

/// One DNS record to publish.
#[derive(Serialize, ToSchema)]
#[schema(as = DomainRecord)]
struct RecordView {
    purpose: RecordPurpose,
    /// `TXT` or `CNAME`.
    #[schema(example = "TXT")]
    r#type: &'static str,
    stage: RecordStage,
    /// Until when a record that is leaving is needed.
    #[schema(required = true, format = DateTime)]
    needed_until: Option<String>,
    /// The full name, without a dot at its end.
    #[schema(example = "ph2611r._domainkey.shop.example")]
    name: String,
    value: String,
    need: RecordNeed,
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
        Self {
            purpose: match record.purpose {
                Purpose::DkimRsa => RecordPurpose::DkimRsa,
                Purpose::DkimEd25519 => RecordPurpose::DkimEd25519,
                Purpose::DkimDelegated => RecordPurpose::DkimDelegated,
                Purpose::Bimi => RecordPurpose::Bimi,
                Purpose::Spf => RecordPurpose::Spf,
                Purpose::Dmarc => RecordPurpose::Dmarc,
                Purpose::ReturnPath => RecordPurpose::ReturnPath,
                Purpose::Links => RecordPurpose::Links,
            },
            r#type: record.kind.as_str(),
            needed_until: match record.stage {
                Stage::Leaving(until) => Some(until.rfc3339()),
                Stage::InUse | Stage::Next => None,
            },
            stage: match record.stage {
                Stage::InUse => RecordStage::InUse,
                Stage::Next => RecordStage::Next,
                Stage::Leaving(_) => RecordStage::Leaving,
            },
            name: record.name,
            value: record.value,
            need: if record.verifies {
                RecordNeed::OneOf
            } else if record.purpose == Purpose::Bimi {
                RecordNeed::Optional
            } else {
                RecordNeed::Recommended
            },
            found: record.found,
            ok: record.ok,
            problem: record.problem,
        }
    }
}

impl DomainView {
    fn of(domain: SendingDomain, links_certificate: Option<LinksCertificate>) -> Self {
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
            checked_at: domain.checked_at.map(Time::rfc3339),
            resolver: domain.resolver,
            missing_since: domain.missing_since.map(Time::rfc3339),
            created_at: domain.created_at.rfc3339(),
            tracking: DomainTracking {
                opens: domain.may_track.opens,
                clicks: domain.may_track.clicks,
            },
            links_certificate,
            records: domain.records.into_iter().map(RecordView::from).collect(),
        }
    }
}

/// Domains as they are shown, with what is kept of their certificates.
async fn views(parts: &Parts, domains: Vec<SendingDomain>) -> ApiResult<Vec<DomainView>> {
    let fetches = parts.settings.fetches_certificates;
    let leads_here = |record: &&Record| record.purpose == Purpose::Links && record.ok == Some(true);
    let names: Vec<Option<String>> = domains
        .iter()
        .map(|domain| {
            let record = domain.records.iter().find(leads_here).filter(|_| fetches);
            record.map(|record| record.name.to_ascii_lowercase())
        })
        .collect();
    let now = parts.clock.now();
    let certificates = if names.iter().all(Option::is_none) {
        names.iter().map(|_| None).collect()
    } else {
        let read = move |tx: &mut Tx<'_>| {
            let one = |name: &Option<String>| name.as_ref().map(|name| kept::one(tx, name)).transpose();
            names.iter().map(one).collect::<store::Result<Vec<_>>>()
        };
        let read = parts.db.read("read certificates for links", read).await;
        read.map_err(|error| ApiError::internal(&error))?
    };
    let shown = domains.into_iter().zip(certificates);
    Ok(shown
        .map(|(domain, kept)| DomainView::of(domain, kept.map(|kept| LinksCertificate::of(kept, now))))
        .collect())
}

async fn view(parts: &Parts, domain: SendingDomain) -> ApiResult<Json<DomainView>> {
    let shown = views(parts, vec![domain]).await?.pop();
    shown.map(Json).ok_or(ApiError::Internal)
}

/// List the domains
#[utoipa::path(
    get, path = "/domains", tag = "domains", operation_id = "listDomains",
    responses((status = 200, description = "All domains of the account, by name", body = Page<DomainView>)),
    security(("key" = ["domains"]), ("key" = ["read"]), ("session" = [])),
)]
async fn list(State(parts): State<Parts>, caller: Caller) -> ApiResult<Json<Page<DomainView>>> {
    caller.reads(Scope::Domains)?;
    let domains = parts.accounts.domains(caller.account_id()).await?;
    let items = views(&parts, domains).await?;
    Ok(Json(Page { items, next: None }))
}

/// A domain to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
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
    Ok((StatusCode::CREATED, view(&parts, domain).await?))
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
    let domain = parts.accounts.domain(caller.account_id(), domain).await?;
    view(&parts, domain).await
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
/// Asks DNS now and answers with what it found, record by record. An account may do so 60 times an hour; domains are looked at by
/// themselves as well.
#[utoipa::path(
    post, path = "/domains/{id}/check", tag = "domains", operation_id = "checkDomain",
    params(("id" = String, Path, description = "The domain")),
    responses(
        (status = 200, description = "The domain after the check", body = DomainView),
        (status = 404, description = "The account has none of this id", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many checks of the account came lately", body = Problem, content_type = "application/problem+json"),
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
    parts.accounts.begin_domain_check(caller.account_id()).await?;
    let place = (caller.account_id(), domain);
    let resolver = &parts.settings.resolver;
    let checked = outbound::domains::check(&parts.accounts, resolver, place, &caller.by()).await;
    let checked = checked.map_err(|error| match error {
        CheckError::Accounts(error) => error.into(),
        CheckError::Dns(error) => ApiError::internal(&error),
    })?;
    view(&parts, checked).await
}

/// Say what may be tracked of mail from a domain
///
/// It counts for messages with a From of this very domain that are accepted from now on, whether or not the domain is verified. Where the
/// account does not allow tracking, nothing is tracked all the same.
#[utoipa::path(
    put, path = "/domains/{id}/tracking", tag = "domains", operation_id = "switchDomainTracking",
    params(("id" = String, Path, description = "The domain")), request_body = DomainTracking,
    responses(
        (status = 200, description = "The domain after the change", body = DomainView),
        (status = 404, description = "The account has none of this id", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["domains"]), ("session" = [])),
)]
async fn switch_tracking(
    State(parts): State<Parts>,
    caller: Caller,
    Named(domain): Named<String>,
    Body(asked): Body<DomainTracking>,
) -> ApiResult<Json<DomainView>> {
    caller.needs(Scope::Domains)?;
    let domain = id(&domain, "domain")?;
    let may = MayTrack {
        opens: asked.opens,
        clicks: asked.clicks,
    };
    let switched = parts
        .accounts
        .switch_domain_tracking(caller.account_id(), domain, may, &caller.by())
        .await?;
    tracing::info!(%domain, account = %caller.account_id(), "tracking of a domain switched");
    view(&parts, switched).await
}

/// Make new keys for a domain
///
/// A new pair beside the one in use, each under a name of its own. Publish its records: from the check that finds one on, the
/// new key signs, and the old one's record stays for seven days, for mail that is on its way.
#[utoipa::path(
    post, path = "/domains/{id}/keys", tag = "domains", operation_id = "renewDomainKeys",
    params(("id" = String, Path, description = "The domain")),
    responses(
        (status = 201, description = "The domain with the records of its new keys", body = DomainView),
        (status = 404, description = "The account has none of this id", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "New keys wait for their records already", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["domains"]), ("session" = [])),
)]
async fn renew_keys(
    State(parts): State<Parts>,
    caller: Caller,
    Named(domain): Named<String>,
) -> ApiResult<(StatusCode, Json<DomainView>)> {
    caller.needs(Scope::Domains)?;
    caller.needs_fresh()?;
    let domain = id(&domain, "domain")?;
    let renewed = parts
        .accounts
        .renew_domain_keys(caller.account_id(), domain, &caller.by())
        .await?;
    tracing::info!(%domain, account = %caller.account_id(), "new DKIM keys made");
    Ok((StatusCode::CREATED, view(&parts, renewed).await?))
}

/// Read the records of a domain as a zone file
///
/// Lines for the zone of the domain, in the format of RFC 1035, with every record to publish.
#[utoipa::path(
    get, path = "/domains/{id}/zone", tag = "domains", operation_id = "getDomainZone",
    params(("id" = String, Path, description = "The domain")),
    responses(
        (status = 200, description = "The lines", body = String, content_type = "text/dns"),
        (status = 404, description = "The account has none of this id", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["domains"]), ("key" = ["read"]), ("session" = [])),
)]
async fn zone_file(
    State(parts): State<Parts>,
    caller: Caller,
    Named(domain): Named<String>,
) -> ApiResult<impl IntoResponse> {
    caller.reads(Scope::Domains)?;
    let domain = id(&domain, "domain")?;
    let domain = parts.accounts.domain(caller.account_id(), domain).await?;
    let file = format!("attachment; filename=\"{}.zone\"", domain.name.as_str());
    // RFC 4027
    let headers = [
        (header::CONTENT_TYPE, "text/dns; charset=us-ascii".to_owned()),
        (header::CONTENT_DISPOSITION, file),
    ];
    Ok((headers, zone::zone(&domain)))
}
