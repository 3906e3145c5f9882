//! A file system of a few megabytes, for what happens when it is full or read-only.

use std::path::Path;

use tempfile::TempDir;

use super::root::as_root;

pub struct Disk(TempDir);

impl Disk {
    pub fn mount(size: &str) -> Self {
        let disk = Self(TempDir::new().unwrap());
        disk.run(&[
            "mount",
            "-t",
            "tmpfs",
            "-o",
            &format!("size={size},mode=0777"),
            "tmpfs",
        ]);
        disk
    }

    /// `ro`, or another size.
    pub fn remount(&self, how: &str) {
        self.run(&["mount", "-o", &format!("remount,{how}")]);
    }

    fn run(&self, words: &[&str]) {
        let output = as_root(words[0])
            .args(&words[1..])
            .arg(self.path())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{words:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: the server that used it may not be gone yet.
        self.run(&["umount", "--lazy"]);
    }
}
