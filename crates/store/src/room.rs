//! Whether the disk has room to spare: the last of it belongs to what was accepted already.
//!
//! A disk that is filled to its end stops deliveries too, since their results find no place, and what was delivered without being
//! recorded is sent again. So accepting stops before, and goes on by itself.

use std::path::PathBuf;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// What stays free for results, as far as the file system is large enough.
const RESERVE: u64 = 64 << 20;
/// Of a small file system, one part in so many.
const SHARE: u64 = 8;
/// How long an answer is believed.
const BELIEVED: Duration = Duration::from_secs(1);

/// The file system a database file lies on.
pub(crate) struct Disk {
    file: PathBuf,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    at: Option<Instant>,
    short: bool,
}

impl Disk {
    pub(crate) fn of(file: PathBuf) -> Self {
        Self {
            file,
            seen: Mutex::default(),
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        let mut seen = self.seen.lock();
        if seen.at.is_none_or(|at| at.elapsed() >= BELIEVED) {
            let short = self.is_short();
            if short && !seen.short {
                tracing::warn!(
                    "the disk of the database is almost full: accepting stops until there is room"
                );
            } else if seen.short && !short {
                tracing::info!("the disk of the database has room again");
            }
            *seen = Seen {
                at: Some(Instant::now()),
                short,
            };
        }
        !seen.short
    }

    fn is_short(&self) -> bool {
        match rustix::fs::statvfs(&self.file) {
            // Some file systems know no size: they say zero.
            Ok(disk) => {
                disk.f_blocks > 0 && disk.f_bavail * disk.f_frsize < reserve(disk.f_blocks * disk.f_frsize)
            }
            Err(error) => {
                tracing::debug!(%error, "the free space of the disk is not known");
                false
            }
        }
    }
}

fn reserve(size: u64) -> u64 {
    RESERVE.min(size / SHARE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_disk_keeps_a_share_and_a_large_one_no_more_than_it_takes() {
        assert_eq!(reserve(24 << 20), 3 << 20);
        assert_eq!(reserve(1 << 40), 64 << 20);
    }

    #[test]
    fn a_disk_that_cannot_be_asked_keeps_nobody_out() {
        assert!(Disk::of("/nowhere/at/all".into()).has_room());
    }
}
