//! The `X-Posthouse-*` header fields by which a sender steers one message: read on its way in, and passed on to nobody.

use std::time::Duration;

use super::head::{Field, Head};
use super::kept_back::is_steering;
use crate::time::Time;

/// Tags of one message.
pub const MOST_TAGS: usize = 10;
/// Octets of one tag.
pub const TAG_OCTETS: usize = 64;
/// Octets of an idempotency key.
pub const KEY_OCTETS: usize = 255;
/// Octets of a stream's name.
pub const STREAM_OCTETS: usize = 40;
/// How far ahead a message can be scheduled.
pub const LONGEST_WAIT: Duration = Duration::from_hours(30 * 24);
/// A time that passed longer ago was hardly meant: a wrong zone or year, or a message that lay around somewhere.
pub const LONGEST_PAST: Duration = Duration::from_hours(1);

/// What a sender says about one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steering {
    /// The name of the stream that it belongs to.
    pub stream: Option<String>,
    /// In lower case, each once, in the order given.
    pub tags: Vec<String>,
    pub track: Option<Track>,
    /// Whether it has a link to unsubscribe by, whatever its stream says.
    pub unsubscribe: Option<bool>,
    pub idempotency_key: Option<String>,
    /// It is kept in the local inbox and reaches nobody.
    pub sandbox: bool,
    /// When it is to leave.
    pub send_at: Option<Time>,
}

/// What is tracked of one message, whatever its stream says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Track {
    pub opens: bool,
    pub clicks: bool,
}

/// A header field that does not say what it has to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {header} header field {fault}")]
pub struct SteerError {
    /// As it is spelt here; what there is not as its sender wrote it, shortened.
    pub header: String,
    pub fault: SteerFault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SteerFault {
    #[error("is none that this server knows")]
    Unknown,
    #[error("may be there only once")]
    Twice,
    #[error("is not text in UTF-8, or holds a control character")]
    NotText,
    #[error("needs the name of a stream: 1 to {STREAM_OCTETS} letters, digits and inner hyphens")]
    BadStream,
    #[error("has more than {MOST_TAGS} tags")]
    TooManyTags,
    #[error("has a tag of more than {TAG_OCTETS} octets")]
    LongTag,
    #[error("has a tag without a letter in it")]
    EmptyTag,
    #[error("needs \"opens\", \"clicks\", both, or \"none\"")]
    BadTrack,
    #[error("needs \"on\" or \"off\"")]
    BadSwitch,
    #[error("needs 1 to {KEY_OCTETS} octets")]
    BadKey,
    #[error("needs a date and time with its zone, such as 2027-01-31T09:00:00+01:00")]
    BadTime,
    #[error("names a time that is over")]
    PastTime,
    #[error("names a time more than 30 days ahead")]
    FarTime,
}

impl Steering {
    /// Reads the fields that steer a message which came in at `now`; those that are not ours are looked over.
    pub fn parse(head: &Head<'_>, now: Time) -> Result<Self, SteerError> {
        let mut steering = Self::default();
        let mut seen = Vec::new();
        for field in head.fields().iter().filter(|field| is_steering(field.name)) {
            steering.read(field, &mut seen, now).map_err(|fault| SteerError {
                header: spelling(field.name),
                fault,
            })?;
        }
        Ok(steering)
    }

    fn read(&mut self, field: &Field<'_>, seen: &mut Vec<&'static str>, now: Time) -> Result<(), SteerFault> {
        let name = known(field.name).ok_or(SteerFault::Unknown)?;
        if name != TAG {
            if seen.contains(&name) {
                return Err(SteerFault::Twice);
            }
            seen.push(name);
        }
        let text = text(field)?;
        match name {
            TAG => {
                for one in text.split(',') {
                    self.add_tag(one)?;
                }
            }
            STREAM => self.stream = Some(stream(&text)?),
            TRACK => self.track = Some(track(&text)?),
            UNSUBSCRIBE => self.unsubscribe = Some(switch(&text)?),
            KEY => self.idempotency_key = Some(idempotency_key(&text)?),
            SANDBOX => self.sandbox = switch(&text)?,
            _ => self.send_at = Some(send_at(&text, now)?),
        }
        Ok(())
    }

    /// Adds a tag, unless it is there already.
    pub fn add_tag(&mut self, text: &str) -> Result<(), SteerFault> {
        let tag = text.trim().to_lowercase();
        if tag.len() > TAG_OCTETS {
            return Err(SteerFault::LongTag);
        }
        if tag.chars().any(|c| c.is_control() || c == ',') {
            return Err(SteerFault::NotText);
        }
        if !tag.chars().any(char::is_alphanumeric) {
            return Err(SteerFault::EmptyTag);
        }
        if self.tags.contains(&tag) {
            return Ok(());
        }
        if self.tags.len() == MOST_TAGS {
            return Err(SteerFault::TooManyTags);
        }
        self.tags.push(tag);
        Ok(())
    }
}

const STREAM: &str = "X-Posthouse-Stream";
const TAG: &str = "X-Posthouse-Tag";
const TRACK: &str = "X-Posthouse-Track";
const UNSUBSCRIBE: &str = "X-Posthouse-Unsubscribe";
const KEY: &str = "X-Posthouse-Idempotency-Key";
const SANDBOX: &str = "X-Posthouse-Sandbox";
const SEND_AT: &str = "X-Posthouse-Send-At";
const ALL: [&str; 7] = [STREAM, TAG, TRACK, UNSUBSCRIBE, KEY, SANDBOX, SEND_AT];

fn known(name: &str) -> Option<&'static str> {
    ALL.into_iter().find(|known| known.eq_ignore_ascii_case(name))
}

fn spelling(name: &str) -> String {
    known(name).map_or_else(|| name.chars().take(60).collect(), str::to_owned)
}

/// The value as one line, encoded words decoded.
fn text(field: &Field<'_>) -> Result<String, SteerFault> {
    if std::str::from_utf8(field.value).is_err() {
        return Err(SteerFault::NotText);
    }
    let text = field.decoded();
    if text
        .chars()
        .any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER)
    {
        return Err(SteerFault::NotText);
    }
    Ok(text)
}

/// The name of a stream, in lower case.
pub fn stream(text: &str) -> Result<String, SteerFault> {
    let name = text.trim().to_ascii_lowercase();
    let fine = (1..=STREAM_OCTETS).contains(&name.len())
        && !name.starts_with('-')
        && !name.ends_with('-')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    fine.then_some(name).ok_or(SteerFault::BadStream)
}

/// A key, as it stands: two that differ in case are two.
pub fn idempotency_key(text: &str) -> Result<String, SteerFault> {
    let key = text.trim();
    if key.is_empty() || key.len() > KEY_OCTETS {
        return Err(SteerFault::BadKey);
    }
    if key.chars().any(char::is_control) {
        return Err(SteerFault::NotText);
    }
    Ok(key.to_owned())
}

/// A time to leave at, seen from `now`: RFC 3339, or as the Date field has it.
pub fn send_at(text: &str, now: Time) -> Result<Time, SteerFault> {
    let text = text.trim();
    let at = Time::parse_rfc3339(text).or_else(|| Time::parse_rfc5322(text));
    let at = at.ok_or(SteerFault::BadTime)?;
    if at > now.plus(LONGEST_WAIT) {
        return Err(SteerFault::FarTime);
    }
    if at < now.minus(LONGEST_PAST) {
        return Err(SteerFault::PastTime);
    }
    Ok(at)
}

fn track(text: &str) -> Result<Track, SteerFault> {
    let mut track = Track::default();
    if text.trim().eq_ignore_ascii_case("none") {
        return Ok(track);
    }
    for word in text.split(',').map(|word| word.trim().to_ascii_lowercase()) {
        match word.as_str() {
            "opens" => track.opens = true,
            "clicks" => track.clicks = true,
            _ => return Err(SteerFault::BadTrack),
        }
    }
    Ok(track)
}

fn switch(text: &str) -> Result<bool, SteerFault> {
    let word = text.trim().to_ascii_lowercase();
    match word.as_str() {
        "on" | "yes" | "true" | "1" => Ok(true),
        "off" | "no" | "false" | "0" => Ok(false),
        _ => Err(SteerFault::BadSwitch),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Time = Time::from_secs(1_795_521_600); // 2026-11-24T12:00:00Z

    fn steering(fields: &str) -> Result<Steering, SteerFault> {
        let raw = format!("From: a@b.example\r\n{fields}\r\nHi.\r\n");
        let head = Head::parse(raw.as_bytes()).unwrap();
        Steering::parse(&head, NOW).map_err(|error| error.fault)
    }

    fn tags(fields: &str) -> Result<Vec<String>, SteerFault> {
        steering(fields).map(|steering| steering.tags)
    }

    #[test]
    fn every_field_is_read_whatever_its_case_and_folding() {
        let all = "X-Posthouse-Stream: Marketing\r\nx-posthouse-tag: order, Invoice 7\r\nX-POSTHOUSE-TAG :\r\n\tsecond\r\n\
                   X-Posthouse-Track: opens\r\nX-Posthouse-Unsubscribe: off\r\nX-Posthouse-Idempotency-Key: Order-4711 \r\n\
                   X-Posthouse-Sandbox: yes\r\nX-Posthouse-Send-At: 2026-11-25T09:00:00+01:00\r\n";
        let read = steering(all).unwrap();
        assert_eq!(
            read,
            Steering {
                stream: Some("marketing".into()),
                tags: vec!["order".into(), "invoice 7".into(), "second".into()],
                track: Some(Track {
                    opens: true,
                    clicks: false
                }),
                unsubscribe: Some(false),
                idempotency_key: Some("Order-4711".into()),
                sandbox: true,
                send_at: Some(Time::from_secs(1_795_521_600 + 20 * 3600)),
            }
        );
        assert_eq!(steering(""), Ok(Steering::default()));
        assert_eq!(
            steering("X-Mailer: x\r\nX-Posthouse: y\r\n"),
            Ok(Steering::default())
        );
    }

    #[test]
    fn a_field_that_is_unknown_or_there_twice_is_no_guess_of_ours() {
        let unknown = "X-Posthouse-Sandbx: on\r\n";
        assert_eq!(steering(unknown), Err(SteerFault::Unknown));
        for name in [
            "Stream",
            "Sandbox",
            "Idempotency-Key",
            "Send-At",
            "Track",
            "Unsubscribe",
        ] {
            let value = match name {
                "Send-At" => "2026-11-25T09:00:00Z",
                "Track" => "none",
                "Stream" | "Idempotency-Key" => "a",
                _ => "on",
            };
            let twice = format!("X-Posthouse-{name}: {value}\r\n").repeat(2);
            assert_eq!(steering(&twice), Err(SteerFault::Twice), "{name}");
        }
        let raw = format!("X-Posthouse-{}: on\r\n\r\n", "a".repeat(900));
        let error = Steering::parse(&Head::parse(raw.as_bytes()).unwrap(), NOW).unwrap_err();
        assert!(error.to_string().len() < 120, "{error}");
    }

    #[test]
    fn tags_are_few_short_and_each_there_once() {
        assert_eq!(
            tags("X-Posthouse-Tag: a,A , b\r\nX-Posthouse-Tag: B\r\n").unwrap(),
            ["a", "b"]
        );
        assert_eq!(
            tags("X-Posthouse-Tag: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n").unwrap(),
            ["grüße"]
        );
        let many = |count: usize| {
            let fields: Vec<String> = (0..count).map(|n| format!("X-Posthouse-Tag: t{n}\r\n")).collect();
            tags(&fields.concat()).map(|tags| tags.len())
        };
        assert_eq!(many(10), Ok(10));
        assert_eq!(many(11), Err(SteerFault::TooManyTags));
        let long = |octets: usize| tags(&format!("X-Posthouse-Tag: {}\r\n", "t".repeat(octets)));
        assert!(long(64).is_ok());
        assert_eq!(long(65), Err(SteerFault::LongTag));
        for (value, fault) in [
            ("", SteerFault::EmptyTag),
            ("a,,b", SteerFault::EmptyTag),
            ("--", SteerFault::EmptyTag),
            ("a\u{0}b", SteerFault::NotText),
            ("=?utf-8?q?a=0D=0ABcc:_b?=", SteerFault::NotText),
            ("=?utf-8?b?YQpi?=", SteerFault::NotText),
        ] {
            assert_eq!(
                tags(&format!("X-Posthouse-Tag: {value}\r\n")),
                Err(fault),
                "{value:?}"
            );
        }
        let raw = b"X-Posthouse-Tag: \xff\xfe\r\n\r\n";
        let error = Steering::parse(&Head::parse(raw).unwrap(), NOW).unwrap_err();
        assert_eq!(error.fault, SteerFault::NotText);
    }

    #[test]
    fn a_value_that_says_something_else_is_refused_and_names_its_field() {
        let raw = "X-POSTHOUSE-sandbox: maybe\r\n\r\n";
        let error = Steering::parse(&Head::parse(raw.as_bytes()).unwrap(), NOW).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the X-Posthouse-Sandbox header field needs \"on\" or \"off\""
        );
        for (field, fault) in [
            ("Stream: a b", SteerFault::BadStream),
            ("Stream: -a", SteerFault::BadStream),
            ("Stream: a_b", SteerFault::BadStream),
            ("Stream: ", SteerFault::BadStream),
            ("Track: all", SteerFault::BadTrack),
            ("Track: opens,", SteerFault::BadTrack),
            ("Unsubscribe: ", SteerFault::BadSwitch),
            ("Idempotency-Key: ", SteerFault::BadKey),
        ] {
            assert_eq!(
                steering(&format!("X-Posthouse-{field}\r\n")),
                Err(fault),
                "{field}"
            );
        }
        let long = |octets: usize| {
            steering(&format!(
                "X-Posthouse-Idempotency-Key: {}\r\n",
                "k".repeat(octets)
            ))
        };
        assert!(long(255).is_ok());
        assert_eq!(long(256), Err(SteerFault::BadKey));
        let name = |octets: usize| steering(&format!("X-Posthouse-Stream: {}\r\n", "s".repeat(octets)));
        assert!(name(40).is_ok());
        assert_eq!(name(41), Err(SteerFault::BadStream));
    }

    #[test]
    fn a_time_to_leave_has_a_zone_and_lies_within_thirty_days() {
        let at = |text: &str| send_at(text, NOW);
        assert_eq!(at("2026-12-24T12:00:00Z"), Ok(NOW.plus(LONGEST_WAIT)));
        assert_eq!(at("2026-12-24T12:00:01Z"), Err(SteerFault::FarTime));
        assert_eq!(
            at("Tue, 24 Nov 2026 14:00:00 +0100"),
            Ok(NOW.plus(Duration::from_hours(1)))
        );
        assert_eq!(at("2026-11-24T11:00:00Z"), Ok(NOW.minus(LONGEST_PAST)));
        assert_eq!(at("2026-11-24T10:59:59Z"), Err(SteerFault::PastTime));
        for text in ["2026-11-25", "2026-11-25T09:00:00", "tomorrow", "1795521600", ""] {
            assert_eq!(at(text), Err(SteerFault::BadTime), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_value_brings_a_control_character_or_breaks_a_limit(
            name in 0..7_usize, value in proptest::collection::vec(prop_oneof![
                Just(b','), Just(b'='), Just(b'?'), Just(b' '), Just(b'\r'), Just(b'\n'), Just(b'a'), any::<u8>()], 0..400)
        ) {
            let mut raw = format!("{}: ", ALL[name]).into_bytes();
            raw.extend_from_slice(&value);
            raw.extend_from_slice(b"\r\n\r\n");
            let head = Head::parse(&raw).unwrap();
            if let Ok(read) = Steering::parse(&head, NOW) {
                prop_assert!(read.tags.len() <= MOST_TAGS);
                for text in read.tags.iter().chain(&read.stream).chain(&read.idempotency_key) {
                    prop_assert!(!text.is_empty() && text.len() <= KEY_OCTETS && !text.chars().any(char::is_control));
                }
                prop_assert!(read.tags.iter().all(|tag| tag.len() <= TAG_OCTETS && !tag.contains(',')));
                prop_assert!(read.send_at.is_none_or(|at| at <= NOW.plus(LONGEST_WAIT)));
            }
        }

        #[test]
        fn what_was_read_is_read_again_the_same(
            tags in proptest::collection::vec("[a-z][a-z0-9 ._/-]{0,62}[a-z0-9]", 0..10), stream in "[a-z0-9]{1,40}"
        ) {
            let mut fields = format!("X-Posthouse-Stream: {stream}\r\n");
            for tag in &tags {
                fields += "X-Posthouse-Tag: ";
                fields += tag;
                fields += "\r\n";
            }
            let read = steering(&fields).unwrap();
            prop_assert_eq!(read.stream.as_deref(), Some(stream.as_str()));
            for tag in &read.tags {
                prop_assert!(tags.iter().any(|given| given.split_whitespace().eq(tag.split_whitespace())));
            }
        }
    }
}
