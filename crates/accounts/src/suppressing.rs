//! Whether an account has suppressed addresses at all, so that accepting its mail costs no statement while it has none.

use store::{Id, Tx};

use crate::{Accounts, Result, changes};

/// Notes that the account has suppressed an address, in the transaction that does it. It is a change of the account like any
/// other: whoever accepts a message and does not know of it yet looks at the account anew.
pub fn begin(tx: &mut Tx<'_>, account: Id) -> store::Result<()> {
    let first = tx.execute(
        "UPDATE accounts SET suppresses = 1 WHERE id = $1 AND suppresses = 0",
        &[account.into()],
    )?;
    if first > 0 {
        changes::bump(tx, account)?;
    }
    Ok(())
}

impl Accounts {
    /// Whether the account may have suppressed addresses. As of the last [`Accounts::refresh`], from memory but for the first time.
    pub async fn suppresses(&self, account: Id) -> Result<bool> {
        self.view_suppresses(account).await
    }
}
