//! The session spoken to as a client would, with a driver that grants everything to those who signed in.

mod abuse;
mod scram;
mod sign_in;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;

use super::*;
use crate::notify::{Notify, Ret};

fn config() -> Config {
    Config {
        hostname: "mx.example".into(),
        sign_in: true,
        scram: false,
        max_message_size: 100_000,
        max_header_size: 10_000,
        max_text_line: 50_000,
        max_recipients: 1_000,
        bare_lf: BareLf::Repair,
        soft_error_limit: 10,
        hard_error_limit: 20,
        max_sign_in_failures: 3,
        help_pages: None,
    }
}

/// The proof that the driver takes for right.
const RIGHT: [u8; 32] = [7; 32];

/// A session with its driver, and what came of it.
struct Talk {
    session: Session,
    input: BytesMut,
    messages: Vec<(Envelope, Bytes)>,
    /// Replies in order, one string each, lines joined by LF.
    replies: Vec<String>,
}

impl Talk {
    fn new(config: Config, tls: Tls) -> Self {
        let mut talk = Self {
            session: Session::new(Arc::new(config), tls),
            input: BytesMut::new(),
            messages: Vec::new(),
            replies: Vec::new(),
        };
        talk.drain();
        assert_eq!(talk.replies, ["220 mx.example ESMTP Posthouse"]);
        talk.replies.clear();
        talk
    }

    /// Under TLS, nothing said yet.
    fn tls() -> Self {
        Self::new(config(), Tls::Active)
    }

    fn signed_in() -> Self {
        Self::signed_in_with(config())
    }

    fn signed_in_with(config: Config) -> Self {
        let mut talk = Self::new(config, Tls::Active);
        talk.say("EHLO client.example").expect("250");
        talk.say(&auth("right")).expect("235 2.7.0");
        talk
    }

    fn drain(&mut self) {
        let bytes = self.session.output().split();
        let text = str::from_utf8(&bytes).expect("replies are ASCII");
        let mut reply = String::new();
        for line in text.split_terminator("\r\n") {
            assert!(line.len() < 511 && !line.contains(['\r', '\n']));
            if !reply.is_empty() {
                reply.push('\n');
            }
            reply.push_str(line);
            if line.as_bytes()[3] == b' ' {
                self.replies.push(std::mem::take(&mut reply));
            }
        }
    }

    /// Feeds bytes as one read; the replies it brings.
    fn send(&mut self, bytes: impl AsRef<[u8]>) -> Replies {
        self.input.extend_from_slice(bytes.as_ref());
        loop {
            match self.session.receive(&mut self.input) {
                Step::NeedBytes | Step::Close => break,
                Step::SignIn(credentials) if credentials.password == "right" => {
                    self.session.answer(Verdict::Accept);
                }
                Step::Challenge(_) => self.session.challenge(b"salt", 4_096, "def"),
                Step::Proof(proof) if proof.fingerprint() == BASE64_STANDARD.encode(RIGHT) => {
                    self.session.verified("v=verified");
                }
                Step::SignIn(_) | Step::Proof(_) => {
                    self.session.answer(Verdict::Refuse(replies::SIGN_IN_FAILED));
                }
                Step::Rcpt(_) if !self.session.signed_in && !self.session.trusted => {
                    self.session.answer(Verdict::Refuse(replies::RELAY_DENIED));
                }
                Step::Mail(_) | Step::Rcpt(_) | Step::Data => self.session.answer(Verdict::Accept),
                Step::Message { envelope, body, .. } => {
                    self.messages.push((envelope, body));
                    self.session
                        .answer(Verdict::AcceptAs(replies::accepted(&self.messages.len())));
                }
                Step::StartTls => {
                    assert!(self.input.is_empty(), "nothing may stand behind STARTTLS");
                    self.session.tls_started();
                }
            }
        }
        self.drain();
        Replies(std::mem::take(&mut self.replies))
    }

    fn say(&mut self, line: &str) -> Replies {
        self.send(format!("{line}\r\n"))
    }

    fn data(&mut self, text: impl AsRef<[u8]>) -> Replies {
        self.say("DATA").expect("354");
        self.send(text)
    }

    fn expect_closed(&mut self) {
        assert!(self.session.is_closed());
        assert_eq!(self.send("NOOP\r\n").0, Vec::<String>::new());
    }
}

#[derive(Debug)]
struct Replies(Vec<String>);

impl Replies {
    /// One reply for each prefix, in order; of several lines the last one counts.
    #[track_caller]
    fn expect(self, prefixes: &str) -> Self {
        let prefixes: Vec<&str> = prefixes.split(", ").filter(|prefix| !prefix.is_empty()).collect();
        assert_eq!(self.0.len(), prefixes.len(), "{:?}", self.0);
        for (reply, prefix) in self.0.iter().zip(prefixes) {
            let last = reply.lines().last().expect("a line");
            assert!(last.starts_with(prefix), "expected {prefix}, got {reply}");
        }
        self
    }
}

fn auth(password: &str) -> String {
    format!(
        "AUTH PLAIN {}",
        BASE64_STANDARD.encode(format!("\0joe@example.org\0{password}"))
    )
}

#[test]
fn a_whole_transaction_is_carried_to_the_driver() {
    let mut talk = Talk::signed_in();
    talk.say("MAIL FROM:<joe@example.org> SIZE=30 RET=HDRS ENVID=abc BODY=8BITMIME")
        .expect("250 2.1.0");
    talk.say("RCPT TO:<ann@example.net> NOTIFY=SUCCESS ORCPT=rfc822;a@b")
        .expect("250 2.1.5");
    talk.say("RCPT TO:<bob@example.net>").expect("250 2.1.5");
    talk.data("Subject: x\r\n\r\n..dot\r\n.\r\n")
        .expect("250 2.0.0 Accepted as 1");
    let (envelope, body) = talk.messages.pop().unwrap();
    assert_eq!(envelope.reverse_path.unwrap().to_string(), "joe@example.org");
    assert_eq!(envelope.ret, Some(Ret::Headers));
    assert_eq!(envelope.envid.as_deref(), Some("abc"));
    assert_eq!(envelope.recipients.len(), 2);
    assert!(envelope.recipients[0].notify.wants_success());
    assert_eq!(envelope.recipients[0].orcpt.as_deref(), Some("rfc822;a@b"));
    assert_eq!(envelope.recipients[1].notify, Notify::default());
    assert_eq!(body, "Subject: x\r\n\r\n.dot\r\n");
    talk.say("QUIT").expect("221 2.0.0");
    talk.expect_closed();
}

#[test]
fn a_pipelined_group_is_answered_in_order() {
    let mut talk = Talk::signed_in();
    talk.send("MAIL FROM:<joe@example.org>\r\nRCPT TO:<a@b.example>\r\nRCPT TO:<bad\r\nDATA\r\n")
        .expect("250 2.1.0, 250 2.1.5, 501 5.5.4, 354");
    talk.send("text\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
        .expect("250 2.0.0, 250 2.1.0, 250 2.1.5, 354");
    talk.send("more\r\n.\r\nQUIT\r\n").expect("250 2.0.0, 221 2.0.0");
    assert_eq!(talk.messages.len(), 2);
}

#[test]
fn ehlo_offers_what_there_is_and_auth_only_under_tls() {
    let offers = |tls, sign_in| {
        let mut talk = Talk::new(Config { sign_in, ..config() }, tls);
        let reply = talk.say("EHLO client.example").expect("250").0.remove(0);
        reply.lines().map(|line| line[4..].to_owned()).collect::<Vec<_>>()
    };
    let common: &[&str] = &["8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "DSN", "HELP"];
    let with = |middle: &'static [&'static str]| {
        [&["mx.example", "PIPELINING", "SIZE 100000"], middle, common].concat()
    };
    assert_eq!(offers(Tls::Offered, true), with(&["STARTTLS"]));
    assert_eq!(offers(Tls::Active, true), with(&["AUTH PLAIN LOGIN"]));
    assert_eq!(offers(Tls::Active, false), with(&[]));
    assert_eq!(offers(Tls::Unavailable, true), with(&[]));
    let mut talk = Talk::tls();
    assert_eq!(talk.say("HELO client.example").0, ["250 mx.example"]);
}

#[test]
fn small_commands_have_their_replies() {
    let mut talk = Talk::tls();
    talk.say("NOOP x").expect("250 2.0.0");
    talk.say("RSET").expect("250 2.0.0");
    talk.say("HELP me").expect("214 2.0.0");
    talk.say("VRFY joe").expect("252 2.0.0");
    talk.say("EXPN list").expect("502 5.5.1");
    talk.say("BDAT 5 LAST").expect("502 5.5.1");
    talk.say("WHAT").expect("500 5.5.1");
    talk.say("").expect("500 5.5.1");
}

#[test]
fn commands_out_of_order_are_refused() {
    let mut talk = Talk::tls();
    talk.say("MAIL FROM:<joe@example.org>").expect("503 5.5.1");
    talk.say(&auth("right")).expect("503 5.5.1");
    talk.say("EHLO client.example").expect("250");
    talk.say("RCPT TO:<a@b.example>").expect("503 5.5.1");
    talk.say("DATA").expect("503 5.5.1");
    talk.say("MAIL FROM:<joe@example.org>").expect("250");
    talk.say("MAIL FROM:<joe@example.org>").expect("503 5.5.1");
    talk.say("DATA").expect("554 5.5.1");
    talk.say(&auth("right")).expect("503 5.5.1");
    talk.say("RSET").expect("250");
    talk.say("RCPT TO:<a@b.example>").expect("503 5.5.1");
    talk.say("STARTTLS").expect("503 5.5.1");
}

#[test]
fn ehlo_rset_and_the_end_of_a_message_end_the_transaction() {
    let mut talk = Talk::signed_in();
    for end in ["RSET", "EHLO again.example", "HELO again.example"] {
        talk.say("MAIL FROM:<joe@example.org>").expect("250");
        talk.say(end).expect("250");
        talk.say("RCPT TO:<a@b.example>").expect("503");
    }
    talk.send("MAIL FROM:<joe@example.org>\r\nRCPT TO:<a@b.example>\r\n")
        .expect("250, 250");
    talk.data("x\r\n.\r\n").expect("250");
    talk.say("RCPT TO:<a@b.example>").expect("503");
}

#[test]
fn those_who_may_send_are_told_what_is_wrong_with_an_address() {
    let mut talk = Talk::signed_in();
    let long_local = format!("RCPT TO:<{}@example.org>", "l".repeat(65));
    talk.say("MAIL FROM:<joe>").expect("501 5.1.7");
    talk.say("MAIL FROM:<joe@-x->").expect("501 5.1.7");
    talk.say("MAIL FROM:<j\u{fc}@example.org>").expect("553 5.6.7");
    talk.say("MAIL FROM:<joe@example.org>").expect("250");
    for (line, reply) in [
        ("RCPT TO:<@us.example:user@x.example>", "501 5.1.3"),
        ("RCPT TO:<us!user>", "501 5.1.3"),
        ("RCPT TO:<>", "501 5.1.3"),
        ("RCPT TO:<user@[127.0.0.1]>", "501 5.1.2"),
        ("RCPT TO:<user@us.example.>", "501 5.1.2"),
        ("RCPT TO:<user@us.example> FOO=1", "555 5.5.4"),
        ("RCPT TO:<user@us.example> NOTIFY=SOON", "501 5.5.4"),
        ("RCPT TO:<j\u{fc}@us.example>", "553 5.6.7"),
        ("RCPT TO:<j@b\u{fc}cher.example>", "553 5.6.7"),
        ("RCPT x", "501 5.5.4"),
        (&long_local, "501 5.1.3 The part before the @ has 65 octets"),
    ] {
        talk.say(line).expect(reply);
    }
}

#[test]
fn smtputf8_opens_the_way_for_addresses_beyond_ascii() {
    let mut talk = Talk::signed_in();
    talk.say("MAIL FROM:<j\u{fc}@b\u{fc}cher.example> SMTPUTF8")
        .expect("250");
    talk.say("RCPT TO:<\u{4f8b}@b\u{fc}cher.example>").expect("250");
    talk.data("x\r\n.\r\n").expect("250");
    let envelope = &talk.messages[0].0;
    assert_eq!(
        envelope.recipients[0].address.to_string(),
        "\u{4f8b}@xn--bcher-kva.example"
    );
    assert_eq!(talk.session.protocol(true), "UTF8SMTPSA");
    assert_eq!(talk.session.protocol(false), "ESMTPSA");
}

#[test]
fn size_is_refused_at_mail_and_at_the_end() {
    let mut talk = Talk::signed_in();
    talk.say("MAIL FROM:<joe@example.org> SIZE=100001")
        .expect("552 5.3.4");
    talk.say("MAIL FROM:<joe@example.org> SIZE=99999999999999999999")
        .expect("552 5.3.4");
    talk.say("MAIL FROM:<joe@example.org> SIZE=100000").expect("250");
    talk.say("RCPT TO:<a@b.example>").expect("250");
    let line = [&b"x".repeat(998)[..], b"\r\n"].concat();
    let text = |lines| [&b"\r\n"[..], &line.repeat(lines), b".\r\n"].concat();
    talk.data(text(100)).expect("552 5.3.4");
    talk.send("MAIL FROM:<joe@example.org>\r\nRCPT TO:<a@b.example>\r\n")
        .expect("250, 250");
    talk.data(text(99)).expect("250 2.0.0");
}

#[test]
fn a_message_with_faults_is_refused_after_its_end_and_the_session_stays_in_step() {
    for (text, reply) in [
        (&b"a\rb\r\n.\r\n"[..], "554 5.6.0"),
        (b"a\0b\r\n.\r\n", "554 5.6.0"),
        (b"a\r.\r\r\n.\r\n", "554 5.6.0"),
    ] {
        let mut talk = Talk::signed_in();
        talk.send("MAIL FROM:<joe@example.org>\r\nRCPT TO:<a@b.example>\r\n")
            .expect("250, 250");
        talk.data([text, b"NOOP\r\n"].concat())
            .expect(&format!("{reply}, 250"));
        assert!(talk.messages.is_empty());
        talk.say("RCPT TO:<a@b.example>").expect("503");
    }
}

#[test]
fn recipients_have_a_limit_and_count_once() {
    let mut talk = Talk::signed_in_with(Config {
        max_recipients: 3,
        hard_error_limit: 5,
        ..config()
    });
    talk.say("MAIL FROM:<joe@example.org>").expect("250");
    for recipient in ["a", "b", "a", "c", "b"] {
        talk.say(&format!("RCPT TO:<{recipient}@b.example>"))
            .expect("250 2.1.5");
    }
    for number in 0..50 {
        talk.say(&format!("RCPT TO:<{number}@b.example>"))
            .expect("452 4.5.3");
    }
    talk.data("x\r\n.\r\n").expect("250");
    assert_eq!(talk.messages[0].0.recipients.len(), 3);
}

#[test]
fn the_null_sender_writes_to_one_recipient() {
    let mut talk = Talk::signed_in();
    talk.say("MAIL FROM:<>").expect("250");
    talk.say("RCPT TO:<a@b.example>").expect("250");
    talk.say("RCPT TO:<c@d.example>").expect("550 5.7.1");
    talk.data("x\r\n.\r\n").expect("250");
    assert_eq!(talk.messages[0].0.recipients.len(), 1);
}

#[test]
fn the_driver_can_close_and_turn_away() {
    let mut session = Session::new(Arc::new(config()), Tls::Active);
    session.trust();
    let mut input = BytesMut::from(&b"EHLO c\r\n"[..]);
    session.receive(&mut input);
    input.extend_from_slice(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n");
    for _ in 0..3 {
        assert_ne!(session.receive(&mut input), Step::NeedBytes);
        session.answer(Verdict::Accept);
    }
    input.extend_from_slice(b"text\r\n");
    assert_eq!(session.receive(&mut input), Step::NeedBytes);
    assert!(session.held() >= 6);
    assert!(session.is_receiving_text());
    session.turn_away(replies::BUSY);
    assert_eq!(session.held(), 0);
    session.output().clear();
    input.extend_from_slice(b".\r\n");
    assert_eq!(session.receive(&mut input), Step::NeedBytes);
    assert!(session.output().starts_with(b"452 4.3.1"));
    session.output().clear();
    input.extend_from_slice(b"MAIL FROM:<a@b>\r\n");
    session.receive(&mut input);
    session.answer(Verdict::Close(replies::SIGNED_OUT));
    assert!(session.output().starts_with(b"421 4.7.0"));
    assert_eq!(session.receive(&mut input), Step::Close);
}

/// What came of a stream of bytes: replies and messages.
fn outcome(stream: &[u8], cuts: &[usize]) -> (Vec<String>, Vec<(Envelope, Bytes)>) {
    let mut talk = Talk::signed_in_with(Config {
        max_message_size: 300,
        max_header_size: 200,
        max_text_line: 100,
        hard_error_limit: 1_000,
        ..config()
    });
    let mut replies = Vec::new();
    let mut start = 0;
    for cut in cuts.iter().copied().chain([stream.len()]) {
        let cut = cut.clamp(start, stream.len());
        replies.extend(talk.send(&stream[start..cut]).0);
        start = cut;
    }
    (replies, talk.messages)
}

/// Command lines and texts, well formed and not. Commands behind which nothing may stand come alone in their piece.
fn pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let group = prop_oneof![
        Just(b"MAIL FROM:<joe@example.org>\r\n".to_vec()),
        Just(b"MAIL FROM:<joe@example.org> SIZE=301\r\nRSET\r\n".to_vec()),
        Just(b"RCPT TO:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n".to_vec()),
        Just(b"MAIL FROM:<>\r\nRCPT TO:<a@b.example>\nNOOP\r\nVRFY \xff\r\n".to_vec()),
        Just(b"RCPT TO:<a\0@b.example>\r\nRSET\r\n".to_vec()),
        Just([&b"NOOP "[..], &b"x".repeat(3_000), b"\rx\r\nNOOP\r\n"].concat()),
    ];
    let data = "([a.\r\n]{0,40}|[ab\r\n]{100,400}|(\r\n|\\.|a|\0){0,30})".prop_map(|text: String| {
        let text = text.into_bytes();
        [
            &b"MAIL FROM:<j@b.example>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n"[..],
            b"|",
            &text,
            b"\r\n.\r\n",
        ]
        .concat()
    });
    proptest::collection::vec(prop_oneof![group, data], 0..8)
}

proptest! {
    #[test]
    fn the_cuts_between_reads_do_not_matter(
        pieces in pieces(),
        cuts in proptest::collection::vec(0usize..2_000, 0..20),
    ) {
        // A client waits for the reply to DATA; the bar marks where.
        let mut stream = Vec::new();
        let mut waits = Vec::new();
        for piece in pieces {
            for part in piece.split_inclusive(|byte| *byte == b'|') {
                match part.strip_suffix(b"|") {
                    Some(part) => {
                        stream.extend_from_slice(part);
                        waits.push(stream.len());
                    }
                    None => stream.extend_from_slice(part),
                }
            }
        }
        let mut all: Vec<usize> = cuts.into_iter().chain(waits.iter().copied()).collect();
        all.sort_unstable();
        prop_assert_eq!(outcome(&stream, &all), outcome(&stream, &waits));
    }

    #[test]
    fn no_bytes_make_it_panic(stream in proptest::collection::vec(any::<u8>(), 0..300)) {
        outcome(&stream, &[]);
    }
}
