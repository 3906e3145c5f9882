//! The types a key can have, each with what it expects, how it is read and how it is shown.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use outbound::route::Route;
use store::DatabaseUrl;

use super::source::Value;

/// A value that does not fit its type; the text says more than "expected ..." could, if there is more to say.
#[derive(Debug, PartialEq, Eq)]
pub struct Misfit(pub Option<String>);

impl Misfit {
    pub fn plain() -> Self {
        Self(None)
    }

    pub fn because(why: impl Into<String>) -> Self {
        Self(Some(why.into()))
    }
}

/// A type that a key can have.
pub trait Setting: Sized {
    /// Whether the value is kept out of messages.
    const SECRET: bool = false;

    /// Completes "expected ...", with an example.
    fn expected() -> Cow<'static, str>;

    fn read(value: &Value) -> Result<Self, Misfit>;

    /// The value as TOML, without its secrets.
    fn show(&self) -> String;
}

/// Text of a string, a variable or a default.
fn text(value: &Value) -> Result<&str, Misfit> {
    match value {
        Value::Text(text) | Value::Untyped(text) => Ok(text.trim()),
        _ => Err(Misfit::plain()),
    }
}

/// Text of a number or a boolean, which the environment cannot tell from other text.
fn bare(value: &Value) -> Result<&str, Misfit> {
    match value {
        Value::Bare(text) | Value::Untyped(text) => Ok(text.trim()),
        _ => Err(Misfit::plain()),
    }
}

fn parsed<T: std::str::FromStr>(text: &str) -> Result<T, Misfit> {
    text.parse().map_err(|_| Misfit::plain())
}

impl Setting for String {
    fn expected() -> Cow<'static, str> {
        "text".into()
    }

    fn read(value: &Value) -> Result<Self, Misfit> {
        Ok(text(value)?.to_owned())
    }

    fn show(&self) -> String {
        toml::Value::String(self.clone()).to_string()
    }
}

impl Setting for PathBuf {
    fn expected() -> Cow<'static, str> {
        "a path such as \"/var/lib/posthouse\"".into()
    }

    fn read(value: &Value) -> Result<Self, Misfit> {
        let path = text(value)?;
        if path.is_empty() {
            Err(Misfit::because("the path is empty"))
        } else {
            Ok(path.into())
        }
    }

    fn show(&self) -> String {
        self.display().to_string().show()
    }
}

impl Setting for bool {
    fn expected() -> Cow<'static, str> {
        "true or false".into()
    }

    fn read(value: &Value) -> Result<Self, Misfit> {
        parsed(bare(value)?)
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for NonZeroU16 {
    fn expected() -> Cow<'static, str> {
        "a number from 1 to 65535".into()
    }

    fn read(value: &Value) -> Result<Self, Misfit> {
        parsed(bare(value)?)
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for NonZeroU32 {
    fn expected() -> Cow<'static, str> {
        "a whole number from 1".into()
    }

    fn read(value: &Value) -> Result<Self, Misfit> {
        parsed(bare(value)?)
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for u32 {
    fn expected() -> Cow<'static, str> {
        "a whole number from 0".into()
    }

    fn read(value: &Value) -> Result<Self, Misfit> {
        parsed(bare(value)?)
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// Unset is written as empty text, so that a variable can take a value of the file back.
impl<T: Setting> Setting for Option<T> {
    const SECRET: bool = T::SECRET;

    fn expected() -> Cow<'static, str> {
        T::expected()
    }

    fn read(value: &Value) -> Result<Self, Misfit> {
        match value {
            Value::Text(text) | Value::Untyped(text) if text.trim().is_empty() => Ok(None),
            value => T::read(value).map(Some),
        }
    }

    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "\"\"".to_owned(), Setting::show)
    }
}

/// A TOML array; a variable, or a single string in the file, holds its items parted by commas.
impl<T: Setting> Setting for Vec<T> {
    const SECRET: bool = T::SECRET;

    fn expected() -> Cow<'static, str> {
        format!("a list, each item {}", T::expected()).into()
    }

    fn read(value: &Value) -> Result<Self, Misfit> {
        match value {
            Value::List(items) => items
                .iter()
                .map(|item| {
                    T::read(item).map_err(|misfit| match misfit {
                        Misfit(Some(why)) => Misfit(Some(why)),
                        Misfit(None) => Misfit::because(format!("{} is not an item for it", item.quoted())),
                    })
                })
                .collect(),
            Value::Text(text) | Value::Untyped(text) => {
                // An IPv6 address begins with a bracket too, so only what is an array as a whole is taken for one.
                if let Ok(array) = text.parse::<toml::Value>()
                    && let toml::Value::Array(items) = array
                {
                    let items = items.into_iter().map(|item| match item {
                        toml::Value::String(text) => Value::Text(text),
                        other => Value::Bare(other.to_string()),
                    });
                    return Self::read(&Value::List(items.collect()));
                }
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Self::read(&Value::List(
                    items.map(|item| Value::Untyped(item.to_owned())).collect(),
                ))
            }
            _ => Err(Misfit::plain()),
        }
    }

    fn show(&self) -> String {
        format!(
            "[{}]",
            self.iter().map(Setting::show).collect::<Vec<_>>().join(", ")
        )
    }
}

const UNITS_OF_TIME: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

impl Setting for Duration {
    fn expected() -> Cow<'static, str> {
        "a duration such as \"30s\", \"5m\", \"2h\", \"1h30m\" or \"5d\"".into()
    }

    fn read(value: &Value) -> Result<Self, Misfit> {
        if matches!(value, Value::Bare(_)) {
            return Err(Misfit::because("the unit is missing"));
        }
        let mut rest = text(value)?;
        let mut total = 0_u64;
        if rest.is_empty() {
            return Err(Misfit::plain());
        }
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, after) = rest.split_at(digits);
            let after = after.trim_start();
            let letters = after.len() - after.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
            let (unit, after) = after.split_at(letters);
            let unit = match unit {
                "day" | "days" => "d",
                "hour" | "hours" => "h",
                "min" | "minute" | "minutes" => "m",
                "sec" | "second" | "seconds" => "s",
                unit => unit,
            };
            let (_, factor) = UNITS_OF_TIME
                .iter()
                .find(|(name, _)| *name == unit)
                .ok_or_else(Misfit::plain)?;
            let number: u64 = parsed(number)?;
            total = number
                .checked_mul(*factor)
                .and_then(|part| total.checked_add(part))
                .ok_or_else(Misfit::plain)?;
            rest = after.trim_start();
        }
        Ok(Self::from_millis(total))
    }

    fn show(&self) -> String {
        let mut rest = self.as_millis() as u64;
        let mut text = String::new();
        for (unit, factor) in UNITS_OF_TIME {
            if rest >= factor {
                let _ = write!(text, "{}{unit}", rest / factor);
                rest %= factor;
            }
        }
        if text.is_empty() {
            "\"0s\"".to_owned()
        } else {
            format!("\"{text}\"")
        }
    }
}

/// A number of octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

const UNITS_OF_SIZE: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

impl Setting for Size {
    fn expected() -> Cow<'static, str> {
        "a size such as \"512 KiB\", \"25 MiB\" or \"1 GiB\"".into()
    }

    fn read(value: &Value) -> Result<Self, Misfit> {
        if matches!(value, Value::Bare(_)) {
            return Err(Misfit::because("the unit is missing"));
        }
        let text = text(value)?;
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim();
        let (_, factor) = UNITS_OF_SIZE
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))
            .ok_or_else(Misfit::plain)?;
        parsed::<u64>(number)?
            .checked_mul(*factor)
            .map(Self)
            .ok_or_else(Misfit::plain)
    }

    fn show(&self) -> String {
        let (unit, factor) = UNITS_OF_SIZE
            .iter()
            .find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor))
            .unwrap_or(&("B", 1));
        format!("\"{} {unit}\"", self.0 / factor)
    }
}

/// Where a listener listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// `*:PORT`: every address of the machine, IPv4 and, where it has it, IPv6.
    Every(u16),
    /// One address.
    One(SocketAddr),
}

impl Listen {
    pub fn port(self) -> u16 {
        match self {
            Self::Every(port) => port,
            Self::One(address) => address.port(),
        }
    }

    /// The addresses to try, the first that can be bound counts: one socket on `[::]` takes IPv4 as well, and a
    /// machine without IPv6 has only `0.0.0.0`.
    pub fn candidates(self) -> Vec<SocketAddr> {
        match self {
            Self::Every(port) => {
                vec![
                    (Ipv6Addr::UNSPECIFIED, port).into(),
                    (Ipv4Addr::UNSPECIFIED, port).into(),
                ]
            }
            Self::One(address) => vec![address],
        }
    }

    /// Whether only this machine can reach it.
    pub fn is_loopback(self) -> bool {
        matches!(self, Self::One(address) if address.ip().is_loopback())
    }
}

impl std::fmt::Display for Listen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Every(port) => write!(f, "*:{port}"),
            Self::One(address) => address.fmt(f),
        }
    }
}

impl Setting for Listen {
    fn expected() -> Cow<'static, str> {
        "an address with a port, such as \"127.0.0.1:2587\", \"[::1]:2587\" or \"*:2587\" for every address"
            .into()
    }

    fn read(value: &Value) -> Result<Self, Misfit> {
        let text = text(value)?;
        match text.strip_prefix("*:") {
            Some(port) => parsed(port).map(Self::Every),
            None if text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() => Err(Misfit::because(
                format!("{text} is only a port; write \"*:{text}\" to listen on every address"),
            )),
            None => match text.strip_prefix("localhost:") {
                Some(port) => parsed(port).map(|port: u16| Self::One((Ipv4Addr::LOCALHOST, port).into())),
                None => parsed(text).map(Self::One),
            },
        }
    }

    fn show(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Setting for IpNet {
    fn expected() -> Cow<'static, str> {
        "an IP address or range such as \"192.0.2.7\" or \"2001:db8::/32\"".into()
    }

    fn read(value: &Value) -> Result<Self, Misfit> {
        let text = text(value)?;
        text.parse::<IpAddr>().map(Self::from).or_else(|_| parsed(text))
    }

    fn show(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Setting for IpAddr {
    fn expected() -> Cow<'static, str> {
        "an IP address such as \"192.0.2.7\"".into()
    }

    fn read(value: &Value) -> Result<Self, Misfit> {
        parsed(text(value)?)
    }

    fn show(&self) -> String {
        format!("\"{self}\"")
    }
}

/// A name server; port 53 unless one is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameServer(pub SocketAddr);

impl Setting for NameServer {
    fn expected() -> Cow<'static, str> {
        "the IP address of a name server, with a port if it is not 53, such as \"9.9.9.9\" or \"127.0.0.1:5353\"".into()
    }

    fn read(value: &Value) -> Result<Self, Misfit> {
        let text = text(value)?;
        let address = text.parse::<IpAddr>().map(|ip| SocketAddr::from((ip, 53)));
        address.or_else(|_| parsed(text)).map(Self)
    }

    fn show(&self) -> String {
        if self.0.port() == 53 {
            format!("\"{}\"", self.0.ip())
        } else {
            format!("\"{}\"", self.0)
        }
    }
}

/// A host name in ASCII, lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(pub String);

impl Setting for HostName {
    fn expected() -> Cow<'static, str> {
        "a host name such as \"mail.example.com\"".into()
    }

    fn read(value: &Value) -> Result<Self, Misfit> {
        let name = text(value)?.trim_end_matches('.');
        if name.parse::<IpAddr>().is_ok() {
            return Err(Misfit::because("an IP address is not a host name"));
        }
        if name.contains("://") || name.contains(':') {
            return Err(Misfit::because("the name stands alone, without scheme and port"));
        }
        mail::address::Domain::parse(name)
            .map(|domain| Self(domain.as_str().to_owned()))
            .map_err(|error| Misfit::because(error.to_string()))
    }

    fn show(&self) -> String {
        format!("\"{}\"", self.0)
    }
}

/// `http://` or `https://`, a host and perhaps a port; a path only where one is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl {
    text: String,
    pub https: bool,
    pub host: String,
}

impl HttpUrl {
    /// Parses an absolute URL without user, query and fragment.
    pub fn parse(text: &str) -> Option<Self> {
        let uri: axum::http::Uri = text.parse().ok()?;
        let https = match uri.scheme_str()? {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let authority = uri.authority()?;
        if authority.as_str().contains('@') || uri.query().is_some() || authority.host().is_empty() {
            return None;
        }
        let host = authority.host().to_ascii_lowercase();
        Some(Self {
            text: text.trim_end_matches('/').to_owned(),
            https,
            host,
        })
    }

    /// The URL without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it names this machine to itself and to nobody else.
    pub fn is_loopback(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl Setting for HttpUrl {
    fn expected() -> Cow<'static, str> {
        "a URL such as \"https://mail.example.com\"".into()
    }

    fn read(value: &Value) -> Result<Self, Misfit> {
        Self::parse(text(value)?).ok_or_else(Misfit::plain)
    }

    fn show(&self) -> String {
        format!("\"{}\"", self.text)
    }
}

/// `database.url`; what is shown of it holds no password.
impl Setting for DatabaseUrl {
    const SECRET: bool = true;

    fn expected() -> Cow<'static, str> {
        "\"sqlite:PATH\" or \"postgres://USER:PASSWORD@HOST:PORT/DATABASE\"".into()
    }

    fn read(value: &Value) -> Result<Self, Misfit> {
        text(value)?
            .parse()
            .map_err(|error: store::NotADatabase| Misfit::because(error.to_string()))
    }

    fn show(&self) -> String {
        self.to_string().show()
    }
}

/// `delivery.route`; what is shown of it holds no password.
impl Setting for Route {
    const SECRET: bool = true;

    fn expected() -> Cow<'static, str> {
        "\"mx\", \"capture\" or a server such as \"smtp://relay.example.com:587\" \
         or \"smtps://USER:PASSWORD@relay.example.com:465\""
            .into()
    }

    fn read(value: &Value) -> Result<Self, Misfit> {
        Self::parse(text(value)?).map_err(|error| Misfit::because(error.to_string()))
    }

    fn show(&self) -> String {
        self.to_string().show()
    }
}

/// An e-mail address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox(pub String);

impl Setting for Mailbox {
    fn expected() -> Cow<'static, str> {
        "an e-mail address such as \"postmaster@example.com\"".into()
    }

    fn read(value: &Value) -> Result<Self, Misfit> {
        let address =
            mail::address::Address::parse(text(value)?).map_err(|e| Misfit::because(e.to_string()))?;
        Ok(Self(address.to_string()))
    }

    fn show(&self) -> String {
        self.0.show()
    }
}

/// `log.level`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(pub String);

impl Setting for LogFilter {
    fn expected() -> Cow<'static, str> {
        "\"error\", \"warn\", \"info\", \"debug\", \"trace\" or a list such as \"info,posthouse::smtp=debug\""
            .into()
    }

    fn read(value: &Value) -> Result<Self, Misfit> {
        let text = text(value)?;
        let levels = text.split(',').all(|part| {
            let level = part.rsplit_once('=').map_or(part, |(_, level)| level).trim();
            ["off", "error", "warn", "info", "debug", "trace"].contains(&level)
        });
        if !levels {
            return Err(Misfit::plain());
        }
        tracing_subscriber::EnvFilter::try_new(text).map_err(|e| Misfit::because(e.to_string()))?;
        Ok(Self(text.to_owned()))
    }

    fn show(&self) -> String {
        self.0.show()
    }
}
