//! What a message holds, for a person to look at: headers, text, HTML, and the list of attachments.

use std::borrow::Cow;

use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;

use super::head::Head;
use super::parts::{Leaf, leaves};

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

/// One part that has no parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartView {
    /// `text/plain`, in lower case.
    pub content_type: String,
    pub charset: Option<String>,
    /// The name of a file; `Some` with an empty name where it is attached without one.
    pub name: Option<String>,
    /// Octets after decoding.
    pub size: usize,
    /// A text that is not attached, decoded.
    pub text: Option<String>,
    /// The text is only the beginning, or stands there as it is written because it could not be decoded.
    pub cut: bool,
}

/// The parts from top to bottom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartsView {
    pub found: Vec<PartView>,
    /// All that the message says is in them: it has no further parts, and no text of these is cut.
    pub complete: bool,
}

/// The parts, with at most `each` octets of one text as they are written, and `all` of all of them.
pub fn parts(raw: &[u8], (each, all): (usize, usize)) -> PartsView {
    let leaves = leaves(raw);
    let mut room = all;
    let mut view = |leaf: &Leaf<'_>| {
        let (main, sub) = leaf.names();
        let (body, encoding, name) = (leaf.head.body(), leaf.encoding(), leaf.attached());
        let is_text = main.eq_ignore_ascii_case("text") && name.is_none();
        let mut cut = false;
        let text = is_text.then(|| {
            let shown = &body[..body.len().min(each).min(room)];
            room -= shown.len();
            let octets = decode(shown, &encoding);
            cut = shown.len() < body.len() || octets.is_none();
            in_letters(octets.as_deref().unwrap_or(shown), leaf.charset())
        });
        PartView {
            content_type: format!("{main}/{sub}").to_ascii_lowercase(),
            charset: leaf.charset().map(str::to_owned),
            size: decoded_size(body, &encoding),
            name: name.map(|name| name.replace(char::is_control, " ")),
            text,
            cut,
        }
    };
    let found: Vec<PartView> = leaves.found.iter().map(&mut view).collect();
    PartsView {
        complete: !leaves.cut && !found.iter().any(|part| part.cut),
        found,
    }
}

/// Looks through a message, part by part, within its budgets.
pub fn content(raw: &[u8]) -> Content {
    let mut content = Content::default();
    if let Ok(head) = Head::parse(raw) {
        content.headers = head
            .fields()
            .iter()
            .map(|f| (f.name.to_owned(), f.decoded()))
            .collect();
    }
    let leaves = leaves(raw);
    content.cut = leaves.cut;
    for leaf in &leaves.found {
        add(leaf, &mut content);
    }
    content
}

/// A part without parts.
fn add(leaf: &Leaf<'_>, content: &mut Content) {
    let body = leaf.head.body();
    let encoding = leaf.encoding();
    let (main, sub) = leaf.names();
    let attached = leaf.attached();
    if main.eq_ignore_ascii_case("text") && attached.is_none() {
        let place = match sub.to_ascii_lowercase().as_str() {
            "plain" => Some(&mut content.text),
            "html" => Some(&mut content.html),
            _ => None,
        };
        if let Some(place) = place {
            let shown = &body[..body.len().min(MAX_SHOWN)];
            content.cut |= shown.len() < body.len();
            let text = text_of(shown, &encoding, leaf.charset());
            append(place, &text, &mut content.cut);
            return;
        }
    }
    content.attachments.push(Attachment {
        name: attached.unwrap_or_default().replace(char::is_control, " "),
        content_type: format!("{main}/{sub}").to_ascii_lowercase(),
        size: decoded_size(body, &encoding),
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
    let octets = decode(body, encoding);
    in_letters(octets.as_deref().unwrap_or(body), charset)
}

/// What a body says; none where it is not written as it claims.
fn decode<'a>(body: &'a [u8], encoding: &str) -> Option<Cow<'a, [u8]>> {
    match encoding {
        "base64" => base64_decode(body).map(Cow::Owned),
        "quoted-printable" => quoted_printable_decode(body).map(Cow::Owned),
        // RFC 2045 section 6.4: any other name stands for a way of writing that is not known.
        "" | "7bit" | "8bit" | "binary" => Some(Cow::Borrowed(body)),
        _ => None,
    }
}

fn in_letters(octets: &[u8], charset: Option<&str>) -> String {
    match charset.and_then(|charset| charset_decoder(charset.as_bytes())) {
        Some(decode) => decode(octets),
        None => String::from_utf8_lossy(octets).into_owned(),
    }
}

fn decoded_size(body: &[u8], encoding: &str) -> usize {
    if encoding == "base64" {
        let letters = body
            .iter()
            .filter(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
            .count();
        return letters * 3 / 4;
    }
    if encoding == "quoted-printable" {
        return quoted_printable_decode(body).map_or(body.len(), |decoded| decoded.len());
    }
    body.len()
}

#[cfg(test)]
mod tests {
    use super::super::parts::MAX_PARTS;
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
    fn parts_come_with_their_type_name_and_text() {
        let raw = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html; charset=iso-8859-1\r\n\r\n\
            K\xe4se\r\n--b\r\nContent-Type: application/x-msdownload\r\nContent-Disposition: attachment; filename=a.exe\r\n\
            Content-Transfer-Encoding: base64\r\n\r\nTVo=\r\n--b--\r\n";
        let PartsView { found, complete } = parts(raw, (3, 100));
        assert_eq!((found.len(), complete), (2, false));
        assert_eq!(
            (found[0].content_type.as_str(), found[0].charset.as_deref()),
            ("text/html", Some("iso-8859-1"))
        );
        assert_eq!((found[0].text.as_deref(), found[0].cut), (Some("Käs"), true));
        assert_eq!(
            (
                found[1].name.as_deref(),
                found[1].size,
                &found[1].text,
                found[1].cut
            ),
            (Some("a.exe"), 2, &None, false)
        );
        assert!(parts(raw, (4, 4)).complete);
    }

    #[test]
    fn what_is_cut_of_a_part_or_of_a_message_is_said() {
        let two =
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n";
        let texts = |raw: &str, each, all| {
            let seen = parts(raw.as_bytes(), (each, all));
            let texts = seen.found.into_iter().map(|part| (part.text, part.cut));
            (texts.collect::<Vec<_>>(), seen.complete)
        };
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            texts(two, 3, 6),
            (vec![(text("one"), false), (text("two"), false)], true)
        );
        assert_eq!(
            texts(two, 2, 6),
            (vec![(text("on"), true), (text("tw"), true)], false)
        );
        assert_eq!(
            texts(two, 3, 4),
            (vec![(text("one"), false), (text("t"), true)], false)
        );
        // What is encoded is decoded up to where it is cut, and what cannot be decoded is not taken for what it says.
        let written =
            |encoding: &str, body: &str| format!("Content-Transfer-Encoding: {encoding}\r\n\r\n{body}");
        for (encoding, body, seen, cut) in [
            ("base64", "b25lIGFuZCB0d28=", "one and", true),
            ("quoted-printable", "one=20and=20two", "one and", true),
            ("quoted-printable", "one=ZZ", "one=ZZ", true),
            ("base64", "b25l!", "b25l!", true),
            ("x-uuencode", "#;VYE", "#;VYE", true),
            ("base64", "b25l", "one", false),
            ("8BIT", "one", "one", false),
        ] {
            let (mut found, complete) = texts(&written(encoding, body), 10, 10);
            let (shown, is_cut) = found.remove(0);
            assert!(shown.is_some_and(|shown| shown.starts_with(seen)), "{body}");
            assert_eq!((is_cut, complete), (cut, !cut), "{body}");
        }
    }

    #[test]
    fn a_multipart_that_cannot_be_taken_apart_is_cut() {
        let boundary = "b".repeat(201);
        let long =
            format!("Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n--{boundary}\r\n\r\none\r\n");
        let none = "Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\none\r\n";
        let wide = format!("Content-Type: text/html; x={}\r\n\r\none\r\n", "x".repeat(5_000));
        for raw in [&long, none, &wide] {
            assert!(!parts(raw.as_bytes(), (100, 100)).complete, "{raw:.80}");
        }
        let deep =
            (0..102).map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}x\r\n\r\n--b{n}x\r\n"));
        assert!(!parts(deep.collect::<String>().as_bytes(), (100, 100)).complete);
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
