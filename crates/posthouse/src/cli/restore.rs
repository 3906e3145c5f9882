//! `posthouse restore`: fills an empty database from a backup of either engine.

use crate::cli::say::say;
use std::path::Path;
use std::process::ExitCode;

use super::Failure;
use crate::app::Rooms;
use crate::config::Config;
use crate::ops::data_dir::DataDir;

pub async fn run(config: &Config, rooms: &Rooms, file: &Path) -> Result<ExitCode, Failure> {
    // A server that is running would deliver the mail of the backup while it is being written.
    let _held = DataDir::lock(&config.data_dir).map_err(Failure::new)?;
    let report = rooms.db.restore(file).await.map_err(Failure::new)?;
    say!(
        "{} rows of {} tables were restored from {}.",
        report.rows,
        report.tables,
        file.display()
    );
    Ok(super::backup::outcome(&report))
}
