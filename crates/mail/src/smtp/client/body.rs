//! The message as it goes over the wire behind DATA: dot-stuffed and ended, in pieces of bounded size.

use memchr::{memchr2, memmem};

/// A bare CR or LF, which a receiver could take for a line end where we see none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message holds a CR or LF that is no line end")]
pub struct LineEndError;

/// Checks that every CR and LF of a message belongs to a CRLF; RFC 5321 section 2.3.8.
pub fn check_line_ends(message: &[u8]) -> Result<(), LineEndError> {
    let mut rest = message;
    while let Some(at) = memchr2(b'\r', b'\n', rest) {
        if !rest[at..].starts_with(b"\r\n") {
            return Err(LineEndError);
        }
        rest = &rest[at + 2..];
    }
    Ok(())
}

/// A message on its way out: parts that follow one another, e.g. the signatures and what they sign.
///
/// Each part but the last ends with a line end.
#[derive(Debug)]
pub struct Body<'a> {
    parts: &'a [&'a [u8]],
    part: usize,
    at: usize,
    at_line_start: bool,
    ended: bool,
}

impl<'a> Body<'a> {
    pub fn new(parts: &'a [&'a [u8]]) -> Self {
        Self {
            parts,
            part: 0,
            at: 0,
            at_line_start: true,
            ended: false,
        }
    }

    /// Appends about `room` octets more to `out`; false once the final dot was written.
    pub fn fill(&mut self, out: &mut Vec<u8>, room: usize) -> bool {
        let limit = out.len() + room;
        while out.len() < limit {
            let Some(part) = self.parts.get(self.part) else {
                return self.end(out);
            };
            let rest = &part[self.at..];
            if rest.is_empty() {
                self.part += 1;
                self.at = 0;
                continue;
            }
            // RFC 5321 section 4.5.2: a dot that begins a line is doubled.
            if self.at_line_start && rest[0] == b'.' {
                out.push(b'.');
            }
            let piece = &rest[..rest.len().min(limit - out.len()).max(1)];
            let taken = memmem::find(piece, b"\n.").map_or(piece.len(), |lf| lf + 1);
            out.extend_from_slice(&piece[..taken]);
            self.at_line_start = piece[taken - 1] == b'\n';
            self.at += taken;
        }
        true
    }

    fn end(&mut self, out: &mut Vec<u8>) -> bool {
        if !self.ended {
            out.extend_from_slice(if self.at_line_start {
                b".\r\n"
            } else {
                b"\r\n.\r\n"
            });
            self.ended = true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sent(parts: &[&[u8]], room: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let mut body = Body::new(parts);
        while body.fill(&mut out, room) {}
        out
    }

    #[test]
    fn dots_are_doubled_at_line_starts_only() {
        let message = b".\r\n..a\r\nb.\r\n.c.\r\n";
        for room in [1, 2, 3, 1_000] {
            assert_eq!(
                sent(&[message], room),
                b"..\r\n...a\r\nb.\r\n..c.\r\n.\r\n",
                "{room}"
            );
        }
    }

    #[test]
    fn a_missing_final_line_end_is_added_and_an_empty_message_is_a_dot() {
        assert_eq!(sent(&[b"a"], 10), b"a\r\n.\r\n");
        assert_eq!(sent(&[], 10), b".\r\n");
        assert_eq!(sent(&[b"", b""], 10), b".\r\n");
    }

    #[test]
    fn a_dot_at_the_start_of_a_later_part_is_doubled() {
        assert_eq!(sent(&[b"a: b\r\n", b".x\r\n"], 4), b"a: b\r\n..x\r\n.\r\n");
    }

    #[test]
    fn only_crlf_passes_the_check() {
        for good in ["", "a", "a\r\nb", "\r\n\r\n"] {
            assert_eq!(check_line_ends(good.as_bytes()), Ok(()), "{good:?}");
        }
        for bad in ["\r", "\n", "a\n", "a\rb", "\r\r\n", "\n\r\n", "\r\n\r"] {
            assert_eq!(check_line_ends(bad.as_bytes()), Err(LineEndError), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_sent_unstuffs_to_the_message(message in "(a|\\.|\r\n){0,60}", room in 1_usize..40, cut in 0_usize..60) {
            let wire = sent(&[message.as_bytes()], room);
            let text = String::from_utf8(wire).unwrap();
            let body = text.strip_suffix(".\r\n").unwrap();
            prop_assert!(!["\r\n", body].concat().contains("\r\n.\r\n"));
            let unstuffed: String = body.split_inclusive("\r\n").map(|line| line.strip_prefix('.').unwrap_or(line)).collect();
            let mut want = message.clone();
            if !want.is_empty() && !want.ends_with("\r\n") {
                want.push_str("\r\n");
            }
            prop_assert_eq!(unstuffed, want);
            let cut = message[..cut.min(message.len())].rfind("\r\n").map_or(0, |at| at + 2);
            prop_assert_eq!(sent(&[&message.as_bytes()[..cut], &message.as_bytes()[cut..]], room), text.as_bytes());
        }
    }
}
