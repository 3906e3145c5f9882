//! Every path this server answers, and what all answers have in common.

use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use super::error::ApiError;
use super::{Parts, api, console, csrf};

/// The longest that a request may take until its answer begins.
const DEADLINE: Duration = Duration::from_mins(2);
/// Enough for every body but a message.
const BODY_LIMIT: usize = 256 * 1024;

/// Answers of the API are read by programs: nothing in them is to be run, framed or fetched.
const API_CSP: &str = "default-src 'none'; frame-ancestors 'none'";

/// `also` brings the answer to every path that is not named here.
pub fn build(parts: &Parts, also: Router) -> Router {
    let api = api::router()
        .fallback(|| async { ApiError::NotFound("operation") })
        .method_not_allowed_fallback(|| async {
            ApiError::BadRequest("This path takes another method.".to_owned())
        })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn_with_state(
            parts.clone(),
            csrf::refuse_foreign,
        ))
        .layer(middleware::from_fn(deadline))
        // Answers belong to whoever asked; no proxy or browser keeps them.
        .layer(if_absent(header::CACHE_CONTROL, "no-store"))
        .layer(if_absent(header::CONTENT_SECURITY_POLICY, API_CSP))
        .with_state(parts.clone());
    Router::new()
        .nest("/api/v1", api)
        .merge(console::router())
        .merge(also)
        .merge(parts.certificates.challenges().routes())
        .layer(CompressionLayer::new())
        .layer(if_absent(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(if_absent(header::REFERRER_POLICY, "same-origin"))
        .layer(if_absent(
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ))
        .layer(if_absent(
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ))
        .layer(CatchPanicLayer::custom(|_| ApiError::Internal.into_response()))
}

fn if_absent(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}

async fn deadline(request: Request, next: Next) -> Response {
    match tokio::time::timeout(DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::TimedOut.into_response(),
    }
}
