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

/// Octets of a page in the log, with its header.
const FRAME: u64 = 4096 + 24;
/// The log's file is cut to this when it begins anew after a long read had made it grow: a quarter more than it is long otherwise, so
/// that commits mostly write where the file is long enough already.
pub(super) const LARGEST: i64 = THRESHOLD * (FRAME as i64) * 5 / 4;

/// Shared by the writer and the checkpointer.
#[derive(Default)]
pub(crate) struct Pressure {
    state: Mutex<State>,
    wake: Condvar,
    /// Same as [`Phase::Writer`], to be asked after every commit without the lock.
    writers_turn: AtomicBool,
}

struct State {
    phase: Phase,
    /// The log's length at the last commit, in frames.
    frames: i64,
    /// The length at which the next round begins: more than [`THRESHOLD`] when a long read kept the log from
    /// starting over, so that not every commit begins a round that can do nothing.
    trigger: i64,
    closed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nobody copies.
    Rest,
    /// This thread copies the bulk.
    Bulk,
    /// The writer is asked to copy the rest.
    Writer,
}

impl Default for State {
    fn default() -> Self {
        Self {
            phase: Phase::Rest,
            frames: 0,
            trigger: THRESHOLD,
            closed: false,
        }
    }
}

impl Pressure {
    /// The writer committed; the log has `frames` now.
    pub(crate) fn grown(&self, frames: i64) {
        let mut state = self.state.lock();
        if frames < state.frames {
            state.trigger = THRESHOLD;
        }
        state.frames = frames;
        if state.phase == Phase::Rest && frames >= state.trigger {
            self.wake.notify_one();
        }
    }

    /// Is the bulk copied, so that the writer does the rest?
    pub(crate) fn writers_turn(&self) -> bool {
        self.writers_turn.load(Ordering::Acquire)
    }

    /// A round is over, well or not.
    pub(crate) fn rest(&self) {
        let mut state = self.state.lock();
        state.phase = Phase::Rest;
        state.trigger = state.frames + THRESHOLD;
        self.writers_turn.store(false, Ordering::Release);
    }

    /// Waits for the next round; `false` when there will be none.
    fn wait(&self) -> bool {
        let mut state = self.state.lock();
        while !state.closed && (state.phase != Phase::Rest || state.frames < state.trigger) {
            self.wake.wait(&mut state);
        }
        state.phase = Phase::Bulk;
        !state.closed
    }

    /// What the log has behind its end, of `length` octets in all. When that is little, copying begins before its time, so that
    /// the log begins anew in the room it has.
    fn room_in_log(&self, length: u64) -> u64 {
        let mut state = self.state.lock();
        let room = length.saturating_sub(state.frames.unsigned_abs() * FRAME);
        if room < length / 2 && state.phase == Phase::Rest {
            state.trigger = state.trigger.min(state.frames);
            self.wake.notify_one();
        }
        room
    }

    fn ask_writer(&self) {
        self.state.lock().phase = Phase::Writer;
        self.writers_turn.store(true, Ordering::Release);
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
            .spawn(move || {
                while shared.wait() {
                    match link.checkpoint() {
                        Ok(()) => shared.ask_writer(),
                        // A full or broken disk: commits report it themselves.
                        Err(error) => {
                            tracing::warn!(%error, "the log could not be copied into the database file");
                            shared.rest();
                        }
                    }
                }
            })
            .map_err(|error| StoreError::other("start the checkpoint thread", error))?;
        Ok(Self {
            pressure,
            thread: Some(thread),
        })
    }

    /// Octets that the log of the database at `path` can take without growing. Asked on a disk with little room only.
    pub(crate) fn room_in_log(&self, path: &Path) -> u64 {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let length = std::fs::metadata(log).map_or(0, |log| log.len());
        self.pressure.room_in_log(length)
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
