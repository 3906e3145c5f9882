//! Values on their way into a statement and rows on their way out, the same for both engines.

use bytes::Bytes;
use mail::time::Time;

use crate::error::{Result, StoreError};
use crate::ids::Id;

/// A parameter of a statement. Times are microseconds UTC, booleans 0 and 1, identifiers 16 bytes.
///
/// A NUL inside a text becomes U+FFFD: PostgreSQL cannot hold one, and both engines shall remember the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Blob(&'a [u8]),
    Id(Id),
}

impl Value<'_> {
    /// Bytes this value adds to a transaction.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Null => 1,
            Self::Int(_) => 8,
            Self::Text(text) => text.len(),
            Self::Blob(bytes) => bytes.len(),
            Self::Id(_) => 16,
        }
    }
}

macro_rules! from_int {
    ($($int:ty),*) => {$(
        impl From<$int> for Value<'_> {
            fn from(int: $int) -> Self {
                Self::Int(i64::from(int))
            }
        }
    )*};
}
from_int!(i64, i32, u32, u16, u8, bool);

impl From<Time> for Value<'_> {
    fn from(time: Time) -> Self {
        Self::Int(time.as_micros())
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Blob(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for Value<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Blob(bytes)
    }
}

impl<'a> From<&'a Bytes> for Value<'a> {
    fn from(bytes: &'a Bytes) -> Self {
        Self::Blob(bytes)
    }
}

impl From<Id> for Value<'_> {
    fn from(id: Id) -> Self {
        Self::Id(id)
    }
}

impl From<&Id> for Value<'_> {
    fn from(id: &Id) -> Self {
        Self::Id(*id)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(option: Option<T>) -> Self {
        option.map_or(Self::Null, Into::into)
    }
}

/// One column of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    Null,
    Int(i64),
    Text(String),
    Blob(Bytes),
}

/// One row of an answer; columns count from 0. A column of another type than asked for is an error, not a panic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row(pub(crate) Vec<Cell>);

impl Row {
    pub fn int(&self, column: usize) -> Result<i64> {
        self.opt_int(column)?
            .ok_or_else(|| self.wrong(column, "a number"))
    }

    pub fn text(&self, column: usize) -> Result<String> {
        self.opt_text(column)?.ok_or_else(|| self.wrong(column, "a text"))
    }

    /// The bytes, copied; [`Row::bytes`] shares them.
    pub fn blob(&self, column: usize) -> Result<Vec<u8>> {
        self.bytes(column).map(Vec::from)
    }

    /// The bytes without a copy.
    pub fn bytes(&self, column: usize) -> Result<Bytes> {
        self.opt_bytes(column)?.ok_or_else(|| self.wrong(column, "bytes"))
    }

    pub fn id(&self, column: usize) -> Result<Id> {
        self.opt_id(column)?
            .ok_or_else(|| self.wrong(column, "an identifier"))
    }

    pub fn time(&self, column: usize) -> Result<Time> {
        self.int(column).map(Time::from_micros)
    }

    pub fn bool(&self, column: usize) -> Result<bool> {
        self.int(column).map(|int| int != 0)
    }

    pub fn opt_int(&self, column: usize) -> Result<Option<i64>> {
        match self.cell(column)? {
            Cell::Null => Ok(None),
            Cell::Int(int) => Ok(Some(*int)),
            _ => Err(self.wrong(column, "a number")),
        }
    }

    pub fn opt_text(&self, column: usize) -> Result<Option<String>> {
        match self.cell(column)? {
            Cell::Null => Ok(None),
            Cell::Text(text) => Ok(Some(text.clone())),
            _ => Err(self.wrong(column, "a text")),
        }
    }

    pub fn opt_bytes(&self, column: usize) -> Result<Option<Bytes>> {
        match self.cell(column)? {
            Cell::Null => Ok(None),
            Cell::Blob(bytes) => Ok(Some(bytes.clone())),
            _ => Err(self.wrong(column, "bytes")),
        }
    }

    pub fn opt_id(&self, column: usize) -> Result<Option<Id>> {
        match self.cell(column)? {
            Cell::Null => Ok(None),
            Cell::Blob(bytes) => <[u8; 16]>::try_from(bytes.as_ref())
                .map(|bytes| Some(Id::from_bytes(bytes)))
                .map_err(|_| self.wrong(column, "an identifier")),
            _ => Err(self.wrong(column, "an identifier")),
        }
    }

    pub fn opt_time(&self, column: usize) -> Result<Option<Time>> {
        Ok(self.opt_int(column)?.map(Time::from_micros))
    }

    fn cell(&self, column: usize) -> Result<&Cell> {
        self.0
            .get(column)
            .ok_or_else(|| StoreError::other("read a row", format!("it has no column {column}")))
    }

    /// Names the type found, never the value: rows hold secrets.
    fn wrong(&self, column: usize, wanted: &str) -> StoreError {
        let found = match self.0.get(column) {
            None => "nothing",
            Some(Cell::Null) => "NULL",
            Some(Cell::Int(_)) => "a number",
            Some(Cell::Text(_)) => "a text",
            Some(Cell::Blob(_)) => "bytes",
        };
        StoreError::other(
            "read a row",
            format!("column {column} holds {found}, expected {wanted}"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_column_of_another_type_is_an_error_that_says_both_types() {
        let row = Row(vec![
            Cell::Text("secret".into()),
            Cell::Null,
            Cell::Blob(Bytes::from_static(b"short")),
        ]);
        let error = row.int(0).unwrap_err();
        assert_eq!(
            error.to_string(),
            "read a row: column 0 holds a text, expected a number"
        );
        assert_eq!(error.kind(), ErrorKind::Other);
        assert_eq!(row.opt_time(1).unwrap(), None);
        assert!(row.text(1).is_err());
        assert!(row.id(2).is_err());
        assert!(row.int(3).is_err());
    }

    #[test]
    fn an_absent_value_is_null() {
        assert_eq!(Value::from(None::<&str>), Value::Null);
        assert_eq!(Value::from(Some(true)), Value::Int(1));
        assert_eq!(Value::from(Time::from_micros(-7)), Value::Int(-7));
    }
}
