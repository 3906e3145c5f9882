//! Answers that their client does not take: the window of HTTP/2 may keep one stream waiting while the socket goes on, and an
//! answer that holds much memory is to be taken within a time.

use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

/// Octets handed over at once, so that a client who reads slowly is seen to read.
const PIECE: usize = 16 * 1024;

/// Goes with an answer that has to be taken within so long, whoever takes it how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Urgent(pub Duration);

/// The answers of one connection that are being sent.
#[derive(Default)]
pub struct Untaken(Mutex<Vec<Weak<Answer>>>);

/// How far a client is with one answer.
struct Answer {
    progress: Mutex<Progress>,
    /// When it is over in any case.
    until: Option<Instant>,
}

struct Progress {
    /// Pieces that were handed over and are not on the wire yet.
    pieces: usize,
    /// When the last one went, or the first one came.
    since: Instant,
}

impl Untaken {
    /// The same answer, watched until its last octet is on the wire.
    pub fn watch(&self, answer: Response) -> Response {
        let until = answer
            .extensions()
            .get()
            .map(|Urgent(time)| Instant::now() + *time);
        answer.map(|body| self.watch_body(body, until))
    }

    /// The same answer, watched if it is urgent.
    pub fn watch_urgent(&self, answer: Response) -> Response {
        if answer.extensions().get::<Urgent>().is_some() {
            return self.watch(answer);
        }
        answer
    }

    fn watch_body(&self, body: Body, until: Option<Instant>) -> Body {
        let progress = Progress {
            pieces: 0,
            since: Instant::now(),
        };
        let answer = Arc::new(Answer {
            progress: Mutex::new(progress),
            until,
        });
        let mut answers = self.0.lock();
        answers.retain(|answer| answer.strong_count() > 0);
        answers.push(Arc::downgrade(&answer));
        Body::new(Watched {
            body,
            rest: Bytes::new(),
            answer,
        })
    }

    /// Resolves when a client has taken nothing of an answer for so long, or has had the time of an urgent one.
    pub async fn stalls(&self, most: Duration) {
        while !self.is_stalled(most) {
            sleep(most / 4).await;
        }
    }

    fn is_stalled(&self, most: Duration) -> bool {
        let answers = self.0.lock();
        answers.iter().filter_map(Weak::upgrade).any(|answer| {
            let progress = answer.progress.lock();
            let is_late = answer.until.is_some_and(|until| until <= Instant::now());
            is_late || progress.pieces > 0 && progress.since.elapsed() >= most
        })
    }
}

/// Octets of an answer, until they are on the wire.
struct Piece {
    octets: Bytes,
    answer: Arc<Answer>,
}

impl Piece {
    fn new(octets: Bytes, answer: &Arc<Answer>) -> Self {
        let mut progress = answer.progress.lock();
        if progress.pieces == 0 {
            progress.since = Instant::now();
        }
        progress.pieces += 1;
        drop(progress);
        Self {
            octets,
            answer: Arc::clone(answer),
        }
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let mut progress = self.answer.progress.lock();
        progress.pieces -= 1;
        progress.since = Instant::now();
    }
}

struct Watched {
    body: Body,
    /// What of its last frame is still to be handed over.
    rest: Bytes,
    answer: Arc<Answer>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        while this.rest.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(octets) => this.rest = octets,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                ended => return Poll::Ready(ended),
            }
        }
        let octets = this.rest.split_to(this.rest.len().min(PIECE));
        let piece = Bytes::from_owner(Piece::new(octets, &this.answer));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let body = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;

    #[tokio::test]
    async fn an_answer_comes_whole_and_stalls_only_while_a_piece_of_it_is_not_taken() {
        let untaken = Untaken::default();
        let whole: Vec<u8> = (0..3 * PIECE + 7).map(|n| (n % 251) as u8).collect();
        let mut pieces = untaken
            .watch_body(Body::from(whole.clone()), None)
            .into_data_stream();
        let mut read = Vec::new();
        while let Some(piece) = pieces.next().await {
            let piece = piece.unwrap();
            assert!(piece.len() <= PIECE && untaken.is_stalled(Duration::ZERO));
            assert!(!untaken.is_stalled(Duration::from_hours(1)));
            read.extend_from_slice(&piece);
            drop(piece);
            // Nothing is handed over: waiting for what comes next is our own affair.
            assert!(!untaken.is_stalled(Duration::ZERO));
        }
        assert!(read == whole);
        let piece = untaken
            .watch_body(Body::from("x"), None)
            .into_data_stream()
            .next()
            .await;
        untaken.stalls(Duration::from_millis(20)).await;
        drop(piece);
        assert!(!untaken.is_stalled(Duration::ZERO));
    }
}
