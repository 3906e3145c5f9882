//! The values that pass between the steps of sending: submission, job, outcome.

mod job;
mod outcome;
mod state;

pub use job::{JobRecipient, LaneKey};
pub use outcome::{Outcome, Verdict};
pub use state::State;
