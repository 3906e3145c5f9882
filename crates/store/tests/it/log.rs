//! The event log and the leases of nodes.

use std::time::Duration;

use mail::time::Time;
use store::events::{self, Cursor, Event};
use store::nodes::{self, Heartbeat};
use store::{Id, Result, Topic, Tx, both_engines};

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
        let all = test.db.read("read", |tx| events::read_after(tx, Cursor::START, 10)).await.unwrap();
        assert_eq!(all.iter().map(|e| e.kind.as_str()).collect::<Vec<_>>(), ["accepted", "deferred", "delivered"]);
        assert_eq!((all[0].account, all[0].message, all[0].at), (account, Some(message), NOW));
        let second = all[1].cursor;
        test.db.write("advance", move |tx| events::advance(tx, "webhooks", second)).await.unwrap();
        test.db.write("advance", move |tx| events::advance(tx, "webhooks", second)).await.unwrap();
        let rest = test
            .db
            .read("read", |tx| {
                let from = events::cursor_of(tx, "webhooks")?;
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
        let before = test.db.read("latest", events::latest).await.unwrap();
        test.db.write("append", move |tx| append(tx, account, None, "next")).await.unwrap();
        let next = test.db.read("read", move |tx| events::read_after(tx, before, 10)).await.unwrap();
        assert_eq!(next.len(), 1);
        assert_eq!(next[0].kind, "next");
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
