//! Signing in, and failing to.

use super::*;

#[test]
fn auth_plain_and_login_work_with_and_without_initial_response() {
    for lines in [
        &[&auth("right")[..]][..],
        &["auth plain", "AGpvZUBleGFtcGxlLm9yZwByaWdodA=="],
        &["AUTH LOGIN", "am9l", "cmlnaHQ="],
        &["AUTH LOGIN am9l", "cmlnaHQ="],
    ] {
        let mut talk = Talk::tls();
        talk.say("EHLO client.example").expect("250");
        let (last, first) = lines.split_last().unwrap();
        for line in first {
            talk.say(line).expect("334");
        }
        talk.say(last).expect("235 2.7.0");
        assert!(talk.session.is_signed_in());
        talk.say(&auth("right")).expect("503 5.5.1");
    }
    let mut talk = Talk::tls();
    talk.say("EHLO client.example").expect("250");
    assert_eq!(talk.say("AUTH LOGIN").0, ["334 VXNlcm5hbWU6"]);
    assert_eq!(talk.say("am9l").0, ["334 UGFzc3dvcmQ6"]);
}

#[test]
fn auth_is_refused_where_it_does_not_belong() {
    let mut talk = Talk::new(config(), Tls::Offered);
    talk.say("EHLO client.example").expect("250");
    talk.say(&auth("right")).expect("538 5.7.11");
    talk.say("AUTH LOGIN").expect("538 5.7.11");
    let mut talk = Talk::tls();
    talk.say("HELO client.example").expect("250");
    talk.say(&auth("right")).expect("503");
    talk.say("EHLO client.example").expect("250");
    talk.say("AUTH CRAM-MD5").expect("504 5.5.4");
    let mut talk = Talk::new(
        Config {
            sign_in: false,
            ..config()
        },
        Tls::Active,
    );
    talk.say("EHLO client.example").expect("250");
    talk.say(&auth("right")).expect("502");
}

#[test]
fn malformed_credentials_are_refused() {
    let identity = BASE64_STANDARD.encode("admin\0joe@example.org\0right");
    let no_nul = BASE64_STANDARD.encode("joe@example.org right");
    for (line, reply) in [
        ("AUTH PLAIN *", "501 5.7.0"),
        ("AUTH PLAIN =", "501 5.5.2"),
        ("AUTH PLAIN ####", "501 5.5.2"),
        (&format!("AUTH PLAIN {no_nul}"), "501 5.5.2"),
        (&format!("AUTH PLAIN {identity}"), "535 5.7.8"),
        ("AUTH LOGIN ####", "501 5.5.2"),
    ] {
        let mut talk = Talk::tls();
        talk.say("EHLO client.example").expect("250");
        talk.say(line).expect(reply);
        talk.say("NOOP").expect("250");
    }
}

#[test]
fn an_exchange_can_be_cancelled_and_its_lines_have_a_limit() {
    let mut talk = Talk::tls();
    talk.say("EHLO client.example").expect("250");
    talk.say("AUTH LOGIN").expect("334");
    talk.say("am9l").expect("334");
    talk.say("*").expect("501 5.7.0");
    talk.say("NOOP").expect("250");
    talk.say("AUTH PLAIN").expect("334");
    talk.say(&"A".repeat(12 * 1024)).expect("501 5.5.2");
    talk.say("AUTH PLAIN").expect("334");
    talk.say(&"A".repeat(12 * 1024 + 1)).expect("500 5.5.6");
    talk.say("AUTH PLAIN").expect("334");
    talk.send(b"\xff\xff\r\n").expect("501 5.5.2");
    talk.say(&auth("right")).expect("235");
}

#[test]
fn three_failed_sign_ins_end_the_connection() {
    let mut talk = Talk::tls();
    talk.say("EHLO client.example").expect("250");
    talk.say(&auth("wrong")).expect("535 5.7.8");
    talk.say(&auth("wrong")).expect("535 5.7.8");
    talk.say(&auth("wrong")).expect("535 5.7.8, 421 4.7.0");
    talk.expect_closed();
}

#[test]
fn a_sign_in_that_could_not_be_checked_is_not_a_failure() {
    let mut session = Session::new(Arc::new(config()), Tls::Active);
    let mut input = BytesMut::from(&b"EHLO client.example\r\n"[..]);
    assert_eq!(session.receive(&mut input), Step::NeedBytes);
    for _ in 0..10 {
        input.extend_from_slice(format!("{}\r\n", auth("right")).as_bytes());
        assert!(matches!(session.receive(&mut input), Step::SignIn(_)));
        session.answer(Verdict::Refuse(replies::SIGN_IN_UNAVAILABLE));
    }
    assert!(!session.is_closed());
}

#[test]
fn a_client_that_is_locked_out_and_goes_on_is_hung_up_on() {
    let mut session = Session::new(Arc::new(config()), Tls::Active);
    let mut input = BytesMut::from(&b"EHLO client.example\r\n"[..]);
    assert_eq!(session.receive(&mut input), Step::NeedBytes);
    for _ in 0..3 {
        assert!(!session.is_closed());
        input.extend_from_slice(format!("{}\r\n", auth("right")).as_bytes());
        assert!(matches!(session.receive(&mut input), Step::SignIn(_)));
        let left = std::time::Duration::from_mins(5);
        session.answer(Verdict::Refuse(replies::sign_in_locked(left)));
    }
    assert!(session.is_closed());
}

#[test]
fn an_auth_at_the_wrong_place_is_told_to_the_driver_once_with_its_username() {
    for (tls, sign_in, command, mistake, mechanism, username) in [
        (
            Tls::Offered,
            true,
            auth("right"),
            AuthMistake::NoTls,
            "PLAIN",
            Some("joe@example.org"),
        ),
        (
            Tls::Offered,
            true,
            "AUTH PLAIN".into(),
            AuthMistake::NoTls,
            "PLAIN",
            None,
        ),
        (
            Tls::Offered,
            true,
            "auth login am9l".into(),
            AuthMistake::NoTls,
            "LOGIN",
            Some("joe"),
        ),
        (
            Tls::Offered,
            true,
            "AUTH LOGIN ####".into(),
            AuthMistake::NoTls,
            "LOGIN",
            None,
        ),
        (
            Tls::Active,
            false,
            "AUTH CRAM-MD5".into(),
            AuthMistake::WrongPort,
            "",
            None,
        ),
    ] {
        let mut talk = Talk::new(Config { sign_in, ..config() }, tls);
        talk.say("EHLO client.example").expect("250");
        assert_eq!(talk.session.take_auth_refused(), None);
        talk.say(&command);
        let refused = talk.session.take_auth_refused().expect("a hint");
        assert_eq!(
            (refused.mistake, refused.mechanism, refused.username.as_deref()),
            (mistake, mechanism, username)
        );
        assert_eq!(talk.session.take_auth_refused(), None);
    }
}
