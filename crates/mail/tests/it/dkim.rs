//! Signatures against the verifiers of others: dkimpy and opendkim.

use std::fs;
use std::path::Path;
use std::process::Command;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail::address::Domain;
use mail::dkim::{Signer, SigningKey, sign};
use mail::time::Time;

/// Signatures must not lie in the future of the verifiers' clock.
const SIGNED_AT: Time = Time::from_secs(1_700_000_000);

/// Bodies and headers in which signers and verifiers have gone apart before.
const MESSAGES: [(&str, &str); 16] = [
    (
        "plain",
        "From: a@signed.example\r\nTo: b@x.example\r\nSubject: hi\r\n\r\nhello\r\n",
    ),
    ("empty-body", "From: a@signed.example\r\nSubject: hi\r\n\r\n"),
    ("blank-lines", "From: a@signed.example\r\n\r\n\r\n\r\n\r\n"),
    (
        "spaces-at-the-end",
        "From: a@signed.example\r\n\r\nhello\r\n  \t \r\n \r\n",
    ),
    ("only-spaces", "From: a@signed.example\r\n\r\n  \t \r\n \r\n"),
    (
        "blank-inside",
        "From: a@signed.example\r\n\r\na \t b\r\n \r\n\r\n\tc  \r\n",
    ),
    ("leading-blank", "From: a@signed.example\r\n\r\n\r\n\r\nlate\r\n"),
    ("dots", "From: a@signed.example\r\n\r\n.\r\n..\r\n.x\r\n"),
    (
        "folded",
        "From: a@signed.example\r\nSubject:  one\r\n\ttwo  \r\n   three\r\n\r\nx\r\n",
    ),
    (
        "long-fold",
        "From: a@signed.example\r\nTo: b@x.example,\r\n\tc@x.example,\r\n d@x.example\r\nSubject:\r\n alone\r\n\r\nx\r\n",
    ),
    (
        "twice",
        "From: a@signed.example\r\nReferences: <1@x>\r\nReferences: <2@x>\r\nComments: a\r\n\r\nx\r\n",
    ),
    (
        "odd-case",
        "FROM: a@signed.example\r\nsubJECT:x\r\nMime-Version: 1.0\r\nContent-Type: text/plain;\r\n\tcharset=utf-8\r\n\r\nx\r\n",
    ),
    (
        "empty-field",
        "From: a@signed.example\r\nSubject:\r\nCc: \r\n\r\nx\r\n",
    ),
    (
        "utf-8",
        "From: \"Grüße\" <a@signed.example>\r\nSubject: Käse\r\n\r\nKäse ☃\r\n",
    ),
    (
        "colons",
        "From: a@signed.example\r\nSubject: a: b :c\r\nMessage-ID: <x:y@z>\r\nDate: Mon, 23 Nov 2026 20:19:04 +0000\r\n\r\nx: y\r\n",
    ),
    (
        "bulk",
        "From: a@signed.example\r\nList-Unsubscribe: <https://x.example/u>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\nx\r\n",
    ),
];

/// Verifies each signature of a message by itself; prints `ok` or why not.
const DKIMPY: &str = r#"
import sys, dkim
records = dict(line.rstrip("\n").split(" ", 1) for line in open(sys.argv[1]))
def txt(name, timeout=5):
    return records[name.decode().rstrip(".")].encode()
for path in sys.argv[2:]:
    raw = open(path, "rb").read()
    for index in (0, 1):
        checker = dkim.DKIM(raw, logger=None)
        try:
            good = checker.verify(idx=index, dnsfunc=txt)
        except Exception as error:
            good = error
        print(path.rsplit("/", 1)[1], index, "ok" if good is True else repr(good))
"#;

fn signers() -> (Vec<Signer>, String) {
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let rsa_public =
        aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(rsa.public_key())
            .unwrap();
    let ed = Ed25519KeyPair::generate().unwrap();
    let domain = Domain::parse("signed.example").unwrap();
    let signer = |selector: &str, key| Signer {
        domain: domain.clone(),
        selector: selector.into(),
        key,
    };
    let records = format!(
        "r._domainkey.signed.example v=DKIM1; k=rsa; p={}\ne._domainkey.signed.example v=DKIM1; k=ed25519; p={}\n",
        STANDARD.encode(rsa_public.as_ref()),
        STANDARD.encode(ed.public_key().as_ref()),
    );
    let signers = vec![
        signer(
            "r",
            SigningKey::rsa_from_pkcs8(rsa.as_der().unwrap().as_ref()).unwrap(),
        ),
        signer(
            "e",
            SigningKey::ed25519_from_pkcs8(ed.to_pkcs8().unwrap().as_ref()).unwrap(),
        ),
    ];
    (signers, records)
}

/// Writes each message with its signatures, and the key records; the paths of the messages.
fn signed(folder: &Path) -> Vec<String> {
    let (signers, records) = signers();
    fs::write(folder.join("records"), records).unwrap();
    let mut paths = Vec::new();
    for (name, raw) in MESSAGES {
        let mut message = sign(raw.as_bytes(), &signers, SIGNED_AT).unwrap();
        message.extend_from_slice(raw.as_bytes());
        let path = folder.join(name);
        fs::write(&path, message).unwrap();
        paths.push(path.to_str().unwrap().to_owned());
    }
    paths
}

fn output(command: &mut Command) -> String {
    let what = format!("{command:?}");
    let out = command
        .output()
        .unwrap_or_else(|error| panic!("{what}: {error}; tests/packages installs it"));
    format!(
        "{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    )
}

#[test]
fn dkimpy_verifies_both_signatures_of_odd_messages() {
    let folder = tempfile::tempdir().unwrap();
    let paths = signed(folder.path());
    // Debian's own Python, which has the packages.
    let said = output(
        Command::new("/usr/bin/python3")
            .args(["-c", DKIMPY])
            .arg(folder.path().join("records"))
            .args(&paths),
    );
    let verdicts: Vec<&str> = said.lines().collect();
    assert_eq!(verdicts.len(), 2 * MESSAGES.len(), "{said}");
    assert!(verdicts.iter().all(|line| line.ends_with(" ok")), "{said}");
}

#[test]
fn opendkim_verifies_odd_messages() {
    let folder = tempfile::tempdir().unwrap();
    let paths = signed(folder.path());
    let settings = folder.path().join("opendkim.conf");
    let records = folder.path().join("records");
    fs::write(
        &settings,
        format!("Mode v\nTestPublicKeys {}\n", records.display()),
    )
    .unwrap();
    for path in paths {
        let mut command = Command::new("/usr/sbin/opendkim");
        let said = output(command.args(["-vv", "-x"]).arg(&settings).args(["-t", &path]));
        assert!(
            said.contains("verification (s=r, d=signed.example, 2048-bit key) succeeded"),
            "{path}: {said}"
        );
    }
}
