//! Backups: consistent while work goes on, restored on either engine, honest about what could not be saved.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mail::time::Time;
use store::events::{self, Cursor, Event};
use store::testing::TestDb;
use store::{DatabaseUrl, Db, Id, OpenOptions, Result, StoreError, Tx, Value, both_engines};

const NOW: Time = Time::from_secs(1_795_000_000);

fn append(tx: &mut Tx<'_>, account: Id, kind: &str) -> Result<()> {
    events::append(
        tx,
        &Event {
            at: NOW,
            account,
            message: None,
            ordinal: Some(7),
            kind,
            data: "{\"ä\":1}",
        },
    )
}

/// Some of everything: NULLs, every type, events, a consumer half way through them, a body.
async fn fill(test: &TestDb) {
    let (account, message) = (test.id(), test.id());
    for kind in ["one", "two", "three"] {
        test.db
            .write("append", move |tx| append(tx, account, kind))
            .await
            .unwrap();
    }
    test.db
        .write("fill", move |tx| {
            let first = tx.query_opt("SELECT min(seq) FROM events", &[])?.map_or(Ok(0), |row| row.int(0))?;
            let content: Vec<u8> = (0..=255).cycle().take(70_000).collect();
            tx.run("INSERT INTO bodies (message, content) VALUES ($1, $2)", &[message.into(), (&content).into()])?;
            tx.run("UPDATE changes SET version = 41", &[])?;
            tx.run(
                "INSERT INTO captured (id, account, message, ordinal, at, reverse_path, address, header_from, \
                 subject, size, content) VALUES ($1, $2, $1, -1, $3, '', 'ü@example.org', 'a', $4, 0, $5)",
                &[message.into(), account.into(), NOW.into(), "two\nlines".into(), Value::Blob(b"")],
            )?;
            let cursor: Cursor = if tx.skip_locked().is_empty() {
                format!("0-{first}").parse().map_err(|error| StoreError::other("cursor", error))?
            } else {
                let row = tx.query_opt("SELECT tx, seq FROM events ORDER BY tx, seq LIMIT 1", &[])?;
                let row = row.ok_or_else(|| StoreError::other("cursor", "no event"))?;
                format!("{}-{}", row.int(0)?, row.int(1)?).parse().map_err(|e| StoreError::other("cursor", e))?
            };
            events::advance(tx, "webhooks", cursor)
        })
        .await
        .unwrap();
}

async fn open(url: &DatabaseUrl) -> Db {
    let db = Db::open(url, OpenOptions::default()).await.unwrap();
    db.migrate().await.unwrap();
    db
}

/// What [`fill`] left, as it must come back on any engine.
async fn check(db: &Db) {
    let rows = db
        .read("check", |tx| {
            let body = tx.query("SELECT content FROM bodies WHERE keep_until IS NULL", &[])?;
            let captured = tx.query(
                "SELECT ordinal, at, address, subject, content, reverse_path FROM captured",
                &[],
            )?;
            let version = tx.query("SELECT version FROM changes", &[])?;
            Ok((body, captured, version))
        })
        .await
        .unwrap();
    let expected: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    assert!(rows.0[0].bytes(0).unwrap() == expected);
    let captured = &rows.1[0];
    assert_eq!((captured.int(0).unwrap(), captured.time(1).unwrap()), (-1, NOW));
    assert_eq!(captured.text(2).unwrap(), "ü@example.org");
    assert_eq!(captured.text(3).unwrap(), "two\nlines");
    assert_eq!(
        (captured.bytes(4).unwrap().len(), captured.text(5).unwrap()),
        (0, String::new())
    );
    assert_eq!(rows.2[0].int(0).unwrap(), 41);
    let account = Id::from_bytes([9; 16]);
    db.write("append", move |tx| append(tx, account, "four"))
        .await
        .unwrap();
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_mins(1);
    let kinds = async || {
        let rest = db.read("rest", |tx| {
            let cursor = events::place_of(tx, "webhooks")?.unwrap_or_default();
            events::read_after(tx, cursor, 10)
        });
        rest.await
            .unwrap()
            .into_iter()
            .map(|event| event.kind)
            .collect::<Vec<_>>()
    };
    while kinds().await.len() < 3 && tokio::time::Instant::now() < deadline {}
    assert_eq!(kinds().await, ["two", "three", "four"]);
}

both_engines! {
    async fn a_backup_is_restored_on_both_engines(test: TestDb) {
        fill(&test).await;
        let file = test.dir.join("backup.db");
        let report = test.db.backup(&file).await.unwrap();
        assert!(report.skipped.is_empty(), "{report:?}");
        assert_eq!(report.rows, 3 + 1 + 1 + 1 + 1);
        assert!(!file.with_extension("db.partial").exists());

        let same = open(&test.empty().await).await;
        assert_eq!(same.restore(&file).await.unwrap(), report);
        check(&same).await;
        let sqlite = open(&DatabaseUrl::Sqlite(test.dir.join("restored.db"))).await;
        assert_eq!(sqlite.restore(&file).await.unwrap(), report);
        check(&sqlite).await;
        // And from there to the other engine, by way of a second backup.
        let again = test.dir.join("again.db");
        sqlite.backup(&again).await.unwrap();
        if let Some(other) = TestDb::postgres().await {
            other.db.restore(&again).await.unwrap();
            let events = other.db.read("count", |tx| tx.query_opt("SELECT count(*) FROM events", &[]));
            assert_eq!(events.await.unwrap().unwrap().int(0).unwrap(), 4);
        }
    }

    async fn a_backup_made_during_work_holds_one_moment(test: TestDb) {
        let stop = Arc::new(AtomicBool::new(false));
        let (db, stopped) = (test.db.clone(), stop.clone());
        let ids = test.ids.clone();
        let writer = tokio::spawn(async move {
            let mut written = 0;
            while !stopped.load(Ordering::SeqCst) {
                let (message, node) = (ids.next(NOW), ids.next(NOW));
                db.write("both", move |tx| {
                    tx.run("INSERT INTO bodies (message, content) VALUES ($1, $1)", &[message.into()])?;
                    tx.run("INSERT INTO nodes (id, name, seen_at, lease_until) VALUES ($1, '', 0, 0)", &[node.into()])
                })
                .await
                .unwrap();
                written += 1;
            }
            written
        });
        for n in 0..4 {
            let file = test.dir.join(format!("backup-{n}.db"));
            test.db.backup(&file).await.unwrap();
            let copy = open(&DatabaseUrl::Sqlite(file)).await;
            let same = copy
                .read("count", |tx| {
                    tx.query_opt("SELECT (SELECT count(*) FROM bodies), (SELECT count(*) FROM nodes)", &[])
                })
                .await
                .unwrap()
                .unwrap();
            assert_eq!(same.int(0).unwrap(), same.int(1).unwrap());
        }
        stop.store(true, Ordering::SeqCst);
        assert!(writer.await.unwrap() > 0);
    }

    async fn a_restore_needs_an_empty_database_and_a_backup_a_new_file(test: TestDb) {
        fill(&test).await;
        let file = test.dir.join("backup.db");
        test.db.backup(&file).await.unwrap();
        let exists = test.db.backup(&file).await.unwrap_err().to_string();
        assert!(exists.contains("exists already"), "{exists}");
        let full = test.db.restore(&file).await.unwrap_err().to_string();
        assert!(full.contains("not empty"), "{full}");
        check(&test.db).await;
    }

    async fn a_file_that_is_no_backup_is_refused(test: TestDb) {
        let missing = test.db.restore(&test.dir.join("none.db")).await.unwrap_err().to_string();
        assert!(missing.contains("none.db"), "{missing}");
        let text = test.dir.join("text.db");
        fs::write(&text, "this is a letter, not a database, and a long one at that\n".repeat(100)).unwrap();
        let error = test.db.restore(&text).await.unwrap_err().to_string();
        assert!(error.contains("not a database"), "{error}");
        let empty = test.dir.join("empty.db");
        fs::write(&empty, "").unwrap();
        let error = test.db.restore(&empty).await.unwrap_err().to_string();
        assert!(error.contains("no backup of posthouse"), "{error}");
        let folder = test.dir.join("no such folder").join("backup.db");
        let error = test.db.backup(&folder).await.unwrap_err().to_string();
        assert!(error.contains("no such folder"), "{error}");
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_left_out_and_reported() {
    let test = TestDb::sqlite().await;
    fill(&test).await;
    test.db
        .write("damage", |tx| {
            tx.run(
                "INSERT INTO nodes (id, name, seen_at, lease_until) VALUES (X'01', 'good', 0, 0), \
                 (X'02', CAST(X'FFFE' AS TEXT), 0, 0), (X'03', 'good too', 0, 0)",
                &[],
            )
        })
        .await
        .unwrap();
    let file = test.dir.join("backup.db");
    let report = test.db.backup(&file).await.unwrap();
    assert_eq!(report.skipped.len(), 1, "{report:?}");
    assert_eq!(
        (report.skipped[0].table.as_str(), report.skipped[0].row),
        ("nodes", 2)
    );
    let copy = open(&DatabaseUrl::Sqlite(file)).await;
    let names = copy
        .read("names", |tx| {
            tx.query("SELECT name FROM nodes ORDER BY id", &[])?
                .iter()
                .map(|row| row.text(0))
                .collect::<Result<Vec<_>>>()
        })
        .await
        .unwrap();
    assert_eq!(names, ["good", "good too"]);
}

#[tokio::test]
async fn a_damaged_page_costs_the_rows_behind_it_and_no_other_table() {
    let test = TestDb::sqlite().await;
    fill(&test).await;
    test.db
        .write("fill", |tx| {
            for n in 0..2_000_i64 {
                let (id, name) = (n.to_be_bytes(), format!("needle {n}"));
                tx.run(
                    "INSERT INTO nodes (id, name, seen_at, lease_until) VALUES ($1, $2, 0, 0)",
                    &[Value::Blob(&id), (&name).into()],
                )?;
            }
            Ok(())
        })
        .await
        .unwrap();
    let (url, file) = (test.url.clone(), test.file().unwrap().to_owned());
    test.db.close().await.unwrap();
    // What the log still holds is brought into the file, or the page that is wanted is not there yet.
    let log = rusqlite::Connection::open(&file).unwrap();
    log.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
        .map(|busy| assert_eq!(busy, 0))
        .unwrap();
    drop(log);
    let mut bytes = fs::read(&file).unwrap();
    let needle = b"needle 1500";
    let at = bytes
        .windows(needle.len())
        .position(|window| window == needle)
        .unwrap();
    let page = at / 4096 * 4096;
    bytes[page..page + 4096].fill(0xff);
    fs::write(&file, bytes).unwrap();
    let db = Db::open(&url, OpenOptions::default()).await.unwrap();
    let backup = test.dir.join("backup.db");
    let report = db.backup(&backup).await.unwrap();
    assert_eq!(report.skipped.len(), 1, "{report:?}");
    assert!(report.skipped[0].why.contains("malformed"), "{report:?}");
    let restored = open(&test.empty().await).await;
    restored.restore(&backup).await.unwrap();
    check(&restored).await;
    let saved = restored
        .read("count", |tx| tx.query_opt("SELECT count(*) FROM nodes", &[]))
        .await
        .unwrap();
    let saved = saved.unwrap().int(0).unwrap();
    assert!((1_000..1_500).contains(&saved), "{saved}");
}
