//! A fault that a test orders: at a commit of a given kind the process dies, or the database is gone. Debug builds only.

use crate::error::Result;

/// Which side of the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edge {
    /// Nothing is durable yet.
    Before,
    /// Everything is, and nobody was told.
    After,
}

#[cfg(not(debug_assertions))]
#[derive(Clone, Default)]
pub(crate) struct Faults;

#[cfg(not(debug_assertions))]
impl Faults {
    pub(crate) fn ordered() -> Self {
        Self
    }

    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "debug builds use both"
    )]
    pub(crate) fn pass(&self, _: Edge, _: impl Iterator<Item = &'static str>) -> Result<()> {
        Ok(())
    }
}

#[cfg(debug_assertions)]
pub(crate) use ordered::Faults;

#[cfg(debug_assertions)]
mod ordered {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::{Edge, Result};
    use crate::error::{ErrorKind, StoreError};

    /// `before settle 3 die`: ends the process right before the third commit that settles. `after accept 1 cut`: the first
    /// commit that accepts is done, and its answer lost with the connection.
    const ORDER: &str = "POSTHOUSE_TEST_FAULT";

    #[derive(Clone, Default)]
    pub(crate) struct Faults(Option<Arc<Order>>);

    struct Order {
        edge: Edge,
        label: String,
        /// Commits of this kind until then.
        left: AtomicI64,
        dies: bool,
    }

    impl Faults {
        /// What the environment orders; nothing where that is none.
        pub(crate) fn ordered() -> Self {
            let order = std::env::var(ORDER).ok().and_then(|text| Order::parse(&text));
            Self(order.map(Arc::new))
        }

        /// Commits of closures with these labels are about to happen, or did.
        pub(crate) fn pass(&self, edge: Edge, labels: impl Iterator<Item = &'static str>) -> Result<()> {
            let Some(order) = self.0.as_deref().filter(|order| order.edge == edge) else {
                return Ok(());
            };
            let now = labels.filter(|label| *label == order.label).count() as i64;
            let left = order.left.fetch_sub(now, Ordering::SeqCst);
            if now == 0 || left <= 0 || left > now {
                return Ok(());
            }
            tracing::error!(edge = ?order.edge, label = order.label, dies = order.dies, "a fault that a test ordered");
            if order.dies {
                std::process::abort();
            }
            Err(StoreError::new(
                ErrorKind::Unavailable,
                "commit",
                "a test cut the connection",
            ))
        }
    }

    impl Order {
        fn parse(text: &str) -> Option<Self> {
            let (edge, rest) = text.split_once(' ')?;
            let (rest, act) = rest.rsplit_once(' ')?;
            let (label, nth) = rest.rsplit_once(' ')?;
            Some(Self {
                edge: match edge {
                    "before" => Edge::Before,
                    "after" => Edge::After,
                    _ => return None,
                },
                label: label.to_owned(),
                left: AtomicI64::new(nth.parse().ok()?),
                dies: match act {
                    "die" => true,
                    "cut" => false,
                    _ => return None,
                },
            })
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_fault_happens_once_at_its_commit_and_at_no_other() {
            let faults = Faults(Order::parse("after take up what is due 3 cut").map(Arc::new));
            let pass = |edge, labels: &[&'static str]| faults.pass(edge, labels.iter().copied()).is_err();
            let due = "take up what is due";
            assert!(!pass(Edge::After, &[due, "settle"]));
            assert!(!pass(Edge::Before, &[due, due, due]));
            assert!(!pass(Edge::After, &["settle"]));
            assert!(pass(Edge::After, &[due, due]), "the third is one of these");
            assert!(!pass(Edge::After, &[due, due]), "once");
            assert!(
                Order::parse("sometime accept 1 die").is_none() && Order::parse("after accept die").is_none()
            );
        }
    }
}
