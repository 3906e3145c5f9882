//! Identifiers that sort by the time they were made, and the randomness behind every id and secret.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use mail::time::Time;
use parking_lot::Mutex;
use uuid::Uuid;

/// A UUID of version 7: its order is the order of making, so rows of one time lie together on disk.
// RFC 9562 section 5.7
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id([u8; 16]);

/// The text is no identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier: expected a UUID like 019ab0c4-8d3e-7c11-9f2a-5b6c7d8e9f00")]
pub struct NotAnId;

impl Id {
    /// Stands for nothing that was ever stored.
    pub const NOBODY: Self = Self([0; 16]);

    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The moment it was made, to the millisecond.
    pub fn time(&self) -> Time {
        let mut milli = [0; 8];
        milli[2..].copy_from_slice(&self.0[..6]);
        Time::from_micros(i64::from_be_bytes(milli).saturating_mul(1000))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_bytes(self.0).hyphenated().fmt(f)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Id {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        Uuid::try_parse(text)
            .map(|uuid| Self(uuid.into_bytes()))
            .map_err(|_| NotAnId)
    }
}

/// Makes identifiers and secrets. Clones share one sequence.
#[derive(Clone, Default)]
pub struct Ids(Arc<Mutex<Last>>);

/// The last identifier given: its millisecond, and the 74 bits that follow as a counter that starts at random.
#[derive(Default)]
struct Last {
    milli: u64,
    counter: u128,
}

/// 12 bits behind the version and 62 behind the variant.
const COUNTER_BITS: u32 = 74;

impl Ids {
    pub fn new() -> Self {
        Self::default()
    }

    /// The next identifier: greater than every one before it, even when the clock stands or goes back.
    // RFC 9562 section 6.2, method 2: a random start in each millisecond, random steps within it.
    pub fn next(&self, now: Time) -> Id {
        let milli = u64::try_from(now.as_micros() / 1000).unwrap_or(0);
        let mut last = self.0.lock();
        if milli > last.milli {
            last.milli = milli;
            // The top bit stays free, so that a millisecond has room for every step that follows.
            last.counter = random_u128() >> (128 - COUNTER_BITS + 1);
        } else {
            last.counter += 1 + (random_u128() & u128::from(u32::MAX));
            if last.counter >> COUNTER_BITS != 0 {
                last.milli += 1;
                last.counter = random_u128() >> (128 - COUNTER_BITS + 1);
            }
        }
        let (milli, counter) = (last.milli, last.counter);
        drop(last);
        let high = (counter >> 62) as u16;
        let low = (counter as u64) & ((1 << 62) - 1);
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&milli.to_be_bytes()[2..]);
        bytes[6..8].copy_from_slice(&(high & 0x0fff | 0x7000).to_be_bytes());
        bytes[8..].copy_from_slice(&(low | 1 << 63).to_be_bytes());
        Id(bytes)
    }

    /// `length` bytes nobody can guess, from the operating system.
    pub fn secret(&self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        fill(&mut bytes);
        bytes
    }
}

fn random_u128() -> u128 {
    let mut bytes = [0; 16];
    fill(&mut bytes);
    u128::from_be_bytes(bytes)
}

fn fill(bytes: &mut [u8]) {
    aws_lc_rs::rand::fill(bytes).expect("the operating system's random source answers");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_even_when_the_clock_stands_or_goes_back() {
        let ids = Ids::new();
        let mut last = ids.next(Time::from_secs(1_000));
        for step in 0..10_000_i64 {
            let now = Time::from_micros(1_000_000_000 - step * 700);
            let next = ids.next(now);
            assert!(next > last, "{next} after {last}");
            last = next;
        }
        assert!(ids.next(Time::from_secs(2_000)) > last);
    }

    #[test]
    fn an_id_is_a_version_7_uuid_of_its_millisecond() {
        let now = Time::from_micros(1_795_465_144_123_456);
        let id = Ids::new().next(now);
        let uuid = Uuid::from_bytes(*id.as_bytes());
        assert_eq!(uuid.get_version_num(), 7);
        assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
        assert_eq!(id.time(), Time::from_micros(1_795_465_144_123_000));
    }

    #[test]
    fn an_id_reads_back_from_its_text() {
        let id = Ids::new().next(Time::from_secs(5));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("nonsense".parse::<Id>(), Err(NotAnId));
    }

    #[test]
    fn threads_never_share_an_id() {
        let ids = Ids::new();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let ids = ids.clone();
                std::thread::spawn(move || {
                    (0..1_000)
                        .map(|_| ids.next(Time::from_secs(9)))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let mut all: Vec<Id> = threads.into_iter().flat_map(|t| t.join().unwrap()).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 4_000);
    }

    #[test]
    fn secrets_differ() {
        let ids = Ids::new();
        assert_eq!(ids.secret(32).len(), 32);
        assert_ne!(ids.secret(32), ids.secret(32));
    }
}
