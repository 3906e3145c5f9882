//! Where a recipient stands.

/// State of one recipient of one message, as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Waits for the time that its sender chose.
    Scheduled,
    /// Waits for its first attempt.
    Queued,
    /// Waits for another attempt.
    Deferred,
    Delivered,
    Bounced,
    /// Not tried: the address is on a suppression list.
    Suppressed,
    /// Waits for a person's decision.
    Held,
    Cancelled,
    /// Given up: the time for trying ran out.
    Expired,
}

impl State {
    pub const ALL: [Self; 9] = [
        Self::Scheduled,
        Self::Queued,
        Self::Deferred,
        Self::Delivered,
        Self::Bounced,
        Self::Suppressed,
        Self::Held,
        Self::Cancelled,
        Self::Expired,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Queued => "queued",
            Self::Deferred => "deferred",
            Self::Delivered => "delivered",
            Self::Bounced => "bounced",
            Self::Suppressed => "suppressed",
            Self::Held => "held",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether delivery may be tried now or soon, without anybody's decision.
    pub fn is_waiting(self) -> bool {
        matches!(self, Self::Queued | Self::Deferred)
    }
}
