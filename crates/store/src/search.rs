//! Searching: conditions that are only there when they are asked for, and what LIKE is told.

use std::fmt::Write as _;

use crate::{Id, Result, Tx, Value};

/// Rows that one page of a search looks through at most: what no index knows is looked for in a part of a table at a time.
pub const LOOKED_THROUGH: u32 = 10_000;
/// The same where each row names another one that has to be fetched, from anywhere in its table.
const LOOKED_UP: u32 = 4_000;
/// Rows that it looks through at first: most pages are full then.
const FIRST_LOOK: u32 = 500;

/// A page of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<T> {
    pub items: Vec<T>,
    /// The last row that was looked at, where it was not the page that was full: the search goes on behind it.
    pub looked_to: Option<Id>,
}

impl<T> Found<T> {
    /// What there is, where nothing had to be looked through.
    pub const fn all(items: Vec<T>) -> Self {
        Self {
            items,
            looked_to: None,
        }
    }
}

/// The part of an index that a page reads: everything at one place of its leading columns, in the order of its last one, which holds
/// identifiers.
///
/// Its first rows are read by themselves, in brackets and with a LIMIT, and everything else is asked of them alone: so no engine has a
/// choice, and none reads on. Where they begin is said in rows, `(account, id) <= ($1, $2)`: of a column that is equal to something
/// PostgreSQL knows that it makes no difference to the order, and may walk through another index in that order instead, past the rows
/// of everybody else. Where they end is not said to the index, because PostgreSQL does not stop there where only a later column differs.
#[derive(Clone, Debug)]
pub struct Stretch<'a> {
    table: &'static str,
    columns: &'static [&'static str],
    place: Vec<Value<'a>>,
    words: &'static str,
    low: u128,
    high: u128,
    oldest_first: bool,
    most: u32,
}

impl<'a> Stretch<'a> {
    /// All of a table, which may be followed by the letter it is called by, that has these values in the leading columns.
    pub fn new(table: &'static str, columns: &'static [&'static str], place: Vec<Value<'a>>) -> Self {
        Self {
            table,
            columns,
            place,
            words: "",
            low: 0,
            high: u128::MAX,
            oldest_first: false,
            most: LOOKED_THROUGH,
        }
    }

    /// Whose rows only name what is looked at.
    #[must_use]
    pub const fn naming(mut self) -> Self {
        self.most = LOOKED_UP;
        self
    }

    /// What says nothing new of the rows, but a partial index is found by its own words only.
    #[must_use]
    pub const fn in_words(mut self, words: &'static str) -> Self {
        self.words = words;
        self
    }

    /// In the order of time, and not the newest first.
    #[must_use]
    pub const fn oldest_first(mut self, oldest_first: bool) -> Self {
        self.oldest_first = oldest_first;
        self
    }

    /// From this identifier on.
    pub fn since(&mut self, id: Option<Id>) {
        self.low = self.low.max(id.map_or(0, number));
    }

    /// Before this identifier.
    pub fn until(&mut self, id: Option<Id>) {
        self.high = self
            .high
            .min(id.map_or(u128::MAX, |id| number(id).saturating_sub(1)));
    }

    /// Behind the last one of the page before.
    pub fn after(&mut self, id: Option<Id>) {
        if self.oldest_first {
            self.low = self.low.max(id.map_or(0, |id| number(id).saturating_add(1)));
        } else {
            self.until(id);
        }
    }

    /// This one alone.
    pub fn only(&mut self, id: Option<Id>) {
        self.since(id);
        self.high = self.high.min(id.map_or(u128::MAX, number));
    }

    /// Its first rows as what stands behind FROM, called as the table is, and the conditions that tell which of them belong to it.
    /// `what` names the columns; those of the index have to be among them.
    pub fn first(&self, what: &str, many: u32) -> (String, Conditions<'a>) {
        self.rows(what, &format!("LIMIT {many}"))
    }

    fn rows(&self, what: &str, many: &str) -> (String, Conditions<'a>) {
        let (begins, runs, way, start) = if self.oldest_first {
            (">=", "<=", "ASC", self.low)
        } else {
            ("<=", ">=", "DESC", self.high)
        };
        let id = |number: u128| Value::from(Id::from_bytes(number.to_be_bytes()));
        let mut conditions = Conditions::default();
        let mut place = self.place.clone();
        place.push(id(start));
        let marks = vec!["$"; place.len()].join(", ");
        conditions.add_all(&format!("({}) {begins} ({marks})", self.columns()), place);
        // The first column is one that both engines do stop at.
        conditions.add(
            &format!("{} {runs} $", self.columns[0]),
            self.place.first().copied(),
        );
        if !self.words.is_empty() {
            conditions.demand(self.words);
        }
        let order: Vec<String> = self
            .columns
            .iter()
            .map(|column| format!("{column} {way}"))
            .collect();
        let part = format!(
            "(SELECT {what} FROM {}{} ORDER BY {} {many}) {}",
            self.table,
            conditions.sql(),
            order.join(", "),
            self.table.rsplit(' ').next().unwrap_or_default(),
        );
        conditions.begin_anew();
        for (column, value) in self.columns.iter().zip(&self.place) {
            conditions.add(&format!("{column} = $"), Some(*value));
        }
        let column = self.last_column();
        conditions.add(&format!("{column} >= $"), Some(id(self.low)));
        conditions.add(&format!("{column} <= $"), Some(id(self.high)));
        (part, conditions)
    }

    /// How what is found is ordered, by the column that holds its identifiers.
    pub fn order(&self, column: &str) -> String {
        let way = if self.oldest_first { "ASC" } else { "DESC" };
        format!(" ORDER BY {column} {way}")
    }

    /// The columns of the index.
    pub fn columns(&self) -> String {
        self.columns.join(", ")
    }

    fn last_column(&self) -> &'static str {
        self.columns[self.columns.len() - 1]
    }

    /// The row at which a look at so many of its first rows ends; none where there are not as many.
    fn end_of(&self, tx: &mut Tx<'_>, many: u32) -> Result<Option<Id>> {
        let (part, conditions) = self.rows(&self.columns(), &format!("LIMIT 1 OFFSET {}", many - 1));
        let sql = format!("SELECT {} FROM {part}{}", self.last_column(), conditions.sql());
        tx.query_opt(&sql, conditions.values())?
            .map(|row| row.id(0))
            .transpose()
    }

    /// Looks for a page of up to `limit` among its first rows, a few of them at first.
    pub fn search<T>(
        &self,
        tx: &mut Tx<'_>,
        limit: u32,
        mut look: impl FnMut(&mut Tx<'_>, u32) -> Result<Vec<T>>,
    ) -> Result<Found<T>> {
        let first = look(tx, FIRST_LOOK)?;
        if first.len() >= limit as usize || self.end_of(tx, FIRST_LOOK)?.is_none() {
            return Ok(Found::all(first));
        }
        let items = look(tx, self.most)?;
        if items.len() >= limit as usize {
            return Ok(Found::all(items));
        }
        Ok(Found {
            items,
            looked_to: self.end_of(tx, self.most)?,
        })
    }
}

fn number(id: Id) -> u128 {
    u128::from_be_bytes(*id.as_bytes())
}

/// The WHERE clause of a search.
#[derive(Debug, Default)]
pub struct Conditions<'a> {
    clauses: Vec<String>,
    values: Vec<Value<'a>>,
}

impl<'a> Conditions<'a> {
    /// Adds a condition when there is a value; every `$` in it stands for the value.
    pub fn add(&mut self, clause: &str, value: Option<impl Into<Value<'a>>>) {
        if let Some(value) = value {
            self.values.push(value.into());
            self.clauses
                .push(clause.replace('$', &format!("${}", self.values.len())));
        }
    }

    /// Adds a condition with a `$` for each of several values.
    fn add_all(&mut self, clause: &str, values: Vec<Value<'a>>) {
        let mut parts = clause.split('$');
        let mut text = parts.next().unwrap_or_default().to_owned();
        for (part, value) in parts.zip(values) {
            self.values.push(value);
            let _ = write!(text, "${}{part}", self.values.len());
        }
        self.clauses.push(text);
    }

    /// Leaves the conditions so far to a part of the statement that stands before; their values stay.
    pub fn begin_anew(&mut self) {
        self.clauses.clear();
    }

    /// Adds a condition that needs no value.
    pub fn demand(&mut self, clause: &str) {
        self.clauses.push(clause.to_owned());
    }

    /// With its `WHERE`, where there is a condition.
    pub fn sql(&self) -> String {
        if self.clauses.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", self.clauses.join(" AND "))
        }
    }

    pub fn values(&self) -> &[Value<'a>] {
        &self.values
    }
}

/// A LIKE pattern for texts that contain `text`, whatever its case; to be used on lower case and with `ESCAPE '\\'`.
pub fn containing(text: &str) -> String {
    format!("%{}%", literal(&text.trim().to_lowercase()))
}

/// `text` as it stands in a LIKE pattern: its wildcards are no wildcards.
pub fn literal(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_number_their_values_in_order() {
        let mut conditions = Conditions::default();
        conditions.add("a = $", Some(1_i64));
        conditions.add("b = $", None::<i64>);
        conditions.add("(c LIKE $ OR d LIKE $)", Some("x"));
        conditions.add("f > $", Some(2_i64));
        assert_eq!(
            conditions.sql(),
            " WHERE a = $1 AND (c LIKE $2 OR d LIKE $2) AND f > $3"
        );
        conditions.begin_anew();
        conditions.add("n = $", Some(6_i64));
        assert_eq!(
            (conditions.sql().as_str(), conditions.values().len()),
            (" WHERE n = $4", 4)
        );
    }

    #[test]
    fn a_stretch_begins_at_a_row_and_ends_at_a_count() {
        let mut stretch =
            Stretch::new("things t", &["t.owner", "t.id"], vec!["me".into()]).in_words("t.odd = 1");
        stretch.since(Some(Id::from_bytes([1; 16])));
        let (part, conditions) = stretch.first("t.owner, t.id, t.name", 7);
        assert_eq!(
            part,
            "(SELECT t.owner, t.id, t.name FROM things t WHERE (t.owner, t.id) <= ($1, $2) AND t.owner >= $3 AND t.odd = 1 \
             ORDER BY t.owner DESC, t.id DESC LIMIT 7) t"
        );
        assert_eq!(
            conditions.sql(),
            " WHERE t.owner = $4 AND t.id >= $5 AND t.id <= $6"
        );
        let stretch = stretch.oldest_first(true);
        let (part, _) = stretch.first("t.id", 7);
        assert!(
            part.contains("(t.owner, t.id) >= ($1, $2) AND t.owner <= $3"),
            "{part}"
        );
    }

    #[test]
    fn what_like_takes_for_more_than_itself_is_escaped() {
        assert_eq!(containing(" 50%_Off\\ "), "%50\\%\\_off\\\\%");
    }
}
