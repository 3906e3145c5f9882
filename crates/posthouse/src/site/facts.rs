//! What this installation is and allows, as pages and articles name it.

use std::time::Duration;

use accounts::percent;
use serde::Serialize;

use crate::config::Config;
use crate::http::{HttpSettings, Security};

/// The values that templates and articles may use. A name that is not here is a mistake that a test finds.
#[derive(Clone, Debug, Serialize)]
pub struct Facts {
    /// What the operator calls the service.
    pub name: String,
    pub version: &'static str,
    /// The name that mail programs connect to.
    pub host: String,
    /// Where the site is, without a slash at the end.
    pub url: String,
    /// An address to write to, where the operator gave one.
    pub contact: Option<String>,
    /// Ports with STARTTLS, then with TLS from the first byte, as configured.
    pub starttls_ports: Vec<u16>,
    pub tls_ports: Vec<u16>,
    /// The port that instructions name first.
    pub port: Option<u16>,
    /// Whether that one has TLS from the first byte.
    pub port_is_tls: bool,
    /// Octets of a message as sent.
    pub max_size: u64,
    /// Octets that files may have so that the message still fits: attachments grow on their way.
    pub max_files: u64,
    pub max_recipients: u64,
    pub max_line: u64,
    pub free_credits: u64,
    /// From when on an account is paused by itself, and whether its people may lift that.
    pub pause_bounces: String,
    pub pause_complaints: String,
    pub owner_resumes: bool,
    /// How long delivery is tried, in seconds.
    pub give_up: u64,
    /// The waits between tries, in seconds.
    pub retry: Vec<u64>,
    /// How long content and history of a message are kept, in seconds.
    pub keep_content: u64,
    pub keep_messages: u64,
    pub connections_per_client: u64,
    /// Mail is kept in a local inbox and leaves for nowhere.
    pub capture: bool,
}

/// Base64 turns 57 octets into a line of 76 and its CRLF: 78/57.
const fn before_base64(octets: u64) -> u64 {
    octets * 57 / 78
}

impl Facts {
    pub fn of(config: &Config, http: &HttpSettings) -> Self {
        let ports = |security| {
            let mut ports: Vec<u16> = http
                .smtp_ports
                .iter()
                .filter(|port| port.security == security)
                .map(|port| port.port)
                .collect();
            ports.dedup();
            ports
        };
        let (starttls_ports, tls_ports) = (ports(Security::StartTls), ports(Security::Tls));
        let secs = |duration: &Duration| duration.as_secs();
        let max_size = config.smtp.max_message_size.0;
        Self {
            name: config.site.name.0.clone(),
            version: env!("CARGO_PKG_VERSION"),
            host: http.hostname.clone(),
            url: http.public_url.clone(),
            contact: config.site.contact.as_ref().map(|contact| contact.0.clone()),
            port: starttls_ports.first().or(tls_ports.first()).copied(),
            port_is_tls: starttls_ports.is_empty(),
            starttls_ports,
            tls_ports,
            max_size,
            max_files: before_base64(max_size),
            max_recipients: config.smtp.max_recipients.get().into(),
            max_line: config.smtp.max_line_length.get().into(),
            free_credits: config.accounts.free_credits.into(),
            pause_bounces: format!("{} %", percent(config.guard.bounces.0.0)),
            pause_complaints: format!("{} %", percent(config.guard.complaints.0.0)),
            owner_resumes: config.guard.owner_resumes,
            give_up: secs(&config.delivery.give_up),
            retry: config.delivery.retry.iter().map(secs).collect(),
            keep_content: secs(&config.storage.keep_content),
            keep_messages: secs(&config.storage.keep_messages),
            connections_per_client: config.smtp.connections_per_client.get().into(),
            capture: http.route == "capture",
        }
    }
}
