//! The first start: who may become the first operator.

use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::constant_time::verify_slices_are_equal;

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
pub fn needs_token(public_url: &str, client: &Client) -> bool {
    !(client.local && is_loopback(public_url))
}

fn is_loopback(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.starts_with("[::1]") {
        return true;
    }
    let host = authority.split(':').next().unwrap_or_default();
    host == "localhost"
        || host
            .parse::<std::net::Ipv4Addr>()
            .is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_of_a_machine_that_serves_itself_needs_no_token() {
        let local = Client {
            ip: "127.0.0.1".parse().unwrap(),
            local: true,
            tls: false,
        };
        assert!(!needs_token("http://localhost:8080", &local));
        assert!(!needs_token("http://127.0.0.1:8080/", &local));
        assert!(!needs_token("http://[::1]:8080", &local));
        assert!(needs_token("https://mail.example.com", &local));
        assert!(needs_token("http://localhost.example.com", &local));
        let far = Client {
            ip: "192.0.2.1".parse().unwrap(),
            local: false,
            tls: false,
        };
        assert!(needs_token("http://localhost:8080", &far));
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
