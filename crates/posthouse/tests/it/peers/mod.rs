//! Real mail programs on both sides: clients that submit, a Postfix that relays through Posthouse, a Postfix that receives.

mod bouncing;
pub mod clients;
pub mod postfix;
mod receiving;
mod submitting;
