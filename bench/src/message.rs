//! The messages that are sent: numbered, so that the sink tells a lost one from a doubled one.

use std::io::Write as _;

/// What stands before a message's number in its head.
pub const NUMBER: &[u8] = b"\r\nX-Bench-Number: ";

/// What is the same in every message: all but the number.
pub struct Template {
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Template {
    /// A message of about `size` octets, headers included, from `sender`.
    pub fn new(sender: &str, size: usize) -> Self {
        let mut head = Vec::new();
        write!(
            head,
            "From: Bench <{sender}>\r\nTo: <recipient@sink.example>\r\nSubject: One of many\r\n\
             Date: Mon, 23 Nov 2026 20:00:00 +0000\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=us-ascii"
        )
        .expect("memory takes all");
        head.extend_from_slice(NUMBER);
        let mut tail = b"\r\n\r\n".to_vec();
        let line = b"The quick post horse carries the letter over the hill, and comes back again.\r\n";
        while head.len() + 7 + tail.len() + line.len() < size {
            tail.extend_from_slice(line);
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
