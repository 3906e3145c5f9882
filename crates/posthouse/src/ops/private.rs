//! Files and directories that only their owner may read.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Makes a directory that only its owner may enter, with what leads to it.
pub fn private_dir(dir: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Writes a file that only its owner may read, whole or not at all.
pub fn write_private(file: &Path, content: &[u8]) -> std::io::Result<()> {
    let new = file.with_extension("new");
    let _ = std::fs::remove_file(&new);
    let mut open = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    open.write_all(content)?;
    open.sync_all()?;
    std::fs::rename(&new, file)
}
