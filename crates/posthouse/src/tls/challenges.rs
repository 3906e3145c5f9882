//! The proofs of an ACME order, between the order that makes them and the HTTP listener that shows them.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use parking_lot::RwLock;

/// Token to key authorization. Cheap to clone.
#[derive(Clone, Default)]
pub struct Challenges(Arc<RwLock<HashMap<String, String>>>);

impl Challenges {
    pub fn put(&self, token: String, authorization: String) {
        self.0.write().insert(token, authorization);
    }

    pub fn clear(&self) {
        self.0.write().clear();
    }

    /// Where the authority looks. RFC 8555 section 8.3
    pub fn routes(&self) -> Router {
        Router::new()
            .route("/.well-known/acme-challenge/{token}", get(show))
            .with_state(self.clone())
    }
}

async fn show(State(challenges): State<Challenges>, Path(token): Path<String>) -> Result<String, StatusCode> {
    challenges
        .0
        .read()
        .get(&token)
        .cloned()
        .ok_or(StatusCode::NOT_FOUND)
}
