//! The event log and the leases of nodes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mail::time::Time;
use store::events::{self, Cursor, Event, Logged};
use store::nodes::{self, Heartbeat};
use store::testing::TestDb;
use store::{Db, Id, Result, Topic, Tx, both_engines};

const NOW: Time = Time::from_secs(1_795_000_000);

fn append(tx: &mut Tx<'_>, account: Id, message: Option<Id>, kind: &str) -> Result<()> {
    let event = Event {
        at: NOW,
        account,
        message,
        ordinal: message.map(|_| 0),
        kind,
        data: "{}",
    };
    events::append(tx, &event)
}

both_engines! {
    async fn events_are_read_in_order_from_where_the_consumer_stands(test: TestDb) {
        let (account, message) = (test.id(), test.id());
        let mut bell = test.db.bell(Topic::Events);
        for kind in ["accepted", "deferred", "delivered"] {
            test.db.write("append", move |tx| append(tx, account, Some(message), kind)).await.unwrap();
        }
        bell.rung().await;
        let all = events_after(&test.db, Cursor::START, 3).await;
        assert_eq!(kinds(&all), ["accepted", "deferred", "delivered"]);
        assert_eq!((all[0].account, all[0].message, all[0].at), (account, Some(message), NOW));
        let second = all[1].cursor;
        test.db.write("advance", move |tx| events::advance(tx, "webhooks", second)).await.unwrap();
        test.db.write("advance", move |tx| events::advance(tx, "webhooks", second)).await.unwrap();
        let rest = test
            .db
            .read("read", |tx| {
                let from = events::place_of(tx, "webhooks")?.unwrap_or_default();
                events::read_after(tx, from, 10)
            })
            .await
            .unwrap();
        assert_eq!(rest, all[2..]);
        let latest = test.db.read("latest", events::latest).await.unwrap();
        assert_eq!(latest, all[2].cursor);
        let of_message = test.db.read("of", move |tx| events::of_message(tx, message, 10)).await.unwrap();
        assert_eq!(of_message, all);
        let of_other = test.db.read("of", move |tx| events::of_message(tx, account, 10)).await.unwrap();
        assert!(of_other.is_empty());
    }

    async fn old_events_are_forgotten_but_never_the_newest(test: TestDb) {
        let account = test.id();
        for _ in 0..5 {
            test.db.write("append", move |tx| append(tx, account, None, "x")).await.unwrap();
        }
        let later = NOW.plus(Duration::from_secs(1));
        assert_eq!(test.db.write("prune", move |tx| events::prune(tx, NOW, 10)).await.unwrap(), 0);
        assert_eq!(test.db.write("prune", move |tx| events::prune(tx, later, 3)).await.unwrap(), 3);
        assert_eq!(test.db.write("prune", move |tx| events::prune(tx, later, 10)).await.unwrap(), 1);
        let left = events_after(&test.db, Cursor::START, 1).await;
        assert_eq!(left.len(), 1);
        test.db.write("append", move |tx| append(tx, account, None, "next")).await.unwrap();
        let next = events_after(&test.db, left[0].cursor, 1).await;
        assert_eq!(kinds(&next), ["next"]);
    }

    async fn an_account_reads_its_own_events_from_a_place_or_a_moment(test: TestDb) {
        let (mine, other) = (test.id(), test.id());
        for hour in 0..20 {
            let at = NOW.plus(Duration::from_hours(hour));
            let account = if hour % 2 == 0 { mine } else { other };
            test.db
                .write("append", move |tx| {
                    let event = Event { at, account, message: None, ordinal: None, kind: "x", data: "{}" };
                    events::append(tx, &event)
                })
                .await
                .unwrap();
        }
        let ninth = events_after(&test.db, Cursor::START, 10).await[9].cursor;
        events_after(&test.db, ninth, 10).await;
        let own = test.db.read("read", move |tx| events::of_account(tx, mine, Cursor::START, 50)).await.unwrap();
        assert_eq!(own.len(), 10);
        assert!(own.iter().all(|event| event.account == mine));
        let after = own[6].cursor;
        let rest = test.db.read("read", move |tx| events::of_account(tx, mine, after, 2)).await.unwrap();
        assert_eq!(rest, own[7..9]);
        for hour in [0, 1, 7, 19] {
            let at = NOW.plus(Duration::from_hours(hour));
            let place = test.db.read("find", move |tx| events::place_at(tx, at)).await.unwrap();
            let found = test.db.read("read", move |tx| events::read_after(tx, place, 1)).await.unwrap();
            assert_eq!(found[0].at, at, "{hour}");
        }
        let far = NOW.plus(Duration::from_hours(1_000));
        let place = test.db.read("find", move |tx| events::place_at(tx, far)).await.unwrap();
        assert_eq!(test.db.read("read", move |tx| events::read_after(tx, place, 1)).await.unwrap(), []);
        let early = test.db.read("find", |tx| events::place_at(tx, Time::EPOCH)).await.unwrap();
        assert_eq!(early, Cursor::START);
    }

    async fn the_beginning_of_an_empty_log_is_its_start(test: TestDb) {
        let place = test.db.read("find", |tx| events::place_at(tx, NOW)).await.unwrap();
        assert_eq!(place, Cursor::START);
    }

    async fn a_node_without_a_heartbeat_is_dead_after_its_lease(test: TestDb) {
        let (alive, dead) = (test.id(), test.id());
        let after = |seconds| NOW.plus(Duration::from_secs(seconds));
        test.db
            .write("register", move |tx| {
                nodes::register(tx, alive, "one", NOW)?;
                nodes::register(tx, dead, "two", NOW)?;
                nodes::register(tx, dead, "two", NOW)
            })
            .await
            .unwrap();
        let beat = test.db.write("beat", move |tx| nodes::heartbeat(tx, alive, "one", after(25))).await.unwrap();
        assert_eq!(beat, Heartbeat::Held);
        assert!(test.db.write("dead", move |tx| nodes::dead(tx, after(30))).await.unwrap().is_empty());
        let found = test
            .db
            .write("dead", move |tx| {
                let found = nodes::dead(tx, after(31))?;
                for node in &found {
                    nodes::remove(tx, *node)?;
                }
                Ok(found)
            })
            .await
            .unwrap();
        assert_eq!(found, [dead]);
        let beat = test.db.write("beat", move |tx| nodes::heartbeat(tx, dead, "two", after(32))).await.unwrap();
        assert_eq!(beat, Heartbeat::Lost);
        let names: Vec<String> =
            test.db.read("list", nodes::list).await.unwrap().into_iter().map(|node| node.name).collect();
        assert_eq!(names, ["one", "two"]);
    }
}

/// What can be read after `cursor`, once there are at least `count` events. On PostgreSQL other databases of the
/// server, those of other tests here, hold the log back while they write.
async fn events_after(db: &Db, cursor: Cursor, count: usize) -> Vec<Logged> {
    let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
    loop {
        let events = db
            .read("read", move |tx| events::read_after(tx, cursor, 10))
            .await
            .unwrap();
        if events.len() >= count {
            return events;
        }
        assert!(tokio::time::Instant::now() < deadline, "only {events:?}");
    }
}

fn kinds(events: &[Logged]) -> Vec<&str> {
    events.iter().map(|event| event.kind.as_str()).collect()
}

/// A transaction that appends an event and is held open: what it has done so far, and how far it may go.
struct Held {
    progress: Arc<AtomicUsize>,
    allowed: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<Result<()>>,
}

impl Held {
    /// Step 1 takes a transaction number, step 2 appends `kind`, step 3 commits.
    fn start(db: &Db, account: Id, kind: &'static str) -> Self {
        let (progress, allowed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (db, done, may) = (db.clone(), progress.clone(), allowed.clone());
        let task = tokio::spawn(async move {
            db.write("hold", move |tx| {
                let step = |number| {
                    while may.load(Ordering::SeqCst) < number {
                        std::thread::yield_now();
                    }
                };
                step(1);
                tx.execute(
                    "INSERT INTO cursors (consumer, tx, seq) VALUES ($1, 0, 0)",
                    &[kind.into()],
                )?;
                done.store(1, Ordering::SeqCst);
                step(2);
                append(tx, account, None, kind)?;
                tx.query("SELECT 1", &[])?;
                done.store(2, Ordering::SeqCst);
                step(3);
                Ok(())
            })
            .await
        });
        Self {
            progress,
            allowed,
            task,
        }
    }

    async fn step(&self, number: usize) {
        self.allowed.store(number, Ordering::SeqCst);
        while self.progress.load(Ordering::SeqCst) < number {
            tokio::task::yield_now().await;
        }
    }

    async fn commit(self) {
        self.allowed.store(3, Ordering::SeqCst);
        self.task.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_commits_late_is_not_passed_over() {
    let Some(test) = TestDb::postgres().await else {
        return;
    };
    let account = test.id();
    let early = Held::start(&test.db, account, "early");
    early.step(2).await;
    let late = Held::start(&test.db, account, "late");
    late.step(2).await;
    late.commit().await;
    // The later transaction is committed, the earlier one is not: showing it now would put the other behind it.
    assert!(events_after(&test.db, Cursor::START, 0).await.is_empty());
    early.commit().await;
    assert_eq!(
        kinds(&events_after(&test.db, Cursor::START, 2).await),
        ["early", "late"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_with_a_lower_number_that_commits_late_is_not_passed_over() {
    let Some(test) = TestDb::postgres().await else {
        return;
    };
    let account = test.id();
    let first = Held::start(&test.db, account, "first transaction, second number");
    first.step(1).await;
    let second = Held::start(&test.db, account, "second transaction, first number");
    second.step(2).await;
    first.step(2).await;
    first.commit().await;
    let events = events_after(&test.db, Cursor::START, 1).await;
    assert_eq!(kinds(&events), ["first transaction, second number"]);
    second.commit().await;
    let events = events_after(&test.db, events[0].cursor, 1).await;
    assert_eq!(kinds(&events), ["second transaction, first number"]);
}
