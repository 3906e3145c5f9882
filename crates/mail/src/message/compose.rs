//! New messages from their pieces, for the API; nothing that is handed in can become a header of its own.

use std::borrow::Cow;

use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address as BuilderAddress;
use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::message_id::MessageId;
use mail_builder::headers::raw::Raw;
use mail_builder::headers::text::Text;
use mail_builder::headers::{Header, HeaderType};
use mail_builder::mime::{BodyPart, MimePart};

use super::kept_back::is_steering;
use super::mailbox::mailboxes;
use super::words::decoded;
use crate::address::{Address, AddressError};
use crate::time::Time;

/// A display name, a subject or a header value may have so many octets.
const MAX_VALUE: usize = 4_096;
const MAX_NAME: usize = 76;

/// Header fields that a composition writes itself.
const COMPOSED: [&str; 7] = ["from", "to", "cc", "reply-to", "subject", "date", "message-id"];
/// Header fields that a mail server writes, or that say how the message is put together: none that is set from outside.
const FIXED: [&str; 10] = [
    "bcc",
    "mime-version",
    "received",
    "return-path",
    "dkim-signature",
    "authentication-results",
    "arc-seal",
    "arc-message-signature",
    "arc-authentication-results",
    "delivered-to",
];

/// What is wrong with a draft, and with which of its fields.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct ComposeError {
    /// `from`, `to`, `subject`, `headers`, `attachments`, …
    pub field: &'static str,
    pub problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("it holds a line break or another control character, which could become a header of its own")]
    Control,
    #[error("it is longer than {MAX_VALUE} octets")]
    TooLong,
    #[error("it is not an address such as ann@example.com or Ann <ann@example.com>")]
    NotAMailbox,
    #[error("{0}")]
    Address(#[from] AddressError),
    #[error("{0:?} is no name for a header: up to {MAX_NAME} letters, digits and hyphens")]
    HeaderName(String),
    #[error("the header {0} is written by the service")]
    Reserved(String),
    #[error("{0:?} is not a content type such as application/pdf")]
    ContentType(String),
    #[error("a message needs a text or an HTML part, or an attachment")]
    Empty,
}

/// A mailbox with a checked address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Empty where there is none.
    pub name: String,
    pub address: Address,
}

impl Named {
    /// Reads `ann@example.com` or `Ann <ann@example.com>`: exactly one mailbox.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        checked(text)?;
        let list = mailboxes(text.as_bytes()).map_err(|_| Problem::NotAMailbox)?;
        let [only] = list.as_slice() else {
            return Err(Problem::NotAMailbox);
        };
        checked(&only.name)?;
        Ok(Self {
            name: only.name.clone(),
            address: Address::parse(&only.address)?,
        })
    }
}

/// A file that goes with the message.
#[derive(Clone, Copy, Debug)]
pub struct DraftAttachment<'a> {
    pub name: &'a str,
    /// Empty for unknown.
    pub content_type: &'a str,
    pub content: &'a [u8],
}

/// The pieces of a message. Bcc recipients are the envelope's business: no header names them.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    pub from: &'a Named,
    pub to: &'a [Named],
    pub cc: &'a [Named],
    pub reply_to: Option<&'a Named>,
    pub subject: &'a str,
    pub text: Option<&'a str>,
    pub html: Option<&'a str>,
    /// Further header fields.
    pub headers: &'a [(&'a str, &'a str)],
    pub attachments: &'a [DraftAttachment<'a>],
}

/// The message, with CRLF line ends and nothing beyond ASCII save in addresses that need it.
///
/// `message_id` comes without angle brackets; it makes the part boundaries too.
pub fn compose(draft: &Draft<'_>, now: Time, message_id: &str) -> Result<Vec<u8>, ComposeError> {
    let in_field = |field: &'static str| move |problem: Problem| ComposeError { field, problem };
    checked(draft.subject).map_err(in_field("subject"))?;
    let mut builder = MessageBuilder::new()
        .header("Date", Raw::new(now.rfc5322()))
        .header("From", mailbox(draft.from).map_err(in_field("from"))?);
    for (field, name, list) in [("to", "To", draft.to), ("cc", "Cc", draft.cc)] {
        if !list.is_empty() {
            let list = list
                .iter()
                .map(mailbox)
                .collect::<Result<Vec<_>, _>>()
                .map_err(in_field(field))?;
            builder = builder.header(name, BuilderAddress::new_list(list));
        }
    }
    if let Some(reply_to) = draft.reply_to {
        builder = builder.header("Reply-To", mailbox(reply_to).map_err(in_field("reply_to"))?);
    }
    builder = builder
        .header("Subject", Text::new(draft.subject))
        .header("Message-ID", MessageId::new(message_id))
        .header("MIME-Version", Raw::new("1.0"));
    for &(name, value) in draft.headers {
        builder = builder.header(name, custom(name, value).map_err(in_field("headers"))?);
    }
    builder = builder.body(body(draft, message_id)?);
    let mut out = Vec::with_capacity(likely_size(draft));
    builder.serialize(&mut out);
    Ok(out)
}

/// Octets of the message where the text needs no encoding: a big one is not to be copied as it grows.
fn likely_size(draft: &Draft<'_>) -> usize {
    let texts = [draft.text, draft.html].into_iter().flatten().map(str::len);
    // RFC 2045 section 6.8: 76 characters and a line end for 57 octets.
    let files = draft
        .attachments
        .iter()
        .map(|file| file.content.len() / 57 * 78 + 1024);
    texts.chain(files).sum::<usize>() + 4096
}

/// Refuses what could break out of a header, before and after RFC 2047 words are decoded.
fn checked(value: &str) -> Result<(), Problem> {
    if value.len() > MAX_VALUE {
        return Err(Problem::TooLong);
    }
    let harmless = |text: &str| !text.contains(|c: char| c.is_control() && c != '\t');
    if !harmless(value) {
        return Err(Problem::Control);
    }
    if value.contains("=?") && !harmless(&decoded(value.as_bytes())) {
        return Err(Problem::Control);
    }
    Ok(())
}

fn mailbox(named: &Named) -> Result<BuilderAddress<'_>, Problem> {
    checked(&named.name)?;
    let name = (!named.name.is_empty()).then_some(named.name.as_str());
    Ok(BuilderAddress::new_address(name, named.address.to_string()))
}

/// Fields whose value is read as addresses: encoding it whole would break it.
const ADDRESSES: [&str; 5] = ["from", "sender", "to", "cc", "reply-to"];

/// A whole header field with its line end, for a message that is there already.
pub fn field(name: &str, value: &str) -> Result<Vec<u8>, Problem> {
    let lower = well_formed(name)?;
    if is_fixed(&lower) || is_steering(name) {
        return Err(Problem::Reserved(name.to_owned()));
    }
    if ADDRESSES.contains(&lower.as_str()) && !value.is_ascii() {
        return Err(Problem::NotAMailbox);
    }
    let mut out = format!("{name}: ").into_bytes();
    let column = out.len();
    value_of(value)?.write_header(&mut out, column);
    Ok(out)
}

/// The name in lower case.
fn well_formed(name: &str) -> Result<String, Problem> {
    let letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(letter) {
        return Err(Problem::HeaderName(name.chars().take(MAX_NAME).collect()));
    }
    Ok(name.to_ascii_lowercase())
}

fn value_of(value: &str) -> Result<HeaderType<'_>, Problem> {
    checked(value)?;
    // A structured field such as List-Unsubscribe must not be rewritten where it is ASCII as it stands.
    if value.is_ascii() && longest_word(value) < 900 {
        Ok(Raw::new(value).into())
    } else {
        Ok(Text::new(value).into())
    }
}

fn is_fixed(lower: &str) -> bool {
    FIXED.contains(&lower) || lower.starts_with("content-") || lower.starts_with("resent-")
}

/// The value of a header field that the caller named.
fn custom<'a>(name: &str, value: &'a str) -> Result<HeaderType<'a>, Problem> {
    let lower = well_formed(name)?;
    if COMPOSED.contains(&lower.as_str()) || is_fixed(&lower) {
        return Err(Problem::Reserved(name.to_owned()));
    }
    value_of(value)
}

fn longest_word(value: &str) -> usize {
    value.split_ascii_whitespace().map(str::len).max().unwrap_or(0)
}

fn body<'a>(draft: &Draft<'a>, message_id: &str) -> Result<MimePart<'a>, ComposeError> {
    let seed: String = message_id
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(40)
        .collect();
    let multipart = |kind: &'static str, mark: &str, parts: Vec<MimePart<'a>>| {
        let kind = ContentType::new(kind).attribute("boundary", format!("=_{mark}{seed}"));
        MimePart::new(kind, BodyPart::Multipart(parts))
    };
    let text = draft
        .text
        .map(|text| MimePart::new("text/plain", BodyPart::Text(with_crlf(text))));
    let html = draft
        .html
        .map(|html| MimePart::new("text/html", BodyPart::Text(with_crlf(html))));
    let main = match (text, html) {
        (Some(text), Some(html)) => Some(multipart("multipart/alternative", "a", vec![text, html])),
        (text, html) => text.or(html),
    };
    let attachments = draft
        .attachments
        .iter()
        .map(attachment)
        .collect::<Result<Vec<_>, _>>();
    let attachments = attachments.map_err(|problem| ComposeError {
        field: "attachments",
        problem,
    })?;
    match main {
        Some(main) if attachments.is_empty() => Ok(main),
        None if attachments.is_empty() => Err(ComposeError {
            field: "text",
            problem: Problem::Empty,
        }),
        main => Ok(multipart(
            "multipart/mixed",
            "m",
            main.into_iter().chain(attachments).collect(),
        )),
    }
}

/// Line ends of any kind as CRLF.
fn with_crlf(text: &str) -> Cow<'_, str> {
    if !text.contains(['\r', '\n']) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(
        text.replace("\r\n", "\n")
            .replace('\r', "\n")
            .replace('\n', "\r\n"),
    )
}

fn attachment<'a>(file: &DraftAttachment<'a>) -> Result<MimePart<'a>, Problem> {
    checked(file.name)?;
    let kind = match file.content_type {
        "" => "application/octet-stream",
        kind => kind,
    };
    let token = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    if kind.len() > 127
        || !kind
            .split_once('/')
            .is_some_and(|(main, sub)| token(main) && token(sub))
    {
        return Err(Problem::ContentType(kind.chars().take(127).collect()));
    }
    // RFC 2046 section 5: composite types must not be base64, which an attachment is.
    let composite = ["multipart/", "message/"]
        .iter()
        .any(|prefix| kind.to_ascii_lowercase().starts_with(prefix));
    let kind = if composite {
        "application/octet-stream"
    } else {
        kind
    };
    let part = MimePart::new(kind, BodyPart::Binary(Cow::Borrowed(file.content)));
    Ok(part.attachment(if file.name.is_empty() {
        "attachment"
    } else {
        file.name
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Head, content};
    use crate::smtp::client::check_line_ends;
    use proptest::prelude::*;

    fn named(text: &str) -> Named {
        Named::parse(text).unwrap()
    }

    fn draft(from: &Named) -> Draft<'_> {
        Draft {
            from,
            to: &[],
            cc: &[],
            reply_to: None,
            subject: "Hello",
            text: Some("Hi\nthere\r\n"),
            html: None,
            headers: &[],
            attachments: &[],
        }
    }

    fn composed(draft: &Draft<'_>) -> Vec<u8> {
        let raw = compose(draft, Time::from_secs(0), "1@us.example").unwrap();
        assert_eq!(check_line_ends(&raw), Ok(()), "{}", String::from_utf8_lossy(&raw));
        assert!(raw.split(|&b| b == b'\n').all(|line| line.len() <= 998));
        raw
    }

    fn problem(draft: &Draft<'_>) -> (&'static str, Problem) {
        let error = compose(draft, Time::from_secs(0), "1@us.example").unwrap_err();
        (error.field, error.problem)
    }

    #[test]
    fn a_whole_message_reads_back_as_it_was_meant() {
        let from = named("\"Ann, B.\" <ann@us.example>");
        let to = [named("Jürgen <j@b.example>"), named("c@b.example")];
        let pdf: Vec<u8> = (0..=255).collect();
        let full = Draft {
            to: &to,
            reply_to: Some(&to[1]),
            subject: "Grüße: ein längerer Betreff, der über mehr als eine Zeile gehen muss, damit er gefaltet wird",
            text: Some("Käse\n.dot\n"),
            html: Some("<p>Käse</p>"),
            headers: &[
                ("X-Tag", "a"),
                (
                    "List-Unsubscribe",
                    "<https://us.example/u/abc>, <mailto:u@us.example>",
                ),
            ],
            attachments: &[DraftAttachment {
                name: "Übersicht.pdf",
                content_type: "application/pdf",
                content: &pdf,
            }],
            ..draft(&from)
        };
        let raw = composed(&full);
        assert!(raw.is_ascii());
        let head = Head::parse(&raw).unwrap();
        assert_eq!(head.subject().as_deref(), Some(full.subject));
        assert_eq!(head.from_addresses().unwrap()[0].name, "Ann, B.");
        assert_eq!(head.mailboxes("to").unwrap()[0].name, "Jürgen");
        assert_eq!(head.message_id().as_deref(), Some("1@us.example"));
        assert_eq!(
            head.first("date").unwrap().decoded(),
            "Thu, 01 Jan 1970 00:00:00 +0000"
        );
        assert_eq!(
            head.first("list-unsubscribe").unwrap().decoded(),
            full.headers[1].1
        );
        for name in ["date", "message-id", "mime-version", "content-type"] {
            assert_eq!(head.all(name).count(), 1, "{name}");
        }
        let shown = content(&raw);
        assert_eq!(shown.text.unwrap().replace("\r\n", "\n"), "Käse\n.dot\n");
        assert_eq!(shown.html.as_deref().map(str::trim_end), Some("<p>Käse</p>"));
        assert_eq!(
            (shown.attachments[0].name.as_str(), shown.attachments[0].size),
            ("Übersicht.pdf", 256)
        );
    }

    #[test]
    fn a_field_for_a_message_that_is_there_is_one_field() {
        let line = |name, value| String::from_utf8(field(name, value).unwrap()).unwrap();
        assert_eq!(line("X-Checked", "by us"), "X-Checked: by us\r\n");
        let subject = line(
            "Subject",
            "Grüße: ein längerer Betreff, der über mehr als eine Zeile gehen muss, damit er gefaltet wird",
        );
        let head = Head::parse(subject.as_bytes()).unwrap();
        assert_eq!(head.fields().len(), 1);
        assert!(subject.is_ascii() && head.subject().unwrap().ends_with("gefaltet wird"));
        for value in ["x\r\nBcc: b@x", "x\n y", "x\0", "=?utf-8?q?x=0D=0ABcc:_b?="] {
            assert_eq!(field("X-A", value), Err(Problem::Control), "{value:?}");
        }
        for name in [
            "Bcc",
            "DKIM-Signature",
            "Received",
            "X-Posthouse-Tag",
            "Content-Type",
            "Return-Path",
            "Resent-To",
        ] {
            assert_eq!(field(name, "x"), Err(Problem::Reserved(name.to_owned())));
        }
        assert!(matches!(field("X A", "x"), Err(Problem::HeaderName(_))));
        assert_eq!(field("From", "Jürgen <j@x.example>"), Err(Problem::NotAMailbox));
    }

    #[test]
    fn no_value_becomes_a_header_of_its_own() {
        let from = named("a@us.example");
        for bad in [
            "x\r\nBcc: b@x",
            "x\nBcc: b",
            "x\rBcc: b",
            "x\0",
            "=?utf-8?q?x=0D=0ABcc:_b?=",
            "=?utf-8?b?eA0KQmNjOiBi?=",
        ] {
            let control = |field| (field, Problem::Control);
            assert_eq!(
                problem(&Draft {
                    subject: bad,
                    ..draft(&from)
                }),
                control("subject"),
                "{bad:?}"
            );
            assert_eq!(
                problem(&Draft {
                    headers: &[("X-A", bad)],
                    ..draft(&from)
                }),
                control("headers"),
                "{bad:?}"
            );
            let named = Named {
                name: bad.into(),
                ..from.clone()
            };
            assert_eq!(problem(&draft(&named)), control("from"), "{bad:?}");
            let file = DraftAttachment {
                name: bad,
                content_type: "",
                content: b"",
            };
            assert_eq!(
                problem(&Draft {
                    attachments: &[file],
                    ..draft(&from)
                }),
                control("attachments"),
                "{bad:?}"
            );
            assert!(Named::parse(&format!("{bad} <a@us.example>")).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn header_names_and_content_types_are_checked() {
        let from = named("a@us.example");
        for name in ["", "X A", "X:A", "X\r\nA", "Ü", &"x".repeat(77)] {
            let (field, problem) = problem(&Draft {
                headers: &[(name, "v")],
                ..draft(&from)
            });
            assert!(
                field == "headers" && matches!(problem, Problem::HeaderName(_)),
                "{name:?}"
            );
        }
        for name in ["Bcc", "FROM", "Content-Type", "Resent-From", "Dkim-Signature"] {
            let found = problem(&Draft {
                headers: &[(name, "v")],
                ..draft(&from)
            });
            assert_eq!(found, ("headers", Problem::Reserved(name.into())));
        }
        for kind in ["pdf", "a/b/c", "a/b; x=y", "a/b\r\nX: y", "/b"] {
            let file = DraftAttachment {
                name: "f",
                content_type: kind,
                content: b"",
            };
            let found = problem(&Draft {
                attachments: &[file],
                ..draft(&from)
            });
            assert_eq!(found, ("attachments", Problem::ContentType(kind.into())));
        }
    }

    #[test]
    fn a_mailbox_is_exactly_one() {
        assert_eq!(
            Named::parse("a@b.example, c@d.example"),
            Err(Problem::NotAMailbox)
        );
        assert_eq!(Named::parse(""), Err(Problem::NotAMailbox));
        assert!(matches!(
            Named::parse(&format!("{}@b.example", "x".repeat(65))),
            Err(Problem::Address(_))
        ));
    }

    #[test]
    fn a_message_needs_something_in_it() {
        let from = named("a@us.example");
        assert_eq!(
            problem(&Draft {
                text: None,
                ..draft(&from)
            }),
            ("text", Problem::Empty)
        );
        let file = DraftAttachment {
            name: "",
            content_type: "message/rfc822",
            content: b"x: y\n",
        };
        let raw = composed(&Draft {
            text: None,
            attachments: &[file],
            ..draft(&from)
        });
        assert_eq!(
            content(&raw).attachments[0].content_type,
            "application/octet-stream"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn whatever_is_composed_has_the_header_fields_it_should_and_no_others(
            subject in "\\PC{0,120}", text in "(\\PC|\r|\n|\r\n){0,80}", value in "\\PC{0,200}", name in "\\PC{0,30}",
        ) {
            let from = Named { name, ..named("a@us.example") };
            let headers = [("X-A", value.as_str())];
            let draft = Draft { subject: &subject, text: Some(&text), headers: &headers, ..draft(&from) };
            let Ok(raw) = compose(&draft, Time::from_secs(0), "1@us.example") else { return Ok(()) };
            prop_assert!(check_line_ends(&raw).is_ok(), "{}", String::from_utf8_lossy(&raw));
            let head = Head::parse(&raw).unwrap();
            let names: Vec<&str> = head.fields().iter().map(|f| f.name).filter(|n| !n.starts_with("Content-")).collect();
            prop_assert_eq!(names, ["Date", "From", "Subject", "Message-ID", "MIME-Version", "X-A"]);
            let from = head.from_addresses().unwrap();
            prop_assert_eq!(from.len(), 1);
            prop_assert_eq!(from[0].address.as_str(), "a@us.example");
        }
    }
}
