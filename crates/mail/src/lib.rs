//! What mail is: addresses, SMTP grammar and sessions, messages, DKIM signing and delivery reports, without I/O.

pub mod address;
pub mod bounce;
pub mod dkim;
pub mod dsn;
pub mod envelope;
pub mod explain;
pub mod message;
pub mod notify;
pub mod replies;
pub mod reply;
pub mod report;
pub mod sasl;
pub mod scram;
pub mod smtp;
pub mod time;
pub mod visitor;
