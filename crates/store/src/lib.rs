//! How we remember: the database seam over SQLite and PostgreSQL, migrations, leases and the event log.

mod backup;
mod batch;
mod bell;
mod clock;
mod db;
mod dialect;
mod error;
pub mod events;
mod faults;
mod ids;
mod link;
mod migrate;
pub mod nodes;
mod postgres;
mod room;
pub mod search;
mod sqlite;
mod stats;
pub mod testing;
mod tx;
mod url;
mod value;

pub use backup::{Report, Skipped};
pub use bell::{Bell, Topic};
pub use clock::{Clock, Hand};
pub use db::Db;
pub use dialect::Engine;
pub use error::{ErrorKind, Result, StoreError};
pub use ids::{Id, Ids, NotAnId};
pub use stats::{BATCH_BOUNDS, CommitStats, Histogram, LATENCY_BOUNDS, Latencies};
pub use tx::{Plan, Tx};
pub use url::{DatabaseUrl, NotADatabase, OpenOptions};
pub use value::{Row, Value};
