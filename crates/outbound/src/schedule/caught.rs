//! A panic in what carries mail: the attempt failed, and its rows and its place in the lane are given back as after any other.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use mail::reply::Enhanced;
use mail::time::Time;

use crate::model::{Outcome, Verdict, said};

/// What `work` yields; none when it panicked, which is logged.
pub(super) async fn caught<T>(what: &'static str, work: impl Future<Output = T>) -> Option<T> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(value) => Some(value),
        Err(panic) => {
            tracing::error!(panic = said(&*panic), "{what}: a mistake of this program");
            None
        }
    }
}

/// The outcome for whoever's attempt it was. With growing gaps it is tried again, since the mistake may be one of the moment.
pub(super) fn outcome(now: Time) -> Outcome {
    // RFC 3463 section 3.4: the mail system, without saying more.
    let text = "a mistake of this program interrupted the attempt; the log says more";
    Outcome::without_reply(Verdict::Deferred, Enhanced::new(4, 3, 0), text, now)
}
