//! Webhooks: what happens is told to receivers of an account's choosing, signed, until they take it or a day is over.

mod backlog;
mod core;
mod deliver;
mod endpoints;
mod follow;
mod manage;
mod queue;

use std::sync::Arc;
use std::time::Duration;

use store::{Clock, Db, Ids};

pub use self::core::Counts;
pub use self::endpoints::{Endpoint, LONGEST_DESCRIPTION, MOST_ENDPOINTS, PausedBy};
pub use self::manage::{EndpointChange, NewEndpoint, Replayed, Wanted, WebhookError};
pub use self::queue::{Attempt, Delivery, DeliveryFilter, State};
pub use crate::calls::BadUrl;

use self::core::Core;
use crate::calls::Client;

/// Webhooks as the binary holds them; clones share them.
#[derive(Clone)]
pub struct Webhooks(Arc<Core>);

impl Webhooks {
    pub fn new(client: Arc<Client>, parts: (Db, Clock, Ids)) -> Self {
        Self(Core::new(parts, client))
    }

    /// Follows the log and delivers, until told to stop.
    pub fn start(&self) {
        let core = &self.0;
        core.spawn(follow::follow_forever(core.clone()));
        core.spawn(deliver::deliver_forever(core.clone()));
        core.spawn(deliver::tidy_forever(core.clone()));
    }

    /// Makes no new attempts and lets those in flight end for up to `limit`. What is unfinished is taken up again when its
    /// lease has run out.
    pub async fn shut_down(&self, limit: Duration) {
        let core = &self.0;
        core.stop.cancel();
        core.tasks.close();
        let _ = tokio::time::timeout(limit, core.tasks.wait()).await;
        core.kill.cancel();
    }

    pub fn counts(&self) -> Counts {
        self.0.counters.snapshot()
    }
}
