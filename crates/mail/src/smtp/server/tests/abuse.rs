//! What no honest client does.

use super::*;

#[test]
fn starttls_forgets_what_was_said_before() {
    let mut talk = Talk::new(config(), Tls::Offered);
    talk.say("STARTTLS").expect("503 5.5.1");
    talk.say("EHLO client.example").expect("250");
    talk.say("MAIL FROM:<joe@example.org>").expect("250");
    talk.say("STARTTLS").expect("220 2.0.0");
    assert_eq!(talk.session.hello(), None);
    talk.say("MAIL FROM:<joe@example.org>").expect("503 5.5.1");
    talk.say("EHLO client.example").expect("250");
    talk.say("STARTTLS").expect("503 5.5.1");
    talk.say(&auth("right")).expect("235");
}

#[test]
fn starttls_without_a_certificate_is_not_offered() {
    let mut talk = Talk::new(config(), Tls::Unavailable);
    talk.say("EHLO client.example").expect("250");
    talk.say("STARTTLS").expect("502");
}

#[test]
fn bytes_behind_starttls_close_the_connection() {
    let mut talk = Talk::new(config(), Tls::Offered);
    talk.say("EHLO client.example").expect("250");
    talk.send("STARTTLS\r\nRSET\r\n").expect("554 5.5.0");
    talk.expect_closed();
}

#[test]
fn pipelining_where_it_is_not_allowed_closes_the_connection() {
    for command in [
        "EHLO client.example",
        "HELO client.example",
        "DATA",
        "STARTTLS",
        "AUTH PLAIN",
        "AUTH LOGIN am9l",
        "QUIT",
    ] {
        let mut talk = Talk::tls();
        talk.send(format!("{command}\r\nNOOP\r\n")).expect("554 5.5.0");
        talk.expect_closed();
    }
    let mut talk = Talk::tls();
    talk.say("EHLO client.example").expect("250");
    talk.say("AUTH LOGIN").expect("334");
    talk.send("am9l\r\nc2VjcmV0\r\n").expect("554 5.5.0");
    talk.expect_closed();
}

#[test]
fn early_talk_is_answered_without_a_banner() {
    let mut session = Session::new(Arc::new(config()), Tls::Offered);
    session.early_talk(b'E');
    assert!(session.output().starts_with(b"554 5.5.0 "));
    assert!(session.is_closed());
    let mut session = Session::new(Arc::new(config()), Tls::Offered);
    session.early_talk(22);
    assert!(session.output().is_empty());
    assert!(session.is_closed());
}

#[test]
fn other_protocols_are_hung_up_on() {
    for hello in [
        "GET / HTTP/1.1",
        "POST / HTTP/1.1",
        "CONNECT mx.example:25 HTTP/1.1",
        "PRI * HTTP/2.0",
    ] {
        let mut talk = Talk::new(config(), Tls::Offered);
        talk.send(format!("{hello}\r\nHost: mx.example\r\n\r\nMAIL FROM:<>\r\n"))
            .expect("554 5.5.0");
        talk.expect_closed();
    }
    let mut talk = Talk::new(config(), Tls::Offered);
    talk.send(b"\x16\x03\x01\x02\x00").expect("");
    talk.expect_closed();
}

#[test]
fn without_sign_in_nothing_is_relayed_however_the_path_is_spelt() {
    let mut talk = Talk::new(
        Config {
            hard_error_limit: 100,
            ..config()
        },
        Tls::Active,
    );
    talk.say("EHLO client.example").expect("250");
    for sender in ["spam@example.org", ""] {
        talk.say(&format!("MAIL FROM:<{sender}>")).expect("250");
        for recipient in [
            "victim@example.net",
            "user%dom@us.example",
            "@us.example:user@x.example",
            "us!user",
            "us.example!user@x.example",
            "\"user@evil.example\"@us.example",
            "user@us.example.",
            "user@[127.0.0.1]",
            "user@127.0.0.1",
            "@us.example",
            "",
            "j\u{fc}rgen@us.example",
            "postmaster",
        ] {
            talk.say(&format!("RCPT TO:<{recipient}>")).expect("550 5.7.1");
        }
        talk.say("DATA").expect("554 5.5.1");
        talk.say("RSET").expect("250");
    }
    assert!(talk.messages.is_empty());
}

#[test]
fn invalid_utf8_and_controls_are_refused_and_the_session_goes_on() {
    let mut talk = Talk::signed_in();
    talk.send(b"MAIL FROM:<j\xfc@example.org>\r\n")
        .expect("501 5.5.2");
    talk.send(b"NOOP \0\r\n").expect("501 5.5.2");
    talk.send(b"MAIL FROM:<joe@example.org>\rRCPT TO:<x@y>\r\n")
        .expect("501 5.5.2");
    talk.say("NOOP").expect("250");
}

#[test]
fn a_long_command_is_refused_once_at_its_end() {
    let mut talk = Talk::signed_in();
    let name = "x".repeat(2_048 - "NOOP \r\n".len());
    talk.say(&format!("NOOP {name}")).expect("250");
    talk.say(&format!("NOOP {name}x")).expect("500 5.5.6");
    for _ in 0..100 {
        talk.send("x".repeat(1_000)).expect("");
        assert!(talk.input.len() <= 2_048);
    }
    talk.send("\r\nNOOP\r\n").expect("500 5.5.6, 250");
}

#[test]
fn a_lone_lf_ends_a_command_only_where_it_is_repaired() {
    Talk::signed_in().send("NOOP\nNOOP\n").expect("250, 250");
    let mut talk = Talk::signed_in_with(Config {
        bare_lf: BareLf::Refuse,
        ..config()
    });
    talk.send("NOOP\nNOOP\n").expect("");
    talk.send("\r\nNOOP\r\n").expect("501 5.5.2, 250");
}

#[test]
fn smuggled_commands_stay_text() {
    let evil = "MAIL FROM:<evil@example.org>\r\nRCPT TO:<victim@example.net>\r\nDATA\r\nowned\r\n";
    for end in [
        "\n.\n",
        "\n.\r\n",
        "\r\n.\n",
        "\r.\r",
        "\r\n.\r",
        "\n.\r",
        "\r.\n",
        "\r.\r\n",
        "\0.\r\n",
        "\r\n\0.\r\n",
    ] {
        let mut talk = Talk::signed_in();
        talk.send("MAIL FROM:<joe@example.org>\r\nRCPT TO:<a@b.example>\r\n")
            .expect("250, 250");
        let replies = talk.data(format!("Subject: x\r\n\r\nhello{end}{evil}.\r\n"));
        assert_eq!(replies.0.len(), 1, "{end:?}");
        assert!(talk.messages.len() <= 1);
        for (envelope, _) in &talk.messages {
            assert_eq!(envelope.recipients[0].address.to_string(), "a@b.example");
        }
    }
}

#[test]
fn errors_slow_a_client_down_and_then_end_the_connection() {
    let mut talk = Talk::tls();
    for _ in 0..9 {
        talk.say("WHAT").expect("500");
    }
    assert!(!talk.session.take_slowed());
    for _ in 9..19 {
        talk.say("WHAT").expect("500");
        assert!(talk.session.take_slowed());
    }
    talk.say("NOOP").expect("250");
    assert!(!talk.session.take_slowed());
    talk.say("WHAT").expect("500, 421 4.7.0");
    talk.expect_closed();
}

#[test]
fn dead_addresses_in_a_long_list_do_not_end_the_connection() {
    let mut talk = Talk::signed_in();
    talk.say("MAIL FROM:<joe@example.org>").expect("250");
    for _ in 0..30 {
        talk.say("RCPT TO:<nobody@>").expect("501 5.1.2");
    }
    talk.say("RCPT TO:<a@b.example>").expect("250");
}

#[test]
fn an_accepted_message_clears_the_errors() {
    let mut talk = Talk::signed_in();
    for _ in 0..3 {
        for _ in 0..15 {
            talk.say("WHAT").expect("500");
        }
        talk.send("MAIL FROM:<joe@example.org>\r\nRCPT TO:<a@b.example>\r\n")
            .expect("250, 250");
        talk.data("x\r\n.\r\n").expect("250");
    }
}
