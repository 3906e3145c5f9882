//! Work whose time grows with the size of a message, and where it is done.

use tokio::task::JoinError;

/// From this size on, copying, hashing or reading a message holds a thread up for longer than others can wait.
pub const BIG: usize = 256 * 1024;

/// Does `work` on so many octets: on this thread, or on one that nobody else waits for. The error is its panic.
pub async fn off_the_workers<T: Send + 'static>(
    octets: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    if octets < BIG {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await
}
