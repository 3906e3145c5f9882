//! Where a webhook goes: judging a URL that somebody typed, and the addresses its name leads to.

use std::net::IpAddr;

use hyper::Uri;
use rustls::pki_types::ServerName;

use crate::route::{is_ours, is_private};

/// The longest URL.
const LONGEST: usize = 2_048;

/// Why no webhook goes there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    #[error("this is no URL; expected one like https://example.com/posthouse")]
    NotAUrl,
    #[error("a URL has at most {LONGEST} characters")]
    TooLong,
    #[error("it has to begin with https://")]
    NotHttps,
    #[error("it has to begin with https:// or http://")]
    NotHttp,
    #[error(
        "leave out name and password: the receiver knows us by the signature of each message, not by a password"
    )]
    HasUser,
    #[error("the port has to be 443, or 1024 or higher")]
    Port,
    #[error("webhooks do not go to private addresses or to this server itself")]
    Private,
}

/// A URL that was found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub https: bool,
    pub host: Host,
    pub port: u16,
    /// Host and port as the Host header has them.
    pub authority: String,
    pub path: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    Name(String),
    Ip(IpAddr),
}

/// Judges a URL. `open`: http, every port and every address may be called.
pub fn parse(text: &str, open: bool) -> Result<Target, BadUrl> {
    if text.len() > LONGEST {
        return Err(BadUrl::TooLong);
    }
    if text.contains(['#', '\\']) || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(BadUrl::NotAUrl);
    }
    let uri: Uri = text.parse().map_err(|_| BadUrl::NotAUrl)?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(BadUrl::NotAUrl);
    };
    let https = match scheme {
        "https" => true,
        "http" if open => false,
        _ if open => return Err(BadUrl::NotHttp),
        _ => return Err(BadUrl::NotHttps),
    };
    if authority.as_str().contains('@') {
        return Err(BadUrl::HasUser);
    }
    let behind = &authority.as_str()[authority.host().len()..];
    let port = match behind.strip_prefix(':') {
        Some(port) => port.parse().map_err(|_| BadUrl::NotAUrl)?,
        None if https => 443,
        None => 80,
    };
    if port == 0 || !(open || port == 443 || port >= 1_024) {
        return Err(BadUrl::Port);
    }
    let host = host(authority.host())?;
    if let Host::Ip(ip) = host
        && !may_call(ip, open)
    {
        return Err(BadUrl::Private);
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Ok(Target {
        https,
        host,
        port,
        authority: authority.as_str().to_owned(),
        path: path.to_owned(),
    })
}

fn host(text: &str) -> Result<Host, BadUrl> {
    if let Some(ip) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return ip.parse().map(Host::Ip).map_err(|_| BadUrl::NotAUrl);
    }
    if let Ok(ip) = text.parse() {
        return Ok(Host::Ip(ip));
    }
    let name = text.trim_end_matches('.').to_ascii_lowercase();
    // What certificates are checked for is a name that can be looked up.
    if name.is_empty() || !matches!(ServerName::try_from(name.as_str()), Ok(ServerName::DnsName(_))) {
        return Err(BadUrl::NotAUrl);
    }
    Ok(Host::Name(name))
}

/// Whether this address may be connected to.
pub fn may_call(ip: IpAddr, open: bool) -> bool {
    open || !(is_private(ip) || is_ours(ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let target = parse("https://Example.com:8443/hook?a=b", false).unwrap();
        assert_eq!(target.host, Host::Name("example.com".to_owned()));
        assert_eq!((target.port, target.path.as_str()), (8443, "/hook?a=b"));
        let target = parse("https://example.com", false).unwrap();
        assert_eq!((target.port, target.path.as_str()), (443, "/"));
        assert!(!parse("http://127.0.0.1:1/x", true).unwrap().https);
    }

    #[test]
    fn what_could_reach_something_internal_is_refused_with_the_reason() {
        for (url, why) in [
            ("http://example.com/", BadUrl::NotHttps),
            ("ftp://example.com/", BadUrl::NotHttps),
            ("file:///etc/passwd", BadUrl::NotAUrl),
            ("https://user:secret@example.com/", BadUrl::HasUser),
            ("https://example.com@127.0.0.1/", BadUrl::HasUser),
            ("https://example.com:22/", BadUrl::Port),
            ("https://example.com:0/", BadUrl::Port),
            ("https://example.com:/", BadUrl::NotAUrl),
            ("https://example.com:99999/", BadUrl::NotAUrl),
            ("https://127.0.0.1/", BadUrl::Private),
            ("https://169.254.169.254/latest/meta-data/", BadUrl::Private),
            ("https://10.0.0.8:8443/", BadUrl::Private),
            ("https://[::1]/", BadUrl::Private),
            ("https://[::ffff:10.0.0.1]/", BadUrl::Private),
            ("https://[64:ff9b::a00:1]/", BadUrl::Private),
            ("https://[fd00:ec2::254]/", BadUrl::Private),
            ("https://", BadUrl::NotAUrl),
            ("/hook", BadUrl::NotAUrl),
            ("https://exa mple.com/", BadUrl::NotAUrl),
            ("https://example.com/\r\nX: y", BadUrl::NotAUrl),
            ("https://example.com\\@10.0.0.1/", BadUrl::NotAUrl),
            ("https://münchen.example/", BadUrl::NotAUrl),
        ] {
            assert_eq!(parse(url, false), Err(why), "{url}");
        }
        let long = format!("https://example.com/{}", "a".repeat(LONGEST));
        assert_eq!(parse(&long, false), Err(BadUrl::TooLong));
    }

    #[test]
    fn other_spellings_of_an_address_are_never_read_as_one() {
        // They are looked up as names, which no server knows.
        for url in [
            "https://2130706433/",
            "https://0x7f.1/",
            "https://127.1/",
            "https://0177.0.0.1/",
        ] {
            assert!(
                !matches!(
                    parse(url, false),
                    Ok(Target {
                        host: Host::Ip(_),
                        ..
                    })
                ),
                "{url}"
            );
        }
    }
}
