//! Recovery codes: ten that open the second step once each, for whoever lost app and passkeys.

use store::{Id, Tx, Value};

use crate::token;

/// Codes of one set.
pub(super) const CODES: usize = 10;
/// Octets of randomness in one: as a plain hash is kept of it, it has to be out of reach of guessing.
pub(super) const OCTETS: usize = 10;

/// Without the letters that are taken for digits.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// `3f9k-…`: sixteen signs in four groups.
pub(super) fn shown(random: &[u8]) -> String {
    let mut text = String::new();
    for five in random.chunks(5) {
        let bits = five
            .iter()
            .fold(0u64, |bits, octet| bits << 8 | u64::from(*octet));
        for place in (0..8).rev() {
            if text.len() % 5 == 4 {
                text.push('-');
            }
            text.push(char::from(ALPHABET[(bits >> (place * 5) & 31) as usize]));
        }
    }
    text
}

/// A code as it is hashed, however it was typed.
fn plain(given: &str) -> String {
    given
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| match c.to_ascii_lowercase() {
            'o' => '0',
            'i' | 'l' => '1',
            c => c,
        })
        .collect()
}

/// Puts a new set in the old one's place.
pub(super) fn replace(tx: &mut Tx<'_>, login: Id, codes: &[String]) -> store::Result<()> {
    forget(tx, login)?;
    for code in codes {
        tx.run(
            "INSERT INTO recovery_codes (login, code_hash) VALUES ($1, $2)",
            &[(&login).into(), Value::Blob(&token::hash(&plain(code)))],
        )?;
    }
    Ok(())
}

/// Uses a code up. Of two transactions with the same code one wins.
pub(super) fn take(tx: &mut Tx<'_>, login: Id, given: &str) -> store::Result<bool> {
    let taken = tx.execute(
        "DELETE FROM recovery_codes WHERE login = $1 AND code_hash = $2",
        &[(&login).into(), Value::Blob(&token::hash(&plain(given)))],
    )?;
    Ok(taken == 1)
}

pub(super) fn left(tx: &mut Tx<'_>, login: Id) -> store::Result<i64> {
    let row = tx.query_opt(
        "SELECT count(*) FROM recovery_codes WHERE login = $1",
        &[(&login).into()],
    )?;
    row.map_or(Ok(0), |row| row.int(0))
}

pub(super) fn forget(tx: &mut Tx<'_>, login: Id) -> store::Result<()> {
    tx.run("DELETE FROM recovery_codes WHERE login = $1", &[(&login).into()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_sixteen_signs_in_groups() {
        assert_eq!(shown(&[0; OCTETS]), "0000-0000-0000-0000");
        assert_eq!(shown(&[255; OCTETS]), "zzzz-zzzz-zzzz-zzzz");
    }

    #[test]
    fn a_code_may_be_typed_as_people_do() {
        assert_eq!(plain(" 3F9K 1ab0-"), "3f9k1ab0");
        assert_eq!(plain("3f9k-lAbO"), "3f9k1ab0");
    }
}
