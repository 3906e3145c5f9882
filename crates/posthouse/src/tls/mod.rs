//! The certificate this server shows: where it comes from, what it says, and how a new one takes its place while running.

mod acme;
pub mod challenges;
pub mod keeper;
pub mod kept;
mod own;
mod pair;
mod takeover;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use mail::time::Time;
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use store::Clock;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use keeper::Keeper;
pub use pair::{Facts, Pair, PairError};

use crate::config::{CertificateFrom, Config};
use keeper::LinkNames;
use pair::Stamp;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How often the age of a certificate that we make is looked at.
const AGE_EVERY: Duration = Duration::from_hours(1);

/// Why there is no certificate to show.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error(transparent)]
    Pair(#[from] PairError),
    #[error("cannot make a certificate in {}: {reason}; make the directory writable or name your own in [tls]", dir.display())]
    Make { dir: PathBuf, reason: String },
    #[error("TLS cannot be set up: {0}")]
    Rustls(#[from] rustls::Error),
}

/// The certificate in force. Cheap to clone; every clone sees a new certificate at once.
#[derive(Clone)]
pub struct Certificates(Arc<Inner>);

struct Inner {
    from: Files,
    shown: Arc<Shown>,
    facts: ArcSwap<Facts>,
    /// What the files looked like when they were last read, well or not.
    seen: Mutex<Option<Stamp>>,
    smtp: Arc<ServerConfig>,
    https: Arc<ServerConfig>,
    named: ArcSwap<LinkNames>,
    /// Rung when what stood in an authority's way may have been mended.
    again: Notify,
}

/// The files a certificate is read from.
enum Files {
    Named {
        cert: PathBuf,
        key: PathBuf,
    },
    /// The one made here, until one is fetched.
    Made {
        own: own::Own,
        fetched: AtomicBool,
    },
}

impl Files {
    /// The pair that counts now.
    fn current(&self) -> (&Path, &Path) {
        match self {
            Self::Named { cert, key } => (cert, key),
            Self::Made { own, .. } => (own.cert(), own.key()),
        }
    }
}

/// Answers every handshake with the pair of the moment, so that a configuration lives as long as the server.
#[derive(Debug)]
struct Shown {
    ours: ArcSwap<CertifiedKey>,
    /// By name, for those that ask by a name of a sending domain.
    named: ArcSwap<HashMap<String, Arc<CertifiedKey>>>,
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = self.named.load();
        let asked = hello.server_name().filter(|_| !named.is_empty());
        let found = asked.and_then(|name| named.get(&name.to_ascii_lowercase()));
        Some(found.cloned().unwrap_or_else(|| self.ours.load_full()))
    }
}

impl Certificates {
    /// Reads the configured certificate, makes one where none is configured. Fails on files that are broken or do not
    /// belong together: a server that cannot speak TLS cannot take a password.
    pub fn open(config: &Config, now: Time) -> Result<Self, TlsError> {
        let dir = config.data_dir.join("tls");
        let from = match &config.certificate {
            CertificateFrom::Files { cert, key } => Files::Named {
                cert: cert.clone(),
                key: key.clone(),
            },
            CertificateFrom::Acme(_) | CertificateFrom::Ourselves => {
                let own = own::Own::new(&dir, &config.hostname);
                own.renew(now).map_err(|reason| TlsError::Make {
                    dir: dir.clone(),
                    reason,
                })?;
                Files::Made {
                    own,
                    fetched: AtomicBool::new(false),
                }
            }
        };
        let (cert, key) = from.current();
        let seen = Stamp::of(cert, key);
        let pair = Pair::read(cert, key)?;
        if pair.facts.not_after <= now {
            warn!(file = %cert.display(), not_after = %pair.facts.not_after.rfc3339(), "the certificate has expired");
        }
        let shown = Arc::new(Shown {
            ours: ArcSwap::from(pair.key),
            named: ArcSwap::default(),
        });
        Ok(Self(Arc::new(Inner {
            from,
            smtp: Arc::new(server_config(&shown, &[])?),
            https: Arc::new(server_config(&shown, &[b"h2", b"http/1.1"])?),
            shown,
            facts: ArcSwap::from_pointee(pair.facts),
            seen: Mutex::new(seen),
            named: ArcSwap::default(),
            again: Notify::new(),
        })))
    }

    /// For SMTP, both kinds of TLS.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.smtp)
    }

    /// For HTTP: the same with ALPN.
    pub fn https_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.https)
    }

    /// What the certificate in force says.
    pub fn facts(&self) -> Arc<Facts> {
        self.0.facts.load_full()
    }

    /// How many names for links have a certificate, by what the last look found.
    pub fn link_names(&self) -> LinkNames {
        **self.0.named.load()
    }

    fn count(&self, counted: LinkNames) {
        self.0.named.store(Arc::new(counted));
    }

    /// Puts a certificate that was fetched in the place of the one made here, or of one fetched before.
    fn show_fetched(&self, pair: &Pair) {
        let Files::Made { fetched, .. } = &self.0.from else {
            return;
        };
        if fetched.swap(true, Ordering::AcqRel)
            && self.facts().fingerprint_sha256 == pair.facts.fingerprint_sha256
        {
            return;
        }
        info!(
            fingerprint = pair.facts.fingerprint_sha256,
            not_after = %pair.facts.not_after.rfc3339(),
            "certificate loaded"
        );
        self.0.shown.ours.store(Arc::clone(&pair.key));
        self.0.facts.store(Arc::new(pair.facts.clone()));
    }

    /// Shows these to whoever asks by their name, and no others.
    fn show_named(&self, named: HashMap<String, Arc<CertifiedKey>>) {
        self.0.shown.named.store(Arc::new(named));
    }

    /// Resolves when an operator says that what stood in the way may be mended.
    async fn asked_again(&self) {
        self.0.again.notified().await;
    }

    /// Reads the files again if they changed. A broken pair changes nothing: the old one stays, and the fault is logged
    /// once for each state of the files.
    pub fn reload(&self) {
        if matches!(&self.0.from, Files::Made { fetched, .. } if fetched.load(Ordering::Acquire)) {
            return;
        }
        let (cert, key) = self.0.from.current();
        let stamp = Stamp::of(cert, key);
        let mut seen = self.0.seen.lock();
        if *seen == stamp {
            return;
        }
        match Pair::read(cert, key) {
            Ok(pair) => {
                info!(
                    file = %cert.display(),
                    fingerprint = pair.facts.fingerprint_sha256,
                    not_after = %pair.facts.not_after.rfc3339(),
                    "certificate loaded"
                );
                self.0.shown.ours.store(pair.key);
                self.0.facts.store(Arc::new(pair.facts));
            }
            Err(error) => warn!(%error, "the changed certificate is not used, the one in force stays"),
        }
        *seen = stamp;
    }

    /// Watches the files until told to stop; `hangup` is rung by SIGHUP.
    pub async fn watch(self, clock: Clock, mut hangup: watch::Receiver<()>, stop: CancellationToken) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        let mut age = tokio::time::interval(AGE_EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = look.tick() => {}
                rung = hangup.changed() => {
                    if rung.is_err() {
                        return;
                    }
                    info!("asked to reload");
                    *self.0.seen.lock() = None;
                    self.0.again.notify_one();
                }
                _ = age.tick() => if let Files::Made { own, .. } = &self.0.from
                    && let Err(reason) = own.renew(clock.now())
                {
                    warn!(reason, "the self-made certificate could not be renewed");
                },
            }
            self.reload();
        }
    }
}

fn server_config(shown: &Arc<Shown>, alpn: &[&[u8]]) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(shown) as Arc<dyn ResolvesServerCert>);
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    // A program that connects for every mail resumes instead of paying for a signature each time.
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
    Ok(config)
}

#[cfg(test)]
mod tests;
