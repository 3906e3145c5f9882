//! Where mail for a domain goes: the configured route, DNS answers, and the plan they make.

mod address;
mod answers;
mod dns;
mod names;
mod plan;
mod router;
mod setting;

pub use address::{is_ours, is_private};
pub use names::Names;
pub use plan::{Host, Plan, PlanFailure, TlsPolicy, Via};
pub use router::{Router, RouterError, RouterSettings};
pub use setting::{Route, RouteError, Smarthost};
