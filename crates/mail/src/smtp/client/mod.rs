//! The sending side of SMTP: bytes in, bytes and one fate per recipient out.

mod body;
mod capabilities;
mod envelope;
mod fate;
mod session;
#[cfg(test)]
mod tests;
mod transaction;

pub use body::{Body, LineEndError, check_line_ends};
pub use capabilities::Capabilities;
pub use envelope::{Envelope, Recipient};
pub use fate::{Fate, Kind};
pub use session::{Failure, Login, Session, Settings, StartTls, Step, Wait};
