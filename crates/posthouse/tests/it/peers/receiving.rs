//! A Postfix receives what Posthouse delivers, and keeps it in a Maildir.

use super::postfix::Postfix;
use crate::both_engines;
use crate::corpus;
use crate::harness::Posthouse;

const ALICE: &str = "alice@example.com";

both_engines! {
    fn a_postfix_keeps_every_odd_message_as_it_was_sent(engine) {
        let postfix = Postfix::receiving();
        let server = Posthouse::on(engine)
            .set("delivery.route", &format!("\"smtp://{}\"", postfix.address()))
            .start();
        server.create_account(ALICE);
        let mut messages = corpus::messages(ALICE);
        // Postfix itself takes the space out of "X-Odd :".
        messages.retain(|message| message.why != "odd header spacing");
        let mut smtp = server.signed_in(ALICE);
        for message in &messages {
            smtp.submit(ALICE, &["bob@sink.example"], &message.bytes).expect("250 2.0.0");
        }
        let kept = postfix.wait_for_mail(messages.len());
        for message in &messages {
            // A Maildir has the line ends of its system.
            let original: Vec<u8> = message.bytes.iter().copied().filter(|&byte| byte != b'\r').collect();
            assert!(
                kept.iter().any(|kept| kept.ends_with(&original) || kept.ends_with(&[&original[..], b"\n"].concat())),
                "{} did not arrive as it was sent", message.why
            );
        }
    }

    fn a_postfix_takes_utf8_headers_and_addresses(engine) {
        let postfix = Postfix::receiving();
        let server = Posthouse::on(engine)
            .set("delivery.route", &format!("\"smtp://{}\"", postfix.address()))
            .start();
        server.create_account(ALICE);
        let message = corpus::utf8_headers(ALICE);
        let mut smtp = server.signed_in(ALICE);
        smtp.command(&format!("MAIL FROM:<{ALICE}> SMTPUTF8 BODY=8BITMIME"))
            .expect("250");
        smtp.rcpt("zoë@sink.example").expect("250 2.1.5");
        smtp.data(&message.bytes).expect("250 2.0.0");
        let kept = String::from_utf8(postfix.wait_for_mail(1).remove(0)).unwrap();
        assert!(kept.contains("Subject: Grüße aus Łódź, 馬"), "{kept}");
        assert!(kept.contains("Delivered-To: zoë@sink.example"), "{kept}");
    }
}
