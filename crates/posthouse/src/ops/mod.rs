//! Running the server: its data directory, its log, whether it is well, and how much it does.

mod connections;
pub mod data_dir;
pub mod descriptors;
pub mod health;
pub mod logs;
pub mod metrics;
pub mod private;

pub use connections::{Connections, Open};
