//! The mailbox lists of From and its relatives, read strictly enough to decide who a message claims to be from.

use super::words::decoded;

/// One header section may name this many mailboxes in one field.
const MAX_MAILBOXES: usize = 2_000;
/// Comments may nest this deep.
const MAX_COMMENT_DEPTH: usize = 20;

/// One mailbox of a header field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// The display name, RFC 2047 words decoded; empty where there is none.
    pub name: String,
    /// `local@domain` without comments and white space, otherwise as written: not yet checked as an address.
    pub address: String,
}

/// Why a mailbox list is not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MailboxError {
    #[error("the mailbox list is malformed")]
    Malformed,
    #[error("the mailbox list has more than {MAX_MAILBOXES} entries")]
    TooMany,
    #[error("a mailbox list has comments nested deeper than {MAX_COMMENT_DEPTH}")]
    TooDeep,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// White space, folding or comments.
    Gap,
    Atom(String),
    Quoted(String),
    Literal(String),
    Special(u8),
}

/// The mailboxes of a field value (RFC 5322 section 3.4), those of groups included.
pub fn mailboxes(value: &[u8]) -> Result<Vec<Mailbox>, MailboxError> {
    let mut tokens = tokens(value)?;
    tokens.retain(|token| *token != Token::Gap);
    let mut list = Vec::new();
    let mut in_group = false;
    let mut entry: Vec<&Token> = Vec::new();
    for token in &tokens {
        match token {
            // Commas and colons inside angle brackets belong to an obsolete route.
            Token::Special(mark @ (b',' | b':' | b';')) if !in_brackets(&entry) => match mark {
                b',' => finish(&mut entry, &mut list)?,
                b':' if !in_group && !entry.is_empty() && entry.iter().all(|t| is_phrase(t)) => {
                    in_group = true;
                    entry.clear();
                }
                b';' if in_group => {
                    finish(&mut entry, &mut list)?;
                    in_group = false;
                }
                _ => return Err(MailboxError::Malformed),
            },
            _ => entry.push(token),
        }
    }
    finish(&mut entry, &mut list)?;
    if in_group {
        Err(MailboxError::Malformed)
    } else {
        Ok(list)
    }
}

fn in_brackets(entry: &[&Token]) -> bool {
    entry.contains(&&Token::Special(b'<')) && !entry.contains(&&Token::Special(b'>'))
}

pub(super) fn is_phrase(token: &Token) -> bool {
    matches!(token, Token::Atom(_) | Token::Quoted(_) | Token::Special(b'.'))
}

/// Turns the tokens between two commas into a mailbox; an empty entry is allowed (RFC 5322 section 4.4).
fn finish(entry: &mut Vec<&Token>, list: &mut Vec<Mailbox>) -> Result<(), MailboxError> {
    if entry.is_empty() {
        return Ok(());
    }
    if list.len() == MAX_MAILBOXES {
        return Err(MailboxError::TooMany);
    }
    let mailbox = match entry.iter().position(|t| **t == Token::Special(b'<')) {
        Some(open) => {
            let Some((Token::Special(b'>'), spec)) = entry[open + 1..].split_last() else {
                return Err(MailboxError::Malformed);
            };
            if !entry[..open].iter().all(|t| is_phrase(t)) {
                return Err(MailboxError::Malformed);
            }
            Mailbox {
                name: phrase(&entry[..open]),
                address: addr_spec(without_route(spec)?)?,
            }
        }
        None => Mailbox {
            name: String::new(),
            address: addr_spec(entry)?,
        },
    };
    list.push(mailbox);
    entry.clear();
    Ok(())
}

/// RFC 5322 section 4.4: an obsolete route stands before the address and is ignored.
fn without_route<'t, 'e>(spec: &'e [&'t Token]) -> Result<&'e [&'t Token], MailboxError> {
    if spec.first() != Some(&&Token::Special(b'@')) {
        return Ok(spec);
    }
    let colon = spec
        .iter()
        .position(|t| **t == Token::Special(b':'))
        .ok_or(MailboxError::Malformed)?;
    Ok(&spec[colon + 1..])
}

/// Words and dots, one `@`, then words and dots or a literal: anything else could be read as two addresses.
pub(super) fn addr_spec(spec: &[&Token]) -> Result<String, MailboxError> {
    let at = spec
        .iter()
        .rposition(|t| **t == Token::Special(b'@'))
        .ok_or(MailboxError::Malformed)?;
    let (local, domain) = (&spec[..at], &spec[at + 1..]);
    let mut address = String::new();
    words(local, &mut address, true)?;
    address.push('@');
    match domain {
        [Token::Literal(literal)] => address.push_str(literal),
        _ => words(domain, &mut address, false)?,
    }
    Ok(address)
}

/// Words alternate with dots; the domain's root dot is left to the address parser.
fn words(tokens: &[&Token], out: &mut String, quoted_allowed: bool) -> Result<(), MailboxError> {
    if tokens.is_empty() {
        return Err(MailboxError::Malformed);
    }
    let mut word_expected = true;
    for token in tokens {
        match token {
            Token::Atom(word) if word_expected => out.push_str(word),
            Token::Quoted(word) if word_expected && quoted_allowed => {
                out.push('"');
                for c in word.chars() {
                    if matches!(c, '"' | '\\') {
                        out.push('\\');
                    }
                    out.push(c);
                }
                out.push('"');
            }
            Token::Special(b'.') if !word_expected => out.push('.'),
            _ => return Err(MailboxError::Malformed),
        }
        word_expected = !word_expected;
    }
    if word_expected {
        Err(MailboxError::Malformed)
    } else {
        Ok(())
    }
}

/// A display name with its encoded words decoded.
fn phrase(tokens: &[&Token]) -> String {
    let mut text = String::new();
    for token in tokens {
        match token {
            Token::Atom(word) | Token::Quoted(word) => {
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(word);
            }
            Token::Gap => {}
            _ => text.push('.'),
        }
    }
    if !text.contains("=?") {
        return text;
    }
    decoded(text.as_bytes())
}

pub(super) fn tokens(value: &[u8]) -> Result<Vec<Token>, MailboxError> {
    let text = String::from_utf8_lossy(value);
    let mut chars = text.chars().peekable();
    let mut tokens = Vec::new();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => tokens.push(Token::Gap),
            '(' => {
                skip_comment(&mut chars)?;
                tokens.push(Token::Gap);
            }
            '"' => tokens.push(Token::Quoted(until(&mut chars, '"')?)),
            '[' => tokens.push(Token::Literal(format!("[{}]", until(&mut chars, ']')?))),
            '<' | '>' | '@' | ',' | ':' | ';' | '.' => tokens.push(Token::Special(c as u8)),
            ')' | ']' | '\\' => return Err(MailboxError::Malformed),
            c if c.is_control() => return Err(MailboxError::Malformed),
            c => {
                let mut word = String::from(c);
                while let Some(&next) = chars.peek() {
                    if next.is_whitespace() || next.is_control() || "()<>[]:;@\\,.\"".contains(next) {
                        break;
                    }
                    word.push(next);
                    chars.next();
                }
                tokens.push(Token::Atom(word));
            }
        }
    }
    Ok(tokens)
}

/// What stands before the closing mark, quoted pairs resolved and folding removed.
fn until(chars: &mut impl Iterator<Item = char>, close: char) -> Result<String, MailboxError> {
    let mut text = String::new();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.push(chars.next().ok_or(MailboxError::Malformed)?),
            '\r' | '\n' => {}
            c if c == close => return Ok(text),
            '\0' => return Err(MailboxError::Malformed),
            c => text.push(c),
        }
    }
    Err(MailboxError::Malformed)
}

fn skip_comment(chars: &mut impl Iterator<Item = char>) -> Result<(), MailboxError> {
    let mut depth = 1;
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '(' => {
                depth += 1;
                if depth > MAX_COMMENT_DEPTH {
                    return Err(MailboxError::TooDeep);
                }
            }
            ')' => {
                depth -= 1;
                if depth == 0 {
                    return Ok(());
                }
            }
            _ => {}
        }
    }
    Err(MailboxError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn addresses(value: &str) -> Result<Vec<String>, MailboxError> {
        mailboxes(value.as_bytes()).map(|list| list.into_iter().map(|m| m.address).collect())
    }

    #[test]
    fn the_usual_shapes_are_understood() {
        for (value, want) in [
            (" a@b.example", vec!["a@b.example"]),
            ("Ann <a@b.example>", vec!["a@b.example"]),
            (
                "\"Ann, B.\" <a@b.example>, c@d.example",
                vec!["a@b.example", "c@d.example"],
            ),
            ("John Q. Public <j@b.example>", vec!["j@b.example"]),
            ("a (comment (nested)) @ b . example (more)", vec!["a@b.example"]),
            (
                "Friends: a@b.example, Bob <c@d.example>; , e@f.example",
                vec!["a@b.example", "c@d.example", "e@f.example"],
            ),
            ("Undisclosed:;", vec![]),
            ("<@relay.example,@two.example:a@b.example>", vec!["a@b.example"]),
            ("\"odd name\"@b.example", vec!["\"odd name\"@b.example"]),
            ("a@[192.0.2.1]", vec!["a@[192.0.2.1]"]),
            ("Grüße <grüße@müller.example>", vec!["grüße@müller.example"]),
            ("a@b.example,\r\n c@d.example", vec!["a@b.example", "c@d.example"]),
        ] {
            assert_eq!(
                addresses(value).as_deref(),
                Ok(want
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .as_slice()),
                "{value}"
            );
        }
    }

    #[test]
    fn what_could_be_read_as_two_addresses_is_refused() {
        for value in [
            "a@b.example c@d.example",
            "a@b.example <c@d.example>",
            "<a@b.example> <c@d.example>",
            "<a@b.example> c@d.example",
            "<<a@b.example>>",
            "a@b@c.example",
            "a@b.example (unclosed",
            "\"unclosed <a@b.example>",
            "Ann a@b.example",
            "@b.example",
            "a@",
            "a..b@c.example",
            "a@b.example\0",
            "Group: a@b.example",
        ] {
            assert_eq!(addresses(value), Err(MailboxError::Malformed), "{value}");
        }
    }

    #[test]
    fn a_display_name_is_decoded_and_does_not_become_an_address() {
        let list = mailboxes(b"=?utf-8?q?boss=40bank=2Eexample?= <a@b.example>").unwrap();
        assert_eq!(
            list,
            [Mailbox {
                name: "boss@bank.example".into(),
                address: "a@b.example".into()
            }]
        );
    }

    #[test]
    fn comments_and_lists_have_budgets() {
        assert_eq!(addresses(&"(".repeat(100)), Err(MailboxError::TooDeep));
        assert_eq!(
            addresses(&"a@b,".repeat(MAX_MAILBOXES + 1)),
            Err(MailboxError::TooMany)
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(value in "[a@.,:;<>\"()\\[\\]\\\\ \r\n=?é]{0,60}") {
            let _ = mailboxes(value.as_bytes());
        }
    }
}
