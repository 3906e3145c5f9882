//! Header fields that end here: who gets a copy in secret, what only a mail server may say, and what steers Posthouse.

use super::head::Field;
use super::mailbox::{Token, tokens};
use crate::address::Domain;

/// Who gets a copy in secret, and the reverse-path, which only the last hop may write.
// RFC 5322 section 3.6.3, RFC 5321 section 4.4
const ALWAYS: [&str; 3] = ["bcc", "resent-bcc", "return-path"];
/// Fields under this name are words to us and nobody else.
const OURS: &str = "x-posthouse-";

/// Whether `hostname`, which is us, takes this field out before it signs and stores the message.
pub fn is_kept_back(field: &Field<'_>, hostname: &str) -> bool {
    ALWAYS.iter().any(|name| field.is(name))
        || is_steering(field.name)
        || field.is("authentication-results") && claims_to_be_from(field.value, hostname)
}

/// Whether a field of this name steers us.
pub fn is_steering(name: &str) -> bool {
    name.get(..OURS.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(OURS))
}

/// Whether a reader could take these results for our own; those that cannot be read count as such.
// RFC 8601 section 5
fn claims_to_be_from(value: &[u8], hostname: &str) -> bool {
    let Ok(tokens) = tokens(value) else { return true };
    let id = tokens
        .iter()
        .skip_while(|token| **token == Token::Gap)
        .take_while(|token| !matches!(token, Token::Gap | Token::Special(b';')));
    let id: String = id
        .map(|token| match token {
            Token::Atom(word) | Token::Quoted(word) | Token::Literal(word) => word.clone(),
            Token::Special(mark) => char::from(*mark).to_string(),
            Token::Gap => String::new(),
        })
        .collect();
    let id = id.trim().trim_end_matches('.');
    match (Domain::parse(id), Domain::parse(hostname)) {
        (Ok(id), Ok(hostname)) => id == hostname,
        _ => id.eq_ignore_ascii_case(hostname) || id.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Head;

    fn kept_back(line: &str) -> bool {
        let raw = format!("{line}\r\n\r\n");
        let head = Head::parse(raw.as_bytes()).unwrap();
        is_kept_back(&head.fields()[0], "mx.us.example")
    }

    #[test]
    fn results_that_claim_to_be_ours_are_kept_back_and_those_of_others_are_not() {
        for line in [
            "Authentication-Results: mx.us.example; spf=pass",
            "authentication-results : MX.us.Example 1; none",
            "Authentication-Results:\r\n\tmx.us.example;\r\n\tdkim=pass header.d=bank.example",
            "Authentication-Results: (us) mx.us.example (really); spf=pass",
            "Authentication-Results: \"mx.us.example\"; spf=pass",
            "Authentication-Results: mx.us.example.; spf=pass",
            "Authentication-Results: mx.us.example",
            "Authentication-Results: ; spf=pass",
            "Authentication-Results: mx.us.example; reason=\"no end",
        ] {
            assert!(kept_back(line), "{line}");
        }
        for line in [
            "Authentication-Results: mx.there.example; spf=pass smtp.mailfrom=mx.us.example",
            "Authentication-Results: us.example; none",
            "ARC-Authentication-Results: i=1; mx.there.example; spf=pass",
        ] {
            assert!(!kept_back(line), "{line}");
        }
    }

    #[test]
    fn what_steers_us_is_kept_back_whatever_its_case() {
        assert!(kept_back("X-Posthouse-Stream: marketing"));
        assert!(kept_back("x-posthouse-: "));
        assert!(kept_back("X-POSTHOUSE-TAG : a"));
        assert!(!kept_back("X-Posthouse: a"));
        assert!(!kept_back("X-Mailer: Posthouse"));
        assert!(kept_back("Resent-Bcc: a@b.example"));
    }
}
