//! A server session with a driver that grants everything, for the targets that speak SMTP.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use mail::envelope::Envelope;
use mail::smtp::server::{BareLf, Config, Session, Step, Tls, Verdict};

/// What came of the bytes of a client.
#[derive(PartialEq, Eq, Debug)]
pub struct Outcome {
    pub replies: Vec<u8>,
    pub messages: Vec<(Envelope, Bytes)>,
    pub closed: bool,
}

/// Feeds `stream`, read in pieces that end at `cuts`.
pub fn talk(stream: &[u8], cuts: &[usize]) -> Outcome {
    let config = Config {
        hostname: "mx.example".into(),
        sign_in: true,
        scram: true,
        max_message_size: 20_000,
        max_header_size: 2_000,
        max_text_line: 5_000,
        max_recipients: 20,
        bare_lf: BareLf::Repair,
        soft_error_limit: 10,
        hard_error_limit: 20,
        max_sign_in_failures: 3,
        help_pages: Some("https://mx.example/help/".into()),
    };
    let mut session = Session::new(Arc::new(config), Tls::Active);
    session.trust();
    let mut outcome = Outcome {
        replies: Vec::new(),
        messages: Vec::new(),
        closed: false,
    };
    let mut input = BytesMut::new();
    let mut fed = 0;
    for cut in cuts.iter().copied().chain([stream.len()]) {
        let cut = cut.clamp(fed, stream.len());
        input.extend_from_slice(&stream[fed..cut]);
        fed = cut;
        // Each octet is worth a step or two at most; more would never end.
        let mut steps = 2 * input.len() + 10;
        loop {
            steps = steps.checked_sub(1).expect("a session that makes no progress");
            match session.receive(&mut input) {
                Step::NeedBytes => break,
                Step::Close => {
                    outcome.closed = true;
                    break;
                }
                Step::Challenge(_) => session.challenge(b"salt", 4_096, "def"),
                Step::Proof(_) => session.verified("v=verified"),
                Step::SignIn(_) | Step::Mail(_) | Step::Rcpt(_) | Step::Data => session.answer(Verdict::Accept),
                Step::Message { envelope, body, .. } => {
                    outcome.messages.push((envelope, body));
                    session.answer(Verdict::Accept);
                }
                Step::StartTls => panic!("TLS is there already"),
            }
        }
        outcome.replies.extend_from_slice(&session.output().split());
        if outcome.closed {
            break;
        }
    }
    outcome
}

/// What holds whatever a client sends.
pub fn check(outcome: &Outcome) {
    for line in outcome.replies.split_inclusive(|byte| *byte == b'\n') {
        assert!(line.len() <= 512, "a reply line of {} octets", line.len());
        assert!(line.ends_with(b"\r\n") && !line[..line.len() - 2].contains(&b'\r'));
        assert!(line.iter().all(u8::is_ascii));
    }
    for (envelope, body) in &outcome.messages {
        assert!(!envelope.recipients.is_empty() && envelope.recipients.len() <= 20);
        let mut before = 0;
        for &byte in body.iter() {
            assert!(byte != 0 && (byte == b'\n') == (before == b'\r'), "a bare CR, a bare LF or a NUL was taken");
            before = byte;
        }
        assert!(before != b'\r' && body.len() <= 20_000);
    }
}
