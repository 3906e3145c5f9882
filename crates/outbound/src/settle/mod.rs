//! From an outcome to what is recorded of it: a pure decision, then one transaction.

mod cancel;
mod decide;
mod happened;
mod hold;
mod lapse;
mod record;
mod report;
mod scheduled;

pub use cancel::cancel;
pub use decide::{Jitter, Policy, Standing, delayed, discard, expire, late, next, reason, suppress};
pub use hold::{hold, release};
pub use lapse::{Lapsed, lapse};
pub use record::{Recorded, Settlement, bounced_late, record, recording};
pub use report::Reporter;
pub use scheduled::{Started, reschedule, start_scheduled};
