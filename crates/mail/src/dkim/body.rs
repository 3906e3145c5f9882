//! The relaxed form of a body and its hash.

use aws_lc_rs::digest::{Context, SHA256};
use memchr::memmem;

/// SHA-256 of the relaxed body (RFC 6376 section 3.4.4).
///
/// Only white space changes in this form, so the body is hashed in place, in the longest stretches between
/// a tab, two spaces together, and a space at a line end.
pub(super) fn hash(body: &[u8]) -> [u8; 32] {
    let body = without_blank_end(body);
    let mut hash = Gathered {
        context: Context::new(&SHA256),
        held: [0; 512],
        len: 0,
    };
    let mut tab = Next::new(b"\t");
    let mut double = Next::new(b"  ");
    let mut trailing = Next::new(b" \r");
    let mut at = 0;
    loop {
        let found = tab
            .from(body, at)
            .min(double.from(body, at))
            .min(trailing.from(body, at));
        if found == body.len() {
            break;
        }
        // A tab may follow a space that was no reason to stop.
        let run = body[at..found]
            .iter()
            .rposition(|&b| !is_wsp(b))
            .map_or(at, |last| at + last + 1);
        hash.update(&body[at..run]);
        // Where one line has such a place, it often has many: the rest of it goes octet by octet.
        at = memchr::memchr(b'\n', &body[run..]).map_or(body.len(), |lf| run + lf + 1);
        hash.update_relaxed(&body[run..at]);
    }
    hash.update(&body[at..]);
    if !body.is_empty() {
        hash.update(b"\r\n");
    }
    hash.finish()
}

/// The body without the empty and blank lines at its end, and without the last line's end.
fn without_blank_end(mut body: &[u8]) -> &[u8] {
    loop {
        let ([stripped @ .., b'\r', b'\n'] | [stripped @ .., b' ' | b'\t']) = body else {
            return body;
        };
        body = stripped;
    }
}

fn is_wsp(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

/// The next place of one needle, searched again only when it was passed.
struct Next {
    finder: memmem::Finder<'static>,
    at: Option<usize>,
}

impl Next {
    fn new(needle: &'static [u8]) -> Self {
        Self {
            finder: memmem::Finder::new(needle),
            at: None,
        }
    }

    /// The first occurrence at or behind `from`; the length of the haystack when there is none.
    fn from(&mut self, haystack: &[u8], from: usize) -> usize {
        match self.at {
            Some(at) if at >= from => at,
            _ => {
                let at = self
                    .finder
                    .find(&haystack[from..])
                    .map_or(haystack.len(), |found| from + found);
                self.at = Some(at);
                at
            }
        }
    }
}

/// A hash that gathers short pieces, because a call for each word of a table costs more than the hashing.
struct Gathered {
    context: Context,
    held: [u8; 512],
    len: usize,
}

impl Gathered {
    fn update(&mut self, piece: &[u8]) {
        if piece.len() > self.held.len() - self.len {
            self.context.update(&self.held[..self.len]);
            self.len = 0;
            if piece.len() > self.held.len() / 2 {
                self.context.update(piece);
                return;
            }
        }
        self.held[self.len..self.len + piece.len()].copy_from_slice(piece);
        self.len += piece.len();
    }

    /// Adds the rest of a line with its white space reduced.
    fn update_relaxed(&mut self, line: &[u8]) {
        let mut space = false;
        for (nth, &octet) in line.iter().enumerate() {
            if is_wsp(octet) {
                space = true;
                continue;
            }
            if space && line[nth..] != *b"\r\n" {
                self.push(b' ');
            }
            space = false;
            self.push(octet);
        }
    }

    fn push(&mut self, octet: u8) {
        if self.len == self.held.len() {
            self.context.update(&self.held);
            self.len = 0;
        }
        self.held[self.len] = octet;
        self.len += 1;
    }

    fn finish(mut self) -> [u8; 32] {
        self.context.update(&self.held[..self.len]);
        self.context
            .finish()
            .as_ref()
            .try_into()
            .expect("SHA-256 has 32 octets")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::digest::digest;
    use proptest::prelude::*;

    fn hashed(canonical: &[u8]) -> [u8; 32] {
        digest(&SHA256, canonical).as_ref().try_into().unwrap()
    }

    #[test]
    fn the_relaxed_body_is_the_one_of_rfc_6376() {
        for (body, canonical) in [
            ("", ""),
            ("\r\n", ""),
            ("\r\n\r\n", ""),
            (" \t \r\n\t\r\n", ""),
            ("  ", ""),
            ("a", "a\r\n"),
            ("a\r\n", "a\r\n"),
            ("a \t", "a\r\n"),
            (" C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n"),
            ("a\r\n \t\r\n  \r\n", "a\r\n"),
            ("a\r\n \r\nb\r\n", "a\r\n\r\nb\r\n"),
            ("\r\n\r\na\r\n", "\r\n\r\na\r\n"),
            ("\ta  b\t\tc\r\n", " a b c\r\n"),
            ("a \tb\r\n", "a b\r\n"),
            ("a \rb\r\n", "a \rb\r\n"),
            ("a\n b\r\n", "a\n b\r\n"),
            ("a\r\n\r\n\r", "a\r\n\r\n\r\r\n"),
        ] {
            assert_eq!(hash(body.as_bytes()), hashed(canonical.as_bytes()), "{body:?}");
        }
    }

    /// The form spelled out line by line, as the RFC words it.
    fn spelled_out(body: &[u8]) -> Vec<u8> {
        let mut lines: Vec<Vec<u8>> = vec![Vec::new()];
        let mut at = 0;
        while at < body.len() {
            if body[at..].starts_with(b"\r\n") {
                lines.push(Vec::new());
                at += 2;
                continue;
            }
            lines.last_mut().unwrap().push(body[at]);
            at += 1;
        }
        let mut lines: Vec<Vec<u8>> = lines
            .into_iter()
            .map(|line| {
                let mut relaxed: Vec<u8> = Vec::new();
                for octet in line {
                    match octet {
                        b' ' | b'\t' if relaxed.last() == Some(&b' ') => {}
                        b' ' | b'\t' => relaxed.push(b' '),
                        other => relaxed.push(other),
                    }
                }
                if relaxed.last() == Some(&b' ') {
                    relaxed.pop();
                }
                relaxed
            })
            .collect();
        while lines.last().is_some_and(Vec::is_empty) {
            lines.pop();
        }
        lines
            .into_iter()
            .flat_map(|line| [line, b"\r\n".to_vec()].concat())
            .collect()
    }

    proptest! {
        #[test]
        fn the_body_in_place_equals_the_body_spelled_out(body in "([ab]| |\t|\r\n|\r|\n|  ){0,80}") {
            prop_assert_eq!(hash(body.as_bytes()), hashed(&spelled_out(body.as_bytes())), "{:?}", body);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn a_long_body_hashes_the_same(words in proptest::collection::vec("[a-z]{0,400} {0,3}(\r\n)?", 0..60)) {
            let body = words.concat();
            prop_assert_eq!(hash(body.as_bytes()), hashed(&spelled_out(body.as_bytes())));
        }
    }
}
