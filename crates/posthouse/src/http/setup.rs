//! The first start: who may become the first operator.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};

use super::peer::Client;

fn file(data_dir: &Path) -> PathBuf {
    data_dir.join("setup-token")
}

/// The token is of no use any more.
pub fn finish(data_dir: &Path) {
    // Nothing reads it once there is an operator; a file that cannot be removed does no harm.
    let _ = fs::remove_file(file(data_dir));
}

fn read(data_dir: &Path) -> Option<String> {
    let text = fs::read_to_string(file(data_dir)).ok()?;
    let token = text.trim();
    (token.len() >= 16).then(|| token.to_owned())
}

/// Whether `given` is the token.
pub fn is_token(data_dir: &Path, given: &str) -> bool {
    read(data_dir)
        .is_some_and(|token| verify_slices_are_equal(token.as_bytes(), given.trim().as_bytes()).is_ok())
}

/// Whether the token has to be shown: not on a machine that serves itself only, where the one in front of it is its owner.
///
/// The request has to name this machine as well: a page whose name was made to point here comes from here, too.
pub fn needs_token(public_url: &str, client: &Client, uri: &Uri, headers: &HeaderMap) -> bool {
    !(client.local && is_loopback(public_url) && names_this_machine(uri, headers))
}

fn names_this_machine(uri: &Uri, headers: &HeaderMap) -> bool {
    let mut hosts = headers
        .get_all(header::HOST)
        .iter()
        .map(|host| host.to_str().ok())
        .chain(uri.authority().map(|authority| Some(authority.as_str())))
        .peekable();
    let mut origins = headers.get_all(header::ORIGIN).iter();
    hosts.peek().is_some()
        && hosts.all(|host| host.is_some_and(is_loopback_name))
        && origins.all(|origin| origin.to_str().is_ok_and(is_loopback))
}

fn is_loopback(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    is_loopback_name(rest.split(['/', '?', '#']).next().unwrap_or_default())
}

/// Whether a host with or without a port is this very machine.
fn is_loopback_name(authority: &str) -> bool {
    let Ok(authority) = authority.parse::<Authority>() else {
        return false;
    };
    let host = authority.host();
    !authority.as_str().contains('@')
        && (host.eq_ignore_ascii_case("localhost")
            || host == "[::1]"
            || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked_as(host: &str, origin: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_page_under_a_foreign_name_that_points_here_needs_the_token() {
        let names = |host: &str, origin: Option<&str>| {
            names_this_machine(&Uri::from_static("/api/v1/setup"), &asked_as(host, origin))
        };
        assert!(names("localhost:8080", None));
        assert!(names("LOCALHOST", Some("http://localhost:5173")));
        assert!(names("127.8.0.1:8080", Some("http://[::1]:8080")));
        assert!(names("[::1]", None));
        assert!(!names("evil.example", None));
        assert!(!names("evil.example:8080", Some("http://evil.example:8080")));
        assert!(!names("localhost.evil.example", None));
        assert!(!names("localhost@evil.example", None));
        assert!(!names("localhost", Some("http://evil.example")));
        assert!(!names("localhost", Some("null")));
        assert!(!names("", None));
        let absolute = Uri::from_static("http://evil.example/api/v1/setup");
        assert!(!names_this_machine(&absolute, &asked_as("localhost", None)));
        assert!(!names_this_machine(&Uri::from_static("/"), &HeaderMap::new()));
    }

    #[test]
    fn the_owner_of_a_machine_that_serves_itself_needs_no_token() {
        let headers = asked_as("localhost:8080", None);
        let needs = |url: &str, client: &Client| needs_token(url, client, &Uri::from_static("/"), &headers);
        let local = Client {
            ip: "127.0.0.1".parse().unwrap(),
            local: true,
            tls: false,
            port: 8080,
        };
        assert!(!needs("http://localhost:8080", &local));
        assert!(!needs("http://127.0.0.1:8080/", &local));
        assert!(!needs("http://[::1]:8080", &local));
        assert!(needs("https://mail.example.com", &local));
        assert!(needs("http://localhost.example.com", &local));
        let far = Client {
            ip: "192.0.2.1".parse().unwrap(),
            local: false,
            tls: false,
            port: 8080,
        };
        assert!(needs("http://localhost:8080", &far));
    }

    #[test]
    fn only_the_token_that_was_written_is_one() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_token(dir.path(), ""));
        fs::write(file(dir.path()), "0123456789abcdef01234567\n").unwrap();
        assert!(is_token(dir.path(), " 0123456789abcdef01234567 "));
        assert!(!is_token(dir.path(), "0123456789abcdef01234568"));
        finish(dir.path());
        assert!(!is_token(dir.path(), "0123456789abcdef01234567"));
    }
}
