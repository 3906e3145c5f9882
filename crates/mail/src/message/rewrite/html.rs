//! Where the links of an HTML text stand, found without changing or understanding more of it than that.

use std::borrow::Cow;

use memchr::{memchr, memmem};

/// Links that are looked at.
const MAX_LINKS: usize = 1_000;
/// Octets of an address that is followed.
const MAX_TARGET: usize = 4 * 1024;
/// Elements whose content is text, whatever it looks like.
// HTML Living Standard section 13.2.5: RCDATA, RAWTEXT and script data
const RAW: [&[u8]; 8] = [
    b"script",
    b"style",
    b"title",
    b"textarea",
    b"xmp",
    b"iframe",
    b"noembed",
    b"noframes",
];

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub links: Vec<Link>,
    /// Offset of the last `</body>`, else of the last `</html>`: what is added stands before it.
    pub end: Option<usize>,
}

/// The value of an `href` that leads to the web.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// Offset of the attribute's name.
    pub attribute: usize,
    /// The value without its quotes.
    pub start: usize,
    pub end: usize,
    /// Where it leads, references resolved.
    pub target: String,
}

/// Reads tag by tag.
pub(super) fn scan(html: &[u8]) -> Found {
    let mut found = Found::default();
    let (mut body, mut document) = (None, None);
    let mut at = 0;
    while let Some(tag) = memchr(b'<', &html[at..]).map(|lt| at + lt) {
        let rest = &html[tag + 1..];
        at = match rest.first() {
            Some(b'!') if rest.starts_with(b"!--") => after(html, tag + 4, b"-->"),
            Some(b'!' | b'?') => after(html, tag + 1, b">"),
            Some(b'/') => {
                let name = name(&rest[1..]);
                if name.eq_ignore_ascii_case(b"body") {
                    body = Some(tag);
                } else if name.eq_ignore_ascii_case(b"html") {
                    document = Some(tag);
                }
                after(html, tag + 1, b">")
            }
            Some(letter) if letter.is_ascii_alphabetic() => {
                let name = name(rest);
                let end = attributes(html, tag + 1 + name.len(), name, &mut found.links);
                match RAW.iter().find(|raw| name.eq_ignore_ascii_case(raw)) {
                    Some(raw) => closing(html, end, raw),
                    None => end,
                }
            }
            _ => tag + 1,
        };
    }
    found.end = body.or(document);
    found
}

fn after(html: &[u8], from: usize, mark: &[u8]) -> usize {
    let from = from.min(html.len());
    memmem::find(&html[from..], mark).map_or(html.len(), |at| from + at + mark.len())
}

/// The offset of the tag that closes `element`.
fn closing(html: &[u8], from: usize, element: &[u8]) -> usize {
    let mut at = from;
    while let Some(tag) = memmem::find(&html[at..], b"</").map(|found| at + found) {
        if name(&html[tag + 2..]).eq_ignore_ascii_case(element) {
            return tag;
        }
        at = tag + 2;
    }
    html.len()
}

fn name(text: &[u8]) -> &[u8] {
    let end = text
        .iter()
        .position(|b| b.is_ascii_whitespace() || matches!(b, b'/' | b'>'))
        .unwrap_or(text.len());
    &text[..end]
}

/// Reads a tag's attributes, keeps where an anchor leads, and says where the tag ends.
// HTML Living Standard sections 13.2.5.32 to 13.2.5.40
fn attributes(html: &[u8], from: usize, element: &[u8], links: &mut Vec<Link>) -> usize {
    let leads = element.eq_ignore_ascii_case(b"a") || element.eq_ignore_ascii_case(b"area");
    let mut at = from;
    let mut seen = false;
    loop {
        at = skip(html, at, |b| b.is_ascii_whitespace() || b == b'/');
        match html.get(at) {
            None => return html.len(),
            Some(b'>') => return at + 1,
            Some(_) => {}
        }
        let attribute = at;
        // A name may begin with an equals sign, nothing else may have one.
        at = skip(html, at + 1, |b| {
            !(b.is_ascii_whitespace() || matches!(b, b'/' | b'>' | b'='))
        });
        let is_href = html[attribute..at].eq_ignore_ascii_case(b"href");
        let equals = skip(html, at, |b| b.is_ascii_whitespace());
        if html.get(equals) != Some(&b'=') {
            continue;
        }
        let value = skip(html, equals + 1, |b| b.is_ascii_whitespace());
        let (start, end) = if let Some(&quote @ (b'"' | b'\'')) = html.get(value) {
            let Some(length) = memchr(quote, &html[value + 1..]) else {
                return html.len();
            };
            at = value + length + 2;
            (value + 1, value + 1 + length)
        } else {
            at = skip(html, value, |b| !(b.is_ascii_whitespace() || b == b'>'));
            (value, at)
        };
        // The first of several counts.
        if is_href && leads && !seen && links.len() < MAX_LINKS {
            seen = true;
            if let Some(target) = target(&html[start..end]) {
                links.push(Link {
                    attribute,
                    start,
                    end,
                    target,
                });
            }
        }
    }
}

fn skip(html: &[u8], from: usize, goes: impl Fn(u8) -> bool) -> usize {
    let from = from.min(html.len());
    html[from..]
        .iter()
        .position(|&b| !goes(b))
        .map_or(html.len(), |at| from + at)
}

/// An address on the web as a browser would read it; none for anything else.
fn target(value: &[u8]) -> Option<String> {
    let value = std::str::from_utf8(value).ok()?;
    if value.len() > MAX_TARGET {
        return None;
    }
    let resolved = resolved(value);
    // WHATWG URL section 4.4: outer spaces and all line ends and tabs go.
    let trimmed = resolved.trim_matches(|c: char| c <= ' ');
    let mut target = trimmed.to_owned();
    // Nearly no address has any, and looking for them is much cheaper than moving each letter.
    if trimmed.bytes().any(|b| b < b' ') {
        target.retain(|c| !matches!(c, '\r' | '\n' | '\t'));
    }
    let is_web = ["http://", "https://"].iter().any(|scheme| {
        target.len() > scheme.len()
            && target.as_bytes()[..scheme.len()].eq_ignore_ascii_case(scheme.as_bytes())
    });
    let plain = target.bytes().all(|b| (b' '..0x7f).contains(&b));
    (is_web && (plain || !target.contains(char::is_control))).then_some(target)
}

/// The text with the character references that occur in addresses resolved; others stay as they are, as a browser leaves
/// what it does not know.
fn resolved(text: &str) -> Cow<'_, str> {
    let Some(mut at) = memchr(b'&', text.as_bytes()) else {
        return text.into();
    };
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let reference = memchr(b';', &rest.as_bytes()[..rest.len().min(12)])
            .and_then(|end| Some((character(&rest[1..end])?, end + 1)));
        let (character, length) = reference.unwrap_or(('&', 1));
        out.push(character);
        rest = &rest[length..];
        match memchr(b'&', rest.as_bytes()) {
            Some(next) => at = next,
            None => break,
        }
    }
    out.push_str(rest);
    out.into()
}

fn character(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => number.parse(),
        };
        return code.ok().and_then(char::from_u32);
    }
    Some(match name {
        "amp" | "AMP" => '&',
        "quot" | "QUOT" => '"',
        "apos" => '\'',
        "lt" | "LT" => '<',
        "gt" | "GT" => '>',
        "nbsp" => '\u{a0}',
        "equals" => '=',
        "quest" => '?',
        "num" => '#',
        "percnt" => '%',
        "sol" => '/',
        "colon" => ':',
        "period" => '.',
        "lowbar" => '_',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn targets(html: &str) -> Vec<(String, String)> {
        scan(html.as_bytes())
            .links
            .into_iter()
            .map(|link| (html[link.start..link.end].to_owned(), link.target))
            .collect()
    }

    #[test]
    fn links_are_found_however_their_attribute_is_written() {
        for (html, written, target) in [
            (
                r#"<a href="https://a.example/">"#,
                "https://a.example/",
                "https://a.example/",
            ),
            (
                "<A class=x HREF = 'HTTP://a.example'>",
                "HTTP://a.example",
                "HTTP://a.example",
            ),
            (
                "<a href=http://a.example/x>y</a>",
                "http://a.example/x",
                "http://a.example/x",
            ),
            (
                "<a\n\thref\n=\n\"http://a.example\"/>",
                "http://a.example",
                "http://a.example",
            ),
            (
                r#"<area href="https://a.example/?a=1&amp;b=2&#x26;c">"#,
                "https://a.example/?a=1&amp;b=2&#x26;c",
                "https://a.example/?a=1&b=2&c",
            ),
            (
                "<a href=\" https://a.example/\r\n b \">",
                " https://a.example/\r\n b ",
                "https://a.example/ b",
            ),
            (
                r#"<a title="a > b" href="https://a.example/?x&y;">"#,
                "https://a.example/?x&y;",
                "https://a.example/?x&y;",
            ),
        ] {
            assert_eq!(targets(html), [(written.to_owned(), target.to_owned())], "{html}");
        }
    }

    #[test]
    fn what_is_no_link_to_the_web_is_left_alone() {
        for html in [
            r#"<a href="mailto:a@b.example">"#,
            r##"<a href="#top">"##,
            r#"<a href="javascript:alert(1)">"#,
            r#"<a href="/relative">"#,
            r#"<link href="https://a.example/style.css">"#,
            r#"<img src="https://a.example/a.png">"#,
            r#"<!-- <a href="https://a.example"> -->"#,
            r#"<style>a{}<a href="https://a.example"></style>"#,
            r#"<title><a href="https://a.example"></title>"#,
            r#"<a data-href="https://a.example">"#,
            r#"<a href="https://a.example"#,
            "a < b href=\"https://a.example\"",
            r#"<a href="" href="https://second.example">"#,
            "<a href=\"https://a.example/\u{1}x\">",
            "<a href=https://>",
        ] {
            assert_eq!(targets(html), [], "{html}");
        }
    }

    #[test]
    fn the_end_is_that_of_the_last_body_and_not_one_in_a_comment_or_script() {
        let end = |html: &str| scan(html.as_bytes()).end;
        assert_eq!(end("<body>x</body></html>"), Some(7));
        assert_eq!(end("x</HTML >"), Some(1));
        assert_eq!(end("<script>'</body>'</script>x"), None);
        assert_eq!(end("<!-- </body> -->"), None);
        assert_eq!(end("</body>a</body>"), Some(8));
    }

    #[test]
    fn a_script_that_is_never_closed_and_an_endless_tag_end_the_search() {
        assert_eq!(targets("<script><a href='http://a.example'>"), []);
        assert_eq!(targets(&"<a ".repeat(20_000)), []);
    }

    #[test]
    fn no_more_links_are_looked_at_than_anybody_writes() {
        let html = "<a href='http://a.example'>".repeat(MAX_LINKS + 10);
        assert_eq!(targets(&html).len(), MAX_LINKS);
    }

    proptest! {
        #[test]
        fn any_text_is_scanned_and_what_is_found_stands_in_order(
            html in "(<a |<A|href=|HREF|=|\"|'|http://a|https://b/&amp;| |/|>|</body>|<!--|-->|<script>|</script|é|\\PC){0,60}"
        ) {
            let found = scan(html.as_bytes());
            let mut before = 0;
            for link in &found.links {
                prop_assert!(before <= link.attribute && link.attribute < link.start && link.start <= link.end);
                prop_assert!(html.len() >= link.end);
                before = link.end;
            }
        }
    }
}
