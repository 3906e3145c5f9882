//! The PostgreSQL engine: connections that each belong to one thread, statements sent ahead, rows inserted together, a bell over NOTIFY.

mod connect;
mod link;
mod listen;
mod rows;
mod types;

pub(crate) use connect::Server;
pub(crate) use link::{Link, Role};
pub(crate) use listen::Listener;
