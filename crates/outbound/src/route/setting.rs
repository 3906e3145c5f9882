//! The `delivery.route` setting.

use std::fmt;

use mail::smtp::client::Login;

use super::plan::TlsPolicy;

/// Where outgoing mail goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// To each domain's own mail hosts.
    Mx,
    Smarthost(Smarthost),
    /// Into the local inbox; nothing leaves.
    Capture,
}

/// A host that takes all mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Smarthost {
    /// A name or an address without brackets.
    pub host: String,
    pub port: u16,
    pub tls: TlsPolicy,
    pub login: Option<Login>,
}

/// Why a route setting is not understood; never quotes it, because it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    #[error(
        "a route is \"mx\", \"capture\", or a smarthost such as \"smtp+starttls://user:password@mail.example:587\""
    )]
    Unknown,
    #[error(
        "the scheme of a smarthost is smtp (STARTTLS where offered), smtp+starttls (verified) or smtps (verified)"
    )]
    Scheme,
    #[error("the smarthost has no host name, or one with characters that none has")]
    Host,
    #[error("the port of the smarthost is not a number from 1 to 65535")]
    Port,
    #[error(
        "the smarthost's user and password are given as user:password@, with %40 for @, %3A for : and %25 for %"
    )]
    Login,
    #[error("the smarthost ends with its port: a path has no meaning there")]
    Path,
}

impl Route {
    pub fn parse(text: &str) -> Result<Self, RouteError> {
        match text {
            "mx" => return Ok(Self::Mx),
            "capture" => return Ok(Self::Capture),
            _ => {}
        }
        let (scheme, rest) = text.split_once("://").ok_or(RouteError::Unknown)?;
        let (tls, default_port) = match scheme {
            "smtp" => (TlsPolicy::Opportunistic, 25),
            "smtp+starttls" => (TlsPolicy::Required, 587),
            "smtps" => (TlsPolicy::Implicit, 465),
            _ => return Err(RouteError::Scheme),
        };
        let (login, place) = match rest.rsplit_once('@') {
            Some((login, place)) => (Some(parse_login(login)?), place),
            None => (None, rest),
        };
        let place = place.strip_suffix('/').unwrap_or(place);
        if place.contains(['/', '?', '#']) {
            return Err(RouteError::Path);
        }
        let (host, port) = host_and_port(place, default_port)?;
        Ok(Self::Smarthost(Smarthost {
            host: host.to_owned(),
            port,
            tls,
            login,
        }))
    }

    /// `mx`, `smarthost` or `capture`, as the API says it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Mx => "mx",
            Self::Smarthost(_) => "smarthost",
            Self::Capture => "capture",
        }
    }
}

/// Without the password.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Smarthost(smarthost) = self else {
            return f.write_str(self.kind());
        };
        f.write_str(match smarthost.tls {
            TlsPolicy::Opportunistic => "smtp://",
            TlsPolicy::Required => "smtp+starttls://",
            TlsPolicy::Implicit => "smtps://",
        })?;
        if let Some(login) = &smarthost.login {
            write!(f, "{}@", login.user)?;
        }
        let brackets = smarthost.host.contains(':');
        let (open, close) = if brackets { ("[", "]") } else { ("", "") };
        write!(f, "{open}{}{close}:{}", smarthost.host, smarthost.port)
    }
}

fn host_and_port(place: &str, default_port: u16) -> Result<(&str, u16), RouteError> {
    let (host, port) = if let Some(rest) = place.strip_prefix('[') {
        let (host, behind) = rest.split_once(']').ok_or(RouteError::Host)?;
        host.parse::<std::net::Ipv6Addr>().map_err(|_| RouteError::Host)?;
        (host, behind)
    } else {
        let (host, port) = place.find(':').map_or((place, ""), |colon| place.split_at(colon));
        if host.is_empty()
            || !host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        {
            return Err(RouteError::Host);
        }
        (host, port)
    };
    if port.is_empty() {
        return Ok((host, default_port));
    }
    let number = port
        .strip_prefix(':')
        .and_then(|digits| digits.parse().ok())
        .filter(|&port: &u16| port > 0);
    Ok((host, number.ok_or(RouteError::Port)?))
}

fn parse_login(text: &str) -> Result<Login, RouteError> {
    let (user, password) = text.split_once(':').ok_or(RouteError::Login)?;
    let (user, password) = (percent_decoded(user)?, percent_decoded(password)?);
    if user.is_empty() || password.is_empty() || user.contains('\0') || password.contains('\0') {
        return Err(RouteError::Login);
    }
    Ok(Login { user, password })
}

fn percent_decoded(text: &str) -> Result<String, RouteError> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        if octet != b'%' {
            octets.push(octet);
            continue;
        }
        let mut digit = || {
            rest.next()
                .and_then(|b| char::from(b).to_digit(16))
                .ok_or(RouteError::Login)
        };
        octets.push((digit()? * 16 + digit()?) as u8);
    }
    String::from_utf8(octets).map_err(|_| RouteError::Login)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn smarthost(text: &str) -> Smarthost {
        match Route::parse(text) {
            Ok(Route::Smarthost(smarthost)) => smarthost,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn the_three_kinds_of_route_are_understood() {
        assert_eq!(Route::parse("mx"), Ok(Route::Mx));
        assert_eq!(Route::parse("capture"), Ok(Route::Capture));
        assert_eq!(
            smarthost("smtp://127.0.0.1:2525"),
            Smarthost {
                host: "127.0.0.1".into(),
                port: 2_525,
                tls: TlsPolicy::Opportunistic,
                login: None
            }
        );
        assert_eq!(smarthost("smtps://mail.example").port, 465);
        assert_eq!(smarthost("smtp+starttls://mail.example/").port, 587);
        assert_eq!(smarthost("smtp://[::1]:26").host, "::1");
    }

    #[test]
    fn a_login_is_percent_decoded_and_never_shown_with_its_password() {
        let text = "smtp+starttls://me%40b.example:p%3A%25%40ss@mail.example:2587";
        let login = smarthost(text).login.unwrap();
        assert_eq!(
            (login.user.as_str(), login.password.as_str()),
            ("me@b.example", "p:%@ss")
        );
        let route = Route::parse(text).unwrap();
        assert_eq!(
            route.to_string(),
            "smtp+starttls://me@b.example@mail.example:2587"
        );
        assert!(!format!("{route:?}").contains("ss"), "{route:?}");
    }

    #[test]
    fn each_mistake_has_its_own_remedy() {
        for (text, error) in [
            ("", RouteError::Unknown),
            ("MX", RouteError::Unknown),
            ("mail.example:25", RouteError::Unknown),
            ("http://mail.example", RouteError::Scheme),
            ("smtp://", RouteError::Host),
            ("smtp://ma il", RouteError::Host),
            ("smtp://[::1", RouteError::Host),
            ("smtp://h:0", RouteError::Port),
            ("smtp://h:65536", RouteError::Port),
            ("smtp://h:x", RouteError::Port),
            ("smtp://user@h", RouteError::Login),
            ("smtp://u:%zz@h", RouteError::Login),
            ("smtp://:p@h", RouteError::Login),
            ("smtp://h/path", RouteError::Path),
        ] {
            assert_eq!(Route::parse(text), Err(error), "{text}");
        }
    }
}
