//! Counters of the commits: plain atomics, read as snapshots by whoever publishes metrics.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use crate::error::ErrorKind;

/// What makes a database take no writes at all, in the order of [`Counters::refusal`], from 1.
const REFUSALS: [ErrorKind; 3] = [ErrorKind::Full, ErrorKind::Unavailable, ErrorKind::ReadOnly];

/// Upper bounds of the batch-size buckets, in closures per commit.
pub const BATCH_BOUNDS: [u64; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
/// Upper bounds of the latency buckets, in microseconds.
pub const LATENCY_BOUNDS: [u64; 12] = [
    250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 512_000, 2_048_000,
];

/// What was committed since the database was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitStats {
    pub commits: u64,
    /// Closures whose work was committed; `writes / commits` is the mean batch.
    pub writes: u64,
    /// Statements in them.
    pub statements: u64,
    /// Transactions rolled back: a closure's error, or a commit that failed.
    pub rollbacks: u64,
    /// Closures waiting at this moment.
    pub waiting: u64,
    /// Commits by closures per commit, one bucket per [`BATCH_BOUNDS`] and one above.
    pub batch: Histogram,
    /// Commits by microseconds from BEGIN to the end of COMMIT, one bucket per [`LATENCY_BOUNDS`] and one above.
    pub latency: Histogram,
}

/// Counts per bucket, not cumulated; the last bucket has no bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    pub bounds: &'static [u64],
    pub counts: Vec<u64>,
    pub sum: u64,
}

#[derive(Default)]
pub(crate) struct Counters {
    commits: AtomicU64,
    writes: AtomicU64,
    statements: AtomicU64,
    rollbacks: AtomicU64,
    /// Why the last write failed, one more than its place in [`REFUSALS`]; 0 when a commit that wrote something came after it.
    refusal: AtomicU8,
    batch: [AtomicU64; BATCH_BOUNDS.len() + 1],
    latency: Latencies,
}

/// How long something took, counted in the buckets of [`LATENCY_BOUNDS`].
#[derive(Debug, Default)]
pub struct Latencies {
    counts: [AtomicU64; LATENCY_BOUNDS.len() + 1],
    sum: AtomicU64,
}

impl Latencies {
    pub fn add(&self, took: Duration) {
        let micros = took.as_micros() as u64;
        self.counts[bucket(&LATENCY_BOUNDS, micros)].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(micros, Ordering::Relaxed);
    }

    pub fn snapshot(&self) -> Histogram {
        Histogram {
            bounds: &LATENCY_BOUNDS,
            counts: read(&self.counts),
            sum: self.sum.load(Ordering::Relaxed),
        }
    }
}

impl Counters {
    /// `news` says that this commit ends the time in which the database took no writes.
    pub(crate) fn committed(&self, (closures, statements): (usize, u64), took: Duration, news: bool) {
        let closures = closures as u64;
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.writes.fetch_add(closures, Ordering::Relaxed);
        self.statements.fetch_add(statements, Ordering::Relaxed);
        self.batch[bucket(&BATCH_BOUNDS, closures)].fetch_add(1, Ordering::Relaxed);
        self.latency.add(took);
        if news {
            self.refusal.store(0, Ordering::Relaxed);
        }
    }

    pub(crate) fn rolled_back(&self) {
        self.rollbacks.fetch_add(1, Ordering::Relaxed);
    }

    /// A caller gets this error as the answer to its write.
    pub(crate) fn failed(&self, kind: ErrorKind) {
        if let Some(place) = REFUSALS.iter().position(|refusal| *refusal == kind) {
            self.refusal.store(place as u8 + 1, Ordering::Relaxed);
        }
    }

    pub(crate) fn refusal(&self) -> Option<ErrorKind> {
        let place = usize::from(self.refusal.load(Ordering::Relaxed)).checked_sub(1)?;
        REFUSALS.get(place).copied()
    }

    pub(crate) fn snapshot(&self, waiting: usize) -> CommitStats {
        let writes = self.writes.load(Ordering::Relaxed);
        CommitStats {
            commits: self.commits.load(Ordering::Relaxed),
            writes,
            statements: self.statements.load(Ordering::Relaxed),
            rollbacks: self.rollbacks.load(Ordering::Relaxed),
            waiting: waiting as u64,
            batch: Histogram {
                bounds: &BATCH_BOUNDS,
                counts: read(&self.batch),
                sum: writes,
            },
            latency: self.latency.snapshot(),
        }
    }
}

fn read(counts: &[AtomicU64]) -> Vec<u64> {
    counts.iter().map(|count| count.load(Ordering::Relaxed)).collect()
}

fn bucket(bounds: &[u64], value: u64) -> usize {
    bounds.partition_point(|bound| *bound < value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_falls_into_the_bucket_whose_bound_it_does_not_pass() {
        let counters = Counters::default();
        counters.committed((1, 5), Duration::from_micros(250), false);
        counters.committed((50, 250), Duration::from_micros(251), false);
        counters.committed((600, 3_000), Duration::from_mins(1), false);
        let stats = counters.snapshot(3);
        assert_eq!((stats.commits, stats.writes, stats.waiting), (3, 651, 3));
        assert_eq!(stats.statements, 3_255);
        assert_eq!(stats.batch.counts, [1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
        assert_eq!(stats.latency.counts, [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn a_database_refuses_writes_from_an_error_of_its_own_until_it_takes_one() {
        let counters = Counters::default();
        counters.failed(ErrorKind::Unique);
        assert_eq!(counters.refusal(), None, "that was the closure's");
        for kind in REFUSALS {
            counters.failed(kind);
            assert_eq!(counters.refusal(), Some(kind));
        }
        counters.committed((1, 1), Duration::ZERO, false);
        assert!(counters.refusal().is_some(), "it may have written nothing");
        counters.committed((1, 1), Duration::ZERO, true);
        assert_eq!(counters.refusal(), None);
    }
}
