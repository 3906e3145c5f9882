//! Where an authority looks for the proofs of an order: on any node, whichever ordered.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use store::Db;
use tokio::sync::Semaphore;

use super::kept;

/// Anybody may ask; no more than one at a time takes a reader from what mail waits for.
static LOOKS: Semaphore = Semaphore::const_new(1);

/// Longer than tokens of any authority.
const MOST: usize = 256;

// RFC 8555 section 8.3
pub fn routes(db: Db) -> Router {
    Router::new()
        .route("/.well-known/acme-challenge/{token}", get(show))
        .with_state(db)
}

async fn show(State(db): State<Db>, Path(token): Path<String>) -> Result<String, StatusCode> {
    let is_base64url = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    if token.len() > MOST || !token.bytes().all(is_base64url) {
        return Err(StatusCode::NOT_FOUND);
    }
    let Ok(_look) = LOOKS.acquire().await else {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    };
    match kept::proof(&db, token).await {
        Ok(proof) => proof.ok_or(StatusCode::NOT_FOUND),
        Err(error) => {
            tracing::debug!(%error, "a proof for an ACME authority could not be read");
            Err(StatusCode::SERVICE_UNAVAILABLE)
        }
    }
}
