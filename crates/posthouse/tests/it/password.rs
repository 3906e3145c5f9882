//! The login password is the SMTP password, and a new one counts at once, on connections that are open too.

use crate::both_engines;
use crate::harness::{PASSWORD, Posthouse, Sink};

const ALICE: &str = "alice@example.com";
const NEW: &str = "eleven-saddles-by-dusk-42";
const MESSAGE: &[u8] = b"From: <alice@example.com>\r\nSubject: s\r\n\r\nhello\r\n";

both_engines! {
    fn a_new_password_counts_at_once_on_every_open_connection(engine) {
        let sink = Sink::start();
        let server = Posthouse::on(engine).route_to(&sink).start();
        server.create_account(ALICE);
        let mut idle = server.signed_in(ALICE);
        let mut busy = server.signed_in(ALICE);
        busy.submit(ALICE, &["bob@sink.example"], MESSAGE).expect("250 2.0.0");

        server.cli(&["account", "password", ALICE, "--password-stdin"], NEW);

        busy.mail(ALICE).expect("421 4.7.0");
        busy.expect_closed();
        idle.command("NOOP").expect("421 4.7.0");
        idle.expect_closed();
        let mut old = server.smtps();
        old.ehlo().expect("250");
        old.auth_plain(ALICE, PASSWORD).expect("535 5.7.8");
        old.auth_plain(ALICE, NEW).expect("235 2.7.0");
        old.submit(ALICE, &["bob@sink.example"], MESSAGE).expect("250 2.0.0");
        sink.wait_for(2);
    }

    fn a_message_under_way_when_the_password_changes_is_taken_or_refused_never_dropped(engine) {
        let sink = Sink::start();
        let server = Posthouse::on(engine).route_to(&sink).start();
        server.create_account(ALICE);
        let mut smtp = server.signed_in(ALICE);
        smtp.mail(ALICE).expect("250");
        smtp.rcpt("bob@sink.example").expect("250");
        server.cli(&["account", "password", ALICE, "--password-stdin"], NEW);
        let reply = smtp.command("DATA");
        // The transaction may be finished or ended with 421; it may not be taken and dropped.
        if reply.code() == 354 {
            smtp.send(&crate::harness::smtp::stuffed(MESSAGE));
            let end = smtp.reply();
            if end.code() == 250 {
                sink.wait_for(1);
            } else {
                end.expect("421 4.7.0");
            }
        } else {
            reply.expect("421 4.7.0");
        }
    }

    fn the_address_signs_in_whatever_its_case(engine) {
        let server = Posthouse::on(engine).start();
        server.create_account("Alice@Example.com");
        for user in ["alice@example.com", "ALICE@EXAMPLE.COM", "Alice@Example.com"] {
            let mut smtp = server.smtps();
            smtp.ehlo().expect("250");
            smtp.auth_login(user, PASSWORD).expect("235 2.7.0");
        }
    }
}
