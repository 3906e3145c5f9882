//! Leases: a node that holds work in hand says that it lives; the work of one that no longer does passes on.
//!
//! Whether a node lives is seen by whether its row moves, in the running time of the node that looks, so that a clock that is wrong or
//! corrected by hours lets nobody take the living for dead.

use std::collections::HashMap;
use std::time::Duration;

use mail::time::Time;
use tokio::time::Instant;

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

/// What one node saw of the others, and for how long each has said nothing new.
#[derive(Debug, Default)]
pub struct Watch(HashMap<Id, (Time, Instant)>);

impl Watch {
    /// Looks at every node.
    pub fn look(&mut self, nodes: &[Node], now: Instant) {
        self.0.retain(|id, _| nodes.iter().any(|node| node.id == *id));
        for node in nodes {
            let seen = self.0.entry(node.id).or_insert((node.seen_at, now));
            if seen.0 != node.seen_at {
                *seen = (node.seen_at, now);
            }
        }
    }

    /// Who has said nothing for a whole lease, with the last that was heard.
    pub fn silent(&self, now: Instant) -> Vec<(Id, Time)> {
        let is_silent = |since: &Instant| now.duration_since(*since) > LEASE;
        let silent = self.0.iter().filter(|(_, (_, since))| is_silent(since));
        silent.map(|(id, (seen_at, _))| (*id, *seen_at)).collect()
    }

    /// Begins anew: while the database was away nobody could say anything.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}

/// Those of `silent` that still have said nothing more. The caller frees what they had in hand and [`remove`]s them, in this
/// transaction; two nodes that look at once get different ones.
pub fn still_silent(tx: &mut Tx<'_>, silent: &[(Id, Time)]) -> Result<Vec<Id>> {
    let sql = format!(
        "SELECT id FROM nodes WHERE id = $1 AND seen_at = $2{}",
        tx.skip_locked()
    );
    let mut found = Vec::new();
    for (id, seen_at) in silent {
        if tx.query_opt(&sql, &[(*id).into(), (*seen_at).into()])?.is_some() {
            found.push(*id);
        }
    }
    Ok(found)
}

/// The nodes whose lease has run out by the clock. The caller frees what they had in hand and [`remove`]s them, in this
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

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u8, seen_at: i64) -> Node {
        let seen_at = Time::from_secs(seen_at);
        Node {
            id: Id::from_bytes([number; 16]),
            name: String::new(),
            seen_at,
            lease_until: seen_at.plus(LEASE),
        }
    }

    #[test]
    fn who_speaks_lives_whatever_its_clock_says_and_who_is_silent_for_a_lease_does_not() {
        let (mut watch, begin) = (Watch::default(), Instant::now());
        let after = |seconds| begin + Duration::from_secs(seconds);
        // One clock is right, one jumps by hours both ways, and one node says nothing more.
        for (seconds, jumping) in [(0, 0), (10, 36_000), (20, 36_010), (30, -36_000), (40, 50)] {
            watch.look(
                &[
                    node(1, 1_000 + seconds as i64),
                    node(2, jumping),
                    node(3, 5_000_000),
                ],
                after(seconds),
            );
            let silent = watch.silent(after(seconds));
            let expected: &[_] = if seconds > 30 {
                &[(Id::from_bytes([3; 16]), Time::from_secs(5_000_000))]
            } else {
                &[]
            };
            assert_eq!(silent, expected, "after {seconds} s");
        }
        watch.forget();
        watch.look(&[node(3, 5_000_000)], after(50));
        assert!(
            watch.silent(after(60)).is_empty(),
            "an outage is nobody's silence"
        );
    }
}
