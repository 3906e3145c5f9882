//! Closures that share one commit: what they send together, and what one of them learns that the others do not.

use std::collections::BTreeSet;

use store::testing::{HeldWriter, TestDb};
use store::{Db, Engine, ErrorKind, Id, OpenOptions, Result, StoreError, Tx, Value, both_engines};

const ROW: &str = "INSERT INTO settings (name, value) VALUES ($1, $2)";

fn row(tx: &mut Tx<'_>, name: &str) -> Result<()> {
    tx.run(ROW, &[name.into(), "".into()])
}

async fn names(db: &Db) -> BTreeSet<String> {
    let read = db.read("select", |tx| {
        let rows = tx.query("SELECT name FROM settings WHERE name LIKE 'row %'", &[])?;
        rows.iter().map(|row| row.text(0)).collect()
    });
    read.await.unwrap()
}

/// With one writer, what waits is one batch.
async fn one_writer(test: &TestDb) -> Db {
    let options = OpenOptions {
        writers: 1,
        ..OpenOptions::default()
    };
    Db::open(&test.url, options).await.unwrap()
}

/// Runs `work` for 0 to `many` in one batch, in this order, and says with how many commits and rollbacks.
async fn together<T: Send + 'static>(
    db: &Db,
    many: u64,
    work: impl Fn(&mut Tx<'_>, u64) -> Result<T> + Clone + Send + 'static,
) -> (Vec<Result<T>>, u64, u64) {
    let held = HeldWriter::of(db).await;
    let mut closures = Vec::new();
    for n in 0..many {
        let (writing, work) = (db.clone(), work.clone());
        closures.push(tokio::spawn(async move {
            writing.write("work", move |tx| work(tx, n)).await
        }));
        held.until(n + 1).await;
    }
    let before = db.stats();
    held.let_go().await;
    let mut answers = Vec::new();
    for closure in closures {
        answers.push(closure.await.unwrap());
    }
    let after = db.stats();
    // One commit more is that of the closure that held the others up.
    (
        answers,
        after.commits - before.commits - 1,
        after.rollbacks - before.rollbacks,
    )
}

both_engines! {
    async fn rows_of_several_tables_are_there_for_the_statement_that_asks_and_in_their_order(test: TestDb) {
        let row = |kind: &'static str, n: i64| move |tx: &mut Tx<'_>| {
            tx.run(
                "INSERT INTO events (at, account, message, ordinal, kind, data) VALUES ($1, $2, $3, $4, $5, $6)",
                &[n.into(), Id::from_bytes([1; 16]).into(), Value::Null, n.into(), kind.into(), "".into()],
            )
        };
        let (seen, changed) = test
            .db
            .write("insert", move |tx| {
                for n in 0..100_i64 {
                    row("first", n)(tx)?;
                    tx.run(
                        "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
                        &[format!("name {}", n % 10).as_str().into(), "value".into()],
                    )?;
                }
                let seen = tx.query("SELECT ordinal FROM events ORDER BY seq", &[])?;
                let seen: Vec<i64> = seen.iter().map(|row| row.int(0)).collect::<Result<_>>()?;
                row("second", 100)(tx)?;
                let changed = tx.execute("UPDATE events SET data = 'changed' WHERE kind = 'second'", &[])?;
                row("third", 101)(tx)?;
                Ok((seen, changed))
            })
            .await
            .unwrap();
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
        assert_eq!(changed, 1);
        let read = test.db.read("select", |tx| {
            let events = tx.query("SELECT kind, data FROM events WHERE ordinal >= 100 ORDER BY seq", &[])?;
            let events: Vec<_> = events.iter().map(|row| Ok((row.text(0)?, row.text(1)?))).collect::<Result<_>>()?;
            Ok((events, tx.query("SELECT name FROM settings WHERE name LIKE 'name %'", &[])?.len()))
        });
        let (events, settings) = read.await.unwrap();
        let text = |kind: &str, data: &str| (kind.to_owned(), data.to_owned());
        assert_eq!(events, [text("second", "changed"), text("third", "")]);
        assert_eq!(settings, 10);
    }

    async fn rows_of_a_batch_that_fails_are_not_inserted_with_those_of_the_next(test: TestDb) {
        let db = one_writer(&test).await;
        let alone = db.write("insert", |tx| {
            row(tx, "row of nobody")?;
            Err::<(), _>(StoreError::other("insert", "this closure fails"))
        });
        alone.await.unwrap_err();
        let (answers, commits, rollbacks) = together(&db, 10, |tx, n| {
            row(tx, &format!("row {n}"))?;
            if n == 4 {
                return Err(StoreError::other("insert", "this closure fails"));
            }
            Ok(())
        })
        .await;
        for (n, answer) in answers.iter().enumerate() {
            assert_eq!(answer.is_err(), n == 4, "{n}");
        }
        // The batch, and the closure by itself.
        assert_eq!((commits, rollbacks), (1, 2));
        let expected: BTreeSet<String> = (0..10).filter(|n| *n != 4).map(|n| format!("row {n}")).collect();
        assert_eq!(names(&db).await, expected);
    }

    async fn a_row_that_cannot_be_inserted_with_others_is_found_and_costs_them_two_repetitions_at_most(test: TestDb) {
        let db = one_writer(&test).await;
        db.write("insert", |tx| row(tx, "row 7")).await.unwrap();
        let (answers, commits, rollbacks) = together(&db, 40, |tx, n| row(tx, &format!("row {n}"))).await;
        for (n, answer) in answers.into_iter().enumerate() {
            match answer {
                Ok(()) => assert_ne!(n, 7),
                Err(error) => assert_eq!((n, error.kind()), (7, ErrorKind::Unique)),
            }
        }
        assert_eq!(commits, 1);
        // On PostgreSQL all of them together do not tell which one it is.
        assert_eq!(rollbacks, if db.engine() == Engine::Postgres { 3 } else { 2 });
        assert_eq!(names(&db).await.len(), 40);
        // From then on they go together again.
        let (_, commits, rollbacks) = together(&db, 40, |tx, n| row(tx, &format!("row of {n}"))).await;
        assert_eq!((commits, rollbacks), (1, 0));
        assert_eq!(names(&db).await.len(), 80);
    }

    async fn closures_that_find_a_row_otherwise_learn_it_and_cost_the_others_one_repetition(test: TestDb) {
        let db = one_writer(&test).await;
        db.write("insert", |tx| row(tx, "row 0")).await.unwrap();
        let (answers, commits, rollbacks) = together(&db, 80, |tx, n| {
            let name = if n % 8 == 5 { "gone" } else { "row 0" };
            let there = tx.expect(1, "UPDATE settings SET value = value || 'x' WHERE name = $1", &[name.into()])?;
            let nobody = tx.expect(0, "SELECT name FROM settings WHERE name = $1", &["nobody".into()])?;
            assert!(nobody);
            tx.run(
                "INSERT INTO cursors (consumer, tx, seq) VALUES ($1, $2, $3)",
                &[format!("{n} {there}").as_str().into(), 0.into(), 0.into()],
            )?;
            Ok(there)
        })
        .await;
        for (n, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.unwrap(), n % 8 != 5, "{n}");
        }
        // Seventy together, and ten of which each is by itself.
        let expected = if db.engine() == Engine::Postgres { (11, 1) } else { (1, 0) };
        assert_eq!((commits, rollbacks), expected);
        let read = db.read("read", |tx| {
            let value = tx.query("SELECT value FROM settings WHERE name = 'row 0'", &[])?[0].text(0)?;
            let lost = tx.query("SELECT consumer FROM cursors WHERE consumer LIKE '% false'", &[])?.len();
            let all = tx.query("SELECT consumer FROM cursors", &[])?.len();
            Ok((value.len(), lost, all))
        });
        assert_eq!(read.await.unwrap(), (70, 10, 80));
    }

    async fn rows_of_every_kind_and_of_many_octets_come_back_as_they_were_written(test: TestDb) {
        let body = |n: i64| -> Vec<u8> { (0..700_000_i64).map(|at| ((at + n) % 251) as u8).collect() };
        let ids: Vec<_> = (0..4).map(|_| test.id()).collect();
        let of = ids.clone();
        test.db
            .write("insert", move |tx| {
                for (n, id) in (0..).zip(&of) {
                    let keep_until = if n % 2 == 0 { Value::Null } else { i64::MIN.into() };
                    let content = body(n);
                    tx.run(
                        "INSERT INTO bodies (message, keep_until, content) VALUES ($1, $2, $3)",
                        &[id.into(), keep_until, (&content).into()],
                    )?;
                    let text = format!("nul \0 gr\u{fc}n {{\"{n}\", NULL}}");
                    let ordinal = if n == 3 { Value::Null } else { n.into() };
                    tx.run(
                        "INSERT INTO events (at, account, message, ordinal, kind, data) VALUES ($1, $2, $3, $4, $5, $6)",
                        &[i64::MAX.into(), id.into(), Value::Null, ordinal, "".into(), text.as_str().into()],
                    )?;
                }
                Ok(())
            })
            .await
            .unwrap();
        let (bodies, events) = test
            .db
            .read("select", |tx| {
                Ok((
                    tx.query("SELECT message, keep_until, content FROM bodies ORDER BY message", &[])?,
                    tx.query("SELECT at, account, message, ordinal, kind, data FROM events ORDER BY seq", &[])?,
                ))
            })
            .await
            .unwrap();
        assert_eq!((bodies.len(), events.len()), (4, 4));
        for (n, id) in (0..).zip(&ids) {
            let (stored, event) = (&bodies[n as usize], &events[n as usize]);
            assert_eq!(stored.id(0).unwrap(), *id);
            assert_eq!(stored.opt_int(1).unwrap(), (n % 2 == 1).then_some(i64::MIN));
            assert!(stored.bytes(2).unwrap() == body(n));
            assert_eq!(event.int(0).unwrap(), i64::MAX);
            assert_eq!((event.id(1).unwrap(), event.opt_id(2).unwrap()), (*id, None));
            assert_eq!(event.opt_int(3).unwrap(), (n != 3).then_some(n));
            assert_eq!(event.text(4).unwrap(), "");
            assert_eq!(event.text(5).unwrap(), format!("nul \u{fffd} gr\u{fc}n {{\"{n}\", NULL}}"));
        }
    }

    async fn a_row_with_a_value_too_few_is_an_error_and_no_other_row(test: TestDb) {
        let db = one_writer(&test).await;
        let (answers, ..) = together(&db, 4, |tx, n| match n {
            1 | 2 => tx.run(ROW, &["row short".into()]),
            _ => row(tx, &format!("row {n}")),
        })
        .await;
        for (n, answer) in answers.iter().enumerate() {
            assert_eq!(answer.is_err(), n == 1 || n == 2, "{n} {answer:?}");
        }
        assert_eq!(names(&db).await, BTreeSet::from(["row 0".to_owned(), "row 3".to_owned()]));
    }
}
