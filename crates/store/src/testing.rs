//! A fresh database for each test, on either engine; every room's storage tests run through [`both_engines!`].
//!
//! [`both_engines!`]: crate::both_engines

use std::fs;
use std::path::{Path, PathBuf};

use crate::{DatabaseUrl, Db, Id, Ids, OpenOptions};

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
        self.ids.next(crate::Clock::system().now())
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        // What cannot be removed is left to the system's own cleaning of temporary files.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn directory(ids: &Ids) -> PathBuf {
    let name = format!("posthouse-test-{}", ids.next(crate::Clock::system().now()));
    let dir = std::env::temp_dir().join(name);
    fs::create_dir_all(&dir).expect("a directory for the test");
    dir
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
        }
    )*};
}
