//! Searching: conditions that are only there when they are asked for, and what LIKE is told.

use crate::Value;

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

    /// Goes on with the condition that was added last; every `$` stands for this value.
    pub fn extend(&mut self, more: &str, value: impl Into<Value<'a>>) {
        self.values.push(value.into());
        if let Some(last) = self.clauses.last_mut() {
            last.push_str(&more.replace('$', &format!("${}", self.values.len())));
        }
    }

    /// The same without a value.
    pub fn append(&mut self, more: &str) {
        if let Some(last) = self.clauses.last_mut() {
            last.push_str(more);
        }
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
        conditions.add("g IN (SELECT h WHERE i = $", Some(3_i64));
        conditions.extend(" AND j = $)", 4_i64);
        assert_eq!(
            conditions.sql(),
            " WHERE a = $1 AND (c LIKE $2 OR d LIKE $2) AND f > $3 AND g IN (SELECT h WHERE i = $4 AND j = $5)"
        );
        assert_eq!(conditions.values().len(), 5);
    }

    #[test]
    fn what_like_takes_for_more_than_itself_is_escaped() {
        assert_eq!(containing(" 50%_Off\\ "), "%50\\%\\_off\\\\%");
    }
}
