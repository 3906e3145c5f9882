//! The data directory: made for its owner alone, written to by one server at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::private::private_dir;

/// Why the directory cannot be used, with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    #[error("cannot make the data directory {}: {reason}; name another with --data or make it for the user the server runs as", dir.display())]
    Make { dir: PathBuf, reason: std::io::Error },
    #[error("the data directory {} is not writable: {reason}; give it to the user the server runs as, or name another with --data", dir.display())]
    NotWritable { dir: PathBuf, reason: std::io::Error },
    #[error("another Posthouse ({who}) runs on the data directory {}; stop it, or name another directory with --data", dir.display())]
    InUse { dir: PathBuf, who: String },
}

/// Held by the one server that runs on a data directory; the lock ends with the process, however it ends.
#[derive(Debug)]
pub struct DataDir {
    _lock: File,
}

impl DataDir {
    /// Makes the directory if it is missing.
    pub fn make(dir: &Path) -> Result<(), DataDirError> {
        private_dir(dir).map_err(|reason| DataDirError::Make {
            dir: dir.to_owned(),
            reason,
        })
    }

    /// Makes the directory if it is missing and takes it for this process.
    pub fn lock(dir: &Path) -> Result<Self, DataDirError> {
        Self::make(dir)?;
        let failed = |reason| DataDirError::NotWritable {
            dir: dir.to_owned(),
            reason,
        };
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600);
        let mut file = options.open(dir.join("lock")).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let known = file.read_to_string(&mut pid).is_ok() && !pid.trim().is_empty();
                let who = if known {
                    format!("process {}", pid.trim())
                } else {
                    "unknown process".to_owned()
                };
                return Err(DataDirError::InUse {
                    dir: dir.to_owned(),
                    who,
                });
            }
            Err(TryLockError::Error(reason)) => return Err(failed(reason)),
        }
        // A read-only or full file system lets an existing file be locked, and is found out here.
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(failed)?;
        Ok(Self { _lock: file })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_missing_directory_is_made_for_its_owner_alone() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("new/data");
        let _held = DataDir::lock(&dir).unwrap();
        assert_eq!(
            std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777,
            0o700
        );
    }

    #[test]
    fn a_second_server_is_told_who_runs_there() {
        let home = tempfile::tempdir().unwrap();
        let first = DataDir::lock(home.path()).unwrap();
        let refused = DataDir::lock(home.path()).unwrap_err().to_string();
        assert!(
            refused.contains(&format!("process {}", std::process::id())),
            "{refused}"
        );
        drop(first);
        assert!(DataDir::lock(home.path()).is_ok());
    }

    #[test]
    fn a_path_that_cannot_be_a_directory_is_refused_with_the_remedy() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        std::fs::write(&file, "").unwrap();
        let refused = DataDir::lock(&file.join("data")).unwrap_err().to_string();
        assert!(
            refused.contains("cannot make the data directory") && refused.contains("--data"),
            "{refused}"
        );
    }
}
