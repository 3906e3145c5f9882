//! How connections are made and how long each step may take.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use mail::smtp::client::Wait;

/// The patience for each step (RFC 5321 section 4.5.3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Duration,
    pub tls_handshake: Duration,
    pub banner: Duration,
    /// EHLO, HELO, STARTTLS and AUTH.
    pub hello: Duration,
    pub mail: Duration,
    pub rcpt: Duration,
    pub data_start: Duration,
    /// One block of the message, and any other write.
    pub data_block: Duration,
    pub data_end: Duration,
    pub quit: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            tls_handshake: Duration::from_mins(1),
            banner: Duration::from_mins(5),
            hello: Duration::from_mins(5),
            mail: Duration::from_mins(5),
            rcpt: Duration::from_mins(5),
            data_start: Duration::from_mins(2),
            data_block: Duration::from_mins(3),
            data_end: Duration::from_mins(10),
            // Nothing depends on the answer.
            quit: Duration::from_secs(2),
        }
    }
}

impl Timeouts {
    pub(super) fn of(&self, wait: Wait) -> Duration {
        match wait {
            Wait::Banner => self.banner,
            Wait::Hello | Wait::StartTls | Wait::Auth => self.hello,
            Wait::Mail | Wait::Reset => self.mail,
            Wait::Rcpt => self.rcpt,
            Wait::DataStart => self.data_start,
            Wait::DataEnd => self.data_end,
        }
    }
}

#[derive(Clone, Debug)]
pub struct CarrySettings {
    /// Our name for EHLO.
    pub hostname: String,
    pub timeouts: Timeouts,
    /// Addresses of our own to connect from.
    pub source_v4: Option<Ipv4Addr>,
    pub source_v6: Option<Ipv6Addr>,
    /// PEM file of further authorities, beside the system's, for smarthosts with verified TLS.
    pub ca_file: Option<PathBuf>,
    /// A connection is closed after so many messages.
    pub messages_per_connection: u32,
}

impl CarrySettings {
    pub fn new(hostname: impl Into<String>) -> Self {
        Self {
            hostname: hostname.into(),
            timeouts: patience(),
            source_v4: None,
            source_v6: None,
            ca_file: None,
            messages_per_connection: 1_000,
        }
    }
}

/// Names the milliseconds of every step, and behind a comma those of the answer to a message where it is waited for longer: for
/// tests of the real server against silent ones. Debug builds only.
#[cfg(debug_assertions)]
const PATIENCE: &str = "POSTHOUSE_TEST_PATIENCE";

#[cfg(debug_assertions)]
fn patience() -> Timeouts {
    let ordered = std::env::var(PATIENCE).unwrap_or_default();
    let mut ordered = ordered
        .split(',')
        .map_while(|text| text.parse().ok())
        .map(Duration::from_millis);
    let Some(all) = ordered.next() else {
        return Timeouts::default();
    };
    Timeouts {
        connect: all,
        tls_handshake: all,
        banner: all,
        hello: all,
        mail: all,
        rcpt: all,
        data_start: all,
        data_block: all,
        data_end: ordered.next().unwrap_or(all),
        quit: all,
    }
}

#[cfg(not(debug_assertions))]
fn patience() -> Timeouts {
    Timeouts::default()
}
