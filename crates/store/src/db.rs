//! The database as the rooms above hold it: writes that share commits, reads that wait for nobody.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;

use crate::batch::{self, Closure, Label, Queue, Shared};
use crate::bell::{Bell, Topic};
use crate::clock::Clock;
use crate::dialect::Engine;
use crate::error::{ErrorKind, Result, StoreError};
use crate::faults::Faults;
use crate::ids::{Id, Ids};
use crate::link::{Link, Mode};
use crate::migrate;
use crate::postgres;
use crate::room::{Disk, Inside};
use crate::sqlite;
use crate::stats::CommitStats;
use crate::tx::Tx;
use crate::url::{DatabaseUrl, OpenOptions};

/// A database. Clones share it; it closes when the last one is gone, after what waits is done.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    engine: Engine,
    writes: Arc<Queue>,
    reads: Arc<Queue>,
    shared: Shared,
    threads: Mutex<Vec<JoinHandle<()>>>,
    peekers: Option<Peekers>,
    disk: Option<Disk>,
    _listener: Option<postgres::Listener>,
    /// Dropped last: it outlives the writer it works for.
    checkpointer: Option<sqlite::Checkpointer>,
}

/// What a database is put together from.
#[derive(Default)]
struct Parts {
    writers: Vec<Link>,
    readers: Vec<Link>,
    peekers: Option<Peekers>,
    disk: Option<Disk>,
    checkpointer: Option<sqlite::Checkpointer>,
    /// Where other processes hear the bell.
    bell: Option<postgres::Server>,
}

impl Db {
    /// Opens the database and starts its threads; the schema is [`Db::migrate`]'s.
    pub async fn open(url: &DatabaseUrl, options: OpenOptions) -> Result<Self> {
        let url = url.clone();
        blocking(move || match &url {
            DatabaseUrl::Sqlite(path) => Self::open_sqlite(path, &options),
            DatabaseUrl::Postgres(url) => Self::open_postgres(url, &options),
        })
        .await
    }

    fn open_sqlite(path: &Path, options: &OpenOptions) -> Result<Self> {
        let checkpointer = sqlite::Checkpointer::start(path, options.create)?;
        let open = |role| Link::to_file(path, role, false);
        let writer = open(sqlite::Role::Writer(checkpointer.pressure()))?;
        let readers = (0..options.readers.max(1))
            .map(|_| open(sqlite::Role::Reader))
            .collect::<Result<_>>()?;
        let peekers = Peekers {
            path: path.to_owned(),
            idle: Mutex::default(),
        };
        Self::start(Parts {
            writers: vec![writer],
            readers,
            peekers: Some(peekers),
            disk: Some(Disk::of(path.to_owned())),
            checkpointer: Some(checkpointer),
            bell: None,
        })
    }

    fn open_postgres(url: &str, options: &OpenOptions) -> Result<Self> {
        let server = postgres::Server::parse(url)?;
        let open =
            |role| postgres::Link::new(server.clone(), role).map(|link| Link::Postgres(Box::new(link)));
        let mut writers = (0..options.writers.max(1))
            .map(|_| open(postgres::Role::Writer))
            .collect::<Result<Vec<_>>>()?;
        let readers = (0..options.readers.max(1))
            .map(|_| open(postgres::Role::Reader))
            .collect::<Result<_>>()?;
        // The others connect when they are needed; this one tells now whether there is a server.
        if let Some(first) = writers.first_mut() {
            first.begin(Mode::Write)?;
            first.rollback();
        }
        Self::start(Parts {
            writers,
            readers,
            bell: Some(server),
            ..Parts::default()
        })
    }

    fn start(parts: Parts) -> Result<Self> {
        let Parts {
            writers,
            readers,
            peekers,
            disk,
            checkpointer,
            bell,
        } = parts;
        let engine = writers.first().map_or(Engine::Sqlite, Link::engine);
        let shared = Shared {
            faults: Faults::ordered(),
            ..Shared::default()
        };
        let listener = bell
            .map(|server| {
                let name = Ids::new().next(Clock::system().now()).to_string();
                postgres::Listener::start(server, shared.bells.clone(), name)
            })
            .transpose()?;
        let inner = Inner {
            engine,
            writes: Queue::new(writers.len()),
            reads: Queue::new(readers.len()),
            shared,
            threads: Mutex::default(),
            peekers,
            disk,
            _listener: listener,
            checkpointer,
        };
        for link in writers {
            let thread = batch::spawn_writer(inner.writes.clone(), link, inner.shared.clone())?;
            inner.threads.lock().push(thread);
        }
        for link in readers {
            let thread = batch::spawn_reader(inner.reads.clone(), link)?;
            inner.threads.lock().push(thread);
        }
        Ok(Self(Arc::new(inner)))
    }

    /// Brings the schema up to this binary's. Safe to call from several processes at once.
    pub async fn migrate(&self) -> Result<()> {
        self.write("migrate the schema", migrate::run).await
    }

    pub fn engine(&self) -> Engine {
        self.0.engine
    }

    /// Runs `work` in a transaction that other closures may share, and answers after its COMMIT.
    ///
    /// `work` may run again (a deadlock, another closure of its batch that failed), so it has no effect outside
    /// the transaction. When it returns `Err`, or when a statement of it failed, nothing it wrote stays; with a
    /// failed statement it may still return `Ok`, say for a unique key that was taken. Statements that failed
    /// cost the batch a repetition: expected refusals are found by a query rather than by an error.
    pub async fn write<T, F>(&self, label: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        Self::submit(
            &self.0.writes,
            Label {
                name: label,
                mode: Mode::Write,
                order: None,
            },
            work,
        )
        .await
    }

    /// Like [`Db::write`], for work that updates a row many callers update, an account's balance say: with `key`
    /// naming that row, the transactions that share it wait in line on PostgreSQL rather than run into deadlocks,
    /// which cost a second each.
    pub async fn write_for<T, F>(&self, key: Id, label: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        Self::submit(
            &self.0.writes,
            Label {
                name: label,
                mode: Mode::Write,
                order: Some(key),
            },
            work,
        )
        .await
    }

    /// Runs `work` on one state of the database in a thread of its own; writes are refused. It never waits for
    /// writers. For searches, lists and bodies.
    pub async fn read<T, F>(&self, label: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        Self::submit(
            &self.0.reads,
            Label {
                name: label,
                mode: Mode::Snapshot,
                order: None,
            },
            work,
        )
        .await
    }

    /// Like [`Db::read`], for one statement that looks at few rows by their key: on SQLite it runs on the calling thread, which takes
    /// a few microseconds where a hop to another thread and back takes many.
    pub async fn peek<T, F>(&self, label: &'static str, mut work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        match &self.0.peekers {
            Some(peekers) => peekers.peek(&mut work).map_err(|error| error.during(label)),
            None => {
                Self::submit(
                    &self.0.reads,
                    Label {
                        name: label,
                        mode: Mode::Single,
                        order: None,
                    },
                    work,
                )
                .await
            }
        }
    }

    /// A bell that is rung after commits that [`Tx::ring`] for `topic`.
    pub fn bell(&self, topic: Topic) -> Bell {
        self.0.shared.bells.listen(topic)
    }

    /// Whether there is room for more than what has to be written about what is here already. A server elsewhere is not asked: its
    /// errors tell.
    pub fn has_room(&self) -> bool {
        let inside = || {
            self.inside().unwrap_or_else(|error| {
                tracing::debug!(%error, "the free pages of the database are not known");
                Inside::default()
            })
        };
        self.0.disk.as_ref().is_none_or(|disk| disk.has_room(inside))
    }

    fn inside(&self) -> Result<Inside> {
        let (Some(peekers), Some(checkpointer)) = (&self.0.peekers, &self.0.checkpointer) else {
            return Ok(Inside::default());
        };
        let (pages, size) = peekers.peek(&mut |tx| {
            let mut number = |sql| {
                let row = tx.query_opt(sql, &[])?;
                Ok(row.map_or(Ok(0), |row| row.int(0))?.unsigned_abs())
            };
            let page = number("PRAGMA page_size")?;
            Ok((
                page * number("PRAGMA freelist_count")?,
                page * number("PRAGMA page_count")?,
            ))
        })?;
        let length = std::fs::metadata(&peekers.path).map_or(0, |file| file.len());
        Ok(Inside {
            pages,
            log: checkpointer.room_in_log(&peekers.path),
            grows: size.saturating_sub(length),
        })
    }

    /// Why the database took the last write not, as long as none was committed since; a commit of nothing tells nothing. Whoever has a
    /// node here writes its heartbeat, so this is never older than that.
    pub fn refuses_writes(&self) -> Option<ErrorKind> {
        self.0.shared.counters.refusal()
    }

    pub fn stats(&self) -> CommitStats {
        self.0.shared.counters.snapshot(self.0.writes.len())
    }

    /// Finishes what waits, refuses what comes, and returns when every connection is closed.
    pub async fn close(&self) -> Result<()> {
        self.0.close_queues();
        let threads = std::mem::take(&mut *self.0.threads.lock());
        if let Some(peekers) = &self.0.peekers {
            peekers.idle.lock().clear();
        }
        blocking(move || {
            for thread in threads {
                thread
                    .join()
                    .map_err(|_| StoreError::other("close the database", "a thread panicked"))?;
            }
            Ok(())
        })
        .await
    }

    async fn submit<T, F>(queue: &Queue, label: Label, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let name = label.name;
        let (job, answer) = Closure::waiting(label, work);
        queue.push(job);
        // The sender lives in the job, and every job is answered.
        answer.await.unwrap_or_else(|_| {
            Err(StoreError::new(
                ErrorKind::Unavailable,
                name,
                "the database thread ended",
            ))
        })
    }
}

impl Inner {
    fn close_queues(&self) {
        self.writes.close();
        self.reads.close();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close_queues();
    }
}

/// Connections for reads on the calling thread; there are never more than threads that peek at once.
struct Peekers {
    path: std::path::PathBuf,
    idle: Mutex<Vec<Link>>,
}

impl Peekers {
    fn peek<T>(&self, work: &mut dyn FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        let idle = self.idle.lock().pop();
        let mut link = match idle {
            Some(link) => link,
            None => Link::to_file(&self.path, sqlite::Role::Reader, false)?,
        };
        let mut value = None;
        let outcome = batch::read(&mut link, Mode::Single, |tx| {
            value = Some(work(tx)?);
            Ok(())
        });
        self.idle.lock().push(link);
        outcome?;
        value.ok_or_else(|| StoreError::other("peek", "the closure left no value"))
    }
}

/// Runs what blocks (opening files, joining threads) where it holds up nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(StoreError::other("run a blocking task", error)))
}
