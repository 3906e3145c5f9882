//! A message from the door to the sink, and what is recorded of it.

use std::time::Duration;

use store::both_engines;

use crate::sink::{Act, Script, Sink};
use crate::world::World;

both_engines! {
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
