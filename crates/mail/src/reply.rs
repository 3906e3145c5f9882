//! SMTP replies: ours to bytes, a peer's from bytes.

use std::borrow::Cow;
use std::fmt;
use std::io::Write as _;
use std::time::Duration;

use bytes::BufMut;

// RFC 5321 section 4.5.3.1.5: a reply line has 512 octets with its code and CRLF.
const LINE_LIMIT: usize = 512;

/// An enhanced status code such as `5.7.8`.
// RFC 3463 section 2
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Enhanced {
    pub class: u8,
    pub subject: u16,
    pub detail: u16,
}

impl Enhanced {
    pub const fn new(class: u8, subject: u16, detail: u16) -> Self {
        Self {
            class,
            subject,
            detail,
        }
    }

    /// Reads `class.subject.detail`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let mut number = |limit: usize| {
            let part = parts.next()?;
            let digits = !part.is_empty() && part.len() <= limit && part.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| part.parse::<u16>().ok())?
        };
        let (class, subject, detail) = (number(1)?, number(3)?, number(3)?);
        let class = u8::try_from(class).ok()?;
        (parts.next().is_none() && matches!(class, 2 | 4 | 5)).then_some(Self {
            class,
            subject,
            detail,
        })
    }
}

impl fmt::Display for Enhanced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// A reply that we give. A line feed in the text starts a new reply line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub code: u16,
    pub enhanced: Option<Enhanced>,
    pub text: Cow<'static, str>,
    /// Somebody else's words, which no help page of ours is about.
    pub bare: bool,
    /// How long the client is asked to wait, where that is known and said.
    pub wait: Option<Duration>,
}

impl Reply {
    /// A reply with an enhanced code, given as `(class, subject, detail)`.
    pub const fn new(code: u16, (class, subject, detail): (u8, u16, u16), text: &'static str) -> Self {
        Self {
            code,
            enhanced: Some(Enhanced::new(class, subject, detail)),
            text: Cow::Borrowed(text),
            bare: false,
            wait: None,
        }
    }

    /// A reply that is given without the address of a help page.
    pub const fn bare(code: u16, enhanced: (u8, u16, u16), text: &'static str) -> Self {
        let mut reply = Self::new(code, enhanced, text);
        reply.bare = true;
        reply
    }

    /// A reply without an enhanced code: the banner, EHLO, 3xx.
    // RFC 2034 section 3
    pub const fn plain(code: u16, text: &'static str) -> Self {
        Self {
            code,
            enhanced: None,
            text: Cow::Borrowed(text),
            bare: false,
            wait: None,
        }
    }

    /// The same codes with another text.
    #[must_use]
    pub fn with_text(&self, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            text: text.into(),
            ..*self
        }
    }

    pub const fn is_positive(&self) -> bool {
        self.code < 400
    }

    pub const fn is_temporary(&self) -> bool {
        self.code / 100 == 4
    }

    pub const fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// Appends the reply's lines with their CRLF. What is not printable ASCII in the text is shown as `?`, and a line that
    /// would pass 512 octets is continued on the next one, so a text from elsewhere can neither inject nor overflow.
    pub fn write_to(&self, out: &mut impl BufMut) {
        // Longest: `255.65535.65535 `.
        let mut prefix = [0; 16];
        let mut free = &mut prefix[..];
        if let Some(enhanced) = self.enhanced {
            write!(free, "{enhanced} ").expect("three small numbers fit");
        }
        let unused = free.len();
        let prefix = &prefix[..prefix.len() - unused];
        let room = LINE_LIMIT - "250-\r\n".len() - prefix.len();
        let mut lines = self
            .text
            .split('\n')
            .flat_map(|line| chunks(line, room))
            .peekable();
        while let Some(line) = lines.next() {
            let digits = [self.code / 100, self.code / 10 % 10, self.code % 10];
            out.put_slice(&digits.map(|digit| b'0' + digit as u8));
            out.put_u8(if lines.peek().is_some() { b'-' } else { b' ' });
            out.put_slice(prefix);
            if line.bytes().all(is_printable) {
                out.put_slice(line.as_bytes());
            } else {
                line.chars().for_each(|c| {
                    out.put_u8(u8::try_from(c).ok().filter(|b| is_printable(*b)).unwrap_or(b'?'));
                });
            }
            out.put_slice(b"\r\n");
        }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.text.len() + 16);
        self.write_to(&mut out);
        out
    }
}

/// `250 2.1.5 Recipient ok`, on one line, for logs and the console.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, self.code, self.enhanced, &self.text)
    }
}

const fn is_printable(b: u8) -> bool {
    matches!(b, b' '..=b'~')
}

/// Cuts a line into pieces of at most `room` octets, at a character boundary; an empty line stays one empty piece.
fn chunks(mut line: &str, room: usize) -> impl Iterator<Item = &str> {
    let mut started = false;
    std::iter::from_fn(move || {
        if line.is_empty() && started {
            return None;
        }
        started = true;
        let (piece, rest) = line.split_at(line.floor_char_boundary(room));
        line = rest;
        Some(piece)
    })
}

fn show(f: &mut fmt::Formatter<'_>, code: u16, enhanced: Option<Enhanced>, text: &str) -> fmt::Result {
    write!(f, "{code}")?;
    if let Some(enhanced) = enhanced {
        write!(f, " {enhanced}")?;
    }
    for line in text.split('\n').filter(|line| !line.is_empty()) {
        write!(f, " {line}")?;
    }
    Ok(())
}

/// A reply that a peer gave; its lines are joined with line feeds and hold no other control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteReply {
    pub code: u16,
    pub enhanced: Option<Enhanced>,
    pub text: String,
}

/// Why bytes from a peer are not an SMTP reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteReplyError {
    #[error("the peer's reply does not start with a three-digit code")]
    NotAReply,
    #[error("the peer's reply changes its code between lines")]
    MixedCodes,
    #[error("the peer's reply has a line over {} octets", RemoteReply::LINE_LIMIT)]
    LineTooLong,
    #[error("the peer's reply has over {} octets", RemoteReply::TOTAL_LIMIT)]
    TooLong,
}

impl RemoteReply {
    /// Beyond the 512 of RFC 5321 section 4.5.3.1.5, because receivers put long links into their refusals.
    const LINE_LIMIT: usize = 4096;
    const TOTAL_LIMIT: usize = 64 * 1024;

    /// Reads one reply from the start of `input`: the reply and the octets it took, or `None` while its end is missing.
    pub fn parse(input: &[u8]) -> Result<Option<(Self, usize)>, RemoteReplyError> {
        let mut reply: Option<Self> = None;
        let mut at = 0;
        loop {
            let rest = &input[at..];
            let Some(end) = memchr::memchr(b'\n', rest) else {
                return if rest.len() > Self::LINE_LIMIT {
                    Err(RemoteReplyError::LineTooLong)
                } else {
                    Ok(None)
                };
            };
            if end > Self::LINE_LIMIT {
                return Err(RemoteReplyError::LineTooLong);
            }
            at += end + 1;
            if at > Self::TOTAL_LIMIT {
                return Err(RemoteReplyError::TooLong);
            }
            let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
            let (code, last, text) = split_line(line)?;
            let (enhanced, text) = split_enhanced(code, text);
            match &mut reply {
                None => reply = Some(Self { code, enhanced, text }),
                Some(reply) if reply.code != code => return Err(RemoteReplyError::MixedCodes),
                Some(reply) => {
                    reply.enhanced = reply.enhanced.or(enhanced);
                    reply.text.push('\n');
                    reply.text.push_str(&text);
                }
            }
            if last {
                return Ok(reply.map(|reply| (reply, at)));
            }
        }
    }

    pub const fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    pub const fn is_intermediate(&self) -> bool {
        self.code / 100 == 3
    }

    pub const fn is_temporary(&self) -> bool {
        self.code / 100 == 4
    }

    pub const fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }
}

impl fmt::Display for RemoteReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, self.code, self.enhanced, &self.text)
    }
}

/// Code, whether it is the last line, and the text behind the separator.
// RFC 5321 section 4.2.1; a bare code without text is a whole line too.
fn split_line(line: &[u8]) -> Result<(u16, bool, &[u8]), RemoteReplyError> {
    let (digits, rest) = line.split_first_chunk::<3>().ok_or(RemoteReplyError::NotAReply)?;
    if !digits.iter().all(u8::is_ascii_digit) || !(b'2'..=b'5').contains(&digits[0]) {
        return Err(RemoteReplyError::NotAReply);
    }
    let code = digits
        .iter()
        .fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    match rest.split_first() {
        None => Ok((code, true, rest)),
        Some((b' ', text)) => Ok((code, true, text)),
        Some((b'-', text)) => Ok((code, false, text)),
        Some(_) => Err(RemoteReplyError::NotAReply),
    }
}

/// Takes the enhanced code off the front, if it is one and its class agrees with the reply's.
// RFC 2034 section 4
fn split_enhanced(code: u16, text: &[u8]) -> (Option<Enhanced>, String) {
    let text = String::from_utf8_lossy(text);
    let (first, rest) = text.split_once(' ').unwrap_or((&text, ""));
    let enhanced = Enhanced::parse(first).filter(|e| u16::from(e.class) == code / 100);
    let text = if enhanced.is_some() { rest } else { &text };
    let clean = text
        .trim_end()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    (enhanced, clean)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(reply: &Reply) -> String {
        String::from_utf8(reply.to_bytes()).unwrap()
    }

    #[test]
    fn one_line_and_many_lines_are_written_with_their_codes() {
        assert_eq!(
            written(&Reply::new(250, (2, 1, 5), "Recipient ok")),
            "250 2.1.5 Recipient ok\r\n"
        );
        assert_eq!(written(&Reply::plain(354, "Go ahead")), "354 Go ahead\r\n");
        assert_eq!(
            written(&Reply::plain(250, "mx.example\nPIPELINING\nSIZE 5")),
            "250-mx.example\r\n250-PIPELINING\r\n250 SIZE 5\r\n"
        );
    }

    #[test]
    fn a_text_from_elsewhere_can_not_inject_a_line() {
        let reply = Reply::new(550, (5, 7, 1), "").with_text("no\r\n250 ok\u{e9}\0");
        assert_eq!(written(&reply), "550-5.7.1 no?\r\n550 5.7.1 250 ok??\r\n");
    }

    #[test]
    fn a_long_text_is_continued_before_512_octets() {
        let text = "x".repeat(1200);
        let bytes = written(&Reply::new(550, (5, 7, 1), "").with_text(text.clone()));
        assert!(bytes.split_inclusive('\n').all(|line| line.len() <= 512));
        let (reply, _) = RemoteReply::parse(bytes.as_bytes()).unwrap().unwrap();
        assert_eq!(reply.text.replace('\n', ""), text);
    }

    #[test]
    fn replies_are_shown_on_one_line() {
        assert_eq!(Reply::new(250, (2, 0, 0), "a\nb").to_string(), "250 2.0.0 a b");
    }

    fn parsed(input: &str) -> RemoteReply {
        let (reply, taken) = RemoteReply::parse(input.as_bytes()).unwrap().unwrap();
        assert_eq!(taken, input.len());
        reply
    }

    #[test]
    fn a_peers_reply_is_read_with_its_enhanced_code() {
        let reply = parsed("550 5.1.1 No such user\r\n");
        assert_eq!((reply.code, reply.enhanced), (550, Some(Enhanced::new(5, 1, 1))));
        assert_eq!(reply.text, "No such user");
        assert!(reply.is_permanent());
    }

    #[test]
    fn a_peers_lines_are_joined() {
        let reply = parsed("550-5.7.1 First\r\n550-5.7.1 second\r\n550 5.7.1 third\r\n");
        assert_eq!(reply.text, "First\nsecond\nthird");
        assert_eq!(parsed("250-mx\n250 SIZE\n").text, "mx\nSIZE");
    }

    #[test]
    fn sloppy_replies_are_read_too() {
        assert_eq!(parsed("250\r\n").text, "");
        assert_eq!(parsed("250 2.0.0\r\n").enhanced, Some(Enhanced::new(2, 0, 0)));
        // The class contradicts the code: it is text, not a status.
        assert_eq!(parsed("450 5.7.1 later\r\n").enhanced, None);
        assert_eq!(parsed("450 5.7.1 later\r\n").text, "5.7.1 later");
        assert_eq!(parsed("220 10.0.0.1 ESMTP\r\n").text, "10.0.0.1 ESMTP");
        let (reply, _) = RemoteReply::parse(b"554 \xff\x07bad\r\n").unwrap().unwrap();
        assert_eq!(reply.text, "\u{fffd} bad");
    }

    #[test]
    fn what_is_not_a_reply_is_an_error() {
        use RemoteReplyError::{LineTooLong, MixedCodes, NotAReply, TooLong};
        assert_eq!(RemoteReply::parse(b"HTTP/1.1 400\r\n"), Err(NotAReply));
        assert_eq!(RemoteReply::parse(b"99\r\n"), Err(NotAReply));
        assert_eq!(RemoteReply::parse(b"650 no\r\n"), Err(NotAReply));
        assert_eq!(RemoteReply::parse(b"250_no\r\n"), Err(NotAReply));
        assert_eq!(RemoteReply::parse(b"250-a\r\n550 b\r\n"), Err(MixedCodes));
        assert_eq!(RemoteReply::parse(&[b'2'; 5000]), Err(LineTooLong));
        assert_eq!(
            RemoteReply::parse(&b"250-aaaaaaaa\r\n".repeat(5000)),
            Err(TooLong)
        );
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            code in 200u16..600,
            subject in 0u16..999,
            detail in 0u16..999,
            text in "[!-~]{1,20}( [!-~]{1,20}){0,30}",
        ) {
            let class = u8::try_from(code / 100).unwrap();
            prop_assume!(class != 3);
            let reply = Reply::new(code, (class, subject, detail), "").with_text(text.clone());
            let bytes = reply.to_bytes();
            let (read, taken) = RemoteReply::parse(&bytes).unwrap().unwrap();
            prop_assert_eq!(taken, bytes.len());
            prop_assert_eq!((read.code, read.enhanced), (reply.code, reply.enhanced));
            if text.len() < 400 {
                prop_assert_eq!(read.text, text);
            }
        }

        #[test]
        fn a_reply_cut_anywhere_is_not_yet_a_reply(cut in 0usize..44) {
            let whole = b"550-5.7.1 First line\r\n550 5.7.1 second line\r\n";
            prop_assert_eq!(RemoteReply::parse(&whole[..cut]), Ok(None));
        }

        #[test]
        fn no_input_makes_it_panic(input in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = RemoteReply::parse(&input);
        }
    }
}
