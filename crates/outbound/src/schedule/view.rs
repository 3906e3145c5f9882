//! Lanes as an operator sees them.

use mail::time::Time;

use crate::model::LaneKey;

/// One lane as the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneView {
    pub lane: LaneKey,
    /// Some of the domains it serves.
    pub domains: Vec<String>,
    /// Recipients waiting, in memory and in the database.
    pub waiting: u64,
    pub in_flight: u64,
    pub connections: usize,
    pub oldest_at: Option<Time>,
    pub rate_per_minute: u64,
    pub last_reply: Option<String>,
    pub last_reply_at: Option<Time>,
    pub paused: bool,
    pub next_try_at: Option<Time>,
}

impl LaneView {
    /// A lane nothing is known of.
    pub fn empty(lane: LaneKey) -> Self {
        Self {
            lane,
            domains: Vec::new(),
            waiting: 0,
            in_flight: 0,
            connections: 0,
            oldest_at: None,
            rate_per_minute: 0,
            last_reply: None,
            last_reply_at: None,
            paused: false,
            next_try_at: None,
        }
    }
}
