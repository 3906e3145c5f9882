//! Storage tests, each on both engines.
#![cfg(test)]

mod backup;
mod commit;
mod log;
mod trouble;
