//! Commands that only root may run: Postfix, mounting.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

/// The command as root: by itself, or by a sudo that does not ask.
pub fn as_root(program: &str) -> Command {
    let root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if root {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.args(["-n", program]);
    command
}
