//! The envelope of a message as its sender gave it: who it is from, who it is for, what they want to be told.

use std::borrow::Cow;

use crate::address::Address;
use crate::notify::{Notify, Ret};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// `None` is the null sender, `<>`.
    pub reverse_path: Option<Address>,
    /// In the order given, each address once.
    pub recipients: Vec<Recipient>,
    pub ret: Option<Ret>,
    /// The sender's own name for the message, as xtext.
    pub envid: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    pub address: Address,
    pub notify: Notify,
    /// The address the sender first wrote to, as `type;xtext`.
    pub orcpt: Option<String>,
}

/// Whether a text is well-formed xtext.
// RFC 3461 section 4
pub fn is_xtext(text: &str) -> bool {
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return true,
            [b'+', high, low, rest @ ..] if is_hex(*high) && is_hex(*low) => rest,
            [b'+' | b'=', ..] => return false,
            [b'!'..=b'~', rest @ ..] => rest,
            _ => return false,
        };
    }
}

const fn is_hex(digit: u8) -> bool {
    matches!(digit, b'0'..=b'9' | b'A'..=b'F')
}

/// The text that xtext stands for; what is not well formed is left as it is.
pub fn from_xtext(text: &str) -> Cow<'_, str> {
    if !text.contains('+') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        match tail {
            [high, low, after @ ..] if first == b'+' && is_hex(*high) && is_hex(*low) => {
                bytes.push(hex_value(*high) << 4 | hex_value(*low));
                rest = after;
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

const fn hex_value(digit: u8) -> u8 {
    if digit.is_ascii_digit() {
        digit - b'0'
    } else {
        digit - b'A' + 10
    }
}

/// Encodes a text as xtext.
pub fn to_xtext(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if matches!(byte, b'!'..=b'~') && byte != b'+' && byte != b'=' {
            out.push(char::from(byte));
        } else {
            out.push('+');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plus_and_equals_travel_as_hexadecimal() {
        assert_eq!(to_xtext("joe+tag@example.org"), "joe+2Btag@example.org");
        assert_eq!(from_xtext("joe+2Btag@example.org"), "joe+tag@example.org");
    }

    #[test]
    fn malformed_xtext_is_told_and_left_alone() {
        for text in ["a b", "a=b", "+2", "+zz", "+2b", "a\u{e9}", "a\n"] {
            assert!(!is_xtext(text), "{text:?}");
        }
        assert!(is_xtext("") && is_xtext("a+20b"));
        assert_eq!(from_xtext("+zz+2"), "+zz+2");
    }

    proptest! {
        #[test]
        fn every_text_survives_xtext(text in any::<String>()) {
            let encoded = to_xtext(&text);
            prop_assert!(is_xtext(&encoded));
            prop_assert_eq!(from_xtext(&encoded), text);
        }

        #[test]
        fn no_input_makes_decoding_panic(text in any::<String>()) {
            let _ = from_xtext(&text);
        }
    }
}
