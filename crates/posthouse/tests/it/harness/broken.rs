//! A disk that breaks when a test says so: what the server does to the files of its data directory fails at the system call, without a
//! file system of its own, so that it works where nothing may be mounted.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::server::Setup;

/// What the kernel says. The numbers are those of Linux on every machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Errno {
    Io = 5,
    NoSpace = 28,
    ReadOnly = 30,
}

/// Which calls fail, and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fault {
    pub write: Option<Errno>,
    pub sync: Option<Errno>,
    pub read: Option<Errno>,
}

pub struct BrokenDisk {
    home: TempDir,
    control: fs::File,
}

/// Where the control file says whether a call failed.
const FAILED: u64 = 3;

impl BrokenDisk {
    /// Compiles what stands between the server and its files. Whole, until [`Self::breaks`].
    pub fn new() -> Self {
        let home = TempDir::new().unwrap();
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .arg(home.path().join("broken.so"))
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/harness/broken.c"))
            .output()
            .expect("a C compiler");
        assert!(
            built.status.success(),
            "{}",
            String::from_utf8_lossy(&built.stderr)
        );
        let path = home.path().join("control");
        fs::write(&path, [0; 4]).unwrap();
        let control = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
        Self { home, control }
    }

    /// The server's data directory lies on this disk.
    #[must_use]
    pub fn under(&self, setup: Setup) -> Setup {
        let data = setup.data();
        let path = |path: &Path| path.display().to_string();
        setup
            .environment("LD_PRELOAD", &path(&self.home.path().join("broken.so")))
            .environment("BROKEN_BY", &path(&self.home.path().join("control")))
            .environment("BROKEN_BELOW", &path(&data))
    }

    pub fn breaks(&self, fault: Fault) {
        let code = |errno: Option<Errno>| errno.map_or(0, |errno| errno as u8);
        let bytes = [code(fault.write), code(fault.sync), code(fault.read), 0];
        self.control.write_all_at(&bytes, 0).unwrap();
    }

    pub fn is_mended(&self) {
        self.breaks(Fault::default());
    }

    /// Whether the server met the fault since it began.
    pub fn was_met(&self) -> bool {
        let mut failed = [0];
        self.control.read_exact_at(&mut failed, FAILED).unwrap();
        failed[0] > 0
    }
}
