//! Every attack at the SMTP door that the server has to survive, driven by raw bytes at the real listener. This table says which test
//! drives which; what the server does as a client and with names has its own peers in `outbound`.
//!
//! | attack | tests |
//! |---|---|
//! | smuggling in | `smtp_raw::smuggled_commands_arrive_as_text_or_not_at_all`, `bodies::a_bare_line_feed_becomes_crlf_and_ends_nothing`, `bodies::a_bare_carriage_return_or_a_nul_is_refused_behind_the_real_end` |
//! | smuggling out | `smtp_raw::smuggled_commands_arrive_as_text_or_not_at_all` (at the sink), `bodies::odd_messages_arrive_byte_for_byte` |
//! | STARTTLS injection | `smtp_raw::bytes_behind_starttls_close_the_connection`, `smtp_raw::what_was_said_before_tls_is_forgotten`; as a client `outbound it::carry` |
//! | early talk, pipelining where not allowed | `smtp_raw::other_protocols_and_early_talk_are_hung_up_on`, [`bytes_behind_auth_or_data_close_the_connection`] |
//! | other protocols | `smtp_raw::other_protocols_and_early_talk_are_hung_up_on` |
//! | open relay | `smtp_raw::without_sign_in_nothing_is_relayed`, `smtp_raw::no_spelling_of_a_path_gets_around_the_sign_in`, [`the_null_sender_writes_to_one`] |
//! | spoofing between tenants | `smtp_raw::a_sender_that_is_not_the_accounts_is_refused`, [`no_from_field_of_others_gets_through`] |
//! | AUTH brute force, enumeration, timing | `smtp_raw::guessing_passwords_ends_the_connection`, `lockout`, [`nobody_learns_who_is_here`] |
//! | hash as a weapon | `lockout::unknown_wrong_old_and_locked_take_the_same_time`, [`credentials_that_are_none_are_refused_and_the_session_goes_on`] (a password over 1 KiB) |
//! | SASL | [`credentials_that_are_none_are_refused_and_the_session_goes_on`], [`auth_twice_or_inside_a_transaction_is_out_of_order`] |
//! | slow or many connections | `smtp_raw::whoever_dawdles_is_hung_up_on`, `smtp_raw::a_message_that_does_not_end_is_given_up`, `smtp_raw::one_client_gets_so_many_connections_and_no_more`, `smtp_raw::many_errors_end_the_connection`, `crowd` |
//! | long lines and lists | `smtp_raw::long_commands_are_swallowed_and_long_text_lines_are_kept`, `smtp_raw::size_is_refused_at_mail_and_at_the_end`, `smtp_raw::recipients_have_a_limit_and_count_once`, [`invalid_utf8_is_refused_and_the_session_goes_on`] |
//! | MIME bombs | [`bombs_of_parts_are_relayed_untouched`] |
//! | header injection | `api` (every field that becomes a header) |
//! | loops, backscatter | `bodies::a_message_that_went_round_and_round_is_refused`, `delivery::a_notice_that_cannot_be_delivered_makes_no_notice` |
//! | forged bounces and complaints | `reports` |
//! | DNS | `delivery::domains_that_take_no_mail_bounce_at_once_and_broken_name_servers_wait`; `outbound it::route` |

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::both_engines;
use crate::harness::{Engine, PASSWORD, Posthouse, Sink, Smtp};

const JOE: &str = "joe@example.com";
const ANN: &str = "ann@example.net";

fn server(engine: Engine) -> Posthouse {
    let server = Posthouse::on(engine).start();
    server.create_account(JOE);
    server
}

/// Under TLS, after EHLO, nobody signed in.
fn unknown(server: &Posthouse) -> Smtp {
    let mut smtp = server.smtps();
    smtp.ehlo().expect("250");
    smtp
}

both_engines! {
    fn bytes_behind_auth_or_data_close_the_connection(engine) {
        let server = server(engine);
        for group in ["AUTH LOGIN\r\nNOOP\r\n", "AUTH PLAIN\r\nAGEAYg==\r\n"] {
            let mut smtp = unknown(&server);
            smtp.send(group.as_bytes());
            smtp.reply().expect("554 5.5.0");
            smtp.expect_closed();
        }
        let mut smtp = server.signed_in(JOE);
        smtp.mail(JOE).expect("250");
        smtp.rcpt(ANN).expect("250");
        smtp.send(b"DATA\r\nSubject: too soon\r\n\r\n.\r\n");
        smtp.reply().expect("554 5.5.0");
        smtp.expect_closed();
    }

    fn the_null_sender_writes_to_one(engine) {
        let server = server(engine);
        let mut smtp = server.signed_in(JOE);
        smtp.mail("").expect("250");
        smtp.rcpt(ANN).expect("250");
        let second = smtp.rcpt("bob@example.net");
        let end = if second.code() == 250 {
            smtp.data(format!("From: <{JOE}>\r\n\r\nx\r\n").as_bytes())
        } else {
            second
        };
        end.expect("550 5.7.1");
    }

    fn no_from_field_of_others_gets_through(engine) {
        let server = server(engine);
        server.create_account("eve@xn--bcher-kva.example");
        for from in [
            "From: ann@example.com\r\n",
            "From: joe@example.com\r\nFrom: ann@example.com\r\n",
            "From: joe@example.com, ann@example.com\r\n",
            "From: \"joe@example.com\" <ann@example.com>\r\n",
            "From: joe@ex\u{430}mple.com\r\n",
            "From : ann@example.com\r\n",
            "X-One: 1\r\nfrom:\r\n ann@example.com\r\n",
            "Sender: ann@example.com\r\nFrom: joe@example.com\r\n",
            "Resent-From: ann@example.com\r\nFrom: joe@example.com\r\n",
        ] {
            let mut smtp = server.signed_in(JOE);
            let reply = smtp.submit(JOE, &[ANN], format!("{from}Subject: spoof\r\n\r\nx\r\n").as_bytes());
            assert_eq!(reply.code() / 100, 5, "{from:?}: {reply:?}");
            smtp.command("NOOP").expect("250");
            smtp.quit();
        }
        // The same domain in both its spellings is the same.
        let mut smtp = server.signed_in("eve@xn--bcher-kva.example");
        smtp.command("MAIL FROM:<eve@b\u{fc}cher.example> SMTPUTF8").expect("250");
        smtp.rcpt(ANN).expect("250");
        smtp.data("From: eve@xn--bcher-kva.example\r\n\r\nx\r\n".as_bytes()).expect("250");
    }

    fn nobody_learns_who_is_here(engine) {
        let server = server(engine);
        let mut smtp = unknown(&server);
        for login in ["joe", JOE, "nobody@example.com"] {
            smtp.command(&format!("VRFY {login}")).expect("252");
        }
        smtp.command("EXPN staff").expect("502");
        let known = smtp.auth_plain(JOE, "wrong").0;
        assert_eq!(known, smtp.auth_plain("nobody@example.com", "wrong").0);
    }

    fn credentials_that_are_none_are_refused_and_the_session_goes_on(engine) {
        let server = server(engine);
        let base64 = |bytes: &str| BASE64_STANDARD.encode(bytes);
        let long = "QUFB".repeat(4_000);
        for (response, reply) in [
            (long.as_str(), "500 5.5.6"),
            ("*", "501 5.7.0"),
            ("not base64!", "501 5.5.2"),
            ("\u{0}\u{1}", "501 5.5.2"),
            (&base64("joe@example.com"), "501 5.5.2"),
            (&base64(&format!("\0{JOE}")), "501 5.5.2"),
            (&base64(&format!("ann@example.com\0{JOE}\0{PASSWORD}")), "535 5.7.8"),
            (&base64(&format!("\0{JOE}\0{}", "x".repeat(2_000))), "535 5.7.8"),
        ] {
            let mut smtp = unknown(&server);
            smtp.command("AUTH PLAIN").expect("334");
            let said = smtp.command(response);
            assert!(said.0.starts_with(reply), "{}: {said:?}", &response[..response.len().min(40)]);
            smtp.command("NOOP").expect("250");
            smtp.auth_plain(JOE, PASSWORD).expect("235");
        }
        let mut smtp = unknown(&server);
        smtp.command("AUTH LOGIN").expect("334");
        smtp.command("*").expect("501 5.7.0");
        smtp.command("AUTH CRAM-MD5").expect("504 5.5.4");
        smtp.auth_plain(JOE, PASSWORD).expect("235");
    }

    fn auth_twice_or_inside_a_transaction_is_out_of_order(engine) {
        let server = server(engine);
        let mut smtp = server.signed_in(JOE);
        smtp.auth_plain(JOE, PASSWORD).expect("503 5.5.1");
        let mut smtp = unknown(&server);
        smtp.mail(JOE).expect("250");
        smtp.auth_plain(JOE, PASSWORD).expect("503 5.5.1");
    }

    fn invalid_utf8_is_refused_and_the_session_goes_on(engine) {
        let server = server(engine);
        let mut smtp = server.signed_in(JOE);
        smtp.send(b"MAIL FROM:<\xff\xfe@example.com>\r\n");
        smtp.reply().expect("501");
        smtp.mail(JOE).expect("250");
        smtp.send(b"RCPT TO:<ann\xc3\x28@example.net>\r\n");
        smtp.reply().expect("501");
        smtp.rcpt(ANN).expect("250");
        smtp.data(b"From: joe@example.com\r\nSubject: \xff\xfe\r\n\r\nx\r\n").expect("250");
    }

    fn bombs_of_parts_are_relayed_untouched(engine) {
        let sink = Sink::start();
        let server = Posthouse::on(engine).route_to(&sink).start();
        server.create_account(JOE);
        let mut nested = String::new();
        for depth in 0..5_000 {
            write!(nested, "Content-Type: multipart/mixed; boundary=b{depth}\r\n\r\n--b{depth}\r\n").unwrap();
        }
        let many = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}--b--\r\n", "--b\r\n\r\nx\r\n".repeat(20_000));
        let mut smtp = server.signed_in(JOE);
        for (number, bomb) in [nested, many].iter().enumerate() {
            let to = format!("bomb{number}@example.net");
            let message = format!("From: {JOE}\r\nMIME-Version: 1.0\r\n{bomb}");
            smtp.submit(JOE, &[&to], message.as_bytes()).expect("250 2.0.0");
            let arrived = sink.wait_for_recipient(&to);
            let end = &bomb[bomb.len() / 2..];
            assert!(arrived.text().ends_with(end), "bomb {number} arrived otherwise than it was sent");
        }
        // And whoever looks at it in the console sees as much as there is time for.
        let mut http = server.http();
        http.sign_in(JOE, PASSWORD);
        let list = http.get("/api/v1/messages").expect(200).json();
        for message in list["items"].as_array().unwrap() {
            let id = message["id"].as_str().unwrap();
            http.get(&format!("/api/v1/messages/{id}/content")).expect(200);
        }
        server.http().get("/healthz").expect(200);
    }
}
