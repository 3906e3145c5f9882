//! The room from outside: recorded conversations played against its machines.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod dkim;
mod smtp_server;
