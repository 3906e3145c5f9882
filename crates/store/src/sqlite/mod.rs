//! The SQLite engine: one file, one writer, readers that never wait for it.

mod checkpoint;
mod link;

pub(crate) use checkpoint::Checkpointer;
pub(crate) use link::{Link, Role};
