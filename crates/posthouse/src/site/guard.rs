//! Forms that another site made the browser send are refused before they are read.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;

use super::Public;
use super::lang::Visit;
use crate::http::comes_from_us;

pub async fn refuse_foreign(
    State(public): State<Public>,
    visit: Visit,
    request: Request,
    next: Next,
) -> Response {
    if comes_from_us(&request, &public.parts.settings.public_url) {
        return next.run(request).await;
    }
    public.message(StatusCode::FORBIDDEN, &visit, "foreign")
}
