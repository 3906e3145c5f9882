//! Mail from other servers: reports that come to signed return paths, and nothing else.

use bytes::Bytes;
use mail::address::Address;
use mail::replies;
use mail::smtp::server::Verdict;
use outbound::feedback::Taken;
use tracing::{info, warn};

use super::Counters;
use super::connection::Connection;

impl Connection {
    /// Whether mail for this address is taken. Whatever else it is, forged, expired or another's, the answer is the same.
    pub(super) async fn may_report(&mut self, recipient: &Address) -> Verdict {
        match self.shared.outbound.return_path(recipient).await {
            // A report is about one recipient; who sends the same to many return paths has guessed them.
            Ok(Some(_)) if self.about.is_some() => Verdict::Refuse(replies::TOO_MANY_RECIPIENTS),
            Ok(Some(about)) => {
                self.about = Some(about);
                Verdict::Accept
            }
            Ok(None) => Verdict::Refuse(replies::RELAY_DENIED),
            Err(error) => {
                self.trouble("a return path could not be checked", &error);
                Verdict::Refuse(replies::STORAGE_ERROR)
            }
        }
    }

    /// Takes a report; the 250 follows what it led to being on disk.
    pub(super) async fn report(&mut self, body: Bytes) -> Verdict {
        let Some(about) = self.about.take() else {
            return Verdict::Refuse(replies::RELAY_DENIED);
        };
        let size = body.len();
        match self.shared.outbound.take_report(about, body).await {
            Ok(Taken::TooEarly) => Verdict::Refuse(replies::REPORT_TOO_EARLY),
            Ok(taken) => {
                Counters::add(&self.shared.counters.messages, 1);
                info!(connection = self.id, id = %about.message, ordinal = about.ordinal, size, ?taken, "a report came");
                Verdict::Accept
            }
            Err(error) => {
                warn!(connection = self.id, %error, "a report could not be taken");
                Verdict::Refuse(replies::STORAGE_ERROR)
            }
        }
    }
}
