//! Which country an address is in, where the operator gives a database that knows.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use maxminddb::{Reader, path};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::SiteError;

const KEY: &str = "tracking.geoip";
/// How often the file is looked at: operators replace it by a newer one each month or week.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// A database in the MMDB format, in memory. Clones share it.
#[derive(Clone)]
pub struct Countries(Option<Arc<Kept>>);

struct Kept {
    file: PathBuf,
    reader: ArcSwap<Reader<Vec<u8>>>,
    /// What the file looked like when it was read last; none where it could not be seen.
    seen: Mutex<Option<(SystemTime, u64)>>,
}

impl Countries {
    /// Reads the file; without one nothing is known.
    pub fn open(file: Option<&Path>) -> Result<Self, SiteError> {
        let Some(file) = file else {
            return Ok(Self(None));
        };
        // Looked at before it is read: what is written meanwhile is read again.
        let seen = stamp(file);
        let reader = read(file)?;
        Ok(Self(Some(Arc::new(Kept {
            file: file.to_owned(),
            reader: ArcSwap::from_pointee(reader),
            seen: Mutex::new(seen),
        }))))
    }

    /// The ISO 3166 code of the country; none where the database does not say.
    pub fn of(&self, ip: IpAddr) -> Option<String> {
        let reader = self.0.as_ref()?.reader.load();
        let found = reader.lookup(ip).ok()?;
        let code: String = found.decode_path(&path!["country", "iso_code"]).ok()??;
        // It becomes the name of a counter, of which there are to be few.
        let is_code = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase());
        is_code.then_some(code)
    }

    /// Looks at the file until told to stop, and at once on SIGHUP.
    pub async fn watch(self, mut hangup: watch::Receiver<()>, stop: CancellationToken) {
        let Some(kept) = self.0 else {
            return;
        };
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = look.tick() => {}
                rung = hangup.changed() => {
                    if rung.is_err() {
                        return;
                    }
                    *kept.seen.lock() = None;
                }
            }
            let kept = Arc::clone(&kept);
            // Such a file has tens of megabytes.
            if let Err(error) = tokio::task::spawn_blocking(move || kept.reload()).await {
                warn!(%error, key = KEY, "the database of addresses was not looked at");
            }
        }
    }
}

impl Kept {
    /// Reads the file again if it changed. One that is no database, or gone, changes nothing: the old one stays, and the fault is
    /// told once for each state of the file.
    fn reload(&self) {
        let now = stamp(&self.file);
        let mut seen = self.seen.lock();
        if *seen == now && now.is_some() {
            return;
        }
        match read(&self.file) {
            Ok(reader) => {
                let built = reader.metadata().build_epoch;
                self.reader.store(Arc::new(reader));
                info!(file = %self.file.display(), built, "database of addresses loaded");
            }
            Err(error) if *seen != now => {
                warn!(%error, "the changed database of addresses is not used, the one in memory stays");
            }
            Err(_) => {}
        }
        *seen = now;
    }
}

/// When the file was written, and how big it is.
fn stamp(file: &Path) -> Option<(SystemTime, u64)> {
    let facts = std::fs::metadata(file).ok()?;
    Some((facts.modified().ok()?, facts.len()))
}

fn read(file: &Path) -> Result<Reader<Vec<u8>>, SiteError> {
    let content = std::fs::read(file).map_err(|reason| SiteError::Unreadable {
        key: KEY,
        file: file.to_owned(),
        reason,
    })?;
    Reader::from_source(content).map_err(|error| SiteError::Unusable {
        key: KEY,
        file: file.to_owned(),
        reason: format!("is no database of addresses in the MMDB format: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_database_is_told_and_none_knows_nothing() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("countries.mmdb");
        assert!(matches!(
            Countries::open(Some(&file)),
            Err(SiteError::Unreadable { key: KEY, .. })
        ));
        std::fs::write(&file, b"not a database").unwrap();
        assert!(matches!(
            Countries::open(Some(&file)),
            Err(SiteError::Unusable { key: KEY, .. })
        ));
        assert_eq!(Countries::open(None).unwrap().of([192, 0, 2, 1].into()), None);
    }
}
