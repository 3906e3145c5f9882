//! What was said on a connection, line by line with the time of each: commands and replies, never a password and never a message.

use std::fmt::Write as _;
use std::sync::Arc;

use tokio::time::Instant;

/// Octets of one transcript; what is said beyond is counted and not kept.
const MOST: usize = 8 * 1024;
/// Octets of one line.
const LINE: usize = 512;
/// In place of what must not be written down.
const HIDDEN: &[u8] = b"(not shown)";

/// Who said a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    We,
    They,
    /// What happened beside the conversation.
    Note,
}

/// Lines as they come. Each stands as `MILLISECONDS WHO TEXT`, where who is `>`, `<` or `*`.
#[derive(Debug)]
pub(super) struct Transcript {
    begun: Instant,
    text: String,
    left_out: u32,
}

impl Transcript {
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            text: String::new(),
            left_out: 0,
        }
    }

    /// Begins anew, in the memory that is there.
    pub(super) fn restart(&mut self) {
        self.begun = Instant::now();
        self.text.clear();
        self.left_out = 0;
    }

    /// Adds each line of these octets, as they went over the wire.
    pub(super) fn lines(&mut self, who: Who, octets: &[u8]) {
        let at = self.begun.elapsed().as_millis();
        let octets = octets.strip_suffix(b"\n").unwrap_or(octets);
        for line in octets.split(|octet| *octet == b'\n') {
            self.line(at, who, line.strip_suffix(b"\r").unwrap_or(line));
        }
    }

    /// Adds what we said of a sign-in, without what is secret in it.
    pub(super) fn secret(&mut self, octets: &[u8]) {
        let at = self.begun.elapsed().as_millis();
        let command = octets.strip_prefix(b"AUTH PLAIN ").map(|_| &b"AUTH PLAIN "[..]);
        let line = [command.unwrap_or_default(), HIDDEN].concat();
        self.line(at, Who::We, &line);
    }

    pub(super) fn note(&mut self, text: &str) {
        let at = self.begun.elapsed().as_millis();
        self.line(at, Who::Note, text.as_bytes());
    }

    fn line(&mut self, at: u128, who: Who, line: &[u8]) {
        let shown = &line[..line.len().min(LINE)];
        if self.text.len() + shown.len() + 16 > MOST {
            self.left_out += 1;
            return;
        }
        let mark = match who {
            Who::We => '>',
            Who::They => '<',
            Who::Note => '*',
        };
        let _ = write!(self.text, "{at} {mark} ");
        if shown.iter().all(|octet| matches!(octet, b' '..=b'~')) {
            // Nearly every line: one copy.
            self.text.push_str(std::str::from_utf8(shown).unwrap_or_default());
        } else {
            let shown = String::from_utf8_lossy(shown);
            self.text
                .extend(shown.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }));
        }
        self.text.push('\n');
    }

    /// What there is so far.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The whole of it behind `opening`: what was said on the connection before.
    pub(super) fn finish(&self, opening: &str) -> Arc<str> {
        let room = MOST.saturating_sub(opening.len());
        let mut text = String::with_capacity(opening.len() + self.text.len() + 32);
        text.push_str(opening);
        let mut left_out = self.left_out;
        for line in self.text.split_inclusive('\n') {
            if text.len() - opening.len() + line.len() > room {
                left_out += 1;
            } else {
                text.push_str(line);
            }
        }
        if left_out > 0 {
            let _ = writeln!(
                text,
                "{} * {left_out} more lines",
                self.begun.elapsed().as_millis()
            );
        }
        text.into()
    }
}

/// What of an opening is worth keeping with each message that nothing went wrong with: who answered, and how it was encrypted.
pub(super) fn shortened(opening: &str) -> String {
    let mut greeted = false;
    opening
        .split_inclusive('\n')
        .filter(|line| match line.split(' ').nth(1) {
            Some("*") => true,
            Some("<") => !std::mem::replace(&mut greeted, true),
            _ => false,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A transcript without its times.
    fn said(text: &str) -> Vec<&str> {
        text.lines().map(|line| line.split_once(' ').unwrap().1).collect()
    }

    #[test]
    fn commands_and_replies_stand_line_by_line() {
        let mut transcript = Transcript::new();
        transcript.lines(Who::They, b"220 mx ESMTP\r\n");
        transcript.lines(Who::We, b"EHLO us\r\n");
        transcript.lines(Who::They, b"250-mx\r\n250 SIZE\r\n");
        transcript.note("TLS");
        transcript.lines(Who::They, b"250 b\xc3\xa4d \xff\x07\x1b[31m\r\n");
        assert_eq!(
            said(&transcript.finish("")),
            [
                "< 220 mx ESMTP",
                "> EHLO us",
                "< 250-mx",
                "< 250 SIZE",
                "* TLS",
                "< 250 b\u{e4}d \u{fffd}\u{fffd}\u{fffd}[31m"
            ]
        );
        assert_eq!(said(&shortened(transcript.text())), ["< 220 mx ESMTP", "* TLS"]);
    }

    #[test]
    fn a_password_is_not_written_down() {
        let mut transcript = Transcript::new();
        transcript.secret(b"AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n");
        transcript.secret(b"c2VjcmV0\r\n");
        assert_eq!(
            said(&transcript.finish("")),
            ["> AUTH PLAIN (not shown)", "> (not shown)"]
        );
    }

    #[test]
    fn a_talkative_server_fills_nothing() {
        let mut transcript = Transcript::new();
        transcript.lines(Who::They, &vec![b'x'; 100_000]);
        for _ in 0..10_000 {
            transcript.lines(Who::They, b"250-something\r\n");
        }
        let text = transcript.finish("0 < 220 mx\n");
        assert!(text.len() < MOST + 100, "{}", text.len());
        assert!(text.ends_with(" more lines\n"), "{text}");
    }
}
