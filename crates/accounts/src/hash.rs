//! Hashing and verifying passwords with argon2id, never more than two at once.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::PasswordHasher;
use argon2::password_hash::phc::{Output, PasswordHash};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::{AccountsError, password::MAX_OCTETS};

/// Hashes that run at the same time; each takes 19 MiB.
const AT_ONCE: usize = 2;
/// How long a sign-in waits for its turn before it is told to come back.
const PATIENCE: Duration = Duration::from_secs(15);

/// Verified for logins that do not exist, so that they cost as much as those that do. It is the hash of no password.
const DUMMY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$cG9zdGhvdXNlIGR1bW15IQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The right to run one hash.
pub(crate) type Turn = tokio::sync::OwnedSemaphorePermit;

/// The one place that spends CPU time on passwords.
#[derive(Clone)]
pub(crate) struct Hasher {
    turns: Arc<Semaphore>,
    memory: Arc<Memory>,
}

/// The working memory of hashes, used again: fresh memory for each, on ever other threads, would leave the allocator
/// holding some for every thread.
#[derive(Default)]
pub(crate) struct Memory(Mutex<Vec<Vec<Block>>>);

impl Memory {
    fn with<T>(&self, blocks: usize, work: impl FnOnce(&mut [Block]) -> T) -> T {
        let mut memory = self.0.lock().pop().unwrap_or_default();
        if memory.len() < blocks {
            memory.resize(blocks, Block::default());
        }
        let done = work(&mut memory[..blocks]);
        let mut kept = self.0.lock();
        if kept.len() < AT_ONCE {
            kept.push(memory);
        }
        done
    }
}

impl Hasher {
    pub(crate) fn new() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            memory: Arc::default(),
        }
    }

    pub(crate) fn memory(&self) -> Arc<Memory> {
        Arc::clone(&self.memory)
    }

    /// Waits for a turn; what runs under the returned permit counts against the cap.
    pub(crate) async fn turn(&self) -> Result<Turn, AccountsError> {
        match tokio::time::timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned()).await {
            Ok(permit) => Ok(permit.expect("the semaphore is never closed")),
            Err(_) => Err(AccountsError::Busy),
        }
    }

    /// A PHC string of argon2id with m = 19 MiB, t = 2, p = 1.
    pub(crate) async fn hash(&self, password: &str, salt: Vec<u8>) -> Result<String, AccountsError> {
        let turn = self.turn().await?;
        let password = password.to_owned();
        let hash = spawn_blocking(move || {
            let _turn = turn;
            Argon2::default()
                .hash_password_with_salt(password.as_bytes(), &salt)
                .map(|hash: PasswordHash| hash.to_string())
        });
        hash.await
            .map_err(|_| AccountsError::Hashing)?
            .map_err(|_| AccountsError::Hashing)
    }
}

/// Verifies on the calling thread. `None` for the hash is an unknown login: same cost, never true.
pub(crate) fn verify(memory: &Memory, password: &str, hash: Option<&str>) -> bool {
    if password.len() > MAX_OCTETS {
        return false;
    }
    let matches = PasswordHash::new(hash.unwrap_or(DUMMY))
        .ok()
        .and_then(|parsed| matches(memory, password, &parsed))
        .unwrap_or(false);
    matches && hash.is_some()
}

/// `None` when the stored hash is of a kind that we never made.
fn matches(memory: &Memory, password: &str, stored: &PasswordHash) -> Option<bool> {
    let algorithm = Algorithm::try_from(stored.algorithm.as_str()).ok()?;
    let version = Version::try_from(stored.version?).ok()?;
    let params = Params::try_from(stored).ok()?;
    let (salt, expected) = (stored.salt.as_ref()?, stored.hash.as_ref()?);
    let mut buffer = [0; Output::MAX_LENGTH];
    let out = buffer.get_mut(..expected.len())?;
    let blocks = params.block_count();
    let argon2 = Argon2::new(algorithm, version, params);
    memory
        .with(blocks, |blocks| {
            argon2.hash_password_into_with_memory(password.as_bytes(), salt, out, blocks)
        })
        .ok()?;
    // `Output` compares in constant time.
    Some(Output::new(out).ok()? == *expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_verifies_its_password_and_no_other() {
        let hash = Hasher::new()
            .hash("four tired horses", vec![1; 16])
            .await
            .unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(verify(&Memory::default(), "four tired horses", Some(&hash)));
        assert!(!verify(&Memory::default(), "four tired horsez", Some(&hash)));
    }

    #[test]
    fn the_dummy_hash_costs_as_much_as_a_real_one() {
        let dummy = PasswordHash::new(DUMMY).unwrap();
        let (dummy, real) = (
            argon2::Params::try_from(&dummy).unwrap(),
            argon2::Params::default(),
        );
        assert_eq!(
            (dummy.m_cost(), dummy.t_cost(), dummy.p_cost()),
            (real.m_cost(), real.t_cost(), real.p_cost())
        );
        assert!(!verify(&Memory::default(), "", None));
    }

    #[test]
    fn one_hash_after_the_other_uses_the_same_memory() {
        let memory = Memory::default();
        for _ in 0..3 {
            assert!(!verify(&memory, "four tired horses", None));
        }
        assert_eq!(memory.0.lock().len(), 1);
    }

    #[test]
    fn more_than_a_kibibyte_is_not_hashed() {
        assert!(!verify(&Memory::default(), &"x".repeat(MAX_OCTETS + 1), None));
    }
}
