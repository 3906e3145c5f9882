//! Copies of a message that each recipient has for itself: how they are made, sent, signed and kept.

use std::collections::HashSet;

use accounts::By;
use mail::address::Domain;
use mail::replies;
use outbound::Outbound;
use outbound::capture::InboxFilter;
use outbound::model::Refused;
use outbound::route::Route;
use store::both_engines;

use crate::sink::{Act, Script, Sink};
use crate::world::{World, until};

fn message(fields: &str, text: &str) -> String {
    format!(
        "{fields}From: Ann <ann@sender.example>\r\nTo: list@there.example\r\nSubject: hello\r\n\r\n{text}\r\n"
    )
}

fn texts(sink: &Sink) -> Vec<String> {
    let texts = sink.messages().into_iter().map(String::from_utf8);
    texts.map(Result::unwrap).collect()
}

/// What stands between these two in a text.
fn between<'a>(text: &'a str, before: &str, behind: &str) -> &'a str {
    let (_, rest) = text
        .split_once(before)
        .unwrap_or_else(|| panic!("no {before:?} in {text}"));
    rest.split_once(behind).unwrap().0
}

/// A signature as one line.
fn unfolded(text: &str) -> String {
    text.split_whitespace().collect()
}

/// What the message that came last was found to want.
async fn wants(world: &World) -> [i64; 3] {
    let rows = world
        .rows("SELECT unsubscribe, track_opens, track_clicks FROM messages ORDER BY id DESC LIMIT 1")
        .await;
    [0, 1, 2].map(|column| rows[0].int(column).unwrap())
}

both_engines! {
    async fn each_recipient_gets_a_copy_of_its_own_in_a_transaction_of_its_own(test: TestDb) {
        let world = World::new(test).await;
        let sink = Sink::start(Script::default()).await;
        // Taken up from the database, as after a restart.
        let command = Outbound::idle(world.parts(&Route::Capture));
        let to = ["a@there.example", "b@there.example", "c@there.example"];
        let body = message("X-Posthouse-Stream: marketing\r\n", "Hi, here it is: {{unsubscribe_url}}");
        let sent = command.accept(world.submission(&to, &body)).await.unwrap();
        let outbound = world.send_to(sink.address).await;
        world.until_all(sent.id, "delivered").await;
        let texts = texts(&sink);
        assert_eq!(texts.len(), 3);
        assert_eq!(sink.commands().iter().filter(|one| one.starts_with("MAIL")).count(), 3);
        let mut links = HashSet::new();
        for text in &texts {
            let link = between(text, "List-Unsubscribe: <https://us.example/u/", ">\r\n");
            assert!(text.contains(&format!("\r\n\r\nHi, here it is: https://us.example/u/{link}\r\n")), "{text}");
            assert!(text.contains("\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"), "{text}");
            assert!(!text.contains("To stop receiving"), "it is named already: {text}");
            let signed = unfolded(between(text, "h=", ";"));
            assert!(signed.contains("list-unsubscribe:list-unsubscribe-post:"), "{signed}");
            links.insert(link.to_owned());
        }
        assert_eq!(links.len(), 3);
        let stored = outbound.source(None, sent.id).await.unwrap().unwrap();
        assert!(stored.ends_with(b"Hi, here it is: {{unsubscribe_url}}\r\n"));
    }

    async fn what_wants_nothing_of_its_own_goes_out_as_one_and_as_it_came(test: TestDb) {
        let world = World::new(test).await;
        let sink = Sink::start(Script::default()).await;
        let outbound = world.send_to(sink.address).await;
        let body = message("", "Braces {{name}} and unsubscribe_url.");
        let sent = outbound.accept(world.submission(&["a@there.example", "b@there.example"], &body)).await.unwrap();
        world.until_all(sent.id, "delivered").await;
        let texts = texts(&sink);
        assert_eq!(texts.len(), 1);
        assert!(texts[0].ends_with("\r\n\r\nBraces {{name}} and unsubscribe_url.\r\n"));
        assert!(!texts[0].contains("List-Unsubscribe"));
    }

    async fn what_a_message_wants_is_what_it_says_else_what_its_stream_does(test: TestDb) {
        let world = World::new(test).await;
        let command = Outbound::idle(world.parts(&Route::Capture));
        let named = "Stop: {{ unsubscribe_url }}";
        for (fields, text, expected) in [
            ("", "Hi.", [0, 0, 0]),
            ("", named, [1, 0, 0]),
            ("X-Posthouse-Unsubscribe: off\r\n", named, [0, 0, 0]),
            ("X-Posthouse-Unsubscribe: on\r\n", "Hi.", [2, 0, 0]),
            ("X-Posthouse-Stream: marketing\r\n", "Hi.", [2, 0, 0]),
            ("X-Posthouse-Stream: marketing\r\nX-Posthouse-Unsubscribe: off\r\n", "Hi.", [1, 0, 0]),
            ("X-Posthouse-Track: opens\r\n", "Hi.", [0, 1, 0]),
            ("X-Posthouse-Track: opens, clicks\r\n", named, [1, 1, 1]),
            ("X-Posthouse-Track: none\r\n", "Hi.", [0, 0, 0]),
        ] {
            let submission = world.submission(&["a@there.example"], &message(fields, text));
            command.accept(submission).await.unwrap();
            assert_eq!(wants(&world).await, expected, "{fields} {text}");
        }
    }

    async fn where_links_lead_is_stored_with_the_message_that_leaves_at_once(test: TestDb) {
        let world = World::new(test).await;
        // It says nothing, so no copy is made.
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let outbound = world.send_to(silent.local_addr().unwrap()).await;
        let html = "Content-Type: text/html\r\nX-Posthouse-Track: clicks\r\n";
        let body = message(html, "<a href=\"https://shop.example/\">Shop</a>");
        let submission = world.submission(&["a@there.example"], &body);
        let sent = outbound.accept(submission.clone()).await.unwrap();
        let rows = world.rows("SELECT message, targets, test FROM tracked_links").await;
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].id(0).unwrap(), sent.id);
        assert_eq!(rows[0].text(1).unwrap(), r#"["https://shop.example/"]"#);
        assert!(!rows[0].bool(2).unwrap());
        // What is not taken leaves no trace.
        world.accounts.grant(world.principal.account, -99_999, "test", &By::system()).await.unwrap();
        let Err(Refused(reply)) = outbound.accept(submission).await else { panic!("it was accepted") };
        assert_eq!(reply, replies::OUT_OF_CREDITS);
        assert_eq!(world.count("SELECT COUNT(*) FROM tracked_links").await, 1);
    }

    async fn of_a_thousand_copies_one_that_fails_touches_no_other(test: TestDb) {
        let world = World::new(test).await;
        let script = Script::at("RCPT n500@there.example", Act::Say("550 5.1.1 nobody here"));
        let sink = Sink::start(script).await;
        let outbound = world.send_to(sink.address).await;
        let to: Vec<String> = (0..1_000).map(|n| format!("n{n}@there.example")).collect();
        let to: Vec<&str> = to.iter().map(String::as_str).collect();
        let body = message("X-Posthouse-Unsubscribe: on\r\n", "Hi.");
        let mut submission = world.submission(&to, &body);
        submission.envelope.reverse_path = None;
        let sent = outbound.accept(submission).await.unwrap();
        until("all are settled", async || {
            let fates = world.fates(sent.id).await;
            fates.iter().all(|fate| fate.starts_with("delivered") || fate.starts_with("bounced"))
        })
        .await;
        let fates = world.fates(sent.id).await;
        assert!(fates[500].starts_with("bounced: 550 5.1.1"), "{}", fates[500]);
        assert_eq!(fates.iter().filter(|fate| fate.starts_with("delivered")).count(), 999);
        let links: HashSet<String> = texts(&sink)
            .iter()
            // What a server that refused its only recipient is sent, where it wants a message all the same.
            .filter(|text| !text.is_empty())
            .map(|text| between(text, "To stop receiving these messages:\r\nhttps://us.example/u/", "\r\n").to_owned())
            .collect();
        assert_eq!(links.len(), 999);
    }

    async fn recipients_with_return_paths_of_their_own_share_what_is_signed(test: TestDb) {
        let mut world = World::new(test).await;
        world.settings.return_path = Some(Domain::parse("us.example").unwrap());
        let sink = Sink::start(Script::default()).await;
        let outbound = world.send_to(sink.address).await;
        let to = ["a@there.example", "b@there.example", "c@there.example"];
        let sent = outbound.accept(world.submission(&to, &message("", "Hi."))).await.unwrap();
        world.until_all(sent.id, "delivered").await;
        let signatures: HashSet<String> = texts(&sink)
            .iter()
            .map(|text| between(text, "DKIM-Signature:", "Received:").to_owned())
            .collect();
        assert_eq!(signatures.len(), 1);
        let commands = sink.commands();
        let paths: HashSet<&String> = commands.iter().filter(|one| one.starts_with("MAIL")).collect();
        assert_eq!(paths.len(), 3);
    }

    async fn the_local_inbox_has_the_copy_that_its_recipient_would_get(test: TestDb) {
        let world = World::new(test).await;
        let outbound = Outbound::start(world.parts(&Route::Capture)).await.unwrap();
        let filter = InboxFilter { limit: 10, ..InboxFilter::default() };
        for fields in ["X-Posthouse-Unsubscribe: on\r\n", "X-Posthouse-Unsubscribe: on\r\nX-Posthouse-Sandbox: on\r\n"] {
            let body = message(fields, "Hi.");
            let sent = outbound.accept(world.submission(&["a@there.example", "b@there.example"], &body)).await.unwrap();
            world.until_all(sent.id, "delivered").await;
            let captured = outbound.inbox(filter.clone()).await.unwrap();
            let mut links = HashSet::new();
            for one in captured.iter().filter(|one| one.message == sent.id) {
                let content = outbound.inbox_content(one.id).await.unwrap().unwrap();
                let text = String::from_utf8(content.to_vec()).unwrap();
                assert_eq!(one.size as usize, text.len());
                links.insert(between(&text, "List-Unsubscribe: <https://us.example/u/", ">").to_owned());
            }
            assert_eq!(links.len(), 2, "{fields}");
            outbound.clear_inbox(None).await.unwrap();
        }
    }
}
