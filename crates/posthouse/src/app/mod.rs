//! The parts of a running server, each built once and handed what it uses.

mod listen;
mod node;
mod setup_token;
mod signals;
mod web;
mod welcome;

use std::sync::Arc;

use accounts::Accounts;
use store::{Clock, Db, Ids, OpenOptions, StoreError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

pub use self::listen::Sockets;
use self::signals::Signals;
use self::welcome::Welcome;
use crate::config::Config;
use crate::ops;
use crate::ops::data_dir::{DataDir, DataDirError};
use crate::ops::health::Health;
use crate::tls::{Certificates, TlsError};

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
    Listen(#[from] listen::ListenError),
    #[error("cannot keep {file}: {source}")]
    Keep {
        file: &'static str,
        source: std::io::Error,
    },
    #[error("cannot listen to signals: {0}")]
    Signals(std::io::Error),
    #[error("cannot look for accounts")]
    Accounts(#[from] accounts::AccountsError),
}

/// Runs everything until the process is told to stop, then ends it in good order within `server.shutdown_timeout`.
pub async fn serve(config: Config) -> Result<(), AppError> {
    let (clock, ids) = (Clock::system(), Ids::new());
    let held = DataDir::lock(&config.data_dir)?;
    let mut signals = Signals::listen().map_err(AppError::Signals)?;
    for key in &config.without_effect {
        warn!(key, "this key has no effect in this version");
    }
    let certificates = Certificates::open(&config, clock.now())?;
    let db = open_database(&config).await?;
    let accounts = open_accounts(&config, &db, &clock, &ids);
    let sockets = Sockets::open(&config)?;
    let [http, https] = [&sockets.http, &sockets.https].map(|bound| Sockets::ports(bound).first().copied());
    let public_url = config.public_url(http, https);
    let token = setup_token::current(&config.data_dir, &accounts, &ids).await?;
    let facts = certificates.facts();
    let welcome = Welcome {
        config: &config,
        url: public_url.as_str(),
        starttls_ports: &Sockets::ports(&sockets.submission),
        tls_ports: &Sockets::ports(&sockets.submissions),
        certificate: &facts,
        setup_token: token.as_deref(),
    };
    let welcome = welcome.text();

    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    let reload = Arc::new(Notify::new());
    tasks.spawn(
        certificates
            .clone()
            .watch(clock.clone(), Arc::clone(&reload), stop.clone()),
    );
    tasks.spawn(
        certificates
            .clone()
            .keep_fetched(config.clone(), clock.clone(), stop.clone()),
    );
    let health = Health::new(db.clone(), stop.clone());
    let router = ops::health::routes(health).merge(certificates.challenges().routes());
    for bound in sockets.http {
        tasks.spawn(web::serve(bound, None, router.clone(), stop.clone()));
    }
    for bound in sockets.https {
        tasks.spawn(web::serve(
            bound,
            Some(certificates.https_config()),
            router.clone(),
            stop.clone(),
        ));
    }
    tasks.close();

    println!("{welcome}");
    signals.stop(&reload).await;

    info!("stopping");
    stop.cancel();
    if tokio::time::timeout(config.shutdown_timeout, tasks.wait())
        .await
        .is_err()
    {
        warn!(
            "stopped before everything in transfer had ended; what was accepted is stored and goes out at the next start"
        );
    }
    if let Err(error) = db.close().await {
        warn!(%error, "the database did not close well");
    }
    drop(held);
    info!("stopped");
    Ok(())
}

/// Opens the configured database and brings its schema up to date.
pub async fn open_database(config: &Config) -> Result<Db, AppError> {
    let url = &config.database_url;
    let failed = |source| AppError::Database {
        url: url.to_string(),
        source,
    };
    let db = Db::open(url, OpenOptions::default()).await.map_err(failed)?;
    db.migrate().await.map_err(failed)?;
    Ok(db)
}

pub fn open_accounts(config: &Config, db: &Db, clock: &Clock, ids: &Ids) -> Accounts {
    let settings = accounts::Settings {
        free_credits: config.accounts.free_credits.into(),
        hostname: config.hostname.clone(),
    };
    Accounts::new(db.clone(), clock.clone(), ids.clone(), settings)
}
