//! Accounts with much to be told and accounts with little, told by one follower of the log or by several.

use std::sync::Arc;
use std::time::Duration;

use accounts::By;
use outbound::calls::{CallSettings, Client};
use outbound::webhooks::{Wanted, Webhooks};
use store::events::{self, Event};
use store::{Id, both_engines};

use crate::world::{World, until};

/// Endpoints and events of the account about which there is much to tell.
const ENDPOINTS: usize = 20;
const EVENTS: usize = 200;

fn webhooks(world: &World) -> Webhooks {
    let settings = CallSettings {
        allow_private: true,
        resolver: vec!["127.0.0.1:1".parse().unwrap()],
        resolver_timeout: Duration::from_millis(100),
        ca_file: None,
    };
    let client = Arc::new(Client::new(&settings).unwrap());
    let parts = (world.test.db.clone(), world.clock.clone(), world.test.ids.clone());
    Webhooks::new(client, parts)
}

async fn endpoint(webhooks: &Webhooks, account: Id) {
    let wanted = Wanted {
        // Nobody listens there: what is told stays on record.
        url: "http://127.0.0.1:1/".to_owned(),
        ..Wanted::default()
    };
    webhooks.create(account, wanted, &By::system()).await.unwrap();
}

async fn happen(world: &World, account: Id, times: usize) {
    let at = world.clock.now();
    let append = move |tx: &mut store::Tx<'_>| {
        (0..times).try_for_each(|n| {
            let data = format!("{{\"n\":{n}}}");
            let event = Event {
                at,
                account,
                message: None,
                ordinal: None,
                kind: "delivered",
                data: &data,
            };
            events::append(tx, &event)
        })
    };
    world.test.db.write("let something happen", append).await.unwrap();
}

both_engines! {
    async fn an_account_with_much_to_tell_delays_no_other(test: TestDb) {
        let world = World::new(test).await;
        let (busy, calm) = (world.principal.account, world.other_account("bob@sender.example").await);
        let followers = [webhooks(&world), webhooks(&world)];
        for _ in 0..ENDPOINTS {
            endpoint(&followers[0], busy).await;
        }
        endpoint(&followers[0], calm).await;
        happen(&world, busy, EVENTS).await;
        happen(&world, calm, 1).await;
        followers.iter().for_each(Webhooks::start);
        let all = (ENDPOINTS * EVENTS + 1) as i64;
        until("everybody is told", async || {
            world.count("SELECT COUNT(*) FROM webhook_deliveries").await >= all
        })
        .await;
        until("nobody waits for a turn", async || {
            world.count("SELECT COUNT(*) FROM webhook_backlogs").await == 0
        })
        .await;
        for follower in &followers {
            follower.shut_down(Duration::from_secs(5)).await;
        }
        // Each once, whichever follower did it.
        let pairs = "SELECT COUNT(*) FROM (SELECT DISTINCT webhook, event FROM webhook_deliveries) pairs";
        assert_eq!(world.count("SELECT COUNT(*) FROM webhook_deliveries").await, all);
        assert_eq!(world.count(pairs).await, all);
        // The last event of all is told when the other account had a turn or two.
        let before = world
            .count(
                "SELECT COUNT(*) FROM webhook_deliveries WHERE id < (SELECT d.id FROM webhook_deliveries d \
                 JOIN webhooks w ON w.id = d.webhook JOIN logins l ON l.account = w.account WHERE l.email = 'bob@sender.example')",
            )
            .await;
        assert!(before <= 500, "{before} of {all} came first");
        // To each endpoint in the order in which it happened.
        let rows = world
            .rows("SELECT webhook, payload FROM webhook_deliveries ORDER BY webhook, id")
            .await;
        let mut last = (Id::from_bytes([0; 16]), -1);
        for row in rows {
            let (webhook, payload) = (row.id(0).unwrap(), row.text(1).unwrap());
            let payload: serde_json::Value = serde_json::from_str(&payload).unwrap();
            let number = payload["data"]["n"].as_i64().unwrap();
            let expected = if webhook == last.0 { last.1 + 1 } else { 0 };
            assert_eq!(number, expected);
            last = (webhook, number);
        }
    }

    async fn what_happened_before_an_account_had_a_webhook_is_told_nobody(test: TestDb) {
        let world = World::new(test).await;
        let (early, late) = (world.principal.account, world.other_account("bob@sender.example").await);
        let follower = webhooks(&world);
        endpoint(&follower, early).await;
        follower.start();
        happen(&world, early, 1).await;
        happen(&world, late, 3).await;
        until("the first is told", async || world.count("SELECT COUNT(*) FROM webhook_deliveries").await == 1).await;
        endpoint(&follower, late).await;
        happen(&world, late, 2).await;
        until("what comes is told", async || world.count("SELECT COUNT(*) FROM webhook_deliveries").await == 3).await;
        follower.shut_down(Duration::from_secs(5)).await;
    }
}
