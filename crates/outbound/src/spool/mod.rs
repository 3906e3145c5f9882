//! Mail on disk: messages, bodies, recipients and attempts. No other module has SQL on these tables.

mod change;
mod claim;
mod depth;
pub mod history;
mod hold;
mod insert;
pub mod late;
mod names;
mod purge;
mod result;
mod scheduled;
pub mod transcripts;

pub use change::{Cancelled, Changed, InHand, cancel, hurry, resume, retry};
pub use claim::{
    Claimed, ClaimedScheduled, NextDue, body, claim_domain, claim_due, claim_lapsed, claim_scheduled,
    first_due, free, give_back, give_up, in_hand, leased, wait,
};
pub use depth::depth;
pub use hold::{HELD, count_held, held_of, hold, next_holding, release, return_held, waiting_of};
pub use insert::{NewMessage, NewRecipient, Place, insert};
pub use names::{Named, Reached, authors, named_messages, named_recipients, reached};
pub use purge::{Keeping, Old, Place as PurgePlace, bodies, date_anew, first_id_at, old, remove_old};
pub use result::{Settled, heard_last, in_turn, release_body, settle};
pub use scheduled::{DueScheduled, OVERDUE, reschedule};

/// The states in which rows wait, as the partial indexes spell them.
macro_rules! waiting {
    () => {
        "state IN ('queued', 'deferred')"
    };
}
pub(crate) use waiting;

/// The states from which a recipient may yet be delivered, whoever has to decide that. SQLite would make a table of a list of more than two.
macro_rules! open {
    () => {
        "(state = 'queued' OR state = 'deferred' OR state = 'held' OR state = 'scheduled')"
    };
}
pub(crate) use open;
