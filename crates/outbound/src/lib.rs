//! How mail leaves: accept, schedule, route, carry and settle.

pub mod carry;
pub mod model;
pub mod route;
pub mod settle;
