//! Rows that wait to be inserted together: for one row, PostgreSQL spends more on the statement than on the row.

use std::sync::{Arc, OnceLock};

use tokio_postgres::types::Type;

use super::types::Kept;
use crate::value::Value;

/// Octets that wait at most before they are sent.
const MOST: usize = 1 << 20;

/// A statement that inserts one row, whose values are its parameters in their order.
pub(super) struct Insert {
    pub(super) sql: Box<str>,
    table: Box<str>,
    /// `INSERT INTO table (columns)`
    head: Box<str>,
    /// What follows the values.
    tail: Box<str>,
    pub(super) width: usize,
    many: OnceLock<Box<str>>,
}

impl Insert {
    /// None for any other statement, and where two rows of one statement could not be the same as two statements.
    pub(super) fn of(sql: &str) -> Option<Self> {
        let (head, behind) = sql.split_once(" VALUES (")?;
        let (values, tail) = behind.split_once(')')?;
        let (table, _) = head.strip_prefix("INSERT INTO ")?.split_once(" (")?;
        let tail = tail.trim();
        let plain = tail.is_empty() || tail.starts_with("ON CONFLICT") && tail.ends_with("DO NOTHING");
        let values: Vec<&str> = values.split(',').map(str::trim).collect();
        let in_order = values
            .iter()
            .zip(1..)
            .all(|(value, place)| *value == format!("${place}"));
        (plain && in_order).then(|| Self {
            sql: sql.into(),
            table: table.into(),
            head: head.into(),
            tail: tail.into(),
            width: values.len(),
            many: OnceLock::new(),
        })
    }

    /// The statement for any number of rows: a list for each column. `types` are those of the parameters of the one for one row.
    pub(super) fn many(&self, types: &[Type]) -> &str {
        self.many.get_or_init(|| {
            let lists: Vec<String> = types
                .iter()
                .zip(1..)
                .map(|(ty, place)| format!("${place}::{}[]", ty.name()))
                .collect();
            let Self { head, tail, .. } = self;
            format!("{head} SELECT * FROM unnest({}) {tail}", lists.join(", ")).into()
        })
    }
}

/// Rows of one statement.
pub(super) struct Group {
    pub(super) insert: Arc<Insert>,
    /// Row by row.
    values: Vec<Kept>,
    /// Whose rows they are, where they are of one closure.
    pub(super) closure: Option<usize>,
}

impl Group {
    pub(super) fn is_one_row(&self) -> bool {
        self.values.len() == self.insert.width
    }

    pub(super) fn row(&self) -> impl ExactSizeIterator<Item = Value<'_>> {
        self.values.iter().map(Kept::value)
    }

    pub(super) fn columns(&self) -> impl ExactSizeIterator<Item = Vec<Value<'_>>> {
        let width = self.insert.width;
        (0..width).map(move |column| {
            let values = self.values.iter().skip(column).step_by(width);
            values.map(Kept::value).collect()
        })
    }
}

/// What waits, in the order of the first row of each statement.
#[derive(Default)]
pub(super) struct Waiting {
    groups: Vec<Group>,
    weight: usize,
}

impl Waiting {
    pub(super) fn add(&mut self, insert: &Arc<Insert>, values: &[Value<'_>], closure: Option<usize>) {
        self.weight += values.iter().map(Value::weight).sum::<usize>();
        let kept = values.iter().map(Kept::from);
        let of_it = |group: &&mut Group| Arc::ptr_eq(&group.insert, insert);
        match self.groups.iter_mut().find(of_it) {
            Some(group) => {
                group.values.extend(kept);
                group.closure = group.closure.filter(|one| closure == Some(*one));
            }
            None => self.groups.push(Group {
                insert: insert.clone(),
                values: kept.collect(),
                closure,
            }),
        }
    }

    /// Whether rows of its table wait that another statement inserts: these go before.
    pub(super) fn holds_others(&self, insert: &Insert) -> bool {
        let other = |one: &Insert| one.table == insert.table && one.sql != insert.sql;
        self.groups.iter().any(|group| other(&group.insert))
    }

    pub(super) fn is_full(&self) -> bool {
        self.weight >= MOST
    }

    /// Whether a statement could see that rows are missing: it names their table.
    pub(super) fn concern(&self, sql: &str) -> bool {
        self.groups.iter().any(|group| names(sql, &group.insert.table))
    }

    pub(super) fn take(&mut self) -> Vec<Group> {
        self.weight = 0;
        std::mem::take(&mut self.groups)
    }
}

/// Whether a table is named: the whole name, and no column of that name, which is compared or assigned.
fn names(sql: &str, table: &str) -> bool {
    let of_a_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    sql.match_indices(table).any(|(at, _)| {
        let (before, behind) = (&sql[..at], &sql[at + table.len()..]);
        !before.ends_with(of_a_name)
            && !behind.starts_with(of_a_name)
            && !behind.trim_start().starts_with('=')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_insert_of_its_parameters_is_one_of_many() {
        let all =
            |sql: &str| Insert::of(sql).map(|insert| insert.many(&[Type::BYTEA, Type::INT8]).to_owned());
        assert_eq!(
            all("INSERT INTO bodies (message, size) VALUES ($1, $2)")
                .unwrap()
                .trim(),
            "INSERT INTO bodies (message, size) SELECT * FROM unnest($1::bytea[], $2::int8[])"
        );
        assert_eq!(
            all("INSERT INTO said (message, at) VALUES ($1, $2) ON CONFLICT (message, at) DO NOTHING")
                .unwrap(),
            "INSERT INTO said (message, at) SELECT * FROM unnest($1::bytea[], $2::int8[]) ON CONFLICT (message, at) DO NOTHING"
        );
        for other in [
            "INSERT INTO counts (name, many) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET many = excluded.many",
            "INSERT INTO counts (name, many) VALUES ($1, $2) RETURNING many",
            "INSERT INTO counts (name, many) VALUES ($2, $1)",
            "INSERT INTO counts (name, many) VALUES ($1, 0)",
            "INSERT INTO counts (name, many) VALUES ($1, lower($2))",
            "INSERT INTO counts (name, many) SELECT $1, $2",
            "UPDATE counts SET many = $2 WHERE name = $1",
        ] {
            assert!(all(other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_statement_names_a_table_by_its_whole_name() {
        assert!(names("SELECT 1 FROM events", "events"));
        assert!(names("UPDATE events SET at = 1", "events"));
        assert!(names("SELECT e.at FROM messages m, events e", "events"));
        assert!(!names("SELECT 1 FROM webhook_events", "events"));
        assert!(!names("SELECT 1 FROM events_of_today", "events"));
        assert!(!names(
            "UPDATE recipients SET attempts = $1 WHERE message = $2 AND attempts = $3",
            "attempts"
        ));
        assert!(names("DELETE FROM attempts WHERE attempts = $1", "attempts"));
    }

    #[test]
    fn rows_of_several_closures_are_of_none() {
        let insert = Arc::new(Insert::of("INSERT INTO t (a, b) VALUES ($1, $2)").unwrap());
        let mut waiting = Waiting::default();
        waiting.add(&insert, &[1_i64.into(), "x".into()], Some(4));
        waiting.add(&insert, &[2_i64.into(), Value::Null], Some(4));
        assert!(waiting.concern("SELECT a FROM t") && !waiting.concern("SELECT a FROM tt"));
        let groups = waiting.take();
        assert_eq!(groups[0].closure, Some(4));
        assert!(!groups[0].is_one_row());
        let columns: Vec<_> = groups[0].columns().collect();
        assert_eq!(
            columns,
            [vec![1_i64.into(), 2_i64.into()], vec!["x".into(), Value::Null]]
        );
        waiting.add(&insert, &[1_i64.into(), "x".into()], Some(4));
        assert!(waiting.groups[0].is_one_row());
        waiting.add(&insert, &[2_i64.into(), "y".into()], Some(5));
        assert_eq!(waiting.take()[0].closure, None);
        assert!(waiting.take().is_empty());
    }
}
