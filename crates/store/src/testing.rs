//! A fresh database for each test, on either engine; every room's storage tests run through [`both_engines!`].
//!
//! [`both_engines!`]: crate::both_engines

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::postgres::Server;
use crate::{Clock, DatabaseUrl, Db, Id, Ids, OpenOptions, Result};

/// A server on which the tests may make databases: `postgres://user@host:port/db`.
const SERVER: &str = "POSTHOUSE_TEST_POSTGRES";

/// A migrated database of its own, gone when the test is over.
pub struct TestDb {
    pub db: Db,
    pub url: DatabaseUrl,
    pub ids: Ids,
    /// For whatever files the test needs.
    pub dir: PathBuf,
}

impl TestDb {
    /// On SQLite, in a directory of its own.
    pub async fn sqlite() -> Self {
        let ids = Ids::new();
        let dir = directory(&ids);
        let url = DatabaseUrl::Sqlite(dir.join("posthouse.db"));
        Self::open(url, ids, dir).await
    }

    /// On PostgreSQL, in a database of its own. Without a server the test is skipped, loudly; with `CI` set it fails.
    pub async fn postgres() -> Option<Self> {
        let ids = Ids::new();
        let url = new_postgres(&ids).await?;
        let dir = directory(&ids);
        Some(Self::open(url, ids, dir).await)
    }

    /// A second, empty database on the same engine.
    pub async fn empty(&self) -> DatabaseUrl {
        match &self.url {
            DatabaseUrl::Sqlite(_) => DatabaseUrl::Sqlite(self.dir.join(format!("{}.db", self.id()))),
            DatabaseUrl::Postgres(_) => new_postgres(&self.ids)
                .await
                .expect("the server was there before"),
        }
    }

    /// Runs a statement as the server's administrator, outside every pool. On PostgreSQL only.
    pub async fn administer(&self, sql: &str) {
        let DatabaseUrl::Postgres(url) = &self.url else {
            panic!("SQLite has no administrator")
        };
        administer(url, sql).await;
    }

    async fn open(url: DatabaseUrl, ids: Ids, dir: PathBuf) -> Self {
        let db = Db::open(&url, OpenOptions::default())
            .await
            .expect("the test database opens");
        db.migrate().await.expect("the test database is migrated");
        Self { db, url, ids, dir }
    }

    /// A second way into the same database, as another process would have.
    pub async fn reopen(&self) -> Db {
        Db::open(
            &self.url,
            OpenOptions {
                create: false,
                ..OpenOptions::default()
            },
        )
        .await
        .expect("the test database opens again")
    }

    /// The database file, on SQLite.
    pub fn file(&self) -> Option<&Path> {
        match &self.url {
            DatabaseUrl::Sqlite(path) => Some(path),
            DatabaseUrl::Postgres(_) => None,
        }
    }

    pub fn id(&self) -> Id {
        self.ids.next(Clock::system().now())
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        // What cannot be removed is left to the system's own cleaning of temporary files, and to the end of the
        // server that was started for the tests.
        let _ = fs::remove_dir_all(&self.dir);
        if let DatabaseUrl::Postgres(url) = &self.url {
            drop_postgres(url.clone());
        }
    }
}

/// In a thread of its own: the test's runtime cannot be waited for from within.
fn drop_postgres(url: String) {
    let thread = std::thread::spawn(move || {
        let server = env::var(SERVER).ok()?;
        let name = url.rsplit_once('/')?.1.split('?').next()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .ok()?;
        runtime.block_on(administer(&server, &format!("DROP DATABASE {name} WITH (FORCE)")));
        Some(())
    });
    let _ = thread.join();
}

async fn new_postgres(ids: &Ids) -> Option<DatabaseUrl> {
    let Ok(server) = env::var(SERVER) else {
        assert!(
            env::var_os("CI").is_none(),
            "{SERVER} is not set, and CI tests both engines"
        );
        // Not by eprintln!, which the test runner captures.
        let _ = writeln!(
            io::stderr(),
            "SKIPPED on PostgreSQL: set {SERVER}=postgres://user@host:port/db, or run `make test`"
        );
        return None;
    };
    let name = format!("posthouse_test_{}", ids.next(Clock::system().now())).replace('-', "_");
    administer(&server, &format!("CREATE DATABASE {name}")).await;
    let (server, options) = server
        .split_once('?')
        .map_or((server.as_str(), String::new()), |(server, options)| {
            (server, format!("?{options}"))
        });
    let (server, _) = server.rsplit_once('/').expect("the URL names a database");
    Some(DatabaseUrl::Postgres(format!("{server}/{name}{options}")))
}

async fn administer(url: &str, sql: &str) {
    let (client, connection) = Server::parse(url)
        .expect("the test server's URL")
        .connect()
        .await
        .expect("the test server answers");
    let connection = tokio::spawn(connection);
    client
        .batch_execute(sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    drop(client);
    connection.await.expect("no panic").expect("a clean end");
}

fn directory(ids: &Ids) -> PathBuf {
    let name = format!("posthouse-test-{}", ids.next(Clock::system().now()));
    let dir = std::env::temp_dir().join(name);
    fs::create_dir_all(&dir).expect("a directory for the test");
    dir
}

/// The only writer of a database, kept busy: what is written meanwhile waits, in its order, and then is one batch.
pub struct HeldWriter {
    db: Db,
    go: mpsc::Sender<()>,
    held: JoinHandle<Result<()>>,
}

impl HeldWriter {
    pub async fn of(db: &Db) -> Self {
        let (go, gate) = mpsc::channel();
        let (entered, inside) = oneshot::channel();
        let (holding, mut entered) = (db.clone(), Some(entered));
        let held = tokio::spawn(async move {
            holding
                .write("hold the writer up", move |_| {
                    if let Some(entered) = entered.take() {
                        let _ = entered.send(());
                        let _ = gate.recv();
                    }
                    Ok(())
                })
                .await
        });
        inside.await.expect("the writer runs");
        Self {
            db: db.clone(),
            go,
            held,
        }
    }

    /// Until so many closures wait.
    pub async fn until(&self, waiting: u64) {
        while self.db.stats().waiting < waiting {
            tokio::task::yield_now().await;
        }
    }

    pub async fn let_go(self) {
        self.go.send(()).expect("the writer waits");
        self.held
            .await
            .expect("it does not panic")
            .expect("it is written");
    }
}

/// Makes each test run on SQLite and on PostgreSQL: `both_engines! { async fn name(test: TestDb) { … } }`.
#[macro_export]
macro_rules! both_engines {
    ($($(#[$meta:meta])* async fn $name:ident($test:ident: TestDb) $body:block)*) => {$(
        #[cfg(test)]
        $(#[$meta])*
        mod $name {
            use super::*;

            async fn body($test: $crate::testing::TestDb) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                body($crate::testing::TestDb::sqlite().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                if let Some(test) = $crate::testing::TestDb::postgres().await {
                    body(test).await;
                }
            }
        }
    )*};
}
