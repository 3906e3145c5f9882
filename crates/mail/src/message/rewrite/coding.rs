//! A text part in its transfer encoding: what it says, and where in the message each octet of that stands.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};

/// Octets of a line of an encoded part, without its line end.
// RFC 2045 sections 6.7 and 6.8
const ENCODED_LINE: usize = 76;
/// Octets of any line, without its line end.
// RFC 5322 section 2.1.1
pub(super) const LONGEST_LINE: usize = 998;

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How a part is encoded, as far as its text can be exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// 7bit, 8bit or binary: as it stands.
    Plain,
    QuotedPrintable,
    Base64,
}

impl Coding {
    pub fn named(encoding: &str) -> Option<Self> {
        Some(match encoding {
            "" | "7bit" | "8bit" | "binary" => Self::Plain,
            "quoted-printable" => Self::QuotedPrintable,
            "base64" => Self::Base64,
            _ => return None,
        })
    }
}

/// The octets that a quoted-printable text stands for, each with the place where its writing begins and its length.
pub(super) struct Quoted {
    pub octets: Vec<u8>,
    /// Offset in the writing, for each octet.
    places: Vec<u32>,
    length: usize,
}

impl Quoted {
    /// Reads leniently, as mail programs do; none where it is too big to be pointed into.
    // RFC 2045 section 6.7
    pub fn read(writing: &[u8]) -> Option<Self> {
        u32::try_from(writing.len()).ok()?;
        let mut octets = Vec::with_capacity(writing.len());
        let mut places = Vec::with_capacity(writing.len());
        let mut at = 0;
        while at < writing.len() {
            let (octet, length) = match writing[at] {
                b'=' => match soft_break(&writing[at..]) {
                    Some(length) => {
                        at += length;
                        continue;
                    }
                    None => match hex_pair(&writing[at + 1..]) {
                        Some(octet) => (octet, 3),
                        None => (b'=', 1),
                    },
                },
                other => (other, 1),
            };
            octets.push(octet);
            places.push(at as u32);
            at += length;
        }
        Some(Self {
            octets,
            places,
            length: writing.len(),
        })
    }

    /// Where the writing of the octets from `start` up to `end` begins and ends; what only folds lines around it stays outside.
    pub fn range(&self, start: usize, end: usize, writing: &[u8]) -> (usize, usize) {
        let from = self.places.get(start).map_or(self.length, |&at| at as usize);
        if end <= start {
            return (from, from);
        }
        let last = self.places[end - 1] as usize;
        let quoted = writing[last] == b'=' && hex_pair(&writing[last + 1..]).is_some();
        (from, last + if quoted { 3 } else { 1 })
    }
}

/// The length of a soft line break, white space before its line end included.
fn soft_break(writing: &[u8]) -> Option<usize> {
    let rest = &writing[1..];
    let blanks = rest.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    match &rest[blanks..] {
        [b'\r', b'\n', ..] => Some(1 + blanks + 2),
        [b'\n', ..] => Some(1 + blanks + 1),
        [] => Some(1 + blanks),
        _ => None,
    }
}

fn hex_pair(digits: &[u8]) -> Option<u8> {
    let [high, low, ..] = digits else { return None };
    let digit = |b: &u8| (*b as char).to_digit(16);
    Some((digit(high)? * 16 + digit(low)?) as u8)
}

/// Writes `text` between what stands before and behind it, on lines of its own that are folded together when they are read.
pub(super) fn quote_into(out: &mut Vec<u8>, text: &[u8], behind: &[u8]) {
    out.extend_from_slice(b"=\r\n");
    let column = quoted_into(out, text);
    let ends = matches!(behind, [] | [b'\n', ..] | [b'\r', b'\n', ..]);
    if column > 0 && !ends {
        out.extend_from_slice(b"=\r\n");
    }
}

/// Writes a whole text; the length of its last line.
pub(super) fn quoted_into(out: &mut Vec<u8>, text: &[u8]) -> usize {
    let mut column = 0;
    for (nth, &octet) in text.iter().enumerate() {
        if octet == b'\r' && text.get(nth + 1) == Some(&b'\n') {
            continue;
        }
        if octet == b'\n' {
            out.extend_from_slice(b"\r\n");
            column = 0;
            continue;
        }
        // White space at a line's end would be lost on the way.
        let plain = matches!(octet, b'!'..=b'<' | b'>'..=b'~')
            || (octet == b' ' && text.get(nth + 1).is_some_and(|&b| b != b'\r'));
        let length = if plain { 1 } else { 3 };
        if column + length >= ENCODED_LINE {
            out.extend_from_slice(b"=\r\n");
            column = 0;
        }
        if plain {
            out.push(octet);
        } else {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            out.push(b'=');
            out.push(DIGITS[usize::from(octet >> 4)]);
            out.push(DIGITS[usize::from(octet & 15)]);
        }
        column += length;
    }
    column
}

/// What a base64 part says; none where it holds anything that is not base64, which no second writing would bring back.
// RFC 2045 section 6.8
pub(super) fn base64_read(writing: &[u8]) -> Option<Vec<u8>> {
    let letters: Vec<u8> = writing
        .iter()
        .copied()
        .filter(|b| !b.is_ascii_whitespace())
        .collect();
    LENIENT.decode(letters).ok()
}

pub(super) fn base64_into(out: &mut Vec<u8>, octets: &[u8]) {
    let lines = octets.chunks(ENCODED_LINE / 4 * 3);
    let mut line = [0; ENCODED_LINE];
    for (nth, chunk) in lines.enumerate() {
        if nth > 0 {
            out.extend_from_slice(b"\r\n");
        }
        let written = STANDARD
            .encode_slice(chunk, &mut line)
            .expect("a line holds what its octets become");
        out.extend_from_slice(&line[..written]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_parser::decoders::base64::base64_decode;
    use mail_parser::decoders::quoted_printable::quoted_printable_decode;
    use proptest::prelude::*;

    #[test]
    fn each_octet_has_its_place_and_folds_stay_outside() {
        let writing = b"a=3D=\r\nb= \n=C3=A9";
        let quoted = Quoted::read(writing).expect("it is small");
        assert_eq!(quoted.octets, "a=bé".as_bytes());
        assert_eq!(quoted.range(1, 2, writing), (1, 4));
        assert_eq!(quoted.range(2, 3, writing), (7, 8));
        assert_eq!(quoted.range(1, 3, writing), (1, 8));
        assert_eq!(quoted.range(3, 5, writing), (11, 17));
        assert_eq!(quoted.range(5, 5, writing), (17, 17));
    }

    #[test]
    fn what_is_no_base64_is_left_alone() {
        assert_eq!(base64_read(b"aGk=\r\n").as_deref(), Some(&b"hi"[..]));
        assert_eq!(base64_read(b"aGk").as_deref(), Some(&b"hi"[..]));
        assert_eq!(base64_read(b"aGk=\r\n--\r\nfooter"), None);
    }

    proptest! {
        #[test]
        fn whatever_is_put_into_a_quoted_text_is_read_from_it(
            before in "[a-z =.]{0,20}", text in "([ -~é]|\r\n){0,200}", behind in "(\r\n)?[a-z]{0,9}"
        ) {
            let mut out = Vec::new();
            let before = before.replace('=', "=3D");
            out.extend_from_slice(before.as_bytes());
            quote_into(&mut out, text.as_bytes(), behind.as_bytes());
            out.extend_from_slice(behind.as_bytes());
            let read = quoted_printable_decode(&out).expect("it is quoted-printable");
            let meant = [before.replace("=3D", "=").as_bytes(), text.as_bytes(), behind.as_bytes()].concat();
            prop_assert_eq!(String::from_utf8_lossy(&read), String::from_utf8_lossy(&meant));
            for line in out.split(|&b| b == b'\n') {
                prop_assert!(line.len() <= 77, "{}", String::from_utf8_lossy(line));
            }
        }

        #[test]
        fn a_text_is_read_as_others_read_it(writing in "(=3D|=C3|=\r\n|\r\n|[a-zA-Z0-9.]){1,80}") {
            let quoted = Quoted::read(writing.as_bytes()).expect("it is small");
            let theirs = quoted_printable_decode(writing.as_bytes()).expect("it is quoted-printable");
            prop_assert_eq!(String::from_utf8_lossy(&quoted.octets), String::from_utf8_lossy(&theirs));
        }

        #[test]
        fn base64_lines_are_read_by_others(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut out = Vec::new();
            base64_into(&mut out, &octets);
            prop_assert_eq!(base64_decode(&out).unwrap_or_default(), octets);
            prop_assert!(out.split(|&b| b == b'\n').all(|line| line.len() <= 77));
        }
    }
}
