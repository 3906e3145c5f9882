//! Requests that another site made the browser send are refused before they reach a handler.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Parts;
use super::auth::{bearer, half_token, session_token};
use super::error::ApiError;

/// Lets an unsafe request pass that a browser sent from our own pages, or that carries no cookie it could abuse.
pub async fn refuse_foreign(State(parts): State<Parts>, request: Request, next: Next) -> Response {
    if comes_from_us(&request, &parts.settings.public_url) {
        return next.run(request).await;
    }
    ApiError::Forbidden("The request came from another site.".to_owned()).into_response()
}

/// Whether a request changes nothing, or no other site can have made it.
pub fn comes_from_us(request: &Request, public_url: &str) -> bool {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let host = host.or_else(|| request.uri().authority().map(axum::http::uri::Authority::as_str));
    safe || may_pass(request.headers(), host, public_url)
}

fn may_pass(headers: &HeaderMap, host: Option<&str>, public_url: &str) -> bool {
    // A key is not sent by a browser on its own, so nobody can borrow it.
    if bearer(headers).is_some() {
        return true;
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    if let Some(origin) = text("origin") {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        let same_host =
            host.is_some() && authority.map(str::to_ascii_lowercase) == host.map(str::to_ascii_lowercase);
        return same_host || origin.eq_ignore_ascii_case(public_url.trim_end_matches('/'));
    }
    // No browser: fine to sign in with, but a cookie without either header is somebody else's.
    session_token(headers).is_none() && half_token(headers).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(headers: &[(&'static str, &str)]) -> bool {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        may_pass(
            &headers,
            Some("mail.example.com:8080"),
            "https://mail.example.com/",
        )
    }

    const COOKIE: (&str, &str) = ("cookie", "a=b; posthouse_session=token");

    #[test]
    fn our_own_pages_pass() {
        assert!(passes(&[COOKIE, ("sec-fetch-site", "same-origin")]));
        assert!(passes(&[COOKIE, ("sec-fetch-site", "none")]));
        assert!(passes(&[COOKIE, ("origin", "http://mail.example.com:8080")]));
        assert!(passes(&[COOKIE, ("origin", "https://mail.example.com")]));
    }

    #[test]
    fn other_sites_do_not() {
        assert!(!passes(&[COOKIE, ("sec-fetch-site", "cross-site")]));
        assert!(!passes(&[COOKIE, ("sec-fetch-site", "same-site")]));
        assert!(!passes(&[COOKIE, ("origin", "https://evil.example")]));
        assert!(!passes(&[COOKIE, ("origin", "null")]));
        assert!(!passes(&[COOKIE]));
        // Signing somebody in as the attacker is an attack as well.
        assert!(!passes(&[("sec-fetch-site", "cross-site")]));
    }

    #[test]
    fn a_program_without_cookies_passes() {
        assert!(passes(&[]));
        assert!(passes(&[
            COOKIE,
            ("authorization", "Bearer ph_x"),
            ("sec-fetch-site", "cross-site")
        ]));
    }
}
