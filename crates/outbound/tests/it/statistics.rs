//! The names with most are shown, whenever in the day they came.

use outbound::Outbound;
use outbound::route::Route;
use outbound::statistics::{self, By, Range};
use store::both_engines;
use store::events::{self, Event};

use crate::world::World;

both_engines! {
    async fn the_providers_with_most_are_told_and_the_others_together(test: TestDb) {
        let world = World::new(test).await;
        let outbound = Outbound::idle(world.parts(&Route::Capture));
        let (message, account) = (world.accept(&outbound, &["b@there.example"]).await.id, world.principal.account);
        let now = world.clock.now();
        // Forty providers, and the last that are heard of take the most mail.
        world.test.db.write("deliver", move |tx| {
            for n in 1..=40 {
                let data = format!("{{\"host\":\"mx.p{n}.example\"}}");
                for _ in 0..n {
                    let event = Event { at: now, account, message: Some(message), ordinal: Some(0), kind: "delivered", data: &data };
                    events::append(tx, &event)?;
                }
            }
            Ok(())
        })
        .await
        .unwrap();
        let today = now.day();
        let told = async || {
            let days = Range { from: today, to: today };
            let items = outbound.statistics(account, By::Provider, None, days).await.unwrap();
            let one = |item: &statistics::Item| (item.name.clone().unwrap(), item.counts.kinds["delivered"]);
            items.iter().map(one).collect::<Vec<_>>()
        };
        // Events are counted once no transaction that began before them is open, and other tests have theirs.
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_mins(1);
        let before = loop {
            statistics::count(&world.test.db).await.unwrap();
            let told = told().await;
            if told.first().is_some_and(|(_, count)| *count == 40) {
                break told;
            }
            assert!(tokio::time::Instant::now() < deadline, "{told:?}");
            tokio::task::yield_now().await;
        };
        assert_eq!((before.len(), &before[0], &before[29]), (31, &("p40.example".to_owned(), 40), &("p11.example".to_owned(), 11)));
        assert_eq!(before[30], ("*".to_owned(), (1..=10).sum()), "the last one is all the others");
        // When the day is over the others are counted together for good.
        statistics::tidy(&world.test.db, today + 1).await.unwrap();
        assert_eq!(told().await, before);
        let names = "SELECT COUNT(DISTINCT name) FROM statistics WHERE dimension = 'provider'";
        assert_eq!(world.count(names).await, 31);
        let stream = outbound.statistics(account, By::Day, Some("transactional".into()), Range { from: today, to: today }).await.unwrap();
        assert_eq!((stream.len(), stream[0].counts.kinds["delivered"]), (1, (1..=40).sum()));
        let other = outbound.statistics(account, By::Day, Some("marketing".into()), Range { from: today, to: today }).await.unwrap();
        assert!(other.is_empty());
    }
}
