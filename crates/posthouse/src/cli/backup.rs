//! `posthouse backup`: one consistent state of the database in one file, while the server goes on.

use crate::cli::say::say;
use std::path::Path;
use std::process::ExitCode;

use store::Report;

use super::Failure;
use crate::app::Rooms;

pub async fn run(rooms: &Rooms, file: &Path) -> Result<ExitCode, Failure> {
    let report = rooms.db.backup(file).await.map_err(Failure::new)?;
    say!(
        "{} rows of {} tables are in {}.",
        report.rows,
        report.tables,
        file.display()
    );
    say!(
        "`posthouse restore {}` puts them into an empty database, SQLite or PostgreSQL.",
        file.display()
    );
    say!("The file holds secrets: keys of DKIM, of certificates and of webhooks, and mail that waits.");
    Ok(outcome(&report))
}

/// Says what had to be left out, and that it was.
pub fn outcome(report: &Report) -> ExitCode {
    for skipped in &report.skipped {
        eprintln!(
            "posthouse: row {} of {} was left out: {}",
            skipped.row, skipped.table, skipped.why
        );
    }
    if report.skipped.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
