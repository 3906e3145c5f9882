//! A message from the door to the sink, and what is recorded of it.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use mail::address::Domain;
use mail::reply::Enhanced;
use outbound::Outbound;
use outbound::model::{Courier, LaneKey, Link, Outcome, Parcel, Pending, Verdict};
use outbound::route::Route;
use store::{Clock, both_engines};
use tokio::sync::{Semaphore, oneshot};

use crate::sink::{Act, Script, Sink};
use crate::world::{World, until};

/// Takes a message for every permit.
#[derive(Clone)]
struct Gate(Arc<Semaphore>, Clock);

impl Courier for Gate {
    fn lane(&self, _: Domain) -> Pending<'_, Result<LaneKey, Outcome>> {
        Box::pin(async { Ok(LaneKey::new("gate")) })
    }

    fn connect(&self, _: Domain) -> Pending<'_, Result<Box<dyn Link>, Outcome>> {
        Box::pin(async { Ok(Box::new(self.clone()) as Box<dyn Link>) })
    }
}

impl Link for Gate {
    fn deliver<'a>(&'a mut self, parcel: &'a Parcel) -> Pending<'a, Vec<Outcome>> {
        Box::pin(async {
            self.0.acquire().await.unwrap().forget();
            let taken =
                Outcome::without_reply(Verdict::Delivered, Enhanced::new(2, 0, 0), "taken", self.1.now());
            vec![taken; parcel.recipients.len()]
        })
    }

    fn is_usable(&self) -> bool {
        true
    }

    fn close(self: Box<Self>) -> Pending<'static, ()> {
        Box::pin(async {})
    }
}

both_engines! {
    async fn what_is_taken_and_not_recorded_yet_is_counted(test: TestDb) {
        let world = World::new(test).await;
        let gate = Gate(Arc::new(Semaphore::new(0)), world.clock.clone());
        let mut parts = world.parts(&Route::Capture);
        parts.courier = Arc::new(gate.clone());
        let outbound = Outbound::start(parts).await.unwrap();
        let message = world.accept(&outbound, &["b@there.example"]).await.id;
        // Somebody else's transaction keeps the row until it is told to end.
        let (end, ended) = mpsc::channel::<()>();
        let (begin, begun) = oneshot::channel();
        let (db, mut begin) = (world.test.db.clone(), Some(begin));
        let keeping = tokio::spawn(async move {
            db.write("keep a row", move |tx| {
                tx.run("UPDATE recipients SET reason = reason WHERE message = $1", &[message.into()])?;
                tx.query("SELECT 1 FROM recipients WHERE message = $1", &[message.into()])?;
                begin.take().map(|begin| begin.send(()));
                let _ = ended.recv();
                Ok(())
            })
            .await
        });
        begun.await.unwrap();
        assert_eq!(outbound.unrecorded().recipients, 0);
        gate.0.add_permits(1);
        until("it was taken", async || outbound.unrecorded().recipients == 1).await;
        assert_eq!(outbound.unrecorded().took.counts.iter().sum::<u64>(), 0);
        drop(end);
        keeping.await.unwrap().unwrap();
        until("it is recorded", async || outbound.unrecorded().recipients == 0).await;
        assert_eq!(outbound.unrecorded().took.counts.iter().sum::<u64>(), 1);
        assert!(world.fates(message).await[0].starts_with("delivered"));
    }

    async fn a_message_is_delivered_and_its_rows_say_so(test: TestDb) {
        let world = World::new(test).await;
        let sink = Sink::start(Script::default()).await;
        let outbound = world.send_to(sink.address).await;
        let accepted = world.accept(&outbound, &["b@there.example"]).await;
        let fates = world.until_all(accepted.id, "delivered").await;
        assert!(fates[0].starts_with("delivered: 250"), "{fates:?}");
        let messages = sink.messages();
        assert_eq!(messages.len(), 1);
        let text = String::from_utf8(messages[0].clone()).unwrap();
        assert!(text.contains("d=sender.example"), "signed: {text}");
        assert!(text.contains("Received: from client.example ([192.0.2.7])"), "{text}");
        assert!(text.contains("Message-ID: <") && text.contains("Date: "), "{text}");
        assert!(!text.contains("Bcc") && text.ends_with("\r\n\r\nHi.\r\n"), "{text}");
        let attempts = world.rows("SELECT outcome, code, host FROM attempts").await;
        assert_eq!(attempts[0].text(0).unwrap(), "delivered");
        assert_eq!(attempts[0].int(1).unwrap(), 250);
        let kinds: Vec<String> = world.rows("SELECT kind FROM events WHERE message IS NOT NULL ORDER BY at, seq").await
            .iter().map(|row| row.text(0).unwrap()).collect();
        assert_eq!(kinds, ["accepted", "delivered"]);
        assert_eq!(world.count("SELECT balance FROM accounts").await, 99_999);
        outbound.shut_down(Duration::from_secs(5)).await;
        assert_eq!(world.count("SELECT COUNT(*) FROM recipients WHERE node IS NOT NULL").await, 0);
        assert_eq!(outbound.counters().delivered, 1);
    }

    async fn one_failing_recipient_touches_no_other(test: TestDb) {
        let world = World::new(test).await;
        let script = Script::at("RCPT bad@there.example", Act::Say("550 5.1.1 No such user"));
        let sink = Sink::start(script).await;
        let outbound = world.send_to(sink.address).await;
        let accepted = world.accept(&outbound, &["a@there.example", "bad@there.example", "c@other.example"]).await;
        crate::world::until("all are settled", async || {
            world.fates(accepted.id).await.iter().all(|fate| !fate.starts_with("queued"))
        })
        .await;
        let fates = world.fates(accepted.id).await;
        assert!(fates[0].starts_with("delivered") && fates[2].starts_with("delivered"), "{fates:?}");
        assert_eq!(fates[1], "bounced: 550 5.1.1 No such user");
        // The report to the sender comes through the same sink.
        let is_report = |message: &Vec<u8>| {
            let text = String::from_utf8_lossy(message).into_owned();
            text.contains("report-type=delivery-status") && text.contains("bad@there.example")
        };
        crate::world::until("the report arrives", async || sink.messages().iter().any(is_report)).await;
        assert!(sink.commands().iter().any(|command| command.starts_with("MAIL FROM:<>")));
    }

    async fn a_deferred_recipient_is_tried_again(test: TestDb) {
        let world = World::new(test).await;
        let refusing = Sink::start(Script::at("RCPT", Act::Say("451 4.7.1 Greylisted"))).await;
        let outbound = world.send_to(refusing.address).await;
        let accepted = world.accept(&outbound, &["b@there.example"]).await;
        let fates = world.until_all(accepted.id, "deferred").await;
        assert_eq!(fates, ["deferred: next try after 451 4.7.1 Greylisted"]);
        outbound.shut_down(Duration::from_secs(5)).await;
        let taking = Sink::start(Script::default()).await;
        let outbound = world.send_to(taking.address).await;
        world.until_all(accepted.id, "delivered").await;
        assert_eq!(taking.messages().len(), 1);
        drop(outbound);
    }
}
