//! Black-box tests: the real binary, driven over its sockets and its command line, on both databases.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod api;
mod bad_input;
mod bodies;
mod cli;
mod config;
mod corpus;
mod crash;
mod credentials;
mod delivery;
mod dkim;
mod faults;
mod guard;
mod harness;
mod hooks;
mod house;
mod limits;
mod lockout;
mod ops;
mod outages;
mod password;
mod peers;
mod proxied;
mod readme;
mod reports;
mod scram;
mod sign_up;
mod simulator;
mod site;
mod smtp_raw;
mod steering;
mod tls;
mod tracking;
mod transcripts;
mod unsubscribe;
mod webhooks;
