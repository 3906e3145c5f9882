//! What follows from an outcome.

use mail::time::Time;

use super::State;

/// Where a recipient stands after an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    pub state: State,
    /// In plain words, for API and console.
    pub reason: String,
    /// When it is tried again; only for a waiting state, and never later than the expiry.
    pub next_at: Option<Time>,
    /// What the sender is told.
    pub report: Option<Report>,
}

/// What a delivery report says about a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Report {
    Failed,
    /// Not there yet, and still being tried.
    Delayed,
    /// Handed to a server that will not report further.
    Relayed,
}
