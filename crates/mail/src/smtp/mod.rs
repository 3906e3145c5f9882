//! SMTP sessions as machines without I/O.

pub mod client;
pub mod proxy;
pub mod server;
