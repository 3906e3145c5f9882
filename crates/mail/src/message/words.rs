//! Unstructured text of a header field with its RFC 2047 words decoded, in time that grows with its length only.

use mail_parser::parsers::MessageStream;

/// The text unfolded, encoded words decoded, outer white space removed.
pub(super) fn decoded(value: &[u8]) -> String {
    let mut text = String::with_capacity(value.len());
    let mut after_word = false;
    let (mut plain, mut at) = (0, 0);
    while let Some(found) = memchr::memmem::find(&value[at..], b"=?") {
        let start = at + found;
        let Some(length) = encoded_word(&value[start..]) else {
            at = start + 1;
            continue;
        };
        let end = start + length;
        let Some(word) = MessageStream::new(&value[start + 1..end]).decode_rfc2047() else {
            at = start + 1;
            continue;
        };
        let between = push_plain(&mut text, &value[plain..start]);
        // RFC 2047 section 6.2: white space between two encoded words is not shown.
        if between || !(after_word || text.is_empty()) {
            text.push(' ');
        }
        text.push_str(&word);
        after_word = true;
        (plain, at) = (end, end);
    }
    push_plain(&mut text, &value[plain..]);
    text.trim().to_owned()
}

/// Adds what is not encoded, its lines joined; says whether there was any.
fn push_plain(text: &mut String, plain: &[u8]) -> bool {
    let mut any = false;
    for line in plain.split(|&b| b == b'\n') {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&String::from_utf8_lossy(line));
        any = true;
    }
    any
}

/// The length of the encoded word that begins here with `=?`.
///
/// Stops at the beginning of the next one, so that words that never end are not read again from each of their beginnings.
/// A `?` in the text is let pass, as many programs do not encode it.
// RFC 2047 section 2
fn encoded_word(value: &[u8]) -> Option<usize> {
    let charset = memchr::memchr2(b'?', b'\n', &value[2..])?;
    let [b'?', b'b' | b'B' | b'q' | b'Q', b'?', text @ ..] = &value[2 + charset..] else {
        return None;
    };
    let before = value.len() - text.len();
    for mark in memchr::memchr_iter(b'?', text) {
        if text.get(mark + 1) == Some(&b'=') {
            return Some(before + mark + 2);
        }
        if mark > 0 && text[mark - 1] == b'=' {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_decoded_among_plain_text() {
        for (value, want) in [
            (" plain", "plain"),
            (" a\r\n b  c\r\n\t d ", "a b  c d"),
            (
                "=?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n =?utf-8?b?IGF1cw==?= Wien",
                "Grüße aus Wien",
            ),
            ("Re: =?utf-8?q?caf=C3=A9?= now", "Re: café now"),
            ("=?utf-8?b?YQ==?= =?utf-8?b?Yg==?=", "ab"),
            ("=?utf-8*fr?q?=C3=A9t=C3=A9?=", "été"),
            // As many programs write it, against the standard.
            ("=?utf-8?Q?Really??=", "Really?"),
            ("=?utf-8?q?two words?=", "two words"),
            ("=?utf-8?q?a?==?utf-8?q?b?=", "ab"),
        ] {
            assert_eq!(decoded(value.as_bytes()), want, "{value:?}");
        }
    }

    #[test]
    fn what_is_no_encoded_word_stays_as_it_stands() {
        for value in [
            "=?",
            "=?=",
            "=?=?=",
            "a =?utf-8?q?never ends",
            "=?utf-8?x?a?=",
            "2+2=?",
            "=?a?q?b?=",
            "=?utf-8?q?=XX?=",
        ] {
            assert_eq!(decoded(value.as_bytes()), value);
        }
    }

    #[test]
    fn no_word_reaches_over_the_beginning_of_the_next() {
        // Otherwise each of many beginnings is read up to the one end behind them all.
        assert_eq!(encoded_word(b"=?aa?q?aa=?aa?q?aa?="), None);
        assert_eq!(encoded_word(b"=?aa?b?AAA=?aa?b?AAA?="), None);
        assert_eq!(encoded_word(b"=?aa=?aa?q?a?="), None);
        let many = "=?aa?q?aa".repeat(11_000);
        assert_eq!(decoded(many.as_bytes()), many);
    }

    #[test]
    fn a_word_that_never_ends_hides_none_behind_it() {
        assert_eq!(decoded(b"=?aa?q?x =?utf-8?q?=C3=A9?="), "=?aa?q?x é");
    }

    proptest! {
        #[test]
        fn any_octets_are_read_without_panic(value in proptest::collection::vec(prop_oneof![
            Just(b'='), Just(b'?'), Just(b'q'), Just(b'b'), Just(b'a'), Just(b' '), Just(b'\n'), any::<u8>()], 0..200)) {
            decoded(&value);
        }
    }
}
