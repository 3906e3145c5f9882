//! From an outcome to what is recorded of it: a pure decision, then one transaction.

mod decide;

pub use decide::{Jitter, Next, Policy, Report, Standing, expire, next, reason};
