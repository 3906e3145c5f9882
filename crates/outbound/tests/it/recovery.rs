//! What a crash, a shutdown, another node and a lost database leave behind: everything, and nothing twice.

use accounts::By;
use std::sync::Arc;
use std::time::Duration;

use mail::time::Time;
use outbound::Outbound;
use outbound::model::{LaneKey, Next, State};
use outbound::route::Route;
use outbound::settle::{self, Reporter, Settlement};
use outbound::spool::{self, Keeping, PurgePlace, Settled};
use store::{Clock, Tx, both_engines};

use crate::sink::{Act, Script, Sink};
use crate::world::{MESSAGE, World, scheduler, smarthost, until};

/// Removes what is old at this moment; says how many messages that were.
async fn purge(world: &World, now: Time) -> u64 {
    let keeping = Keeping {
        content: Duration::ZERO,
        messages: Duration::ZERO,
        give_up: Duration::from_hours(1_000),
    };
    let work = move |tx: &mut Tx<'_>| {
        spool::bodies(tx, &keeping, now, 100)?;
        let old = spool::old(tx, &keeping, now, PurgePlace::default(), 100)?;
        Ok(spool::remove_old(tx, &old.messages)?.len() as u64)
    };
    world.test.db.write("purge", work).await.unwrap()
}

both_engines! {
    async fn what_a_killed_process_had_in_hand_is_delivered_by_the_next(test: TestDb) {
        let world = World::new(test).await;
        // Never answers the message: deliveries hang in flight.
        let hanging = Sink::start(Script::at("BODY", Act::Silence)).await;
        let outbound = world.send_to(hanging.address).await;
        let mut ids = Vec::new();
        for n in 0..30 {
            ids.push(world.accept(&outbound, &[&format!("u{n}@there.example")]).await.id);
        }
        until("some are in flight", async || hanging.connections() > 3).await;
        assert_eq!(world.count("SELECT COUNT(*) FROM recipients WHERE node IS NOT NULL").await, 30);
        drop(outbound);
        let taking = Sink::start(Script::default()).await;
        let outbound = world.send_to(taking.address).await;
        for id in ids {
            world.until_all(id, "delivered").await;
        }
        assert_eq!(taking.messages().len(), 30);
        assert_eq!(world.count("SELECT COUNT(*) FROM recipients WHERE node IS NOT NULL").await, 0);
        drop(outbound);
    }

    async fn a_row_that_cannot_be_read_is_held_and_keeps_no_other_waiting(test: TestDb) {
        let world = World::new(test).await;
        let waiting = Outbound::idle(world.parts(&Route::Capture));
        let broken = world.accept(&waiting, &["first@there.example"]).await.id;
        let fine = world.accept(&waiting, &["second@there.example"]).await.id;
        world
            .test
            .db
            .write("break a row", move |tx| {
                tx.run("UPDATE recipients SET address = '@@broken' WHERE message = $1", &[broken.into()])
            })
            .await
            .unwrap();
        let sink = Sink::start(Script::default()).await;
        let outbound = world.send_to(sink.address).await;
        world.until_all(fine, "delivered").await;
        let fates = world.until_all(broken, "held").await;
        assert!(fates[0].contains("cannot be read"), "{fates:?}");
        let told = world.rows("SELECT data, ordinal FROM events WHERE kind = 'held'").await;
        assert_eq!((told.len(), told[0].int(1).unwrap()), (1, 0));
        assert!(told[0].text(0).unwrap().contains("cannot be read"));
        drop(outbound);
    }

    async fn what_is_held_expires_as_all_that_waits(test: TestDb) {
        let mut world = World::new(test).await;
        let (clock, hand) = Clock::manual(world.clock.now());
        world.clock = clock;
        let waiting = Outbound::idle(world.parts(&Route::Capture));
        let mut broken = Vec::new();
        for (to, breaking, mending) in [
            ("a@there.example", "UPDATE recipients SET address = '@@broken' WHERE message = $1", None),
            ("b@there.example", "UPDATE messages SET reverse_path = '@@broken' WHERE id = $1", None),
            (
                "c@there.example",
                "UPDATE recipients SET address = '@@broken' WHERE message = $1",
                Some("UPDATE recipients SET address = 'c@there.example' WHERE message = $1"),
            ),
        ] {
            let id = world.accept(&waiting, &[to]).await.id;
            world.change(breaking, id).await;
            broken.push((id, mending));
        }
        let (scheduler, _) = scheduler(world.parts(&Route::Capture)).await;
        for (id, mending) in &broken {
            world.until_all(*id, "held").await;
            if let Some(mending) = mending {
                world.change(mending, *id).await;
            }
        }
        scheduler.sweep().await;
        let far = world.clock.now().plus(Duration::from_hours(1000));
        assert_eq!(purge(&world, far).await, 0, "what is held stays until it is given up");
        assert_eq!(world.count("SELECT COUNT(*) FROM recipients WHERE state = 'held'").await, 3, "it is not time yet");

        hand.advance(Duration::from_hours(2));
        scheduler.sweep().await;
        for (id, _) in &broken {
            let fates = world.until_all(*id, "expired").await;
            assert!(fates[0].contains("given up after held: its row") && fates[0].contains("cannot be read"), "{fates:?}");
        }
        assert_eq!(world.count("SELECT COUNT(*) FROM events WHERE kind = 'expired'").await, 3);
        let counted = scheduler.counters.snapshot();
        assert_eq!((counted.expired, counted.reports), (3, 1), "one could be read again and has its report");
    }

    async fn a_message_that_cannot_be_reported_on_keeps_no_lane_waiting(test: TestDb) {
        let world = World::new(test).await;
        let command = Outbound::idle(world.parts(&Route::Capture));
        let id = world.accept(&command, &["b@there.example"]).await.id;
        let (node, now) = (world.settings.node, world.clock.now());
        let claimed = world.test.db.write("take up", move |tx| spool::claim_due(tx, node, now, 10)).await.unwrap().remove(0);
        let next = Next { state: State::Delivered, reason: "250 2.0.0 taken".into(), next_at: None, report: None };
        let settlement = Settlement {
            node,
            message: Arc::new(claimed.message),
            body: Some(MESSAGE.into()),
            results: vec![(claimed.recipient, Settled { ordinal: 0, attempts: 0, outcome: None, next })],
            // One that lacks an identifier cannot be put into the inbox: a panic, every time.
            captured: Some(Vec::new()),
            copies: None,
            reporter: Arc::new(Reporter {
                hostname: "us.example".into(),
                give_up: Duration::from_hours(1),
                keep_content: Duration::ZERO,
            }),
            ids: world.test.ids.clone(),
            report_id: world.test.id(),
            at: now,
        };
        let recording = settle::recording(settlement);
        until("it is recorded", async || {
            let recorded = world.test.db.write("settle", recording.clone()).await;
            recorded.is_ok_and(|recorded| recorded.delivered == 1)
        })
        .await;
        assert_eq!(world.fates(id).await, ["delivered: 250 2.0.0 taken"]);
        let told = world.rows("SELECT data FROM events WHERE kind = 'delivered'").await;
        assert_eq!(told.len(), 1);
        // It reached nobody, whether it could be kept or not.
        assert!(told[0].text(0).unwrap().contains(accounts::CAPTURED_MAIL));
    }

    async fn a_shutdown_finishes_what_is_in_flight_and_gives_the_rest_back(test: TestDb) {
        let mut world = World::new(test).await;
        world.settings.connections_per_lane = 2;
        let sink = Sink::start(Script::default()).await;
        let outbound = world.send_to(sink.address).await;
        let mut ids = Vec::new();
        for n in 0..40 {
            ids.push(world.accept(&outbound, &[&format!("u{n}@there.example")]).await.id);
        }
        outbound.shut_down(Duration::from_secs(10)).await;
        let delivered = world.count("SELECT COUNT(*) FROM recipients WHERE state = 'delivered'").await;
        assert_eq!(sink.messages().len() as i64, delivered, "what was sent is recorded");
        assert_eq!(world.count("SELECT COUNT(*) FROM recipients WHERE node IS NOT NULL").await, 0);
        // Accepting still works and waits for the next start.
        ids.push(world.accept(&outbound, &["late@there.example"]).await.id);
        let outbound = world.send_to(sink.address).await;
        for id in ids {
            world.until_all(id, "delivered").await;
        }
        assert_eq!(sink.messages().len(), 41);
        drop(outbound);
    }

    async fn mail_accepted_beside_a_running_server_is_delivered_by_it(test: TestDb) {
        let world = World::new(test).await;
        let sink = Sink::start(Script::default()).await;
        let outbound = world.send_to(sink.address).await;
        let command = Outbound::idle(world.parts(&Route::Capture));
        let accepted = world.accept(&command, &["b@there.example"]).await;
        world.until_all(accepted.id, "delivered").await;
        drop(outbound);
    }

    async fn rows_of_a_node_that_died_pass_on(test: TestDb) {
        let world = World::new(test).await;
        let sink = Sink::start(Script::default()).await;
        let command = Outbound::idle(world.parts(&Route::Capture));
        let accepted = world.accept(&command, &["b@there.example"]).await;
        let dead = world.test.id();
        world.test.db.write("as a dead node would leave it", move |tx| {
            store::nodes::register(tx, dead, "dead", Time::from_secs(1))?;
            tx.execute("UPDATE recipients SET node = $1", &[dead.into()])
        }).await.unwrap();
        let (scheduler, _) = scheduler(world.parts(&smarthost(sink.address))).await;
        scheduler.take_over().await.unwrap();
        world.until_all(accepted.id, "delivered").await;
        assert_eq!(world.count("SELECT COUNT(*) FROM nodes").await, 1);
    }

    async fn an_outcome_under_a_lost_lease_is_not_recorded(test: TestDb) {
        let world = World::new(test).await;
        let hanging = Sink::start(Script::at("BODY", Act::Silence)).await;
        let outbound = world.send_to(hanging.address).await;
        let accepted = world.accept(&outbound, &["b@there.example"]).await;
        until("it is in flight", async || hanging.messages().len() == 1).await;
        // From this process the wire wins; another process that cancels takes the lease away.
        let kept = outbound.cancel(accepted.id, None, &By::system()).await.unwrap();
        assert_eq!((kept.ordinals.len(), kept.on_the_wire), (0, 1));
        let command = Outbound::idle(world.parts(&Route::Capture));
        assert_eq!(command.cancel(accepted.id, None, &By::system()).await.unwrap().ordinals, [0]);
        until("the outcome came and was not recorded", async || {
            hanging.hang_up();
            outbound.counters().leases_lost == 1
        })
        .await;
        assert_eq!(world.fates(accepted.id).await, ["cancelled: cancelled by hand"]);
        assert_eq!(world.count("SELECT COUNT(*) FROM attempts").await, 0);
    }

    async fn what_waited_too_long_expires_with_a_report(test: TestDb) {
        let mut world = World::new(test).await;
        let (clock, hand) = Clock::manual(world.clock.now());
        world.clock = clock;
        world.settings.retry.retry = vec![Duration::from_mins(1)];
        let sink = Sink::start(Script::at("RCPT b@there.example", Act::Say("451 4.7.1 Later"))).await;
        let outbound = world.send_to(sink.address).await;
        let accepted = world.accept(&outbound, &["b@there.example"]).await;
        world.until_all(accepted.id, "deferred").await;
        // What it waits for meanwhile is no answer of the one who refused it.
        let lane = LaneKey::new(&sink.address.to_string());
        outbound.pause_lane(lane, &By::system()).await.unwrap();
        hand.advance(Duration::from_mins(2));
        world.until_all(accepted.id, "deferred: lane").await;
        hand.advance(Duration::from_hours(2));
        let fates = world.until_all(accepted.id, "expired").await;
        assert_eq!(fates, ["expired: given up after 451 4.7.1 Later"]);
        until("the report is counted", async || outbound.counters().reports == 1).await;
        assert_eq!(outbound.counters().expired, 1);
    }

    async fn who_hears_that_it_expired_before_its_next_turn_hears_what_the_last_one_brought(test: TestDb) {
        let mut world = World::new(test).await;
        let (clock, hand) = Clock::manual(world.clock.now());
        world.clock = clock;
        world.settings.retry.retry = vec![Duration::from_mins(1)];
        world.settings.connections_per_lane = 1;
        let script = Script::at("RCPT b@there.example", Act::Say("451 4.7.1 Later")).and("RCPT c@there.example", Act::Silence);
        let sink = Sink::start(script).await;
        let (core, door) = scheduler(world.parts(&smarthost(sink.address))).await;
        let late = door.accept(world.submission(&["b@there.example"], MESSAGE)).await.unwrap().id;
        world.until_all(late, "deferred").await;
        door.accept(world.submission(&["c@there.example"], MESSAGE)).await.unwrap();
        until("the only connection is taken", async || core.views().iter().any(|lane| lane.in_flight == 1)).await;
        hand.advance(Duration::from_mins(2));
        until("it waits for it in memory", async || world.count("SELECT COUNT(*) FROM recipients WHERE node IS NOT NULL").await == 2).await;
        hand.advance(Duration::from_hours(2));
        core.sweep().await;
        assert_eq!(world.until_all(late, "expired").await, ["expired: given up after 451 4.7.1 Later"]);
    }

    async fn a_database_that_takes_no_result_keeps_nobody_from_looking_what_is_in_hand(test: TestDb) {
        let mut world = World::new(test).await;
        let (clock, hand) = Clock::manual(world.clock.now());
        world.clock = clock;
        let late = world.accept(&Outbound::idle(world.parts(&Route::Capture)), &["b@there.example"]).await;
        hand.advance(Duration::from_hours(2));
        world.test.db.write("break the results", |tx| tx.run("ALTER TABLE events RENAME TO lost", &[])).await.unwrap();
        let (scheduler, _) = scheduler(world.parts(&Route::Capture)).await;
        until("the result is tried in vain", async || scheduler.counters.snapshot().settle_retries > 1).await;
        let looking = tokio::time::timeout(Duration::from_mins(1), scheduler.reconcile()).await;
        assert_eq!(looking.expect("nobody waits for a result").unwrap(), 0);
        world.test.db.write("mend them", |tx| tx.run("ALTER TABLE lost RENAME TO events", &[])).await.unwrap();
        world.until_all(late.id, "expired").await;
    }

    async fn content_goes_with_the_last_recipient_when_nothing_is_kept(test: TestDb) {
        let mut world = World::new(test).await;
        world.settings.keep_content = Duration::ZERO;
        let sink = Sink::start(Script::at("RCPT later@there.example", Act::Say("451 4.7.1 Later"))).await;
        let outbound = world.send_to(sink.address).await;
        let one = world.accept(&outbound, &["b@there.example"]).await;
        let both = world.accept(&outbound, &["b@there.example", "later@there.example"]).await;
        world.until_all(one.id, "delivered").await;
        until("one was delivered", async || world.fates(both.id).await[0].starts_with("delivered")).await;
        assert!(outbound.source(None, one.id).await.unwrap().is_none());
        assert!(outbound.source(None, both.id).await.unwrap().is_some());
        until("the other is cancelled", async || {
            !outbound.cancel(both.id, None, &By::system()).await.unwrap().ordinals.is_empty()
        }).await;
        assert!(outbound.source(None, both.id).await.unwrap().is_none());
    }

    async fn what_is_old_goes_and_what_waits_stays(test: TestDb) {
        let world = World::new(test).await;
        let sink = Sink::start(Script::at("RCPT later@there.example", Act::Say("451 4.7.1 Later"))).await;
        let outbound = world.send_to(sink.address).await;
        let done = world.accept(&outbound, &["b@there.example"]).await;
        let waiting = world.accept(&outbound, &["later@there.example"]).await;
        world.until_all(done.id, "delivered").await;
        let far = world.clock.now().plus(Duration::from_hours(1000));
        assert_eq!(purge(&world, far).await, 1);
        assert!(world.fates(done.id).await.is_empty());
        assert!(outbound.source(None, waiting.id).await.unwrap().is_some(), "what waits keeps its content");
        assert_eq!(world.count("SELECT COUNT(*) FROM attempts a WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = a.message)").await, 0);
    }
}
