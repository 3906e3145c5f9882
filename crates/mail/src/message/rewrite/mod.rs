//! A message made each recipient's own: the unsubscribe link, links that tell of clicks, a picture that tells of opening.
//! Every octet outside what is exchanged stays as it was sent, whatever the transfer encoding.

mod coding;
mod footer;
mod html;

pub use footer::{Footer, FooterError, FooterFault, LONGEST_FOOTER, footed};

use memchr::{memchr, memmem};

use self::coding::{Coding, LONGEST_LINE, Quoted, base64_into, base64_read, quote_into};
use super::head::{Field, Head};
use super::parts::{Leaf, leaves};

/// Octets of a part that is looked at; a bigger text is sent as it is.
const MAX_TEXT: usize = 4 * 1024 * 1024;
/// Octets of all addresses that links lead past us to; the links beyond them stay as they are.
const MAX_TARGETS: usize = 128 * 1024;
/// Places in one message that are exchanged.
const MAX_EDITS: usize = 2_000;

/// What is wanted of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// A link to unsubscribe goes to the end of the text and of the HTML that have none.
    pub unsubscribe: Option<Appending>,
    /// Links of the HTML lead past us.
    pub clicks: bool,
    /// A picture at the end of the HTML tells that it was opened.
    pub opens: bool,
    /// The name of the link stays as it is written.
    pub keeps_names: bool,
}

/// The words of an appended link. ASCII, so that they can be written in any part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appending {
    /// Before the address in a text, e.g. `To stop receiving these messages:`.
    pub text: String,
    /// The link's words in HTML.
    pub link: String,
}

/// What is one recipient's own. Addresses are ASCII without spaces, quotes and angle brackets.
pub struct Own<'a> {
    pub unsubscribe: &'a str,
    /// The address that counts a click and leads to the target of this number.
    pub click: &'a dyn Fn(usize) -> String,
    pub open: &'a str,
}

/// Where a message is exchanged; the same for all of its recipients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    parts: Vec<Part>,
    targets: Vec<String>,
}

/// A text part with its edits, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    coding: Coding,
    /// Where its content stands in the message.
    start: usize,
    end: usize,
    /// What a base64 part says; edits point into it. Those of the others point into the message.
    decoded: Vec<u8>,
    edits: Vec<Edit>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Edit {
    start: usize,
    end: usize,
    /// Where the line can be broken when it becomes too long; the same as `start` outside attributes.
    breaks: usize,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    /// The address to unsubscribe, in place of its name.
    Unsubscribe,
    /// The address of a click on the target of this number.
    Click(usize),
    /// What goes to the end of a text: a line with these words and the address.
    Line { words: String, breaks_before: bool },
    /// What goes to the end of an HTML text.
    Block { link: Option<String>, opens: bool },
    /// The same for every recipient, in the part's charset.
    Octets(Vec<u8>),
}

/// Whether a message asks for the link by its name.
pub fn names_link(raw: &[u8]) -> bool {
    !plan(raw, &Wanted::default()).is_empty()
}

/// Whether a header field asks for the link by its name.
pub fn field_names_link(field: &Field<'_>) -> bool {
    !names(field.value).is_empty()
}

/// Looks for the places. A message that is somebody else's signature's is only exchanged where it asks for it by name.
pub fn plan(raw: &[u8], wanted: &Wanted) -> Plan {
    let mut plan = Plan::default();
    if *wanted == Wanted::default() && !may_name(raw) {
        return plan;
    }
    let leaves = leaves(raw);
    let mut signed = false;
    if let Ok(head) = Head::parse(raw) {
        signed = head.has("dkim-signature");
        let fields = head.all("list-unsubscribe").filter(|_| !wanted.keeps_names);
        plan.parts.extend(fields.filter_map(|field| listed(raw, field)));
    }
    let only_named = Wanted {
        keeps_names: wanted.keeps_names,
        ..Wanted::default()
    };
    let wanted = if signed { &only_named } else { wanted };
    let (mut text_done, mut html_done) = (false, false);
    for leaf in leaves.found.iter().filter(|leaf| !leaf.sealed) {
        let Some(kind) = kind(leaf) else { continue };
        let done = match kind {
            Kind::Text => &mut text_done,
            Kind::Html => &mut html_done,
        };
        let first = !std::mem::replace(done, true);
        if let Some(part) = part(raw, leaf, (kind, first), wanted, &mut plan.targets) {
            plan.parts.push(part);
        }
        if plan.edits() > MAX_EDITS {
            return Plan::default();
        }
    }
    plan
}

/// The field of the header section in which a sender names the link, with what is exchanged in it.
// RFC 2369 section 3.2
fn listed(raw: &[u8], field: &Field<'_>) -> Option<Part> {
    // Whatever comes in the place of the names, the line stays one that SMTP carries.
    let writing = &raw[field.start..field.end];
    let mut edits = names(writing);
    if edits.is_empty() || writing.len() > LONGEST_LINE / 2 || edits.len() > 2 {
        return None;
    }
    for edit in &mut edits {
        edit.start += field.start;
        edit.end += field.start;
        edit.breaks += field.start;
    }
    Some(Part {
        coding: Coding::Plain,
        start: field.start,
        end: field.end,
        decoded: Vec::new(),
        edits,
    })
}

/// A quick look, so that mail that wants nothing is not taken apart: how the braces of a name begin in each encoding, and
/// the encoding that hides them.
fn may_name(raw: &[u8]) -> bool {
    const SIGNS: [&[u8]; 6] = [b"{{", b"%7B%7B", b"=7B=7B", b"base64", b"BASE64", b"Base64"];
    SIGNS.iter().any(|sign| memmem::find(raw, sign).is_some())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Html,
}

/// What kind of text a part shows to its reader; none for anything else.
fn shown(leaf: &Leaf<'_>) -> Option<Kind> {
    let (main, sub) = leaf.names();
    if !main.eq_ignore_ascii_case("text") || leaf.attached().is_some() {
        return None;
    }
    match sub.to_ascii_lowercase().as_str() {
        "plain" => Some(Kind::Text),
        "html" => Some(Kind::Html),
        _ => None,
    }
}

/// The same where its octets can be read as ASCII, and are not too many.
fn kind(leaf: &Leaf<'_>) -> Option<Kind> {
    if leaf.head.body().len() > MAX_TEXT {
        return None;
    }
    // In these what looks like a tag may be half of a letter.
    let charset = leaf.charset().unwrap_or_default().to_ascii_lowercase();
    if [
        "utf-16",
        "utf-32",
        "utf-7",
        "iso-2022",
        "hz-",
        "ucs-",
        "iso-10646",
    ]
    .iter()
    .any(|other| charset.starts_with(other))
    {
        return None;
    }
    shown(leaf)
}

/// A part with what is exchanged in it; none where that is nothing.
fn part(
    raw: &[u8],
    leaf: &Leaf<'_>,
    (kind, first): (Kind, bool),
    wanted: &Wanted,
    targets: &mut Vec<String>,
) -> Option<Part> {
    let reading = Reading::of(raw, leaf)?;
    let edits = edits(reading.text(), (kind, first), wanted, targets);
    (!edits.is_empty()).then(|| reading.part(edits))
}

/// The content of a part, and what it says.
struct Reading<'a> {
    coding: Coding,
    /// Where the content stands in the message.
    start: usize,
    writing: &'a [u8],
    quoted: Option<Quoted>,
    decoded: Vec<u8>,
}

impl<'a> Reading<'a> {
    /// None where it is written in a way that is not understood.
    fn of(raw: &'a [u8], leaf: &Leaf<'_>) -> Option<Self> {
        let coding = Coding::named(&leaf.encoding())?;
        let start = leaf.content_at();
        let writing = &raw[start..start + leaf.head.body().len()];
        let (mut quoted, mut decoded) = (None, Vec::new());
        match coding {
            Coding::Plain => {}
            Coding::QuotedPrintable => quoted = Some(Quoted::read(writing)?),
            Coding::Base64 => decoded = base64_read(writing)?,
        }
        Some(Self {
            coding,
            start,
            writing,
            quoted,
            decoded,
        })
    }

    fn text(&self) -> &[u8] {
        match (self.coding, &self.quoted) {
            (Coding::Base64, _) => &self.decoded,
            (_, Some(quoted)) => &quoted.octets,
            (_, None) => self.writing,
        }
    }

    /// The part with these edits of its text.
    fn part(self, mut edits: Vec<Edit>) -> Part {
        for edit in &mut edits {
            match &self.quoted {
                Some(quoted) => {
                    (edit.start, edit.end) = quoted.range(edit.start, edit.end, self.writing);
                    edit.start += self.start;
                    edit.end += self.start;
                    edit.breaks = edit.start;
                }
                None if self.coding == Coding::Plain => {
                    edit.start += self.start;
                    edit.end += self.start;
                    edit.breaks += self.start;
                }
                None => {}
            }
        }
        // What only ends the encoded text stays where it is.
        let tail = match self.coding {
            Coding::Base64 => self.writing.len() - self.writing.trim_ascii_end().len(),
            Coding::Plain | Coding::QuotedPrintable => 0,
        };
        Part {
            coding: self.coding,
            start: self.start,
            end: self.start + self.writing.len() - tail,
            decoded: self.decoded,
            edits,
        }
    }
}

/// The places in a text, in order.
fn edits(text: &[u8], (kind, first): (Kind, bool), wanted: &Wanted, targets: &mut Vec<String>) -> Vec<Edit> {
    let mut edits = if wanted.keeps_names {
        Vec::new()
    } else {
        names(text)
    };
    if edits.len() > MAX_EDITS {
        return edits;
    }
    let named = !edits.is_empty();
    let appending = wanted.unsubscribe.as_ref().filter(|_| first && !named);
    match kind {
        Kind::Text => {
            if let Some(appending) = appending {
                let what = What::Line {
                    words: appending.text.clone(),
                    breaks_before: !text.is_empty() && !text.ends_with(b"\n"),
                };
                edits.push(Edit::at(text.len(), text.len(), what));
            }
        }
        Kind::Html if wanted.clicks || wanted.opens || appending.is_some() => {
            let found = html::scan(text);
            if wanted.clicks {
                let free = |link: &html::Link| {
                    !edits
                        .iter()
                        .any(|edit| edit.start < link.end && link.start < edit.end)
                };
                let links: Vec<Edit> = found
                    .links
                    .into_iter()
                    .filter(free)
                    .filter_map(|link| click(link, targets))
                    .collect();
                edits.extend(links);
            }
            let block = What::Block {
                link: appending.map(|appending| appending.link.clone()),
                opens: wanted.opens && first,
            };
            if block
                != (What::Block {
                    link: None,
                    opens: false,
                })
            {
                let end = found.end.unwrap_or(text.len());
                edits.push(Edit::at(end, end, block));
            }
            edits.sort_by_key(|edit| edit.start);
        }
        Kind::Html => {}
    }
    edits
}

fn click(link: html::Link, targets: &mut Vec<String>) -> Option<Edit> {
    let known = targets.iter().position(|known| *known == link.target);
    let number = match known {
        Some(number) => number,
        None if targets.iter().map(String::len).sum::<usize>() + link.target.len() > MAX_TARGETS => {
            return None;
        }
        None => {
            targets.push(link.target);
            targets.len() - 1
        }
    };
    Some(Edit {
        start: link.start,
        end: link.end,
        breaks: link.attribute,
        what: What::Click(number),
    })
}

/// Where a text names the link: `{{unsubscribe_url}}`, with spaces inside, or as editors write it into an address.
fn names(text: &[u8]) -> Vec<Edit> {
    const NAME: &[u8] = b"unsubscribe_url";
    const BRACES: [(&[u8], &[u8]); 2] = [(b"{{", b"}}"), (b"%7B%7B", b"%7D%7D")];
    let mut edits = Vec::new();
    for at in memmem::find_iter(text, NAME) {
        let (before, behind) = (&text[..at], &text[at + NAME.len()..]);
        let (spaces, more) = (blanks(before.iter().rev()), blanks(behind.iter()));
        let found = BRACES.iter().find(|(open, close)| {
            let (before, behind) = (&before[..before.len() - spaces], &behind[more..]);
            ends(before, open) && starts(behind, close)
        });
        if let Some((open, close)) = found {
            let (start, end) = (at - spaces - open.len(), at + NAME.len() + more + close.len());
            edits.push(Edit::at(start, end, What::Unsubscribe));
        }
    }
    edits
}

fn blanks<'a>(octets: impl Iterator<Item = &'a u8>) -> usize {
    octets.take(3).take_while(|&&b| b == b' ').count()
}

fn ends(text: &[u8], mark: &[u8]) -> bool {
    text.len() >= mark.len() && text[text.len() - mark.len()..].eq_ignore_ascii_case(mark)
}

fn starts(text: &[u8], mark: &[u8]) -> bool {
    text.len() >= mark.len() && text[..mark.len()].eq_ignore_ascii_case(mark)
}

impl Edit {
    fn at(start: usize, end: usize, what: What) -> Self {
        Self {
            start,
            end,
            breaks: start,
            what,
        }
    }

    fn write(&self, own: &Own<'_>) -> Vec<u8> {
        match &self.what {
            What::Unsubscribe => own.unsubscribe.as_bytes().to_vec(),
            What::Click(number) => (own.click)(*number).into_bytes(),
            What::Line { words, breaks_before } => {
                let before = if *breaks_before { "\r\n" } else { "" };
                format!("{before}\r\n{words}\r\n{}\r\n", own.unsubscribe).into_bytes()
            }
            What::Block { link, opens } => {
                let mut block = String::new();
                if let Some(words) = link {
                    block = format!(
                        "\r\n<p style=\"font-size:12px;text-align:center\"><a href=\"{}\">{words}</a></p>\r\n",
                        own.unsubscribe
                    );
                }
                if *opens {
                    block.push_str("<img src=\"");
                    block.push_str(own.open);
                    block.push_str("\" alt=\"\" width=\"1\" height=\"1\" border=\"0\">");
                }
                block.into_bytes()
            }
            What::Octets(octets) => octets.clone(),
        }
    }
}

impl Plan {
    /// Whether the message goes out as it is.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Where its links lead, by their numbers.
    pub fn targets(&self) -> &[String] {
        &self.targets
    }

    fn edits(&self) -> usize {
        self.parts.iter().map(|part| part.edits.len()).sum()
    }

    /// Octets that it takes in memory, about.
    pub fn weight(&self) -> usize {
        let parts = self
            .parts
            .iter()
            .map(|part| part.decoded.capacity() + part.edits.capacity() * size_of::<Edit>());
        let targets = self
            .targets
            .iter()
            .map(|target| target.capacity() + size_of::<String>());
        parts.chain(targets).sum()
    }

    /// The message as this recipient gets it, behind `front`. `raw` is the message that the plan was made of.
    pub fn apply(&self, front: &[u8], raw: &[u8], own: &Own<'_>) -> Vec<u8> {
        let mut out = Vec::with_capacity(front.len() + raw.len() + 1_024 + self.edits() * 128);
        out.extend_from_slice(front);
        let mut copied = 0;
        for part in &self.parts {
            out.extend_from_slice(&raw[copied..part.start]);
            match part.coding {
                Coding::Plain => plain(&mut out, raw, part, own),
                Coding::QuotedPrintable => quoted(&mut out, raw, part, own),
                Coding::Base64 => {
                    let mut text = Vec::with_capacity(part.decoded.len() + part.edits.len() * 128);
                    let mut read = 0;
                    for edit in &part.edits {
                        text.extend_from_slice(&part.decoded[read..edit.start]);
                        text.extend_from_slice(&edit.write(own));
                        read = edit.end;
                    }
                    text.extend_from_slice(&part.decoded[read..]);
                    base64_into(&mut out, &text);
                }
            }
            copied = part.end;
        }
        out.extend_from_slice(&raw[copied..]);
        out
    }
}

/// Lines that would become too long for SMTP are broken before the attribute, where HTML takes white space.
fn plain(out: &mut Vec<u8>, raw: &[u8], part: &Part, own: &Own<'_>) {
    let mut read = part.start;
    for edit in &part.edits {
        let text = edit.write(own);
        let rest = &raw[edit.end..part.end];
        // The line that goes on behind what stands before it.
        let line =
            memchr(b'\n', &text).unwrap_or_else(|| text.len() + memchr(b'\n', rest).unwrap_or(rest.len()));
        out.extend_from_slice(&raw[read..edit.breaks]);
        let column = out.iter().rev().take_while(|&&b| b != b'\n').count();
        let between = edit.start - edit.breaks;
        if column > 0 && column + between + line > LONGEST_LINE {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(&raw[edit.breaks..edit.start]);
        out.extend_from_slice(&text);
        read = edit.end;
    }
    out.extend_from_slice(&raw[read..part.end]);
}

fn quoted(out: &mut Vec<u8>, raw: &[u8], part: &Part, own: &Own<'_>) {
    let mut read = part.start;
    for edit in &part.edits {
        out.extend_from_slice(&raw[read..edit.start]);
        quote_into(out, &edit.write(own), &raw[edit.end..part.end]);
        read = edit.end;
    }
    out.extend_from_slice(&raw[read..part.end]);
}

#[cfg(test)]
mod tests;
