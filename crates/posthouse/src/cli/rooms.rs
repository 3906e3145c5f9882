//! What commands work with: the same database and accounts as the server, beside it or without it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use store::DatabaseUrl;

use super::Failure;
use crate::app;
use crate::config::Config;
use crate::ops::data_dir::DataDir;

/// Refuses to make a database: a command that was not told where its server's is would quietly work on an empty one.
pub fn must_exist(config: &Config) -> Result<(), Failure> {
    match &config.database_url {
        DatabaseUrl::Sqlite(file) if !file.exists() => Err(Failure::text(format!(
            "there is no database at {}; name the server's with --config FILE or --data DIR",
            file.display()
        ))),
        _ => Ok(()),
    }
}

/// Opens the configured database; makes it where there is none yet.
pub async fn open(config: &Config) -> Result<app::Rooms, Failure> {
    keep_ownership(&config.data_dir)?;
    DataDir::make(&config.data_dir).map_err(Failure::new)?;
    app::Rooms::open(config).await.map_err(Failure::new)
}

/// Root would leave files in the directory that its owner, and so the server, cannot write.
fn keep_ownership(dir: &Path) -> Result<(), Failure> {
    let (Ok(us), Ok(dir_facts)) = (std::fs::metadata("/proc/self"), std::fs::metadata(dir)) else {
        return Ok(());
    };
    if us.uid() != 0 || dir_facts.uid() == 0 {
        return Ok(());
    }
    let uid = dir_facts.uid();
    Err(Failure::text(format!(
        "the data directory {} belongs to user {uid}; run this command as that user, such as `sudo -u '#{uid}' posthouse ...`",
        dir.display()
    )))
}
