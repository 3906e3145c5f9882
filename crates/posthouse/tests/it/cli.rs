//! The command line, beside a running server and without one.

mod accounts;
mod backup;
mod check;
mod hook;
mod lists;
mod queue;
mod send;
