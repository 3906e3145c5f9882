//! The pages without a matter of their own: home, cookies, terms, privacy, and the page that is not there.

use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use minijinja::context;

use super::Public;
use super::lang::Visit;
use super::render::shown;
use crate::http::{ApiError, COOKIE, HALF_COOKIE, IMPERSONATION_COOKIE};

/// The articles that the first page leads to.
const QUESTIONS: [&str; 4] = [
    "username-and-password",
    "authentication-failed",
    "why-did-my-mail-bounce",
    "verify-a-domain",
];

pub async fn home(State(public): State<Public>, visit: Visit, headers: HeaderMap) -> Response {
    match is_set_up(&public).await {
        Ok(true) => {}
        // Nobody runs this installation yet: its first page is where that begins.
        Ok(false) => return Redirect::temporary("/app").into_response(),
        Err(error) => return public.busy(&visit, &error),
    }
    // What is said to everybody is worth a look at the database, and the page without it if that does not answer.
    let said = public.parts.accounts.public_announcements().await;
    let said = said.unwrap_or_else(|error| {
        tracing::warn!(%error, "the announcements could not be read");
        Vec::new()
    });
    let announcements: Vec<_> = said
        .iter()
        .map(|one| context! { text => &one.text, severity => one.severity.as_str() })
        .collect();
    let help = &public.site.help;
    let questions: Vec<_> = QUESTIONS
        .iter()
        .filter_map(|slug| help.find(visit.lang, slug))
        .collect();
    public.page(
        "home.html",
        &visit,
        &headers,
        context! { questions => shown(questions), announcements },
    )
}

async fn is_set_up(public: &Public) -> accounts::Result<bool> {
    let set_up = &public.site.set_up;
    if !set_up.load(Ordering::Relaxed) && public.parts.accounts.has_operator().await? {
        set_up.store(true, Ordering::Relaxed);
    }
    Ok(set_up.load(Ordering::Relaxed))
}

pub async fn cookies(State(public): State<Public>, visit: Visit, headers: HeaderMap) -> Response {
    let values = context! {
        cookie => COOKIE,
        half_cookie => HALF_COOKIE,
        as_cookie => IMPERSONATION_COOKIE,
    };
    public.page("cookies.html", &visit, &headers, values)
}

pub async fn terms(State(public): State<Public>, visit: Visit, headers: HeaderMap) -> Response {
    let own = public.site.legal.terms.as_deref();
    public.page("legal.html", &visit, &headers, context! { which => "terms", own })
}

pub async fn privacy(State(public): State<Public>, visit: Visit, headers: HeaderMap) -> Response {
    let own = public.site.legal.privacy.as_deref();
    public.page(
        "legal.html",
        &visit,
        &headers,
        context! { which => "privacy", own },
    )
}

/// A page for people, a problem document for programs.
pub async fn missing(State(public): State<Public>, visit: Visit, headers: HeaderMap) -> Response {
    let reads_html = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("text/html"));
    if reads_html {
        public.message(StatusCode::NOT_FOUND, &visit, "missing")
    } else {
        ApiError::NotFound("page").into_response()
    }
}
