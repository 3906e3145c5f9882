//! Signed tokens: what stands for one recipient of one message in a return path or a link, and cannot be made by anybody else.
//!
//! The text is lower-case Base32 of message, ordinal, day and a cut HMAC, because local parts get folded on their way. What it is
//! for is signed with it, so a token of one purpose opens nothing of another.

use aws_lc_rs::hmac;
use data_encoding::BASE32_NOPAD;
use mail::time::Time;
use store::Id;

/// Octets of the HMAC that are kept: nobody guesses one of 2^80, and each try is a command on a connection that ends after twenty.
const KEPT: usize = 10;
/// Octets that are signed: message, ordinal, day.
const SIGNED: usize = 16 + 2 + 2;
/// The most octets of a token: what is signed, the number of a link, HMAC.
const MOST: usize = SIGNED + 2 + KEPT;

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Where reports about the message go.
    ReturnPath,
    /// The link and the address by which a recipient unsubscribes.
    Unsubscribe,
    /// The picture that tells of opening.
    Open,
    /// A link, which is named as well.
    Click,
}

impl Purpose {
    /// Signed, never written.
    const fn name(self) -> &'static [u8] {
        match self {
            Self::ReturnPath => b"return path",
            Self::Unsubscribe => b"unsubscribe",
            Self::Open => b"open",
            Self::Click => b"click",
        }
    }

    /// How many days a token counts.
    pub const fn days(self) -> i64 {
        match self {
            // Five days on the way, and complaints come weeks later.
            Self::ReturnPath => 30,
            // For as long as the message is known: people look for the link in an old mail.
            Self::Unsubscribe => 366,
            // A link in an old message still leads where it led.
            Self::Open | Self::Click => 400,
        }
    }
}

/// One recipient of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct About {
    pub message: Id,
    pub ordinal: u32,
}

/// The token of a recipient; none where the message has more recipients than there are numbers for.
pub fn make(key: &hmac::Key, purpose: Purpose, about: About, now: Time) -> Option<String> {
    written(key, purpose, (about, &[]), now)
}

/// The token of a recipient and one link of its message.
pub fn make_click(key: &hmac::Key, about: About, link: u16, now: Time) -> Option<String> {
    written(key, Purpose::Click, (about, &link.to_be_bytes()), now)
}

/// Whom a token stands for; none where it is forged, altered, for something else or too old.
pub fn read(key: &hmac::Key, purpose: Purpose, text: &str, now: Time) -> Option<About> {
    checked::<0>(key, purpose, text, now).map(|(about, _)| about)
}

/// Whom the token of a link stands for, and for which link.
pub fn read_click(key: &hmac::Key, text: &str, now: Time) -> Option<(About, u16)> {
    let (about, link) = checked(key, Purpose::Click, text, now)?;
    Some((about, u16::from_be_bytes(link)))
}

fn written(key: &hmac::Key, purpose: Purpose, (about, rest): (About, &[u8]), now: Time) -> Option<String> {
    let ordinal = u16::try_from(about.ordinal).ok()?;
    let day = u16::try_from(now.day()).ok()?;
    let mut octets = Vec::with_capacity(MOST);
    octets.extend_from_slice(about.message.as_bytes());
    octets.extend_from_slice(&ordinal.to_be_bytes());
    octets.extend_from_slice(&day.to_be_bytes());
    octets.extend_from_slice(rest);
    let tag = tag(key, purpose, &octets);
    octets.extend_from_slice(&tag.as_ref()[..KEPT]);
    Some(BASE32_NOPAD.encode(&octets).to_lowercase())
}

/// What a token says beside whom it is about takes `REST` octets.
fn checked<const REST: usize>(
    key: &hmac::Key,
    purpose: Purpose,
    text: &str,
    now: Time,
) -> Option<(About, [u8; REST])> {
    // Nothing longer is taken apart, whoever wrote it.
    if text.len() > 2 * MOST {
        return None;
    }
    let octets = BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).ok()?;
    if octets.len() != SIGNED + REST + KEPT {
        return None;
    }
    let (said, sign) = octets.split_at(SIGNED + REST);
    aws_lc_rs::constant_time::verify_slices_are_equal(&tag(key, purpose, said).as_ref()[..KEPT], sign)
        .ok()?;
    let mut message = [0; 16];
    message.copy_from_slice(&said[..16]);
    let day = i64::from(u16::from_be_bytes([said[18], said[19]]));
    let about = About {
        message: Id::from_bytes(message),
        ordinal: u32::from(u16::from_be_bytes([said[16], said[17]])),
    };
    // Clocks of nodes differ, and a day may begin between them.
    (now.day() - purpose.days()..=now.day() + 1)
        .contains(&day)
        .then_some((about, said[SIGNED..].try_into().ok()?))
}

fn tag(key: &hmac::Key, purpose: Purpose, said: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    context.update(purpose.name());
    context.update(&[0]);
    context.update(said);
    context.sign()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const NOW: Time = Time::from_secs(1_796_000_000);

    fn key(text: &str) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes())
    }

    fn about(ordinal: u32) -> About {
        About {
            message: Id::from_bytes([7; 16]),
            ordinal,
        }
    }

    #[test]
    fn a_token_counts_for_thirty_days_and_for_its_own_key() {
        let token = make(&key("a"), Purpose::ReturnPath, about(999), NOW).unwrap();
        assert_eq!(token.len(), 48);
        let days = |days: u64| NOW.plus(Duration::from_hours(24 * days));
        let read = |key: &hmac::Key, now| read(key, Purpose::ReturnPath, &token, now);
        assert_eq!(read(&key("a"), NOW), Some(about(999)));
        assert_eq!(read(&key("a"), days(30)), Some(about(999)));
        assert_eq!(read(&key("a"), days(31)), None);
        assert_eq!(read(&key("a"), NOW.minus(Duration::from_hours(72))), None);
        assert_eq!(read(&key("b"), NOW), None);
        assert_eq!(make(&key("a"), Purpose::ReturnPath, about(65_536), NOW), None);
    }

    #[test]
    fn folded_on_its_way_it_counts_all_the_same() {
        let token = make(&key("a"), Purpose::ReturnPath, about(3), NOW).unwrap();
        assert_eq!(
            read(&key("a"), Purpose::ReturnPath, &token.to_uppercase(), NOW),
            Some(about(3))
        );
    }

    #[test]
    fn the_token_of_a_link_names_it_and_opens_nothing_else() {
        let key = key("a");
        let token = make_click(&key, about(3), 7, NOW).unwrap();
        assert!(token.len() <= 60, "{token}");
        assert_eq!(read_click(&key, &token, NOW), Some((about(3), 7)));
        assert_eq!(read(&key, Purpose::Click, &token, NOW), None);
        let open = make(&key, Purpose::Open, about(3), NOW).unwrap();
        assert_eq!(read(&key, Purpose::Open, &open, NOW), Some(about(3)));
        assert_eq!(read(&key, Purpose::ReturnPath, &open, NOW), None);
        assert_eq!(read_click(&key, &open, NOW), None);
        let late = NOW.plus(Duration::from_hours(24 * 401));
        assert_eq!(read_click(&key, &token, late), None);
    }

    proptest! {
        #[test]
        fn no_octet_of_it_can_be_changed(place in 0..48_usize, sign in "[a-z2-7]") {
            let token = make(&key("a"), Purpose::ReturnPath, about(3), NOW).unwrap();
            let mut altered = token.clone();
            altered.replace_range(place..=place, &sign);
            let found = read(&key("a"), Purpose::ReturnPath, &altered, NOW);
            prop_assert_eq!(found.is_some(), altered == token);
        }

        #[test]
        fn no_text_makes_it_panic(text in "(?s).{0,80}") {
            prop_assert_eq!(read(&key("a"), Purpose::ReturnPath, &text, NOW), None);
        }
    }
}
