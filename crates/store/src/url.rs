//! Where the database is: `sqlite:PATH` or `postgres://…`, and how it is opened.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::dialect::Engine;

/// A database's address. What it displays as holds no password.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    Sqlite(PathBuf),
    /// The whole URL, password included.
    Postgres(String),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotADatabase {
    #[error("a database URL starts with `sqlite:` or `postgres://`")]
    Scheme,
    #[error("`sqlite:` is followed by the path of the database file")]
    NoPath,
}

impl DatabaseUrl {
    pub fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(_) => Engine::Sqlite,
            Self::Postgres(_) => Engine::Postgres,
        }
    }
}

impl FromStr for DatabaseUrl {
    type Err = NotADatabase;

    fn from_str(text: &str) -> Result<Self, NotADatabase> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        let path = text.strip_prefix("sqlite:").ok_or(NotADatabase::Scheme)?;
        // sqlite:///var/lib/x and sqlite:/var/lib/x are one place.
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() {
            return Err(NotADatabase::NoPath);
        }
        Ok(Self::Sqlite(PathBuf::from(path)))
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => {
                // Options may hold secrets as well, so only scheme, user, hosts and database are shown.
                let url = url.split('?').next().unwrap_or_default();
                let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
                match rest.rsplit_once('@') {
                    Some((user, place)) => {
                        let user = user.split(':').next().unwrap_or_default();
                        write!(f, "{scheme}://{user}@{place}")
                    }
                    None => write!(f, "{scheme}://{rest}"),
                }
            }
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How a database is opened.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Make the database file when there is none (SQLite).
    pub create: bool,
    /// Threads with a connection of their own for [`crate::Db::read`].
    pub readers: usize,
    /// Threads that commit (PostgreSQL; SQLite has one).
    pub writers: usize,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            create: true,
            readers: 3,
            writers: 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_its_engine() {
        let sqlite: DatabaseUrl = "sqlite:/var/lib/posthouse/posthouse.db".parse().unwrap();
        assert_eq!(
            sqlite,
            DatabaseUrl::Sqlite("/var/lib/posthouse/posthouse.db".into())
        );
        assert_eq!(
            "sqlite:///var/x.db".parse(),
            Ok(DatabaseUrl::Sqlite("/var/x.db".into()))
        );
        assert_eq!(
            "sqlite:data/x.db".parse(),
            Ok(DatabaseUrl::Sqlite("data/x.db".into()))
        );
        let postgres: DatabaseUrl = "postgresql://localhost/mail".parse().unwrap();
        assert_eq!(postgres.engine(), Engine::Postgres);
        assert_eq!("mysql://x".parse::<DatabaseUrl>(), Err(NotADatabase::Scheme));
        assert_eq!("sqlite:".parse::<DatabaseUrl>(), Err(NotADatabase::NoPath));
    }

    #[test]
    fn a_shown_url_holds_no_password() {
        let url: DatabaseUrl = "postgres://ph:se@cret@db:5432/mail?password=secret"
            .parse()
            .unwrap();
        assert_eq!(url.to_string(), "postgres://ph@db:5432/mail");
        assert!(!format!("{url:?}").contains("cret"));
    }
}
