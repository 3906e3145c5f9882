//! One connection to one engine, and the transactions on it.

use std::path::Path;

use crate::dialect::Engine;
use crate::error::Result;
use crate::postgres;
use crate::sqlite;
use crate::value::{Row, Value};

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Write,
    /// Reads one state of the database, however many statements look at it.
    Snapshot,
    /// One statement that reads, in no transaction.
    Single,
}

/// Whose fault the first error of a batch is, by the numbers of its closures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Blame {
    #[default]
    Nobody,
    Closure(usize),
    /// One of several.
    Somebody,
    /// Each of these took something for granted that was otherwise.
    Unexpected(Vec<usize>),
}

impl From<Option<usize>> for Blame {
    fn from(closure: Option<usize>) -> Self {
        closure.map_or(Self::Somebody, Self::Closure)
    }
}

/// A connection, owned by one thread at a time. It connects again by itself when it was lost.
pub(crate) enum Link {
    Sqlite(Box<sqlite::Link>),
    Postgres(Box<postgres::Link>),
}

impl Link {
    pub(crate) fn to_file(path: &Path, role: sqlite::Role, create: bool) -> Result<Self> {
        sqlite::Link::open(path, role, create).map(|link| Self::Sqlite(Box::new(link)))
    }

    pub(crate) fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(_) => Engine::Sqlite,
            Self::Postgres(_) => Engine::Postgres,
        }
    }

    pub(crate) fn begin(&mut self, mode: Mode) -> Result<()> {
        match self {
            Self::Sqlite(link) => link.begin(mode),
            Self::Postgres(link) => link.begin(mode),
        }
    }

    /// Whether the open transaction has something for the disk.
    pub(crate) fn has_written(&mut self) -> Result<bool> {
        match self {
            Self::Sqlite(link) => Ok(link.has_written()),
            Self::Postgres(link) => link.has_written(),
        }
    }

    /// An error means: not known to be committed.
    pub(crate) fn commit(&mut self) -> Result<()> {
        match self {
            Self::Sqlite(link) => link.commit(),
            Self::Postgres(link) => link.commit(),
        }
    }

    /// After a batch is answered: room for the engine's own housekeeping.
    pub(crate) fn between_batches(&mut self) {
        match self {
            Self::Sqlite(link) => link.finish_checkpoint(),
            Self::Postgres(_) => {}
        }
    }

    pub(crate) fn rollback(&mut self) {
        match self {
            Self::Sqlite(link) => link.rollback(),
            Self::Postgres(link) => link.rollback(),
        }
    }

    /// The statements that follow are those of the batch's closure with this number.
    pub(crate) fn closure(&mut self, number: usize) {
        if let Self::Postgres(link) = self {
            link.closure(number);
        }
    }

    /// Whose statement failed, as far as that is known.
    pub(crate) fn blame(&mut self) -> Blame {
        match self {
            Self::Sqlite(_) => Blame::Nobody,
            Self::Postgres(link) => link.blame(),
        }
    }

    pub(crate) fn run(&mut self, sql: &str, values: &[Value<'_>]) -> Result<()> {
        match self {
            Self::Sqlite(link) => link.execute(sql, values).map(drop),
            Self::Postgres(link) => link.run(sql, values),
        }
    }

    pub(crate) fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64> {
        match self {
            Self::Sqlite(link) => link.execute(sql, values),
            Self::Postgres(link) => link.execute(sql, values),
        }
    }

    /// Whether a statement is about so many rows, which is taken for granted where waiting for it would hold others up.
    pub(crate) fn expect(&mut self, rows: u64, sql: &str, values: &[Value<'_>]) -> Result<bool> {
        match self {
            Self::Sqlite(link) => Ok(link.execute(sql, values)? == rows),
            Self::Postgres(link) => link.expect(rows, sql, values),
        }
    }

    /// Waits until it is known that everything came as it was expected.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(link) => link.check(),
        }
    }

    pub(crate) fn each(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        take: &mut dyn FnMut(Result<Row>) -> Result<()>,
    ) -> Result<()> {
        match self {
            Self::Sqlite(link) => link.each(sql, values, take),
            Self::Postgres(link) => link.each(sql, values, take),
        }
    }

    /// Several statements without parameters, as migrations have them.
    pub(crate) fn script(&mut self, sql: &str) -> Result<()> {
        match self {
            Self::Sqlite(link) => link.script(sql),
            Self::Postgres(link) => link.script(sql),
        }
    }
}
