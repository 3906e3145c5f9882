//! Certificates made, read, replaced and refused.

use std::path::Path;
use std::time::Duration;

use mail::time::Time;
use tempfile::TempDir;

use super::own::Own;
use super::pair::{Pair, PairError};
use super::*;
use crate::config::Config;

const NOW: Time = Time::from_secs(1_795_000_000);

fn config(dir: &Path, more: &str) -> Config {
    let text = format!(
        "[server]\nhostname = \"mail.example.com\"\ndata_dir = {:?}\n{more}",
        dir.display().to_string()
    );
    crate::config::from_text(&text).unwrap()
}

fn made(dir: &Path, name: &str) -> Pair {
    let own = Own::new(dir, name);
    own.renew(NOW).unwrap();
    Pair::read(own.cert(), own.key()).unwrap()
}

#[test]
fn a_first_start_makes_a_certificate_for_host_and_loopback_that_only_its_owner_reads() {
    use std::os::unix::fs::PermissionsExt;
    let home = TempDir::new().unwrap();
    let certificates = Certificates::open(&config(home.path(), ""), NOW).unwrap();
    let facts = certificates.facts();
    assert!(facts.self_signed);
    assert_eq!(facts.names, ["mail.example.com", "localhost", "127.0.0.1", "::1"]);
    assert!(facts.not_before < NOW && facts.not_after > NOW);
    assert_eq!(facts.fingerprint_sha256.len(), 95);
    for file in ["cert.pem", "key.pem"] {
        let mode = std::fs::metadata(home.path().join("tls").join(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn a_second_start_shows_the_same_certificate() {
    let home = TempDir::new().unwrap();
    let first = Certificates::open(&config(home.path(), ""), NOW).unwrap().facts();
    let second = Certificates::open(&config(home.path(), ""), NOW.plus(Duration::from_hours(24)))
        .unwrap()
        .facts();
    assert_eq!(first, second);
}

#[test]
fn another_host_name_or_old_age_makes_a_new_certificate_with_the_same_key() {
    let home = TempDir::new().unwrap();
    let first = made(home.path(), "a.example.com");
    let key = std::fs::read(home.path().join("key.pem")).unwrap();
    let second = made(home.path(), "b.example.com");
    assert!(second.facts.covers("b.example.com") && !second.facts.covers("a.example.com"));
    let own = Own::new(home.path(), "b.example.com");
    own.renew(NOW.plus(Duration::from_hours(24 * 800))).unwrap();
    let third = Pair::read(own.cert(), own.key()).unwrap();
    assert!(third.facts.not_after > first.facts.not_after);
    assert_eq!(std::fs::read(home.path().join("key.pem")).unwrap(), key);
}

#[test]
fn a_certificate_that_somebody_else_put_there_is_left_alone() {
    let home = TempDir::new().unwrap();
    let theirs = rcgen::generate_simple_self_signed(vec!["other.example".to_owned()]).unwrap();
    std::fs::write(home.path().join("cert.pem"), theirs.cert.pem()).unwrap();
    std::fs::write(home.path().join("key.pem"), theirs.signing_key.serialize_pem()).unwrap();
    assert_eq!(
        made(home.path(), "mail.example.com").facts.names,
        ["other.example"]
    );
}

#[test]
fn files_that_cannot_be_used_are_refused_with_the_remedy() {
    let home = TempDir::new().unwrap();
    let dir = home.path();
    made(&dir.join("a"), "a.example.com");
    made(&dir.join("b"), "b.example.com");
    let read = |cert: &str, key: &str| Pair::read(&dir.join(cert), &dir.join(key)).unwrap_err();
    assert!(matches!(
        read("a/cert.pem", "b/key.pem"),
        PairError::Mismatch { .. }
    ));
    assert!(matches!(
        read("a/key.pem", "a/key.pem"),
        PairError::NoCertificate { .. }
    ));
    assert!(matches!(
        read("a/cert.pem", "a/cert.pem"),
        PairError::NoKey { .. }
    ));
    assert!(
        read("none.pem", "a/key.pem")
            .to_string()
            .contains("correct tls.cert")
    );
    std::fs::write(
        dir.join("junk.pem"),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    assert!(matches!(
        read("junk.pem", "a/key.pem"),
        PairError::Unusable { .. }
    ));
}

#[test]
fn a_changed_pair_is_taken_and_a_broken_one_changes_nothing() {
    let home = TempDir::new().unwrap();
    let dir = home.path();
    made(&dir.join("in-use"), "a.example.com");
    made(&dir.join("next"), "bb.example.com");
    let [cert, key] = ["cert.pem", "key.pem"].map(|file| dir.join("in-use").join(file));
    let more = format!(
        "[tls]\ncert = {:?}\nkey = {:?}",
        cert.display().to_string(),
        key.display().to_string()
    );
    let certificates = Certificates::open(&config(dir, &more), NOW).unwrap();
    let before = certificates.facts();

    std::fs::copy(dir.join("next/cert.pem"), &cert).unwrap();
    certificates.reload();
    assert_eq!(certificates.facts(), before, "the key is still the old one");
    std::fs::copy(dir.join("next/key.pem"), &key).unwrap();
    certificates.reload();
    assert!(certificates.facts().covers("bb.example.com"));

    std::fs::write(&cert, "nothing").unwrap();
    certificates.reload();
    assert!(certificates.facts().covers("bb.example.com"));
}

#[test]
fn a_wildcard_covers_one_label() {
    let facts = Facts {
        self_signed: false,
        fingerprint_sha256: String::new(),
        not_before: NOW,
        not_after: NOW,
        names: vec!["*.example.com".to_owned()],
    };
    assert!(facts.covers("mail.example.com") && facts.covers("MAIL.example.com"));
    assert!(!facts.covers("example.com") && !facts.covers("a.b.example.com"));
}
