//! The two databases, each test with one of its own.

use std::io::Write;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// The server in which tests make their databases: a URL that may create some.
fn postgres_url() -> Option<String> {
    std::env::var("POSTHOUSE_TEST_POSTGRES")
        .ok()
        .filter(|url| !url.is_empty())
}

/// Whether there is a PostgreSQL to test on. Where there is none, `test` is skipped and says so where nobody captures it.
pub fn postgres_is_here(test: &str) -> bool {
    let here = postgres_url().is_some();
    if !here {
        let _ = writeln!(std::io::stderr(), "SKIPPED, no POSTHOUSE_TEST_POSTGRES: {test}");
    }
    here
}

/// A PostgreSQL database that lasts as long as this value.
pub struct Database {
    server: String,
    name: String,
}

impl Database {
    pub fn create() -> Self {
        Self::create_in(&postgres_url().expect("POSTHOUSE_TEST_POSTGRES names a server"))
    }

    pub fn create_in(server: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "it_{}_{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let database = Self {
            server: server.to_owned(),
            name,
        };
        database.administer(&format!("CREATE DATABASE {}", database.name));
        database
    }

    pub fn url(&self) -> String {
        let (base, _) = self.server.rsplit_once('/').expect("a URL with a database");
        format!("{base}/{}", self.name)
    }

    /// Ends every connection to it, as a network that breaks does.
    pub fn cut_connections(&self) {
        self.administer(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'",
            self.name
        ));
    }

    fn administer(&self, sql: &str) {
        let done = Command::new("psql")
            .args(["--quiet", "--no-psqlrc", &self.server, "--command", sql])
            .output()
            .expect("psql runs");
        if !std::thread::panicking() {
            assert!(
                done.status.success(),
                "{sql}: {}",
                String::from_utf8_lossy(&done.stderr)
            );
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.administer(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}
