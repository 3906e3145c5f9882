//! Takes the text of a message out of DATA: finds its one true end, undoes the dots, and notes what is wrong with it.
//!
//! The end is CRLF.CRLF and nothing else. A bare LF becomes CRLF, but it never counts as the start or end of a line where
//! dots are concerned; a message with a bare CR or a NUL is refused, but only after its real end, so that the session stays
//! in step whatever the client meant. All findings depend on the bytes alone and not on how they were cut into reads.

use bytes::{Buf, Bytes, BytesMut};

use crate::replies;
use crate::reply::Reply;

/// What a bare LF in a message comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BareLf {
    /// It becomes CRLF.
    Repair,
    Refuse,
}

/// Limits of a message's text, in octets.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextLimits {
    pub message: u64,
    pub header: u64,
    pub line: u64,
    pub bare_lf: BareLf,
}

/// Room that is left behind a text: accepting puts header fields in front of it.
const SPARE: usize = 1024;

#[derive(Debug)]
pub(super) struct DataReader {
    limits: TextLimits,
    text: Vec<u8>,
    /// The size that the client announced.
    expected: Option<u64>,
    /// Octets of the text so far, kept or not.
    size: u64,
    /// Behind a CRLF, where a dot means something.
    line_start: bool,
    /// Octets of the current line so far.
    line: u64,
    longest_line: u64,
    /// Size of the header section, once its end was seen.
    header: Option<u64>,
    bare_cr_or_nul: bool,
    bare_lf: bool,
    /// Why the text is no longer kept, when that is not its own fault.
    turned_away: Option<Reply>,
}

impl DataReader {
    /// `expected` is the size the client announced; the first allocation follows it within reason.
    pub fn new(limits: TextLimits, expected: Option<u64>) -> Self {
        const FIRST_ALLOCATION: u64 = 256 * 1024;
        let room = expected.unwrap_or(0).min(FIRST_ALLOCATION) as usize + SPARE;
        Self {
            limits,
            text: Vec::with_capacity(room),
            expected,
            size: 0,
            line_start: true,
            line: 0,
            longest_line: 0,
            header: None,
            bare_cr_or_nul: false,
            bare_lf: false,
            turned_away: None,
        }
    }

    /// Takes what it can from the input; true when the end of the message was among it.
    ///
    /// At most two octets stay behind, when they may be part of an ending.
    // RFC 5321 sections 4.1.1.4 and 4.5.2
    pub fn feed(&mut self, input: &mut BytesMut) -> bool {
        let bytes: &[u8] = input;
        // Everything before `at` was looked at, everything before `kept` was copied.
        let (mut at, mut kept) = (0, 0);
        let ended = loop {
            if self.line_start {
                match &bytes[at..] {
                    [] | [b'.'] | [b'.', b'\r'] => break false,
                    [b'.', b'\r', b'\n', ..] => {
                        self.keep(&bytes[kept..at]);
                        at += 3;
                        kept = at;
                        break true;
                    }
                    [b'.', ..] => {
                        self.keep(&bytes[kept..at]);
                        at += 1;
                        kept = at;
                    }
                    _ => {}
                }
                self.line_start = false;
            }
            let rest = &bytes[at..];
            let Some(found) = memchr::memchr3(b'\r', b'\n', 0, rest) else {
                self.line += rest.len() as u64;
                at = bytes.len();
                break false;
            };
            self.line += found as u64;
            at += found;
            match (bytes[at], bytes.get(at + 1)) {
                (b'\r', None) => break false,
                (b'\r', Some(b'\n')) => {
                    at += 2;
                    self.end_line(self.size + (at - kept) as u64);
                    self.line_start = true;
                }
                (b'\n', _) => {
                    self.keep(&bytes[kept..at]);
                    self.keep(b"\r\n");
                    at += 1;
                    kept = at;
                    self.bare_lf = true;
                    self.end_line(self.size);
                }
                _ => {
                    self.bare_cr_or_nul = true;
                    at += 1;
                    self.line += 1;
                }
            }
        };
        self.keep(&bytes[kept..at]);
        input.advance(at);
        ended
    }

    fn end_line(&mut self, size: u64) {
        if self.line == 0 && self.header.is_none() {
            self.header = Some(size);
        }
        self.longest_line = self.longest_line.max(self.line);
        self.line = 0;
    }

    fn keep(&mut self, text: &[u8]) {
        self.size += text.len() as u64;
        if self.is_lost() {
            self.text = Vec::new();
        } else {
            self.make_room(text.len());
            self.text.extend_from_slice(text);
        }
    }

    /// Doubles the room where it is too small, but not past what this message can need.
    fn make_room(&mut self, more: usize) {
        let (room, needed) = (self.text.capacity(), self.text.len() + more + SPARE);
        if needed <= room {
            return;
        }
        let with_spare = |octets: u64| (octets as usize).saturating_add(SPARE);
        let limit = with_spare(self.limits.message);
        let announced = self.expected.map_or(limit, with_spare);
        let most = if needed <= announced {
            announced.min(limit)
        } else {
            limit
        };
        let room = (2 * room).min(most).max(needed);
        self.text.reserve_exact(room - self.text.len());
    }

    /// Whether the message can only be refused by now, so that nothing of it needs to be kept.
    fn is_lost(&self) -> bool {
        self.bare_cr_or_nul
            || self.turned_away.is_some()
            || self.size > self.limits.message
            || self.header.unwrap_or(self.size) > self.limits.header
    }

    /// Octets of memory taken, whether filled yet or not.
    pub fn held(&self) -> usize {
        self.text.capacity()
    }

    /// Drops the text; the rest is read up to its end and answered with `reply`.
    pub fn turn_away(&mut self, reply: Reply) {
        self.turned_away = Some(reply);
        self.text = Vec::new();
    }

    /// The whole text with CRLF line ends and without the stuffed dots, or why it is refused.
    pub fn finish(self) -> Result<Bytes, Reply> {
        let limits = self.limits;
        if self.bare_cr_or_nul {
            Err(replies::BARE_CR_OR_NUL)
        } else if self.bare_lf && limits.bare_lf == BareLf::Refuse {
            Err(replies::BARE_LF)
        } else if self.size > limits.message {
            Err(replies::TOO_BIG)
        } else if self.header.unwrap_or(self.size) > limits.header {
            Err(replies::HEADER_TOO_BIG)
        } else if self.longest_line > limits.line {
            Err(replies::TEXT_LINE_TOO_LONG)
        } else if let Some(reply) = self.turned_away {
            Err(reply)
        } else {
            Ok(self.text.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: TextLimits = TextLimits {
        message: 10_000,
        header: 1_000,
        line: 2_000,
        bare_lf: BareLf::Repair,
    };

    /// Feeds the pieces; what came out, and what was left in the input behind the end.
    fn fed<'a>(
        limits: TextLimits,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> Option<(Result<Bytes, Reply>, BytesMut)> {
        let mut reader = DataReader::new(limits, None);
        let mut input = BytesMut::new();
        let mut pieces = pieces.into_iter();
        while let Some(piece) = pieces.next() {
            input.extend_from_slice(piece);
            if reader.feed(&mut input) {
                pieces.for_each(|piece| input.extend_from_slice(piece));
                return Some((reader.finish(), input));
            }
            assert!(input.len() <= 2);
        }
        None
    }

    fn text(stream: &[u8]) -> Bytes {
        let (text, rest) = fed(LIMITS, [stream]).expect("an end");
        assert!(rest.is_empty());
        text.unwrap()
    }

    fn refused(stream: &[u8]) -> Reply {
        fed(LIMITS, [stream]).expect("an end").0.unwrap_err()
    }

    #[test]
    fn the_text_comes_out_byte_for_byte_without_its_stuffed_dots() {
        assert_eq!(text(b".\r\n"), "");
        assert_eq!(text(b"\r\n.\r\n"), "\r\n");
        assert_eq!(text(b"A: b\r\n\r\nhello\r\n.\r\n"), "A: b\r\n\r\nhello\r\n");
        assert_eq!(text(b"\r\n..\r\n...\r\n.x\r\n.\r\n"), "\r\n.\r\n..\r\nx\r\n");
        assert_eq!(text(b"\xff\xfe 8bit\r\n.\r\n"), &b"\xff\xfe 8bit\r\n"[..]);
    }

    #[test]
    fn nothing_but_crlf_dot_crlf_is_an_end() {
        for stream in [
            &b"a\n.\n"[..],
            b"a\n.\r\n",
            b"a\r\n.\n",
            b"a\r.\r",
            b"a\r\n.\r",
            b"a\r.\r\n",
            b"a\n.\r",
            b"a\r\n.\0\r\n",
            b"a\0.\r\n",
            b"a\r\n\0.\r\n",
            b"a\r\n..\r\n",
            b"a\r\n. \r\n",
            b"a\r\n.\r\r\n",
            b"a\r\r.\r\r",
            b"a\n\r.\n\r",
        ] {
            assert!(fed(LIMITS, [stream]).is_none(), "{}", stream.escape_ascii());
        }
    }

    #[test]
    fn what_stands_behind_the_end_stays_in_the_input() {
        let (text, rest) = fed(LIMITS, [&b"a\r\n.\r\nMAIL FROM:<>\r\n"[..]]).unwrap();
        assert_eq!(text.unwrap(), "a\r\n");
        assert_eq!(&rest[..], b"MAIL FROM:<>\r\n");
    }

    #[test]
    fn a_bare_cr_or_nul_is_refused_after_the_real_end() {
        for stream in [
            &b"a\rb\r\n.\r\n"[..],
            b"a\0\r\n.\r\n",
            b"a\r\r\n.\r\n",
            b"\r\n.\rx\r\n.\r\n",
            b"\r.\r\r\n.\r\n",
        ] {
            assert_eq!(
                refused(stream),
                replies::BARE_CR_OR_NUL,
                "{}",
                stream.escape_ascii()
            );
        }
    }

    #[test]
    fn a_bare_lf_becomes_crlf_or_is_refused() {
        assert_eq!(
            text(b"A: b\n\nx\n.\ny\n.\r\nz\r\n.\r\n"),
            "A: b\r\n\r\nx\r\n.\r\ny\r\n.\r\nz\r\n"
        );
        // Dots are stuffed behind CRLF only.
        assert_eq!(text(b"x\n..y\r\n.\r\n"), "x\r\n..y\r\n");
        let strict = TextLimits {
            bare_lf: BareLf::Refuse,
            ..LIMITS
        };
        assert_eq!(
            fed(strict, [&b"a\nb\r\n.\r\n"[..]]).unwrap().0,
            Err(replies::BARE_LF)
        );
    }

    #[test]
    fn sizes_are_counted_without_dots_and_end() {
        let limits = TextLimits { message: 6, ..LIMITS };
        assert!(fed(limits, [&b"..abc\r\n.\r\n"[..]]).unwrap().0.is_ok());
        assert_eq!(
            fed(limits, [&b"..abcd\r\n.\r\n"[..]]).unwrap().0,
            Err(replies::TOO_BIG)
        );
    }

    #[test]
    fn a_big_header_and_a_long_line_are_refused() {
        let header = |size: usize| [&b"A: "[..], &b"x".repeat(size - 7), b"\r\n\r\nbody\r\n.\r\n"].concat();
        assert_eq!(text(&header(1_000)).len(), 1_006);
        assert_eq!(refused(&header(1_001)), replies::HEADER_TOO_BIG);
        let line = |size: usize| [&b"\r\n"[..], &b"x".repeat(size), b"\r\n.\r\n"].concat();
        assert_eq!(text(&line(2_000)).len(), 2_004);
        assert_eq!(refused(&line(2_001)), replies::TEXT_LINE_TOO_LONG);
    }

    #[test]
    fn a_lost_message_is_not_kept() {
        let mut reader = DataReader::new(LIMITS, None);
        let mut input = BytesMut::from(&b"\r\n".repeat(5_001)[..]);
        assert!(!reader.feed(&mut input));
        assert_eq!(reader.held(), 0);
        input.extend_from_slice(b".\r\n");
        assert!(reader.feed(&mut input));
        assert_eq!(reader.finish(), Err(replies::TOO_BIG));
    }

    #[test]
    fn the_room_for_a_text_follows_what_was_announced_and_never_passes_the_limit() {
        const MESSAGE: usize = 10_000_000;
        let limits = TextLimits {
            message: MESSAGE as u64,
            ..LIMITS
        };
        for (expected, most) in [
            (Some(3_000_000), 3_000_000),
            (Some(100), MESSAGE),
            (Some(u64::MAX), MESSAGE),
            (None, MESSAGE),
        ] {
            let mut reader = DataReader::new(limits, expected);
            let mut sent = 0;
            while sent < 3_000_000 {
                let mut input = BytesMut::from(&b"\r\n".repeat(5_000)[..]);
                assert!(!reader.feed(&mut input));
                sent += 10_000;
                assert!(reader.held() >= sent + SPARE, "{expected:?}");
                assert!(reader.held() <= most + SPARE, "{expected:?}: {}", reader.held());
            }
        }
    }

    #[test]
    fn a_message_turned_away_is_read_to_its_end() {
        let mut reader = DataReader::new(LIMITS, None);
        let mut input = BytesMut::from(&b"abc\r\n"[..]);
        assert!(!reader.feed(&mut input));
        reader.turn_away(replies::BUSY);
        assert_eq!(reader.held(), 0);
        input.extend_from_slice(b"def\r\n.\r\n");
        assert!(reader.feed(&mut input));
        assert_eq!(reader.finish(), Err(replies::BUSY));
    }

    /// Bytes that matter to the reader, more often than others.
    fn tricky() -> impl Strategy<Value = Vec<u8>> {
        let token = prop_oneof![
            4 => Just(&b"\r\n"[..]), 2 => Just(&b"\r"[..]), 2 => Just(&b"\n"[..]), 3 => Just(&b"."[..]),
            1 => Just(&b"\0"[..]), 4 => Just(&b"text"[..]), 1 => Just(&b"\r\n.\r\n"[..]),
        ];
        proptest::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat())
    }

    proptest! {
        #[test]
        fn the_cuts_between_reads_do_not_matter(
            stream in tricky(),
            cuts in proptest::collection::vec(0usize..120, 0..12),
            message in 0u64..60,
            header in 0u64..30,
        ) {
            let limits = TextLimits { message, header, line: 9, ..LIMITS };
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < stream.len()).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut start = 0;
            for cut in cuts {
                pieces.push(&stream[start..cut]);
                start = cut;
            }
            pieces.push(&stream[start..]);
            prop_assert_eq!(fed(limits, pieces), fed(limits, [&stream[..]]));
        }

        #[test]
        fn only_the_first_crlf_dot_crlf_ends_it(stream in tricky()) {
            // The end as the standard has it, found the slow way: the text stands behind the CRLF of DATA itself.
            let whole = [&b"\r\n"[..], &stream].concat();
            let end = whole.windows(5).position(|five| five == b"\r\n.\r\n");
            let rest = fed(LIMITS, [&stream[..]]).map(|(_, rest)| rest.len());
            prop_assert_eq!(rest, end.map(|end| whole.len() - end - 5));
        }

        #[test]
        fn nothing_bare_comes_out(stream in tricky()) {
            if let Some((Ok(text), _)) = fed(LIMITS, [&stream[..]]) {
                let text = &text[..];
                for (at, byte) in text.iter().enumerate() {
                    prop_assert!(*byte != 0);
                    prop_assert!(*byte != b'\r' || text.get(at + 1) == Some(&b'\n'));
                    prop_assert!(*byte != b'\n' || (at > 0 && text[at - 1] == b'\r'));
                }
            }
        }
    }
}
