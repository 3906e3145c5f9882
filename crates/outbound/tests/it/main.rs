//! How mail leaves, against name servers and mail hosts on loopback.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod carry;
mod delivery;
mod dns;
mod door;
mod feed;
mod hold;
mod in_hand;
mod management;
mod personal;
mod plans;
mod recovery;
mod reports;
mod route;
mod sink;
mod statistics;
mod suppressions;
mod templates;
mod tracking;
mod webhooks;
mod world;
