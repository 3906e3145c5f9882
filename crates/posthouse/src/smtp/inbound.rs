//! Mail from other servers: reports that come to signed return paths, mail to addresses that unsubscribe, and nothing else.

use bytes::Bytes;
use mail::address::Address;
use mail::replies;
use mail::smtp::server::Verdict;
use outbound::feedback::Taken;
use outbound::token::About;
use outbound::unsubscribe::{self, By, Change, Changed};
use tracing::{info, warn};

use super::Counters;
use super::connection::Connection;

/// What the mail of the open transaction is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Arriving {
    /// A report about this recipient.
    Report(About),
    /// The wish of this recipient to get no more.
    Unsubscribe(About),
}

impl Connection {
    /// Whether mail for this address is taken. Whatever else it is, forged, expired or another's, the answer is the same.
    pub(super) async fn may_report(&mut self, recipient: &Address) -> Verdict {
        match self.arriving_at(recipient).await {
            // It is about one recipient; who sends the same to many addresses of ours has guessed them.
            Ok(Some(_)) if self.arriving.is_some() => Verdict::Refuse(replies::TOO_MANY_RECIPIENTS),
            Ok(Some(arriving)) => {
                self.arriving = Some(arriving);
                Verdict::Accept
            }
            Ok(None) => Verdict::Refuse(replies::RELAY_DENIED),
            Err(error) => {
                self.trouble("a return path could not be checked", &error);
                Verdict::Refuse(replies::STORAGE_ERROR)
            }
        }
    }

    async fn arriving_at(&self, recipient: &Address) -> accounts::Result<Option<Arriving>> {
        let outbound = &self.shared.outbound;
        if let Some(about) = outbound.return_path(recipient).await? {
            return Ok(Some(Arriving::Report(about)));
        }
        let about = outbound.unsubscribe_address(recipient).await?;
        Ok(about.map(Arriving::Unsubscribe))
    }

    /// Takes what came; the 250 follows what it led to being on disk.
    pub(super) async fn arrived(&mut self, null_sender: bool, body: Bytes) -> Verdict {
        let arriving = self.arriving.take();
        // What comes from a circle would be answered by it as well.
        if self.shared.outbound.is_loop(&body) {
            info!(connection = self.id, "mail to us is in a loop");
            return Verdict::Refuse(replies::MAIL_LOOP);
        }
        match arriving {
            None => Verdict::Refuse(replies::RELAY_DENIED),
            Some(Arriving::Report(about)) => self.report(about, body).await,
            Some(Arriving::Unsubscribe(about)) => self.unsubscribe(about, (null_sender, body)).await,
        }
    }

    async fn report(&self, about: About, body: Bytes) -> Verdict {
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

    /// A report or the answer of a program is taken and means nothing: nobody wrote it.
    async fn unsubscribe(&self, about: About, (null_sender, body): (bool, Bytes)) -> Verdict {
        let change = Change {
            about,
            stream: None,
            out: true,
            by: By::Mail,
        };
        let changed = if null_sender || unsubscribe::is_automatic(&body) {
            Ok(Changed::No)
        } else {
            self.shared.outbound.change_by_link(change).await
        };
        match changed {
            // A 250 would say that it is done.
            Ok(Changed::TooOften) => Verdict::Refuse(replies::UNSUBSCRIBED_TOO_OFTEN),
            Ok(changed) => {
                Counters::add(&self.shared.counters.messages, 1);
                info!(connection = self.id, id = %about.message, ordinal = about.ordinal, ?changed, "mail to unsubscribe came");
                Verdict::Accept
            }
            Err(error) => {
                warn!(connection = self.id, %error, "mail to unsubscribe could not be taken");
                Verdict::Refuse(replies::STORAGE_ERROR)
            }
        }
    }
}
