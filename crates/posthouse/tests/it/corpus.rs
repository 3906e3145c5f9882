//! Odd but lawful messages, as they must arrive: byte for byte.

use crate::harness::{Sink, Smtp};

/// A message and why it is in here.
pub struct Odd {
    pub why: &'static str,
    pub bytes: Vec<u8>,
}

/// Every message, from this sender. All carry what a submission must have, so that nothing needs completing.
pub fn messages(sender: &str) -> Vec<Odd> {
    let odd = |why, headers: &str, body: &[u8]| {
        let slug: String = String::from(why)
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect();
        let mut bytes = format!(
            "From: <{sender}>\r\nTo: <bob@sink.example>\r\nDate: Mon, 23 Nov 2026 20:00:00 +0000\r\n\
             Message-ID: <{slug}@corpus.example>\r\n{headers}"
        )
        .into_bytes();
        bytes.extend_from_slice(body);
        Odd { why, bytes }
    };
    let longest_line = format!("\r\n{}\r\nafter\r\n", "x".repeat(998));
    // RFC 5322 section 2.1.1 forbids it, and it arrives none the less.
    let longer_line = format!("\r\n{}.\r\n.{}\r\n", "x".repeat(2000), "y".repeat(4000));
    vec![
        odd("plain", "Subject: plain\r\n", b"\r\nhello\r\n"),
        odd("eight bit body", "Subject: 8bit\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n", "\r\ngrüße, żółw, 馬\r\n".as_bytes()),
        odd("no known charset", "Subject: bytes\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=x-none\r\nContent-Transfer-Encoding: 8bit\r\n", b"\r\n\xff\xfe\xe9\x80\r\n"),
        odd("dot lines", "Subject: dots\r\n", b"\r\n.\r\n..\r\n...\r\n.a\r\n. \r\na.\r\n.\r\n"),
        odd("longest line", "Subject: 998\r\n", longest_line.as_bytes()),
        odd("longest line of dots", "Subject: dots\r\n", format!("\r\n{}\r\n", ".".repeat(998)).as_bytes()),
        odd("only dots", "Subject: dots\r\n", b"\r\n.\r\n.\r\n..\r\n.\r\n"),
        odd("longer than the longest line", "Subject: 4000\r\n", longer_line.as_bytes()),
        odd("a longer header line", &format!("Subject: 1200\r\nX-Long: {}\r\n", "h".repeat(1200)), b"\r\nhello\r\n"),
        odd("empty body", "Subject: empty\r\n", b"\r\n"),
        odd("only headers", "Subject: no empty line behind this\r\n", b""),
        odd("empty lines at the end", "Subject: trailing\r\n", b"\r\ntext\r\n\r\n\r\n\r\n"),
        odd("whitespace lines", "Subject: blanks\r\n", b"\r\n  \r\n\t\r\ntext \t \r\n \r\n\t \r\n"),
        odd("encoded headers", "Subject: =?utf-8?B?Z3LDvMOfZQ==?=\r\n =?iso-8859-1?Q?_caf=E9?=\r\n", b"\r\nhello\r\n"),
        odd("folded headers", "Subject: a\r\n\tb\r\n  c\r\nX-Long: 1\r\n 2\r\n 3\r\n", b"\r\nhello\r\n"),
        odd("odd header spacing", "Subject:no space\r\nX-Odd : space before\r\nX-Empty:\r\nX-Many:    many   \r\n", b"\r\nhello\r\n"),
        odd("repeated headers", "Subject: x\r\nX-A: 1\r\nx-a: 2\r\nX-A: 1\r\nReceived: from elsewhere by here; Mon, 23 Nov 2026 19:00:00 +0000\r\n", b"\r\nhello\r\n"),
        odd("something like a boundary", "Subject: bound\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"=_b\"\r\n", b"\r\npreamble\r\n--=_b\r\nContent-Type: multipart/alternative; boundary=inner\r\n\r\n--inner\r\n\r\ntext\r\n--inner\r\nContent-Type: text/html\r\n\r\n<b>\r\n--inner--\r\n--=_b\r\nContent-Type: message/rfc822\r\n\r\nFrom: x@y.example\r\nBcc: kept@inside.example\r\n\r\ninner\r\n.\r\n--=_b--\r\nepilogue\r\n"),
        odd("a mail inside the text", "Subject: in\r\n", b"\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nFrom nobody Mon Nov 23\r\nQUIT\r\n"),
        odd("control characters", "Subject: control\r\n", b"\r\na\x01b\x07c\x1bd\x7fe\x0bf\x0cg\r\n"),
        odd("no text at all but lines", "Subject: lines\r\n", b"\r\n\r\n\r\n.\r\n\r\n"),
    ]
}

/// UTF-8 in the header itself, which asks for SMTPUTF8 on the way.
pub fn utf8_headers(sender: &str) -> Odd {
    let text = format!(
        "From: Zoë <{sender}>\r\nTo: <bob@sink.example>\r\nDate: Mon, 23 Nov 2026 20:00:00 +0000\r\n\
         Message-ID: <utf8headers@corpus.example>\r\nSubject: Grüße aus Łódź, 馬\r\n\r\nhello\r\n"
    );
    Odd {
        why: "UTF-8 headers",
        bytes: text.into_bytes(),
    }
}

/// Messages that lack what every message has, each with what it becomes.
fn unfinished(sender: &str) -> [(Odd, Vec<u8>); 2] {
    let head = |id: &str| {
        format!(
            "From: <{sender}>\r\nTo: <bob@sink.example>\r\nDate: Mon, 23 Nov 2026 20:00:00 +0000\r\n\
             Message-ID: <{id}@corpus.example>\r\nSubject: unfinished\r\n"
        )
    };
    let odd = |why, sent: String, becomes: String| {
        let bytes = sent.into_bytes();
        (Odd { why, bytes }, becomes.into_bytes())
    };
    let (line, text) = (head("line"), head("separator"));
    [
        // On the way a message is whole lines: RFC 5321 section 4.1.1.4.
        odd(
            "no final newline",
            format!("{line}\r\nthe end"),
            format!("{line}\r\nthe end\r\n"),
        ),
        // Without the empty line, the next server could take the text for fields.
        odd(
            "no separator",
            format!("{text}this line is no field\r\nnor is: this one\r\n"),
            format!("{text}\r\nthis line is no field\r\nnor is: this one\r\n"),
        ),
    ]
}

/// Sends every message, those too that not every client can send; `look` gets why it is in here, what has to arrive,
/// and what did.
pub fn relay_all(smtp: &mut Smtp, sender: &str, sink: &Sink, mut look: impl FnMut(&str, &[u8], &[u8])) {
    let whole = messages(sender).into_iter().chain([utf8_headers(sender)]);
    let whole = whole.map(|message| {
        let becomes = message.bytes.clone();
        (message, becomes)
    });
    for (message, becomes) in whole.chain(unfinished(sender)) {
        let before = sink.arrived().len();
        let utf8 = if message.why == "UTF-8 headers" {
            " SMTPUTF8"
        } else {
            ""
        };
        smtp.command(&format!("MAIL FROM:<{sender}> BODY=8BITMIME{utf8}"))
            .expect("250");
        smtp.rcpt("bob@sink.example").expect("250");
        smtp.data(&message.bytes).expect("250 2.0.0");
        look(message.why, &becomes, &sink.wait_for(before + 1)[before].bytes);
    }
}

/// The message ends in `original`, and what stands before it are only header fields of these names.
#[track_caller]
pub fn assert_only_added(arrived: &[u8], original: &[u8], added: &[&str], why: &str) {
    assert!(
        arrived.ends_with(original),
        "{why}: arrived changed\n--- sent\n{}\n--- arrived\n{}",
        original.escape_ascii(),
        arrived.escape_ascii()
    );
    let before = &arrived[..arrived.len() - original.len()];
    for line in String::from_utf8_lossy(before)
        .split_terminator("\r\n")
        .filter(|line| !line.starts_with([' ', '\t']))
    {
        let name = line.split(':').next().unwrap_or_default();
        assert!(
            added.iter().any(|allowed| allowed.eq_ignore_ascii_case(name)),
            "{why}: {line:?} was added"
        );
    }
    assert!(
        before.ends_with(b"\r\n"),
        "{why}: what was added does not end its line"
    );
}
