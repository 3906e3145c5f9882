//! Hashing and verifying passwords with argon2id, never more than two at once, in turns that are fair between networks.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::PasswordHasher;
use argon2::password_hash::phc::{Output, PasswordHash};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use crate::turns::{Lines, Network};
use crate::{AccountsError, password::MAX_OCTETS};

/// Hashes that run at the same time; each takes 19 MiB.
const AT_ONCE: usize = 2;
/// How long a sign-in waits for its turn before it is told to come back.
const PATIENCE: Duration = Duration::from_secs(15);
/// The most of one network that wait: about what is hashed until their patience ends.
const LONGEST_LINE: usize = 500;

/// Verified for logins that do not exist, so that they cost as much as those that do. It is the hash of no password.
const DUMMY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$cG9zdGhvdXNlIGR1bW15IQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The one place that spends CPU time on passwords.
#[derive(Clone)]
pub(crate) struct Hasher {
    turns: Arc<Turns>,
    memory: Arc<Memory>,
}

struct Turns(Mutex<Waiting>);

struct Waiting {
    /// Turns that nobody has; with one, nobody waits.
    free: usize,
    lines: Lines<oneshot::Sender<Turn>>,
}

/// The right to run one hash. Dropped, also unseen by one who stopped waiting, it passes to the next.
pub(crate) struct Turn(Option<Arc<Turns>>);

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(turns) = self.0.take() {
            turns.pass_on();
        }
    }
}

impl Turns {
    fn pass_on(self: Arc<Self>) {
        let mut waiting = self.0.lock();
        while let Some(next) = waiting.lines.next() {
            match next.send(Turn(Some(Arc::clone(&self)))) {
                Ok(()) => return,
                // Nobody waits there any more; the turn stays here.
                Err(mut unseen) => unseen.0 = None,
            }
        }
        waiting.free += 1;
    }
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
            turns: Arc::new(Turns(Mutex::new(Waiting {
                free: AT_ONCE,
                lines: Lines::new(LONGEST_LINE),
            }))),
            memory: Arc::default(),
        }
    }

    pub(crate) fn memory(&self) -> Arc<Memory> {
        Arc::clone(&self.memory)
    }

    /// Waits for a turn; what runs while it is held counts against the cap. Networks are served by turns, however many
    /// wait in each.
    pub(crate) async fn turn(&self, network: Network) -> Result<Turn, AccountsError> {
        let turn = {
            let mut waiting = self.turns.0.lock();
            if waiting.free > 0 {
                waiting.free -= 1;
                return Ok(Turn(Some(Arc::clone(&self.turns))));
            }
            let (waits, turn) = oneshot::channel();
            waiting
                .lines
                .join(network, waits, oneshot::Sender::is_closed)
                .map_err(|_| AccountsError::Busy)?;
            turn
        };
        match tokio::time::timeout(PATIENCE, turn).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(AccountsError::Busy),
        }
    }

    /// A PHC string of argon2id with m = 19 MiB, t = 2, p = 1.
    pub(crate) async fn hash(&self, password: &str, salt: Vec<u8>) -> Result<String, AccountsError> {
        let turn = self.turn(None).await?;
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

    async fn all_turns(hasher: &Hasher) -> Vec<Turn> {
        let mut turns = Vec::new();
        for _ in 0..AT_ONCE {
            turns.push(hasher.turn(None).await.unwrap());
        }
        turns
    }

    /// Somebody in `network` who waits for a turn, in line when this returns.
    async fn waiter(hasher: &Hasher, network: &str) -> tokio::task::JoinHandle<Result<Turn, AccountsError>> {
        let (hasher, network) = (hasher.clone(), Some(network.parse().unwrap()));
        let waiter = tokio::spawn(async move { hasher.turn(network).await });
        // On one thread, what was spawned runs until it waits.
        tokio::task::yield_now().await;
        waiter
    }

    #[tokio::test]
    async fn a_sign_in_is_next_but_one_however_many_wait_in_another_network() {
        let hasher = Hasher::new();
        let mut turns = all_turns(&hasher).await;
        let mut flood = Vec::new();
        for _ in 0..LONGEST_LINE {
            flood.push(waiter(&hasher, "192.0.2.0/24").await);
        }
        let refused = waiter(&hasher, "192.0.2.0/24").await.await.unwrap();
        assert!(matches!(refused, Err(AccountsError::Busy)));
        let other = waiter(&hasher, "198.51.100.0/24").await;
        turns.clear();
        let first = flood.remove(0).await.unwrap().unwrap();
        let _second = other.await.unwrap().unwrap();
        tokio::task::yield_now().await;
        assert!(flood.iter().all(|one| !one.is_finished()));
        drop(first);
        flood.remove(0).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_turn_that_nobody_waits_for_any_more_passes_on() {
        let hasher = Hasher::new();
        let mut turns = all_turns(&hasher).await;
        let gone = waiter(&hasher, "192.0.2.0/24").await;
        let waits = waiter(&hasher, "192.0.2.0/24").await;
        gone.abort();
        assert!(gone.await.is_err_and(|error| error.is_cancelled()));
        turns.pop();
        waits.await.unwrap().unwrap();
        turns.clear();
        assert_eq!(hasher.turns.0.lock().free, AT_ONCE);
        assert_eq!(all_turns(&hasher).await.len(), AT_ONCE);
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
