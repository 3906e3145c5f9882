//! Everything in which the SQL of the two engines differs.

/// Which database answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }

    /// What a SELECT that claims rows ends with, so that two claimers do not wait for each other.
    pub(crate) fn skip_locked(self) -> &'static str {
        match self {
            // One writer at a time: nothing is ever locked by somebody else.
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE SKIP LOCKED",
        }
    }

    /// What makes a statement tell how it would be run, and the column that tells it.
    pub(crate) fn explain(self) -> (&'static str, usize) {
        match self {
            Self::Sqlite => ("EXPLAIN QUERY PLAN", 3),
            Self::Postgres => ("EXPLAIN (COSTS OFF)", 0),
        }
    }

    /// Keeps other processes from changing the schema until the transaction ends.
    pub(crate) fn schema_lock(self) -> Option<&'static str> {
        match self {
            // BEGIN IMMEDIATE has done it.
            Self::Sqlite => None,
            // Any number that no other program takes for its lock in this database.
            Self::Postgres => Some("SELECT pg_advisory_xact_lock(31647296801894261)"),
        }
    }

    /// Every row of a table for a copy, in the columns of SQLite's schema. Events are numbered anew in the order
    /// of their commits, and cursors with them: another server counts its transactions differently.
    pub(crate) fn select_all(self, table: &str, columns: &[String]) -> String {
        match (self, table) {
            (Self::Postgres, "events") => {
                let columns: Vec<String> = columns
                    .iter()
                    .map(|name| match name.as_str() {
                        "seq" => "row_number() OVER (ORDER BY tx, seq)".to_owned(),
                        name => name.to_owned(),
                    })
                    .collect();
                format!("SELECT {} FROM events ORDER BY tx, seq", columns.join(", "))
            }
            (Self::Postgres, "cursors") => {
                "SELECT consumer, CAST(0 AS BIGINT), (SELECT count(*) FROM events \
                 WHERE (events.tx, events.seq) <= (cursors.tx, cursors.seq)) FROM cursors"
                    .to_owned()
            }
            _ => format!("SELECT {} FROM {table}", columns.join(", ")),
        }
    }

    /// The insert for a row of [`Engine::select_all`].
    pub(crate) fn insert_all(self, table: &str, columns: &[String]) -> String {
        let mut names = columns.join(", ");
        let mut places = (1..=columns.len())
            .map(|n| format!("${n}"))
            .collect::<Vec<_>>()
            .join(", ");
        if (self, table) == (Self::Postgres, "events") {
            // Before every transaction of this server.
            names.push_str(", tx");
            places.push_str(", 0");
        }
        format!("INSERT INTO {table} ({names}) VALUES ({places})")
    }

    /// Where rows came with numbers: makes the numbers that follow greater.
    pub(crate) fn numbers_used(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some(
                "SELECT setval(pg_get_serial_sequence('events', 'seq'), \
                 (SELECT coalesce(max(seq), 0) + 1 FROM events), false)",
            ),
        }
    }

    /// PostgreSQL has none that an ordinary user may run; its pages carry checksums where the operator wants them.
    pub(crate) fn integrity_check(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => Some("PRAGMA integrity_check(20)"),
            Self::Postgres => None,
        }
    }

    /// A migration in this engine's words.
    pub(crate) fn translate(self, migration: &str) -> String {
        let (own, other) = match self {
            Self::Sqlite => ("{sqlite}", "{postgres}"),
            Self::Postgres => ("{postgres}", "{sqlite}"),
        };
        let mut text: String = migration
            .lines()
            .filter(|line| !line.starts_with(other) && !line.starts_with("--"))
            .map(|line| line.strip_prefix(own).unwrap_or(line))
            .flat_map(|line| [line, "\n"])
            .collect();
        for (word, meaning) in self.words() {
            text = text.replace(word, meaning);
        }
        text
    }

    fn words(self) -> [(&'static str, &'static str); 7] {
        match self {
            // STRICT tables refuse a value of the wrong type, as PostgreSQL does.
            Self::Sqlite => [
                ("{id}", "BLOB"),
                ("{bytes}", "BLOB"),
                ("{int}", "INTEGER"),
                ("{seq}", "INTEGER NOT NULL PRIMARY KEY"),
                ("{tx}", ""),
                ("{table}", "STRICT"),
                ("{clustered}", "WITHOUT ROWID, STRICT"),
            ],
            Self::Postgres => [
                ("{id}", "BYTEA"),
                ("{bytes}", "BYTEA"),
                ("{int}", "BIGINT"),
                ("{seq}", "BIGINT NOT NULL GENERATED BY DEFAULT AS IDENTITY"),
                (
                    "{tx}",
                    ",\n    tx BIGINT NOT NULL DEFAULT (pg_current_xact_id()::text::bigint),\n    PRIMARY KEY (tx, seq)",
                ),
                ("{table}", ""),
                ("{clustered}", ""),
            ],
        }
    }
}

/// `$1` in PostgreSQL is a position; in SQLite it is a name, numbered by first appearance, and `?1` is the position.
pub(crate) fn numbered(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut quoted = false;
    let mut chars = sql.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\'' {
            quoted = !quoted;
        }
        let parameter = c == '$' && !quoted && chars.peek().is_some_and(char::is_ascii_digit);
        out.push(if parameter { '?' } else { c });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_numbered_by_position_and_texts_stay() {
        assert_eq!(
            numbered("UPDATE t SET a = $2, b = '$1' WHERE c = $1 AND d = $12"),
            "UPDATE t SET a = ?2, b = '$1' WHERE c = ?1 AND d = ?12"
        );
    }

    #[test]
    fn a_migration_keeps_only_the_lines_of_its_engine() {
        let tree = "-- why {id}\nCREATE TABLE t (a {id}, b {int}) {clustered};\n{postgres} ALTER TABLE t;\n";
        assert_eq!(
            Engine::Sqlite.translate(tree),
            "CREATE TABLE t (a BLOB, b INTEGER) WITHOUT ROWID, STRICT;\n"
        );
        assert_eq!(
            Engine::Postgres.translate(tree),
            "CREATE TABLE t (a BYTEA, b BIGINT) ;\n ALTER TABLE t;\n"
        );
    }
}
