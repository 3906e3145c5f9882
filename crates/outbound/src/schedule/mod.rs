//! Bringing waiting mail to its lanes: a pure machine that decides, and the tasks that drive it.

mod ask;
mod caught;
mod connection;
mod core;
mod courier;
mod deliver;
mod depth;
mod fair;
mod hold;
mod lane;
mod lanes;
pub mod pauses;
mod place;
mod poll;
mod rate;
mod reconcile;
mod scheduled;
mod shared;
mod upkeep;
mod view;

#[cfg(test)]
mod simulation;

pub use self::core::{Core, Parts};
pub use courier::RoutedCourier;
pub use lanes::{Lanes, Limits, Wait, paused_reason};
pub use place::Reservation;
pub use view::LaneView;
