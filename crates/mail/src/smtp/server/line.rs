//! Finds command lines in the input without ever keeping more of one than its limit.

use bytes::{Buf, BytesMut};

/// What the start of the input holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line whose text ends at `end`; the next one starts at `next`.
    Whole {
        end: usize,
        next: usize,
    },
    /// The end of a line over the limit; all of it is gone from the input.
    TooLong,
    NotYet,
}

#[derive(Debug)]
pub(super) struct LineReader {
    /// Whether a lone LF ends a command too, as old scripts have it.
    lf_ends: bool,
    /// In the middle of a line that is over the limit.
    swallowing: bool,
}

impl LineReader {
    pub fn new(lf_ends: bool) -> Self {
        Self {
            lf_ends,
            swallowing: false,
        }
    }

    /// Looks for one line of at most `limit` octets, its ending included.
    pub fn find(&mut self, input: &mut BytesMut, limit: usize) -> Line {
        let ending = self.ending(input);
        match ending {
            Some((end, next)) if next <= limit && !self.swallowing => Line::Whole { end, next },
            Some((_, next)) => {
                input.advance(next);
                self.swallowing = false;
                Line::TooLong
            }
            None => {
                if self.swallowing || input.len() > limit {
                    self.swallowing = true;
                    // A final CR may turn out to be half of the ending.
                    let keep = usize::from(input.last() == Some(&b'\r'));
                    input.advance(input.len() - keep);
                }
                Line::NotYet
            }
        }
    }

    /// Where the text of the first line ends, and where the next line starts.
    fn ending(&self, input: &[u8]) -> Option<(usize, usize)> {
        memchr::memchr_iter(b'\n', input).find_map(|at| {
            let crlf = at > 0 && input[at - 1] == b'\r';
            (crlf || self.lf_ends).then_some((at - usize::from(crlf), at + 1))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(text: &str) -> BytesMut {
        BytesMut::from(text)
    }

    #[test]
    fn a_line_ends_at_crlf_and_at_lf_where_that_is_allowed() {
        let strict = |text| LineReader::new(false).find(&mut input(text), 100);
        let loose = |text| LineReader::new(true).find(&mut input(text), 100);
        assert_eq!(strict("NOOP\r\nx"), Line::Whole { end: 4, next: 6 });
        assert_eq!(strict("NO\nOP\r\n"), Line::Whole { end: 5, next: 7 });
        assert_eq!(strict("NOOP\n"), Line::NotYet);
        assert_eq!(loose("NOOP\nx"), Line::Whole { end: 4, next: 5 });
        assert_eq!(loose("\n"), Line::Whole { end: 0, next: 1 });
    }

    #[test]
    fn a_long_line_is_swallowed_up_to_its_end_and_never_kept() {
        let mut reader = LineReader::new(false);
        let mut bytes = input("0123456789a");
        assert_eq!(reader.find(&mut bytes, 10), Line::NotYet);
        assert!(bytes.is_empty());
        bytes.extend_from_slice(b"more\nand more\r");
        assert_eq!(reader.find(&mut bytes, 10), Line::NotYet);
        assert_eq!(&bytes[..], b"\r");
        bytes.extend_from_slice(b"\nQUIT\r\n");
        assert_eq!(reader.find(&mut bytes, 10), Line::TooLong);
        assert_eq!(&bytes[..], b"QUIT\r\n");
        assert_eq!(reader.find(&mut bytes, 10), Line::Whole { end: 4, next: 6 });
    }

    #[test]
    fn the_limit_counts_the_ending() {
        let mut reader = LineReader::new(false);
        assert_eq!(
            reader.find(&mut input("01234567\r\n"), 10),
            Line::Whole { end: 8, next: 10 }
        );
        assert_eq!(reader.find(&mut input("012345678\r\n"), 10), Line::TooLong);
    }
}
