//! Codes that people type from paper: 80 bits of chance, written as sixteen digits and letters in groups of four.

use std::sync::LazyLock;

use data_encoding::{Encoding, Specification};
use store::Ids;

use crate::token;

/// As a plain hash is kept of it, a code has to be out of reach of guessing.
const OCTETS: usize = 10;
const GROUP: usize = 4;
/// More than this is no code, however it was spaced.
const LONGEST: usize = 100;

/// Without the letters that are taken for digits, which are read as these.
static SIGNS: LazyLock<Encoding> = LazyLock::new(|| {
    let mut signs = Specification::new();
    signs.symbols.push_str("0123456789ABCDEFGHJKMNPQRSTVWXYZ");
    signs.translate.from.push_str("abcdefghjkmnpqrstvwxyzOoIiLl");
    signs.translate.to.push_str("ABCDEFGHJKMNPQRSTVWXYZ001111");
    signs.ignore.push_str("- \t\r\n");
    signs.encoding().expect("32 signs, each with one meaning")
});

/// A code, before it is shown or hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TypedCode([u8; OCTETS]);

impl TypedCode {
    pub(crate) fn new(ids: &Ids) -> Self {
        let random = ids.secret(OCTETS);
        Self(
            random
                .as_slice()
                .try_into()
                .expect("as many octets as were asked for"),
        )
    }

    /// What somebody typed, if it looks like a code.
    pub(crate) fn read(typed: &str) -> Option<Self> {
        let octets = SIGNS
            .decode(typed.get(..LONGEST).unwrap_or(typed).as_bytes())
            .ok()?;
        octets.try_into().ok().map(Self)
    }

    /// `ABCD-EFGH-JKMN-PQRS`
    pub(crate) fn shown(&self) -> String {
        let signs: Vec<char> = SIGNS.encode(&self.0).chars().collect();
        let groups: Vec<String> = signs.chunks(GROUP).map(|group| group.iter().collect()).collect();
        groups.join("-")
    }

    /// What is kept of it.
    pub(crate) fn hash(&self) -> [u8; 32] {
        token::hash(&SIGNS.encode(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_sixteen_signs_in_groups() {
        assert_eq!(TypedCode([0; OCTETS]).shown(), "0000-0000-0000-0000");
        assert_eq!(TypedCode([255; OCTETS]).shown(), "ZZZZ-ZZZZ-ZZZZ-ZZZZ");
    }

    #[test]
    fn a_code_is_read_however_it_was_typed() {
        let code = TypedCode([0, 1, 0x42, 0xff, 7, 200, 0x99, 3, 17, 255]);
        assert_eq!(TypedCode::read(&code.shown()), Some(code.clone()));
        let typed = code
            .shown()
            .to_lowercase()
            .replace('-', " ")
            .replace('0', "o")
            .replace('1', "l");
        assert_eq!(TypedCode::read(&format!(" {typed}\n")), Some(code));
        for not_one in [
            "",
            "ABCD",
            &"A".repeat(17),
            &"A".repeat(1_000),
            "ABCD-EFGH-JKMN-PQRU",
            "ÄBCD-EFGH-JKMN-PQRS",
        ] {
            assert_eq!(TypedCode::read(not_one), None, "{not_one}");
        }
    }

    #[test]
    fn every_bit_counts() {
        let mut seen = std::collections::HashSet::from([TypedCode([0; OCTETS]).hash()]);
        for bit in 0..OCTETS * 8 {
            let mut octets = [0; OCTETS];
            octets[bit / 8] = 1 << (bit % 8);
            assert!(seen.insert(TypedCode(octets).hash()), "bit {bit}");
        }
    }
}
