//! Messages as bytes: reading the header section, completing it, showing the content, and composing new ones.

mod authors;
mod compose;
mod content;
mod head;
mod kept_back;
mod mailbox;
mod parts;
mod rewrite;
pub mod steer;
mod trace;
mod words;

pub use authors::{AuthorError, AuthorFault, Authors};
pub use compose::{ComposeError, Draft, DraftAttachment, Named, Problem, compose, field};
pub use content::{Attachment, Content, PartView, PartsView, content, parts};
pub use head::{Beginning, Field, Head, HeadError};
pub use kept_back::{is_kept_back, is_steering};
pub use mailbox::{Mailbox, MailboxError, mailboxes};
pub(crate) use parts::{Leaf, leaves};
pub use rewrite::{
    Appending, Footer, FooterError, FooterFault, LONGEST_FOOTER, Own, Plan, Wanted, field_names_link, footed,
    names_link, plan,
};
pub use steer::{SteerError, SteerFault, Steering};
pub use trace::Trace;
