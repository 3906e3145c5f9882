//! Messages as bytes: reading the header section, completing it, showing the content, and composing new ones.

mod head;
mod mailbox;
mod trace;

pub use head::{Field, Head, HeadError, MAX_FIELDS, MAX_HEAD};
pub use mailbox::{Mailbox, MailboxError, mailboxes};
pub use trace::Trace;
