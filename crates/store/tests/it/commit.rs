//! What a commit promises: all or nothing, answered only when it is done, shared by many.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use store::{ErrorKind, Result, Row, StoreError, Tx, Value, both_engines};

fn insert(tx: &mut Tx<'_>, consumer: &str, seq: i64) -> Result<()> {
    tx.run(
        "INSERT INTO cursors (consumer, tx, seq) VALUES ($1, $2, $3)",
        &[consumer.into(), 0.into(), seq.into()],
    )
}

fn count(tx: &mut Tx<'_>) -> Result<i64> {
    tx.query_opt("SELECT count(*) FROM cursors", &[])?
        .ok_or_else(|| StoreError::other("count", "no row"))?
        .int(0)
}

both_engines! {
    async fn every_kind_of_value_comes_back_as_it_was_written(test: TestDb) {
        let id = test.id();
        test.db
            .write("insert", move |tx| {
                tx.run(
                    "INSERT INTO events (at, account, message, ordinal, kind, data) \
                     VALUES ($3, $2, $5, $6, $1, $4)",
                    &["kind".into(), id.into(), i64::MIN.into(), "nul \0 grün".into(), Value::Null, true.into()],
                )
            })
            .await
            .unwrap();
        let row = test
            .db
            .read("select", |tx| {
                tx.query_opt("SELECT at, account, message, ordinal, kind, data FROM events", &[])
            })
            .await
            .unwrap()
            .unwrap();
        assert_eq!(row.time(0).unwrap().as_micros(), i64::MIN);
        assert_eq!(row.id(1).unwrap(), id);
        assert_eq!(row.bytes(1).unwrap().as_ref(), id.as_bytes());
        assert_eq!(row.opt_id(2).unwrap(), None);
        assert!(row.bool(3).unwrap());
        assert_eq!(row.text(4).unwrap(), "kind");
        assert_eq!(row.text(5).unwrap(), "nul \u{fffd} grün");
    }

    async fn a_large_body_comes_back_byte_for_byte(test: TestDb) {
        let body: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
        let (id, sent) = (test.id(), body.clone());
        test.db
            .write("insert", move |tx| {
                tx.run("INSERT INTO bodies (message, content) VALUES ($1, $2)", &[id.into(), (&sent).into()])
            })
            .await
            .unwrap();
        let back = test
            .db
            .read("select", move |tx| tx.query("SELECT content FROM bodies WHERE message = $1", &[id.into()]))
            .await
            .unwrap();
        assert!(back[0].bytes(0).unwrap() == body);
    }

    async fn many_writers_share_commits(test: TestDb) {
        let before = test.db.stats();
        let writers: Vec<_> = (0..200_i64)
            .map(|n| {
                let db = test.db.clone();
                tokio::spawn(async move {
                    db.write("insert", move |tx| insert(tx, &n.to_string(), n)).await
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap().unwrap();
        }
        let after = test.db.stats();
        assert_eq!(after.writes - before.writes, 200);
        assert!(after.commits - before.commits < 200, "{} commits", after.commits - before.commits);
        assert_eq!(test.db.read("count", count).await.unwrap(), 200);
    }

    async fn what_was_answered_is_there_for_somebody_who_opens_the_database_anew(test: TestDb) {
        for n in 0..20 {
            test.db.write("insert", move |tx| insert(tx, &n.to_string(), n)).await.unwrap();
            let other = test.reopen().await;
            assert_eq!(other.read("count", count).await.unwrap(), n + 1);
        }
    }

    async fn a_closure_that_fails_takes_nobody_with_it(test: TestDb) {
        let writers: Vec<_> = (0..100_i64)
            .map(|n| {
                let db = test.db.clone();
                tokio::spawn(async move {
                    db.write("insert", move |tx| {
                        insert(tx, &n.to_string(), n)?;
                        if n % 10 == 3 {
                            return Err(StoreError::other("judge", "no"));
                        }
                        Ok(n)
                    })
                    .await
                })
            })
            .collect();
        for (n, writer) in writers.into_iter().enumerate() {
            let answer = writer.await.unwrap();
            if n % 10 == 3 {
                assert_eq!(answer.unwrap_err().to_string(), "insert: judge: no");
            } else {
                assert_eq!(answer.unwrap(), n as i64);
            }
        }
        assert_eq!(test.db.read("count", count).await.unwrap(), 90);
    }

    async fn a_closure_that_panics_is_an_error_and_the_writer_lives(test: TestDb) {
        let runs = Arc::new(AtomicUsize::new(0));
        let seen = runs.clone();
        let answer = test
            .db
            .write("insert", move |tx| -> Result<()> {
                insert(tx, "lost", 1)?;
                seen.fetch_add(1, Ordering::SeqCst);
                panic!("a mistake in a closure")
            })
            .await;
        assert!(answer.unwrap_err().to_string().contains("panicked"));
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        test.db.write("insert", |tx| insert(tx, "kept", 1)).await.unwrap();
        assert_eq!(test.db.read("count", count).await.unwrap(), 1);
    }

    async fn a_key_that_exists_is_told_by_its_kind(test: TestDb) {
        test.db.write("insert", |tx| insert(tx, "one", 1)).await.unwrap();
        let sent = test.db.write("insert", |tx| insert(tx, "one", 2)).await.unwrap_err();
        assert_eq!(sent.kind(), ErrorKind::Unique, "{sent}");
        let awaited = test
            .db
            .write("insert", |tx| {
                tx.execute("INSERT INTO cursors (consumer, tx, seq) VALUES ('one', 0, 3)", &[])
            })
            .await
            .unwrap_err();
        assert_eq!(awaited.kind(), ErrorKind::Unique, "{awaited}");
    }

    async fn a_closure_may_answer_after_a_statement_failed_but_nothing_it_wrote_stays(test: TestDb) {
        test.db.write("insert", |tx| insert(tx, "one", 1)).await.unwrap();
        let answer = test
            .db
            .write("insert", |tx| {
                insert(tx, "two", 2)?;
                let again = tx.execute("INSERT INTO cursors (consumer, tx, seq) VALUES ('one', 0, 3)", &[]);
                match again {
                    Err(error) if error.kind() == ErrorKind::Unique => Ok("taken"),
                    _ => Ok("free"),
                }
            })
            .await
            .unwrap();
        assert_eq!(answer, "taken");
        assert_eq!(test.db.read("count", count).await.unwrap(), 1);
    }

    async fn an_upsert_a_returning_clause_and_a_row_count_work(test: TestDb) {
        let (first, second, gone) = test
            .db
            .write("upsert", |tx| {
                let sql = "INSERT INTO cursors (consumer, tx, seq) VALUES ($1, 0, $2) \
                           ON CONFLICT (consumer) DO UPDATE SET seq = excluded.seq + cursors.seq RETURNING seq";
                let get = |row: Option<Row>| row.ok_or_else(|| StoreError::other("upsert", "no row"))?.int(0);
                let first = get(tx.query_opt(sql, &["c".into(), 5.into()])?)?;
                let second = get(tx.query_opt(sql, &["c".into(), 6.into()])?)?;
                let gone = tx.execute("DELETE FROM cursors WHERE seq = $1", &[11.into()])?;
                Ok((first, second, gone))
            })
            .await
            .unwrap();
        assert_eq!((first, second, gone), (5, 11, 1));
    }

    async fn a_reader_sees_what_is_committed_and_cannot_write(test: TestDb) {
        let refused = test.db.read("insert", |tx| {
            tx.execute("INSERT INTO cursors (consumer, tx, seq) VALUES ('x', 0, 1)", &[])
        });
        assert_eq!(refused.await.unwrap_err().kind(), ErrorKind::ReadOnly);
        let refused = test.db.peek("insert", |tx| {
            tx.execute("INSERT INTO cursors (consumer, tx, seq) VALUES ('x', 0, 1)", &[])
        });
        assert_eq!(refused.await.unwrap_err().kind(), ErrorKind::ReadOnly);
        let (inside, go_on) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (db, entered, gate) = (test.db.clone(), inside.clone(), go_on.clone());
        let writer = tokio::spawn(async move {
            db.write("insert", move |tx| {
                tx.execute("INSERT INTO cursors (consumer, tx, seq) VALUES ('x', 0, 1)", &[])?;
                entered.store(1, Ordering::SeqCst);
                while gate.load(Ordering::SeqCst) == 0 {
                    std::thread::yield_now();
                }
                Ok(())
            })
            .await
        });
        while inside.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(test.db.read("count", count).await.unwrap(), 0);
        assert_eq!(test.db.peek("count", count).await.unwrap(), 0);
        go_on.store(1, Ordering::SeqCst);
        writer.await.unwrap().unwrap();
        assert_eq!(test.db.read("count", count).await.unwrap(), 1);
        assert_eq!(test.db.peek("count", count).await.unwrap(), 1);
    }

    async fn a_wrong_number_of_values_is_an_error(test: TestDb) {
        let few = test.db.write("insert", |tx| tx.execute("DELETE FROM cursors WHERE seq = $1", &[]));
        assert_eq!(few.await.unwrap_err().kind(), ErrorKind::Other);
        let many = test.db.write("insert", |tx| tx.execute("DELETE FROM cursors", &[1.into()]));
        assert_eq!(many.await.unwrap_err().kind(), ErrorKind::Other);
    }

    async fn a_closed_database_says_so(test: TestDb) {
        let last = test.db.write("insert", |tx| insert(tx, "last", 1));
        let (last, closed) = tokio::join!(last, test.db.close());
        last.unwrap();
        closed.unwrap();
        let late = test.db.write("insert", |tx| insert(tx, "late", 1)).await.unwrap_err();
        assert_eq!(late.kind(), ErrorKind::Unavailable);
        let other = test.reopen().await;
        assert_eq!(other.read("count", count).await.unwrap(), 1);
    }

    async fn migrating_again_changes_nothing(test: TestDb) {
        let other = test.reopen().await;
        let (first, second) = tokio::join!(test.db.migrate(), other.migrate());
        first.unwrap();
        second.unwrap();
        let version = test
            .db
            .read("version", |tx| tx.query_opt("SELECT one, version FROM changes", &[]))
            .await
            .unwrap()
            .unwrap();
        assert_eq!((version.int(0).unwrap(), version.int(1).unwrap()), (1, 1));
    }

    async fn a_database_of_a_newer_posthouse_is_refused_with_words(test: TestDb) {
        test.db
            .write("pretend", |tx| {
                tx.run(
                    "INSERT INTO schema_migrations (version, name, checksum) VALUES (9000, 'future', 1)",
                    &[],
                )
            })
            .await
            .unwrap();
        let error = test.db.migrate().await.unwrap_err().to_string();
        assert!(error.contains("schema 9000") && error.contains("newer posthouse"), "{error}");
    }
}
