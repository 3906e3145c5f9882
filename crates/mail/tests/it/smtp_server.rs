//! Plays the conversations in `tests/corpus/smtp` against the server session.
//!
//! `C:` is a line of the client, `c:` bytes without a line ending, `S:` the start of the next reply (of its last line), `M:` the
//! text of the next message taken over, `X` the end of the connection, `T` a connection that begins with TLS, `#` a remark.
//! `\r`, `\n`, `\0`, `\\` and `\xHH` stand for bytes. Anybody with the password `right` may sign in, and send.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::BytesMut;
use mail::replies;
use mail::smtp::server::{BareLf, Config, Session, Step, Tls, Verdict};

fn config() -> Config {
    Config {
        hostname: "mx.example".into(),
        sign_in: true,
        scram: false,
        max_message_size: 26_214_400,
        max_header_size: 102_400,
        max_text_line: 1_048_576,
        max_recipients: 1_000,
        bare_lf: BareLf::Repair,
        soft_error_limit: 10,
        hard_error_limit: 20,
        max_sign_in_failures: 3,
        help_pages: None,
    }
}

fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        out.push(match characters.next().unwrap() {
            'r' => b'\r',
            'n' => b'\n',
            '0' => 0,
            '\\' => b'\\',
            'x' => {
                let digits: String = characters.by_ref().take(2).collect();
                u8::from_str_radix(&digits, 16).unwrap()
            }
            other => panic!("no such escape: {other}"),
        });
    }
    out
}

struct Player {
    session: Session,
    input: BytesMut,
    replies: Vec<String>,
    messages: Vec<Vec<u8>>,
}

impl Player {
    fn new(tls: Tls) -> Self {
        Self {
            session: Session::new(Arc::new(config()), tls),
            input: BytesMut::new(),
            replies: Vec::new(),
            messages: Vec::new(),
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        loop {
            let verdict = match self.session.receive(&mut self.input) {
                Step::NeedBytes | Step::Close => break,
                Step::SignIn(credentials) if credentials.password != "right" => {
                    Verdict::Refuse(replies::SIGN_IN_FAILED)
                }
                Step::Rcpt(_) if !self.session.is_signed_in() => Verdict::Refuse(replies::RELAY_DENIED),
                Step::Message { body, .. } => {
                    self.messages.push(body.to_vec());
                    Verdict::Accept
                }
                Step::StartTls => {
                    assert!(self.input.is_empty());
                    self.session.tls_started();
                    continue;
                }
                Step::Challenge(_) | Step::Proof(_) => unreachable!("no SCRAM is offered"),
                Step::SignIn(_) | Step::Mail(_) | Step::Rcpt(_) | Step::Data => Verdict::Accept,
            };
            self.session.answer(verdict);
        }
        let output = self.session.output().split();
        let lines = str::from_utf8(&output).unwrap().split_terminator("\r\n");
        self.replies
            .extend(lines.filter(|line| line.as_bytes()[3] == b' ').map(str::to_owned));
    }
}

fn play(script: &str) {
    let tls = script.lines().any(|line| line == "T");
    let mut player = Player::new(if tls { Tls::Active } else { Tls::Offered });
    player.feed(b"");
    for (number, line) in script.lines().enumerate() {
        let at = format!("line {}: {line}", number + 1);
        match line.split_at_checked(2) {
            Some(("C:", text)) => {
                assert!(player.replies.is_empty(), "{at}: unread {:?}", player.replies);
                player.feed(&[&bytes(text.strip_prefix(' ').unwrap_or(text))[..], b"\r\n"].concat());
            }
            Some(("c:", text)) => player.feed(&bytes(text.strip_prefix(' ').unwrap_or(text))),
            Some(("S:", prefix)) => {
                assert!(!player.replies.is_empty(), "{at}: no reply");
                let reply = player.replies.remove(0);
                assert!(reply.starts_with(prefix.trim()), "{at}: got {reply}");
            }
            Some(("M:", text)) => {
                assert!(!player.messages.is_empty(), "{at}: no message");
                let message = player.messages.remove(0);
                let expected = bytes(text.strip_prefix(' ').unwrap_or(text));
                assert_eq!(
                    message.escape_ascii().to_string(),
                    expected.escape_ascii().to_string(),
                    "{at}"
                );
            }
            _ if line == "X" => assert!(player.session.is_closed(), "{at}: still open"),
            _ => assert!(
                line.is_empty() || line == "T" || line.starts_with('#'),
                "{at}: what is this?"
            ),
        }
    }
    assert!(
        player.replies.is_empty(),
        "unread at the end: {:?}",
        player.replies
    );
    assert!(
        player.messages.is_empty(),
        "a message nobody expected: {:?}",
        player.messages
    );
}

#[test]
fn every_recorded_conversation_goes_as_written() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/smtp");
    let mut played = 0;
    for entry in fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        eprintln!("{}", path.display());
        play(&fs::read_to_string(path).unwrap());
        played += 1;
    }
    assert!(played > 10, "{played} conversations found");
}
