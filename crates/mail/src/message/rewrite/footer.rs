//! A footer under a message, the same for all of its recipients, in the charset and the encoding of each part.

use std::borrow::Cow;
use std::fmt::Write as _;

use encoding_rs::Encoding;
use memchr::memmem;

use super::coding::{Coding, LONGEST_LINE, base64_into, quoted_into};
use super::{Edit, Kind, Own, Part, Plan, Reading, What, html, kind, shown};
use crate::message::head::Head;
use crate::message::parts::{Leaf, leaves};

/// Octets of a footer's text, and of its HTML.
pub const LONGEST_FOOTER: usize = 4 * 1024;

/// What goes under a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footer {
    text: String,
    html: String,
}

/// What is wrong with a footer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FooterError {
    #[error("a footer needs a text")]
    Empty,
    #[error("a footer has at most {LONGEST_FOOTER} octets of text, and of HTML")]
    TooLong,
    #[error("a footer cannot hold control characters")]
    Control,
}

/// Why a message stays without its footer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FooterFault {
    #[error("the message is signed or encrypted by its sender")]
    Sealed,
    #[error("the message has no text that a footer can be put under")]
    NoText,
    /// Who reads one of its texts would see it, and who reads the other would not.
    #[error("one of the texts of the message cannot hold a footer, so none has it")]
    NotEach,
}

impl Footer {
    /// `html` is put into HTML as it is; without it that is the text, escaped.
    pub fn new(text: &str, html: Option<&str>) -> Result<Self, FooterError> {
        let text = lines(text)?;
        if text.trim().is_empty() {
            return Err(FooterError::Empty);
        }
        let html = match html.map(lines).transpose()? {
            Some(html) if !html.trim().is_empty() => html,
            _ => escaped(&text),
        };
        Ok(Self { text, html })
    }

    pub fn text(&self) -> &str {
        &self.text
    }
}

/// With the line ends of mail, and without those at its end.
fn lines(text: &str) -> Result<String, FooterError> {
    if text.len() > LONGEST_FOOTER {
        return Err(FooterError::TooLong);
    }
    let text = text.trim_end().replace("\r\n", "\n");
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        return Err(FooterError::Control);
    }
    Ok(text.replace('\n', "\r\n"))
}

fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + 64);
    html.push_str("<div>");
    for (nth, line) in text.split("\r\n").enumerate() {
        if nth > 0 {
            html.push_str("<br>\r\n");
        }
        for c in line.chars() {
            match c {
                '&' => html.push_str("&amp;"),
                '<' => html.push_str("&lt;"),
                '>' => html.push_str("&gt;"),
                '"' => html.push_str("&quot;"),
                other => html.push(other),
            }
        }
    }
    html.push_str("</div>");
    html
}

/// The message with the footer under its first text and its first HTML, under both or under none; nothing else in it changes.
pub fn footed(raw: &[u8], footer: &Footer) -> Result<Vec<u8>, FooterFault> {
    let leaves = leaves(raw).found;
    // RFC 6376 section 3.7: a signature covers the whole body.
    let signed = Head::parse(raw).is_ok_and(|head| head.has("dkim-signature"));
    if signed || leaves.iter().any(|leaf| leaf.sealed || is_smime(leaf)) {
        return Err(FooterFault::Sealed);
    }
    let mut plan = Plan::default();
    let (mut text_done, mut html_done) = (false, false);
    let mut left_out = false;
    for leaf in &leaves {
        let Some(shown) = shown(leaf) else { continue };
        let (done, words) = match shown {
            Kind::Text => (&mut text_done, &footer.text),
            Kind::Html => (&mut html_done, &footer.html),
        };
        if std::mem::replace(done, true) {
            continue;
        }
        let part = match kind(leaf) {
            Some(kind) => under(raw, leaf, kind, words)?,
            None => None,
        };
        left_out |= part.is_none();
        plan.parts.extend(part);
    }
    if plan.is_empty() {
        return Err(FooterFault::NoText);
    }
    if left_out {
        return Err(FooterFault::NotEach);
    }
    let nobody = Own {
        unsubscribe: "",
        click: &|_| String::new(),
        open: "",
    };
    Ok(plan.apply(b"", raw, &nobody))
}

/// Whether the whole message is in an envelope of S/MIME; one that is attached is only a file.
// RFC 8551 section 3.2
fn is_smime(leaf: &Leaf<'_>) -> bool {
    let (main, sub) = leaf.names();
    let sub = sub.to_ascii_lowercase();
    leaf.start == 0
        && main.eq_ignore_ascii_case("application")
        && sub.strip_prefix("x-").unwrap_or(&sub).starts_with("pkcs7")
}

/// The part with the footer; none where it cannot be written there.
fn under(raw: &[u8], leaf: &Leaf<'_>, kind: Kind, words: &str) -> Result<Option<Part>, FooterFault> {
    let Some(reading) = Reading::of(raw, leaf) else {
        return Ok(None);
    };
    let text = reading.text();
    if is_armoured(text) {
        return Err(FooterFault::Sealed);
    }
    // RFC 2045 section 5.2
    let charset = leaf.charset().unwrap_or("us-ascii").to_ascii_lowercase();
    let (at, block) = match kind {
        Kind::Text => {
            let ends = text.is_empty() || text.ends_with(b"\n");
            let before = if ends { "\r\n" } else { "\r\n\r\n" };
            (text.len(), format!("{before}{words}\r\n"))
        }
        Kind::Html => {
            let at = html::scan(text).end.unwrap_or(text.len());
            let words = if is_utf8(&charset) {
                Cow::Borrowed(words)
            } else {
                in_ascii(words)
            };
            (at, format!("\r\n{words}\r\n"))
        }
    };
    let octets = written(&block, &charset);
    if let Some(octets) = &octets
        && carries(&reading, leaf, octets)
    {
        let edit = Edit::at(at, at, What::Octets(octets.clone()));
        return Ok(Some(reading.part(vec![edit])));
    }
    let (text, relabelled) = if let Some(octets) = octets {
        ([&text[..at], octets.as_slice(), &text[at..]].concat(), false)
    } else {
        let Some(read) = read(text, &charset) else {
            return Ok(None);
        };
        ((read + &block).into_bytes(), true)
    };
    Ok(Some(anew(raw, leaf, (reading.coding, &text), relabelled)))
}

/// Whether a text holds what `OpenPGP` signed or encrypted within it.
// RFC 9580 section 6.2
fn is_armoured(text: &[u8]) -> bool {
    memmem::find_iter(text, b"-----BEGIN PGP ").any(|at| at == 0 || text[at - 1] == b'\n')
}

fn is_utf8(charset: &str) -> bool {
    matches!(charset, "utf-8" | "utf8")
}

fn is_ascii(charset: &str) -> bool {
    matches!(charset, "us-ascii" | "ascii")
}

/// HTML that reads the same in any charset.
fn in_ascii(html: &str) -> Cow<'_, str> {
    if html.is_ascii() {
        return html.into();
    }
    let mut out = String::with_capacity(html.len() * 2);
    for c in html.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            let _ = write!(out, "&#{};", u32::from(c));
        }
    }
    out.into()
}

/// The words in a charset; none where it does not have all of their letters.
fn written(words: &str, charset: &str) -> Option<Vec<u8>> {
    if words.is_ascii() || is_utf8(charset) {
        return Some(words.as_bytes().to_vec());
    }
    if is_ascii(charset) {
        return None;
    }
    let (octets, _, lost) = Encoding::for_label(charset.as_bytes())?.encode(words);
    (!lost).then(|| octets.into_owned())
}

/// What a text says, where it is certain.
fn read(text: &[u8], charset: &str) -> Option<String> {
    // What calls itself ASCII and is more is UTF-8 before it is anything else.
    if is_ascii(charset)
        && let Ok(text) = std::str::from_utf8(text)
    {
        return Some(text.to_owned());
    }
    let encoding = Encoding::for_label(charset.as_bytes())?;
    let read = encoding.decode_without_bom_handling_and_without_replacement(text)?;
    Some(read.into_owned())
}

/// Whether a part takes these octets as it is encoded.
fn carries(reading: &Reading<'_>, leaf: &Leaf<'_>, octets: &[u8]) -> bool {
    if reading.coding != Coding::Plain {
        return true;
    }
    let eight_bit = matches!(leaf.encoding().as_str(), "8bit" | "binary") || !reading.writing.is_ascii();
    // RFC 2045 section 2.7
    (eight_bit || octets.is_ascii())
        && octets
            .split(|&b| b == b'\n')
            .all(|line| line.len() <= LONGEST_LINE)
}

/// The whole part written anew, where its charset or its encoding does not hold the footer.
fn anew(raw: &[u8], leaf: &Leaf<'_>, (coding, text): (Coding, &[u8]), relabelled: bool) -> Part {
    let part = &raw[leaf.start..];
    let mut out = Vec::with_capacity(leaf.head.body_offset() + text.len() + text.len() / 8 + 128);
    let mut said = [!relabelled, coding == Coding::Base64];
    for field in leaf.head.fields() {
        let new = if relabelled && field.is("content-type") {
            said[0] = true;
            Some(content_type(leaf))
        } else if coding != Coding::Base64 && field.is("content-transfer-encoding") {
            said[1] = true;
            Some(QUOTED.to_owned())
        } else {
            None
        };
        match new {
            Some(line) => out.extend_from_slice(line.as_bytes()),
            None => out.extend_from_slice(&part[field.start..field.end]),
        }
    }
    // RFC 2045 section 4: what has none of these fields is no MIME yet.
    if leaf.start == 0 && !leaf.head.has("mime-version") {
        out.extend_from_slice(b"MIME-Version: 1.0\r\n");
    }
    if !said[0] {
        out.extend_from_slice(content_type(leaf).as_bytes());
    }
    if !said[1] {
        out.extend_from_slice(QUOTED.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    if coding == Coding::Base64 {
        base64_into(&mut out, text);
    } else {
        quoted_into(&mut out, text);
    }
    let end = leaf.content_at() + leaf.head.body().len();
    Part {
        coding: Coding::Plain,
        start: leaf.start,
        end,
        decoded: Vec::new(),
        edits: vec![Edit::at(leaf.start, end, What::Octets(out))],
    }
}

const QUOTED: &str = "Content-Transfer-Encoding: quoted-printable\r\n";

/// The type of a part that became UTF-8, its other parameters as they are.
fn content_type(leaf: &Leaf<'_>) -> String {
    let (main, sub) = leaf.names();
    let mut line = format!("Content-Type: {main}/{sub}; charset=utf-8");
    let attributes = leaf.kind.as_ref().and_then(|kind| kind.attributes());
    for attribute in attributes.unwrap_or_default() {
        let (name, value) = (&attribute.name, &attribute.value);
        let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\');
        if !name.eq_ignore_ascii_case("charset") && value.len() <= 60 && value.chars().all(plain) {
            let _ = write!(line, ";\r\n {name}=\"{value}\"");
        }
    }
    line + "\r\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::content;

    fn put(raw: &[u8], footer: &Footer) -> Vec<u8> {
        footed(raw, footer).expect("it takes a footer")
    }

    fn footer(text: &str) -> Footer {
        Footer::new(text, None).expect("it is a footer")
    }

    fn part(head: &str, body: &str) -> String {
        format!("From: a@a.example\r\n{head}\r\n{body}")
    }

    #[test]
    fn nothing_but_the_footer_comes_into_a_part_that_can_hold_it() {
        let latin = |text: &str| text.chars().map(|c| c as u8).collect::<Vec<u8>>();
        let (plain, quoted, html) = (
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n",
            "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n",
            "Content-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n",
        );
        for (raw, words, before, put_in) in [
            (
                part("", "Hi\r\n").into_bytes(),
                "Us Ltd.",
                "Hi\r\n",
                b"\r\nUs Ltd.\r\n".to_vec(),
            ),
            (
                part("", "Hi").into_bytes(),
                "Us",
                "Hi",
                b"\r\n\r\nUs\r\n".to_vec(),
            ),
            (
                part(plain, "Grüße\r\n").into_bytes(),
                "Ärzte",
                "Grüße\r\n",
                "\r\nÄrzte\r\n".as_bytes().to_vec(),
            ),
            (
                part(quoted, "Gr=FC=DFe\r\n").into_bytes(),
                "Ärzte",
                "Gr=FC=DFe\r\n",
                b"=\r\n\r\n=C4rzte\r\n".to_vec(),
            ),
            (
                latin(&part(html, "<body>Grüße</body>\r\n")),
                "a < Ä & €\nb",
                "",
                b"\r\n<div>a &lt; &#196; &amp; &#8364;<br>\r\nb</div>\r\n".to_vec(),
            ),
        ] {
            let out = put(&raw, &footer(words));
            let at = memmem::find(&out, &put_in).expect("it is there");
            assert!(
                out[..at].ends_with(before.as_bytes()),
                "{}",
                String::from_utf8_lossy(&out)
            );
            let without = [&out[..at], &out[at + put_in.len()..]].concat();
            assert_eq!(String::from_utf8_lossy(&without), String::from_utf8_lossy(&raw));
        }
    }

    #[test]
    fn each_charset_and_encoding_reads_as_before_with_the_footer_under_it() {
        for (head, body, words, head_after) in [
            (
                "",
                "Hi =3D\r\n",
                "Ärzte €",
                "Content-Transfer-Encoding: quoted-printable",
            ),
            (
                "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii; format=flowed\r\nContent-Transfer-Encoding: 7bit\r\nX: y\r\n",
                "Hi \r\nthere\r\n",
                "Ärzte €",
                "format=\"flowed\"\r\nContent-Transfer-Encoding: quoted-printable\r\nX: y\r\n\r\nHi=20\r\n",
            ),
            (
                "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: base64\r\n",
                "R3L832UNCg==\r\n",
                "Ärzte",
                "charset=iso-8859-1\r\nContent-Transfer-Encoding: base64\r\n\r\nR3L832UNC",
            ),
            (
                "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: base64\r\n",
                "R3L832UNCg==",
                "Ärzte 漢",
                "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\nMIME-Version: 1.0\r\n\r\n",
            ),
            (
                "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n",
                "R3LDvMOfZQ0K\r\n\r\n",
                "漢",
                "charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nR3LDvMOfZQ0K",
            ),
            (
                "Content-Type: text/plain; charset=utf-8\r\n",
                "Hi\r\n",
                "漢",
                "charset=utf-8\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nHi\r\n",
            ),
        ] {
            let raw = part(head, body);
            let out = put(raw.as_bytes(), &footer(words));
            let shown = String::from_utf8_lossy(&out);
            assert!(out.is_ascii() && shown.contains(head_after), "{shown}");
            let before = content(raw.as_bytes()).text.expect("it has a text");
            assert_eq!(
                content(&out).text,
                Some(format!("{before}\r\n{words}\r\n")),
                "{shown}"
            );
        }
    }

    #[test]
    fn a_line_longer_than_mail_has_is_folded_by_quoting_it() {
        let long = format!("<p>{}</p>", "x".repeat(3_000));
        let out = put(
            part("Content-Type: text/html; charset=utf-8\r\n", "<p>Hi</p>").as_bytes(),
            &Footer::new("x", Some(&long)).expect("it is short enough"),
        );
        assert!(out.split(|&b| b == b'\n').all(|line| line.len() <= 77));
        assert_eq!(content(&out).html, Some(format!("<p>Hi</p>\r\n{long}\r\n")));
    }

    #[test]
    fn text_and_html_each_have_it_once_and_attachments_never() {
        let raw = "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n\
            --b\r\n\r\nHi\r\n--b\r\nContent-Type: text/html\r\n\r\n<html><body>Hi</body></html>\r\n--b--\r\n\
            --a\r\nContent-Type: text/plain; name=a.txt\r\n\r\nfile\r\n--a\r\n\r\nmore\r\n--a--\r\n";
        let out = put(
            raw.as_bytes(),
            &Footer::new("Us", Some("<b>Us</b>")).expect("it is a footer"),
        );
        let expected = raw
            .replace("\r\nHi\r\n--b", "\r\nHi\r\n\r\nUs\r\n\r\n--b")
            .replace("</body>", "\r\n<b>Us</b>\r\n</body>");
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn what_is_signed_or_encrypted_stays_without_it() {
        let sealed = [
            "DKIM-Signature: v=1\r\n\r\nHi",
            "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nHi\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n",
            "Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Type: multipart/encrypted; boundary=b\r\n\r\n--b\r\n\r\nHi\r\n--b--\r\n--c\r\n\r\nlist\r\n--c--\r\n",
            "Content-Type: application/pkcs7-mime; name=smime.p7m\r\nContent-Disposition: attachment\r\n\r\nx",
            "Content-Type: application/x-pkcs7-mime\r\n\r\nx",
            "\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nx",
            "\r\nHi\r\n-----BEGIN PGP SIGNED MESSAGE-----\r\n",
        ];
        for raw in sealed {
            assert_eq!(
                footed(raw.as_bytes(), &footer("x")),
                Err(FooterFault::Sealed),
                "{raw}"
            );
        }
        for raw in [
            "Content-Type: application/pdf\r\n\r\nx",
            "Content-Type: text/plain; charset=utf-16\r\n\r\nx",
            "Content-Transfer-Encoding: base64\r\n\r\n!!",
            "Content-Type: text/plain; charset=nobodys\r\n\r\nx",
        ] {
            assert_eq!(
                footed(raw.as_bytes(), &footer("ä")),
                Err(FooterFault::NoText),
                "{raw}"
            );
        }
    }

    #[test]
    fn one_text_that_cannot_hold_it_leaves_the_other_without_it_too() {
        let two = |text: &str, html: &str| {
            format!(
                "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n{text}\r\n--b\r\n{html}\r\n--b--\r\n"
            )
        };
        let text = "Content-Type: text/plain\r\n\r\nHi";
        let html = "Content-Type: text/html\r\n\r\n<p>Hi</p>";
        let big = format!("Content-Type: text/html\r\n\r\n{}", "x".repeat(5 << 20));
        for bad in [
            "Content-Type: text/html; charset=utf-16\r\n\r\nx",
            "Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n!!",
            "Content-Type: text/html\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\nx",
            &big,
        ] {
            for raw in [two(text, bad), two(&bad.replace("text/html", "text/plain"), html)] {
                let put = footed(raw.as_bytes(), &footer("Us"));
                assert_eq!(put, Err(FooterFault::NotEach), "{raw:.200}");
            }
        }
        assert!(footed(two(text, html).as_bytes(), &footer("Us")).is_ok());
    }

    #[test]
    fn a_footer_has_its_limits() {
        let made = |text: &str, html: Option<&str>| Footer::new(text, html).map(|_| ());
        let long = "x".repeat(LONGEST_FOOTER + 1);
        assert_eq!(made(" \n", None), Err(FooterError::Empty));
        assert_eq!(made(&long, None), Err(FooterError::TooLong));
        assert_eq!(made("x", Some(&long)), Err(FooterError::TooLong));
        assert_eq!(made("x\0", None), Err(FooterError::Control));
        assert_eq!(made("x\ry", None), Err(FooterError::Control));
        assert_eq!(
            Footer::new("a\nb\n", None).map(|one| one.text),
            Ok("a\r\nb".to_owned())
        );
    }
}
