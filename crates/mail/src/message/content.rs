//! What a message holds, for a person to look at: headers, text, HTML, and the list of attachments.

use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::parsers::MessageStream;
use mail_parser::{ContentType, HeaderValue};
use memchr::memmem;

use super::head::{Field, Head};

/// Multipart levels that are entered.
const MAX_DEPTH: usize = 100;
/// Parts that are looked at.
const MAX_PARTS: usize = 1_000;
/// Octets that are searched for boundaries, as a multiple of the message: each level searches its content again.
const MAX_SEARCH: usize = 12;
/// Octets of a field with parameters that is read: what reads them takes its time for many.
const MAX_PARAMETERS: usize = 4 * 1024;
/// Octets of text, and of HTML, that are decoded.
const MAX_SHOWN: usize = 2 * 1024 * 1024;

/// A message as the console shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// All header fields from top to bottom, decoded.
    pub headers: Vec<(String, String)>,
    pub text: Option<String>,
    pub html: Option<String>,
    pub attachments: Vec<Attachment>,
    /// Some of it was too much to look at, or too deep.
    pub cut: bool,
}

/// A part that is neither the text nor the HTML of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Decoded; empty where it has none.
    pub name: String,
    pub content_type: String,
    /// Octets after decoding.
    pub size: usize,
}

/// Looks through a message, part by part without recursion, within its budgets.
pub fn content(raw: &[u8]) -> Content {
    let mut content = Content::default();
    let mut search = raw.len().saturating_mul(MAX_SEARCH);
    let mut parts = 0;
    let mut waiting: Vec<(&[u8], usize)> = vec![(raw, 0)];
    while let Some((part, depth)) = waiting.pop() {
        parts += 1;
        let Ok(head) = Head::parse(part) else {
            content.cut = true;
            continue;
        };
        if depth == 0 {
            content.headers = head
                .fields()
                .iter()
                .map(|f| (f.name.to_owned(), f.decoded()))
                .collect();
        }
        let Some(boundary) = boundary(&head) else {
            leaf(&head, &mut content);
            continue;
        };
        if depth == MAX_DEPTH || search < head.body().len() {
            content.cut = true;
            continue;
        }
        search -= head.body().len();
        let room = MAX_PARTS.saturating_sub(parts + waiting.len());
        let (children, all) = split(head.body(), &boundary, room);
        content.cut |= !all;
        waiting.extend(children.into_iter().rev().map(|child| (child, depth + 1)));
    }
    content
}

/// The boundary of a multipart; none for anything else.
fn boundary(head: &Head<'_>) -> Option<String> {
    let kind = structured(head.first("content-type")?)?;
    if !kind.ctype().eq_ignore_ascii_case("multipart") {
        return None;
    }
    kind.attribute("boundary")
        .filter(|boundary| !boundary.is_empty() && boundary.len() <= 200)
        .map(str::to_owned)
}

fn structured(field: &Field<'_>) -> Option<ContentType<'static>> {
    if field.value.len() > MAX_PARAMETERS {
        return None;
    }
    let mut line = field.value.to_vec();
    line.extend_from_slice(b"\r\n");
    match MessageStream::new(&line).parse_content_type().into_owned() {
        HeaderValue::ContentType(kind) => Some(kind),
        _ => None,
    }
}

/// The parts between the boundary's lines, and whether there was room for all of them.
// RFC 2046 section 5.1.1
fn split<'a>(body: &'a [u8], boundary: &str, room: usize) -> (Vec<&'a [u8]>, bool) {
    let delimiter = format!("--{boundary}");
    let finder = memmem::Finder::new(&delimiter);
    let mut parts = Vec::new();
    let mut begun: Option<usize> = None;
    let mut from = 0;
    while let Some(found) = finder.find(&body[from..]).map(|at| from + at) {
        from = found + delimiter.len();
        if found > 0 && body[found - 1] != b'\n' {
            continue;
        }
        let rest = &body[from..];
        let line_end = memchr::memchr(b'\n', rest).map_or(rest.len(), |lf| lf + 1);
        let (line, last) = match rest[..line_end].strip_prefix(b"--") {
            Some(line) => (line, true),
            None => (&rest[..line_end], false),
        };
        if !line.trim_ascii().is_empty() {
            continue;
        }
        if let Some(begun) = begun {
            if parts.len() == room {
                return (parts, false);
            }
            parts.push(without_line_end(&body[begun..found.max(begun)]));
        }
        from += line_end;
        begun = Some(from);
        if last {
            return (parts, true);
        }
    }
    // A multipart that was never closed ends with the message.
    if let Some(begun) = begun.filter(|&begun| begun < body.len()) {
        if parts.len() == room {
            return (parts, false);
        }
        parts.push(&body[begun..]);
    }
    (parts, true)
}

/// The line end before a boundary belongs to the boundary.
fn without_line_end(part: &[u8]) -> &[u8] {
    let part = part.strip_suffix(b"\n").unwrap_or(part);
    part.strip_suffix(b"\r").unwrap_or(part)
}

/// A part without parts.
fn leaf(head: &Head<'_>, content: &mut Content) {
    let kind = head.first("content-type").and_then(structured);
    let disposition = head.first("content-disposition").and_then(structured);
    let encoding = head
        .first("content-transfer-encoding")
        .map(Field::decoded)
        .unwrap_or_default();
    // RFC 2045 section 5.2: what says nothing is plain text.
    let (main, sub) = kind.as_ref().map_or(("text", "plain"), |kind| {
        (kind.ctype(), kind.subtype().unwrap_or_default())
    });
    let name = [
        disposition.as_ref().and_then(|d| d.attribute("filename")),
        kind.as_ref().and_then(|k| k.attribute("name")),
    ]
    .into_iter()
    .flatten()
    .next();
    let attached = disposition.as_ref().is_some_and(ContentType::is_attachment) || name.is_some();
    if main.eq_ignore_ascii_case("text") && !attached {
        let place = match sub.to_ascii_lowercase().as_str() {
            "plain" => Some(&mut content.text),
            "html" => Some(&mut content.html),
            _ => None,
        };
        if let Some(place) = place {
            let shown = &head.body()[..head.body().len().min(MAX_SHOWN)];
            content.cut |= shown.len() < head.body().len();
            let text = text_of(
                shown,
                &encoding,
                kind.as_ref().and_then(|kind| kind.attribute("charset")),
            );
            append(place, &text, &mut content.cut);
            return;
        }
    }
    content.attachments.push(Attachment {
        name: name.unwrap_or_default().replace(char::is_control, " "),
        content_type: format!("{main}/{sub}").to_ascii_lowercase(),
        size: decoded_size(head.body(), &encoding),
    });
}

/// Several texts of one message follow one another.
fn append(place: &mut Option<String>, text: &str, cut: &mut bool) {
    let Some(shown) = place else {
        *place = Some(text.to_owned());
        return;
    };
    if shown.len() + text.len() > MAX_SHOWN {
        *cut = true;
        return;
    }
    shown.push_str("\r\n");
    shown.push_str(text);
}

fn text_of(body: &[u8], encoding: &str, charset: Option<&str>) -> String {
    let decoded = match encoding.to_ascii_lowercase().as_str() {
        "base64" => base64_decode(body),
        "quoted-printable" => quoted_printable_decode(body),
        _ => None,
    };
    let octets = decoded.as_deref().unwrap_or(body);
    match charset.and_then(|charset| charset_decoder(charset.as_bytes())) {
        Some(decode) => decode(octets),
        None => String::from_utf8_lossy(octets).into_owned(),
    }
}

fn decoded_size(body: &[u8], encoding: &str) -> usize {
    if encoding.eq_ignore_ascii_case("base64") {
        let letters = body
            .iter()
            .filter(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
            .count();
        return letters * 3 / 4;
    }
    if encoding.eq_ignore_ascii_case("quoted-printable") {
        return quoted_printable_decode(body).map_or(body.len(), |decoded| decoded.len());
    }
    body.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_plain_message_is_its_text() {
        let content = content("Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\nX-A: 1\r\n\r\nhällo\r\n".as_bytes());
        assert_eq!(
            content.headers,
            [
                ("Subject".into(), "grüße".into()),
                ("X-A".to_owned(), "1".to_owned())
            ]
        );
        assert_eq!(content.text.as_deref(), Some("hällo\r\n"));
        assert_eq!(
            (content.html, content.attachments.len(), content.cut),
            (None, 0, false)
        );
    }

    #[test]
    fn nested_parts_are_found_decoded_and_listed() {
        let raw = b"Content-Type: multipart/mixed; boundary=\"out er\"\r\n\r\npreamble\r\n--out er\r\n\
            Content-Type: multipart/alternative; boundary=in\r\n\r\n--in\r\n\
            Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nK=E4se\r\n--in\r\n\
            Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+aGk8L2I+\r\n--in--\r\n\
            --out er \r\nContent-Type: application/pdf; name=\"a.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\
            Content-Disposition: attachment; filename*=utf-8''%C3%BC.pdf\r\n\r\nAAEC\r\nAw==\r\n\
            --out er\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nx\r\n--out er--\r\nepilogue\r\n";
        let content = content(raw);
        assert_eq!(content.text.as_deref(), Some("Käse"));
        assert_eq!(content.html.as_deref(), Some("<b>hi</b>"));
        let attachments: Vec<_> = content
            .attachments
            .iter()
            .map(|a| (a.name.as_str(), a.content_type.as_str(), a.size))
            .collect();
        assert_eq!(
            attachments,
            [("ü.pdf", "application/pdf", 4), ("", "message/rfc822", 19)]
        );
        assert!(!content.cut);
    }

    #[test]
    fn a_multipart_that_is_never_closed_still_shows_its_parts() {
        let shown = content(
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--bb\r\n--b\r\n\r\ntwo",
        );
        assert_eq!(shown.text.as_deref(), Some("one\r\n--bb\r\ntwo"));
        let lost = content(b"Content-Type: multipart/mixed; boundary=b\r\n\r\nno parts at all");
        assert_eq!((lost.text, lost.cut), (None, false));
    }

    #[test]
    fn a_field_with_more_parameters_than_anybody_needs_is_not_read() {
        let part = |parameters: u32| {
            let many: Vec<String> = (0..parameters).map(|n| format!("k{n}*1=v")).collect();
            format!("Content-Type: a/b; name=n;\r\n {}\r\n\r\n", many.join(";\r\n "))
        };
        let few = content(part(200).as_bytes());
        assert_eq!(few.attachments[0].name, "n");
        let many = content(part(6_500).as_bytes());
        assert!(many.attachments.is_empty() && many.text.is_some());
    }

    #[test]
    fn a_nest_too_deep_and_parts_too_many_are_cut() {
        let level = |n| format!("Content-Type: multipart/mixed; boundary=b{n}x\r\n\r\n--b{n}x\r\n");
        let deep = (0..1_000).map(level).collect::<Vec<_>>().concat();
        assert!(content(deep.as_bytes()).cut);
        let many = format!(
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n{}",
            "--b\r\nContent-Type: a/b\r\n\r\n\r\n".repeat(5_000)
        );
        let content = content(many.as_bytes());
        assert!(content.cut);
        assert_eq!(content.attachments.len(), MAX_PARTS - 1);
    }

    proptest! {
        #[test]
        fn any_message_is_looked_at_without_panic(raw in "(Content-Type: multipart/mixed; boundary=b\r\n|Content-Type: text/html\r\n|Content-Transfer-Encoding: base64\r\n|\r\n|--b\r\n|--b--\r\n|--b|=|\\PC){0,40}") {
            content(raw.as_bytes());
        }
    }
}
