//! Codes of an authenticator app: RFC 6238 with SHA-1, six digits and thirty seconds, which is what every app speaks.

use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use data_encoding::BASE32_NOPAD;
use mail::time::Time;
use store::{Id, Tx, Value};

/// Octets of a key: as many as SHA-1 has, which RFC 4226 section 4 recommends.
pub(super) const KEY_OCTETS: usize = 20;
const STEP: Duration = Duration::from_secs(30);
const DIGITS: usize = 6;

/// Which thirty seconds these are, counted from 1970.
fn step_of(now: Time) -> i64 {
    now.as_micros() / i64::try_from(STEP.as_micros()).expect("half a minute is not long")
}

// RFC 4226 section 5.3: four octets at an offset that the last one names, without their top bit.
fn code(key: &[u8], step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag[tag.len() - 1] & 0x0f);
    let chosen: [u8; 4] = tag[offset..offset + 4].try_into().expect("four octets");
    let number = u32::from_be_bytes(chosen) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

/// The step that `given` is the code of: this one or a neighbour, for a clock that is a little wrong, and behind `used`.
// RFC 6238 section 5.2: a code is accepted once.
fn matching(key: &[u8], given: &str, used: i64, now: Time) -> Option<i64> {
    let step = step_of(now);
    (step - 1..=step + 1).find(|step| {
        let right = verify_slices_are_equal(code(key, *step).as_bytes(), given.as_bytes()).is_ok();
        right && *step > used
    })
}

/// What somebody typed, if it looks like a code of an app.
pub(super) fn digits(given: &str) -> Option<String> {
    let plain: String = given.chars().filter(|c| !c.is_whitespace()).collect();
    (plain.len() == DIGITS && plain.bytes().all(|b| b.is_ascii_digit())).then_some(plain)
}

/// The key as people type it.
// RFC 4648 section 6, without padding.
pub(super) fn typed(key: &[u8]) -> String {
    BASE32_NOPAD.encode(key)
}

/// Since when an app's codes count.
pub(super) fn since(tx: &mut Tx<'_>, login: Id) -> store::Result<Option<Time>> {
    let row = tx.query_opt(
        "SELECT since FROM totp WHERE login = $1 AND secret IS NOT NULL",
        &[(&login).into()],
    )?;
    row.map(|row| row.time(0)).transpose()
}

/// Remembers a key that counts when a code has shown that the app has it.
pub(super) fn begin(tx: &mut Tx<'_>, login: Id, key: &[u8], now: Time) -> store::Result<()> {
    tx.run(
        "INSERT INTO totp (login, secret, pending, used_step, since) VALUES ($1, NULL, $2, 0, $3) \
         ON CONFLICT (login) DO UPDATE SET pending = excluded.pending",
        &[(&login).into(), Value::Blob(key), now.into()],
    )
}

/// Lets the key that was begun count from now on. False where the code is not its code.
pub(super) fn confirm(tx: &mut Tx<'_>, login: Id, given: &str, now: Time) -> store::Result<bool> {
    let row = tx.query_opt("SELECT pending FROM totp WHERE login = $1", &[(&login).into()])?;
    let pending = row.map(|row| row.opt_bytes(0)).transpose()?.flatten();
    let Some(step) = pending.and_then(|key| matching(&key, given, 0, now)) else {
        return Ok(false);
    };
    tx.run(
        "UPDATE totp SET secret = pending, pending = NULL, used_step = $2, since = $3 WHERE login = $1",
        &[(&login).into(), step.into(), now.into()],
    )?;
    Ok(true)
}

/// Uses a code up: it and all before it are not taken again. Of two transactions with the same code one wins.
pub(super) fn take(tx: &mut Tx<'_>, login: Id, given: &str, now: Time) -> store::Result<bool> {
    let row = tx.query_opt(
        "SELECT secret, used_step FROM totp WHERE login = $1",
        &[(&login).into()],
    )?;
    let Some(row) = row else { return Ok(false) };
    let (Some(key), used) = (row.opt_bytes(0)?, row.int(1)?) else {
        return Ok(false);
    };
    let Some(step) = matching(&key, given, used, now) else {
        return Ok(false);
    };
    let taken = tx.execute(
        "UPDATE totp SET used_step = $2 WHERE login = $1 AND used_step < $2",
        &[(&login).into(), step.into()],
    )?;
    Ok(taken == 1)
}

pub(super) fn forget(tx: &mut Tx<'_>, login: Id) -> store::Result<()> {
    tx.run("DELETE FROM totp WHERE login = $1", &[(&login).into()])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238 appendix B.
    const KEY: &[u8] = b"12345678901234567890";

    #[test]
    fn the_codes_are_those_of_the_standard() {
        for (seconds, eight_digits) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            assert_eq!(code(KEY, step_of(Time::from_secs(seconds))), eight_digits[2..]);
        }
    }

    #[test]
    fn a_code_counts_a_step_early_and_a_step_late_and_no_more() {
        let now = Time::from_secs(1_800_000_000);
        let step = step_of(now);
        for (off, counts) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            let given = code(KEY, step + off);
            assert_eq!(matching(KEY, &given, 0, now).is_some(), counts, "{off}");
        }
    }

    #[test]
    fn a_code_that_was_used_and_those_before_it_count_no_more() {
        let now = Time::from_secs(1_800_000_000);
        let step = step_of(now);
        assert_eq!(matching(KEY, &code(KEY, step), step, now), None);
        assert_eq!(matching(KEY, &code(KEY, step - 1), step, now), None);
        assert_eq!(matching(KEY, &code(KEY, step + 1), step, now), Some(step + 1));
    }

    #[test]
    fn digits_may_be_typed_in_groups() {
        assert_eq!(digits(" 123 456\n").as_deref(), Some("123456"));
        for other in ["12345", "1234567", "12345a", "١٢٣٤٥٦", ""] {
            assert_eq!(digits(other), None, "{other}");
        }
    }
}
