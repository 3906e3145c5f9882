//! What became of one recipient in a transaction.

use crate::reply::{Enhanced, RemoteReply};
use std::borrow::Cow;

/// Whether responsibility passed on, and if not, whether trying again makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Accepted,
    Temporary,
    Permanent,
}

/// The fate of one recipient, with the reply that decided it or our own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate {
    pub kind: Kind,
    /// Absent where no reply decided it.
    pub code: Option<u16>,
    pub enhanced: Option<Enhanced>,
    pub text: Cow<'static, str>,
}

impl Fate {
    /// What a reply means that ends the matter for a recipient.
    pub(super) fn of(reply: &RemoteReply) -> Self {
        let kind = match reply.code / 100 {
            2 => Kind::Accepted,
            5 => Kind::Permanent,
            _ => Kind::Temporary,
        };
        Self {
            kind,
            code: Some(reply.code),
            enhanced: reply.enhanced,
            text: Cow::Owned(reply.text.clone()),
        }
    }

    /// What a reply to RCPT means.
    pub(super) fn of_rcpt(reply: &RemoteReply) -> Self {
        let mut fate = Self::of(reply);
        // RFC 5321 section 4.5.3.1.10: an older way to say that there are too many recipients at once.
        if reply.code == 552 && reply.enhanced.is_none_or(|e| (e.subject, e.detail) == (5, 3)) {
            fate.kind = Kind::Temporary;
        }
        fate
    }

    pub(super) const fn temporary(enhanced: Enhanced, text: Cow<'static, str>) -> Self {
        Self {
            kind: Kind::Temporary,
            code: None,
            enhanced: Some(enhanced),
            text,
        }
    }

    pub(super) const fn permanent(enhanced: Enhanced, text: Cow<'static, str>) -> Self {
        Self {
            kind: Kind::Permanent,
            code: None,
            enhanced: Some(enhanced),
            text,
        }
    }
}
