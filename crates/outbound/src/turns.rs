//! Whose turn it is where something takes long, a hook or a search: few at once, and no account takes all of them.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use store::Id;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// How long anybody waits for one turn.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// Accounts whose share is remembered.
const ACCOUNTS: u64 = 10_000;
/// An account that asked for nothing for so long starts anew.
const FORGOTTEN: Duration = Duration::from_mins(10);

/// The places there are.
pub struct Turns {
    all: Arc<Semaphore>,
    of_account: usize,
    accounts: Cache<Id, Arc<Semaphore>>,
}

/// A place, for as long as it is held.
pub struct Turn(#[expect(dead_code, reason = "held, not read")] [OwnedSemaphorePermit; 2]);

impl Turns {
    /// So many at once, and so many of them for one account.
    pub fn new(places: usize, of_account: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(places)),
            of_account,
            accounts: Cache::builder()
                .max_capacity(ACCOUNTS)
                .time_to_idle(FORGOTTEN)
                .build(),
        }
    }

    /// None where it does not come within this time, or that of [`PATIENCE`].
    pub async fn take(&self, account: Id, within: Duration) -> Option<Turn> {
        let own = self
            .accounts
            .get_with(account, || Arc::new(Semaphore::new(self.of_account)));
        let taken = timeout(within.min(PATIENCE), async {
            // Its own share first: whoever waits for that keeps nobody else out.
            let own = own.acquire_owned().await.ok()?;
            let one = Arc::clone(&self.all).acquire_owned().await.ok()?;
            Some(Turn([own, one]))
        });
        taken.await.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use mail::time::Time;
    use store::Ids;

    use super::*;

    #[tokio::test]
    async fn one_account_never_takes_every_place() {
        let ids = Ids::new();
        let [ann, bob] = std::array::from_fn(|_| ids.next(Time::from_secs(1_800_000_000)));
        let turns = Turns::new(4, 2);
        let held = [
            turns.take(ann, Duration::ZERO).await,
            turns.take(ann, Duration::ZERO).await,
        ];
        assert!(held.iter().all(Option::is_some));
        assert!(turns.take(ann, Duration::ZERO).await.is_none());
        assert!(turns.take(bob, Duration::ZERO).await.is_some());
        drop(held);
        assert!(turns.take(ann, Duration::ZERO).await.is_some());
    }
}
