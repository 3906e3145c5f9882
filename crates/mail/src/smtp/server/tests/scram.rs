//! Signing in with SCRAM, as the session sees it.

use super::*;

const FIRST: &str = "n,,n=joe@example.org,r=abc";

fn scram() -> Config {
    Config {
        scram: true,
        ..config()
    }
}

/// Under TLS, on a channel with this name, after EHLO.
fn talk(channel: Option<&[u8]>) -> Talk {
    let mut talk = Talk::new(scram(), Tls::Active);
    talk.session.bind_channel(channel.map(<[u8]>::to_vec));
    talk.say("EHLO client.example").expect("250");
    talk
}

fn text(reply: &str) -> String {
    let message = BASE64_STANDARD
        .decode(reply.strip_prefix("334 ").expect(reply))
        .unwrap();
    String::from_utf8(message).unwrap()
}

fn encoded(message: &str) -> String {
    BASE64_STANDARD.encode(message)
}

/// The client's last message of a dialogue that the test's driver takes for right.
fn last(header: &[u8]) -> String {
    let proof = BASE64_STANDARD.encode(RIGHT);
    encoded(&format!(
        "c={},r=abcdef,p={proof}",
        BASE64_STANDARD.encode(header)
    ))
}

#[test]
fn mechanisms_are_offered_where_they_can_be_used() {
    let offers = |scram: bool, channel: Option<&[u8]>| {
        let mut talk = Talk::new(Config { scram, ..config() }, Tls::Active);
        talk.session.bind_channel(channel.map(<[u8]>::to_vec));
        let reply = talk.say("EHLO client.example").expect("250").0.remove(0);
        let auth = reply.lines().find(|line| line.contains("AUTH")).unwrap();
        auth[4..].to_owned()
    };
    assert_eq!(offers(false, Some(b"x")), "AUTH PLAIN LOGIN");
    assert_eq!(offers(true, None), "AUTH SCRAM-SHA-256 PLAIN LOGIN");
    assert_eq!(
        offers(true, Some(b"x")),
        "AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN"
    );
    let mut off = Talk::tls();
    off.say("EHLO client.example").expect("250");
    off.say("AUTH SCRAM-SHA-256").expect("504 5.5.4");
    talk(None).say("AUTH SCRAM-SHA-256-PLUS").expect("504 5.5.4");
    let mut plain = Talk::new(scram(), Tls::Offered);
    plain.say("EHLO client.example").expect("250");
    plain.say("AUTH SCRAM-SHA-256").expect("538 5.7.11");
}

#[test]
fn a_proof_that_is_right_signs_in_once_the_client_has_seen_the_servers() {
    for initial in [true, false] {
        let mut talk = talk(None);
        let challenge = if initial {
            talk.say(&format!("AUTH SCRAM-SHA-256 {}", encoded(FIRST)))
                .0
                .remove(0)
        } else {
            assert_eq!(talk.say("AUTH scram-sha-256").0, ["334 "]);
            talk.say(&encoded(FIRST)).0.remove(0)
        };
        assert_eq!(
            text(&challenge),
            format!("r=abcdef,s={},i=4096", BASE64_STANDARD.encode("salt"))
        );
        let verified = talk.say(&last(b"n,,")).0.remove(0);
        assert_eq!(text(&verified), "v=verified");
        assert!(!talk.session.is_signed_in());
        talk.say("").expect("235 2.7.0");
        assert!(talk.session.is_signed_in());
        talk.say("AUTH SCRAM-SHA-256").expect("503 5.5.1");
    }
}

#[test]
fn a_client_that_does_not_believe_the_server_is_not_signed_in() {
    let mut talk = talk(None);
    talk.say(&format!("AUTH SCRAM-SHA-256 {}", encoded(FIRST)));
    talk.say(&last(b"n,,")).expect("334");
    talk.say("*").expect("501 5.7.0");
    assert!(!talk.session.is_signed_in());
}

#[test]
fn what_is_wrong_with_a_dialogue_is_told_apart() {
    type Case = (
        Option<&'static [u8]>,
        [&'static str; 2],
        Option<&'static str>,
        &'static str,
    );
    let cases: [Case; 6] = [
        (
            None,
            ["SCRAM-SHA-256", "n,a=admin,n=joe,r=abc"],
            None,
            "535 5.7.8",
        ),
        (Some(b"x"), ["SCRAM-SHA-256", "y,,n=joe,r=abc"], None, "535 5.7.8"),
        (
            Some(b"x"),
            ["SCRAM-SHA-256-PLUS", "n,,n=joe,r=abc"],
            None,
            "535 5.7.8",
        ),
        (None, ["SCRAM-SHA-256", "rubbish"], None, "501 5.5.2"),
        (None, ["SCRAM-SHA-256", FIRST], Some("rubbish"), "501 5.5.2"),
        (
            Some(b"x"),
            ["SCRAM-SHA-256-PLUS", "p=tls-exporter,,n=joe,r=abc"],
            Some("other channel"),
            "535 5.7.8",
        ),
    ];
    for (channel, [mechanism, first], second, reply) in cases {
        let mut talk = talk(channel);
        let answer = talk.say(&format!("AUTH {mechanism} {}", encoded(first)));
        match second {
            None => drop(answer.expect(reply)),
            Some("other channel") => drop(talk.say(&last(b"p=tls-exporter,,y")).expect(reply)),
            Some(second) => drop(talk.say(&encoded(second)).expect(reply)),
        }
        assert!(!talk.session.is_signed_in());
        talk.say("AUTH SCRAM-SHA-256 ####").expect("501 5.5.2");
        talk.say(&auth("right")).expect("235 2.7.0");
    }
}

#[test]
fn a_proof_on_its_own_channel_is_taken() {
    let mut talk = talk(Some(b"channel"));
    let first = encoded("p=tls-exporter,,n=joe@example.org,r=abc");
    talk.say(&format!("AUTH SCRAM-SHA-256-PLUS {first}"))
        .expect("334");
    talk.say(&last(b"p=tls-exporter,,channel")).expect("334");
    talk.say("=").expect("235 2.7.0");
}

#[test]
fn failed_proofs_end_the_connection_like_failed_passwords() {
    let mut talk = talk(None);
    let wrong = BASE64_STANDARD.encode([0; 32]);
    for n in 1..=3 {
        talk.say(&format!("AUTH SCRAM-SHA-256 {}", encoded(FIRST)));
        let replies = talk.say(&encoded(&format!("c=biws,r=abcdef,p={wrong}")));
        assert!(replies.0[0].starts_with("535 5.7.8"), "{:?}", replies.0);
        assert_eq!(replies.0.len(), if n == 3 { 2 } else { 1 });
    }
    assert!(talk.session.is_closed());
}

#[test]
fn tls_that_starts_forgets_the_channel_before_it() {
    let mut talk = Talk::new(scram(), Tls::Offered);
    talk.session.bind_channel(Some(b"before".to_vec()));
    talk.say("EHLO client.example").expect("250");
    talk.say("STARTTLS").expect("220");
    let reply = talk.say("EHLO client.example").0.remove(0);
    assert!(reply.contains("AUTH SCRAM-SHA-256 PLAIN LOGIN"), "{reply}");
}
