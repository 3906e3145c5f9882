//! The door: what it refuses, and with which words.

use accounts::{By, NewAccount};
use mail::replies;
use mail::reply::Reply;
use outbound::model::{Refused, Submission};
use outbound::route::Route;
use outbound::{Outbound, history};
use store::testing::HeldWriter;
use store::{Db, Id, OpenOptions, both_engines};
use tokio_util::sync::CancellationToken;

use crate::world::{MESSAGE, World, address, recipient};

async fn refusal(outbound: &Outbound, submission: Submission) -> Reply {
    let Err(Refused(reply)) = outbound.accept(submission).await else {
        panic!("it was accepted")
    };
    reply
}

/// An account that pays nothing, with a message of its own.
async fn without_limit(world: &World) -> (Id, Submission) {
    let new = NewAccount {
        email: "root@own.example".into(),
        password: "copper-whistle-by-the-sea-7".into(),
        operator: true,
        credits: None,
    };
    let account = world.accounts.create(new, &By::system()).await.unwrap().id;
    let mut submission = world.submission(&["b@there.example"], &MESSAGE.replace("ann@sender", "root@own"));
    submission.principal = world.accounts.vouched("root@own.example").await.unwrap();
    submission.envelope.reverse_path = None;
    (account, submission)
}

both_engines! {
    async fn a_sender_that_is_not_the_accounts_own_is_refused(test: TestDb) {
        let world = World::new(test).await;
        let outbound = Outbound::idle(world.parts(&Route::Capture));
        let spoofed = world.submission(&["b@there.example"], &MESSAGE.replace("ann@sender", "eve@other"));
        assert_eq!(refusal(&outbound, spoofed).await, replies::FROM_NOT_ALLOWED);
        let mut reverse_path = world.submission(&["b@there.example"], MESSAGE);
        reverse_path.envelope.reverse_path = Some(address("eve@other.example"));
        assert_eq!(refusal(&outbound, reverse_path).await, replies::SENDER_NOT_ALLOWED);
        for from in [
            "From: a@sender.example, b@sender.example\r\n",
            "From: a@sender.example\r\nFrom: b@sender.example\r\n",
            "From: a@sender.example\r\nfrom : b@sender.example\r\n",
            "Subject: nobody\r\n",
            "no field\r\nFrom: a@sender.example\r\n",
        ] {
            let many = world.submission(&["b@there.example"], &format!("{from}\r\nHi.\r\n"));
            assert_eq!(refusal(&outbound, many).await, replies::FROM_NOT_ONE, "{from:?}");
        }
        // Any address of the verified domain may be used, and the null sender too.
        let mut fine = world.submission(&["b@there.example"], &MESSAGE.replace("ann@sender", "any.one@sender"));
        fine.envelope.reverse_path = None;
        assert!(outbound.accept(fine).await.is_ok());
        assert_eq!(world.count("SELECT COUNT(*) FROM messages").await, 1);
        assert_eq!(outbound.counters().refused, 7);
    }

    async fn every_header_field_that_names_a_sender_must_be_the_accounts_own(test: TestDb) {
        let world = World::new(test).await;
        let outbound = Outbound::idle(world.parts(&Route::Capture));
        let answer = async |fields: &str| {
            let submission = world.submission(&["b@there.example"], &(fields.to_owned() + MESSAGE));
            outbound.accept(submission).await.map(|_| ()).map_err(|Refused(reply)| reply)
        };
        for (field, foreign) in [
            ("Sender", "Sender: eve@other.example\r\n"),
            ("Sender", "SENDER :\r\n Eve <eve@other.example>\r\n"),
            ("Resent-From", "Resent-From: eve@other.example\r\n"),
            ("Resent-From", "Resent-From: ann@sender.example, eve@other.example\r\n"),
            ("Resent-Sender", "Resent-From: ann@sender.example\r\nResent-Sender: eve@other.example\r\n"),
            // The second of two blocks.
            ("Resent-From", "Resent-From: ann@sender.example\r\nResent-To: x@y.example\r\nResent-From: eve@other.example\r\n"),
        ] {
            assert_eq!(answer(foreign).await, Err(replies::author_not_allowed(field)), "{foreign:?}");
        }
        let unclear = answer("Sender: <@other.example:ann@sender.example>\r\n").await.unwrap_err();
        assert_eq!(unclear.to_string(), "550 5.7.1 The Sender header field holds a source route");
        assert_eq!(world.count("SELECT COUNT(*) FROM messages").await, 0);
        let own = "Resent-From: ann@sender.example, bob@sender.example\r\nResent-Sender: ann@sender.example\r\n\
                   Resent-From: carl@sender.example\r\nSender: list-bounces@sender.example\r\n";
        assert_eq!(answer(own).await, Ok(()));
    }

    async fn a_from_that_two_readers_could_read_differently_is_refused_with_its_reason(test: TestDb) {
        let world = World::new(test).await;
        let outbound = Outbound::idle(world.parts(&Route::Capture));
        for (from, reason) in [
            ("Us: ann@sender.example;", "The From header field holds a group, or a colon or semicolon outside of quotes"),
            ("<@other.example:ann@sender.example>", "The From header field holds a source route"),
            ("=?utf-8?q?A=0D=0AFrom:_eve?= <ann@sender.example>", "The From header field holds a control character, as it stands or in an encoded word"),
            ("=?utf-8?q?eve=40other.example?=@sender.example", "The From header field has an encoded word inside the address"),
            ("undisclosed", "The From header field cannot be read as an address"),
        ] {
            let body = MESSAGE.replace("Ann <ann@sender.example>", from);
            let reply = refusal(&outbound, world.submission(&["b@there.example"], &body)).await;
            assert_eq!(reply.to_string(), format!("550 5.7.1 {reason}"), "{from}");
        }
        // UTF-8 as it stands is one thing to every reader, and comes through as it is.
        let utf8 = MESSAGE.replace("Ann <", "J\u{fc}rgen <");
        let accepted = outbound.accept(world.submission(&["b@there.example"], &utf8)).await.unwrap();
        let source = outbound.source(None, accepted.id).await.unwrap().unwrap();
        assert!(String::from_utf8_lossy(&source).contains("From: J\u{fc}rgen <ann@sender.example>\r\n"));
    }

    async fn what_only_we_may_say_and_what_steers_us_is_removed_but_not_inside_of_a_forwarded_message(test: TestDb) {
        let world = World::new(test).await;
        let outbound = Outbound::idle(world.parts(&Route::Capture));
        let fields = "authentication-results: US.example;\r\n dkim=pass header.d=bank.example\r\nX-Posthouse-Tag: a\r\n";
        let inner = format!("Content-Type: message/rfc822\r\n\r\n{fields}Subject: inner\r\n\r\nHi.\r\n");
        let others = "Authentication-Results: mx.there.example; spf=pass\r\n";
        let body = format!("{fields}{others}From: ann@sender.example\r\n{fields}{inner}");
        let accepted = outbound.accept(world.submission(&["b@there.example"], &body)).await.unwrap();
        let source = outbound.source(None, accepted.id).await.unwrap().unwrap();
        let text = String::from_utf8(source.to_vec()).unwrap();
        assert!(text.ends_with(&format!("{others}From: ann@sender.example\r\n{inner}")), "{text}");
        assert_eq!(text.matches("X-Posthouse-Tag").count(), 1, "{text}");
    }

    async fn what_stands_behind_a_line_that_is_no_field_is_text_and_nobodys_name(test: TestDb) {
        let world = World::new(test).await;
        let outbound = Outbound::idle(world.parts(&Route::Capture));
        let body = "From: ann@sender.example\r\nFrom\r\n : eve@other.example\r\nFrom: eve@other.example\r\n\r\nHi.\r\n";
        let accepted = outbound.accept(world.submission(&["b@there.example"], body)).await.unwrap();
        let source = outbound.source(None, accepted.id).await.unwrap().unwrap();
        let text = String::from_utf8(source.to_vec()).unwrap();
        let (header, rest) = text.split_once("\r\n\r\n").unwrap();
        assert!(header.contains("From: ann@sender.example") && !header.contains("eve@"), "{text}");
        assert_eq!(rest, "From\r\n : eve@other.example\r\nFrom: eve@other.example\r\n\r\nHi.\r\n");
    }

    async fn changes_of_other_accounts_keep_nobodys_mail_out(test: TestDb) {
        let world = World::new(test).await;
        let outbound = Outbound::idle(world.parts(&Route::Capture));
        let other = world.other_account("bob@other.example").await;
        let (accounts, stop) = (world.accounts.clone(), CancellationToken::new());
        let stopped = stop.clone();
        let busy = tokio::spawn(async move {
            while !stopped.is_cancelled() {
                accounts.suspend(other, "testing", &By::system()).await.unwrap();
                accounts.resume(other, &By::system()).await.unwrap();
            }
        });
        for _ in 0..50 {
            world.accept(&outbound, &["b@there.example"]).await;
        }
        stop.cancel();
        busy.await.unwrap();
        assert_eq!(world.count("SELECT COUNT(*) FROM messages").await, 50);
    }

    async fn a_suspension_between_check_and_commit_counts(test: TestDb) {
        // With one writer what waits is committed in its order.
        let mut test = test;
        test.db = Db::open(&test.url, OpenOptions { writers: 1, ..OpenOptions::default() }).await.unwrap();
        let world = World::new(test).await;
        let outbound = Outbound::idle(world.parts(&Route::Capture));
        let (unlimited, theirs) = without_limit(&world).await;
        let ours = world.submission(&["b@there.example"], MESSAGE);
        for (account, submission) in [(world.principal.account, ours), (unlimited, theirs)] {
            let held = HeldWriter::of(&world.test.db).await;
            let accounts = world.accounts.clone();
            let suspended = tokio::spawn(async move { accounts.suspend(account, "bounces", &By::system()).await });
            held.until(1).await;
            // The check finds an account in good standing: the suspension is not committed yet.
            let outbound = outbound.clone();
            let taken = tokio::spawn(async move { outbound.accept(submission).await });
            held.until(2).await;
            held.let_go().await;
            suspended.await.unwrap().unwrap();
            let Err(Refused(reply)) = taken.await.unwrap() else { panic!("it was accepted") };
            assert_eq!(reply.text, "The account is suspended: bounces", "the reason is known from a second check");
            assert_eq!(world.count("SELECT COUNT(*) FROM messages").await, 0);
        }
    }

    async fn loops_and_what_is_too_big_are_refused(test: TestDb) {
        let mut world = World::new(test).await;
        world.settings.max_message_size = 200_000;
        world.settings.max_recipients = 2;
        let outbound = Outbound::idle(world.parts(&Route::Capture));
        let hops = "Received: from a by b; Mon, 23 Nov 2026 20:00:00 +0000\r\n";
        let fifty = world.submission(&["b@there.example"], &(hops.repeat(50) + MESSAGE));
        assert!(outbound.accept(fifty).await.is_ok());
        let looping = world.submission(&["b@there.example"], &(hops.repeat(51) + MESSAGE));
        assert_eq!(refusal(&outbound, looping).await, replies::MAIL_LOOP);
        let big = world.submission(&["b@there.example"], &(MESSAGE.to_owned() + &"x".repeat(200_000)));
        assert_eq!(refusal(&outbound, big).await, replies::TOO_BIG);
        let header = world.submission(&["b@there.example"], &("X: ".to_owned() + &"x".repeat(110_000) + "\r\n" + MESSAGE));
        assert_eq!(refusal(&outbound, header).await, replies::HEADER_TOO_BIG);
        let many = world.submission(&["a@t.example", "b@t.example", "c@t.example"], MESSAGE);
        assert_eq!(refusal(&outbound, many).await, replies::TOO_MANY_RECIPIENTS);
        assert_eq!(refusal(&outbound, world.submission(&[], MESSAGE)).await, replies::NO_VALID_RECIPIENTS);
    }

    async fn each_recipient_costs_a_credit_and_without_any_nothing_is_stored(test: TestDb) {
        let world = World::new(test).await;
        let outbound = Outbound::idle(world.parts(&Route::Capture));
        let account = world.principal.account;
        world.accounts.grant(account, -99_997, "test", &By::system()).await.unwrap();
        world.accept(&outbound, &["a@there.example", "b@there.example"]).await;
        assert_eq!(world.count("SELECT balance FROM accounts").await, 1);
        let two = world.submission(&["a@there.example", "b@there.example"], MESSAGE);
        assert_eq!(refusal(&outbound, two).await, replies::too_few_credits(2, 1));
        assert_eq!(world.count("SELECT COUNT(*) FROM messages").await, 1);
        assert_eq!(world.count("SELECT COUNT(*) FROM bodies").await, 1);
        world.accept(&outbound, &["a@there.example"]).await;
        let one = world.submission(&["a@there.example"], MESSAGE);
        assert_eq!(refusal(&outbound, one).await, replies::OUT_OF_CREDITS);
    }

    async fn an_account_without_limit_pays_nothing_and_no_statement_asks_for_its_credits(test: TestDb) {
        let world = World::new(test).await;
        let outbound = Outbound::idle(world.parts(&Route::Capture));
        let cost = async |submission: Submission| {
            let before = world.test.db.stats().statements;
            outbound.accept(submission).await.unwrap();
            world.test.db.stats().statements - before
        };
        let paid = cost(world.submission(&["b@there.example"], MESSAGE)).await;
        let (account, submission) = without_limit(&world).await;
        // What is taken from the credits, and the day that it is noted under.
        assert_eq!(cost(submission.clone()).await, paid - 2);
        assert_eq!(world.count("SELECT COUNT(*) FROM credit_usage").await, 1);
        world.accounts.suspend(account, "testing", &By::system()).await.unwrap();
        assert_eq!(refusal(&outbound, submission).await.text, "The account is suspended: testing");
    }

    async fn a_changed_password_or_a_suspension_counts_for_the_next_message(test: TestDb) {
        let world = World::new(test).await;
        let outbound = Outbound::idle(world.parts(&Route::Capture));
        world.accept(&outbound, &["a@there.example"]).await;
        world.accounts.set_password("ann@sender.example", "copper-whistle-by-the-sea-7", &By::system()).await.unwrap();
        let old = world.submission(&["a@there.example"], MESSAGE);
        assert_eq!(refusal(&outbound, old.clone()).await, replies::SIGNED_OUT);
        let now = world.accounts.vouched("ann@sender.example").await;
        let new = Submission { principal: now.unwrap(), ..old };
        assert!(outbound.accept(new.clone()).await.is_ok());
        world.accounts.suspend(world.principal.account, "bounces", &By::system()).await.unwrap();
        let reply = refusal(&outbound, new).await;
        assert_eq!((reply.code, reply.text.as_ref()), (554, "The account is suspended: bounces"));
    }

    async fn everything_but_the_top_and_bcc_stays_as_it_came(test: TestDb) {
        let world = World::new(test).await;
        let outbound = Outbound::idle(world.parts(&Route::Capture));
        let odd = "Date: yesterday\r\nmessage-id: <mine@sender.example>\r\nBCC: hidden@there.example,\r\n more@there.example\r\n\
                   From: ann@sender.example\r\nX-Odd:\t caf\u{e9} \r\n\r\n..\r\n.\r\n\r\nno end";
        let mut submission = world.submission(&["b@there.example"], odd);
        submission.envelope.recipients.push(recipient("c@there.example", "SUCCESS"));
        let accepted = outbound.accept(submission).await.unwrap();
        let source = outbound.source(None, accepted.id).await.unwrap().unwrap();
        let text = String::from_utf8(source.to_vec()).unwrap();
        let (received, rest) = text.split_at(text.find("Date: ").unwrap());
        assert!(received.starts_with("Received: ") && received.contains("with ESMTPSA") && !received.contains("for <"));
        assert_eq!(
            rest,
            "Date: yesterday\r\nmessage-id: <mine@sender.example>\r\nFrom: ann@sender.example\r\nX-Odd:\t caf\u{e9} \r\n\r\n\
             ..\r\n.\r\n\r\nno end"
        );
        let page = world.test.db.read("look", move |tx| history::detail(tx, None, accepted.id)).await.unwrap().unwrap();
        assert_eq!(page.message_id, "mine@sender.example");
        assert_eq!(world.rows("SELECT notify FROM recipients ORDER BY ordinal").await[1].text(0).unwrap(), "SUCCESS");
    }
}
