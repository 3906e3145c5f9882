//! What the API answers when it does not do what was asked: one type, problem JSON (RFC 9457).

use std::time::Duration;

use accounts::AccountsError;
use accounts::password::Weakness;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use outbound::webhooks::WebhookError;
use serde::Serialize;
use store::{ErrorKind, StoreError};
use utoipa::ToSchema;

/// Why a request was not carried out.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// Names the kind of problem; `about:blank` where the status says it all.
    #[serde(rename = "type")]
    #[schema(example = "/problems/out-of-credits")]
    kind: String,
    /// The same for every problem of this kind.
    #[schema(example = "Out of credits")]
    title: &'static str,
    #[schema(example = 402)]
    status: u16,
    /// What happened this time, as a sentence for people.
    detail: String,
    /// Where the help centre explains this kind of problem.
    #[schema(example = "/help/credits")]
    help: String,
    /// The fields of the request that are at fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldError>,
}

/// One field of a request that was not accepted.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FieldError {
    /// Where it stands in the request.
    #[schema(example = "to[0]")]
    field: String,
    /// What is wrong with it.
    #[schema(example = "an address needs an @")]
    message: String,
    /// The same of a password, for pages that say it in another language.
    #[serde(skip)]
    weaknesses: Vec<Weakness>,
}

impl FieldError {
    pub fn field(&self) -> &str {
        &self.field
    }

    pub fn message(&self) -> &str {
        &self.message
    }

    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
            weaknesses: Vec::new(),
        }
    }

    pub fn weaknesses(&self) -> &[Weakness] {
        &self.weaknesses
    }
}

/// The help articles about kinds of problems that have one of their own; about the others there is a common one.
const ARTICLES: [(&str, &str); 13] = [
    ("impersonating", "operator-access"),
    ("impersonation-over", "operator-access"),
    ("sign-in-failed", "authentication-failed"),
    ("passkey-refused", "two-step-sign-in"),
    ("sign-in-anew", "two-step-sign-in"),
    ("too-many-attempts", "authentication-failed"),
    ("out-of-credits", "credits"),
    ("day-used-up", "sending-limits"),
    ("rate-reached", "sending-limits"),
    ("paused", "account-paused"),
    ("sandbox", "verify-a-domain"),
    ("too-large", "maximum-size"),
    ("link-gone", "reset-a-password"),
];
const COMMON_ARTICLE: &str = "console-errors";

/// The help article that explains a kind of problem.
fn article(kind: &str) -> &'static str {
    let own = ARTICLES.iter().find(|(about, _)| *about == kind);
    own.map_or(COMMON_ARTICLE, |(_, article)| article)
}

/// A refusal or a failure of the API.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("Sign in first, or send an API key: `Authorization: Bearer ph_...`.")]
    NotSignedIn,
    #[error(
        "This API key is not known here: it was revoked, or not copied whole. Make another one in the console, under API keys."
    )]
    UnknownKey,
    #[error("The address or the password is not right.")]
    WrongPassword,
    #[error("This passkey opens nothing here. Sign in with your password, or use another passkey.")]
    WrongPasskey,
    #[error("{0}")]
    Forbidden(String),
    #[error("Enter your password again: it was last entered more than 10 minutes ago.")]
    NotFresh,
    #[error(
        "Two-step sign-in is on, and you signed in more than 10 minutes ago. Sign out, sign in again with your second step, and do it then."
    )]
    SignInAnew,
    #[error(
        "You see the console as {0}, to read only and without the content of messages. Leave it to go on as yourself."
    )]
    Impersonating(String),
    #[error("You see the console as this account no more: the time is over, or your own session is.")]
    ImpersonationOver,
    #[error("This key lacks the scope `{0}`.")]
    MissingScope(accounts::Scope),
    #[error(
        "Your role in this account does not allow it: it takes the scope `{0}`. An owner or admin can change your role."
    )]
    BeyondRole(accounts::Scope),
    #[error("There is no such {0}.")]
    NotFound(&'static str),
    #[error("The request is not valid.")]
    Invalid(Vec<FieldError>),
    #[error("{0}")]
    BadRequest(String),
    #[error("{0}")]
    Conflict(String),
    #[error(
        "{0}. Nothing was sent. Redeem a voucher or ask the operator for more credits, then send it again."
    )]
    OutOfCredits(String),
    #[error("{0}")]
    DayUsedUp(String, u64),
    #[error("{0}")]
    RateReached(String, u64),
    #[error("The account is paused: {0}")]
    Paused(String),
    #[error("The account is suspended: {0}")]
    Suspended(String),
    #[error("Too many failed attempts from your address. Try again in {0} seconds.")]
    TooManyAttempts(u64),
    #[error("Too many requests of this kind came lately. Try again in {0} seconds.")]
    TooOften(u64),
    #[error("The link is used up or too old. Ask for a new one.")]
    LinkGone,
    #[error(
        "The account is in the sandbox: it sends to its own address only, until one of its sending domains is verified."
    )]
    Sandboxed,
    #[error("The request or the message in it is larger than is taken here.")]
    TooLarge,
    #[error("The body must be JSON, with `Content-Type: application/json`.")]
    NotJson,
    #[error("The server is busy or its storage is not available. Try again in a moment.")]
    Unavailable,
    #[error(
        "The server's disk is full and takes nothing new at the moment; what was accepted is kept. Try again later."
    )]
    StorageFull,
    #[error("Too much mail is arriving at once. Try again in a moment.")]
    Busy,
    #[error("Too many messages are being read at once. Try again in a moment.")]
    ManyReaders,
    #[error("Too many live streams of this account are open. Close some of them.")]
    ManyListeners,
    #[error(
        "Two exports of this account, or many of others, are being written. Wait until one of them has ended."
    )]
    ManyExports,
    #[error("The server took too long to answer.")]
    TimedOut,
    #[error("Something broke on our side. The log says what.")]
    Internal,
}

pub type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    pub fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::new(field, message)])
    }

    /// Locked out for this long.
    pub fn too_many_attempts(left: Duration) -> Self {
        let seconds = left.as_millis().div_ceil(1000);
        Self::TooManyAttempts(u64::try_from(seconds).unwrap_or(u64::MAX).max(1))
    }

    /// Our own mistake: logged here, told to nobody.
    pub fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(error = %chain(error), "a request failed");
        Self::Internal
    }

    fn parts(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::NotSignedIn | Self::UnknownKey => {
                (StatusCode::UNAUTHORIZED, "not-signed-in", "Not signed in")
            }
            Self::WrongPassword => (StatusCode::UNAUTHORIZED, "sign-in-failed", "Sign-in failed"),
            Self::WrongPasskey => (StatusCode::UNAUTHORIZED, "passkey-refused", "Passkey refused"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden", "Not allowed"),
            Self::NotFresh => (StatusCode::FORBIDDEN, "confirm-password", "Password needed"),
            Self::SignInAnew => (StatusCode::FORBIDDEN, "sign-in-anew", "Second step needed"),
            Self::Impersonating(_) => (StatusCode::FORBIDDEN, "impersonating", "Reading only"),
            Self::ImpersonationOver => (
                StatusCode::UNAUTHORIZED,
                "impersonation-over",
                "Impersonation over",
            ),
            Self::MissingScope(_) => (StatusCode::FORBIDDEN, "missing-scope", "Missing scope"),
            Self::BeyondRole(_) => (StatusCode::FORBIDDEN, "beyond-role", "Beyond your role"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not-found", "Not found"),
            Self::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid", "Not valid"),
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad-request", "Bad request"),
            Self::Conflict(_) => (StatusCode::CONFLICT, "conflict", "Conflict"),
            Self::OutOfCredits(_) => (StatusCode::PAYMENT_REQUIRED, "out-of-credits", "Out of credits"),
            Self::DayUsedUp(..) => (StatusCode::TOO_MANY_REQUESTS, "day-used-up", "Day used up"),
            Self::RateReached(..) => (
                StatusCode::TOO_MANY_REQUESTS,
                "rate-reached",
                "Hourly limit reached",
            ),
            Self::Paused(_) => (StatusCode::FORBIDDEN, "paused", "Account paused"),
            Self::Suspended(_) => (StatusCode::FORBIDDEN, "suspended", "Account suspended"),
            Self::TooManyAttempts(_) => (
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-attempts",
                "Too many attempts",
            ),
            Self::TooOften(_) => (StatusCode::TOO_MANY_REQUESTS, "too-often", "Too often"),
            Self::LinkGone => (StatusCode::GONE, "link-gone", "Link gone"),
            Self::Sandboxed => (StatusCode::FORBIDDEN, "sandbox", "Sandbox"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Too large"),
            Self::NotJson => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json", "Not JSON"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not available"),
            // Not 507: it passes, and every client knows to come back after a 503.
            Self::StorageFull => (StatusCode::SERVICE_UNAVAILABLE, "storage-full", "Storage full"),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy", "Busy"),
            Self::ManyReaders => (StatusCode::SERVICE_UNAVAILABLE, "many-readers", "Many readers"),
            Self::ManyListeners => (StatusCode::TOO_MANY_REQUESTS, "many-listeners", "Many listeners"),
            Self::ManyExports => (StatusCode::TOO_MANY_REQUESTS, "many-exports", "Many exports"),
            Self::TimedOut => (StatusCode::GATEWAY_TIMEOUT, "timed-out", "Timed out"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
        }
    }
}

impl ApiError {
    /// The document that says it, and after how many seconds it makes sense to try again.
    pub fn into_problem(self) -> (Problem, Option<u64>) {
        let (status, kind, title) = self.parts();
        let detail = self.to_string();
        let retry_after = match &self {
            Self::TooManyAttempts(seconds)
            | Self::TooOften(seconds)
            | Self::DayUsedUp(_, seconds)
            | Self::RateReached(_, seconds) => Some(*seconds),
            Self::Unavailable | Self::Busy | Self::ManyReaders | Self::ManyListeners | Self::ManyExports => {
                Some(5)
            }
            Self::StorageFull => Some(60),
            _ => None,
        };
        let errors = if let Self::Invalid(errors) = self {
            errors
        } else {
            Vec::new()
        };
        let problem = Problem {
            kind: format!("/problems/{kind}"),
            title,
            status: status.as_u16(),
            detail,
            help: format!("/help/{}", article(kind)),
            errors,
        };
        (problem, retry_after)
    }
}

impl Problem {
    pub fn status(&self) -> u16 {
        self.status
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.parts().0;
        let (problem, retry_after) = self.into_problem();
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        tracing::warn!(error = %chain(&error), "storage did not answer a request");
        match error.kind() {
            ErrorKind::Full => Self::StorageFull,
            ErrorKind::Unavailable | ErrorKind::Retryable | ErrorKind::ReadOnly => Self::Unavailable,
            ErrorKind::Unique | ErrorKind::Other => Self::Internal,
        }
    }
}

impl From<AccountsError> for ApiError {
    fn from(error: AccountsError) -> Self {
        let said = sentence(&error.to_string());
        match error {
            AccountsError::Store(error) => error.into(),
            AccountsError::Busy => Self::Unavailable,
            AccountsError::Locked { left } => Self::too_many_attempts(left),
            AccountsError::Hashing | AccountsError::KeyGeneration | AccountsError::StoredKey(_) => {
                Self::internal(&error)
            }
            AccountsError::TooOften(wait) => Self::TooOften(wait.as_secs().max(1)),
            AccountsError::LinkGone => Self::LinkGone,
            AccountsError::BadCountry => Self::invalid("country", said),
            AccountsError::BadTimeZone => Self::invalid("time_zone", said),
            AccountsError::Address(_) | AccountsError::NoSuchLogin(_) | AccountsError::NotInvited(_) => {
                Self::invalid("email", said)
            }
            AccountsError::Weak(weak) => Self::Invalid(vec![FieldError {
                weaknesses: weak.reasons,
                ..FieldError::new("password", said)
            }]),
            AccountsError::Range(_) => Self::invalid("range", said),
            AccountsError::WrongPassword => Self::invalid("current", said),
            AccountsError::WrongCode | AccountsError::UselessCode => Self::invalid("code", said),
            AccountsError::Passkey(_) | AccountsError::ChallengeGone => Self::invalid("passkey", said),
            AccountsError::TopLevelDomain(_) | AccountsError::BadName => Self::invalid("name", said),
            AccountsError::BadStream => Self::invalid("slug", said),
            AccountsError::NoSuchStream(_) => Self::invalid("stream", said),
            AccountsError::NoAmount | AccountsError::BelowZero(_) | AccountsError::TooMuch => {
                Self::invalid("amount", said)
            }
            AccountsError::BadReason => Self::invalid("reason", said),
            AccountsError::BadRate(_) => Self::invalid("rate", said),
            AccountsError::PastExpiry | AccountsError::EndsBefore => Self::invalid("expires_at", said),
            AccountsError::TooManyNetworks(_) => Self::invalid("networks", said),
            AccountsError::BadVoucherValue => Self::invalid("amount", said),
            AccountsError::BadCodes => Self::invalid("codes", said),
            AccountsError::BadUses => Self::invalid("uses", said),
            AccountsError::BadAnnouncement => Self::invalid("text", said),
            AccountsError::PublicToOne => Self::invalid("public", said),
            AccountsError::NoScope => Self::invalid("scopes", said),
            AccountsError::NotFound(what) => Self::NotFound(what),
            AccountsError::OperatorsAccount
            | AccountsError::ScopeNotHeld(_)
            | AccountsError::OwnersOnly
            | AccountsError::StreamBound(_)
            | AccountsError::Stopped
            | AccountsError::AdminsOnly
            | AccountsError::OperatorDecides => Self::Forbidden(said),
            AccountsError::NotPaused
            | AccountsError::LoginExists(_)
            | AccountsError::AlreadySetUp
            | AccountsError::DomainExists(_)
            | AccountsError::KeysWait(_)
            | AccountsError::KeysLeave(..)
            | AccountsError::RangeExists(_)
            | AccountsError::TooMany { .. }
            | AccountsError::NoSecondStep
            | AccountsError::LastStep
            | AccountsError::PasskeyExists
            | AccountsError::UserExists(_)
            | AccountsError::Invited(_)
            | AccountsError::LastOwner
            | AccountsError::StreamExists(_)
            | AccountsError::StreamOfAll
            | AccountsError::StreamInUse(_)
            | AccountsError::RedeemedBefore
            | AccountsError::Unlimited => Self::Conflict(said),
        }
    }
}

impl From<WebhookError> for ApiError {
    fn from(error: WebhookError) -> Self {
        let said = sentence(&error.to_string());
        match error {
            WebhookError::Store(error) => error.into(),
            WebhookError::Url(_) => Self::invalid("url", said),
            WebhookError::Description => Self::invalid("description", said),
            WebhookError::Kind(_) => Self::invalid("types", said),
            WebhookError::Stream => Self::invalid("stream", said),
            WebhookError::EndsBefore => Self::invalid("until", said),
            WebhookError::NotFound(what) => Self::NotFound(what),
            WebhookError::TooMany
            | WebhookError::Paused
            | WebhookError::NotPaused
            | WebhookError::ResumeFirst
            | WebhookError::Waits
            | WebhookError::TooManyWait => Self::Conflict(said),
        }
    }
}

/// `text` with a capital at its beginning and a full stop at its end.
pub fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let mut said: String = chars
        .next()
        .map(|c| c.to_uppercase().to_string())
        .unwrap_or_default();
    said.push_str(chars.as_str());
    if !said.ends_with(['.', '!', '?']) {
        said.push('.');
    }
    said
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_a_problem_document() {
        let response = ApiError::TooManyAttempts(30).into_response();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "application/problem+json"
        );
        assert_eq!(response.headers()[header::RETRY_AFTER], "30");
    }

    #[test]
    fn every_refusal_leads_to_an_article_that_there_is_and_the_common_one_names_every_kind() {
        let help = concat!(env!("CARGO_MANIFEST_DIR"), "/../../site/help");
        let read = |lang: &str, name: &str| {
            std::fs::read_to_string(format!("{help}/{lang}/{name}.md"))
                .unwrap_or_else(|_| panic!("{lang}/{name}"))
        };
        // The kinds are what `parts` says, read from this very file.
        let source = include_str!("error.rs");
        let parts = source.split("fn parts(&self)").nth(1).unwrap();
        let parts = parts.split("impl IntoResponse").next().unwrap();
        let kinds: Vec<&str> = parts
            .split('"')
            .skip(1)
            .step_by(2)
            .filter(|text| text.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
            .collect();
        assert!(kinds.len() >= 20, "{kinds:?}");
        for lang in ["en", "fr"] {
            let common = read(lang, COMMON_ARTICLE);
            for kind in &kinds {
                read(lang, article(kind));
                assert!(
                    common.contains(&format!("`{kind}`")),
                    "{lang}: the article does not name {kind}"
                );
            }
        }
        for (kind, _) in ARTICLES {
            assert!(kinds.contains(&kind), "{kind}");
        }
    }

    #[test]
    fn a_sentence_starts_large_and_ends_with_a_stop() {
        assert_eq!(
            sentence("an amount of 0 changes nothing"),
            "An amount of 0 changes nothing."
        );
        assert_eq!(sentence("Why?"), "Why?");
    }
}
