//! The mail of a paused account waits for somebody's decision, and each decision reaches all of it, from whatever process.

use std::time::Duration;

use accounts::By;
use mail::replies;
use outbound::Outbound;
use outbound::model::{LaneKey, Refused};
use outbound::route::Route;
use store::both_engines;

use crate::sink::{Act, Script, Sink};
use crate::world::{MESSAGE, World, scheduler, smarthost, until};

const HELD: &str = "held: held: the account is paused";

both_engines! {
    async fn what_waits_is_held_and_goes_on_when_the_account_does(test: TestDb) {
        let mut world = World::new(test).await;
        world.settings.retry.retry = vec![Duration::from_hours(1)];
        let sink = Sink::start(Script::at("RCPT later@there.example", Act::Say("451 4.7.1 Later"))).await;
        let lane = LaneKey::new(&sink.address.to_string());
        let outbound = world.send_to(sink.address).await;
        let deferred = world.accept(&outbound, &["later@there.example"]).await.id;
        world.until_all(deferred, "deferred").await;
        outbound.pause_lane(lane.clone(), &By::system()).await.unwrap();
        until("the pause is seen", async || outbound.lanes().iter().any(|view| view.paused)).await;
        let queued = world.accept(&outbound, &["b@there.example"]).await.id;
        world.until_all(queued, "queued: lane").await;
        let account = world.principal.account;
        world.accounts.suspend_and_hold(account, "Write to us.", &By::system()).await.unwrap();
        assert_eq!(world.until_all(deferred, "held").await, [HELD]);
        assert_eq!(world.until_all(queued, "held").await, [HELD]);
        assert_eq!(outbound.held(account, 100).await.unwrap(), 2);
        assert_eq!(outbound.held(account, 1).await.unwrap(), 1);
        let refused = outbound.accept(world.submission(&["c@there.example"], MESSAGE)).await;
        assert_eq!(refused, Err(Refused(replies::account_suspended("Write to us."))));
        assert_eq!(world.count("SELECT COUNT(*) FROM events WHERE kind = 'held'").await, 2);
        outbound.resume_lane(lane, &By::system()).await.unwrap();
        world.accounts.resume(account, &By::system()).await.unwrap();
        world.until_all(queued, "delivered").await;
        until("the deferred one is tried again", async || {
            world.count("SELECT COUNT(*) FROM attempts").await == 3
        }).await;
        assert_eq!(outbound.held(account, 100).await.unwrap(), 0);
    }

    async fn a_server_that_starts_holds_what_it_takes_up_and_hears_of_the_end_from_elsewhere(test: TestDb) {
        let world = World::new(test).await;
        let account = world.principal.account;
        let command = Outbound::idle(world.parts(&Route::Capture));
        let waiting = world.accept(&command, &["b@there.example", "c@there.example"]).await.id;
        world.accounts.suspend_and_hold(account, "Write to us.", &By::system()).await.unwrap();
        let sink = Sink::start(Script::default()).await;
        let _outbound = world.send_to(sink.address).await;
        assert_eq!(world.until_all(waiting, "held").await, [HELD, HELD]);
        assert!(sink.messages().is_empty());
        // Asking for another try does not get around it.
        assert_eq!(command.retry(waiting, Some(0), &By::system()).await.unwrap().rows, 1);
        world.until_all(waiting, "held").await;
        assert!(sink.messages().is_empty());
        let settings = accounts::Settings {
            free_credits: 0,
            hostname: "us.example".into(), inbound: false,
        dkim_zone: None, links: None,
            day_limits: accounts::StandardLimits::default(),
            guard: accounts::GuardSettings::default(), sign_up: accounts::SignUpMode::Open,
        };
        let db = world.test.reopen().await;
        let elsewhere = accounts::Accounts::new(db, world.clock.clone(), world.test.ids.clone(), settings);
        elsewhere.resume(account, &By::command_line()).await.unwrap();
        world.until_all(waiting, "delivered").await;
    }

    async fn what_is_returned_is_given_up_with_one_report_a_message_which_is_not_held(test: TestDb) {
        let world = World::new(test).await;
        let account = world.principal.account;
        let command = Outbound::idle(world.parts(&Route::Capture));
        let first = world.accept(&command, &["b@there.example", "c@there.example", "d@there.example"]).await.id;
        let second = world.accept(&command, &["e@there.example"]).await.id;
        world.accounts.suspend_and_hold(account, "Write to us.", &By::system()).await.unwrap();
        let sink = Sink::start(Script::default()).await;
        let (core, _door) = scheduler(world.parts(&smarthost(sink.address))).await;
        world.until_all(first, "held").await;
        world.until_all(second, "held").await;
        assert_eq!(command.return_held(account, &By::system()).await.unwrap(), 4);
        core.sweep().await;
        let fates = world.until_all(first, "expired").await;
        assert_eq!(fates[2], "expired: given up after the account was paused and its mail returned");
        world.until_all(second, "expired").await;
        assert_eq!(world.count("SELECT COUNT(*) FROM messages WHERE reverse_path = ''").await, 2);
        until("the reports arrive", async || sink.messages().len() == 2).await;
        let reports = sink.messages().concat();
        let text = String::from_utf8_lossy(&reports);
        for to in ["b@", "c@", "d@", "e@"] {
            assert!(text.contains(&format!("{to}there.example")), "{to}: {text}");
        }
        assert!(text.contains("the account was paused and its mail returned"), "{text}");
    }

    async fn retry_and_cancel_reach_what_is_held(test: TestDb) {
        let world = World::new(test).await;
        let command = Outbound::idle(world.parts(&Route::Capture));
        let [again, gone] = [
            world.accept(&command, &["b@there.example"]).await.id,
            world.accept(&command, &["c@there.example"]).await.id,
        ];
        for message in [again, gone] {
            world.change("UPDATE recipients SET state = 'held', reason = 'held: by hand' WHERE message = $1", message).await;
        }
        assert_eq!(command.retry(again, None, &By::system()).await.unwrap().rows, 1);
        assert_eq!(command.cancel(gone, None, &By::system()).await.unwrap().ordinals, [0]);
        assert_eq!(world.fates(again).await, ["queued: asked to try now"]);
        assert_eq!(world.fates(gone).await, ["cancelled: cancelled by hand"]);
        let sink = Sink::start(Script::default()).await;
        let _outbound = world.send_to(sink.address).await;
        world.until_all(again, "delivered").await;
        assert_eq!(sink.messages().len(), 1);
    }
}
