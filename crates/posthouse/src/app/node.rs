//! Which of possibly many servers on one database this is: an id that stays with the data directory.

use std::path::Path;

use mail::time::Time;
use store::{Id, Ids};

use super::AppError;
use crate::ops::private::write_private;

/// The id in DATA/node-id; made at first start. What this node held when it last ran is found again by it.
pub fn identity(data_dir: &Path, ids: &Ids, now: Time) -> Result<Id, AppError> {
    let file = data_dir.join("node-id");
    if let Some(id) = std::fs::read_to_string(&file)
        .ok()
        .and_then(|text| text.trim().parse().ok())
    {
        return Ok(id);
    }
    let id = ids.next(now);
    write_private(&file, format!("{id}\n").as_bytes()).map_err(|source| AppError::Keep {
        file: "node-id",
        source,
    })?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_keeps_its_id() {
        let home = tempfile::tempdir().unwrap();
        let ids = Ids::new();
        let first = identity(home.path(), &ids, Time::from_secs(1)).unwrap();
        assert_eq!(identity(home.path(), &ids, Time::from_secs(2)).unwrap(), first);
        std::fs::write(home.path().join("node-id"), "torn").unwrap();
        assert_ne!(identity(home.path(), &ids, Time::from_secs(3)).unwrap(), first);
    }
}
