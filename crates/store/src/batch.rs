//! Group commit: threads that take whatever closures wait, run them in one transaction, commit once, answer all.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::bell::{Bells, Topics};
use crate::error::{ErrorKind, Result, StoreError};
use crate::faults::{Edge, Faults};
use crate::ids::Id;
use crate::link::{Blame, Link, Mode};
use crate::stats::Counters;
use crate::tx::Tx;

/// Closures in one commit.
const LARGEST_BATCH: usize = 512;
/// Bytes handed to statements after which a batch is committed although more closures wait.
const HEAVIEST_BATCH: usize = 16 << 20;
/// How often a closure is run again when the engine says that it may succeed now.
const TRIES: usize = 5;

/// A closure that waits for its transaction, and the caller who waits for its answer.
pub(crate) trait Job: Send {
    /// Runs the closure and keeps what it returned until [`Job::answer`].
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<()>;
    /// How it is to be read, when it is.
    fn mode(&self) -> Mode;
    /// Where it stands in a batch.
    fn order(&self) -> Order;
    /// What it does, in a few words.
    fn name(&self) -> &'static str;
    /// Gives the caller what the closure returned last, or the error.
    fn answer(self: Box<Self>, outcome: Result<()>);
}

/// Closures of one batch run in this order: first those without a key, then by key. Two batches that touch the same
/// rows then lock them in the same order and wait for each other instead of dying by deadlock.
pub(crate) type Order = Option<Id>;

/// What is known of a closure beside its work.
pub(crate) struct Label {
    pub(crate) name: &'static str,
    pub(crate) mode: Mode,
    pub(crate) order: Order,
}

pub(crate) struct Closure<T, F> {
    label: Label,
    work: F,
    value: Option<T>,
    caller: oneshot::Sender<Result<T>>,
}

impl<T, F> Closure<T, F>
where
    T: Send + 'static,
    F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
{
    pub(crate) fn waiting(label: Label, work: F) -> (Box<dyn Job>, oneshot::Receiver<Result<T>>) {
        let (caller, answer) = oneshot::channel();
        (
            Box::new(Self {
                label,
                work,
                value: None,
                caller,
            }),
            answer,
        )
    }
}

impl<T, F> Job for Closure<T, F>
where
    T: Send,
    F: FnMut(&mut Tx<'_>) -> Result<T> + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<()> {
        if self.label.mode != Mode::Write && self.caller.is_closed() {
            return Err(StoreError::other(
                "run the closure",
                "nobody waits for it any more",
            ));
        }
        // A panic ends this closure alone: its writes are rolled back, its caller gets an error, the thread lives.
        match catch_unwind(AssertUnwindSafe(|| (self.work)(tx))) {
            Ok(result) => self.value = Some(result?),
            Err(_) => return Err(StoreError::other("run the closure", "it panicked")),
        }
        Ok(())
    }

    fn mode(&self) -> Mode {
        self.label.mode
    }

    fn order(&self) -> Order {
        self.label.order
    }

    fn name(&self) -> &'static str {
        self.label.name
    }

    fn answer(self: Box<Self>, outcome: Result<()>) {
        let Self {
            label, value, caller, ..
        } = *self;
        let missing = || StoreError::other("run the closure", "it left no value");
        let answer = outcome.and_then(|()| value.ok_or_else(missing));
        // A caller who no longer waits does not want to know.
        let _ = caller.send(answer.map_err(|error| error.during(label.name)));
    }
}

/// Closures that wait, shared by the threads that run them.
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    threads: usize,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Box<dyn Job>>,
    closed: bool,
}

impl Queue {
    pub(crate) fn new(threads: usize) -> Arc<Self> {
        Arc::new(Self {
            waiting: Mutex::default(),
            wake: Condvar::new(),
            threads,
        })
    }

    pub(crate) fn push(&self, job: Box<dyn Job>) {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            drop(waiting);
            job.answer(Err(StoreError::new(
                ErrorKind::Unavailable,
                "queue",
                "the database is closed",
            )));
            return;
        }
        waiting.jobs.push_back(job);
        drop(waiting);
        self.wake.notify_one();
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.lock().jobs.len()
    }

    /// What waits is still done; nothing more is taken.
    pub(crate) fn close(&self) {
        self.waiting.lock().closed = true;
        self.wake.notify_all();
    }

    /// Nothing more is done: a thread ended by a mistake of ours, and callers must not wait for ever.
    fn abandon(&self) {
        self.close();
        let left = std::mem::take(&mut self.waiting.lock().jobs);
        for job in left {
            job.answer(Err(StoreError::new(
                ErrorKind::Unavailable,
                "queue",
                "the database thread ended",
            )));
        }
    }

    /// Waits for work and takes this thread's share of it; `None` when closed and empty.
    fn take(&self, most: usize) -> Option<VecDeque<Box<dyn Job>>> {
        let mut waiting = self.waiting.lock();
        while waiting.jobs.is_empty() {
            if waiting.closed {
                return None;
            }
            self.wake.wait(&mut waiting);
        }
        let share = waiting.jobs.len().div_ceil(self.threads).min(most);
        let mut taken: VecDeque<_> = waiting.jobs.drain(..share).collect();
        let more = !waiting.jobs.is_empty();
        drop(waiting);
        if self.threads > 1 {
            taken.make_contiguous().sort_by_key(|job| job.order());
        }
        if more {
            self.wake.notify_one();
        }
        Some(taken)
    }
}

/// What the threads of one database share.
#[derive(Clone, Default)]
pub(crate) struct Shared {
    pub(crate) counters: Arc<Counters>,
    pub(crate) bells: Bells,
    pub(crate) faults: Faults,
}

/// Starts a thread that commits what waits in `queue`.
pub(crate) fn spawn_writer(queue: Arc<Queue>, mut link: Link, shared: Shared) -> Result<JoinHandle<()>> {
    spawn("store-writer", move || {
        let _guard = Guard(queue.clone());
        while let Some(mut jobs) = queue.take(LARGEST_BATCH) {
            while !jobs.is_empty() {
                write(&mut link, &mut jobs, &shared);
                link.between_batches();
            }
        }
    })
}

/// Starts a thread that answers the reads in `queue`, one after the other.
pub(crate) fn spawn_reader(queue: Arc<Queue>, mut link: Link) -> Result<JoinHandle<()>> {
    spawn("store-reader", move || {
        let _guard = Guard(queue.clone());
        while let Some(jobs) = queue.take(1) {
            for mut job in jobs {
                let outcome = read(&mut link, job.mode(), |tx| job.run(tx));
                job.answer(outcome);
            }
        }
    })
}

/// Answers everybody when the thread that holds it panics.
struct Guard(Arc<Queue>);

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("a database thread ended by a panic; the database answers no more");
            self.0.abandon();
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(work)
        .map_err(|error| StoreError::other(format!("start the thread {name}"), error))
}

/// Runs `work` as a reader, once more when the connection turned out to be lost.
pub(crate) fn read(
    link: &mut Link,
    mode: Mode,
    mut work: impl FnMut(&mut Tx<'_>) -> Result<()>,
) -> Result<()> {
    let mut tries = 1;
    loop {
        let outcome = link.begin(mode).and_then(|()| {
            let done = work(&mut Tx::new(link));
            // Nothing was written: how the transaction ends does not matter.
            link.rollback();
            done
        });
        match outcome {
            Err(error) if tries < TRIES && error.kind() == ErrorKind::Retryable => tries += 1,
            Err(error) if tries == 1 && error.kind() == ErrorKind::Unavailable => tries = TRIES,
            outcome => return outcome,
        }
    }
}

/// How a transaction over several closures ended.
enum End {
    /// The first so many are committed.
    Committed(usize),
    /// Nothing is committed.
    Failed(Failure),
}

struct Failure {
    error: StoreError,
    blame: Blame,
    /// COMMIT was sent, so the work may be done although no answer came: running it again could do it twice.
    sent: bool,
}

/// Takes closures from the front of `jobs`, commits them, answers them. After an error the one at fault is run
/// alone and the others together again, so that one bad closure costs its batch a repetition and no more.
fn write(link: &mut Link, jobs: &mut VecDeque<Box<dyn Job>>, shared: &Shared) {
    let mut retries = 0;
    loop {
        if jobs.len() == 1 {
            if let Some(job) = jobs.pop_front() {
                write_alone(link, job, shared);
            }
            return;
        }
        let failure = match attempt(link, jobs, shared) {
            End::Committed(done) => {
                jobs.drain(..done).for_each(|job| job.answer(Ok(())));
                return;
            }
            End::Failed(failure) => failure,
        };
        if let Blame::Unexpected(closures) = failure.blame {
            let apart: Vec<_> = closures
                .iter()
                .rev()
                .filter_map(|closure| jobs.remove(*closure))
                .collect();
            // Before them, as it may have been one of these that made it otherwise.
            while !jobs.is_empty() {
                write(link, jobs, shared);
            }
            apart
                .into_iter()
                .rev()
                .for_each(|job| write_alone(link, job, shared));
            return;
        }
        retries += 1;
        match (failure.error.kind(), failure.blame) {
            // Lost connection (or one to a standby), nothing sent: the link connects again. Deadlock: the other
            // side is through now.
            (ErrorKind::Unavailable | ErrorKind::ReadOnly, _) if retries == 1 && !failure.sent => {}
            // Where it was one of several, the link finds out which.
            (ErrorKind::Retryable, _) | (ErrorKind::Unique | ErrorKind::Other, Blame::Somebody)
                if retries < TRIES => {}
            (kind @ (ErrorKind::Unavailable | ErrorKind::Full | ErrorKind::ReadOnly), _) => {
                shared.counters.failed(kind);
                jobs.drain(..)
                    .for_each(|job| job.answer(Err(failure.error.clone())));
                return;
            }
            (_, Blame::Closure(culprit)) if retries < TRIES => {
                if let Some(job) = jobs.remove(culprit) {
                    write_alone(link, job, shared);
                }
            }
            _ => {
                jobs.drain(..).for_each(|job| write_alone(link, job, shared));
                return;
            }
        }
    }
}

fn attempt(link: &mut Link, jobs: &mut VecDeque<Box<dyn Job>>, shared: &Shared) -> End {
    let begun = Instant::now();
    let failed = |link: &mut Link, error, blame, sent| {
        link.rollback();
        shared.counters.rolled_back();
        End::Failed(Failure { error, blame, sent })
    };
    if let Err(error) = link.begin(Mode::Write) {
        return failed(link, error, Blame::Nobody, false);
    }
    let mut topics = Topics::default();
    let (mut weight, mut statements) = (0, 0);
    let mut done = 0;
    for job in jobs.iter_mut() {
        link.closure(done);
        let mut tx = Tx::new(link);
        let outcome = job.run(&mut tx);
        topics.merge(tx.topics());
        weight += tx.weight();
        statements += tx.statements();
        // A statement that failed poisons the batch even if its closure knew what to make of it.
        if let Some(error) = tx.take_failure().or(outcome.err()) {
            let blame = match link.blame() {
                Blame::Nobody => Blame::Closure(done),
                known => known,
            };
            return failed(link, error, blame, false);
        }
        done += 1;
        if weight > HEAVIEST_BATCH {
            break;
        }
    }
    let news = match link.check().and_then(|()| is_news(link, shared)) {
        Ok(news) => news,
        Err(error) => {
            let blame = link.blame();
            return failed(link, error, blame, false);
        }
    };
    let labels = || jobs.iter().take(done).map(|job| job.name());
    if let Err(error) = shared.faults.pass(Edge::Before, labels()) {
        return failed(link, error, Blame::Nobody, false);
    }
    if let Err(error) = link.commit() {
        let blame = link.blame();
        return failed(link, error, blame, true);
    }
    shared
        .counters
        .committed((done, statements), begun.elapsed(), news);
    if let Err(error) = shared.faults.pass(Edge::After, labels()) {
        return failed(link, error, Blame::Nobody, true);
    }
    shared.bells.ring(topics);
    End::Committed(done)
}

/// One closure in a transaction of its own. When a statement fails but the closure answers with a value all the
/// same, nothing it wrote stays and the value is its answer.
fn write_alone(link: &mut Link, mut job: Box<dyn Job>, shared: &Shared) {
    let mut tries = 1;
    loop {
        let (outcome, sent) = attempt_alone(link, job.as_mut(), shared);
        match &outcome {
            Err(error) if tries < TRIES && error.kind() == ErrorKind::Retryable => tries += 1,
            Err(error) if tries == 1 && !sent && unreachable(error) => tries = TRIES,
            _ => {
                if let Err(error) = &outcome {
                    shared.counters.failed(error.kind());
                }
                return job.answer(outcome);
            }
        }
    }
}

/// Also returns whether COMMIT was sent.
fn attempt_alone(link: &mut Link, job: &mut dyn Job, shared: &Shared) -> (Result<()>, bool) {
    let begun = Instant::now();
    if let Err(error) = link.begin(Mode::Write) {
        return (Err(error), false);
    }
    let mut tx = Tx::new(link);
    let outcome = job.run(&mut tx);
    let (topics, statements) = (tx.topics(), tx.statements());
    match (outcome, tx.take_failure()) {
        (Ok(()), None) => {}
        (outcome, failure) => {
            link.rollback();
            shared.counters.rolled_back();
            // A lost connection or a deadlock is never the closure's to judge.
            let again = failure.filter(|error| error.kind() == ErrorKind::Retryable || unreachable(error));
            return (again.map_or(outcome, Err), false);
        }
    }
    let label = || std::iter::once(job.name());
    let ready = link
        .check()
        .and_then(|()| is_news(link, shared))
        .and_then(|news| shared.faults.pass(Edge::Before, label()).map(|()| news));
    let news = match ready {
        Ok(news) => news,
        Err(error) => {
            link.rollback();
            shared.counters.rolled_back();
            return (Err(error), false);
        }
    };
    let committed = link.commit();
    let outcome = committed.and_then(|()| shared.faults.pass(Edge::After, label()));
    if outcome.is_ok() {
        shared.counters.committed((1, statements), begun.elapsed(), news);
        shared.bells.ring(topics);
    } else {
        link.rollback();
        shared.counters.rolled_back();
    }
    (outcome, true)
}

/// Whether the commit of what is open will tell that a database which refused writes takes them again. One that writes nothing
/// does not: a full or broken disk lets it through.
fn is_news(link: &mut Link, shared: &Shared) -> Result<bool> {
    if shared.counters.refusal().is_some() {
        link.has_written()
    } else {
        Ok(false)
    }
}

/// Would another connection help?
fn unreachable(error: &StoreError) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::ReadOnly)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_thread_that_ends_by_a_panic_leaves_nobody_waiting() {
        let queue = Queue::new(1);
        let label = || Label {
            name: "wait",
            mode: Mode::Write,
            order: None,
        };
        let (job, answer) = Closure::waiting(label(), |_: &mut Tx<'_>| Ok(()));
        queue.push(job);
        let guarded = queue.clone();
        let thread = std::thread::spawn(move || {
            let _guard = Guard(guarded);
            panic!("a mistake in the engine");
        });
        thread.join().unwrap_err();
        let error = answer.await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "wait: queue: the database thread ended");
        let (late, answer) = Closure::waiting(label(), |_: &mut Tx<'_>| Ok(()));
        queue.push(late);
        assert_eq!(answer.await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    }
}
