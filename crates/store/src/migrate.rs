//! Brings a database to the schema of this binary, once, whichever process comes first.

use crate::error::{Result, StoreError};
use crate::tx::Tx;
use crate::value::Value;

struct Migration {
    version: i64,
    name: &'static str,
    text: &'static str,
}

const TREE: &[Migration] = &[
    Migration {
        version: 1,
        name: "start",
        text: include_str!("../migrations/0001_start.sql"),
    },
    Migration {
        version: 2,
        name: "in hand",
        text: include_str!("../migrations/0002_in_hand.sql"),
    },
];

/// Applies what is missing. The write transaction (SQLite) or an advisory lock (PostgreSQL) keeps others out.
pub(crate) fn run(tx: &mut Tx<'_>) -> Result<()> {
    if let Some(lock) = tx.engine().schema_lock() {
        tx.query(lock, &[])?;
    }
    tx.script(
        "CREATE TABLE IF NOT EXISTS schema_migrations (version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, \
         checksum BIGINT NOT NULL)",
    )?;
    let applied = tx.query(
        "SELECT version, checksum FROM schema_migrations ORDER BY version",
        &[],
    )?;
    for row in &applied {
        check(row.int(0)?, row.int(1)?)?;
    }
    for migration in &TREE[applied.len()..] {
        let script = tx.engine().translate(migration.text);
        tx.script(&script)?;
        tx.run(
            "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
            &[
                Value::Int(migration.version),
                Value::Text(migration.name),
                Value::Int(checksum(migration.text)),
            ],
        )?;
    }
    Ok(())
}

/// The newest migration that was applied, 0 when the schema is none of ours.
pub(crate) fn version(archive: &mut Tx<'_>) -> Result<i64> {
    let ours = "SELECT name FROM sqlite_schema WHERE name = 'schema_migrations'";
    if archive.query_opt(ours, &[])?.is_none() {
        return Ok(0);
    }
    let newest = archive.query_opt("SELECT max(version) FROM schema_migrations", &[])?;
    Ok(newest.map_or(Ok(None), |row| row.opt_int(0))?.unwrap_or(0))
}

/// Is what was applied what this binary knows?
fn check(version: i64, sum: i64) -> Result<()> {
    let attempted = "compare the database's schema with this binary's";
    let known = TREE.iter().find(|migration| migration.version == version).ok_or_else(|| {
        let newest = TREE.last().map_or(0, |migration| migration.version);
        StoreError::other(
            attempted,
            format!(
                "the database has schema {version}, this binary knows up to {newest}: a newer posthouse has \
                 used it; run that version, or restore a backup from before"
            ),
        )
    })?;
    if checksum(known.text) != sum {
        return Err(StoreError::other(
            attempted,
            format!("schema {version} of the database was made by another build of posthouse"),
        ));
    }
    Ok(())
}

/// FNV-1a: tells an edited migration from the one that was applied; nobody attacks it.
fn checksum(text: &str) -> i64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash.cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_count_from_one_without_a_gap() {
        let versions: Vec<i64> = TREE.iter().map(|migration| migration.version).collect();
        assert_eq!(versions, (1..=TREE.len() as i64).collect::<Vec<_>>());
    }

    #[test]
    fn a_newer_schema_and_an_edited_one_are_told_apart() {
        let newer = check(99, 0).unwrap_err().to_string();
        assert!(
            newer.contains("schema 99") && newer.contains("a newer posthouse"),
            "{newer}"
        );
        let edited = check(1, 0).unwrap_err().to_string();
        assert!(edited.contains("another build"), "{edited}");
        check(1, checksum(TREE[0].text)).unwrap();
    }
}
