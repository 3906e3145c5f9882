//! What people see of messages and do to them: lists, pages, retry, cancel, pause, the inbox.

use accounts::By;
use std::time::Duration;

use mail::notify::Notify;
use mail::time::Time;
use outbound::Outbound;
use outbound::capture::InboxFilter;
use outbound::history::{ExportPlace, Filter};
use outbound::model::{LaneKey, State};
use outbound::route::Route;
use store::{Clock, both_engines};

use crate::sink::{Act, Script, Sink};
use crate::world::{MESSAGE, World, until};

fn page(text: Option<&str>, state: Option<State>) -> Filter {
    Filter {
        text: text.map(str::to_owned),
        state,
        limit: 10,
        ..Filter::default()
    }
}

both_engines! {
    async fn messages_are_found_by_text_state_and_page(test: TestDb) {
        let world = World::new(test).await;
        let outbound = Outbound::idle(world.parts(&Route::Capture));
        let mut ids = Vec::new();
        for to in ["one@there.example", "two@there.example", "three@else.example"] {
            ids.push(world.accept(&outbound, &[to]).await.id);
        }
        let found = async |filter| -> Vec<_> {
            outbound.messages(filter).await.unwrap().items.iter().map(|one| one.id).collect()
        };
        assert_eq!(found(page(None, None)).await, [ids[2], ids[1], ids[0]]);
        assert_eq!(found(page(Some("TWO@there"), None)).await, [ids[1]]);
        assert_eq!(found(page(Some("hello"), Some(State::Queued))).await.len(), 3);
        assert!(found(page(None, Some(State::Bounced))).await.is_empty());
        let after = Filter { after: Some(ids[1]), ..page(None, None) };
        assert_eq!(found(after.clone()).await, [ids[0]]);
        assert_eq!(found(Filter { oldest_first: true, ..after }).await, [ids[2]]);
        let others = Filter { account: Some(world.test.id()), ..page(None, None) };
        assert!(found(others).await.is_empty());
        let early = Filter { until: Some(Time::from_secs(1)), ..page(None, None) };
        assert!(found(early).await.is_empty());
        let page = outbound.message(Some(world.principal.account), ids[0]).await.unwrap().unwrap();
        assert_eq!(page.recipients[0].address, "one@there.example");
        assert_eq!(page.origin.protocol, "ESMTPSA");
        assert!(page.content_available && page.content_kept_until.is_some());
        assert_eq!(page.events[0].kind, "accepted");
        assert!(outbound.message(Some(world.test.id()), ids[0]).await.unwrap().is_none());
        let source = outbound.source(Some(world.principal.account), ids[0]).await.unwrap().unwrap();
        assert!(source.starts_with(b"Received: "));
    }

    async fn captured_mail_lands_in_the_inbox_on_the_same_way(test: TestDb) {
        let world = World::new(test).await;
        let outbound = Outbound::start(world.parts(&Route::Capture)).await.unwrap();
        let accepted = world.accept(&outbound, &["one@there.example", "two@there.example"]).await;
        world.until_all(accepted.id, "delivered").await;
        let inbox = outbound.inbox(InboxFilter { limit: 10, ..InboxFilter::default() }).await.unwrap();
        assert_eq!(inbox.len(), 2);
        let found = InboxFilter { text: Some("ONE@".into()), limit: 10, ..InboxFilter::default() };
        assert_eq!(outbound.inbox(found).await.unwrap().len(), 1);
        let mail = outbound.inbox_mail(None, inbox[0].id).await.unwrap().unwrap();
        assert_eq!(mail.subject, "hello");
        assert!(outbound.inbox_mail(Some(world.test.id()), mail.id).await.unwrap().is_none());
        let content = outbound.inbox_content(mail.id).await.unwrap().unwrap();
        assert_eq!(mail.size, content.len() as u64);
        assert!(content.ends_with(b"Hi.\r\n"));
        assert_eq!(outbound.clear_inbox(Some(world.principal.account)).await.unwrap(), 2);
    }

    async fn the_inbox_of_an_account_holds_so_many_octets_and_the_newest_stay(test: TestDb) {
        let mut world = World::new(test).await;
        let outbound = Outbound::start(world.parts(&Route::Capture)).await.unwrap();
        let accepted = world.accept(&outbound, &["one@there.example", "two@there.example", "six@there.example"]).await;
        world.until_all(accepted.id, "delivered").await;
        let all = InboxFilter { limit: 10, ..InboxFilter::default() };
        let before = outbound.inbox(all.clone()).await.unwrap();
        assert_eq!(before.len(), 3);
        outbound.shut_down(Duration::from_secs(10)).await;
        // What is too much is removed by the upkeep, which comes first when sending starts.
        world.settings.inbox_octets = before[0].size + before[1].size;
        let outbound = Outbound::start(world.parts(&Route::Capture)).await.unwrap();
        until("the oldest is gone", async || outbound.inbox(all.clone()).await.unwrap().len() == 2).await;
        let left: Vec<_> = outbound.inbox(all).await.unwrap().into_iter().map(|mail| mail.id).collect();
        assert_eq!(left, [before[0].id, before[1].id]);
    }

    async fn what_waits_is_cancelled_and_is_not_sent(test: TestDb) {
        let world = World::new(test).await;
        let sink = Sink::start(Script::at("RCPT", Act::Say("451 4.7.1 Later"))).await;
        let mut world = world;
        world.settings.retry.retry = vec![Duration::from_hours(1)];
        let outbound = world.send_to(sink.address).await;
        let accepted = world.accept(&outbound, &["b@there.example", "c@there.example"]).await;
        world.until_all(accepted.id, "deferred").await;
        let cancelled = outbound.cancel(accepted.id, Some(0), &By::system()).await.unwrap();
        assert_eq!((cancelled.ordinals, cancelled.on_the_wire), (vec![0], 0));
        let fates = world.fates(accepted.id).await;
        assert_eq!(fates[0], "cancelled: cancelled by hand");
        assert!(fates[1].starts_with("deferred"), "{fates:?}");
        assert_eq!(outbound.cancel(accepted.id, None, &By::system()).await.unwrap().ordinals, [1]);
        assert_eq!(world.count("SELECT COUNT(*) FROM events WHERE kind = 'cancelled'").await, 2);
    }

    async fn an_export_tells_each_recipient_once_however_its_pages_fall(test: TestDb) {
        let world = World::new(test).await;
        let outbound = Outbound::idle(world.parts(&Route::Capture));
        let mut expected = Vec::new();
        for many in [1, 7, 20, 1, 10] {
            let to: Vec<String> = (0..many).map(|n| format!("r{n}-{}@there.example", expected.len())).collect();
            world.accept(&outbound, &to.iter().map(String::as_str).collect::<Vec<_>>()).await;
            expected.push(to);
        }
        // The newest message first, each one's recipients in their order.
        let expected: Vec<String> = expected.into_iter().rev().flatten().collect();
        for (limit, lines) in [(1, 1), (2, 10), (5, 10), (5, 39), (5, 40), (50, 1_000)] {
            let filter = Filter { account: Some(world.principal.account), limit, ..Filter::default() };
            let (mut told, mut place) = (Vec::new(), Some(ExportPlace::default()));
            while let Some(from) = place {
                let page = outbound.export_messages(filter.clone(), from, lines).await.unwrap();
                let addresses = page.messages.iter().flat_map(|(_, all)| all.iter().map(|one| one.address.clone()));
                let before = told.len();
                told.extend(addresses);
                assert!(told.len() - before <= lines);
                place = page.next;
            }
            assert_eq!(told, expected, "{limit} messages and {lines} lines a page");
        }
    }

    async fn a_retry_from_another_process_is_seen(test: TestDb) {
        let mut world = World::new(test).await;
        world.settings.retry.retry = vec![Duration::from_hours(1)];
        let refusing = Sink::start(Script::at("RCPT", Act::Say("451 4.7.1 Later"))).await;
        let outbound = world.send_to(refusing.address).await;
        let accepted = world.accept(&outbound, &["b@there.example"]).await;
        world.until_all(accepted.id, "deferred").await;
        let command = Outbound::idle(world.parts(&Route::Capture));
        assert_eq!(command.retry(accepted.id, None, &By::system()).await.unwrap().rows, 1);
        until("it is tried again", async || world.count("SELECT COUNT(*) FROM attempts").await == 2).await;
    }

    async fn a_paused_lane_rests_and_goes_on_when_resumed(test: TestDb) {
        let world = World::new(test).await;
        let sink = Sink::start(Script::default()).await;
        let lane = LaneKey::new(&sink.address.to_string());
        let outbound = world.send_to(sink.address).await;
        let first = world.accept(&outbound, &["a@there.example"]).await;
        world.until_all(first.id, "delivered").await;
        outbound.pause_lane(lane.clone(), &By::system()).await.unwrap();
        until("the pause is seen", async || outbound.lanes().iter().any(|view| view.paused)).await;
        let waiting = world.accept(&outbound, &["b@there.example"]).await;
        let fates = world.until_all(waiting.id, "queued: lane").await;
        assert_eq!(fates[0], format!("queued: lane {lane} is paused by the operator"));
        assert!(outbound.resume_lane(lane, &By::system()).await.unwrap());
        world.until_all(waiting.id, "delivered").await;
    }

    async fn who_asked_is_told_of_a_delay_without_any_attempt_and_once(test: TestDb) {
        let mut world = World::new(test).await;
        world.settings.retry.give_up = Duration::from_hours(24);
        let (clock, hand) = Clock::manual(world.clock.now());
        world.clock = clock;
        let sink = Sink::start(Script::default()).await;
        let lane = LaneKey::new(&sink.address.to_string());
        let command = Outbound::idle(world.parts(&Route::Capture));
        command.pause_lane(lane.clone(), &By::system()).await.unwrap();
        let mut submission = world.submission(&["b@there.example", "c@there.example"], MESSAGE);
        submission.envelope.recipients[0].notify = Notify::parse("DELAY");
        let waiting = command.accept(submission).await.unwrap().id;
        let outbound = world.send_to(sink.address).await;
        world.until_all(waiting, "queued: lane").await;
        let reports = async || world.count("SELECT COUNT(*) FROM messages WHERE reverse_path = ''").await;
        assert_eq!(reports().await, 0, "it is early");

        let later = async || {
            hand.advance(Duration::from_hours(5));
            world.change("UPDATE recipients SET next_at = 0 WHERE ordinal = 0 AND message = $1", waiting).await;
            world.change("UPDATE recipients SET next_at = 0 WHERE ordinal = 1 AND message = $1", waiting).await;
            until("both wait again", async || {
                world.count("SELECT COUNT(*) FROM recipients WHERE node IS NULL AND next_at > 0 AND domain = 'there.example'").await == 2
            })
            .await;
        };
        later().await;
        assert_eq!(reports().await, 1);
        later().await;
        assert_eq!(reports().await, 1, "once");
        assert_eq!(world.count("SELECT COUNT(*) FROM attempts").await, 0);
        assert_eq!(world.count("SELECT COUNT(*) FROM recipients WHERE warned_at IS NOT NULL").await, 1);
        assert!(outbound.resume_lane(lane, &By::system()).await.unwrap());
        world.until_all(waiting, "delivered").await;
    }

    async fn a_destination_that_cannot_be_reached_says_so_and_is_tried_on_demand(test: TestDb) {
        let mut world = World::new(test).await;
        world.settings.retry.retry = vec![Duration::from_hours(1)];
        // Taken, so that nobody else is given it, and not listened on.
        let closed = tokio::net::TcpSocket::new_v4().unwrap();
        closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = closed.local_addr().unwrap();
        let outbound = world.send_to(address).await;
        let first = world.accept(&outbound, &["a@there.example"]).await;
        let fates = world.until_all(first.id, "deferred").await;
        assert!(fates[0].to_lowercase().contains("refused"), "{fates:?}");
        until("what waits stands under the destination in trouble", async || {
            let views = outbound.lanes();
            views.len() == 1 && views[0].waiting == 1 && views[0].next_try_at.is_some()
        })
        .await;
        let second = world.accept(&outbound, &["b@there.example"]).await;
        let fates = world.until_all(second.id, "queued: waiting").await;
        assert!(fates[0].to_lowercase().contains("refused"), "{fates:?}");
        let views = outbound.lanes();
        assert!(views[0].next_try_at.is_some() && views[0].last_reply.is_some(), "{views:?}");
    }
}
