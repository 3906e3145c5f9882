//! Whom a message claims to be from: every header field that says so, read so strictly that no other reader finds anybody else.

use mail_parser::parsers::MessageStream;

use super::head::Head;
use super::mailbox::{MailboxError, Token, addr_spec, is_phrase, tokens};
use crate::address::{Address, AddressError};

/// All fields but From together may name this many.
const MAX_OTHERS: usize = 100;

/// The author of a message and everybody else who is said to have sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authors {
    /// The one address of the one From field.
    pub from: Address,
    /// Those of Sender, Resent-From and Resent-Sender, with the name of the field.
    pub others: Vec<(&'static str, Address)>,
}

/// Which field does not say plainly who it is, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {field} header field {fault}")]
pub struct AuthorError {
    pub field: &'static str,
    pub fault: AuthorFault,
}

/// What is wrong with a field; the text follows on the field's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorFault {
    #[error("must be there once, with one address")]
    NotOne,
    #[error("names too many addresses")]
    TooMany,
    #[error("cannot be read as an address")]
    Malformed,
    #[error("holds octets that are not UTF-8")]
    NotUtf8,
    #[error("holds a control character, as it stands or in an encoded word")]
    Control,
    #[error("holds a group, or a colon or semicolon outside of quotes")]
    Group,
    #[error("holds a source route")]
    Route,
    #[error("has a comment or white space inside the address")]
    Gap,
    #[error("has an encoded word inside the address")]
    EncodedAddress,
    #[error("is refused: {0}")]
    Address(AddressError),
}

impl From<MailboxError> for AuthorFault {
    fn from(error: MailboxError) -> Self {
        match error {
            MailboxError::TooMany => Self::TooMany,
            MailboxError::Malformed | MailboxError::TooDeep => Self::Malformed,
        }
    }
}

impl Head<'_> {
    /// Reads the fields of RFC 5322 sections 3.6.2 and 3.6.6 that name a sender; there may be several Resent blocks.
    pub fn authors(&self) -> Result<Authors, AuthorError> {
        let [from] = self
            .senders("From", One::InAll)?
            .try_into()
            .map_err(|_| AuthorError {
                field: "From",
                fault: AuthorFault::NotOne,
            })?;
        let mut others = Vec::new();
        // RFC 5322 section 3.6.6 lets Resent-From name several.
        for (field, count) in [
            ("Sender", One::InAll),
            ("Resent-From", One::OrMore),
            ("Resent-Sender", One::InEach),
        ] {
            others.extend(
                self.senders(field, count)?
                    .into_iter()
                    .map(|address| (field, address)),
            );
            if others.len() > MAX_OTHERS {
                let fault = AuthorFault::TooMany;
                return Err(AuthorError { field, fault });
            }
        }
        Ok(Authors { from, others })
    }

    fn senders(&self, field: &'static str, count: One) -> Result<Vec<Address>, AuthorError> {
        let mut all = Vec::new();
        for one in self.all(field) {
            let found = addresses(one.value).map_err(|fault| AuthorError { field, fault })?;
            let enough = match count {
                One::InAll => all.is_empty() && found.len() == 1,
                One::InEach => found.len() == 1,
                One::OrMore => true,
            };
            if !enough {
                let fault = AuthorFault::NotOne;
                return Err(AuthorError { field, fault });
            }
            all.extend(found);
        }
        Ok(all)
    }
}

/// How many addresses the fields of one name may have.
#[derive(Clone, Copy)]
enum One {
    /// One in one field.
    InAll,
    /// One in each field.
    InEach,
    /// One or more in each field.
    OrMore,
}

/// The addresses of one field, at least one.
fn addresses(value: &[u8]) -> Result<Vec<Address>, AuthorFault> {
    // In another character set a second octet may look like a quote or a bracket, and the reader sees another address.
    let text = std::str::from_utf8(value).map_err(|_| AuthorFault::NotUtf8)?;
    let text = text.replace("\r\n", "");
    if has_control(&text) || hides_control(&text)? {
        return Err(AuthorFault::Control);
    }
    let tokens = tokens(text.as_bytes())?;
    let mut in_brackets = false;
    let entries = tokens.split(|token| {
        match token {
            Token::Special(b'<') => in_brackets = true,
            Token::Special(b'>') => in_brackets = false,
            _ => {}
        }
        !in_brackets && *token == Token::Special(b',')
    });
    entries
        .map(|entry| {
            let address = plain_address(entry)?;
            // RFC 2047 section 5 forbids it; some readers decode it all the same, and show what they find.
            if address.contains("=?") {
                return Err(AuthorFault::EncodedAddress);
            }
            Address::parse(&address).map_err(AuthorFault::Address)
        })
        .collect()
}

/// `local@domain` or `Name <local@domain>`, with comments around them only: nothing of the obsolete syntax.
// RFC 5322 section 3.4
fn plain_address(entry: &[Token]) -> Result<String, AuthorFault> {
    let entry = without_outer_gaps(entry);
    let (name, spec) = match entry.iter().position(|token| *token == Token::Special(b'<')) {
        None => (&entry[..0], entry),
        Some(open) => match entry[open + 1..].split_last() {
            Some((Token::Special(b'>'), spec)) => (&entry[..open], without_outer_gaps(spec)),
            _ => return Err(AuthorFault::Malformed),
        },
    };
    if spec.len() < entry.len() && spec.first() == Some(&Token::Special(b'@')) {
        return Err(AuthorFault::Route);
    }
    if entry
        .iter()
        .any(|token| matches!(token, Token::Special(b':' | b';')))
    {
        return Err(AuthorFault::Group);
    }
    if !name.iter().all(|token| is_phrase(token) || *token == Token::Gap) {
        return Err(AuthorFault::Malformed);
    }
    let address = addr_spec(
        &spec
            .iter()
            .filter(|token| **token != Token::Gap)
            .collect::<Vec<_>>(),
    )?;
    if spec.contains(&Token::Gap) {
        return Err(AuthorFault::Gap);
    }
    Ok(address)
}

fn without_outer_gaps(mut tokens: &[Token]) -> &[Token] {
    while let [Token::Gap, rest @ ..] | [rest @ .., Token::Gap] = tokens {
        tokens = rest;
    }
    tokens
}

fn has_control(text: &str) -> bool {
    text.contains(|c: char| c.is_control() && c != '\t')
}

/// Whether any encoded word, wherever it stands, decodes to a control character: readers differ in where they decode.
fn hides_control(text: &str) -> Result<bool, AuthorFault> {
    // RFC 2047 section 2 allows 75 octets.
    const LONGEST: usize = 1_000;
    for (at, _) in text.match_indices("=?") {
        let rest = &text.as_bytes()[at + 1..];
        match MessageStream::new(&rest[..rest.len().min(LONGEST)]).decode_rfc2047() {
            Some(decoded) if has_control(&decoded) => return Ok(true),
            None if rest.len() > LONGEST => return Err(AuthorFault::Malformed),
            _ => {}
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn authors(header: &str) -> Result<Authors, AuthorError> {
        Head::parse(header.as_bytes()).unwrap().authors()
    }

    fn from(value: &str) -> Result<String, AuthorFault> {
        let read = authors(&format!("From: {value}\r\n\r\n"));
        read.map(|authors| authors.from.to_string())
            .map_err(|error| error.fault)
    }

    #[test]
    fn what_mail_programs_write_is_read() {
        for value in [
            "ann@sender.example",
            "<ann@sender.example>",
            "Ann <ann@sender.example>",
            "Ann B. Smith <ann@sender.example>",
            "\"Smith, Ann\" <ann@sender.example>",
            "\"ann@sender.example\" <ann@sender.example>",
            "\"Ann \\\"the\\\" Smith\" <ann@sender.example>",
            "ann@sender.example (Ann Smith)",
            "(Cron) ann@sender.example",
            "Ann\r\n <ann@sender.example>",
            "\r\n ann@sender.example",
            "=?utf-8?q?J=C3=BCrgen_M=C3=BCller?= <ann@sender.example>",
            "=?utf-8?b?SsO8cmdlbg==?=\r\n =?utf-8?b?IE3DvGxsZXI=?= <ann@sender.example>",
            "=?iso-2022-jp?B?GyRCRnxLXDhsGyhC?= <ann@sender.example>",
            "\"=?utf-8?q?=C3=BC?=\" <ann@sender.example>",
            "Jürgen Müller <ann@sender.example>",
            "Ann < ann@sender.example >",
            "Mail Delivery System <MAILER-DAEMON@sender.example>",
            "Ann via List <list-bounces+ann=there.example@sender.example>",
        ] {
            assert!(from(value).is_ok(), "{value}: {:?}", from(value));
        }
    }

    #[test]
    fn what_another_reader_may_see_otherwise_is_refused_with_its_reason() {
        for (value, fault) in [
            ("", AuthorFault::Malformed),
            ("undisclosed", AuthorFault::Malformed),
            ("ann@sender.example,", AuthorFault::Malformed),
            ("ann@sender.example, bob@sender.example", AuthorFault::NotOne),
            ("<ann@sender.example> <eve@other.example>", AuthorFault::Malformed),
            ("eve@other.example <ann@sender.example>", AuthorFault::Malformed),
            ("Us: ann@sender.example;", AuthorFault::Group),
            ("Undisclosed:;", AuthorFault::Group),
            ("<@other.example:ann@sender.example>", AuthorFault::Route),
            ("<@a.example,@b.example:ann@sender.example>", AuthorFault::Route),
            ("ann@sender.example;", AuthorFault::Group),
            ("ann(@other.example)@sender.example", AuthorFault::Gap),
            ("ann @sender.example", AuthorFault::Gap),
            ("<ann@sender\r\n .example>", AuthorFault::Gap),
            ("=?utf-8?q?Ann=0D=0A?= <ann@sender.example>", AuthorFault::Control),
            ("=?utf-8?q?Bcc:=0Ax?= <ann@sender.example>", AuthorFault::Control),
            ("\"=?utf-8?b?AA==?=\" <ann@sender.example>", AuthorFault::Control),
            ("x=?utf-8?q?=1B?= <ann@sender.example>", AuthorFault::Control),
            ("ann@sender.example (=?utf-8?q?=00?=)", AuthorFault::Control),
            ("\"Ann\u{8}\" <ann@sender.example>", AuthorFault::Control),
            ("Ann\0 <ann@sender.example>", AuthorFault::Control),
            ("Ann \u{85}<ann@sender.example>", AuthorFault::Control),
            (
                "=?utf-8?q?ceo=40bank=2Eexample?=@sender.example",
                AuthorFault::EncodedAddress,
            ),
            ("ann@[192.0.2.1]", AuthorFault::Address(AddressError::Literal)),
        ] {
            assert_eq!(from(value), Err(fault), "{value}");
        }
        let latin = [
            b"From: \"",
            &b"\x81\\"[..],
            b"\" <eve@other.example>, x\" <ann@sender.example>\r\n\r\n",
        ]
        .concat();
        let error = Head::parse(&latin).unwrap().authors().unwrap_err();
        assert_eq!(
            error.to_string(),
            "the From header field holds octets that are not UTF-8"
        );
    }

    #[test]
    fn from_stands_once_however_it_is_spelt() {
        for header in [
            "Subject: nobody\r\n",
            "From: a@sender.example\r\nFROM: b@sender.example\r\n",
            "From: a@sender.example\r\nfrom : b@sender.example\r\n",
            "From\t: a@sender.example\r\nFrom: a@sender.example\r\n",
            "From:\r\n a@sender.example\r\nFrom:\r\n\tb@sender.example\r\n",
        ] {
            let error = authors(&format!("{header}\r\n")).unwrap_err();
            assert_eq!(
                (error.field, error.fault),
                ("From", AuthorFault::NotOne),
                "{header}"
            );
        }
    }

    #[test]
    fn everybody_who_is_said_to_have_sent_it_is_named() {
        let header = "Resent-Sender: d@x.example\r\nResent-From: b@x.example, C <c@x.example>\r\n\
                      Resent-From: e@x.example\r\nResent-Sender: f@x.example\r\n\
                      From: a@x.example\r\nsender : S <s@x.example>\r\n\r\n";
        let read = authors(header).unwrap();
        let others: Vec<String> = read
            .others
            .iter()
            .map(|(field, who)| format!("{field} {who}"))
            .collect();
        assert_eq!(
            others,
            [
                "Sender s@x.example",
                "Resent-From b@x.example",
                "Resent-From c@x.example",
                "Resent-From e@x.example",
                "Resent-Sender d@x.example",
                "Resent-Sender f@x.example"
            ]
        );
        for (more, want) in [
            (
                "Sender: a@x.example, b@x.example",
                "the Sender header field must be there once, with one address",
            ),
            (
                "Sender: a@x.example\r\nSender: a@x.example",
                "the Sender header field must be there once, with one address",
            ),
            ("Sender:", "the Sender header field cannot be read as an address"),
            (
                "Resent-From: All: a@x.example;",
                "the Resent-From header field holds a group, or a colon or semicolon outside of quotes",
            ),
            (
                "Resent-Sender: <@y.example:a@x.example>",
                "the Resent-Sender header field holds a source route",
            ),
        ] {
            let error = authors(&format!("From: a@x.example\r\n{more}\r\n\r\n")).unwrap_err();
            assert_eq!(error.to_string(), want);
        }
        let crowd = format!(
            "From: a@x.example\r\nResent-From: a@x.example{}\r\n\r\n",
            ",b@x.example".repeat(100)
        );
        assert_eq!(authors(&crowd).unwrap_err().fault, AuthorFault::TooMany);
    }

    #[test]
    fn encoded_words_without_an_end_are_not_searched_for_long() {
        let endless = format!("Ann {} <ann@sender.example>", "=?aa?q?x".repeat(10_000));
        assert_eq!(from(&endless), Err(AuthorFault::Malformed));
    }

    /// The addresses that stand in From fields for a reader who takes every line for what it looks like.
    fn simple_minded(header: &str) -> usize {
        header
            .split("\r\n")
            .take_while(|line| !line.is_empty())
            .filter(|line| {
                line.split_once(':')
                    .is_some_and(|(name, _)| name.trim().eq_ignore_ascii_case("from"))
            })
            .count()
    }

    proptest! {
        #[test]
        fn a_header_that_passes_has_one_from_for_every_reader(lines in proptest::collection::vec(prop_oneof![
            Just("From: ann@sender.example"), Just("FROM : eve@other.example"), Just("From"), Just(" : eve@other.example"),
            Just("no field"), Just("\tfolded"), Just("Subject: x"), Just(" "), Just("From\u{b}: eve@other.example"), Just(":"),
        ], 0..8)) {
            let raw = lines.join("\r\n") + "\r\n\r\nbody\r\n";
            let head = Head::parse(raw.as_bytes()).unwrap();
            if let Ok(authors) = head.authors() {
                let stored = head.rewritten(b"Received: r\r\n", |_| false).put_on(raw.clone().into());
                let stored = String::from_utf8(stored.to_vec()).unwrap();
                prop_assert_eq!(simple_minded(&stored), 1, "{}", stored);
                prop_assert!(stored.contains(&authors.from.to_string()));
            }
        }
    }
}
