//! What a message wants made each recipient's own, as it was decided when it was accepted.

/// Decided from what the message says about itself, else from its stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    pub unsubscribe: Unsubscribe,
    pub track_opens: bool,
    pub track_clicks: bool,
}

/// Whether recipients get a link to unsubscribe by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unsubscribe {
    #[default]
    No,
    /// Where the message names it, and in its header.
    Named,
    /// At the end of a text that does not name it, too.
    Yes,
}

impl Wants {
    /// Whether each recipient gets a copy of its own, and so a transaction of its own.
    pub const fn is_personal(self) -> bool {
        !matches!(self.unsubscribe, Unsubscribe::No) || self.track_opens || self.track_clicks
    }
}

impl Unsubscribe {
    /// As the column holds it.
    pub const fn as_int(self) -> i64 {
        match self {
            Self::No => 0,
            Self::Named => 1,
            Self::Yes => 2,
        }
    }

    /// What a newer version wrote is a wish for the link.
    pub const fn from_int(int: i64) -> Self {
        match int {
            0 => Self::No,
            1 => Self::Named,
            _ => Self::Yes,
        }
    }
}
