//! How runs of hooks went: the last ones one by one, all of them in figures by the day. Written behind the mail, in bunches.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use accounts::Hook;
use accounts::hooks::tell_broken;
use mail::time::Time;
use parking_lot::Mutex;
use store::{Db, Id, Ids, Row, Tx};

use super::facts::{Action, Run, Said, Stage};

/// Runs of one hook that are kept.
pub const MOST_RUNS: usize = 200;
/// How long they are kept.
pub const KEPT: Duration = Duration::from_hours(7 * 24);
/// How long figures are kept.
const FIGURES_KEPT: Duration = Duration::from_hours(90 * 24);
/// What happens within this time is written together.
const GATHERED: Duration = Duration::from_secs(1);
/// Runs of one hook, and of all, that one bunch holds; of the others only the figures.
const MOST_OF_HOOK: u64 = 50;
const MOST_OF_BUNCH: usize = 2_000;
/// Octets of one run's log that are kept.
const LOG_OCTETS: usize = 4 * 1024;

/// A run as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptRun {
    pub id: Id,
    pub hook: Id,
    pub at: Time,
    pub version: i64,
    pub stage: String,
    /// `passed`, `accepted`, `rejected`, `deferred`, `discarded`, or how it broke: `error`, `memory`, `steps`, `time`, `busy`.
    pub outcome: String,
    /// What it said, or what went wrong.
    pub detail: String,
    pub line: Option<i64>,
    pub took: Duration,
    pub log: String,
}

/// What the runs of one day came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Day {
    /// Days since 1970.
    pub day: i64,
    pub runs: i64,
    pub rejected: i64,
    pub deferred: i64,
    pub discarded: i64,
    pub failed: i64,
    /// Microseconds of all runs together.
    pub duration: i64,
}

impl Day {
    fn add(&mut self, more: &Self) {
        self.runs += more.runs;
        self.rejected += more.rejected;
        self.deferred += more.deferred;
        self.discarded += more.discarded;
        self.failed += more.failed;
        self.duration += more.duration;
    }
}

/// With how many of its runs are in the bunch.
type Days = HashMap<(Id, i64), (Day, u64)>;
/// What went wrong last with each that broke; two nodes lock them in one order.
type Broken = BTreeMap<Id, String>;

#[derive(Default)]
struct Pending {
    runs: Vec<KeptRun>,
    days: Days,
    broken: Broken,
    /// Somebody will write it.
    scheduled: bool,
}

/// The journal; clones share it.
#[derive(Clone)]
pub struct Journal {
    db: Db,
    ids: Ids,
    pending: Arc<Mutex<Pending>>,
}

impl Journal {
    pub fn new(db: Db, ids: Ids) -> Self {
        Self {
            db,
            ids,
            pending: Arc::default(),
        }
    }

    /// Notes a run. It is written soon, and nobody waits for that.
    pub fn note(&self, hook: &Hook, stage: Stage, run: &Run, at: Time) {
        let mut pending = self.pending.lock();
        let day = at.day();
        let entry = pending.days.entry((hook.id, day));
        let (figures, kept) = entry.or_insert((
            Day {
                day,
                ..Day::default()
            },
            0,
        ));
        count(figures, run);
        let keep = *kept < MOST_OF_HOOK;
        *kept += u64::from(keep);
        if let Some(fault) = &run.fault {
            pending.broken.insert(hook.id, fault.to_string());
        }
        if keep && pending.runs.len() < MOST_OF_BUNCH {
            pending
                .runs
                .push(kept_run(self.ids.next(at), hook, stage, run, at));
        }
        if !std::mem::replace(&mut pending.scheduled, true) {
            let journal = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(GATHERED).await;
                journal.flush(at).await;
            });
        }
    }

    /// Writes what has gathered.
    pub async fn flush(&self, now: Time) {
        let Pending {
            runs, days, broken, ..
        } = std::mem::take(&mut *self.pending.lock());
        if days.is_empty() {
            return;
        }
        let gathered = Arc::new((runs, days, broken));
        let (ids, writing) = (self.ids.clone(), Arc::clone(&gathered));
        let written = self
            .db
            .write("note runs of hooks", move |tx| {
                let (runs, days, broken) = &*writing;
                for run in runs {
                    insert(tx, run)?;
                }
                // Two nodes lock rows in one order.
                let mut days: Vec<_> = days.iter().collect();
                days.sort_unstable_by_key(|(key, _)| **key);
                for ((hook, _), (day, _)) in days {
                    add(tx, *hook, day)?;
                    trim(tx, *hook)?;
                }
                for (hook, fault) in broken {
                    tell_broken(tx, *hook, fault, &mut || ids.next(now), now)?;
                }
                Ok(())
            })
            .await;
        if let Err(error) = written {
            tracing::warn!(%error, "runs of hooks are not noted yet");
            self.give_back(&gathered);
        }
    }

    /// What could not be written waits for the next bunch, as far as there is room.
    fn give_back(&self, (runs, days, broken): &(Vec<KeptRun>, Days, Broken)) {
        let mut pending = self.pending.lock();
        let room = MOST_OF_BUNCH.saturating_sub(pending.runs.len());
        pending.runs.extend(runs.iter().take(room).cloned());
        for (key, (day, kept)) in days {
            let (waiting, of_bunch) = pending.days.entry(*key).or_insert_with(|| {
                (
                    Day {
                        day: day.day,
                        ..Day::default()
                    },
                    0,
                )
            });
            waiting.add(day);
            *of_bunch += kept;
        }
        for (hook, fault) in broken {
            pending.broken.entry(*hook).or_insert_with(|| fault.clone());
        }
    }

    /// The last runs of a hook, the newest first.
    pub async fn runs(&self, hook: Id, now: Time) -> store::Result<Vec<KeptRun>> {
        let since = now.minus(KEPT);
        let list = move |tx: &mut Tx<'_>| {
            let sql = format!(
                "SELECT id, hook, at, version, stage, outcome, detail, line, duration, log FROM hook_runs \
                 WHERE hook = $1 AND at >= $2 ORDER BY id DESC LIMIT {MOST_RUNS}"
            );
            tx.query(&sql, &[(&hook).into(), since.into()])?
                .iter()
                .map(run_of)
                .collect()
        };
        self.db.read("list runs of a hook", list).await
    }

    /// The figures of a hook's last days, the newest first.
    pub async fn days(&self, hook: Id, most: u32) -> store::Result<Vec<Day>> {
        let list = move |tx: &mut Tx<'_>| {
            let sql = format!(
                "SELECT day, runs, rejected, deferred, discarded, failed, duration FROM hook_days WHERE hook = $1 \
                 ORDER BY day DESC LIMIT {most}"
            );
            tx.query(&sql, &[(&hook).into()])?.iter().map(day_row).collect()
        };
        self.db.read("read a hook's figures", list).await
    }
}

fn count(day: &mut Day, run: &Run) {
    day.runs += 1;
    day.duration += i64::try_from(run.took.as_micros()).unwrap_or(i64::MAX);
    if run.fault.is_some() {
        day.failed += 1;
        return;
    }
    match run.said {
        Said::Reject(_) => day.rejected += 1,
        Said::Defer(_) => day.deferred += 1,
        Said::Discard => day.discarded += 1,
        Said::Nothing | Said::Accept => {}
    }
}

fn kept_run(id: Id, hook: &Hook, stage: Stage, run: &Run, at: Time) -> KeptRun {
    let (outcome, detail, line) = match &run.fault {
        Some(fault) => (fault.kind.as_str(), fault.message.clone(), fault.line),
        None => (run.said.as_str(), said(run), None),
    };
    let mut log = String::new();
    for one in &run.log {
        if log.len() + one.len() + 1 > LOG_OCTETS {
            break;
        }
        log.push_str(one);
        log.push('\n');
    }
    KeptRun {
        id,
        hook: hook.id,
        at,
        version: hook.version,
        stage: stage.as_str().to_owned(),
        outcome: outcome.to_owned(),
        // A database keeps no NUL in a text.
        detail: detail.replace('\0', " ").chars().take(400).collect(),
        line: line.map(i64::from),
        took: run.took,
        log,
    }
}

/// What it decided and changed, in words.
fn said(run: &Run) -> String {
    if let Some(reply) = run.said.refusal() {
        return reply.to_string();
    }
    let actions: Vec<String> = run.actions.iter().map(Action::describe).collect();
    actions.join("; ")
}

fn insert(tx: &mut Tx<'_>, run: &KeptRun) -> store::Result<()> {
    tx.run(
        "INSERT INTO hook_runs (id, hook, at, version, stage, outcome, detail, line, duration, log) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        &[
            (&run.id).into(),
            (&run.hook).into(),
            run.at.into(),
            run.version.into(),
            (&run.stage).into(),
            (&run.outcome).into(),
            (&run.detail).into(),
            run.line.into(),
            i64::try_from(run.took.as_micros()).unwrap_or(i64::MAX).into(),
            (&run.log).into(),
        ],
    )
}

fn add(tx: &mut Tx<'_>, hook: Id, day: &Day) -> store::Result<()> {
    tx.run(
        "INSERT INTO hook_days (hook, day, runs, rejected, deferred, discarded, failed, duration) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (hook, day) DO UPDATE SET \
         runs = hook_days.runs + excluded.runs, rejected = hook_days.rejected + excluded.rejected, \
         deferred = hook_days.deferred + excluded.deferred, discarded = hook_days.discarded + excluded.discarded, \
         failed = hook_days.failed + excluded.failed, duration = hook_days.duration + excluded.duration",
        &[
            (&hook).into(),
            day.day.into(),
            day.runs.into(),
            day.rejected.into(),
            day.deferred.into(),
            day.discarded.into(),
            day.failed.into(),
            day.duration.into(),
        ],
    )
}

/// Leaves the last ones of a hook.
fn trim(tx: &mut Tx<'_>, hook: Id) -> store::Result<()> {
    let sql = format!(
        "DELETE FROM hook_runs WHERE hook = $1 AND id <= \
         (SELECT id FROM hook_runs WHERE hook = $1 ORDER BY id DESC LIMIT 1 OFFSET {MOST_RUNS})"
    );
    tx.run(&sql, &[(&hook).into()])
}

/// Removes up to `limit` runs that are too old, and figures, whosever they are: hooks that rest or are gone note nothing.
pub fn prune(tx: &mut Tx<'_>, now: Time, limit: u32) -> store::Result<u64> {
    let runs = tx.execute(
        "DELETE FROM hook_runs WHERE id IN (SELECT id FROM hook_runs WHERE at < $1 ORDER BY at LIMIT $2)",
        &[now.minus(KEPT).into(), limit.into()],
    )?;
    let days = tx.execute(
        "DELETE FROM hook_days WHERE (hook, day) IN (SELECT hook, day FROM hook_days WHERE day < $1 LIMIT $2)",
        &[now.minus(FIGURES_KEPT).day().into(), limit.into()],
    )?;
    Ok(runs + days)
}

fn run_of(row: &Row) -> store::Result<KeptRun> {
    Ok(KeptRun {
        id: row.id(0)?,
        hook: row.id(1)?,
        at: row.time(2)?,
        version: row.int(3)?,
        stage: row.text(4)?,
        outcome: row.text(5)?,
        detail: row.text(6)?,
        line: row.opt_int(7)?,
        took: Duration::from_micros(u64::try_from(row.int(8)?).unwrap_or_default()),
        log: row.text(9)?,
    })
}

fn day_row(row: &Row) -> store::Result<Day> {
    Ok(Day {
        day: row.int(0)?,
        runs: row.int(1)?,
        rejected: row.int(2)?,
        deferred: row.int(3)?,
        discarded: row.int(4)?,
        failed: row.int(5)?,
        duration: row.int(6)?,
    })
}
