//! The parts of a running server, each built once and handed what it uses.

mod listen;
