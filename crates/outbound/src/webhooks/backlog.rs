//! Accounts that are still to be told what happened, in the order of their turns: one about which there is much delays no other.

use store::events::{self, Cursor};
use store::{Id, Result, Tx};

/// The name of an account's own place in the log, while it has one.
fn place(account: Id) -> String {
    format!("webhooks of {account}")
}

/// The accounts whose turn comes next, and where each has come to.
pub fn next(tx: &mut Tx<'_>, limit: usize) -> Result<Vec<(Id, Cursor)>> {
    let rows = tx.query(
        "SELECT account FROM webhook_backlogs ORDER BY turn, account LIMIT $1",
        &[(limit as i64).into()],
    )?;
    rows.iter()
        .map(|row| {
            let account = row.id(0)?;
            Ok((account, at(tx, account)?.unwrap_or_default()))
        })
        .collect()
}

/// Where an account has come to; none where it waits for nothing.
pub fn at(tx: &mut Tx<'_>, account: Id) -> Result<Option<Cursor>> {
    events::place_of(tx, &place(account))
}

/// A turn behind all there are.
pub fn next_turn(tx: &mut Tx<'_>) -> Result<i64> {
    let row = tx.query_opt("SELECT MAX(turn) FROM webhook_backlogs", &[])?;
    let last = row.map_or(Ok(None), |row| row.opt_int(0))?;
    Ok(last.unwrap_or(0) + 1)
}

/// Gives an account a turn, to be told what stands behind `from`. One that has a turn is told that on its way.
pub fn enter(tx: &mut Tx<'_>, account: Id, from: Cursor, turn: i64) -> Result<()> {
    let entered = tx.execute(
        "INSERT INTO webhook_backlogs (account, turn) VALUES ($1, $2) ON CONFLICT (account) DO NOTHING",
        &[account.into(), turn.into()],
    )?;
    if entered == 0 {
        return Ok(());
    }
    events::advance(tx, &place(account), from)
}

/// The account was told what stands before `to`, and its next turn is this.
pub fn go_on(tx: &mut Tx<'_>, account: Id, to: Cursor, turn: i64) -> Result<()> {
    tx.run(
        "UPDATE webhook_backlogs SET turn = $2 WHERE account = $1",
        &[account.into(), turn.into()],
    )?;
    events::advance(tx, &place(account), to)
}

/// The account was told everything.
pub fn leave(tx: &mut Tx<'_>, account: Id) -> Result<()> {
    tx.run(
        "DELETE FROM webhook_backlogs WHERE account = $1",
        &[account.into()],
    )?;
    events::leave(tx, &place(account))
}
