//! Storage tests, each on both engines.
#![cfg(test)]

mod backup;
mod batch;
mod commit;
mod log;
mod trouble;
