//! A socket whose client has to take what it is told: one that does not read is not waited for without end.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// A client gets a second of patience back for so many octets that it takes.
const LEAST_RATE: u64 = 4 * 1024;

/// Breaks the connection with [`io::ErrorKind::TimedOut`] when its client has kept us waiting for too long in all.
pub struct Patient<S> {
    stream: S,
    allowance: Allowance,
    /// Set while the client takes nothing.
    waiting: Option<Pin<Box<Sleep>>>,
}

/// How long may yet be waited for a client.
struct Allowance {
    most: Duration,
    left: Duration,
}

impl Allowance {
    fn earn(&mut self, octets: usize) {
        let earned = Duration::from_micros(octets as u64 * 1_000_000 / LEAST_RATE);
        self.left = (self.left + earned).min(self.most);
    }
}

impl<S> Patient<S> {
    pub fn new(stream: S, most: Duration) -> Self {
        Self {
            stream,
            allowance: Allowance { most, left: most },
            waiting: None,
        }
    }

    fn took(&mut self, octets: usize) {
        if let Some(timer) = self.waiting.take() {
            self.allowance.left = timer.deadline().saturating_duration_since(Instant::now());
        }
        self.allowance.earn(octets);
    }

    fn waits<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        let left = self.allowance.left;
        let timer = self.waiting.get_or_insert_with(|| Box::pin(sleep(left)));
        ready!(timer.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn wrote(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Pending => self.waits(context),
            Poll::Ready(written) => {
                self.took(*written.as_ref().unwrap_or(&0));
                Poll::Ready(written)
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, octets);
        this.wrote(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.wrote(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    // A socket keeps nothing back that flushing or closing would have to wait for.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn a_client_that_takes_nothing_breaks_the_connection() {
        let (far, _near) = duplex(16);
        let mut patient = Patient::new(far, Duration::from_millis(50));
        let broken = patient.write_all(&[0; 17]).await.unwrap_err();
        assert_eq!(broken.kind(), io::ErrorKind::TimedOut);
    }

    /// What is left of half a minute after so many waits of so many milliseconds, each ended by so many octets.
    fn left(waits: u32, milliseconds: u64, octets: usize) -> Duration {
        let most = Duration::from_secs(30);
        let mut allowance = Allowance { most, left: most };
        for _ in 0..waits {
            allowance.left = allowance.left.saturating_sub(Duration::from_millis(milliseconds));
            allowance.earn(octets);
        }
        allowance.left
    }

    #[test]
    fn who_reads_slowly_gets_everything_and_who_takes_an_octet_now_and_then_does_not() {
        assert_eq!(left(10_000, 900, 4 * 1024), Duration::from_secs(30));
        assert!(left(4, 10_000, 1) < Duration::from_millis(1));
        assert!(left(10, 10_000, 16 * 1024) < Duration::from_secs(5));
    }
}
