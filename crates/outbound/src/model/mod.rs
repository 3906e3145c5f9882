//! The values that pass between the steps of sending: submission, job, outcome.

mod asked;
mod counters;
mod courier;
mod depth;
mod hands;
mod heavy;
mod job;
mod next;
mod outcome;
mod pattern;
mod room;
mod said;
mod state;
mod submission;
mod unrecorded;
mod wants;

pub use asked::Asked;
pub use counters::{Counter, Counters, Counts};
pub use courier::{Courier, Link, Parcel, Pending};
pub use depth::{Depth, DomainDepth};
pub use hands::{Grip, Hands, RecipientKey};
pub use heavy::{BIG, off_the_workers};
pub use job::{Job, JobRecipient, LaneKey, Leased, Message};
pub use next::{Next, Report};
pub use outcome::{Outcome, Verdict, one_line};
pub(crate) use pattern::Fields;
pub use pattern::Pattern;
pub use room::{Held, Room};
pub(crate) use said::said;
pub use state::State;
pub use submission::{Accepted, Credential, Given, Origin, Refused, Submission};
pub use unrecorded::{Taken, Unrecorded, Window};
pub use wants::{Unsubscribe, Wants};
