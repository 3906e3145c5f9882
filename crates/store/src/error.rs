//! What can go wrong with the database, sorted by what the caller can do about it.

use std::borrow::Cow;
use std::fmt;

pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// What a caller can do about a [`StoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A unique key exists already.
    Unique,
    /// The same call may well succeed now: a deadlock, a serialization failure, a lock held too long.
    Retryable,
    /// No room: the disk or the database is full. It works again by itself once there is room.
    Full,
    /// The database cannot be reached or its files cannot be read or written at present.
    Unavailable,
    /// The database, or this way into it, accepts no writes.
    ReadOnly,
    /// Anything else: a mistake of ours, or a damaged database.
    Other,
}

/// A database error: what was attempted, what the engine said, and its [`ErrorKind`].
///
/// It can be cloned, because one failed commit is the answer to many callers.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{attempted}: {detail}")]
pub struct StoreError {
    kind: ErrorKind,
    attempted: Cow<'static, str>,
    detail: String,
}

impl StoreError {
    pub fn new(kind: ErrorKind, attempted: impl Into<Cow<'static, str>>, detail: impl fmt::Display) -> Self {
        Self {
            kind,
            attempted: attempted.into(),
            detail: detail.to_string(),
        }
    }

    /// An error nobody can act on but its reader: a value that cannot be, a file that is not ours.
    pub fn other(attempted: impl Into<Cow<'static, str>>, detail: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Other, attempted, detail)
    }

    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Puts the larger task in front: `accept: insert into bodies: disk full`.
    #[must_use]
    pub(crate) fn during(mut self, task: &str) -> Self {
        self.attempted = format!("{task}: {}", self.attempted).into();
        self
    }
}
