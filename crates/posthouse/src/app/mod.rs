//! The parts of a running server, each built once and handed what it uses.

mod listen;
mod node;
mod rooms;
pub mod sending;
mod setup_token;
mod signals;
mod web;
mod welcome;

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use outbound::Outbound;
use outbound::tracking::Tracking;
use outbound::webhooks::Webhooks;
use store::StoreError;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

pub use self::listen::Sockets;
pub use self::rooms::Rooms;
use self::signals::Signals;
use self::welcome::Welcome;
use crate::budget::Budget;
use crate::config::Config;
use crate::http;
use crate::notices::{NoticeSettings, Notices};
use crate::ops::data_dir::{DataDir, DataDirError};
use crate::ops::{self, Connections, metrics};
use crate::site::{self, Site, SiteError};
use crate::smtp::{Smtp, SmtpSettings};
use crate::tls::keeper::LookError;
use crate::tls::{Certificates, Keeper, TlsError};

/// What ending takes beyond the time that mail in transfer is given.
const MARGIN: Duration = Duration::from_secs(5);

/// Octets of memory for messages that are arriving, by SMTP and HTTP together.
const BYTES_ARRIVING: usize = 256 * 1024 * 1024;

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error("cannot open the database {url}: {source}; correct database.url or make the database reachable")]
    Database { url: String, source: StoreError },
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Site(#[from] SiteError),
    #[error(transparent)]
    Listen(#[from] listen::ListenError),
    #[error("cannot keep {file}: {source}")]
    Keep {
        file: &'static str,
        source: std::io::Error,
    },
    #[error("{0}; correct delivery.resolver")]
    Router(#[from] outbound::route::RouterError),
    #[error("{0}")]
    Carry(#[from] outbound::carry::CarryError),
    #[error("cannot start sending: {0}")]
    Outbound(store::StoreError),
    #[error("cannot listen to signals: {0}")]
    Signals(std::io::Error),
    #[error(
        "our own mail cannot come from this address: {0}; set accounts.notices_from, or correct server.hostname"
    )]
    NoticesFrom(String),
    #[error("cannot look for certificates: {0}")]
    Certificates(#[from] LookError),
    #[error("cannot look for accounts")]
    Accounts(#[from] accounts::AccountsError),
}

/// What a server consists of once everything is built and nothing is served yet.
struct Server {
    config: Config,
    rooms: Rooms,
    certificates: Certificates,
    outbound: Outbound,
    webhooks: Webhooks,
    sockets: Sockets,
    notices: NoticeSettings,
    http: Arc<http::HttpSettings>,
    site: Site,
    keeper: Option<Keeper>,
    /// What the console's first page asks for, while nobody has an operator's account.
    setup_token: Option<String>,
}

/// Runs everything until the process is told to stop, then ends it in good order.
pub async fn serve(config: Config) -> Result<(), AppError> {
    let held = DataDir::lock(&config.data_dir)?;
    let mut signals = Signals::listen().map_err(AppError::Signals)?;
    let server = Server::build(config).await?;
    // Whoever reads the welcome may have gone; that is no reason not to serve.
    let _ = writeln!(std::io::stdout(), "{}", server.welcome());
    server.run(&mut signals).await;
    drop(held);
    Ok(())
}

impl Server {
    async fn build(config: Config) -> Result<Self, AppError> {
        ops::descriptors::make_room(config.smtp.max_connections.get() as usize);
        let rooms = Rooms::open(&config).await?;
        if !config.smtp.scram {
            let forgotten = rooms.accounts.use_scram(false).await;
            forgotten.map_err(|source| AppError::Database {
                url: config.database_url.to_string(),
                source,
            })?;
        }
        let now = rooms.clock.now();
        let certificates = Certificates::open(&config, now)?;
        let webhooks = sending::webhooks(&config, &rooms)?;
        let setup_token = setup_token::current(&config.data_dir, &rooms.accounts, &rooms.ids).await?;
        let sockets = Sockets::open(&config)?;
        let parts = sending::parts(&config, &rooms, sockets.public_url(&config))?;
        let notices = web::notices(&config, &sockets)?;
        let http = Arc::new(web::settings(&config, &sockets));
        let site = Site::open(&config, &http)?;
        let keeper = Keeper::open(&config, &certificates, &rooms, &parts.settings.own_names).await?;
        // Last, because it takes up what the node had in hand: from here on nothing refuses to start.
        let outbound = Outbound::start(parts).await.map_err(AppError::Outbound)?;
        Ok(Self {
            config,
            rooms,
            certificates,
            outbound,
            webhooks,
            sockets,
            notices,
            http,
            site,
            keeper,
            setup_token,
        })
    }

    fn welcome(&self) -> String {
        let sockets = &self.sockets;
        let url = sockets.public_url(&self.config);
        let welcome = Welcome {
            config: &self.config,
            url: &url,
            starttls_ports: &Sockets::ports(&sockets.submission),
            tls_ports: &Sockets::ports(&sockets.submissions),
            certificate: &self.certificates.facts(),
            setup_token: self.setup_token.as_deref(),
        };
        welcome.text()
    }

    /// Serves until a signal says otherwise.
    async fn run(self, signals: &mut Signals) {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let (reload, hangup) = watch::channel(());
        let Self {
            config,
            rooms,
            certificates,
            outbound,
            webhooks,
            mut sockets,
            notices,
            http: settings,
            site,
            keeper,
            ..
        } = self;
        tasks.spawn(
            certificates
                .clone()
                .watch(rooms.clock.clone(), hangup.clone(), stop.clone()),
        );
        tasks.spawn(site.countries().watch(hangup, stop.clone()));
        if let Some(keeper) = keeper {
            tasks.spawn(keeper.run(stop.clone()));
        }
        let max_message_size = usize::try_from(config.smtp.max_message_size.0).unwrap_or(usize::MAX);
        // However big a message may be, one at a time must fit.
        let budget = Budget::new(BYTES_ARRIVING.max(http::memory_of_the_biggest(max_message_size)));
        let smtp = Smtp::new(
            SmtpSettings::of(&config),
            rooms.accounts.clone(),
            outbound.clone(),
            certificates.server_config(),
            (budget.clone(), stop.clone()),
        );
        let [http, https] = [(); 2].map(|()| Arc::<Connections>::default());
        let web = [("http", Arc::clone(&http)), ("https", Arc::clone(&https))];
        let tracking = Tracking::new(rooms.db.clone(), rooms.clock.clone(), rooms.accounts.clone());
        let sources = metrics::Sources {
            db: rooms.db.clone(),
            outbound: outbound.clone(),
            webhooks: webhooks.clone(),
            tracking: tracking.clone(),
            smtp: smtp.counters(),
            connections: smtp.connections().into_iter().chain(web).collect(),
            certificates: certificates.clone(),
            clock: rooms.clock.clone(),
        };
        let gate = metrics::Gate::new(&config.http.metrics_from, &rooms.accounts);
        let also = ops::health::routes(ops::health::Health::new(rooms.db.clone(), stop.clone()))
            .merge(metrics::routes(sources, gate));
        let accounts = rooms.accounts.clone();
        let parts = http::Parts {
            settings,
            live: http::Live::start(rooms.db.clone(), stop.clone()),
            db: rooms.db.clone(),
            accounts: rooms.accounts,
            outbound: outbound.clone(),
            webhooks: webhooks.clone(),
            tracking: tracking.clone(),
            clock: rooms.clock,
            ids: rooms.ids,
            certificates: certificates.clone(),
            attempts: http::Attempts::default(),
            budget,
            reading: http::memory_for_reading(max_message_size),
            exports: http::exports(),
            rates: http::Rates::new(config.http.requests_per_minute),
        };
        let notices = Notices {
            db: rooms.db.clone(),
            accounts: parts.accounts.clone(),
            outbound: outbound.clone(),
            clock: parts.clock.clone(),
            ids: parts.ids.clone(),
            settings: notices,
        };
        tasks.spawn(notices.run(stop.clone()));
        let also = also.merge(site::router(parts.clone(), site));
        tasks.spawn(smtp.serve(sockets.take_smtp()));
        tasks.spawn(outbound::domains::keep(
            accounts.clone(),
            parts.settings.resolver.clone(),
            stop.clone().cancelled_owned(),
        ));
        // Longer than requests are answered: each may be one to be noted.
        let answered = CancellationToken::new();
        tasks.spawn(tracking.keep(answered.clone().cancelled_owned()));
        tasks.spawn(outbound::statistics::keep(
            rooms.db.clone(),
            parts.clock.clone(),
            stop.clone().cancelled_owned(),
        ));
        tasks.spawn(accounts.clone().keep_guard(stop.clone().cancelled_owned()));
        tasks.spawn(accounts.clone().keep_sign_up_mode(stop.clone().cancelled_owned()));
        tasks.spawn(accounts.keep_attempts(stop.clone().cancelled_owned()));
        let listeners = web::listeners(
            (sockets.http, &http),
            (sockets.https, &https),
            &certificates,
            &config.http.proxies,
        );
        let (serving, answered) = (
            http::serve(listeners, parts, also, stop.clone()),
            answered.drop_guard(),
        );
        tasks.spawn(async move {
            serving.await;
            drop(answered);
        });
        tasks.close();
        webhooks.start();

        signals.stop(&reload).await;
        info!("stopping");
        stop.cancel();
        let limit = config.shutdown_timeout;
        let ended =
            async { tokio::join!(tasks.wait(), outbound.shut_down(limit), webhooks.shut_down(limit)) };
        tokio::select! {
            ended = tokio::time::timeout(limit + MARGIN, ended) => if ended.is_err() {
                warn!("not everything ended in time; what was accepted is stored and goes out at the next start");
            },
            () = signals.stop(&reload) => warn!("asked twice, stopping at once"),
        }
        if let Ok(Err(error)) = tokio::time::timeout(MARGIN, rooms.db.close()).await {
            warn!(%error, "the database did not close well");
        }
        info!("stopped");
    }
}
