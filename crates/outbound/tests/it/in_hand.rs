//! What the database says is in hand, and what is: they part after a lost answer or a panic, and find together again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mail::address::Domain;
use outbound::Outbound;
use outbound::model::{Courier, LaneKey, Link, Next, Outcome, Parcel, Pending, State, Verdict};
use outbound::route::Route;
use outbound::spool::{self, Settled};
use store::{Clock, Id, both_engines};

use crate::sink::{Act, Script, Sink};
use crate::world::{MESSAGE, World, scheduler, smarthost, until};

/// Panics so many times where it is told to, then lets the other one do it.
struct Clumsy {
    inner: Arc<dyn Courier>,
    lanes: AtomicU32,
    connections: AtomicU32,
    deliveries: Arc<AtomicU32>,
}

struct ClumsyLink(Box<dyn Link>, Arc<AtomicU32>);

fn stumble(left: &AtomicU32) {
    let before = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    assert!(before.is_err(), "a mistake made on purpose");
}

impl Courier for Clumsy {
    fn lane(&self, domain: Domain) -> Pending<'_, Result<LaneKey, Outcome>> {
        stumble(&self.lanes);
        self.inner.lane(domain)
    }

    fn connect(&self, domain: Domain) -> Pending<'_, Result<Box<dyn Link>, Outcome>> {
        Box::pin(async move {
            stumble(&self.connections);
            let link = self.inner.connect(domain).await?;
            Ok(Box::new(ClumsyLink(link, self.deliveries.clone())) as Box<dyn Link>)
        })
    }
}

impl Link for ClumsyLink {
    fn deliver<'a>(&'a mut self, parcel: &'a Parcel) -> Pending<'a, Vec<Outcome>> {
        stumble(&self.1);
        self.0.deliver(parcel)
    }

    fn is_usable(&self) -> bool {
        self.0.is_usable()
    }

    fn close(self: Box<Self>) -> Pending<'static, ()> {
        self.0.close()
    }
}

/// As if the answer to the COMMIT that took it in hand had been lost.
async fn put_in_hand(world: &World, message: Id) {
    let node = world.settings.node;
    let put = world.test.db.write("take in hand", move |tx| {
        tx.execute(
            "UPDATE recipients SET node = $2, next_at = 0 WHERE message = $1",
            &[message.into(), node.into()],
        )
    });
    assert_eq!(put.await.unwrap(), 1);
}

both_engines! {
    async fn a_row_that_nothing_holds_is_taken_up_again(test: TestDb) {
        let mut world = World::new(test).await;
        world.settings.retry.retry = vec![Duration::from_hours(1)];
        let refusing = Sink::start(Script::at("RCPT", Act::Say("451 4.7.1 Later"))).await;
        let (scheduler, door) = scheduler(world.parts(&smarthost(refusing.address))).await;
        let accepted = door.accept(world.submission(&["b@there.example"], MESSAGE)).await.unwrap();
        world.until_all(accepted.id, "deferred").await;
        put_in_hand(&world, accepted.id).await;
        until("it was found", async || {
            scheduler.reconcile().await.unwrap();
            scheduler.counters.snapshot().recovered == 1
        })
        .await;
        until("it is tried again", async || world.count("SELECT COUNT(*) FROM attempts").await == 2).await;
        world.until_all(accepted.id, "deferred").await;
        assert_eq!(world.count("SELECT COUNT(*) FROM recipients WHERE node IS NOT NULL").await, 0);
        assert_eq!(scheduler.reconcile().await.unwrap(), 0);
    }

    async fn a_long_delivery_is_not_taken_for_lost(test: TestDb) {
        let world = World::new(test).await;
        let hanging = Sink::start(Script::at("BODY", Act::Silence)).await;
        let (scheduler, door) = scheduler(world.parts(&smarthost(hanging.address))).await;
        let to = ["b@there.example", "c@there.example"];
        let accepted = door.accept(world.submission(&to, MESSAGE)).await.unwrap();
        until("it is in flight", async || hanging.messages().len() == 1).await;
        for _ in 0..5 {
            assert_eq!(scheduler.reconcile().await.unwrap(), 0);
        }
        assert_eq!(world.count("SELECT COUNT(*) FROM recipients WHERE node IS NOT NULL").await, 2);
        assert!(world.fates(accepted.id).await.iter().all(|fate| fate.starts_with("queued")));
        assert_eq!((hanging.messages().len(), scheduler.counters.snapshot().recovered), (1, 0));
    }

    async fn what_is_taken_from_a_living_node_and_comes_back_is_not_sent_twice(test: TestDb) {
        let mut world = World::new(test).await;
        world.settings.retry.retry = vec![Duration::from_hours(1)];
        let hanging = Sink::start(Script::at("BODY", Act::Silence)).await;
        let (scheduler, door) = scheduler(world.parts(&smarthost(hanging.address))).await;
        let accepted = door.accept(world.submission(&["b@there.example"], MESSAGE)).await.unwrap();
        until("it is in flight", async || hanging.messages().len() == 1).await;
        let node = world.settings.node;
        let freed = world.test.db.write("as who took this node for dead", move |tx| {
            tx.ring(store::Topic::Due);
            spool::free(tx, node)
        });
        assert_eq!(freed.await.unwrap(), 1);
        until("it came back", async || {
            world.count("SELECT COUNT(*) FROM recipients WHERE node IS NOT NULL").await == 1
        })
        .await;
        assert_eq!(scheduler.reconcile().await.unwrap(), 0);
        until("its outcome came", async || {
            hanging.hang_up();
            world.count("SELECT COUNT(*) FROM attempts").await == 1
        })
        .await;
        assert!(world.fates(accepted.id).await[0].starts_with("deferred"));
        until("nothing is left in hand", async || {
            world.count("SELECT COUNT(*) FROM recipients WHERE node IS NOT NULL").await == 0
        })
        .await;
        assert_eq!((hanging.messages().len(), scheduler.counters.snapshot().leases_lost), (1, 0));
    }

    async fn a_courier_that_panics_costs_an_attempt_and_no_more(test: TestDb) {
        let mut world = World::new(test).await;
        world.settings.connections_per_lane = 1;
        let sink = Sink::start(Script::default()).await;
        let mut parts = world.parts(&smarthost(sink.address));
        parts.courier = Arc::new(Clumsy {
            inner: parts.courier,
            lanes: AtomicU32::new(1),
            connections: AtomicU32::new(1),
            deliveries: Arc::new(AtomicU32::new(1)),
        });
        let outbound = Outbound::start(parts).await.unwrap();
        let accepted = world.accept(&outbound, &["b@there.example"]).await;
        until("it is delivered", async || world.fates(accepted.id).await[0].starts_with("delivered")).await;
        let attempts = world.rows("SELECT reply FROM attempts ORDER BY number").await;
        let replies: Vec<String> = attempts.iter().map(|row| row.text(0).unwrap()).collect();
        assert_eq!(replies.len(), 4, "{replies:?}");
        assert!(replies[..3].iter().all(|reply| reply.contains("a mistake of this program")), "{replies:?}");
        assert_eq!(sink.messages().len(), 1);
        assert_eq!(world.count("SELECT COUNT(*) FROM recipients WHERE node IS NOT NULL").await, 0);
    }

    async fn a_result_is_not_recorded_over_a_later_attempt_of_the_same_node(test: TestDb) {
        let world = World::new(test).await;
        let command = Outbound::idle(world.parts(&Route::Capture));
        let message = world.accept(&command, &["b@there.example"]).await.id;
        let (node, now) = (world.settings.node, world.clock.now());
        let settled = Settled {
            ordinal: 0,
            attempts: 1,
            outcome: Some(Outcome::without_reply(Verdict::Deferred, mail::reply::Enhanced::new(4, 0, 0), "later", now)),
            next: Next { state: State::Deferred, reason: "later".into(), next_at: Some(now), report: None },
        };
        for recorded in [true, false] {
            put_in_hand(&world, message).await;
            let settled = settled.clone();
            let done = world.test.db.write("settle", move |tx| spool::settle(tx, node, message, &settled, now));
            assert_eq!(done.await.unwrap(), recorded);
        }
        assert_eq!(world.count("SELECT COUNT(*) FROM attempts").await, 1);
    }

    async fn what_is_in_hand_is_walked_through_page_by_page(test: TestDb) {
        let world = World::new(test).await;
        let command = Outbound::idle(world.parts(&Route::Capture));
        let first = world.accept(&command, &["a@there.example", "b@there.example"]).await.id;
        let second = world.accept(&command, &["c@there.example"]).await.id;
        let (node, other) = (world.settings.node, world.test.id());
        world.accept(&command, &["d@there.example"]).await;
        let pages = world.test.db.write("walk", move |tx| {
            tx.execute("UPDATE recipients SET node = $1", &[other.into()])?;
            for message in [first, second] {
                tx.execute("UPDATE recipients SET node = $2 WHERE message = $1", &[message.into(), node.into()])?;
            }
            let one = spool::in_hand(tx, node, None, 2)?;
            let two = spool::in_hand(tx, node, one.last().copied(), 2)?;
            Ok((one, two))
        });
        assert_eq!(pages.await.unwrap(), (vec![(first, 0), (first, 1)], vec![(second, 0)]));
    }

    async fn what_a_node_stored_while_it_stopped_passes_on(test: TestDb) {
        let mut world = World::new(test).await;
        let (clock, hand) = Clock::manual(world.clock.now());
        world.clock = clock;
        let sink = Sink::start(Script::default()).await;
        let stopping = world.send_to(sink.address).await;
        let accepted = world.accept(&Outbound::idle(world.parts(&Route::Capture)), &["b@there.example"]).await;
        world.until_all(accepted.id, "delivered").await;
        stopping.shut_down(Duration::from_secs(5)).await;
        // An accept that had been given its place before the end and was committed after it.
        let late = world.accept(&Outbound::idle(world.parts(&Route::Capture)), &["c@there.example"]).await;
        put_in_hand(&world, late.id).await;
        world.settings.node = world.test.id();
        let (other, _) = scheduler(world.parts(&smarthost(sink.address))).await;
        hand.advance(Duration::from_secs(31));
        other.take_over().await.unwrap();
        world.until_all(late.id, "delivered").await;
    }
}
