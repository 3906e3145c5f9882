//! The messages that are sent: numbered, so that the sink tells a lost one from a doubled one.

use std::io::Write as _;

/// What stands before a message's number in its head.
pub const NUMBER: &[u8] = b"\r\nX-Bench-Number: ";

const LINE: &str = "The quick post horse carries the letter over the hill, and comes back again.\r\n";

/// About 700 octets with one link, as newsletters have them.
fn html_paragraph(number: u32) -> String {
    let mut text = format!(
        "<table role=\"presentation\" width=\"100%\"><tr><td style=\"padding: 16px 24px; font: 16px/1.5 sans-serif\">\r\n\
         <a href=\"https://shop.example/offers/{number}?from=letter&amp;week=47\" style=\"color: #2b59c3\">Offer {number}</a>\r\n"
    );
    for _ in 0..5 {
        text.push_str(LINE);
    }
    text.push_str("</td></tr></table>\r\n");
    text
}

/// What is the same in every message: all but the number.
pub struct Template {
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Template {
    /// A message of about `size` octets, headers included, from `sender`, with further header `fields`.
    pub fn new(sender: &str, size: usize, html: bool, fields: &[String]) -> Self {
        let mut head = Vec::new();
        write!(
            head,
            "From: Bench <{sender}>\r\nTo: <recipient@sink.example>\r\nSubject: One of many\r\n\
             Date: Mon, 23 Nov 2026 20:00:00 +0000\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/{}; charset=us-ascii",
            if html { "html" } else { "plain" }
        )
        .expect("memory takes all");
        for field in fields {
            write!(head, "\r\n{field}").expect("memory takes all");
        }
        head.extend_from_slice(NUMBER);
        let mut tail = b"\r\n\r\n".to_vec();
        let mut paragraph = 0;
        loop {
            paragraph += 1;
            let line = if html {
                html_paragraph(paragraph)
            } else {
                LINE.to_owned()
            };
            if head.len() + 7 + tail.len() + line.len() >= size {
                break;
            }
            tail.extend_from_slice(line.as_bytes());
        }
        tail.extend_from_slice(b".\r\n");
        Self { head, tail }
    }

    /// Message `number` with its Message-ID, ready behind DATA, its end included.
    pub fn write(&self, number: u64, out: &mut Vec<u8>) {
        out.clear();
        write!(out, "Message-ID: <{number}.bench@bench.example>\r\n").expect("memory takes all");
        out.extend_from_slice(&self.head);
        write!(out, "{number}").expect("memory takes all");
        out.extend_from_slice(&self.tail);
    }
}
