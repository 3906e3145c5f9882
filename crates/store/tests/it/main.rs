//! Storage tests, each on both engines.
#![cfg(test)]

mod commit;
mod log;
