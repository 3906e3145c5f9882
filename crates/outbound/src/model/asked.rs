//! Who asked for a change by hand, for the line that its transaction writes to the audit log.

use accounts::{By, audit};
use mail::time::Time;
use store::{Id, Result, Tx};

/// A request of somebody at a moment.
#[derive(Clone, Debug)]
pub struct Asked {
    pub by: By,
    pub at: Time,
    /// Names the line.
    pub line: Id,
}

impl Asked {
    /// Writes the line; without an account it is about the whole installation.
    pub fn note(
        &self,
        tx: &mut Tx<'_>,
        account: Option<Id>,
        action: &'static str,
        target: &str,
    ) -> Result<()> {
        audit::note(tx, (self.line, self.at), account, &self.by, action, target, "")
    }
}
