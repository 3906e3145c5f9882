//! Every path this server answers, and what all answers have in common.

use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use super::error::ApiError;
use crate::tls::challenges;

use super::{Parts, api, console, csrf, gate, impersonation, links, rates};

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
            (parts.clone(), api::gate()),
            gate::ask,
        ))
        .layer(middleware::from_fn_with_state(
            parts.clone(),
            csrf::refuse_foreign,
        ))
        .layer(middleware::from_fn_with_state(
            parts.clone(),
            impersonation::only_look,
        ))
        .layer(middleware::from_fn_with_state(parts.clone(), rates::count))
        // Answers belong to whoever asked; no proxy or browser keeps them.
        .layer(if_absent(header::CACHE_CONTROL, "no-store"))
        .layer(if_absent(header::CONTENT_SECURITY_POLICY, API_CSP))
        .with_state(parts.clone());
    let all = Router::new()
        .nest("/api/v1", api)
        .merge(console::router(&parts.settings.name))
        .merge(also);
    let all = if parts.settings.fetches_certificates {
        all.merge(challenges::routes(parts.db.clone()))
    } else {
        all
    };
    let all = all.layer(middleware::from_fn_with_state(parts.clone(), links::only_links));
    in_common(all, DEADLINE)
}

/// What holds for every path; `longest` is how long a request may take until its answer begins.
fn in_common(all: Router, longest: Duration) -> Router {
    all
        // The pages too read forms, whose end a client may withhold.
        .layer(middleware::from_fn_with_state(longest, deadline))
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

async fn deadline(State(longest): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(longest, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::TimedOut.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::Form;
    use axum::body::{Body, Bytes};
    use axum::http::StatusCode;
    use axum::routing::post;
    use futures_util::stream;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_form_whose_end_is_withheld_holds_nothing_for_ever() {
        let form = post(|_: Form<Vec<(String, String)>>| async {});
        let router = in_common(Router::new().route("/login", form), Duration::from_millis(1));
        let never_ends = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let request = Request::post("/login")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(never_ends)
            .unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    }
}
