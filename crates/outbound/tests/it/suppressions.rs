//! The suppression list: who is left out of a message, what that costs, and how the list is kept.

use accounts::By;
use outbound::history::Detail;
use outbound::route::Route;
use outbound::suppressions::{self, EVERY_STREAM, Filter, Why};
use outbound::{Outbound, Suppress, Suppressed};
use store::{Id, both_engines};

use crate::sink::{Script, Sink};
use crate::world::{MESSAGE, World, address};

async fn suppress(world: &World, outbound: &Outbound, stream: &str, to: &str) -> Suppressed {
    let new = Suppress {
        stream: stream.into(),
        address: address(to),
        note: "asked on the phone".into(),
    };
    outbound
        .suppress(world.principal.account, new, &By::system())
        .await
        .unwrap()
}

async fn credits(world: &World) -> i64 {
    let account = world.principal.account;
    world.accounts.account(account).await.unwrap().credits.unwrap()
}

async fn detail(outbound: &Outbound, id: Id) -> Detail {
    outbound.message(None, id).await.unwrap().unwrap()
}

both_engines! {
    async fn a_suppressed_recipient_gets_nothing_and_costs_nothing_and_its_sender_is_told(test: TestDb) {
        let world = World::new(test).await;
        let sink = Sink::start(Script::default()).await;
        let outbound = world.send_to(sink.address).await;
        assert!(matches!(suppress(&world, &outbound, EVERY_STREAM, "Gone@There.example").await, Suppressed::Added(_)));
        let before = credits(&world).await;
        let sent = world.accept(&outbound, &["b@there.example", "gone@there.example", "c@there.example"]).await;
        assert_eq!(sent.recipients, 3);
        assert_eq!(credits(&world).await, before - 2);
        let day = world.count("SELECT CAST(SUM(amount) AS BIGINT) FROM credit_usage").await;
        assert_eq!(day, 2);
        crate::world::until("the others are delivered", async || {
            let fates = world.fates(sent.id).await;
            fates[0].starts_with("delivered") && fates[2].starts_with("delivered")
        })
        .await;
        let fates = world.fates(sent.id).await;
        assert!(fates[1].starts_with("suppressed: the address is suppressed: it was put on the suppression list ("), "{fates:?}");
        let events: Vec<(String, Option<i64>)> = detail(&outbound, sent.id)
            .await
            .events
            .into_iter()
            .map(|event| (event.kind, event.ordinal))
            .collect();
        assert!(events.contains(&("suppressed".into(), Some(1))), "{events:?}");
        crate::world::until("the sender is told", async || sink.messages().len() == 2).await;
        let messages = sink.messages();
        let told = |one: &&Vec<u8>| String::from_utf8_lossy(one).contains("Final-Recipient: rfc822; gone@there.example");
        let report = messages.iter().find(told);
        assert!(report.is_some());
        for command in sink.commands() {
            assert!(!command.to_lowercase().contains("gone@there.example"), "{command}");
        }
    }

    async fn a_message_that_reaches_nobody_costs_nothing_and_leaves_no_content(test: TestDb) {
        let world = World::new(test).await;
        let outbound = Outbound::idle(world.parts(&Route::Capture));
        suppress(&world, &outbound, EVERY_STREAM, "b@there.example").await;
        let before = credits(&world).await;
        let mut submission = world.submission(&["b@there.example", "B@there.example"], MESSAGE);
        submission.envelope.reverse_path = None;
        let sent = outbound.accept(submission).await.unwrap();
        assert_eq!(credits(&world).await, before);
        assert!(world.fates(sent.id).await.iter().all(|fate| fate.starts_with("suppressed")));
        // The content goes as that of any message nobody waits for: when it is kept for no longer.
        assert_eq!(world.count("SELECT COUNT(*) FROM recipients WHERE node IS NOT NULL").await, 0);
        assert_eq!(world.count("SELECT COUNT(*) FROM messages").await, 1);
    }

    async fn a_list_of_one_stream_says_nothing_about_the_others(test: TestDb) {
        let world = World::new(test).await;
        let outbound = Outbound::idle(world.parts(&Route::Capture));
        suppress(&world, &outbound, "marketing", "b@there.example").await;
        let sent = world.accept(&outbound, &["b@there.example"]).await;
        assert!(world.fates(sent.id).await[0].starts_with("queued"));
        suppress(&world, &outbound, "transactional", "b@there.example").await;
        let sent = world.accept(&outbound, &["b@there.example"]).await;
        assert!(world.fates(sent.id).await[0].starts_with("suppressed"));
    }

    async fn an_account_that_suppresses_nobody_pays_no_statement_and_one_that_does_pays_one_a_message(test: TestDb) {
        let world = World::new(test).await;
        let outbound = Outbound::idle(world.parts(&Route::Capture));
        let other = world.other_account("other@elsewhere.example").await;
        let cost = async |to: &[&str]| {
            let before = world.test.db.stats().statements;
            world.accept(&outbound, to).await;
            world.test.db.stats().statements - before
        };
        let many: Vec<String> = (0..40).map(|n| format!("r{n}@there.example")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let (one, forty) = (cost(&["b@there.example"]).await, cost(&many).await);
        assert_eq!(forty - one, 39);
        // Somebody else's list is nobody's business.
        let new = Suppress { stream: String::new(), address: address("b@there.example"), note: String::new() };
        outbound.suppress(other, new, &By::system()).await.unwrap();
        assert_eq!(cost(&["b@there.example"]).await, one);
        suppress(&world, &outbound, EVERY_STREAM, "gone@there.example").await;
        assert_eq!((cost(&["b@there.example"]).await, cost(&many).await), (one + 1, forty + 1));
    }

    async fn a_first_entry_made_by_another_process_counts_for_the_next_message(test: TestDb) {
        let world = World::new(test).await;
        let outbound = Outbound::idle(world.parts(&Route::Capture));
        world.accept(&outbound, &["b@there.example"]).await;
        let (account, id) = (world.principal.account, world.test.id());
        let now = world.clock.now();
        world.test.db.write("as another node would", move |tx| {
            let entry = suppressions::New {
                account,
                stream: EVERY_STREAM,
                address: &address("b@there.example"),
                why: Why::HardBounce,
                note: "",
                of: None,
            };
            suppressions::add(tx, (id, now), &entry)
        }).await.unwrap();
        let sent = world.accept(&outbound, &["b@there.example"]).await;
        assert!(world.fates(sent.id).await[0].starts_with("suppressed: the address is suppressed: mail to it bounced for good"));
    }

    async fn entries_are_listed_searched_and_taken_back_by_their_own_account_only(test: TestDb) {
        let world = World::new(test).await;
        let outbound = Outbound::idle(world.parts(&Route::Capture));
        let account = world.principal.account;
        let other = world.other_account("other@elsewhere.example").await;
        for to in ["a@there.example", "b@there.example", "c_d@there.example"] {
            assert!(matches!(suppress(&world, &outbound, EVERY_STREAM, to).await, Suppressed::Added(_)));
        }
        assert!(matches!(suppress(&world, &outbound, EVERY_STREAM, "B@there.example").await, Suppressed::Already(_)));
        let list = async |filter: Filter| {
            let found = outbound.suppressions(account, Filter { limit: 10, ..filter }).await.unwrap().items;
            found.into_iter().map(|one| one.address).collect::<Vec<_>>()
        };
        assert_eq!(list(Filter::default()).await, ["c_d@there.example", "b@there.example", "a@there.example"]);
        assert_eq!(list(Filter { text: Some("C_D".into()), ..Filter::default() }).await, ["c_d@there.example"]);
        assert!(list(Filter { why: Some(Why::Complaint), ..Filter::default() }).await.is_empty());
        let all = outbound.suppressions(account, Filter { limit: 10, ..Filter::default() }).await.unwrap().items;
        assert_eq!(list(Filter { after: Some(all[0].id), ..Filter::default() }).await.len(), 2);
        assert_eq!(outbound.unsuppress(other, all[1].id, "mine?", &By::system()).await.unwrap(), None);
        assert!(outbound.unsuppress(account, all[1].id, "asked to", &By::system()).await.unwrap().is_some());
        assert_eq!(outbound.unsuppress(account, all[1].id, "asked to", &By::system()).await.unwrap(), None);
        let sent = world.accept(&outbound, &["b@there.example"]).await;
        assert!(world.fates(sent.id).await[0].starts_with("queued"));
        let lines = world.rows("SELECT action, target, detail FROM audit ORDER BY id").await;
        let last = lines.last().unwrap();
        assert_eq!(last.text(0).unwrap(), "suppression.removed");
        assert_eq!(last.text(1).unwrap(), "b@there.example");
        assert_eq!(last.text(2).unwrap(), "every stream; was manual; asked to");
    }

    async fn an_import_adds_reports_each_line_and_takes_nothing_away(test: TestDb) {
        let world = World::new(test).await;
        let outbound = Outbound::idle(world.parts(&Route::Capture));
        let account = world.principal.account;
        suppress(&world, &outbound, EVERY_STREAM, "old@there.example").await;
        let sheet = suppressions::read_sheet(
            "address,note\nold@there.example,new note\nnew@there.example,\nno address\nNEW@there.example,twice\n",
        )
        .unwrap();
        let imported = outbound.import_suppressions(account, EVERY_STREAM, sheet, &By::system()).await.unwrap();
        assert_eq!((imported.added, imported.already, imported.full_from), (1, 2, None));
        assert_eq!(imported.refused, [(4, "no address".to_owned(), "the address has no @".to_owned())]);
        let found = outbound.suppressions(account, Filter { limit: 10, ..Filter::default() }).await.unwrap().items;
        let notes: Vec<_> = found.iter().map(|one| (one.why, one.note.as_str())).collect();
        assert_eq!(notes, [(Why::Import, ""), (Why::Manual, "asked on the phone")]);
    }
}
