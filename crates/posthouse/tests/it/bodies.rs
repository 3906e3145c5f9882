//! What stands behind DATA arrives as it was sent, whatever it looks like.

use crate::both_engines;
use crate::corpus::{self, assert_only_added};
use crate::harness::{Posthouse, Sink};

const ALICE: &str = "alice@example.com";

both_engines! {
    fn odd_messages_arrive_byte_for_byte(engine) {
        let sink = Sink::start();
        let server = Posthouse::on(engine).route_to(&sink).start();
        server.create_account(ALICE);
        corpus::relay_all(&mut server.signed_in(ALICE), ALICE, &sink, |why, becomes, arrived| {
            assert_only_added(arrived, becomes, &["Received"], why);
        });
    }
}

/// Headers, then this as the body, unstuffed and unmended, then the real end; the reply to that.
fn submit_raw(server: &Posthouse, body: &[u8]) -> crate::harness::smtp::Reply {
    let mut smtp = server.signed_in(ALICE);
    smtp.mail(ALICE).expect("250");
    smtp.rcpt("bob@sink.example").expect("250");
    smtp.command("DATA").expect("354");
    let head = format!(
        "From: <{ALICE}>\r\nDate: Mon, 23 Nov 2026 20:00:00 +0000\r\nMessage-ID: <a@b.example>\r\n\r\n"
    );
    smtp.send(&[head.as_bytes(), body, b"\r\n.\r\n"].concat());
    let reply = smtp.reply();
    smtp.command("NOOP").expect("250");
    reply
}

both_engines! {
    fn a_bare_line_feed_becomes_crlf_and_ends_nothing(engine) {
        let sink = Sink::start();
        let server = Posthouse::on(engine).route_to(&sink).start();
        server.create_account(ALICE);
        for (body, arrives) in [
            (&b"one\ntwo\r\n"[..], &b"one\r\ntwo\r\n\r\n"[..]),
            (
                b"one\n.\nMAIL FROM:<evil@example.com>\r\n",
                b"one\r\n.\r\nMAIL FROM:<evil@example.com>\r\n\r\n",
            ),
            (
                b"one\r\n.\nRCPT TO:<evil@example.com>",
                b"one\r\n.\r\nRCPT TO:<evil@example.com>\r\n",
            ),
            (b"one\n.\r\ntwo", b"one\r\n.\r\ntwo\r\n"),
        ] {
            let before = sink.arrived().len();
            submit_raw(&server, body).expect("250 2.0.0");
            let arrived = sink.wait_for(before + 1)[before].clone();
            // A dot behind a bare line feed may have been taken for a stuffed one; the text may not end there.
            let text = String::from_utf8_lossy(arrived.body()).replace("\r\n.\r\n", "\r\n\r\n");
            let wanted = String::from_utf8_lossy(arrives).replace("\r\n.\r\n", "\r\n\r\n");
            assert_eq!(text, wanted, "{}", body.escape_ascii());
        }
        assert!(
            sink.arrived()
                .iter()
                .all(|arrived| arrived.recipients == ["bob@sink.example"])
        );
    }

    fn a_bare_carriage_return_or_a_nul_is_refused_behind_the_real_end(engine) {
        let sink = Sink::start();
        let server = Posthouse::on(engine).route_to(&sink).start();
        server.create_account(ALICE);
        for body in [
            &b"one\rtwo"[..],
            b"one\r.\rtwo",
            b"one\r\n.\rtwo\r\n",
            b"one\r\r\ntwo",
            b"one\0two",
            b"one\r\n\0.\r\ntwo",
        ] {
            let reply = submit_raw(&server, body);
            assert_eq!(reply.code() / 100, 5, "{}: {reply:?}", body.escape_ascii());
        }
        assert!(sink.arrived().is_empty());
    }

    fn blind_copies_get_the_message_without_the_field_that_names_them(engine) {
        let sink = Sink::start();
        let server = Posthouse::on(engine).route_to(&sink).start();
        server.create_account(ALICE);
        let message = format!(
            "From: <{ALICE}>\r\nBcc: <secret@sink.example>,\r\n <other@sink.example>\r\nTo: <bob@sink.example>\r\n\
             Date: Mon, 23 Nov 2026 20:00:00 +0000\r\nMessage-ID: <a@b.example>\r\nSubject: s\r\n\r\nBcc: in the text stays\r\n"
        );
        let mut smtp = server.signed_in(ALICE);
        smtp.submit(
            ALICE,
            &["bob@sink.example", "secret@sink.example"],
            message.as_bytes(),
        )
        .expect("250");
        let secret = sink.wait_for_recipient("secret@sink.example");
        assert!(secret.header("bcc").is_empty(), "{}", secret.text());
        assert!(secret.text().ends_with(
            "To: <bob@sink.example>\r\nDate: Mon, 23 Nov 2026 20:00:00 +0000\r\nMessage-ID: <a@b.example>\r\nSubject: s\r\n\r\nBcc: in the text stays\r\n"
        ));
    }

    fn a_missing_date_and_message_id_are_added(engine) {
        let sink = Sink::start();
        let server = Posthouse::on(engine).route_to(&sink).start();
        server.create_account(ALICE);
        let message = format!("From: <{ALICE}>\r\nSubject: s\r\n\r\nhello\r\n");
        server
            .signed_in(ALICE)
            .submit(ALICE, &["bob@sink.example"], message.as_bytes())
            .expect("250");
        let arrived = &sink.wait_for(1)[0];
        assert_eq!(arrived.header("date").len(), 1);
        assert_eq!(arrived.header("message-id").len(), 1);
        assert_only_added(
            &arrived.bytes,
            message.as_bytes(),
            &["Received", "Date", "Message-ID"],
            "completed",
        );
    }

    fn a_message_that_went_round_and_round_is_refused(engine) {
        let sink = Sink::start();
        let server = Posthouse::on(engine).route_to(&sink).start();
        server.create_account(ALICE);
        let trace = "Received: from here by here; Mon, 23 Nov 2026 20:00:00 +0000\r\n";
        let travelled = |hops: usize| format!("{}From: <{ALICE}>\r\n\r\nagain\r\n", trace.repeat(hops));
        let mut smtp = server.signed_in(ALICE);
        smtp.submit(ALICE, &["bob@sink.example"], travelled(50).as_bytes())
            .expect("250");
        smtp.submit(ALICE, &["bob@sink.example"], travelled(51).as_bytes())
            .expect("554 5.4.6");
    }
}
