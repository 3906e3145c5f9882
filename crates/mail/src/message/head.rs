//! The header section of a message: its fields with their offsets, and the edits that acceptance makes.

use super::mailbox::{Mailbox, MailboxError, mailboxes};
use super::words::decoded;
use bytes::Bytes;

/// The header section that arrives may have this many octets.
const MAX_HEAD: usize = 100 * 1024;
/// The header section that arrives may have this many fields.
const MAX_FIELDS: usize = 1_000;
/// What is written on top of it here comes to less, in octets and in fields: what was taken can be read as long as it is kept.
const OWN: usize = 16 * 1024;
const OWN_FIELDS: usize = 32;

/// Why a header section is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    #[error("the header section is longer than {MAX_HEAD} octets")]
    TooLong,
    #[error("the header section has more than {MAX_FIELDS} fields")]
    TooManyFields,
}

/// One header field with the place where it stands in the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The field name as written, without the white space that the obsolete syntax allows before the colon.
    pub name: &'a str,
    /// Everything behind the colon as written, folding included, without the final line end.
    pub value: &'a [u8],
    /// Offset of the first octet of the name.
    pub start: usize,
    /// Offset behind the line end of the field's last line.
    pub end: usize,
}

impl Field<'_> {
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The value unfolded, RFC 2047 words decoded, outer white space removed.
    pub fn decoded(&self) -> String {
        decoded(self.value)
    }
}

/// The header section of `raw`, split into fields.
#[derive(Debug, Clone)]
pub struct Head<'a> {
    raw: &'a [u8],
    fields: Vec<Field<'a>>,
    end: usize,
    body: usize,
}

impl<'a> Head<'a> {
    /// Reads fields until the empty line, the end, or the first line that is no field: there the body begins.
    pub fn parse(raw: &'a [u8]) -> Result<Self, HeadError> {
        Self::within(raw, (MAX_HEAD + OWN, MAX_FIELDS + OWN_FIELDS))
    }

    /// The same of a message that is to be taken, and nothing of ours is in it yet.
    pub fn of_arriving(raw: &'a [u8]) -> Result<Self, HeadError> {
        Self::within(raw, (MAX_HEAD, MAX_FIELDS))
    }

    fn within(raw: &'a [u8], (most_octets, most_fields): (usize, usize)) -> Result<Self, HeadError> {
        let mut fields: Vec<Field<'a>> = Vec::with_capacity(24);
        let mut at = 0;
        while at < raw.len() {
            let (line, next) = line_at(raw, at);
            if next > most_octets {
                // An empty line that only just crosses the limit still ends the section.
                if !line.is_empty() {
                    return Err(HeadError::TooLong);
                }
            }
            if line.is_empty() {
                return Ok(Self {
                    raw,
                    fields,
                    end: at,
                    body: next,
                });
            }
            if matches!(line[0], b' ' | b'\t') {
                // RFC 5322 section 2.2.3: a folded line belongs to the field before it.
                let Some(field) = fields.last_mut() else { break };
                field.end = next;
                field.value = &raw[field.end_of_name(raw)..at + line.len()];
            } else {
                let Some((name, colon)) = field_name(line) else {
                    break;
                };
                if fields.len() == most_fields {
                    return Err(HeadError::TooManyFields);
                }
                fields.push(Field {
                    name,
                    value: &line[colon + 1..],
                    start: at,
                    end: next,
                });
            }
            at = next;
        }
        Ok(Self {
            raw,
            fields,
            end: at,
            body: at,
        })
    }

    pub fn fields(&self) -> &[Field<'a>] {
        &self.fields
    }

    /// The header section without the empty line.
    pub fn bytes(&self) -> &'a [u8] {
        &self.raw[..self.end]
    }

    /// What follows the empty line; everything that is no header section where the empty line is missing.
    pub fn body(&self) -> &'a [u8] {
        &self.raw[self.body..]
    }

    /// Offset of what follows the empty line.
    pub fn body_offset(&self) -> usize {
        self.body
    }

    /// The fields of that name, top to bottom.
    pub fn all<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h Field<'a>> {
        self.fields.iter().filter(move |field| field.is(name))
    }

    pub fn first(&self, name: &str) -> Option<&Field<'a>> {
        self.fields.iter().find(|field| field.is(name))
    }

    pub fn has(&self, name: &str) -> bool {
        self.first(name).is_some()
    }

    /// Every mailbox of every From field; whether one, several or none are acceptable is the caller's decision.
    pub fn from_addresses(&self) -> Result<Vec<Mailbox>, MailboxError> {
        self.mailboxes("from")
    }

    /// Every mailbox of every field of that name, groups included.
    pub fn mailboxes(&self, name: &str) -> Result<Vec<Mailbox>, MailboxError> {
        let mut all = Vec::new();
        for field in self.all(name) {
            all.extend(mailboxes(field.value)?);
        }
        Ok(all)
    }

    pub fn count_received(&self) -> usize {
        self.all("received").count()
    }

    /// The first Subject, decoded, as one line.
    pub fn subject(&self) -> Option<String> {
        self.first("subject").map(|field| one_line(field.decoded()))
    }

    /// The first Message-ID without its angle brackets.
    pub fn message_id(&self) -> Option<String> {
        let text = one_line(self.first("message-id")?.decoded());
        let id = text
            .strip_prefix('<')
            .and_then(|rest| rest.split('>').next())
            .unwrap_or(&text)
            .trim();
        (!id.is_empty()).then(|| id.to_owned())
    }

    /// A new beginning for the message: `prepend` (whole fields with their line ends), then its fields without those that
    /// `goes` names.
    pub fn rewritten(&self, prepend: &[u8], goes: impl Fn(&Field<'_>) -> bool) -> Beginning {
        let mut octets = Vec::with_capacity(prepend.len() + self.end + 4);
        octets.extend_from_slice(prepend);
        let mut copied = 0;
        for field in &self.fields {
            if goes(field) {
                octets.extend_from_slice(&self.raw[copied..field.start]);
                copied = field.end;
            }
        }
        octets.extend_from_slice(&self.raw[copied..self.end]);
        // Only a header section that ends the message may end without a line end.
        if !octets.is_empty() && !octets.ends_with(b"\n") {
            octets.extend_from_slice(b"\r\n");
        }
        if self.end == self.body && self.body < self.raw.len() {
            // The body began without an empty line: without one its first line would be read as a field.
            octets.extend_from_slice(b"\r\n");
        }
        Beginning {
            octets,
            replaces: self.end,
        }
    }
}

/// What takes the place of a message's first octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    octets: Vec<u8>,
    replaces: usize,
}

impl Beginning {
    /// Exchanges the beginning of the message it was made from. The rest is moved within its memory, where nobody else
    /// holds it: a big message is never there twice.
    pub fn put_on(&self, raw: Bytes) -> Bytes {
        let mut raw = Vec::from(raw);
        let (old, new) = (self.replaces, self.octets.len());
        let rest = raw.len() - old;
        if new > old {
            raw.reserve_exact(new - old);
            raw.resize(rest + new, 0);
        }
        raw.copy_within(old..old + rest, new);
        raw.truncate(rest + new);
        raw[..new].copy_from_slice(&self.octets);
        raw.into()
    }
}

impl Field<'_> {
    fn end_of_name(&self, raw: &[u8]) -> usize {
        let colon = raw[self.start..]
            .iter()
            .position(|&b| b == b':')
            .expect("a field has a colon");
        self.start + colon + 1
    }
}

/// Encoded words, and a carriage return that stands alone, bring what ends a line or moves a terminal.
fn one_line(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    let parts = text.split(char::is_control).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(" ")
}

/// The line that begins at `at` without its line end, and the offset of the next line.
fn line_at(raw: &[u8], at: usize) -> (&[u8], usize) {
    match memchr::memchr(b'\n', &raw[at..]) {
        Some(lf) => {
            let line = &raw[at..at + lf];
            (line.strip_suffix(b"\r").unwrap_or(line), at + lf + 1)
        }
        None => (&raw[at..], raw.len()),
    }
}

/// The field name at the start of a line and the offset of its colon.
fn field_name(line: &[u8]) -> Option<(&str, usize)> {
    let colon = memchr::memchr(b':', line)?;
    // RFC 5322 section 4.5: the obsolete syntax allows white space between name and colon.
    let name = line[..colon].trim_ascii_end();
    // RFC 5322 section 2.2: printable ASCII except the colon.
    if name.is_empty() || !name.iter().all(|b| (33..=126).contains(b)) {
        return None;
    }
    std::str::from_utf8(name).ok().map(|name| (name, colon))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Time;
    use proptest::prelude::*;

    fn head(raw: &str) -> Head<'_> {
        Head::parse(raw.as_bytes()).expect("within the limits")
    }

    fn rebuilt(raw: &[u8], prepend: &str, without: &str) -> Vec<u8> {
        let head = Head::parse(raw).expect("within the limits");
        let beginning = head.rewritten(prepend.as_bytes(), |field| field.is(without));
        beginning.put_on(Bytes::copy_from_slice(raw)).to_vec()
    }

    #[test]
    fn fields_come_in_order_with_their_offsets() {
        let raw = "From: a@b.example\r\nSubject: one\r\n two\r\n\r\nbody\r\n";
        let head = head(raw);
        let subject = head.fields()[1];
        assert_eq!(subject.name, "Subject");
        assert_eq!(subject.value, b" one\r\n two");
        assert_eq!(&raw[subject.start..subject.end], "Subject: one\r\n two\r\n");
        assert_eq!(head.bytes(), b"From: a@b.example\r\nSubject: one\r\n two\r\n");
        assert_eq!(head.body(), b"body\r\n");
    }

    #[test]
    fn a_name_may_have_white_space_before_the_colon_and_any_case() {
        let head = head("FROM : a@b.example\r\n\r\n");
        assert!(head.has("From"));
    }

    #[test]
    fn a_line_that_is_no_field_begins_the_body() {
        let raw = "Subject: x\r\nhello world\r\nmore: text\r\n";
        let head = head(raw);
        assert_eq!(head.fields().len(), 1);
        assert_eq!(head.body(), b"hello world\r\nmore: text\r\n");
        assert_eq!(
            rebuilt(raw.as_bytes(), "Received: r\r\n", ""),
            b"Received: r\r\nSubject: x\r\n\r\nhello world\r\nmore: text\r\n"
        );
    }

    #[test]
    fn a_message_may_be_only_a_body() {
        let raw = " indented\r\nSubject: not a field\r\n";
        let head = head(raw);
        assert!(head.fields().is_empty());
        assert_eq!(head.body(), raw.as_bytes());
        assert_eq!(
            rebuilt(raw.as_bytes(), "Date: d\r\n", ""),
            [b"Date: d\r\n\r\n", raw.as_bytes()].concat()
        );
    }

    #[test]
    fn a_message_may_be_only_a_header_section() {
        let raw = "Subject: x\r\nTo: y";
        assert_eq!(head(raw).body(), b"");
        assert_eq!(rebuilt(raw.as_bytes(), "", ""), b"Subject: x\r\nTo: y\r\n");
    }

    #[test]
    fn bcc_is_removed_wherever_it_stands_and_however_it_is_folded() {
        let raw = "bcc: a@x.example\r\nTo: b@x.example\r\nBCC : c@x.example,\r\n\td@x.example\r\nSubject: s\r\nBcc:\r\n\r\nBcc: stays\r\n";
        assert_eq!(
            rebuilt(raw.as_bytes(), "", "bcc"),
            b"To: b@x.example\r\nSubject: s\r\n\r\nBcc: stays\r\n"
        );
    }

    #[test]
    fn a_message_that_nobody_else_holds_stays_where_it_is() {
        let text = b"Subject: x\r\n\r\nbody";
        let mut raw = Vec::with_capacity(100);
        raw.extend_from_slice(text);
        let place = raw.as_ptr();
        let longer = Head::parse(text)
            .unwrap()
            .rewritten(b"Received: r\r\n", |_| false);
        let raw = longer.put_on(raw.into());
        assert_eq!(raw, &b"Received: r\r\nSubject: x\r\n\r\nbody"[..]);
        assert_eq!(raw.as_ptr(), place);
        let held_twice = raw.clone();
        let shorter = Head::parse(&raw)
            .unwrap()
            .rewritten(b"", |field| field.is("received"));
        assert_eq!(shorter.put_on(raw), &text[..]);
        assert!(held_twice.starts_with(b"Received"));
    }

    #[test]
    fn a_subject_is_unfolded_and_decoded() {
        let head = head("Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n =?utf-8?b?IGF1cw==?= Wien\r\n\r\n");
        assert_eq!(head.subject().as_deref(), Some("Grüße aus Wien"));
    }

    #[test]
    fn subjects_in_the_character_sets_of_east_asia_are_decoded() {
        for (subject, want) in [
            ("=?iso-2022-jp?B?GyRCRnxLXDhsGyhC?=", "日本語"),
            ("=?gb2312?B?1tDOxA==?=", "中文"),
            ("=?euc-kr?B?x9Gxub7u?=", "한국어"),
        ] {
            let raw = format!("Subject: {subject}\r\n\r\n");
            assert_eq!(head(&raw).subject().as_deref(), Some(want));
        }
    }

    #[test]
    fn a_message_id_loses_its_brackets() {
        assert_eq!(
            head("Message-ID: <a.b@c>\r\n\r\n").message_id().as_deref(),
            Some("a.b@c")
        );
        assert_eq!(
            head("Message-Id:\r\n <folded@c>\r\n\r\n").message_id().as_deref(),
            Some("folded@c")
        );
        assert_eq!(head("Message-Id: \r\n\r\n").message_id(), None);
    }

    #[test]
    fn every_from_field_counts() {
        let head = head("From: a@x.example\r\nfrom: Bob <b@y.example>\r\n\r\n");
        let all = head.from_addresses().unwrap();
        assert_eq!(
            all.iter().map(|m| m.address.as_str()).collect::<Vec<_>>(),
            ["a@x.example", "b@y.example"]
        );
    }

    #[test]
    fn a_subject_is_one_line_whatever_is_in_it() {
        for (raw, subject) in [
            ("Subject: a\rb\u{1b}c\r\n", "a b c"),
            ("Subject: =?utf-8?q?a=0D=0ABcc:_b=0D?=\r\n", "a Bcc: b"),
        ] {
            assert_eq!(head(raw).subject().unwrap(), subject);
        }
        assert_eq!(
            head("Message-ID: <a\rb@c.example>\r\n").message_id().unwrap(),
            "a b@c.example"
        );
    }

    #[test]
    fn the_budgets_are_kept() {
        let long = format!("Subject: {}\r\n\r\n", "x".repeat(MAX_HEAD));
        assert_eq!(
            Head::of_arriving(long.as_bytes()).unwrap_err(),
            HeadError::TooLong
        );
        let many = "A: b\r\n".repeat(MAX_FIELDS + 1);
        assert_eq!(
            Head::of_arriving(many.as_bytes()).unwrap_err(),
            HeadError::TooManyFields
        );
        let longer = format!("Subject: {}\r\n\r\n", "x".repeat(MAX_HEAD + OWN));
        assert_eq!(Head::parse(longer.as_bytes()).unwrap_err(), HeadError::TooLong);
        let more = "A: b\r\n".repeat(MAX_FIELDS + OWN_FIELDS + 1);
        assert_eq!(
            Head::parse(more.as_bytes()).unwrap_err(),
            HeadError::TooManyFields
        );
    }

    #[test]
    fn what_is_taken_can_be_read_with_what_is_written_on_top_of_it() {
        let from = "From: a@b.example\r\n";
        let long = format!(
            "{from}Subject: {}\r\n\r\n",
            "x".repeat(MAX_HEAD - from.len() - 11)
        );
        let many = format!("{from}{}\r\n", "A: b\r\n".repeat(MAX_FIELDS - 1));
        for raw in [long, many] {
            let head = Head::of_arriving(raw.as_bytes()).unwrap();
            let top = format!(
                "Received: from {} by us.example\r\n{}",
                "h".repeat(500),
                head.completion(Time::from_secs(1_800_000_000), "1@us.example")
            );
            let stored = head
                .rewritten(top.as_bytes(), |_| false)
                .put_on(raw.clone().into());
            assert!(Head::of_arriving(&stored).is_err());
            assert!(Head::parse(&stored).unwrap().has("message-id"));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic_and_rebuilt_to_the_same_body(raw in proptest::collection::vec(prop_oneof![
            Just(b'a'), Just(b':'), Just(b' '), Just(b'\r'), Just(b'\n'), any::<u8>()], 0..200)) {
            let head = Head::parse(&raw).unwrap();
            let rebuilt = rebuilt(&raw, "X: y\r\n", "");
            let again = Head::parse(&rebuilt).unwrap();
            prop_assert_eq!(again.fields().len(), head.fields().len() + 1);
            prop_assert_eq!(again.body(), head.body());
        }
    }
}
