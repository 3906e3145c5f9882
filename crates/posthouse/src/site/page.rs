//! A page as an answer: its headers, its fingerprint, and what is said when it cannot be made.

use accounts::SignUpMode;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use minijinja::{Value, context};

use super::Public;
use super::lang::Visit;
use super::theme::fingerprint;

/// The forms that ask for a new password: our own script runs there and asks us, and nothing else does.
const CSP_OF_FORMS: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'; script-src 'self'; connect-src 'self'";
/// Nothing runs, nothing is loaded from elsewhere, nobody frames a page, and forms go nowhere else.
const CSP: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'";
/// A logo is a picture even for whoever opens it by itself.
const ASSET_CSP: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

impl Public {
    /// A page that anybody may keep, as long as they ask whether it changed.
    pub fn page(&self, name: &str, visit: &Visit, asked: &HeaderMap, values: Value) -> Response {
        let text = match self.site.templates.page(name, visit, self.now(values)) {
            Ok(text) => text,
            Err(error) => return self.broken(name, visit, &error),
        };
        // Weak: the same page is sent compressed and not.
        let tag = format!("W/\"{}\"", fingerprint(text.as_bytes()));
        let known = asked
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .filter_map(|tags| tags.to_str().ok())
            .flat_map(|tags| tags.split(','))
            .any(|given| given.trim() == tag);
        let mut response = if known {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            html(StatusCode::OK, visit, CSP, text)
        };
        let headers = response.headers_mut();
        headers.insert(header::VARY, header::HeaderValue::from_static("Accept-Language"));
        headers.insert(
            header::CACHE_CONTROL,
            header::HeaderValue::from_static("no-cache"),
        );
        headers.insert(header::ETAG, tag.try_into().expect("a tag is hexadecimal"));
        response
    }

    /// With what may change while the server runs.
    fn now(&self, values: Value) -> Value {
        let sign_up = self.parts.accounts.sign_up_mode_seen() == SignUpMode::Open;
        context! { sign_up, ..values }
    }

    /// A page for this one request.
    pub fn answer(&self, status: StatusCode, name: &str, visit: &Visit, values: Value) -> Response {
        match self.site.templates.page(name, visit, self.now(values)) {
            Ok(text) => {
                let csp = if name == "account.html" { CSP_OF_FORMS } else { CSP };
                html(status, visit, csp, text)
            }
            Err(error) => self.broken(name, visit, &error),
        }
    }

    /// A page that says one thing: `missing`, `foreign`, `link_gone`, `too_many` or `busy`.
    pub fn message(&self, status: StatusCode, visit: &Visit, which: &str) -> Response {
        self.answer(status, "message.html", visit, context! { which })
    }

    /// The database did not answer.
    pub fn busy(&self, visit: &Visit, error: &dyn std::error::Error) -> Response {
        tracing::error!(%error, path = visit.path, "a page of the site could not be made");
        self.message(StatusCode::SERVICE_UNAVAILABLE, visit, "busy")
    }

    fn broken(&self, name: &str, visit: &Visit, error: &minijinja::Error) -> Response {
        tracing::error!(error = format!("{error:#}"), name, "a template is broken");
        if name == "message.html" {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        self.message(StatusCode::INTERNAL_SERVER_ERROR, visit, "busy")
    }
}

fn html(status: StatusCode, visit: &Visit, csp: &'static str, text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_LANGUAGE, visit.lang.code()),
        (header::CONTENT_SECURITY_POLICY, csp),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, text).into_response()
}

/// A file whose name changes with its content.
pub async fn asset(State(public): State<Public>, visit: Visit, Path(file): Path<String>) -> Response {
    let path = format!("/site/{file}");
    let Some(asset) = public.site.look.assets().find(|asset| asset.path == path) else {
        return public.message(StatusCode::NOT_FOUND, &visit, "missing");
    };
    let headers = [
        (header::CONTENT_TYPE, asset.media_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::CONTENT_SECURITY_POLICY, ASSET_CSP),
    ];
    (headers, asset.content.clone()).into_response()
}
