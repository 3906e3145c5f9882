//! The SMTP door under bytes that no mail program sends: smuggling, injection, relaying, flooding, dawdling.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::both_engines;
use crate::harness::server::{signal, stand_still};
use crate::harness::{Engine, PASSWORD, Posthouse, Sink, Smtp};

const JOE: &str = "joe@example.com";
const STRANGE_PATHS: [&str; 12] = [
    "<victim@example.net>",
    "<victim%example.net@mail.example.com>",
    "<@mail.example.com:victim@example.net>",
    "<mail.example.com!victim>",
    "<example.net!victim@mail.example.com>",
    "<\"victim@example.net\"@mail.example.com>",
    "<victim@mail.example.com.>",
    "<victim@[127.0.0.1]>",
    "<@example.net>",
    "<>",
    "<postmaster>",
    "victim@example.net",
];

/// A server on which JOE has an account.
fn server(engine: Engine) -> Posthouse {
    let server = Posthouse::on(engine).start();
    server.create_account(JOE);
    server
}

/// Everything up to the 354.
fn open_data(smtp: &mut Smtp) {
    smtp.mail(JOE).expect("250 2.1.0");
    smtp.rcpt("ann@example.net").expect("250 2.1.5");
    smtp.command("DATA").expect("354");
}

both_engines! {
    fn smuggled_commands_arrive_as_text_or_not_at_all(engine) {
        let sink = Sink::start();
        let server = Posthouse::on(engine).route_to(&sink).start();
        server.create_account(JOE);
        let mut accepted = 0;
        for end in [
            "\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\n.\r", "\r.\n", "\r\n\0.\r\n", "\r\n.\0\r\n",
        ] {
            let mut smtp = server.signed_in(JOE);
            open_data(&mut smtp);
            smtp.send(
                format!(
                    "From: {JOE}\r\nSubject: smuggler\r\n\r\nhello{end}MAIL FROM:<{JOE}>\r\n\
                     RCPT TO:<victim@example.net>\r\nDATA\r\nowned\r\n.\r\n"
                )
                .as_bytes(),
            );
            let reply = smtp.reply();
            if end.contains('\0') || end.replace("\r\n", "").contains('\r') {
                reply.expect("554 5.6.0");
            } else {
                reply.expect("250 2.0.0");
                accepted += 1;
            }
            // One reply and no more: the session is in step.
            smtp.command("NOOP").expect("250 2.0.0");
            smtp.quit();
        }
        for arrived in sink.wait_for(accepted) {
            assert_eq!(arrived.recipients, ["ann@example.net"]);
            assert!(!arrived.text().replace("\r\n", "").contains(['\r', '\n', '\0']));
        }
    }

    fn shutdown_lets_a_message_finish_and_sends_the_idle_away(engine) {
        let sink = Sink::start();
        let mut server = Posthouse::on(engine).route_to(&sink).start();
        server.create_account(JOE);
        let mut idle = server.smtp();
        let mut busy = server.signed_in(JOE);
        open_data(&mut busy);
        busy.send(b"From: joe@example.com\r\n\r\nfirst half\r\n");
        signal(server.pid(), "TERM");
        idle.reply().expect("421 4.3.2");
        idle.expect_closed();
        busy.send(b"second half\r\n.\r\n");
        busy.reply().expect("250 2.0.0");
        busy.reply().expect("421 4.3.2");
        busy.expect_closed();
        assert_eq!(server.stop(), Some(0));
        server.start_again();
        let arrived = sink.wait_for(1);
        assert!(arrived[0].text().ends_with("first half\r\nsecond half\r\n"));
    }

    fn bytes_behind_starttls_close_the_connection(engine) {
        let server = server(engine);
        let mut smtp = server.smtp();
        smtp.ehlo().expect("250");
        smtp.send(b"STARTTLS\r\nMAIL FROM:<evil@example.org>\r\n");
        smtp.reply().expect("554 5.5.0");
        smtp.expect_closed();
    }

    fn what_was_said_before_tls_is_forgotten(engine) {
        let server = server(engine);
        let mut smtp = server.smtp();
        smtp.ehlo().expect("250");
        smtp.mail(JOE).expect("250");
        smtp.command("STARTTLS").expect("220");
        let mut smtp = smtp.into_tls();
        smtp.rcpt("ann@example.net").expect("503 5.5.1");
        smtp.mail(JOE).expect("503 5.5.1");
        let offered = smtp.ehlo();
        assert!(offered.contains("AUTH PLAIN LOGIN") && !offered.contains("STARTTLS"));
        smtp.command("STARTTLS").expect("503 5.5.1");
    }

    fn nobody_signs_in_without_tls(engine) {
        let server = server(engine);
        let mut smtp = server.smtp();
        assert!(!smtp.ehlo().contains("AUTH"));
        smtp.auth_plain(JOE, PASSWORD).expect("538 5.7.11");
        smtp.command("AUTH LOGIN").expect("538 5.7.11");
    }

    fn without_sign_in_nothing_is_relayed(engine) {
        let server = Posthouse::on(engine)
            .set("smtp.inbound", "[\"127.0.0.1:0\"]")
            .start();
        server.create_account(JOE);
        let mut inbound = Smtp::connect(server.address("inbound"));
        inbound.reply().expect("220");
        assert!(!inbound.ehlo().contains("AUTH"));
        inbound.auth_plain(JOE, PASSWORD).expect("502 5.5.1");
        for smtp in [server.smtp(), server.smtps(), inbound] {
            try_to_relay(smtp);
        }
    }
}

fn try_to_relay(mut smtp: Smtp) {
    smtp.ehlo().expect("250");
    for sender in [JOE, ""] {
        // Few at a time: many refusals end the connection.
        for path in STRANGE_PATHS.iter().take(4) {
            smtp.mail(sender).expect("250 2.1.0");
            smtp.command(&format!("RCPT TO:{path}")).expect("550 5.7.1");
            smtp.command("RSET").expect("250");
        }
    }
}

both_engines! {
    fn no_spelling_of_a_path_gets_around_the_sign_in(engine) {
        let server = server(engine);
        for path in STRANGE_PATHS {
            let mut smtp = server.smtps();
            smtp.ehlo().expect("250");
            smtp.mail("").expect("250");
            smtp.command(&format!("RCPT TO:{path}")).expect("550 5.7.1");
            smtp.command("DATA").expect("554 5.5.1");
            smtp.quit();
        }
    }

    fn a_sender_that_is_not_the_accounts_is_refused(engine) {
        let server = server(engine);
        let mut smtp = server.signed_in(JOE);
        smtp.mail("ann@example.com").expect("553 5.7.1");
        smtp.mail("JOE@EXAMPLE.COM").expect("250 2.1.0");
    }

    fn long_commands_are_swallowed_and_long_text_lines_are_kept(engine) {
        let sink = Sink::start();
        let server = Posthouse::on(engine).route_to(&sink).start();
        server.create_account(JOE);
        let mut smtp = server.signed_in(JOE);
        for _ in 0..100 {
            smtp.send(&[b'x'; 10_000]);
        }
        smtp.send(b"\r\n");
        smtp.reply().expect("500 5.5.6");
        let line = "y".repeat(200_000);
        let body = format!("From: {JOE}\r\n\r\n{line}\r\n");
        smtp.submit(JOE, &["ann@example.net"], body.as_bytes())
            .expect("250 2.0.0");
        assert!(
            sink.wait_for(1)[0]
                .text()
                .ends_with(&format!("\r\n\r\n{line}\r\n"))
        );
        let endless = format!("From: {JOE}\r\n\r\n{}\r\n", "z".repeat(1_100_000));
        smtp.submit(JOE, &["ann@example.net"], endless.as_bytes())
            .expect("554 5.6.0");
        smtp.quit();
    }

    fn size_is_refused_at_mail_and_at_the_end(engine) {
        let server = Posthouse::on(engine)
            .set("smtp.max_message_size", "\"64 KiB\"")
            .start();
        server.create_account(JOE);
        let mut smtp = server.signed_in(JOE);
        assert!(smtp.ehlo().contains("SIZE 65536"));
        smtp.command(&format!("MAIL FROM:<{JOE}> SIZE=65537"))
            .expect("552 5.3.4");
        let body = [
            format!("From: {JOE}\r\n\r\n").as_bytes(),
            &b"0123456789\r\n".repeat(6_000),
        ]
        .concat();
        smtp.submit(JOE, &["ann@example.net"], &body).expect("552 5.3.4");
        smtp.submit(
            JOE,
            &["ann@example.net"],
            b"From: joe@example.com\r\n\r\nsmall\r\n",
        )
        .expect("250 2.0.0");
        let header = [
            &b"From: joe@example.com\r\n"[..],
            &b"X: y\r\n".repeat(10_000),
            b"\r\n",
        ]
        .concat();
        smtp.submit(JOE, &["ann@example.net"], &header)
            .expect("552 5.3.4");
    }

    fn recipients_have_a_limit_and_count_once(engine) {
        let server = Posthouse::on(engine)
            .set("smtp.max_recipients", "2")
            .start();
        server.create_account(JOE);
        let mut smtp = server.signed_in(JOE);
        smtp.mail(JOE).expect("250");
        for recipient in ["a@example.net", "b@example.net", "a@example.net"] {
            smtp.rcpt(recipient).expect("250 2.1.5");
        }
        smtp.rcpt("c@example.net").expect("452 4.5.3");
        smtp.data(b"From: joe@example.com\r\n\r\n").expect("250 2.0.0");
    }

    fn whoever_dawdles_is_hung_up_on(engine) {
        let server = Posthouse::on(engine)
            .set("smtp.command_timeout", "\"200ms\"")
            .start();
        let mut smtp = server.smtp();
        smtp.reply().expect("421 4.4.2");
        smtp.expect_closed();
        let mut half = server.smtp();
        half.send(b"EHLO half-a-comma");
        half.reply().expect("421 4.4.2");
        half.expect_closed();
    }

    fn a_message_that_does_not_end_is_given_up(engine) {
        let server = Posthouse::on(engine)
            .set("smtp.data_timeout", "\"300ms\"")
            .start();
        server.create_account(JOE);
        let mut smtp = server.signed_in(JOE);
        open_data(&mut smtp);
        smtp.send(b"From: joe@example.com\r\n\r\nx");
        smtp.reply().expect("421 4.4.2");
        smtp.expect_closed();
    }

    fn one_client_gets_so_many_connections_and_no_more(engine) {
        let server = Posthouse::on(engine)
            .set("smtp.connections_per_client", "2")
            .start();
        let first = server.smtp();
        let _second = server.smtp();
        let mut third = Smtp::connect(server.address("submission"));
        third.reply().expect("421 4.7.0");
        third.expect_closed();
        first.quit();
        server.smtp().quit();
    }

    fn other_protocols_and_early_talk_are_hung_up_on(engine) {
        let server = server(engine);
        let mut http = server.smtp();
        http.send(b"POST / HTTP/1.1\r\nHost: mail.example.com\r\n\r\nEHLO x\r\nMAIL FROM:<a@b>\r\n");
        http.reply().expect("554 5.5.0");
        http.expect_closed();
        let mut hello = server.smtp();
        hello.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
        assert_eq!(hello.expect_closed(), "");
        // While the server stands still, the connection and its first bytes wait in the kernel.
        stand_still(server.pid());
        let mut early = Smtp::connect(server.address("submission"));
        early.send(b"EHLO client.example\r\n");
        early.wait_until_it_arrived();
        signal(server.pid(), "CONT");
        early.reply().expect("554 5.5.0");
        early.expect_closed();
        for group in ["EHLO client.example\r\nNOOP\r\n", "QUIT\r\nNOOP\r\n"] {
            let mut smtp = server.smtp();
            smtp.send(group.as_bytes());
            smtp.reply().expect("554 5.5.0");
            smtp.expect_closed();
        }
    }

    fn guessing_passwords_ends_the_connection(engine) {
        let server = server(engine);
        let mut smtp = server.smtps();
        smtp.ehlo().expect("250");
        for user in [JOE, "nobody@example.com", "not an address"] {
            smtp.auth_plain(user, "guess")
                .expect("535 5.7.8 Authentication failed");
        }
        smtp.reply().expect("421 4.7.0");
        smtp.expect_closed();
    }

    fn many_errors_end_the_connection(engine) {
        let server = server(engine);
        let mut smtp = server.smtp();
        // One group, one delay.
        smtp.send("WHAT\r\n".repeat(20).as_bytes());
        for _ in 0..20 {
            smtp.reply().expect("500 5.5.1");
        }
        smtp.reply().expect("421 4.7.0");
        smtp.expect_closed();
    }

    fn an_ip_range_stands_for_an_account_on_the_submission_ports_only(engine) {
        let sink = Sink::start();
        let server = Posthouse::on(engine)
            .set("smtp.inbound", "[\"127.0.0.1:0\"]")
            .route_to(&sink)
            .start();
        server.create_account(JOE);
        server.cli(
            &["credential", "create", "--account", JOE, "--ip", "127.0.0.1/32"],
            "",
        );
        let mut device = server.smtp();
        device.command("HELO printer").expect("250");
        device.mail("ann@example.com").expect("553 5.7.1");
        device
            .submit(JOE, &["ann@example.net"], b"From: joe@example.com\r\n\r\n")
            .expect("250 2.0.0");
        device.quit();
        assert_eq!(sink.wait_for(1)[0].recipients, ["ann@example.net"]);
        let mut inbound = Smtp::connect(server.address("inbound"));
        inbound.reply().expect("220");
        inbound.ehlo().expect("250");
        inbound.mail(JOE).expect("250");
        inbound.rcpt("ann@example.net").expect("550 5.7.1");
    }

    fn no_password_and_no_text_reaches_the_log(engine) {
        let server = Posthouse::on(engine)
            .set("log.level", "\"trace\"")
            .start();
        server.create_account(JOE);
        let mut smtp = server.smtps();
        smtp.ehlo().expect("250");
        smtp.auth_login(JOE, "a-wrong-secret").expect("535");
        smtp.auth_plain(JOE, PASSWORD).expect("235");
        smtp.submit(
            JOE,
            &["ann@example.net"],
            b"From: joe@example.com\r\n\r\nconfidential\r\n",
        )
        .expect("250");
        smtp.quit();
        let said = |text: &str| server.log().iter().any(|line| line.to_string().contains(text));
        server.wait_for_log("accepted");
        for secret in [
            PASSWORD,
            "a-wrong-secret",
            &BASE64_STANDARD.encode(PASSWORD),
            "confidential",
        ] {
            assert!(!said(secret), "{secret} is in the log");
        }
        assert!(!said(&BASE64_STANDARD.encode(format!("\0{JOE}\0{PASSWORD}"))));
    }
}
