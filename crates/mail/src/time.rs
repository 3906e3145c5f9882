//! A moment in microseconds UTC, and the two ways mail writes it down.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

/// Microseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    pub const EPOCH: Self = Self(0);

    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds, rounded towards the past.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Whole days since 1970-01-01, rounded towards the past.
    pub const fn day(self) -> i64 {
        self.as_secs().div_euclid(86_400)
    }

    /// The moment `later` after this one; stays at the end of time instead of wrapping.
    #[must_use]
    pub fn plus(self, later: Duration) -> Self {
        Self(self.0.saturating_add(micros(later)))
    }

    /// The moment `earlier` before this one.
    #[must_use]
    pub fn minus(self, earlier: Duration) -> Self {
        Self(self.0.saturating_sub(micros(earlier)))
    }

    /// The time passed since `earlier`; zero when `earlier` is in fact later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// `Mon, 23 Nov 2026 20:19:04 +0000`, as in Date and Received header fields.
    // RFC 5322 section 3.3
    pub fn rfc5322(self) -> String {
        self.timestamp()
            .strftime("%a, %d %b %Y %H:%M:%S +0000")
            .to_string()
    }

    /// `2026-11-23T20:19:04.123456Z`; the fraction is left out when it is zero.
    // RFC 3339 section 5.6
    pub fn rfc3339(self) -> String {
        self.timestamp().to_string()
    }

    /// Reads what [`Time::rfc3339`] writes, with any offset; `None` when it is not a moment.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let timestamp: Timestamp = text.parse().ok()?;
        Some(Self(timestamp.as_microsecond()))
    }

    /// Reads a date as header fields write it, with any offset and with the obsolete zone names; `None` when it is not a
    /// moment.
    // RFC 5322 sections 3.3 and 4.3
    pub fn parse_rfc5322(text: &str) -> Option<Self> {
        let timestamp = jiff::fmt::rfc2822::DateTimeParser::new()
            .parse_timestamp(text)
            .ok()?;
        Some(Self(timestamp.as_microsecond()))
    }

    /// Moments outside the years -9999 to 9999 are shown as the nearest one that has a name.
    fn timestamp(self) -> Timestamp {
        Timestamp::from_microsecond(self.0).unwrap_or(if self.0 < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        })
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.timestamp(), f)
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: Time = Time::from_micros(1_795_465_144_123_456);

    #[test]
    fn it_is_written_for_mail_and_for_json() {
        assert_eq!(SAMPLE.rfc5322(), "Mon, 23 Nov 2026 20:19:04 +0000");
        assert_eq!(SAMPLE.rfc3339(), "2026-11-23T20:19:04.123456Z");
        assert_eq!(Time::from_secs(0).rfc3339(), "1970-01-01T00:00:00Z");
        assert_eq!(Time::from_secs(0).rfc5322(), "Thu, 01 Jan 1970 00:00:00 +0000");
    }

    #[test]
    fn it_is_read_back_with_any_offset() {
        assert_eq!(Time::parse_rfc3339(&SAMPLE.rfc3339()), Some(SAMPLE));
        assert_eq!(
            Time::parse_rfc3339("1970-01-01T01:00:00+01:00"),
            Some(Time::EPOCH)
        );
        assert_eq!(Time::parse_rfc3339("yesterday"), None);
    }

    #[test]
    fn a_date_of_a_header_field_is_read_back_with_any_offset() {
        let noon = Some(Time::from_secs(1_795_521_600));
        for text in [
            "Tue, 24 Nov 2026 12:00:00 +0000",
            "24 Nov 2026 13:00 +0100",
            "Tue, 24 Nov 2026 12:00:00 GMT",
        ] {
            assert_eq!(Time::parse_rfc5322(text), noon, "{text}");
        }
        for text in ["", "24 Nov", "Mon, 24 Nov 2026 12:00:00 +0000", "tomorrow"] {
            assert_eq!(Time::parse_rfc5322(text), None, "{text}");
        }
    }

    #[test]
    fn arithmetic_never_wraps_and_never_panics() {
        let end = Time::from_micros(i64::MAX);
        assert_eq!(end.plus(Duration::MAX), end);
        assert_eq!(SAMPLE.since(end), Duration::ZERO);
        assert_eq!(
            SAMPLE.plus(Duration::from_mins(1)).since(SAMPLE),
            Duration::from_mins(1)
        );
        assert_eq!(SAMPLE.minus(Duration::from_mins(1)).as_secs(), 1_795_465_084);
        assert!(end.rfc3339().starts_with("9999-"));
    }

    #[test]
    fn a_day_starts_at_midnight_utc() {
        assert_eq!(Time::from_secs(86_399).day(), 0);
        assert_eq!(Time::from_secs(86_400).day(), 1);
        assert_eq!(Time::from_secs(-1).day(), -1);
    }
}
