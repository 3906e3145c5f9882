//! A connection to the file: how it is tuned, how statements are bound, what its errors mean.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::config::DbConfig;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, ffi};

use super::checkpoint::{LARGEST, Pressure};
use crate::dialect::numbered;
use crate::error::{ErrorKind, Result, StoreError};
use crate::link::Mode;
use crate::tx::brief;
use crate::value::{Cell, Row, Value};

/// How long a lock held by another process (the CLI beside the server) is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Statements kept prepared; all rooms together have fewer than 200 texts.
const STATEMENTS: usize = 256;

/// What a connection is for.
#[derive(Clone)]
pub(crate) enum Role {
    /// Commits, and tells the checkpointer how long the log has become.
    Writer(Arc<Pressure>),
    Reader,
    /// Copies the log into the file.
    Checkpointer,
    /// Writes or reads a backup: one file, no log beside it.
    Archive,
}

pub(crate) struct Link {
    path: PathBuf,
    role: Role,
    /// `None` after an I/O error, or one of a file that takes no writes: the next use opens it again.
    connection: Option<Connection>,
    /// Statement texts with `$1` turned into `?1`.
    texts: HashMap<Box<str>, Box<str>>,
    /// The disk had no room for the last transaction.
    full: bool,
    /// Rows that the connection had changed when the transaction began.
    changes: u64,
}

impl Link {
    pub(crate) fn open(path: &Path, role: Role, create: bool) -> Result<Self> {
        let connection = connect(path, &role, create)?;
        Ok(Self {
            path: path.to_owned(),
            role,
            connection: Some(connection),
            texts: HashMap::new(),
            full: false,
            changes: 0,
        })
    }

    pub(crate) fn begin(&mut self, mode: Mode) -> Result<()> {
        self.reconnect()?;
        match mode {
            Mode::Write => {
                self.changes = self.total_changes();
                self.bare("BEGIN IMMEDIATE")
            }
            Mode::Snapshot => self.bare("BEGIN"),
            Mode::Single => Ok(()),
        }
    }

    pub(crate) fn has_written(&self) -> bool {
        self.total_changes() != self.changes
    }

    fn total_changes(&self) -> u64 {
        self.connection.as_ref().map_or(0, Connection::total_changes)
    }

    pub(crate) fn commit(&mut self) -> Result<()> {
        self.bare("COMMIT")
    }

    pub(crate) fn rollback(&mut self) {
        // Some errors (disk full, I/O) have rolled back already; then there is nothing to do.
        let open = self
            .connection
            .as_ref()
            .is_some_and(|connection| !connection.is_autocommit());
        if open && self.bare("ROLLBACK").is_err() {
            self.connection = None;
        }
    }

    /// How many rows the statement is about: changed, or found.
    pub(crate) fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64> {
        let done = self.with_statement(sql, values, |statement| {
            if statement.column_count() == 0 {
                return Ok(statement.raw_execute()? as u64);
            }
            let (mut found, mut rows) = (0, statement.raw_query());
            while rows.next()?.is_some() {
                found += 1;
            }
            Ok(found)
        });
        self.checked(sql, done)
    }

    pub(crate) fn each(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        take: &mut dyn FnMut(Result<Row>) -> Result<()>,
    ) -> Result<()> {
        let mut refused = None;
        let done = self.with_statement(sql, values, |statement| {
            let columns = statement.column_count();
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next()? {
                let row = (0..columns).map(|column| cell(row.get_ref(column)?, column));
                let row = row.collect::<rusqlite::Result<Vec<_>>>();
                let taken = take(row.map(Row).map_err(|error| StoreError::other(brief(sql), error)));
                if let Err(error) = taken {
                    refused = Some(error);
                    break;
                }
            }
            Ok(())
        });
        self.checked(sql, done)?;
        refused.map_or(Ok(()), Err)
    }

    pub(crate) fn script(&mut self, sql: &str) -> Result<()> {
        let done = self
            .open_connection()
            .and_then(|connection| connection.execute_batch(sql));
        self.checked(sql, done)
    }

    /// Copies what it can of the log into the file without waiting for anybody.
    pub(crate) fn checkpoint(&mut self) -> Result<()> {
        self.reconnect()?;
        self.each("PRAGMA wal_checkpoint(PASSIVE)", &[], &mut |_| Ok(()))
    }

    /// Between two batches: copies the rest of the log when the checkpointer asks for it, or all of it when the
    /// disk was full. Copied, the log begins anew in the room it has, so that deleting works on a full disk.
    pub(crate) fn finish_checkpoint(&mut self) {
        let Role::Writer(pressure) = &self.role else {
            return;
        };
        if !pressure.writers_turn() && !self.full {
            return;
        }
        let pressure = pressure.clone();
        self.full = false;
        if let Err(error) = self.checkpoint() {
            tracing::warn!(%error, "the rest of the log could not be copied into the database file");
        }
        pressure.rest();
    }

    fn reconnect(&mut self) -> Result<()> {
        if self.connection.is_none() {
            // Never make a new, empty file in place of one that is missing.
            self.connection = Some(connect(&self.path, &self.role, false)?);
        }
        Ok(())
    }

    fn bare(&mut self, sql: &'static str) -> Result<()> {
        self.execute(sql, &[]).map(drop)
    }

    fn open_connection(&self) -> rusqlite::Result<&Connection> {
        // Only an I/O error inside the same transaction leads here.
        self.connection.as_ref().ok_or_else(|| {
            rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR), Some("connection lost".into()))
        })
    }

    fn with_statement<T>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        work: impl FnOnce(&mut rusqlite::Statement<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        if !self.texts.contains_key(sql) {
            // Texts are made by this program, but those with lists in them vary.
            if self.texts.len() >= 4 * STATEMENTS {
                self.texts.clear();
            }
            self.texts.insert(sql.into(), numbered(sql).into());
        }
        let connection = self.open_connection()?;
        let mut statement = connection.prepare_cached(&self.texts[sql])?;
        for (index, value) in values.iter().enumerate() {
            statement.raw_bind_parameter(index + 1, value)?;
        }
        if statement.parameter_count() != values.len() {
            return Err(rusqlite::Error::InvalidParameterCount(
                values.len(),
                statement.parameter_count(),
            ));
        }
        work(&mut statement)
    }

    /// Names the statement in the error, and lets go of a connection that can no longer be trusted.
    fn checked<T>(&mut self, sql: &str, done: rusqlite::Result<T>) -> Result<T> {
        done.map_err(|error| {
            let kind = kind(&error);
            match kind {
                // A file that was opened while its disk was read-only stays so until it is opened again.
                ErrorKind::Unavailable | ErrorKind::ReadOnly => self.connection = None,
                ErrorKind::Full => self.full = true,
                _ => {}
            }
            StoreError::new(kind, brief(sql), error)
        })
    }
}

fn connect(path: &Path, role: &Role, create: bool) -> Result<Connection> {
    let attempt = || -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(PATIENCE)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        tune(&connection, role)?;
        if let Role::Writer(pressure) = role {
            let pressure = pressure.clone();
            connection.wal_hook(Some(move |_: &mut _, frames| {
                pressure.grown(i64::from(frames));
                Ok(())
            }))?;
        }
        Ok(connection)
    };
    if create {
        make(path)?;
    }
    attempt().map_err(|error| {
        let kind = match kind(&error) {
            ErrorKind::Other if matches!(code(&error), Some(ffi::ErrorCode::CannotOpen)) => {
                ErrorKind::Unavailable
            }
            kind => kind,
        };
        StoreError::new(kind, format!("open {}", path.display()), error)
    })
}

/// Makes an empty file, where there is none, that only its owner may read: it will hold keys and password hashes.
/// The log and its index get the same rights from SQLite.
fn make(path: &Path) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => {
            let kind = match error.kind() {
                io::ErrorKind::StorageFull => ErrorKind::Full,
                io::ErrorKind::ReadOnlyFilesystem => ErrorKind::ReadOnly,
                _ => ErrorKind::Unavailable,
            };
            Err(StoreError::new(kind, format!("make {}", path.display()), error))
        }
    }
}

fn tune(connection: &Connection, role: &Role) -> rusqlite::Result<()> {
    // One plan for a statement, whatever its values. Else one that compares values with each other or with the condition of
    // an index is parsed and planned anew each time: a third of what it took to read what many recipients are called.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Counts only while the file is empty. Measured with examples/commit_rate.rs: 8 and 16 KiB cost a quarter more
    // CPU for mails of 4 KiB, since every touched page is written whole, and save a sixth for those of 64 KiB.
    connection.pragma_update(None, "page_size", 4096)?;
    // Readers see the last commit while the writer goes on; a commit is one write and one fdatasync.
    let journal = if matches!(role, Role::Archive) {
        "delete"
    } else {
        "wal"
    };
    connection.pragma_update(None, "journal_mode", journal)?;
    // FULL: a commit is on the disk before it is answered. NORMAL would lose the last ones in a power cut.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "temp_store", "memory")?;
    match role {
        Role::Writer(_) => {
            // The checkpointer does it, so that no commit has to wait for a copy of the log.
            connection.pragma_update(None, "wal_autocheckpoint", 0)?;
            // A backup lets the log grow; the disk gets that back.
            connection.pragma_update(None, "journal_size_limit", LARGEST)?;
            // Holds the upper pages of every index and the bodies in flight; negative means KiB. 32 MiB saved no time (bench/NOTES.md).
            connection.pragma_update(None, "cache_size", -16 * 1024)?;
        }
        Role::Reader => {
            connection.pragma_update(None, "query_only", true)?;
            connection.pragma_update(None, "cache_size", -4 * 1024)?;
        }
        Role::Checkpointer => connection.pragma_update(None, "wal_autocheckpoint", 0)?,
        Role::Archive => {}
    }
    Ok(())
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Self::Int(int) => ToSqlOutput::Borrowed(ValueRef::Integer(*int)),
            Self::Text(text) if text.contains('\0') => ToSqlOutput::from(text.replace('\0', "\u{fffd}")),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Self::Blob(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Self::Id(id) => ToSqlOutput::Borrowed(ValueRef::Blob(id.as_bytes())),
        })
    }
}

fn cell(value: ValueRef<'_>, column: usize) -> rusqlite::Result<Cell> {
    Ok(match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(int) => Cell::Int(int),
        ValueRef::Text(_) => Cell::Text(value.as_str()?.to_owned()),
        ValueRef::Blob(bytes) => Cell::Blob(Bytes::copy_from_slice(bytes)),
        ValueRef::Real(_) => {
            let name = format!("column {column}");
            return Err(rusqlite::Error::InvalidColumnType(
                column,
                name,
                rusqlite::types::Type::Real,
            ));
        }
    })
}

fn code(error: &rusqlite::Error) -> Option<ffi::ErrorCode> {
    error.sqlite_error().map(|error| error.code)
}

fn kind(error: &rusqlite::Error) -> ErrorKind {
    let Some(error) = error.sqlite_error() else {
        return ErrorKind::Other;
    };
    match error.extended_code {
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => {
            return ErrorKind::Unique;
        }
        // The index of the log could not grow: that is a full disk as well.
        ffi::SQLITE_IOERR_SHMSIZE => return ErrorKind::Full,
        _ => {}
    }
    match error.code {
        ffi::ErrorCode::DiskFull => ErrorKind::Full,
        ffi::ErrorCode::ReadOnly | ffi::ErrorCode::PermissionDenied => ErrorKind::ReadOnly,
        ffi::ErrorCode::DatabaseBusy
        | ffi::ErrorCode::DatabaseLocked
        | ffi::ErrorCode::SchemaChanged
        | ffi::ErrorCode::FileLockingProtocolFailed => ErrorKind::Retryable,
        ffi::ErrorCode::SystemIoFailure | ffi::ErrorCode::CannotOpen | ffi::ErrorCode::OutOfMemory => {
            ErrorKind::Unavailable
        }
        _ => ErrorKind::Other,
    }
}
