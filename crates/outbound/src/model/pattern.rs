//! How the copies of a message are made that wants each recipient to have one.

use std::sync::Arc;

use mail::message::Plan;

/// What the copies of one message have in common.
#[derive(Debug)]
pub struct Pattern {
    pub(crate) plan: Plan,
    pub(crate) fields: Fields,
    numbers: Arc<[u16]>,
}

/// Which fields a copy gets.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) link: bool,
    pub(crate) post: bool,
}

impl Pattern {
    pub(crate) fn new(plan: Plan, fields: Fields) -> Self {
        Self {
            numbers: (0..=u16::MAX).take(plan.targets().len()).collect(),
            plan,
            fields,
        }
    }

    /// Octets that it takes in memory, about.
    pub fn weight(&self) -> u64 {
        (self.plan.weight() + size_of_val(&*self.numbers) + size_of::<Self>()) as u64
    }

    /// Where the links lead that are followed past us.
    pub fn targets(&self) -> &[String] {
        self.plan.targets()
    }

    /// The numbers of the targets in a message whose links are stored with it.
    pub fn numbers(&self) -> Arc<[u16]> {
        Arc::clone(&self.numbers)
    }
}
