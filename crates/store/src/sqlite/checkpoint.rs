//! Copies the log into the database file beside the writer, so that no commit waits for it.
//!
//! A passive checkpoint runs while the writer goes on, but the writer adds to the log meanwhile, so the log would
//! never be copied to its end and never start over. Hence two steps: this thread copies the bulk and syncs it; then
//! the writer copies the few frames that came since, between two commits, and its next commit begins the log anew.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};

use super::link::{Link, Role};
use crate::error::{Result, StoreError};

/// Length of the log at which copying begins, in pages of 4 KiB. A page that was written many times is copied
/// once, and bodies of mail that left meanwhile are not copied at all, so longer is cheaper; 32 MiB.
const THRESHOLD: i64 = 8192;

/// Shared by the writer and the checkpointer.
#[derive(Default)]
pub(crate) struct Pressure {
    state: Mutex<State>,
    wake: Condvar,
    /// The bulk is copied; the writer may do the rest.
    finish: AtomicBool,
}

#[derive(Default)]
struct State {
    frames: i64,
    closed: bool,
}

impl Pressure {
    /// The writer committed; the log has `frames` now.
    pub(crate) fn grown(&self, frames: i64) {
        if frames < THRESHOLD {
            return;
        }
        self.state.lock().frames = frames;
        self.wake.notify_one();
    }

    pub(crate) fn take_request(&self) -> bool {
        self.finish.load(Ordering::Relaxed) && self.finish.swap(false, Ordering::Acquire)
    }
}

pub(crate) struct Checkpointer {
    pressure: Arc<Pressure>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    pub(crate) fn start(path: &Path, create: bool) -> Result<Self> {
        let pressure = Arc::new(Pressure::default());
        let mut link = Link::open(path, Role::Checkpointer, create)?;
        let shared = pressure.clone();
        let thread = std::thread::Builder::new()
            .name("store-checkpoint".into())
            .spawn(move || work(&shared, &mut link))
            .map_err(|error| StoreError::other("start the checkpoint thread", error))?;
        Ok(Self {
            pressure,
            thread: Some(thread),
        })
    }

    pub(crate) fn pressure(&self) -> Arc<Pressure> {
        self.pressure.clone()
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.pressure.state.lock().closed = true;
        self.pressure.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // It cannot panic, and if it did there would be nothing left to do about it.
            let _ = thread.join();
        }
    }
}

fn work(pressure: &Pressure, link: &mut Link) {
    loop {
        {
            let mut state = pressure.state.lock();
            while state.frames < THRESHOLD && !state.closed {
                pressure.wake.wait(&mut state);
            }
            if state.closed {
                return;
            }
            state.frames = 0;
        }
        match link.checkpoint() {
            Ok(_) => pressure.finish.store(true, Ordering::Release),
            // A full or broken disk: commits report it, and the next commit that succeeds asks again.
            Err(error) => tracing::warn!(%error, "the log could not be copied into the database file"),
        }
    }
}
