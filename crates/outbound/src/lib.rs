//! How mail leaves: accept, schedule, route, carry and settle.

pub mod model;
pub mod route;
pub mod settle;
