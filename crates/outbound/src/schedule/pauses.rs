//! Lanes that an operator paused; written by whoever is asked, followed by every node.

use store::{Result, Topic, Tx};

use crate::model::{Asked, LaneKey};

pub fn paused(tx: &mut Tx<'_>) -> Result<Vec<LaneKey>> {
    tx.query("SELECT lane FROM paused_lanes", &[])?
        .iter()
        .map(|row| row.text(0).map(|lane| LaneKey::new(&lane)))
        .collect()
}

pub fn pause(tx: &mut Tx<'_>, lane: &LaneKey, asked: &Asked) -> Result<()> {
    let paused = tx.execute(
        "INSERT INTO paused_lanes (lane, at, by_login) VALUES ($1, $2, $3) ON CONFLICT (lane) DO NOTHING",
        &[lane.as_str().into(), asked.at.into(), asked.by.login.into()],
    )?;
    if paused == 1 {
        asked.note(tx, None, "lane.paused", lane.as_str())?;
    }
    tx.ring(Topic::Due);
    Ok(())
}

/// False when the lane was not paused.
pub fn resume(tx: &mut Tx<'_>, lane: &LaneKey, asked: &Asked) -> Result<bool> {
    let removed = tx.execute(
        "DELETE FROM paused_lanes WHERE lane = $1",
        &[lane.as_str().into()],
    )?;
    if removed > 0 {
        asked.note(tx, None, "lane.resumed", lane.as_str())?;
    }
    tx.ring(Topic::Due);
    Ok(removed > 0)
}
