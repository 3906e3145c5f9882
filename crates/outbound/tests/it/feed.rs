//! The event log as one account is told it.

use outbound::Outbound;
use outbound::feed::{self, Wanted};
use outbound::route::Route;
use store::{Id, both_engines};

use crate::world::{World, eventually};

fn wanted(account: Id, limit: usize) -> Wanted {
    Wanted {
        account,
        kinds: Vec::new(),
        stream: None,
        message: None,
        since: None,
        until: None,
        after: None,
        limit,
    }
}

async fn read(world: &World, wanted: Wanted) -> feed::Page {
    let read = world.test.db.read("read", move |tx| feed::read(tx, &wanted));
    read.await.unwrap()
}

/// The whole feed of the account, once it has `count` events: other tests' databases hold the log of PostgreSQL back.
async fn all(world: &World, count: usize) -> feed::Page {
    eventually("all can be read", async || {
        let page = read(world, wanted(world.principal.account, 100)).await;
        if page.events.len() >= count {
            Ok(page)
        } else {
            Err(page)
        }
    })
    .await
}

both_engines! {
    async fn events_are_told_with_what_they_happened_to_and_by_stream(test: TestDb) {
        let world = World::new(test).await;
        let outbound = Outbound::idle(world.parts(&Route::Capture));
        let first = world.accept(&outbound, &["one@there.example"]).await.id;
        for _ in 0..3 {
            world.accept(&outbound, &["two@there.example"]).await;
        }
        let account = world.principal.account;
        let page = all(&world, 4).await;
        assert_eq!((page.events.len(), page.more), (4, false));
        let data = &page.events[0].data;
        assert_eq!(data["message"], first.to_string());
        assert_eq!(data["stream"], "transactional");
        assert!(data["message_id"].is_string() && data["recipient"].is_null());
        // In parts they are the same, and each part says whether there is more.
        let part = read(&world, wanted(account, 3)).await;
        assert_eq!((part.events.as_slice(), part.more), (&page.events[..3], true));
        let rest = read(&world, Wanted { after: part.cursor, ..wanted(account, 3) }).await;
        assert_eq!((rest.events.as_slice(), rest.more), (&page.events[3..], false));
        let stream = |name: &str| Wanted { stream: Some(name.to_owned()), ..wanted(account, 100) };
        assert_eq!(read(&world, stream("transactional")).await.events, page.events);
        let none = read(&world, stream("marketing")).await;
        assert_eq!((none.events.len(), none.cursor), (0, page.cursor));
        assert!(read(&world, wanted(world.test.id(), 100)).await.events.is_empty());
    }
}
