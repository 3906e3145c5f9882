//! A refusal reaches a client who is still sending what was refused: the connection is not closed under its hands.
//!
//! Octets that arrive behind the end of a connection are answered with a reset, and a reset takes away what the client has
//! not read yet. So our side alone is closed first, and what still comes is thrown away for a while (RFC 9112 section 9.6).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// How much is thrown away.
struct Limits {
    /// How long in all.
    most: Duration,
    /// How long a client may send nothing.
    idle: Duration,
    octets: usize,
}

const LIMITS: Limits = Limits {
    most: Duration::from_secs(30),
    idle: Duration::from_secs(5),
    // More than any request may have.
    octets: 64 * 1024 * 1024,
};

/// Whether a connection ends while its client is still sending.
#[derive(Clone, Default)]
pub struct Unread(Arc<AtomicBool>);

impl Unread {
    /// The body of a request, and a guard to be asked when the request is answered.
    pub fn watch(&self, body: Body) -> (Body, Arriving) {
        // What came before it has arrived.
        self.forget();
        let whole = Arc::new(AtomicBool::new(body.is_end_stream()));
        let arriving = Arriving {
            whole: Arc::clone(&whole),
            unread: self.clone(),
        };
        (Body::new(Watched { body, whole }), arriving)
    }

    /// The connection is closed in one step, whatever became of its last request.
    pub fn forget(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// A request whose body may not have arrived.
pub struct Arriving {
    whole: Arc<AtomicBool>,
    unread: Unread,
}

impl Arriving {
    /// The request is answered, and nobody reads on.
    pub fn answered(self) {
        if !self.whole.load(Ordering::Relaxed) {
            self.unread.0.store(true, Ordering::Relaxed);
        }
    }
}

struct Watched {
    body: Body,
    whole: Arc<AtomicBool>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.body).poll_frame(context));
        if frame.is_none() || this.body.is_end_stream() {
            this.whole.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A socket that is closed in two steps where its client is still sending.
pub struct Lingering<S> {
    stream: S,
    unread: Unread,
    limits: Limits,
    closed: bool,
    /// From the moment at which our side was closed.
    throwing: Option<Throwing>,
}

struct Throwing {
    until: Instant,
    idle: Duration,
    left: usize,
    timer: Pin<Box<Sleep>>,
}

impl<S> Lingering<S> {
    pub fn new(stream: S, unread: Unread) -> Self {
        Self {
            stream,
            unread,
            limits: LIMITS,
            closed: false,
            throwing: None,
        }
    }
}

impl Throwing {
    fn new(limits: &Limits) -> Self {
        Self {
            until: Instant::now() + limits.most,
            idle: limits.idle,
            left: limits.octets,
            timer: Box::pin(sleep(limits.idle.min(limits.most))),
        }
    }

    /// Ready when the client has sent everything, or has had its time.
    fn poll<S: AsyncRead + Unpin>(&mut self, stream: &mut S, context: &mut Context<'_>) -> Poll<()> {
        let mut room = [0; 8 * 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut room);
            match Pin::new(&mut *stream).poll_read(context, &mut buffer) {
                Poll::Pending => return self.timer.as_mut().poll(context),
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(())) => {
                    let now = Instant::now();
                    let octets = buffer.filled().len();
                    self.left = self.left.saturating_sub(octets);
                    if octets == 0 || self.left == 0 || now >= self.until {
                        return Poll::Ready(());
                    }
                    self.timer.as_mut().reset(self.until.min(now + self.idle));
                }
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, octets)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.closed {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
            this.closed = true;
        }
        if this.unread.0.load(Ordering::Relaxed) {
            let throwing = this.throwing.get_or_insert_with(|| Throwing::new(&this.limits));
            ready!(throwing.poll(&mut this.stream, context));
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    #[tokio::test]
    async fn only_what_was_not_read_to_its_end_counts_as_unread() {
        for (text, pieces, unread) in [("", 0, false), ("abc", 2, false), ("abc", 0, true)] {
            let flag = Unread::default();
            let (body, arriving) = flag.watch(Body::from(text));
            let mut body = body.into_data_stream();
            for _ in 0..pieces {
                body.next().await;
            }
            arriving.answered();
            assert_eq!(flag.0.load(Ordering::Relaxed), unread, "{text:?} {pieces}");
        }
    }

    const HOUR: Duration = Duration::from_hours(1);

    /// A socket of a client who is still sending, with these limits, and its other end.
    fn sending(most: Duration, idle: Duration, octets: usize) -> (Lingering<DuplexStream>, DuplexStream) {
        let unread = Unread::default();
        unread.0.store(true, Ordering::Relaxed);
        let (far, near) = duplex(16);
        let far = Lingering {
            limits: Limits { most, idle, octets },
            ..Lingering::new(far, unread)
        };
        (far, near)
    }

    #[tokio::test]
    async fn who_is_still_sending_may_go_on_and_reads_that_it_is_over() {
        let (mut far, mut near) = sending(HOUR, HOUR, 1_000_000);
        let closing = tokio::spawn(async move {
            far.write_all(b"no").await.unwrap();
            far.shutdown().await.unwrap();
        });
        near.write_all(&vec![b'x'; 100_000]).await.unwrap();
        let mut heard = String::new();
        near.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "no");
        assert!(!closing.is_finished(), "more may come");
        drop(near);
        closing.await.unwrap();
    }

    #[tokio::test]
    async fn who_was_heard_out_or_falls_silent_or_never_ends_is_left() {
        let (mut heard_out, _near) = sending(HOUR, HOUR, 100);
        heard_out.unread = Unread::default();
        heard_out.shutdown().await.unwrap();
        let soon = Duration::from_millis(20);
        let (mut silent, _near) = sending(HOUR, soon, 100);
        silent.shutdown().await.unwrap();
        for (most, octets) in [(soon, usize::MAX), (HOUR, 100)] {
            let (mut far, mut near) = sending(most, HOUR, octets);
            let endless = async {
                while near.write_all(b"x").await.is_ok() {
                    tokio::task::yield_now().await;
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                closed = far.shutdown() => closed.unwrap(),
                () = endless => unreachable!("it never ends"),
            }
        }
    }
}
