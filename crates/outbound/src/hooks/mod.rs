//! Event hooks: what an account or the operator wants to have a say in, asked at MAIL, at RCPT and when the message is there.

mod ask;
mod body;
mod edit;
mod facts;
mod http;
mod journal;
mod luau;
mod rules;

pub use ask::{Asked, Hooks, Together, try_out};
pub use body::{BodyError, check};
pub use facts::{Action, Facts, Fault, FaultKind, Run, Said, Stage, with_crlf};
pub use http::ReceiverError;
pub use journal::{Day, Journal, KeptRun, prune};
pub use luau::LONGEST_SCRIPT;
pub use rules::RuleError;
