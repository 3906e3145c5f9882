//! The HTTP side: the API, the console and live events.

mod agent;
mod api;
mod attempts;
mod auth;
mod console;
mod csrf;
mod error;
mod gate;
mod heavy;
mod impersonation;
mod json;
mod lingering;
mod links;
mod live;
mod paging;
mod patient;
mod peer;
mod personalise;
mod rates;
mod router;
mod serve;
mod setup;
mod untaken;
mod values;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use accounts::Accounts;
use outbound::Outbound;
use outbound::tracking::Tracking;
use outbound::webhooks::Webhooks;
use store::{Clock, Db, Ids};
use tokio_util::sync::CancellationToken;

use crate::budget::{Budget, Fair};
use crate::tls::Certificates;

pub use api::memory_for_reading;
pub use api::{SignedIn, confirm_account, open_account, openapi, sign_in_with_code, sign_in_with_password};
pub use attempts::Attempts;
pub use auth::{COOKIE, HALF_COOKIE, IMPERSONATION_COOKIE, agent, half_token, requester, session_token};
pub use csrf::comes_from_us;
pub use error::{ApiError, ApiResult, FieldError};
pub use heavy::memory_of_the_biggest;
pub use live::Live;
pub use peer::Client;
pub use rates::Rates;
pub use serve::Listener;

/// What an operator configured that the HTTP side shows or obeys.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// What the service is called.
    pub name: String,
    /// The name this server goes by, also to SMTP clients.
    pub hostname: String,
    /// Where people open the console, without a slash at the end.
    pub public_url: String,
    /// `mx`, `smarthost` or `capture`.
    pub route: &'static str,
    /// Holds the setup token.
    pub data_dir: PathBuf,
    pub smtp_ports: Vec<SmtpPort>,
    /// SASL mechanisms, as EHLO names them under TLS.
    pub mechanisms: Vec<&'static str>,
    /// In octets, as EHLO announces it.
    pub max_message_size: usize,
    pub max_recipients: usize,
    /// What an account starts with.
    pub free_credits: u32,
    /// Name servers for the check of sending domains; none means those of the system.
    pub resolver: Vec<SocketAddr>,
    /// The host of links; none where it answers at no names but its own.
    pub links_host: Option<String>,
    /// Whether a certificate is fetched for each such name.
    pub fetches_certificates: bool,
}

/// A port that takes mail from those who sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SmtpPort {
    pub port: u16,
    pub security: Security,
}

/// How an SMTP connection comes to be encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// By the STARTTLS command.
    StartTls,
    /// From the first byte.
    Tls,
}

/// The rooms and tools that the handlers use.
#[derive(Clone)]
pub struct Parts {
    pub accounts: Accounts,
    pub outbound: Outbound,
    pub webhooks: Webhooks,
    pub tracking: Tracking,
    pub db: Db,
    pub clock: Clock,
    pub ids: Ids,
    pub certificates: Certificates,
    pub settings: Arc<HttpSettings>,
    pub attempts: Attempts,
    pub live: Live,
    /// The memory for messages that are arriving.
    pub budget: Budget,
    /// The memory for messages that are being read.
    pub reading: Fair,
    /// Sheets that are being written.
    pub exports: Fair,
    /// How many requests each caller makes.
    pub rates: Rates,
}

/// Sheets that are written at once, for all accounts and for one: each reads the database for as long as its reader takes.
pub fn exports() -> Fair {
    Fair::new(40, 2)
}

/// Serves the console, the API and `also` (health, metrics and the site, which answers every other path) until told to stop, then finishes what is in hand.
pub async fn serve(listeners: Vec<Listener>, parts: Parts, also: axum::Router, stop: CancellationToken) {
    let router = router::build(&parts, also);
    serve::run(listeners, router, stop).await;
}
