//! Values, columns and errors between our words and PostgreSQL's.

use std::error::Error as StdError;

use bytes::{Bytes, BytesMut};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{Format, FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::error::{ErrorKind, StoreError};
use crate::ids::Id;
use crate::value::{Cell, Value};

type Failure = Box<dyn StdError + Sync + Send>;

impl ToSql for Value<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        match (self, ty) {
            (Self::Null, _) => return Ok(IsNull::Yes),
            (Self::Int(int), &Type::INT8) => int.to_sql(ty, out)?,
            (Self::Int(int), &Type::INT4) => i32::try_from(*int)?.to_sql(ty, out)?,
            (Self::Int(int), &Type::INT2) => i16::try_from(*int)?.to_sql(ty, out)?,
            (Self::Text(text), _) if <&str as ToSql>::accepts(ty) => {
                // PostgreSQL has no NUL in texts; see `Value`.
                if text.contains('\0') {
                    text.replace('\0', "\u{fffd}").to_sql(ty, out)?
                } else {
                    text.to_sql(ty, out)?
                }
            }
            (Self::Blob(bytes), &Type::BYTEA) => bytes.to_sql(ty, out)?,
            (Self::Id(id), &Type::BYTEA) => id.as_bytes().as_slice().to_sql(ty, out)?,
            (value, ty) => {
                // The type only: values hold secrets.
                let kind = match value {
                    Self::Null => "NULL",
                    Self::Int(_) => "a number",
                    Self::Text(_) => "a text",
                    Self::Blob(_) => "bytes",
                    Self::Id(_) => "an identifier",
                };
                return Err(format!("{kind} does not fit the type {ty}").into());
            }
        };
        Ok(IsNull::No)
    }

    fn accepts(_ty: &Type) -> bool {
        true
    }

    fn encode_format(&self, _ty: &Type) -> Format {
        Format::Binary
    }

    to_sql_checked!();
}

/// A value that a statement sent ahead keeps until it is on the wire.
pub(super) enum Kept {
    Null,
    Int(i64),
    Text(Box<str>),
    Blob(Box<[u8]>),
    Id(Id),
}

impl Kept {
    pub(super) fn value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Int(int) => Value::Int(*int),
            Self::Text(text) => Value::Text(text),
            Self::Blob(bytes) => Value::Blob(bytes),
            Self::Id(id) => Value::Id(*id),
        }
    }
}

impl From<&Value<'_>> for Kept {
    fn from(value: &Value<'_>) -> Self {
        match *value {
            Value::Null => Self::Null,
            Value::Int(int) => Self::Int(int),
            Value::Text(text) => Self::Text(text.into()),
            Value::Blob(bytes) => Self::Blob(bytes.into()),
            Value::Id(id) => Self::Id(id),
        }
    }
}

impl<'a> FromSql<'a> for Cell {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        Ok(match *ty {
            Type::INT8 => Self::Int(i64::from_sql(ty, raw)?),
            Type::INT4 => Self::Int(i32::from_sql(ty, raw)?.into()),
            Type::INT2 => Self::Int(i16::from_sql(ty, raw)?.into()),
            Type::BOOL => Self::Int(bool::from_sql(ty, raw)?.into()),
            Type::BYTEA => Self::Blob(Bytes::copy_from_slice(raw)),
            Type::VOID => Self::Null,
            _ if <&str as FromSql>::accepts(ty) => Self::Text(String::from_sql(ty, raw)?),
            _ => return Err(format!("a column of type {ty}: CAST it to BIGINT, TEXT or BYTEA").into()),
        })
    }

    fn from_sql_null(_ty: &Type) -> Result<Self, Failure> {
        Ok(Self::Null)
    }

    fn accepts(_ty: &Type) -> bool {
        true
    }
}

/// The error in our words. Details that quote rows stay out.
pub(super) fn error(attempted: impl Into<String>, error: &tokio_postgres::Error) -> StoreError {
    StoreError::new(kind(error), attempted.into(), words(error))
}

/// An error on the way to a connection: whatever it says, there is none.
pub(super) fn unavailable(attempted: impl Into<String>, error: &tokio_postgres::Error) -> StoreError {
    StoreError::new(ErrorKind::Unavailable, attempted.into(), words(error))
}

fn words(error: &tokio_postgres::Error) -> String {
    if let Some(db) = error.as_db_error() {
        let place = db.constraint().map_or(String::new(), |name| format!(" ({name})"));
        return format!("{}{place}, SQLSTATE {}", db.message(), db.code().code());
    }
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_words = cause.to_string();
        if !words.ends_with(&cause_words) {
            words.push_str(": ");
            words.push_str(&cause_words);
        }
        source = cause.source();
    }
    words
}

fn kind(error: &tokio_postgres::Error) -> ErrorKind {
    if let Some(state) = error.code() {
        return kind_of_state(state);
    }
    // The driver shows only two of its own errors by name; the others that mean a lost connection carry an I/O error.
    let io = error.source().is_some_and(<dyn StdError>::is::<std::io::Error>);
    if error.is_closed() || io {
        ErrorKind::Unavailable
    } else {
        ErrorKind::Other
    }
}

fn kind_of_state(state: &SqlState) -> ErrorKind {
    match *state {
        SqlState::UNIQUE_VIOLATION => ErrorKind::Unique,
        SqlState::T_R_SERIALIZATION_FAILURE
        | SqlState::T_R_DEADLOCK_DETECTED
        | SqlState::LOCK_NOT_AVAILABLE
        | SqlState::QUERY_CANCELED => ErrorKind::Retryable,
        SqlState::DISK_FULL => ErrorKind::Full,
        SqlState::READ_ONLY_SQL_TRANSACTION => ErrorKind::ReadOnly,
        _ => match state.code().get(..2) {
            // Connection exceptions, lack of resources, operator intervention, errors of the server's system.
            Some("08" | "53" | "57" | "58") => ErrorKind::Unavailable,
            _ => ErrorKind::Other,
        },
    }
}
