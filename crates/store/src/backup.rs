//! Backups: one consistent state of the database, row by row, in a SQLite file that either engine restores from.
//!
//! The file has the schema of this binary, so it is also the way from SQLite to PostgreSQL and back. Rows that
//! cannot be read are left out and reported rather than ending the backup: what can be saved is saved.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::db::Db;
use crate::dialect::Engine;
use crate::error::{Result, StoreError};
use crate::link::{Link, Mode};
use crate::migrate;
use crate::sqlite;
use crate::tx::Tx;
use crate::value::{Cell, Row, Value};

/// What a backup or a restore has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub tables: u64,
    pub rows: u64,
    /// Rows left out because they could not be read or did not fit, with the reason.
    pub skipped: Vec<Skipped>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    pub table: String,
    /// The row's number in the order it was read, from 1.
    pub row: u64,
    pub why: String,
}

/// A table and its columns, as the schema of this binary has them.
struct Table {
    name: String,
    columns: Vec<String>,
}

impl Db {
    /// Writes the database's present state into `path`, which must not exist, while everything goes on.
    pub async fn backup(&self, path: &Path) -> Result<Report> {
        let target = path.to_owned();
        if target.exists() {
            return Err(StoreError::other(
                format!("back up into {}", path.display()),
                "the file exists already",
            ));
        }
        let partial = beside(path, "partial");
        let file = partial.clone();
        let copied = self.read("back up", move |tx| back_up(tx, &file)).await;
        let finished = copied.and_then(|report| publish(&partial, &target).map(|()| report));
        if finished.is_err() {
            remove(&partial);
        }
        finished
    }

    /// Fills this database, which must be empty, from a backup of either engine.
    pub async fn restore(&self, path: &Path) -> Result<Report> {
        let path = path.to_owned();
        let report = self.write("restore", move |tx| restore(tx, &path)).await?;
        self.read("check the restored database", verify).await?;
        Ok(report)
    }
}

/// Runs in the reader's snapshot, again from the beginning when the connection was lost.
fn back_up(source: &mut Tx<'_>, file: &Path) -> Result<Report> {
    remove(file);
    let mut archive = open(file, true)?;
    archive.begin(Mode::Write)?;
    let report = {
        let mut target = Tx::new(&mut archive);
        migrate::run(&mut target)?;
        target.run("DELETE FROM changes", &[])?;
        copy(source, &mut target)?
    };
    archive.commit()?;
    verify(&mut Tx::new(&mut archive))?;
    Ok(report)
}

/// Runs in the writer's transaction. The archive is brought to this binary's schema in a transaction of its own
/// that is never committed, so an older backup restores as well and the file stays as it is.
fn restore(target: &mut Tx<'_>, file: &Path) -> Result<Report> {
    migrate::run(target)?;
    let mut archive = open(file, false)?;
    archive.begin(Mode::Write)?;
    let report = {
        let mut source = Tx::new(&mut archive);
        if migrate::version(&mut source)? == 0 {
            let detail = "it is a SQLite file, but no backup of posthouse";
            return Err(StoreError::other(format!("restore {}", file.display()), detail));
        }
        migrate::run(&mut source)?;
        for table in tables(&mut source)?
            .iter()
            .filter(|table| table.name != "changes")
        {
            if count(target, &table.name)? > 0 {
                let detail = format!("the database is not empty: `{}` has rows", table.name);
                return Err(StoreError::other(format!("restore {}", file.display()), detail));
            }
        }
        target.run("DELETE FROM changes", &[])?;
        copy(&mut source, target)?
    };
    archive.rollback();
    if let Some(sql) = target.engine().numbers_used() {
        target.query(sql, &[])?;
    }
    Ok(report)
}

/// Every row of every table, and a count on both sides that agrees.
fn copy(source: &mut Tx<'_>, target: &mut Tx<'_>) -> Result<Report> {
    // One side is always an archive, and its tables say what there is to copy.
    let tables = if source.engine() == Engine::Sqlite {
        tables(source)?
    } else {
        tables(target)?
    };
    let mut report = Report::default();
    for table in &tables {
        let skipped_before = report.skipped.len() as u64;
        let copied = copy_table(source, target, table, &mut report.skipped)?;
        let skipped = report.skipped.len() as u64 - skipped_before;
        let there = count(target, &table.name)?;
        // A damaged table cannot be counted; its damage is in the report.
        let expected = if skipped == 0 {
            count(source, &table.name)?
        } else {
            copied
        };
        if (there, copied) != (expected, expected) {
            let detail = format!("{expected} rows were expected, {there} are there");
            return Err(StoreError::other(
                format!("copy the table {}", table.name),
                detail,
            ));
        }
        report.tables += 1;
        report.rows += copied;
    }
    Ok(report)
}

fn copy_table(
    source: &mut Tx<'_>,
    target: &mut Tx<'_>,
    table: &Table,
    skipped: &mut Vec<Skipped>,
) -> Result<u64> {
    let select = source.engine().select_all(&table.name, &table.columns);
    let insert = target.engine().insert_all(&table.name, &table.columns);
    let (mut number, mut copied) = (0, 0);
    let mut skip = |row, error: StoreError| {
        skipped.push(Skipped {
            table: table.name.clone(),
            row,
            why: error.to_string(),
        });
    };
    let scanned = source.each_readable(&select, |row| {
        number += 1;
        match row {
            Ok(row) => {
                let Row(cells) = &row;
                let values: Vec<Value<'_>> = cells.iter().map(value).collect();
                target
                    .run(&insert, &values)
                    .map(|()| copied += 1)
                    .or_else(|error| {
                        // On PostgreSQL an error ends the transaction; in an archive it concerns one row.
                        if target.engine() == Engine::Postgres || !of_one_row(&error) {
                            return Err(error);
                        }
                        skip(number, error);
                        Ok(())
                    })
            }
            Err(error) => {
                skip(number, error);
                Ok(())
            }
        }
    });
    match scanned {
        // A page that cannot be read ends the table; what came before it is kept.
        Err(error) if source.engine() == Engine::Sqlite && of_one_row(&error) => skip(number + 1, error),
        scanned => scanned?,
    }
    Ok(copied)
}

fn of_one_row(error: &StoreError) -> bool {
    use crate::error::ErrorKind::{Other, Unique};
    matches!(error.kind(), Other | Unique)
}

fn value(cell: &Cell) -> Value<'_> {
    match cell {
        Cell::Null => Value::Null,
        Cell::Int(int) => Value::Int(*int),
        Cell::Text(text) => Value::Text(text),
        Cell::Blob(bytes) => Value::Blob(bytes),
    }
}

fn tables(archive: &mut Tx<'_>) -> Result<Vec<Table>> {
    let names = archive.query(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' \
         AND name <> 'schema_migrations' ORDER BY name",
        &[],
    )?;
    let mut tables = Vec::with_capacity(names.len());
    for name in &names {
        let name = name.text(0)?;
        let columns = archive.query(
            "SELECT name FROM pragma_table_info($1) ORDER BY cid",
            &[(&name).into()],
        )?;
        let columns = columns.iter().map(|row| row.text(0)).collect::<Result<_>>()?;
        tables.push(Table { name, columns });
    }
    Ok(tables)
}

fn count(tx: &mut Tx<'_>, table: &str) -> Result<u64> {
    let row = tx.query_opt(&format!("SELECT count(*) FROM {table}"), &[])?;
    row.map_or(Ok(0), |row| row.int(0)).map(i64::cast_unsigned)
}

fn verify(tx: &mut Tx<'_>) -> Result<()> {
    let Some(sql) = tx.engine().integrity_check() else {
        return Ok(());
    };
    let found = tx
        .query(sql, &[])?
        .iter()
        .map(|row| row.text(0))
        .collect::<Result<Vec<_>>>()?;
    if found == ["ok"] {
        return Ok(());
    }
    Err(StoreError::other(
        "check the integrity of the copy",
        found.join("; "),
    ))
}

fn open(file: &Path, create: bool) -> Result<Link> {
    Link::to_file(file, sqlite::Role::Archive, create)
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(ending);
    path.with_file_name(name)
}

fn remove(file: &Path) {
    // Usually there is none; one that cannot be removed is told by whoever opens it next.
    let _ = fs::remove_file(file);
    let _ = fs::remove_file(beside(file, "journal"));
}

/// Gives the finished file its name, durably.
fn publish(partial: &Path, path: &Path) -> Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    fs::rename(partial, path)
        .and_then(|()| File::open(folder)?.sync_all())
        .map_err(|error| StoreError::other(format!("finish the backup {}", path.display()), error))
}
