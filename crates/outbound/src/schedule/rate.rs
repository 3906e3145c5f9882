//! Deliveries in the last minute, counted without remembering each.

use mail::time::Time;

const BUCKET_SECONDS: i64 = 5;
const BUCKETS: usize = 12;

#[derive(Clone, Copy, Debug, Default)]
pub struct Rate {
    counts: [u32; BUCKETS],
    /// Number of the newest bucket since 1970.
    newest: i64,
}

impl Rate {
    pub fn add(&mut self, count: u32, now: Time) {
        self.forget_old(now);
        let slot = &mut self.counts[slot(self.newest)];
        *slot = slot.saturating_add(count);
    }

    pub fn per_minute(mut self, now: Time) -> u64 {
        self.forget_old(now);
        self.counts.iter().map(|count| u64::from(*count)).sum()
    }

    fn forget_old(&mut self, now: Time) {
        let newest = now.as_secs().div_euclid(BUCKET_SECONDS);
        let passed = newest.saturating_sub(self.newest).clamp(0, BUCKETS as i64);
        for step in 0..passed {
            self.counts[slot(newest - step)] = 0;
        }
        self.newest = self.newest.max(newest);
    }
}

fn slot(bucket: i64) -> usize {
    bucket.rem_euclid(BUCKETS as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_counts_for_one_minute() {
        let mut rate = Rate::default();
        rate.add(3, Time::from_secs(1000));
        rate.add(2, Time::from_secs(1030));
        assert_eq!(rate.per_minute(Time::from_secs(1031)), 5);
        assert_eq!(rate.per_minute(Time::from_secs(1061)), 2);
        assert_eq!(rate.per_minute(Time::from_secs(2000)), 0);
    }

    #[test]
    fn a_clock_that_goes_back_loses_nothing() {
        let mut rate = Rate::default();
        rate.add(1, Time::from_secs(1000));
        rate.add(1, Time::from_secs(900));
        assert_eq!(rate.per_minute(Time::from_secs(1000)), 2);
    }
}
