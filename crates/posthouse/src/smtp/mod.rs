//! The SMTP listeners: sockets, TLS, deadlines and limits around the session machine of `mail`.

mod clock;
mod connection;
mod counters;
mod decide;
mod hooked;
mod inbound;
mod proxied;
mod slots;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use accounts::Accounts;
use ipnet::IpNet;
use mail::replies;
use mail::smtp::server;
use outbound::Outbound;
use rustls::ServerConfig;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

pub use self::counters::Counters;

use self::connection::Connection;
use self::slots::{Slots, client_of};
use crate::budget::Budget;
use crate::config::{BareLf, Config};
use crate::ops::Connections;

/// Beyond it a header section is no mail program's work.
const MAX_HEADER: u64 = 100 * 1024;
/// How long to rest when the system has no more sockets.
const REST: Duration = Duration::from_millis(100);

/// What the listeners are told by the configuration.
#[derive(Clone, Debug)]
pub struct SmtpSettings {
    pub hostname: String,
    pub max_message_size: u64,
    pub max_recipients: usize,
    /// Octets of a line of text.
    pub max_line_length: u64,
    pub bare_lf: server::BareLf,
    pub scram: bool,
    /// Over all listeners.
    pub max_connections: usize,
    /// Of one IPv4 address or IPv6 /64.
    pub connections_per_client: usize,
    /// For each command, and for each pause inside a message.
    pub command_timeout: Duration,
    /// For the whole text of one message.
    pub data_timeout: Duration,
    /// How long messages in transfer may go on once the server stops.
    pub drain: Duration,
    /// Whose connections begin with a header of the PROXY protocol.
    pub proxies: Vec<IpNet>,
    /// What the address of a help page begins with, where the operator said where people open the site.
    pub help_pages: Option<String>,
}

impl SmtpSettings {
    pub fn of(config: &Config) -> Self {
        let smtp = &config.smtp;
        Self {
            hostname: config.hostname.clone(),
            max_message_size: smtp.max_message_size.0,
            max_recipients: smtp.max_recipients.get() as usize,
            max_line_length: smtp.max_line_length.get().into(),
            scram: smtp.scram,
            bare_lf: match smtp.bare_lf {
                BareLf::Repair => server::BareLf::Repair,
                BareLf::Refuse => server::BareLf::Refuse,
            },
            max_connections: smtp.max_connections.get() as usize,
            connections_per_client: smtp.connections_per_client.get() as usize,
            command_timeout: smtp.command_timeout,
            data_timeout: smtp.data_timeout,
            drain: config.shutdown_timeout,
            proxies: smtp.proxies.clone(),
            help_pages: config
                .http
                .public_url
                .as_ref()
                .map(|url| format!("{}/help/", url.as_str())),
        }
    }

    fn session(&self, kind: Kind) -> server::Config {
        server::Config {
            hostname: self.hostname.clone(),
            sign_in: kind != Kind::Inbound,
            scram: self.scram,
            max_message_size: self.max_message_size,
            max_header_size: MAX_HEADER,
            max_text_line: self.max_line_length,
            max_recipients: self.max_recipients,
            bare_lf: self.bare_lf,
            soft_error_limit: 10,
            hard_error_limit: 20,
            max_sign_in_failures: 3,
            help_pages: self.help_pages.clone(),
        }
    }
}

/// What a listener is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Clients submit, with STARTTLS.
    Submission,
    /// Clients submit, with TLS from the first byte.
    Submissions,
    /// Other servers deliver; nobody signs in.
    Inbound,
}

impl Kind {
    /// In the order of their declaration.
    pub const ALL: [Self; 3] = [Self::Submission, Self::Submissions, Self::Inbound];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submission => "submission",
            Self::Submissions => "submissions",
            Self::Inbound => "inbound",
        }
    }
}

/// What every connection uses.
struct Shared {
    settings: SmtpSettings,
    accounts: Accounts,
    outbound: Outbound,
    tls: TlsAcceptor,
    slots: Slots,
    budget: Budget,
    /// For what other servers bring: however much that is, those who sign in have their own.
    reports: Budget,
    counters: Arc<Counters>,
    /// In the order of [`Kind::ALL`].
    connections: [Arc<Connections>; 3],
    next_connection: AtomicU64,
    stop: CancellationToken,
}

/// Reports that are arriving at once may take so much memory, or as much as two of the biggest.
const BYTES_OF_REPORTS: usize = 64 * 1024 * 1024;
/// A server that brings a report has as long for it: reports are small, and whoever got one mail can bring any number.
const REPORT_TIMEOUT: Duration = Duration::from_mins(2);

impl Shared {
    /// The memory for what arrives at a listener of this kind.
    fn budget(&self, kind: Kind) -> &Budget {
        match kind {
            Kind::Submission | Kind::Submissions => &self.budget,
            Kind::Inbound => &self.reports,
        }
    }

    /// How long the text of a message may take there.
    fn data_timeout(&self, kind: Kind) -> Duration {
        match kind {
            Kind::Submission | Kind::Submissions => self.settings.data_timeout,
            Kind::Inbound => self.settings.data_timeout.min(REPORT_TIMEOUT),
        }
    }
}

/// The listeners' common part. Cheap to clone.
#[derive(Clone)]
pub struct Smtp(Arc<Shared>);

impl Smtp {
    /// `stop` ends everything: no new connections, 421 to those that wait, and a while for messages in transfer.
    pub fn new(
        settings: SmtpSettings,
        accounts: Accounts,
        outbound: Outbound,
        tls: Arc<ServerConfig>,
        (budget, stop): (Budget, CancellationToken),
    ) -> Self {
        let reports =
            BYTES_OF_REPORTS.max(usize::try_from(settings.max_message_size).unwrap_or(usize::MAX / 2) * 2);
        let slots = Slots::new(settings.max_connections, settings.connections_per_client);
        Self(Arc::new(Shared {
            settings,
            accounts,
            outbound,
            tls: TlsAcceptor::from(tls),
            slots,
            budget,
            reports: Budget::new(reports),
            counters: Arc::default(),
            connections: Default::default(),
            next_connection: AtomicU64::new(1),
            stop,
        }))
    }

    /// The connections of each kind of listener.
    pub fn connections(&self) -> [(&'static str, Arc<Connections>); 3] {
        Kind::ALL.map(|kind| (kind.as_str(), Arc::clone(&self.0.connections[kind as usize])))
    }

    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.0.counters)
    }

    /// Serves the listeners until told to stop, and returns when the last connection is over.
    pub async fn serve(self, listeners: Vec<(Kind, TcpListener)>) {
        let tracker = TaskTracker::new();
        // Ends what is still there when the time to drain is over.
        let abort = CancellationToken::new();
        for (kind, listener) in listeners {
            let door = Door {
                kind,
                port: listener.local_addr().map_or(0, |address| address.port()),
                session: Arc::new(self.0.settings.session(kind)),
                connections: Arc::clone(&self.0.connections[kind as usize]),
            };
            let accepting = accept(
                Arc::clone(&self.0),
                door,
                listener,
                (tracker.clone(), abort.clone()),
            );
            tracker.spawn(accepting);
        }
        tracker.close();
        self.0.stop.cancelled().await;
        if tokio::time::timeout(self.0.settings.drain, tracker.wait())
            .await
            .is_err()
        {
            warn!(
                connections = tracker.len(),
                "SMTP connections are cut off, the time to finish is over"
            );
            abort.cancel();
            tracker.wait().await;
        }
    }
}

/// What the connections of one listener have in common.
#[derive(Clone)]
struct Door {
    kind: Kind,
    port: u16,
    session: Arc<server::Config>,
    connections: Arc<Connections>,
}

async fn accept(
    shared: Arc<Shared>,
    door: Door,
    listener: TcpListener,
    (tracker, abort): (TaskTracker, CancellationToken),
) {
    loop {
        let (stream, peer) = tokio::select! {
            () = shared.stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!(listener = door.kind.as_str(), %error, "a connection could not be accepted");
                    tokio::time::sleep(REST).await;
                    continue;
                }
            },
        };
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        if shared
            .settings
            .proxies
            .iter()
            .any(|range| range.contains(&peer.ip()))
        {
            let (shared, door, abort) = (Arc::clone(&shared), door.clone(), abort.clone());
            tracker.spawn(async move {
                tokio::select! {
                    () = abort.cancelled() => {}
                    () = serve_proxied(shared, door, stream, peer) => {}
                }
            });
        } else if let Some(connection) = admit(&shared, &door, &stream, peer) {
            let abort = abort.clone();
            tracker.spawn(async move {
                tokio::select! {
                    () = abort.cancelled() => {}
                    () = connection.run(stream) => {}
                }
            });
        }
    }
}

/// Serves the client for whom a proxy connects, once it has said who that is.
async fn serve_proxied(shared: Arc<Shared>, door: Door, mut stream: TcpStream, proxy: SocketAddr) {
    let client = tokio::select! {
        () = shared.stop.cancelled() => return,
        client = proxied::client(&mut stream, proxy) => client,
    };
    match client {
        Ok(client) => {
            if let Some(connection) = admit(&shared, &door, &stream, client) {
                connection.run(stream).await;
            }
        }
        Err(error) => {
            debug!(listener = door.kind.as_str(), %proxy, %error, "a proxy did not say for whom it connects");
        }
    }
}

/// A connection for `client`, unless there are too many.
fn admit(shared: &Arc<Shared>, door: &Door, stream: &TcpStream, client: SocketAddr) -> Option<Connection> {
    let Some(slot) = shared.slots.take(client_of(client.ip())) else {
        door.connections.turn_away();
        debug!(listener = door.kind.as_str(), client = %client.ip(), "too many connections, one was turned away");
        turn_away(door.kind, stream);
        return None;
    };
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "a connection was gone before it was served");
        return None;
    }
    Some(Connection::new(Arc::clone(shared), door.clone(), client, slot))
}

/// Says why, if that takes no waiting; under implicit TLS there is nobody to say it to yet.
fn turn_away(kind: Kind, stream: &TcpStream) {
    if kind != Kind::Submissions {
        // A fresh socket takes a line at once, and if not, hanging up says enough.
        let _: io::Result<usize> = SockRef::from(stream).send(&replies::TOO_MANY_CONNECTIONS.to_bytes());
    }
}
