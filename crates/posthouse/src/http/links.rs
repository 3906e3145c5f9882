//! Names of sending domains that lead here for their links: nothing else is to be seen under them.

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Parts;

/// What a link leads to, and what its pages are made of.
const OPEN: [&str; 4] = ["/t/", "/u/", "/site/", "/.well-known/acme-challenge/"];

/// A page of ours under another's name would look like theirs, and ask for passwords.
pub async fn only_links(State(parts): State<Parts>, request: Request, next: Next) -> Response {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let host = host
        .and_then(|host| host.parse::<Authority>().ok())
        .or_else(|| request.uri().authority().cloned());
    let path = request.uri().path();
    let foreign = parts.settings.links_host.as_ref().is_some_and(|ours| {
        host.is_some_and(|host| is_of_a_domain(host.host()) && !host.host().eq_ignore_ascii_case(ours))
    });
    if foreign && !OPEN.iter().any(|open| path.starts_with(open)) {
        return StatusCode::NOT_FOUND.into_response();
    }
    next.run(request).await
}

fn is_of_a_domain(host: &str) -> bool {
    host.get(..6)
        .is_some_and(|start| start.eq_ignore_ascii_case("links."))
}
