//! How mail leaves: accept, schedule, route, carry and settle.

pub mod accept;
pub mod calls;
pub mod capture;
pub mod carry;
pub mod csv;
pub mod domains;
pub mod feed;
pub mod feedback;
pub mod hooks;
pub mod idempotency;
pub mod model;
mod outbound;
pub mod personal;
pub mod return_path;
pub mod route;
mod sandbox;
pub mod schedule;
pub mod settings;
pub mod settle;
pub mod simulator;
pub mod spool;
pub mod statistics;
pub mod suppressions;
pub mod templates;
pub mod token;
pub mod tracking;
mod turns;
pub mod unsubscribe;
pub mod webhooks;

pub use model::{Accepted, Given, Origin, Refused, Submission, off_the_workers};
pub use outbound::{Imported, Made, Outbound, Preferences, Subscription, Suppress, Suppressed, Wording};
pub use schedule::Parts;
pub use settings::{HookLimits, OwnNames, Settings};
pub use spool::history;
