//! The parts of a message, each with its place: found without recursion, within budgets.

use mail_parser::parsers::MessageStream;
use mail_parser::{ContentType, HeaderValue};
use memchr::memmem;

use super::head::{Field, Head};

/// Multipart levels that are entered.
const MAX_DEPTH: usize = 100;
/// Parts that are looked at.
pub(super) const MAX_PARTS: usize = 1_000;
/// Octets that are searched for boundaries, as a multiple of the message: each level searches its content again.
const MAX_SEARCH: usize = 12;
/// Octets of a field with parameters that is read: what reads them takes its time for many.
const MAX_PARAMETERS: usize = 4 * 1024;

/// A part without parts.
pub(crate) struct Leaf<'a> {
    pub head: Head<'a>,
    /// Offset of its first octet in the message.
    pub start: usize,
    /// The type as it is written; none where there is none that can be read.
    pub kind: Option<ContentType<'static>>,
    /// Within a multipart whose signature or encryption covers it: no octet of it may change.
    pub sealed: bool,
}

/// The leaves from top to bottom, and whether some of the message was too much to look at, or too deep.
pub(crate) struct Leaves<'a> {
    pub found: Vec<Leaf<'a>>,
    pub cut: bool,
}

struct Waiting {
    start: usize,
    end: usize,
    depth: usize,
    sealed: bool,
}

/// Walks through a message.
pub(crate) fn leaves(raw: &[u8]) -> Leaves<'_> {
    let mut leaves = Leaves {
        found: Vec::new(),
        cut: false,
    };
    let mut search = raw.len().saturating_mul(MAX_SEARCH);
    let mut parts = 0;
    let mut waiting = vec![Waiting {
        start: 0,
        end: raw.len(),
        depth: 0,
        sealed: false,
    }];
    while let Some(part) = waiting.pop() {
        parts += 1;
        let Ok(head) = Head::parse(&raw[part.start..part.end]) else {
            leaves.cut = true;
            continue;
        };
        let kind = head.first("content-type").and_then(structured);
        let Some(boundary) = kind.as_ref().and_then(boundary) else {
            // Somebody else may find parts in it, or read a type that is too long for us.
            let named = head.first("content-type");
            leaves.cut |= kind.as_ref().is_some_and(is_multipart)
                || named.is_some_and(|field| field.value.len() > MAX_PARAMETERS);
            leaves.found.push(Leaf {
                head,
                start: part.start,
                kind,
                sealed: part.sealed,
            });
            continue;
        };
        let body = head.body();
        if part.depth == MAX_DEPTH || search < body.len() {
            leaves.cut = true;
            continue;
        }
        search -= body.len();
        let body_at = part.end - body.len();
        let sealed = part.sealed || kind.as_ref().is_some_and(seals);
        let room = MAX_PARTS.saturating_sub(parts + waiting.len());
        let (children, all) = split(body, &boundary, room);
        leaves.cut |= !all;
        waiting.extend(children.into_iter().rev().map(|(start, end)| Waiting {
            start: body_at + start,
            end: body_at + end,
            depth: part.depth + 1,
            sealed,
        }));
    }
    leaves
}

impl Leaf<'_> {
    /// Type and subtype as they are written.
    // RFC 2045 section 5.2: what says nothing is plain text.
    pub fn names(&self) -> (&str, &str) {
        self.kind.as_ref().map_or(("text", "plain"), |kind| {
            (kind.ctype(), kind.subtype().unwrap_or_default())
        })
    }

    pub fn charset(&self) -> Option<&str> {
        self.kind.as_ref().and_then(|kind| kind.attribute("charset"))
    }

    /// The transfer encoding in lower case; empty where none is named.
    pub fn encoding(&self) -> String {
        self.head
            .first("content-transfer-encoding")
            .map(Field::decoded)
            .unwrap_or_default()
            .to_ascii_lowercase()
    }

    /// The name of a file; `Some` with an empty name where it is attached without one.
    pub fn attached(&self) -> Option<String> {
        let disposition = self.head.first("content-disposition").and_then(structured);
        let name = [
            disposition.as_ref().and_then(|d| d.attribute("filename")),
            self.kind.as_ref().and_then(|kind| kind.attribute("name")),
        ]
        .into_iter()
        .flatten()
        .next();
        match name {
            Some(name) => Some(name.to_owned()),
            None => disposition
                .is_some_and(|disposition| disposition.is_attachment())
                .then(String::new),
        }
    }

    /// Offset of its content in the message.
    pub fn content_at(&self) -> usize {
        self.start + self.head.body_offset()
    }
}

fn is_multipart(kind: &ContentType<'static>) -> bool {
    kind.ctype().eq_ignore_ascii_case("multipart")
}

/// The boundary of a multipart; none for anything else.
fn boundary(kind: &ContentType<'static>) -> Option<String> {
    if !is_multipart(kind) {
        return None;
    }
    kind.attribute("boundary")
        .filter(|boundary| !boundary.is_empty() && boundary.len() <= 200)
        .map(str::to_owned)
}

// RFC 1847 section 2
fn seals(kind: &ContentType<'static>) -> bool {
    let subtype = kind.subtype().unwrap_or_default();
    subtype.eq_ignore_ascii_case("signed") || subtype.eq_ignore_ascii_case("encrypted")
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

/// Where the parts between the boundary's lines begin and end, and whether there was room for all of them.
// RFC 2046 section 5.1.1
fn split(body: &[u8], boundary: &str, room: usize) -> (Vec<(usize, usize)>, bool) {
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
            let end = found.max(begun);
            parts.push((begun, begun + without_line_end(&body[begun..end]).len()));
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
        parts.push((begun, body.len()));
    }
    (parts, true)
}

/// The line end before a boundary belongs to the boundary.
fn without_line_end(part: &[u8]) -> &[u8] {
    let part = part.strip_suffix(b"\n").unwrap_or(part);
    part.strip_suffix(b"\r").unwrap_or(part)
}
