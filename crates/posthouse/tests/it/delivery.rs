//! How mail leaves: each recipient's own fate, retries, notices to the sender, routes.

use std::time::Duration;

use crate::both_engines;
use crate::harness::dns::Dns;
use crate::harness::server::Setup;
use crate::harness::sink::Arrived;
use crate::harness::tls::Identity;
use crate::harness::{Act, Posthouse, Sink, Verb, eventually};

const ALICE: &str = "alice@example.com";
const MESSAGE: &[u8] =
    b"From: <alice@example.com>\r\nTo: <bob@sink.example>\r\nSubject: one of us\r\n\r\nhello there\r\n";

/// The notice that comes back to the sender.
#[track_caller]
fn notice(sink: &Sink) -> Arrived {
    let notice = sink.wait_for_recipient(ALICE);
    assert_eq!(notice.from, "", "a notice has the null sender");
    let kind = notice.header("content-type").remove(0);
    assert!(
        kind.starts_with("multipart/report") && kind.contains("delivery-status"),
        "{kind}"
    );
    notice
}

fn started(setup: Setup) -> Posthouse {
    let server = setup.retry_fast().start();
    server.create_account(ALICE);
    server
}

both_engines! {
    fn each_recipient_has_a_fate_of_its_own(engine) {
        let sink = Sink::start();
        sink.always(Verb::Rcpt, "nobody@", Act::reply("550 5.1.1 no such user here"));
        sink.once(Verb::Rcpt, "busy@", Act::reply("451 4.2.0 come back later"));
        let server = started(Posthouse::on(engine).route_to(&sink));
        let recipients = ["bob@sink.example", "nobody@sink.example", "busy@sink.example", "eve@sink.example"];
        server.signed_in(ALICE).submit(ALICE, &recipients, MESSAGE).expect("250 2.0.0");

        for reached in ["bob@sink.example", "eve@sink.example", "busy@sink.example"] {
            sink.wait_for_recipient(reached);
        }
        let notice = notice(&sink).text();
        for line in [
            "Final-Recipient: rfc822; nobody@sink.example",
            "Action: failed",
            "Status: 5.1.1",
            "Diagnostic-Code: smtp; 550 5.1.1 no such user here",
            "Subject: one of us",
        ] {
            assert!(notice.contains(line), "{line} is missing:\n{notice}");
        }
        for other in ["busy@", "eve@"] {
            assert!(!notice.contains(&format!("Final-Recipient: rfc822; {other}")), "{notice}");
        }
        let times = |who: &str| sink.arrived().iter().filter(|arrived| arrived.recipients.iter().any(|to| to.starts_with(who))).count();
        assert_eq!([times("bob@"), times("eve@"), times("busy@"), times("nobody@")], [1, 1, 1, 0]);
    }

    fn a_refused_message_is_tried_again_until_it_is_taken(engine) {
        let sink = Sink::start();
        for _ in 0..3 {
            sink.once(Verb::EndOfData, "", Act::reply("451 4.3.0 not now"));
        }
        let server = started(Posthouse::on(engine).route_to(&sink));
        server.signed_in(ALICE).submit(ALICE, &["bob@sink.example"], MESSAGE).expect("250 2.0.0");
        let arrived = sink.wait_for(1);
        assert!(arrived[0].bytes.ends_with(MESSAGE));
        assert_eq!(sink.commands().iter().filter(|line| line.starts_with("DATA")).count(), 4);
    }

    fn what_waits_survives_a_restart(engine) {
        let sink = Sink::start();
        sink.always(Verb::Mail, "", Act::reply("451 4.3.2 closed for now"));
        let mut server = started(Posthouse::on(engine).route_to(&sink));
        let mut smtp = server.signed_in(ALICE);
        for number in 0..20 {
            smtp.submit(ALICE, &[&format!("r{number}@sink.example")], MESSAGE).expect("250 2.0.0");
        }
        assert_eq!(server.stop(), Some(0));
        sink.relent();
        server.start_again();
        for number in 0..20 {
            sink.wait_for_recipient(&format!("r{number}@sink.example"));
        }
        assert_eq!(sink.arrived().len(), 20);
    }

    fn given_up_mail_comes_back_with_the_last_reason(engine) {
        let sink = Sink::start();
        sink.always(Verb::Rcpt, "busy@", Act::reply("451 4.2.2 mailbox is full"));
        let server = started(Posthouse::on(engine).route_to(&sink).set("delivery.give_up", "\"1h\"").moving_clock());
        server.signed_in(ALICE).submit(ALICE, &["busy@sink.example"], MESSAGE).expect("250 2.0.0");
        eventually("its reason is recorded", || {
            let figures = server.http().get("/metrics").expect(200).text;
            figures.lines().any(|line| line.starts_with("posthouse_recipients_deferred_total ") && !line.ends_with(" 0")).then_some(())
        });
        server.pass(Duration::from_hours(1));
        let notice = notice(&sink).text();
        assert!(notice.contains("Final-Recipient: rfc822; busy@sink.example"), "{notice}");
        assert!(notice.contains("mailbox is full"), "{notice}");
    }

    fn who_asked_to_hear_of_a_delay_hears_of_it_once(engine) {
        let sink = Sink::start();
        sink.always(Verb::Rcpt, "busy", Act::reply("451 4.2.0 come back later"));
        let mut server = started(Posthouse::on(engine).route_to(&sink).set("delivery.warn_after", "\"1s\""));
        let mut smtp = server.signed_in(ALICE);
        smtp.mail(ALICE).expect("250");
        for (who, notify) in [("busy.asked", " NOTIFY=FAILURE,DELAY"), ("busy.silent", ""), ("busy.never", " NOTIFY=NEVER")] {
            smtp.command(&format!("RCPT TO:<{who}@sink.example>{notify}")).expect("250");
        }
        smtp.command("DATA").expect("354");
        smtp.send(&[MESSAGE, b".\r\n"].concat());
        smtp.reply().expect("250 2.0.0");

        let notice = notice(&sink).text();
        for line in [
            "Subject: Your message is delayed",
            "Final-Recipient: rfc822; busy.asked@sink.example",
            "Action: delayed",
            "Status: 4.2.0",
            "Diagnostic-Code: smtp; 451 4.2.0 come back later",
            "Will-Retry-Until: ",
        ] {
            assert!(notice.contains(line), "{line} is missing:\n{notice}");
        }
        assert!(!notice.contains("busy.silent") && !notice.contains("busy.never"), "{notice}");
        // A new start, and more attempts that fail, make no second one.
        let tries = || sink.commands().iter().filter(|line| line.starts_with("RCPT TO:<busy.asked")).count();
        assert_eq!(server.stop(), Some(0));
        let before = tries();
        server.start_again();
        eventually("it is tried again and again", || (tries() >= before + 3).then_some(()));
        sink.relent();
        sink.wait_for_recipient("busy.asked@sink.example");
        assert_eq!(sink.arrived().iter().filter(|arrived| arrived.from.is_empty()).count(), 1);
    }

    fn a_notice_that_cannot_be_delivered_makes_no_notice(engine) {
        let sink = Sink::start();
        sink.always(Verb::Rcpt, "", Act::reply("550 5.1.1 nobody lives here"));
        let server = started(Posthouse::on(engine).route_to(&sink));
        server
            .signed_in(ALICE)
            .submit(ALICE, &["bob@sink.example"], MESSAGE)
            .expect("250 2.0.0");
        let refused = |who: &str| {
            let commands = sink.commands();
            commands
                .iter()
                .filter(|line| line.starts_with(&format!("RCPT TO:<{who}")))
                .count()
        };
        eventually("the notice is refused", || (refused(ALICE) == 1).then_some(()));
        // One more mail makes one more notice, and no other: the first one's refusal made none.
        server
            .signed_in(ALICE)
            .submit(ALICE, &["carol@sink.example"], MESSAGE)
            .expect("250 2.0.0");
        eventually("the second notice is refused", || {
            (refused(ALICE) == 2).then_some(())
        });
        let null_senders = sink
            .commands()
            .iter()
            .filter(|line| line.starts_with("MAIL FROM:<>"))
            .count();
        assert_eq!(null_senders, 2);
    }

    fn a_sender_who_wants_no_notice_gets_none(engine) {
        let sink = Sink::start();
        sink.always(Verb::Rcpt, "nobody@", Act::reply("550 5.1.1 no such user"));
        let server = started(Posthouse::on(engine).route_to(&sink));
        let mut smtp = server.signed_in(ALICE);
        smtp.mail(ALICE).expect("250");
        smtp.command("RCPT TO:<nobody1@sink.example> NOTIFY=NEVER")
            .expect("250");
        smtp.command("RCPT TO:<nobody2@sink.example> NOTIFY=FAILURE")
            .expect("250");
        sink.always(Verb::Rcpt, "nobody", Act::reply("550 5.1.1 no such user"));
        smtp.data(MESSAGE).expect("250 2.0.0");
        let notice = notice(&sink).text();
        assert!(
            notice.contains("nobody2@") && !notice.contains("Final-Recipient: rfc822; nobody1@"),
            "{notice}"
        );
    }

    fn what_the_sender_asked_of_notices_is_passed_on(engine) {
        let sink = Sink::start();
        let server = started(Posthouse::on(engine).route_to(&sink));
        let mut smtp = server.signed_in(ALICE);
        smtp.command(&format!("MAIL FROM:<{ALICE}> RET=HDRS ENVID=QQ314159"))
            .expect("250");
        smtp.command("RCPT TO:<bob@sink.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob@sink.example")
            .expect("250");
        smtp.data(MESSAGE).expect("250 2.0.0");
        let arrived = &sink.wait_for(1)[0];
        assert!(arrived.mail_command.contains("RET=HDRS") && arrived.mail_command.contains("ENVID=QQ314159"));
        assert!(
            arrived.rcpt_commands[0].contains("NOTIFY=SUCCESS,FAILURE"),
            "{:?}",
            arrived.rcpt_commands
        );
        assert!(
            arrived.rcpt_commands[0].contains("ORCPT=rfc822;Bob@sink.example"),
            "{:?}",
            arrived.rcpt_commands
        );
    }

    fn a_connection_lost_at_any_verb_loses_and_doubles_nothing(engine) {
        let sink = Sink::start();
        let server = started(Posthouse::on(engine).route_to(&sink));
        for verb in [
            Verb::Connect,
            Verb::Ehlo,
            Verb::Mail,
            Verb::Rcpt,
            Verb::Data,
            Verb::EndOfData,
        ] {
            for act in [Act::Drop, Act::ReplyAndDrop("421 4.3.2 going away".to_owned())] {
                let before = sink.arrived().len();
                sink.once(verb, "", act);
                server
                    .signed_in(ALICE)
                    .submit(ALICE, &["bob@sink.example"], MESSAGE)
                    .expect("250 2.0.0");
                assert_eq!(sink.wait_for(before + 1).len(), before + 1, "{verb:?}");
            }
        }
    }

    fn a_message_whose_last_reply_was_lost_is_sent_again(engine) {
        let sink = Sink::start();
        let server = started(Posthouse::on(engine).route_to(&sink));
        sink.once(Verb::EndOfData, "", Act::KeepAndDrop);
        server.signed_in(ALICE).submit(ALICE, &["bob@sink.example"], MESSAGE).expect("250 2.0.0");
        for arrived in sink.wait_for(2) {
            assert_eq!(arrived.recipients, ["bob@sink.example"]);
            assert!(arrived.bytes.ends_with(MESSAGE));
        }
    }

    fn nonsense_from_the_far_side_is_a_reason_to_try_again(engine) {
        let sink = Sink::start();
        let server = started(Posthouse::on(engine).route_to(&sink));
        for (count, nonsense) in [
            "HTTP/1.1 200 OK",
            "2",
            "999 what",
            "250-never\r\n251 mixed",
            "\u{0}\u{1}",
        ]
        .iter()
        .enumerate()
        {
            sink.once(Verb::Mail, "", Act::reply(nonsense));
            server
                .signed_in(ALICE)
                .submit(ALICE, &["bob@sink.example"], MESSAGE)
                .expect("250 2.0.0");
            assert_eq!(sink.wait_for(count + 1).len(), count + 1, "{nonsense:?}");
        }
    }
}

/// A smarthost that takes mail only under TLS from who signs in, and the file that says its certificate is good.
fn guarded(implicit: bool) -> (Sink, Identity) {
    let identity = Identity::for_names(&["localhost"]);
    let setup = Sink::setup().only_for("relay-user", "relay pass:word");
    let setup = if implicit {
        setup.implicit_tls(&identity)
    } else {
        setup.starttls(&identity)
    };
    (setup.start(), identity)
}

fn route(scheme: &str, sink: &Sink) -> String {
    format!(
        "\"{scheme}://relay-user:relay%20pass%3Aword@localhost:{}\"",
        sink.address().port()
    )
}

both_engines! {
    fn a_smarthost_that_wants_tls_and_a_password_gets_both(engine) {
        for (scheme, implicit) in [("smtps", true), ("smtp+starttls", false)] {
            let (sink, identity) = guarded(implicit);
            let setup = Posthouse::on(engine).set("delivery.route", &route(scheme, &sink));
            let ca = setup.home().join("ca.pem");
            std::fs::write(&ca, &identity.certificate_pem).unwrap();
            let server = started(setup.set_path("delivery.ca_file", &ca));
            server
                .signed_in(ALICE)
                .submit(ALICE, &["bob@sink.example"], MESSAGE)
                .expect("250 2.0.0");
            let arrived = &sink.wait_for(1)[0];
            assert!(
                arrived.tls && arrived.user.as_deref() == Some("relay-user"),
                "{scheme}"
            );
        }
    }

    fn a_smarthost_whose_certificate_does_not_fit_is_told_nothing(engine) {
        for (scheme, implicit) in [("smtps", true), ("smtp+starttls", false)] {
            let (sink, _) = guarded(implicit);
            let server = started(Posthouse::on(engine).set("delivery.route", &route(scheme, &sink)));
            server
                .signed_in(ALICE)
                .submit(ALICE, &["bob@sink.example"], MESSAGE)
                .expect("250 2.0.0");
            eventually("it was tried twice", || (sink.connections() >= 2).then_some(()));
            let told = sink.commands();
            assert!(
                !told
                    .iter()
                    .any(|line| line.starts_with("AUTH") || line.starts_with("MAIL")),
                "{scheme}: {told:?}"
            );
        }
    }
}

/// Sinks on one port and addresses of their own, as other people's servers are.
fn neighbours() -> (Sink, Sink, u16) {
    let first = Sink::setup().at("127.0.0.2:0").start();
    let port = first.address().port();
    let second = Sink::setup().at(&format!("127.0.0.3:{port}")).start();
    (first, second, port)
}

both_engines! {
    fn mail_goes_to_the_preferred_server_and_past_one_that_is_down(engine) {
        let (first, second, port) = neighbours();
        let dns = Dns::start();
        dns.mx("both.example", 10, "mx1.both.example")
            .mx("both.example", 20, "mx2.both.example");
        dns.address_of("mx1.both.example", "127.0.0.2")
            .address_of("mx2.both.example", "127.0.0.3");
        dns.mx("half.example", 10, "down.half.example")
            .mx("half.example", 20, "mx2.half.example");
        dns.address_of("down.half.example", "127.0.0.4")
            .address_of("mx2.half.example", "127.0.0.3");
        dns.address_of("plain.example", "127.0.0.3")
            .alias("alias.example", "both.example");
        let server = started(Posthouse::on(engine).resolve_with(&dns, port));
        let mut smtp = server.signed_in(ALICE);
        smtp.submit(
            ALICE,
            &["a@both.example", "b@half.example", "c@plain.example", "d@alias.example"],
            MESSAGE,
        )
        .expect("250 2.0.0");
        first.wait_for_recipient("a@both.example");
        second.wait_for_recipient("b@half.example");
        second.wait_for_recipient("c@plain.example");
        first.wait_for_recipient("d@alias.example");
        let recipients = |sink: &Sink| sink.arrived().iter().map(|arrived| arrived.recipients.len()).sum::<usize>();
        assert_eq!((recipients(&first), recipients(&second)), (2, 2));
        assert!(first.arrived().iter().all(|arrived| arrived.helo == "mail.example.com"));
    }

    fn domains_that_take_no_mail_bounce_at_once_and_broken_name_servers_wait(engine) {
        let (home, _, port) = neighbours();
        let dns = Dns::start();
        dns.mx("example.com", 10, "mx.example.com")
            .address_of("mx.example.com", "127.0.0.2");
        dns.null_mx("null.example");
        dns.fail("broken.example");
        let server = started(Posthouse::on(engine).resolve_with(&dns, port));
        let mut smtp = server.signed_in(ALICE);
        smtp.submit(
            ALICE,
            &["a@null.example", "b@nowhere.example", "c@broken.example"],
            MESSAGE,
        )
        .expect("250 2.0.0");
        let statuses = eventually("both are reported", || {
            let text: String = home.arrived().iter().map(Arrived::text).collect();
            (text.contains("a@null.example") && text.contains("b@nowhere.example")).then_some(text)
        });
        assert!(
            statuses.contains("Status: 5.1.10") && statuses.contains("Status: 5.1.2"),
            "{statuses}"
        );
        assert!(
            !statuses.contains("Final-Recipient: rfc822; c@broken.example"),
            "{statuses}"
        );
        dns.mend("broken.example")
            .address_of("broken.example", "127.0.0.2");
        home.wait_for_recipient("c@broken.example");
    }

    fn other_servers_get_tls_where_they_offer_it_whoever_signed_their_certificate(engine) {
        let identity = Identity::for_names(&["mx.sink.example"]);
        let sink = Sink::setup().at("127.0.0.2:0").starttls(&identity).start();
        let dns = Dns::start();
        dns.mx("sink.example", 10, "mx.sink.example")
            .address_of("mx.sink.example", "127.0.0.2");
        let server = started(Posthouse::on(engine).resolve_with(&dns, sink.address().port()));
        server
            .signed_in(ALICE)
            .submit(ALICE, &["bob@sink.example"], MESSAGE)
            .expect("250 2.0.0");
        assert!(sink.wait_for(1)[0].tls);
    }
}
