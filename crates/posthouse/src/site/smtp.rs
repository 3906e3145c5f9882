//! `/smtp/`: what a program has to be told, and whether the ports can be reached from outside.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use minijinja::context;

use super::Public;
use super::lang::Visit;
use super::render::shown;

pub async fn settings(State(public): State<Public>, visit: Visit, headers: HeaderMap) -> Response {
    let facts = public.parts.certificates.facts();
    let certificate =
        context! { self_signed => facts.self_signed, fingerprint => facts.fingerprint_sha256.as_str() };
    public.page("smtp.html", &visit, &headers, context! { certificate })
}

/// Tests the ports, or takes the result of a moment ago, and leads to it.
pub async fn test(State(public): State<Public>, visit: Visit) -> Response {
    public.site.probe.run(&public.parts.clock).await;
    Redirect::to(&visit.link("/smtp/test")).into_response()
}

pub async fn tested(State(public): State<Public>, visit: Visit) -> Response {
    let report = public.site.probe.last();
    public.answer(
        StatusCode::OK,
        "probe.html",
        &visit,
        context! { report => shown(report.as_deref()) },
    )
}
