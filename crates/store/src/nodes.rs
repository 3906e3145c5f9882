//! Leases: a node that holds work in hand says that it lives; the work of one that no longer does passes on.
//!
//! A lease is compared with the clock of the node that looks, so the machines of one installation keep their clocks
//! within a few seconds of each other.

use std::time::Duration;

use mail::time::Time;

use crate::error::Result;
use crate::ids::Id;
use crate::tx::Tx;

/// How long a node counts as living after its last heartbeat.
pub const LEASE: Duration = Duration::from_secs(30);
/// How often a node says that it lives.
pub const HEARTBEAT: Duration = Duration::from_secs(10);

/// Was the lease still held when the heartbeat came?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heartbeat {
    Held,
    /// Another node declared this one dead, so what was in hand may be in other hands; settling it will say so.
    /// The node is registered again.
    Lost,
}

/// A node as the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub id: Id,
    pub name: String,
    pub seen_at: Time,
    pub lease_until: Time,
}

/// Enters a node at its start, or again under the same id.
pub fn register(tx: &mut Tx<'_>, node: Id, name: &str, now: Time) -> Result<()> {
    tx.run(
        "INSERT INTO nodes (id, name, seen_at, lease_until) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, seen_at = excluded.seen_at, \
         lease_until = excluded.lease_until",
        &[node.into(), name.into(), now.into(), now.plus(LEASE).into()],
    )
}

/// Extends the lease.
pub fn heartbeat(tx: &mut Tx<'_>, node: Id, name: &str, now: Time) -> Result<Heartbeat> {
    let held = tx.execute(
        "UPDATE nodes SET seen_at = $2, lease_until = $3 WHERE id = $1",
        &[node.into(), now.into(), now.plus(LEASE).into()],
    )?;
    if held > 0 {
        return Ok(Heartbeat::Held);
    }
    register(tx, node, name, now)?;
    Ok(Heartbeat::Lost)
}

/// The nodes whose lease has run out. The caller frees what they had in hand and [`remove`]s them, in this
/// transaction; two nodes that look at once get different ones.
pub fn dead(tx: &mut Tx<'_>, now: Time) -> Result<Vec<Id>> {
    let sql = format!(
        "SELECT id FROM nodes WHERE lease_until < $1 ORDER BY id{}",
        tx.skip_locked()
    );
    tx.query(&sql, &[now.into()])?
        .iter()
        .map(|row| row.id(0))
        .collect()
}

/// Takes a dead node off the list, with its work free.
pub fn remove(tx: &mut Tx<'_>, node: Id) -> Result<()> {
    tx.run("DELETE FROM nodes WHERE id = $1", &[node.into()])
}

/// Every node, by name.
pub fn list(tx: &mut Tx<'_>) -> Result<Vec<Node>> {
    let rows = tx.query(
        "SELECT id, name, seen_at, lease_until FROM nodes ORDER BY name, id",
        &[],
    )?;
    rows.iter()
        .map(|row| {
            Ok(Node {
                id: row.id(0)?,
                name: row.text(1)?,
                seen_at: row.time(2)?,
                lease_until: row.time(3)?,
            })
        })
        .collect()
}
