//! What happens when something outside goes wrong: lost connections, a full disk, somebody else's locks.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use store::testing::TestDb;
use store::{DatabaseUrl, Db, ErrorKind, OpenOptions, Result, StoreError, Topic, Tx, both_engines};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(20);

fn insert(tx: &mut Tx<'_>, consumer: &str, seq: i64) -> Result<()> {
    tx.run(
        "INSERT INTO cursors (consumer, tx, seq) VALUES ($1, $2, $3)",
        &[consumer.into(), 0.into(), seq.into()],
    )
}

async fn consumers(db: &Db) -> BTreeSet<String> {
    db.read("list", |tx| {
        tx.query("SELECT consumer FROM cursors", &[])?
            .iter()
            .map(|row| row.text(0))
            .collect()
    })
    .await
    .unwrap()
}

/// Waits on a thread of the database until `gate` has come to `value`.
fn wait_for(gate: &AtomicUsize, value: usize) {
    while gate.load(Ordering::SeqCst) < value {
        std::thread::yield_now();
    }
}

both_engines! {
    async fn two_processes_write_into_one_database(test: TestDb) {
        let other = test.reopen().await;
        let writers: Vec<_> = (0..60_i64)
            .map(|n| {
                let db = if n % 2 == 0 { test.db.clone() } else { other.clone() };
                tokio::spawn(async move { db.write("insert", move |tx| insert(tx, &n.to_string(), n)).await })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap().unwrap();
        }
        assert_eq!(consumers(&test.db).await.len(), 60);
    }

    async fn a_key_taken_by_one_closure_of_a_batch_costs_the_others_nothing(test: TestDb) {
        test.db.write("insert", |tx| insert(tx, "taken", 0)).await.unwrap();
        let writers: Vec<_> = (0..80_i64)
            .map(|n| {
                let db = test.db.clone();
                tokio::spawn(async move {
                    db.write("insert", move |tx| {
                        insert(tx, &n.to_string(), n)?;
                        let name = if n % 16 == 5 { "taken".to_owned() } else { format!("also {n}") };
                        insert(tx, &name, n)
                    })
                    .await
                })
            })
            .collect();
        for (n, writer) in writers.into_iter().enumerate() {
            let answer = writer.await.unwrap();
            if n % 16 == 5 {
                assert_eq!(answer.unwrap_err().kind(), ErrorKind::Unique);
            } else {
                answer.unwrap();
            }
        }
        assert_eq!(consumers(&test.db).await.len(), 1 + 2 * 75);
    }
}

#[tokio::test]
async fn a_copy_of_the_files_at_any_moment_holds_everything_that_was_answered() {
    let test = TestDb::sqlite().await;
    let file = test.file().unwrap();
    for round in 0..5 {
        for n in 0..50 {
            test.db
                .write("insert", move |tx| insert(tx, &format!("{round}-{n}"), n))
                .await
                .unwrap();
        }
        // What a machine without power finds: the file and its log, without the log's index.
        let copy = test.dir.join(format!("copy-{round}.db"));
        fs::copy(file, &copy).unwrap();
        fs::copy(file.with_extension("db-wal"), copy.with_extension("db-wal")).unwrap();
        let db = Db::open(&DatabaseUrl::Sqlite(copy), OpenOptions::default())
            .await
            .unwrap();
        assert_eq!(consumers(&db).await.len(), (round + 1) * 50);
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_gone_when_there_is_room_again() {
    let test = TestDb::sqlite().await;
    let limit = |pages: i64| {
        let db = test.db.clone();
        async move {
            let sql = format!("PRAGMA max_page_count = {pages}");
            db.write("limit", move |tx| tx.query(&sql, &[]).map(drop))
                .await
                .unwrap();
        }
    };
    let body = |n: i64| {
        let (db, id) = (test.db.clone(), test.id());
        tokio::spawn(async move {
            db.write("body", move |tx| {
                insert(tx, &format!("body {n}"), n)?;
                let content = vec![7_u8; 100_000];
                tx.run(
                    "INSERT INTO bodies (message, content) VALUES ($1, $2)",
                    &[id.into(), (&content).into()],
                )
            })
            .await
        })
    };
    limit(200).await;
    let mut kept = 0;
    for body in (0..40).map(body).collect::<Vec<_>>() {
        match body.await.unwrap() {
            Ok(()) => kept += 1,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Full, "{error}"),
        }
    }
    assert!(kept < 40);
    assert_eq!(consumers(&test.db).await.len(), kept);
    body(40).await.unwrap().unwrap_err();
    assert_eq!(test.db.refuses_writes(), Some(ErrorKind::Full));
    // What changes nothing needs no room, and says nothing about it.
    let nobody = "UPDATE cursors SET seq = 1 WHERE consumer = 'nobody'";
    let done = test.db.write("nothing", |tx| tx.execute(nobody, &[]));
    assert_eq!(done.await.unwrap(), 0);
    assert_eq!(test.db.refuses_writes(), Some(ErrorKind::Full));
    limit(100_000).await;
    for n in 40..50 {
        body(n).await.unwrap().unwrap();
        assert_eq!(test.db.refuses_writes(), None);
    }
    assert_eq!(consumers(&test.db).await.len(), kept + 10);
}

/// What SQLite writes into the head of a log anew whenever it begins anew.
fn salts(log: &Path) -> [u8; 8] {
    let mut head = [0; 32];
    fs::File::open(log).unwrap().read_exact(&mut head).unwrap();
    head[16..24].try_into().unwrap()
}

#[tokio::test]
async fn the_log_starts_over_instead_of_growing_for_ever() {
    let test = TestDb::sqlite().await;
    let log = test.file().unwrap().with_extension("db-wal");
    let (mut began, mut written) = (salts(&log), 0);
    let mut longest = 0;
    for round in 0..12 {
        let writers: Vec<_> = (0..10)
            .map(|_| {
                let (db, id) = (test.db.clone(), test.id());
                tokio::spawn(async move {
                    let content = vec![round; 1 << 20];
                    db.write("body", move |tx| {
                        tx.run(
                            "INSERT INTO bodies (message, content) VALUES ($1, $2)",
                            &[id.into(), (&content).into()],
                        )
                    })
                    .await
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap().unwrap();
        }
        longest = longest.max(fs::metadata(&log).unwrap().len());
        // Of the round in which it began anew nobody knows how much came before.
        written = if salts(&log) == began { written + 10 } else { 0 };
        // Long enough to be copied, which a busy machine may keep waiting. The first commit behind that ends the copy, the next one
        // begins the log anew; they are few, so that they do not make it long themselves.
        if written > 32 {
            timeout(Duration::from_mins(1), async {
                for n in 0.. {
                    if salts(&log) != began {
                        break;
                    }
                    let commit = test
                        .db
                        .write("insert", move |tx| insert(tx, &format!("{round}-{n}"), n));
                    commit.await.unwrap();
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            })
            .await
            .expect("the log begins anew");
            longest = longest.max(fs::metadata(&log).unwrap().len());
            written = 0;
        }
        began = salts(&log);
    }
    assert!(
        longest < 100 << 20,
        "120 MiB were written, the log has {} MiB",
        longest >> 20
    );
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_but_its_owner_reads_the_database_or_a_backup() {
    use std::os::unix::fs::PermissionsExt;
    let test = TestDb::sqlite().await;
    let (file, backup) = (test.file().unwrap(), test.dir.join("backup.db"));
    test.db.backup(&backup).await.unwrap();
    for path in [
        file,
        &file.with_extension("db-wal"),
        &file.with_extension("db-shm"),
        &backup,
    ] {
        let mode = fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn a_missing_database_is_not_made_unless_asked_for() {
    let test = TestDb::sqlite().await;
    let url = DatabaseUrl::Sqlite(test.dir.join("no such.db"));
    let options = OpenOptions {
        create: false,
        ..OpenOptions::default()
    };
    let error = Db::open(&url, options).await.err().expect("there is none");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("no such.db"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let url: DatabaseUrl = "postgres://posthouse:secret@127.0.0.1:1/posthouse"
        .parse()
        .unwrap();
    let error = Db::open(&url, OpenOptions::default())
        .await
        .err()
        .expect("nobody listens there");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_connections_lose_nothing_that_was_answered() {
    let Some(test) = TestDb::postgres().await else {
        return;
    };
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let stop = Arc::new(AtomicUsize::new(0));
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (db, stop) = (test.db.clone(), stop.clone());
            tokio::spawn(async move {
                let mut answered = BTreeSet::new();
                let mut refused = 0;
                for n in 0.. {
                    let key = format!("{writer}-{n}");
                    let sent = key.clone();
                    match db.write("insert", move |tx| insert(tx, &sent, n)).await {
                        Ok(()) => drop(answered.insert(key)),
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                            refused += 1;
                        }
                    }
                    if stop.load(Ordering::SeqCst) == 1 {
                        break;
                    }
                }
                (answered, refused)
            })
        })
        .collect();
    for n in 1..=6_u64 {
        test.administer(cut).await;
        // Until it works again: proof that it connected by itself.
        timeout(SOON, async {
            let key = format!("after cut {n}");
            loop {
                let sent = key.clone();
                let done = test.db.write("insert", move |tx| {
                    tx.run(
                        "INSERT INTO cursors (consumer, tx, seq) VALUES ($1, 0, 0) ON CONFLICT DO NOTHING",
                        &[(&sent).into()],
                    )
                });
                if done.await.is_ok() && test.db.read("read", |tx| tx.query("SELECT 1", &[])).await.is_ok() {
                    break;
                }
            }
        })
        .await
        .expect("the connection comes back");
    }
    stop.store(1, Ordering::SeqCst);
    let mut answered = BTreeSet::new();
    for writer in writers {
        answered.extend(writer.await.unwrap().0);
    }
    let there = consumers(&test.db).await;
    let lost: Vec<_> = answered.difference(&there).collect();
    assert!(lost.is_empty(), "answered but not there: {lost:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_cut_while_idle_costs_the_next_caller_nothing() {
    let Some(test) = TestDb::postgres().await else {
        return;
    };
    test.db
        .write("insert", |tx| insert(tx, "before", 1))
        .await
        .unwrap();
    test.db
        .read("list", |tx| tx.query("SELECT 1", &[]))
        .await
        .unwrap();
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    test.administer(cut).await;
    for n in 0..8 {
        test.db
            .write("insert", move |tx| insert(tx, &format!("after {n}"), n))
            .await
            .unwrap();
        assert_eq!(consumers(&test.db).await.len() as i64, n + 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_that_wait_for_each_other_both_get_through() {
    let Some(test) = TestDb::postgres().await else {
        return;
    };
    test.db
        .write("insert", |tx| {
            insert(tx, "a", 0)?;
            insert(tx, "b", 0)
        })
        .await
        .unwrap();
    let gate = Arc::new(AtomicUsize::new(0));
    let crossing = |first: &'static str, second: &'static str| {
        let (db, gate) = (test.db.clone(), gate.clone());
        tokio::spawn(async move {
            db.write("cross", move |tx| {
                let sql = "UPDATE cursors SET seq = seq + 1 WHERE consumer = $1";
                tx.execute(sql, &[first.into()])?;
                gate.fetch_add(1, Ordering::SeqCst);
                wait_for(&gate, 2);
                tx.execute(sql, &[second.into()])
            })
            .await
        })
    };
    let (one, two) = (crossing("a", "b"), crossing("b", "a"));
    assert_eq!(one.await.unwrap().unwrap(), 1);
    assert_eq!(two.await.unwrap().unwrap(), 1);
    let sum = test.db.read("sum", |tx| {
        tx.query_opt("SELECT CAST(sum(seq) AS BIGINT) FROM cursors", &[])
    });
    assert_eq!(sum.await.unwrap().unwrap().int(0).unwrap(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_set_to_read_only_says_so_and_works_again_afterwards() {
    let Some(test) = TestDb::postgres().await else {
        return;
    };
    let DatabaseUrl::Postgres(url) = &test.url else {
        panic!("on PostgreSQL")
    };
    let name = url.rsplit_once('/').unwrap().1.to_owned();
    let set = async |to: &str| {
        let sql = format!("ALTER DATABASE {name} SET default_transaction_read_only = {to}");
        test.administer(&format!("BEGIN READ WRITE; {sql}; COMMIT")).await;
    };
    set("on").await;
    let db = test.reopen().await;
    for _ in 0..4 {
        let refused = db.write("insert", |tx| insert(tx, "x", 1)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ReadOnly, "{refused}");
        // What only looks is let through, and says nothing about that.
        db.write("nothing", |tx| tx.query("SELECT 1", &[])).await.unwrap();
        assert_eq!(db.refuses_writes(), Some(ErrorKind::ReadOnly));
    }
    set("off").await;
    db.write("insert", |tx| insert(tx, "x", 1)).await.unwrap();
    assert_eq!(db.refuses_writes(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bell_rung_in_one_process_is_heard_in_another() {
    let Some(test) = TestDb::postgres().await else {
        return;
    };
    let other = test.reopen().await;
    let mut bell = other.bell(Topic::Due);
    let mut silent = other.bell(Topic::Changes);
    // Listening begins with a ring of its own; after it, what is heard comes from the other process.
    timeout(SOON, bell.rung()).await.expect("it listens");
    timeout(SOON, silent.rung()).await.expect("it listens");
    test.db
        .write("ring", |tx| {
            tx.ring(Topic::Due);
            insert(tx, "x", 1)
        })
        .await
        .unwrap();
    timeout(SOON, bell.rung()).await.expect("it is heard");
    let refused = test.db.write("ring", |tx| -> Result<()> {
        tx.ring(Topic::Changes);
        Err(StoreError::other("judge", "no"))
    });
    refused.await.unwrap_err();
    test.db
        .write("ring", |tx| {
            tx.ring(Topic::Due);
            insert(tx, "y", 1)
        })
        .await
        .unwrap();
    timeout(SOON, bell.rung()).await.expect("it is heard");
    let heard = timeout(Duration::ZERO, silent.rung()).await;
    assert!(heard.is_err(), "nothing was committed, so nothing was rung");
}

/// Passes bytes on between a client and the server until it is told to cut: then the next COMMIT still reaches the
/// server, its answer reaches nobody.
async fn relay(server: String, cut: Arc<AtomicUsize>) -> u16 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = tokio::net::TcpStream::connect(&server).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            let silent = Arc::new(AtomicUsize::new(0));
            let (silenced, cut) = (silent.clone(), cut.clone());
            tokio::spawn(async move {
                let mut bytes = vec![0; 65_536];
                while let Ok(length @ 1..) = from_client.read(&mut bytes).await {
                    let sent = &bytes[..length];
                    if sent.windows(6).any(|window| window == b"COMMIT")
                        && cut
                            .compare_exchange(1, 2, Ordering::SeqCst, Ordering::SeqCst)
                            .is_ok()
                    {
                        silenced.store(1, Ordering::SeqCst);
                    }
                    if to_server.write_all(sent).await.is_err() {
                        break;
                    }
                }
            });
            tokio::spawn(async move {
                let mut bytes = vec![0; 65_536];
                while let Ok(length @ 1..) = from_server.read(&mut bytes).await {
                    // Dropping both halves here is the cut.
                    if silent.load(Ordering::SeqCst) == 1
                        || to_client.write_all(&bytes[..length]).await.is_err()
                    {
                        break;
                    }
                }
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_an_error_and_not_run_again() {
    let Some(test) = TestDb::postgres().await else {
        return;
    };
    let DatabaseUrl::Postgres(url) = test.url.clone() else {
        panic!("on PostgreSQL")
    };
    let (user, place) = url.split_once('@').unwrap();
    let (server, name) = place.split_once('/').unwrap();
    let cut = Arc::new(AtomicUsize::new(0));
    let port = relay(server.to_owned(), cut.clone()).await;
    let through: DatabaseUrl = format!("{user}@127.0.0.1:{port}/{name}?sslmode=disable")
        .parse()
        .unwrap();
    let db = Db::open(&through, OpenOptions::default()).await.unwrap();
    db.write("insert", |tx| insert(tx, "before", 1)).await.unwrap();
    cut.store(1, Ordering::SeqCst);
    let runs = Arc::new(AtomicUsize::new(0));
    let seen = runs.clone();
    let lost = db
        .write("insert", move |tx| {
            seen.fetch_add(1, Ordering::SeqCst);
            insert(tx, "in doubt", 1)
        })
        .await
        .unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Unavailable, "{lost}");
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    db.write("insert", |tx| insert(tx, "after", 1)).await.unwrap();
    let there = consumers(&db).await;
    assert!(there.contains("before") && there.contains("after"), "{there:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_that_share_rows_take_them_in_one_order() {
    let Some(test) = TestDb::postgres().await else {
        return;
    };
    let accounts: Vec<_> = (0..6).map(|_| test.id()).collect();
    let all = accounts.clone();
    test.db
        .write("open", move |tx| {
            all.iter().try_for_each(|id| {
                tx.run(
                    "INSERT INTO accounts (id, name, state, state_reason, operator, unlimited, balance, created_at) \
                     VALUES ($1, '', 'active', '', 0, 0, 1000, 0)",
                    &[id.into()],
                )
            })
        })
        .await
        .unwrap();
    let other = test.reopen().await;
    let before = (test.db.stats().rollbacks, other.stats().rollbacks);
    let writers: Vec<_> = (0..600)
        .map(|n| {
            let db = if n % 2 == 0 {
                test.db.clone()
            } else {
                other.clone()
            };
            let account = accounts[n * 7 % accounts.len()];
            tokio::spawn(async move {
                db.write_for(account, "charge", move |tx| {
                    tx.execute(
                        "UPDATE accounts SET balance = balance - 1 WHERE id = $1",
                        &[account.into()],
                    )
                })
                .await
            })
        })
        .collect();
    for writer in writers {
        assert_eq!(writer.await.unwrap().unwrap(), 1);
    }
    assert_eq!(
        (test.db.stats().rollbacks, other.stats().rollbacks),
        before,
        "no deadlock"
    );
    let sum = test.db.read("sum", |tx| {
        tx.query_opt("SELECT CAST(sum(balance) AS BIGINT) FROM accounts", &[])
    });
    assert_eq!(sum.await.unwrap().unwrap().int(0).unwrap(), 5_400);
}
