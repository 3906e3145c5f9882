//! Over the wire: connections to mail hosts, kept from message to message, and one outcome per recipient.

mod carrier;
mod connection;
mod settings;
mod stream;
mod tls;
mod transcript;
mod trouble;

pub use carrier::{Carrier, Prepared, Transport};
pub use settings::{CarrySettings, Timeouts};
pub use tls::{CarryError, authorities, described, opportunistic};
