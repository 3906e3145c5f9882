//! `/healthz`: the process answers. `/readyz`: it can take mail.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use store::Db;
use tokio_util::sync::CancellationToken;

/// A database that takes longer than this to answer nothing is not ready.
const PATIENCE: Duration = Duration::from_secs(3);

/// What readiness is judged by.
#[derive(Clone)]
pub struct Health {
    db: Db,
    stop: CancellationToken,
}

impl Health {
    pub fn new(db: Db, stop: CancellationToken) -> Self {
        Self { db, stop }
    }

    /// Whether mail can be taken, or why not. Listeners are open before anything is served, so they need no look.
    async fn ready(&self) -> Result<(), String> {
        if self.stop.is_cancelled() {
            return Err("stopping".to_owned());
        }
        if !self.db.has_room() {
            return Err("the disk is almost full".to_owned());
        }
        // A disk that takes no writes still gives what was read before.
        if let Some(why) = self.db.refuses_writes() {
            return Err(format!("the database takes no writes ({why:?})"));
        }
        let asked = self.db.read("see whether the database answers", |tx| {
            tx.query("SELECT 1", &[]).map(|_| ())
        });
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("the database does not answer ({:?})", error.kind())),
            Err(_) => Err("the database does not answer in time".to_owned()),
        }
    }
}

/// Both probes; they tell strangers nothing but yes or no and the kind of fault.
pub fn routes(health: Health) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .with_state(health)
}

async fn readyz(State(health): State<Health>) -> (StatusCode, String) {
    match health.ready().await {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
    }
}
