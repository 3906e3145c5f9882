//! What the HTTP side is told of this installation.

use std::sync::Arc;

use ipnet::IpNet;
use mail::message::Named;
use outbound::route::Route;

use super::AppError;
use crate::config::{CertificateFrom, Config, Mailbox};
use crate::http::{HttpSettings, Listener, Security, SmtpPort};
use crate::notices::NoticeSettings;
use crate::ops::Connections;
use crate::tls::Certificates;

use super::listen::{Bound, Sockets};

/// The settings that the HTTP side shows or obeys, from the configuration and the sockets that were opened.
pub fn settings(config: &Config, sockets: &Sockets) -> HttpSettings {
    let ports = |bound: &[Bound], security| {
        Sockets::ports(bound)
            .into_iter()
            .map(move |port| SmtpPort { port, security })
            .collect::<Vec<_>>()
    };
    let mut smtp_ports = ports(&sockets.submission, Security::StartTls);
    smtp_ports.extend(ports(&sockets.submissions, Security::Tls));
    let mut mechanisms = vec!["PLAIN", "LOGIN"];
    if config.smtp.scram {
        mechanisms.push("SCRAM-SHA-256");
    }
    HttpSettings {
        name: config.site.name.0.clone(),
        hostname: config.hostname.clone(),
        public_url: sockets
            .public_url(config)
            .as_str()
            .trim_end_matches('/')
            .to_owned(),
        route: match config.delivery.route {
            Route::Mx => "mx",
            Route::Capture => "capture",
            Route::Smarthost(_) => "smarthost",
        },
        data_dir: config.data_dir.clone(),
        smtp_ports,
        mechanisms,
        max_message_size: usize::try_from(config.smtp.max_message_size.0).unwrap_or(usize::MAX),
        max_recipients: usize::try_from(config.smtp.max_recipients.get()).unwrap_or(usize::MAX),
        free_credits: config.accounts.free_credits,
        resolver: config.delivery.resolver.iter().map(|server| server.0).collect(),
        links_host: config.links_host().map(str::to_owned),
        fetches_certificates: matches!(config.certificate, CertificateFrom::Acme(_)),
    }
}

/// What mail of our own is written with.
pub fn notices(config: &Config, sockets: &Sockets) -> Result<NoticeSettings, AppError> {
    let from = match &config.accounts.notices_from {
        Some(Mailbox(address)) => address.clone(),
        None => format!("postmaster@{}", config.hostname),
    };
    Ok(NoticeSettings {
        name: config.site.name.0.clone(),
        hostname: config.hostname.clone(),
        public_url: sockets
            .public_url(config)
            .as_str()
            .trim_end_matches('/')
            .to_owned(),
        from: Named::parse(&from).map_err(|problem| AppError::NoticesFrom(problem.to_string()))?,
    })
}

/// The HTTP sockets, each with TLS or without.
pub fn listeners(
    http: (Vec<Bound>, &Arc<Connections>),
    https: (Vec<Bound>, &Arc<Connections>),
    certificates: &Certificates,
    proxies: &[IpNet],
) -> Vec<Listener> {
    let proxies: Arc<[IpNet]> = proxies.into();
    let plain = http.0.into_iter().map(|bound| Listener {
        socket: bound.socket,
        tls: None,
        proxies: Arc::clone(&proxies),
        connections: Arc::clone(http.1),
    });
    let tls = https.0.into_iter().map(|bound| Listener {
        socket: bound.socket,
        tls: Some(certificates.https_config()),
        proxies: Arc::clone(&proxies),
        connections: Arc::clone(https.1),
    });
    plain.chain(tls).collect()
}
