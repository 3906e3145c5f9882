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
    Migration {
        version: 3,
        name: "account changes",
        text: include_str!("../migrations/0003_account_changes.sql"),
    },
    Migration {
        version: 4,
        name: "delay reports",
        text: include_str!("../migrations/0004_delay_reports.sql"),
    },
    Migration {
        version: 5,
        name: "sign up",
        text: include_str!("../migrations/0005_sign_up.sql"),
    },
    Migration {
        version: 6,
        name: "help votes",
        text: include_str!("../migrations/0006_help_votes.sql"),
    },
    Migration {
        version: 7,
        name: "sign in",
        text: include_str!("../migrations/0007_sign_in.sql"),
    },
    Migration {
        version: 8,
        name: "held",
        text: include_str!("../migrations/0008_held.sql"),
    },
    Migration {
        version: 9,
        name: "proved",
        text: include_str!("../migrations/0009_proved.sql"),
    },
    Migration {
        version: 10,
        name: "audit",
        text: include_str!("../migrations/0010_audit.sql"),
    },
    Migration {
        version: 11,
        name: "day limits",
        text: include_str!("../migrations/0011_day_limits.sql"),
    },
    Migration {
        version: 12,
        name: "credits",
        text: include_str!("../migrations/0012_credits.sql"),
    },
    Migration {
        version: 13,
        name: "smtp credentials",
        text: include_str!("../migrations/0013_smtp_credentials.sql"),
    },
    Migration {
        version: 14,
        name: "second step",
        text: include_str!("../migrations/0014_second_step.sql"),
    },
    Migration {
        version: 15,
        name: "users",
        text: include_str!("../migrations/0015_users.sql"),
    },
    Migration {
        version: 16,
        name: "guard",
        text: include_str!("../migrations/0016_guard.sql"),
    },
    Migration {
        version: 17,
        name: "scram",
        text: include_str!("../migrations/0017_scram.sql"),
    },
    Migration {
        version: 18,
        name: "vouchers",
        text: include_str!("../migrations/0018_vouchers.sql"),
    },
    Migration {
        version: 19,
        name: "announcements",
        text: include_str!("../migrations/0019_announcements.sql"),
    },
    Migration {
        version: 20,
        name: "suppressions",
        text: include_str!("../migrations/0020_suppressions.sql"),
    },
    Migration {
        version: 21,
        name: "domain keys",
        text: include_str!("../migrations/0021_domain_keys.sql"),
    },
    Migration {
        version: 22,
        name: "webhooks",
        text: include_str!("../migrations/0022_webhooks.sql"),
    },
    Migration {
        version: 23,
        name: "impersonations",
        text: include_str!("../migrations/0023_impersonations.sql"),
    },
    Migration {
        version: 24,
        name: "streams",
        text: include_str!("../migrations/0024_streams.sql"),
    },
    Migration {
        version: 25,
        name: "senders",
        text: include_str!("../migrations/0025_senders.sql"),
    },
    Migration {
        version: 26,
        name: "wants",
        text: include_str!("../migrations/0026_wants.sql"),
    },
    Migration {
        version: 27,
        name: "templates",
        text: include_str!("../migrations/0027_templates.sql"),
    },
    Migration {
        version: 28,
        name: "transcripts",
        text: include_str!("../migrations/0028_transcripts.sql"),
    },
    Migration {
        version: 29,
        name: "tracking",
        text: include_str!("../migrations/0029_tracking.sql"),
    },
    Migration {
        version: 30,
        name: "hooks",
        text: include_str!("../migrations/0030_hooks.sql"),
    },
    Migration {
        version: 31,
        name: "retention",
        text: include_str!("../migrations/0031_retention.sql"),
    },
    Migration {
        version: 32,
        name: "statistics",
        text: include_str!("../migrations/0032_statistics.sql"),
    },
    Migration {
        version: 33,
        name: "search",
        text: include_str!("../migrations/0033_search.sql"),
    },
    Migration {
        version: 34,
        name: "links",
        text: include_str!("../migrations/0034_links.sql"),
    },
    Migration {
        version: 35,
        name: "tracking switches",
        text: include_str!("../migrations/0035_tracking_switches.sql"),
    },
    Migration {
        version: 36,
        name: "webhook turns",
        text: include_str!("../migrations/0036_webhook_turns.sql"),
    },
    Migration {
        version: 37,
        name: "certificates",
        text: include_str!("../migrations/0037_certificates.sql"),
    },
    Migration {
        version: 38,
        name: "webhook backlogs",
        text: include_str!("../migrations/0038_webhook_backlogs.sql"),
    },
    Migration {
        version: 39,
        name: "held by pause",
        text: include_str!("../migrations/0039_held_by_pause.sql"),
    },
    Migration {
        version: 40,
        name: "suppression counts",
        text: include_str!("../migrations/0040_suppression_counts.sql"),
    },
    Migration {
        version: 41,
        name: "cheaper index",
        text: include_str!("../migrations/0041_cheaper_index.sql"),
    },
];

/// Applies what is missing. The write transaction (SQLite) or an advisory lock (PostgreSQL) keeps others out.
pub(crate) fn run(tx: &mut Tx<'_>) -> Result<()> {
    apply(tx, TREE)
}

fn apply(tx: &mut Tx<'_>, tree: &[Migration]) -> Result<()> {
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
    for migration in tree.iter().skip(applied.len()) {
        // Before and not after: a long one must not look like a server that hangs.
        tracing::info!(
            version = migration.version,
            name = migration.name,
            "changing the schema of the database"
        );
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
    use std::collections::BTreeMap;

    use super::*;
    use crate::{Db, Id, OpenOptions, Row, both_engines};

    /// What a database of the first schema held.
    const HELD: [&str; 4] = [
        "SELECT id, name, state, state_reason, operator, unlimited, balance, created_at FROM accounts",
        "SELECT id, account, login, name, prefix, secret_hash, scopes, created_at, used_at, revoked_at FROM api_keys ORDER BY id",
        "SELECT id, account, login, name, range, created_at, used_at, revoked_at FROM ip_credentials",
        "SELECT one, version FROM changes",
    ];

    fn fill(tx: &mut Tx<'_>, [account, key, revoked]: [Id; 3]) -> Result<()> {
        tx.run(
            "INSERT INTO accounts (id, name, state, state_reason, operator, unlimited, balance, created_at) \
             VALUES ($1, 'ann@example.org', 'suspended', 'bounces', 1, 0, 41, 1795000000000000)",
            &[(&account).into()],
        )?;
        for (id, revoked_at) in [(&key, None), (&revoked, Some(1_795_000_000_000_001))] {
            tx.run(
                "INSERT INTO api_keys (id, account, login, name, prefix, secret_hash, scopes, created_at, revoked_at) \
                 VALUES ($1, $2, $2, 'shop', 'ph_abc', $1, 'send', 5, $3)",
                &[id.into(), (&account).into(), revoked_at.map_or(Value::Null, Value::Int)],
            )?;
        }
        tx.run(
            "INSERT INTO ip_credentials (id, account, login, name, range, created_at, used_at) \
             VALUES ($1, $1, $1, 'lab', '192.0.2.0/24', 5, 6)",
            &[(&account).into()],
        )?;
        tx.run("UPDATE changes SET version = 73", &[])
    }

    fn held(tx: &mut Tx<'_>) -> Result<Vec<Vec<Row>>> {
        HELD.iter().map(|sql| tx.query(sql, &[])).collect()
    }

    both_engines! {
        async fn a_database_of_the_first_schema_is_brought_up_with_what_it_holds(test: TestDb) {
            let options = OpenOptions { create: true, ..OpenOptions::default() };
            let db = Db::open(&test.empty().await, options).await.unwrap();
            db.write("make the first schema", |tx| apply(tx, &TREE[..1])).await.unwrap();
            let ids = [test.id(), test.id(), test.id()];
            db.write("fill it", move |tx| fill(tx, ids)).await.unwrap();
            let before = db.read("read it", held).await.unwrap();
            assert_eq!(before.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2, 1, 1]);
            db.migrate().await.unwrap();
            assert_eq!(db.read("read it", held).await.unwrap(), before);
            let newest = db.read("read the version", version_of).await.unwrap();
            assert_eq!(newest, TREE.len() as i64);
        }
    }

    /// Schemas that databases in use may have: with them a row of every table has to get to the newest.
    const FROM: [usize; 3] = [1, 13, 34];

    /// The columns of every table, each with whether it is a number, one of octets or text.
    const COLUMNS_SQLITE: &str = "SELECT m.name, c.name, lower(c.type) FROM sqlite_schema m, pragma_table_info(m.name) c \
        WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' AND m.name <> 'schema_migrations' ORDER BY m.name, c.cid";
    const COLUMNS_POSTGRES: &str = "SELECT table_name::text, column_name::text, data_type::text FROM information_schema.columns \
        WHERE table_schema = 'public' AND table_name <> 'schema_migrations' ORDER BY table_name, ordinal_position";

    /// Every table with its columns and their types.
    fn tables(tx: &mut Tx<'_>) -> Result<BTreeMap<String, Vec<(String, String)>>> {
        let sql = if tx.engine().schema_lock().is_some() {
            COLUMNS_POSTGRES
        } else {
            COLUMNS_SQLITE
        };
        let mut tables: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        for row in tx.query(sql, &[])? {
            let columns = tables.entry(row.text(0)?).or_default();
            columns.push((row.text(1)?, row.text(2)?));
        }
        Ok(tables)
    }

    /// One more row in each table, where it takes one more.
    fn fill_every_table(tx: &mut Tx<'_>, id: Id) -> Result<Vec<String>> {
        let mut filled = Vec::new();
        for (table, columns) in tables(tx)? {
            if tx
                .query_opt(&format!("SELECT 1 FROM {table} LIMIT 1"), &[])?
                .is_some()
            {
                filled.push(table);
                continue;
            }
            let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
            let places: Vec<String> = (1..=columns.len()).map(|place| format!("${place}")).collect();
            let values: Vec<Value<'_>> = columns
                .iter()
                .map(|(_, kind)| match kind.as_str() {
                    "bigint" | "integer" => Value::Int(1),
                    "bytea" | "blob" => Value::Id(id),
                    _ => Value::Text("words"),
                })
                .collect();
            tx.run(
                &format!(
                    "INSERT INTO {table} ({}) VALUES ({})",
                    names.join(", "),
                    places.join(", ")
                ),
                &values,
            )?;
            filled.push(table);
        }
        Ok(filled)
    }

    both_engines! {
        async fn a_row_of_every_table_of_an_older_schema_comes_along(test: TestDb) {
            for from in FROM {
                let options = OpenOptions { create: true, ..OpenOptions::default() };
                let db = Db::open(&test.empty().await, options).await.unwrap();
                db.write("make an older schema", move |tx| apply(tx, &TREE[..from])).await.unwrap();
                let id = test.id();
                let filled = db.write("fill it", move |tx| fill_every_table(tx, id)).await.unwrap();
                assert!(filled.len() >= 10, "{filled:?}");
                db.migrate().await.unwrap();
                db.read("look for the rows", move |tx| {
                    let now = tables(tx)?;
                    for table in filled.iter().filter(|table| now.contains_key(*table)) {
                        let there = tx.query_opt(&format!("SELECT 1 FROM {table} LIMIT 1"), &[])?;
                        assert!(there.is_some(), "{table} lost its row on the way from {from}");
                    }
                    Ok(())
                })
                .await
                .unwrap();
                assert_eq!(db.read("read the version", version_of).await.unwrap(), TREE.len() as i64);
                db.close().await.unwrap();
            }
        }
    }

    fn version_of(tx: &mut Tx<'_>) -> Result<i64> {
        let row = tx.query_opt("SELECT max(version) FROM schema_migrations", &[])?;
        row.expect("an aggregate has a row").int(0)
    }

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
