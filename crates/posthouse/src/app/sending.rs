//! Builds the way out as it is configured: router, transport, scheduler.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use mail::address::Domain;
use outbound::calls::{CallSettings, Client};
use outbound::carry::{CarrySettings, Transport};
use outbound::route::{Router, RouterSettings};
use outbound::schedule::RoutedCourier;
use outbound::settle::Policy;
use outbound::webhooks::Webhooks;
use outbound::{HookLimits, OwnNames, Parts, Settings};

use super::{AppError, Rooms, node};
use crate::config::{CertificateFrom, Config};

/// How long one question to a name server may take.
const RESOLVER_TIMEOUT: Duration = Duration::from_secs(5);

/// What calls receivers that accounts chose.
fn client(config: &Config) -> Result<Arc<Client>, AppError> {
    let settings = CallSettings {
        allow_private: config.webhooks.allow_private,
        resolver: config.delivery.resolver.iter().map(|server| server.0).collect(),
        resolver_timeout: RESOLVER_TIMEOUT,
        ca_file: config.delivery.ca_file.clone(),
    };
    Ok(Arc::new(Client::new(&settings)?))
}

/// Webhooks, which are still to be started.
pub fn webhooks(config: &Config, rooms: &Rooms) -> Result<Webhooks, AppError> {
    let parts = (rooms.db.clone(), rooms.clock.clone(), rooms.ids.clone());
    Ok(Webhooks::new(client(config)?, parts))
}

/// What sending is built from, for a server that delivers and for a command that only accepts.
pub fn parts(config: &Config, rooms: &Rooms, public_url: String) -> Result<Parts, AppError> {
    let node = node::identity(&config.data_dir, &rooms.ids, rooms.clock.now())?;
    let delivery = &config.delivery;
    let router = Router::new(RouterSettings {
        route: delivery.route.clone(),
        hostname: config.hostname.clone(),
        resolver: delivery.resolver.iter().map(|server| server.0).collect(),
        resolver_timeout: RESOLVER_TIMEOUT,
        port: delivery.port.get(),
        allow_private: delivery.allow_private,
    })?;
    let mut carry = CarrySettings::new(config.hostname.clone());
    carry.ca_file.clone_from(&delivery.ca_file);
    for source in &delivery.source_address {
        match source {
            IpAddr::V4(ip) => carry.source_v4 = Some(*ip),
            IpAddr::V6(ip) => carry.source_v6 = Some(*ip),
        }
    }
    let transport = Transport::new(carry, &delivery.route)?;
    // Where nobody receives reports, the sender's own return path stays.
    let return_path = if config.smtp.inbound.is_empty() {
        None
    } else {
        Domain::parse(&config.hostname).ok()
    };
    let settings = Settings {
        return_path,
        public_url,
        own_names: own_names(config),
        retry: Policy {
            retry: delivery.retry.clone(),
            give_up: delivery.give_up,
            warn_after: delivery.warn_after,
        },
        connections_per_lane: delivery.connections_per_lane.get() as usize,
        max_message_size: config.smtp.max_message_size.0,
        max_recipients: config.smtp.max_recipients.get() as usize,
        keep_content: config.storage.keep_content,
        keep_messages: config.storage.keep_messages,
        most_content_days: days(config.storage.content_at_most),
        hooks: hook_limits(config),
        most_message_days: days(config.storage.messages_at_most),
        ..Settings::new(node, &config.hostname)
    };
    Ok(Parts {
        db: rooms.db.clone(),
        accounts: rooms.accounts.clone(),
        clock: rooms.clock.clone(),
        ids: rooms.ids.clone(),
        settings: Arc::new(settings),
        courier: Arc::new(RoutedCourier::new(router, transport, rooms.clock.clone())),
        client: Some(client(config)?),
    })
}

/// What hooks may take.
pub fn hook_limits(config: &Config) -> HookLimits {
    HookLimits {
        memory: usize::try_from(config.hooks.memory.0).unwrap_or(usize::MAX),
        steps: config.hooks.steps.get().into(),
        cpu: config.hooks.processor_time,
        wall: config.hooks.time,
        together: config.hooks.time_together,
    }
}

/// Whole days in a time.
fn days(time: std::time::Duration) -> u32 {
    u32::try_from(time.as_secs() / (24 * 3600)).unwrap_or(u32::MAX)
}

/// Where a certificate is fetched for each name, a name counts from then on.
fn own_names(config: &Config) -> OwnNames {
    match (config.links_host(), &config.certificate) {
        (None, _) => OwnNames::None,
        (Some(_), CertificateFrom::Acme(_)) => OwnNames::These(Arc::default()),
        (Some(_), _) => OwnNames::All,
    }
}
