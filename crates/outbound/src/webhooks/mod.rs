//! Webhooks: what happens is told to receivers of an account's choosing, signed, until they take it or a day is over.

mod call;
mod core;
mod deliver;
mod endpoints;
mod follow;
mod manage;
mod queue;
mod sign;
mod target;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use store::{Clock, Db, Ids};

pub use self::core::Counts;
pub use self::endpoints::{Endpoint, LONGEST_DESCRIPTION, MOST_ENDPOINTS, PausedBy};
pub use self::manage::{EndpointChange, NewEndpoint, Replayed, Wanted, WebhookError};
pub use self::queue::{Attempt, Delivery, DeliveryFilter, State};
pub use self::target::BadUrl;

use self::call::Client;
use self::core::Core;
use crate::carry::{CarryError, authorities};
use crate::route::{Names, RouterError};

/// What an operator can set about webhooks.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// Whether http and private addresses may be called.
    pub allow_private: bool,
    /// Name servers; none means those of the system.
    pub resolver: Vec<SocketAddr>,
    pub resolver_timeout: Duration,
    /// PEM file of further authorities, beside the system's.
    pub ca_file: Option<PathBuf>,
}

/// Webhooks as the binary holds them; clones share them.
#[derive(Clone)]
pub struct Webhooks(Arc<Core>);

impl Webhooks {
    pub fn new(settings: &WebhookSettings, parts: (Db, Clock, Ids)) -> Result<Self, RouterError> {
        let names = Names::new(&settings.resolver, settings.resolver_timeout)?;
        let tls = tls(settings).map(Arc::new).map_err(|error| error.to_string());
        let client = Client::new(names, tls, settings.allow_private);
        Ok(Self(Core::new(parts, client, settings.allow_private)))
    }

    /// Follows the log and delivers, until told to stop.
    pub fn start(&self) {
        let core = &self.0;
        core.spawn(follow::follow_forever(core.clone()));
        core.spawn(deliver::deliver_forever(core.clone()));
        core.spawn(deliver::tidy_forever(core.clone()));
    }

    /// Makes no new attempts and lets those in flight end for up to `limit`. What is unfinished is taken up again when its
    /// lease has run out.
    pub async fn shut_down(&self, limit: Duration) {
        let core = &self.0;
        core.stop.cancel();
        core.tasks.close();
        let _ = tokio::time::timeout(limit, core.tasks.wait()).await;
        core.kill.cancel();
    }

    pub fn counts(&self) -> Counts {
        self.0.counters.snapshot()
    }
}

fn tls(settings: &WebhookSettings) -> Result<ClientConfig, CarryError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(authorities(settings.ca_file.as_deref())?)
        .with_no_client_auth())
}
