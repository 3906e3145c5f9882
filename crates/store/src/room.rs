//! Whether the disk has room to spare: the last of it belongs to what was accepted already.
//!
//! A disk that is filled to its end stops deliveries too, since their results find no place, and what was delivered without being
//! recorded is sent again. So accepting stops before, and goes on by itself. The file never shrinks: what left it leaves free pages
//! behind, which are room as well, as long as the log that every commit goes through first has some of its own.

use std::path::PathBuf;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// What stays free for results, as far as the file system is large enough.
const RESERVE: u64 = 64 << 20;
/// Of a small file system, one part in so many.
const SHARE: u64 = 8;
/// Of the reserve, one part in so many has to be room for the log, whatever the file has free.
const LOG_SHARE: u64 = 8;
/// With less than this free the files themselves are looked at, and answers grow old fast: it is what can arrive within [`FAR`].
const NEAR: u64 = 1 << 30;
/// How long an answer is believed.
const FAR: Duration = Duration::from_secs(1);
const CLOSE: Duration = Duration::from_millis(20);

/// The file system a database file lies on.
pub(crate) struct Disk {
    file: PathBuf,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// Until when it is believed.
    until: Option<Instant>,
    short: bool,
}

impl Disk {
    pub(crate) fn of(file: PathBuf) -> Self {
        Self {
            file,
            seen: Mutex::default(),
        }
    }

    /// `inside` is asked at most once in a while.
    pub(crate) fn has_room(&self, inside: impl FnOnce() -> Inside) -> bool {
        let mut seen = self.seen.lock();
        let now = Instant::now();
        if seen.until.is_none_or(|until| now >= until) {
            let (short, believed) = self.look(inside);
            if short && !seen.short {
                tracing::warn!(
                    "the disk of the database is almost full: accepting stops until there is room"
                );
            } else if seen.short && !short {
                tracing::info!("the disk of the database has room again");
            }
            *seen = Seen {
                until: Some(now + believed),
                short,
            };
        }
        !seen.short
    }

    /// Whether room is short, and how long that is to be believed.
    fn look(&self, inside: impl FnOnce() -> Inside) -> (bool, Duration) {
        match rustix::fs::statvfs(&self.file) {
            // Some file systems know no size: they say zero.
            Ok(disk) if disk.f_blocks == 0 => (false, FAR),
            Ok(disk) => {
                let (size, free) = (disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize);
                if free < NEAR {
                    (is_short(size, free, inside()), CLOSE)
                } else {
                    (false, FAR)
                }
            }
            Err(error) => {
                tracing::debug!(%error, "the free space of the disk is not known");
                (false, FAR)
            }
        }
    }
}

/// What the database's own files have to spare, and what they are going to take, in octets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Inside {
    /// Pages of the file that hold nothing.
    pub(crate) pages: u64,
    /// What the log has behind its end.
    pub(crate) log: u64,
    /// By what the file grows when the log is copied into it.
    pub(crate) grows: u64,
}

fn is_short(size: u64, free: u64, inside: Inside) -> bool {
    let reserve = reserve(size);
    let free = free.saturating_sub(inside.grows);
    free + inside.pages < reserve || free + inside.log < reserve / LOG_SHARE
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
    fn pages_that_are_free_are_room_as_long_as_the_log_has_some_too() {
        const SIZE: u64 = 1 << 40;
        let short = |free: u64, pages: u64, log: u64| {
            let inside = Inside {
                pages: pages << 20,
                log: log << 20,
                grows: 0,
            };
            is_short(SIZE, free << 20, inside)
        };
        assert!(!short(64, 0, 0), "the reserve is free");
        assert!(short(63, 0, 30), "nothing left the file yet");
        assert!(
            !short(10, 1_000, 0),
            "the file has room, the disk enough for the log"
        );
        assert!(
            short(2, 1_000, 0),
            "the next commits might find no place in the log"
        );
        assert!(!short(0, 1_000, 30), "the log begins anew in its own file");
    }

    #[test]
    fn what_the_log_still_brings_into_the_file_is_taken_already() {
        let inside = |grows: u64| Inside {
            grows: grows << 20,
            ..Inside::default()
        };
        assert!(!is_short(1 << 40, 100 << 20, inside(36)));
        assert!(is_short(1 << 40, 100 << 20, inside(37)));
        assert!(is_short(1 << 40, 10 << 20, inside(200)));
    }

    #[test]
    fn a_disk_that_cannot_be_asked_keeps_nobody_out() {
        assert!(Disk::of("/nowhere/at/all".into()).has_room(Inside::default));
    }
}
