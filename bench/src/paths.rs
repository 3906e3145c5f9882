//! What the pure paths of a message cost in instructions, which no neighbour on the machine changes: counted by callgrind, one path at a time.

use std::hint::black_box;
use std::io::{self, Write as _};
use std::process::Command;
use std::sync::Arc;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, RsaKeyPair};
use bytes::BytesMut;
use clap::{Args, ValueEnum};
use mail::dkim::{Signer, SigningKey};
use mail::message::{Appending, Head, Own, Wanted, plan};
use mail::replies;
use mail::smtp::server::{BareLf, Config, Session, Step, Tls, Verdict};
use mail::time::Time;

use crate::message::Template;

/// What ends a message behind DATA.
const END: &[u8] = b".\r\n";
/// How often each path is gone, so that what it does once in a process does not count.
const TIMES: u32 = 100;

#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Goes this path and counts nothing: for callgrind
    #[arg(long, value_enum)]
    only: Option<Kind>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Session,
    Header,
    Sign,
    SignLong,
    Plan,
    Copy,
}

impl Kind {
    const fn says(self) -> &'static str {
        match self {
            Self::Session => "an SMTP session with one mail of 4 KiB, from the banner to QUIT",
            Self::Header => "reading the header section of a mail",
            Self::Sign => "DKIM signatures of a mail of 4 KiB, RSA-2048 and Ed25519",
            Self::SignLong => "the same of 64 KiB",
            Self::Plan => "looking through 30 KiB of HTML for links",
            Self::Copy => "the copy of one recipient with his links",
        }
    }
}

pub fn command(options: &Options) -> io::Result<()> {
    if let Some(kind) = options.only {
        return go(kind);
    }
    let mut out = io::stdout();
    writeln!(out, "| path | instructions |\n|---|---|")?;
    for kind in Kind::value_variants() {
        let counted = counted(*kind)? / u64::from(TIMES);
        writeln!(out, "| {} | {counted} |", kind.says())?;
    }
    Ok(())
}

/// The instructions of [`measured`] in a process of its own.
fn counted(kind: Kind) -> io::Result<u64> {
    let name = kind.to_possible_value();
    let name = name.as_ref().map_or("", |name| name.get_name());
    let seen = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            "--toggle-collect=*paths*measured*",
        ])
        .arg(std::env::current_exe()?)
        .args(["instructions", "--only", name])
        .output()?;
    let said = String::from_utf8_lossy(&seen.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    collected
        .and_then(|(_, count)| count.trim().parse().ok())
        .filter(|count| *count > 0)
        .ok_or_else(|| io::Error::other(format!("callgrind counted nothing: {said}")))
}

fn template(size: usize, html: bool) -> Vec<u8> {
    let mut message = Vec::new();
    Template::new("bench@bench.example", size, html, &[]).write(1, &mut message);
    message.truncate(message.len() - END.len());
    message
}

fn go(kind: Kind) -> io::Result<()> {
    match kind {
        Kind::Session => {
            let config = Arc::new(config());
            let mut text = template(4096, false);
            text.extend_from_slice(END);
            text.extend_from_slice(b"QUIT\r\n");
            if !session(&config, &text) {
                return Err(io::Error::other("the session did not take the mail"));
            }
            measured(|| {
                black_box(session(&config, &text));
            });
        }
        Kind::Header => {
            let text = template(4096, false);
            Head::parse(&text).map_err(io::Error::other)?;
            measured(|| {
                if let Ok(head) = Head::parse(black_box(&text)) {
                    black_box((head.authors().is_ok(), head.subject(), head.message_id()));
                    black_box(head.completion(Time::EPOCH, "id@relay.example"));
                }
            });
        }
        Kind::Sign | Kind::SignLong => {
            let size = if matches!(kind, Kind::Sign) { 4096 } else { 65536 };
            let (text, signers) = (template(size, false), signers()?);
            mail::dkim::sign(&text, &signers, Time::EPOCH).map_err(io::Error::other)?;
            measured(|| {
                black_box(mail::dkim::sign(black_box(&text), &signers, Time::EPOCH).is_ok());
            });
        }
        Kind::Plan | Kind::Copy => {
            let text = template(30 * 1024, true);
            let wanted = Wanted {
                unsubscribe: Some(Appending {
                    text: "To stop receiving these messages:".to_owned(),
                    link: "Unsubscribe".to_owned(),
                }),
                clicks: true,
                opens: true,
                keeps_names: false,
            };
            let click = |_: usize| {
                "https://mail.example/t/c/0000000000000000000000000000000000000000000000000000".to_owned()
            };
            let own = Own {
                unsubscribe: "https://mail.example/u/000000000000000000000000000000000000000000000000",
                click: &click,
                open: "https://mail.example/t/o/000000000000000000000000000000000000000000000000",
            };
            let made = plan(&text, &wanted);
            if matches!(kind, Kind::Plan) {
                measured(|| drop(black_box(plan(black_box(&text), &wanted))));
            } else {
                measured(|| drop(black_box(made.apply(b"", black_box(&text), &own))));
            }
        }
    }
    Ok(())
}

/// What is counted, by its name.
#[inline(never)]
fn measured(mut path: impl FnMut()) {
    for _ in 0..TIMES {
        path();
    }
}

fn config() -> Config {
    Config {
        hostname: "relay.example".into(),
        sign_in: true,
        scram: false,
        max_message_size: 1 << 20,
        max_header_size: 1 << 16,
        max_text_line: 1 << 16,
        max_recipients: 100,
        bare_lf: BareLf::Repair,
        soft_error_limit: 10,
        hard_error_limit: 20,
        max_sign_in_failures: 3,
        help_pages: None,
    }
}

/// The commands of a client that pipelines; `text` is what stands behind DATA. Whether the mail was taken.
fn session(config: &Arc<Config>, text: &[u8]) -> bool {
    let mut taken = false;
    let mut session = Session::new(Arc::clone(config), Tls::Active);
    let begin = b"MAIL FROM:<bench@bench.example>\r\nRCPT TO:<recipient@sink.example>\r\nDATA\r\n";
    for part in [b"EHLO source.example\r\n".as_slice(), begin, text] {
        let mut input = BytesMut::from(part);
        loop {
            let verdict = match session.receive(&mut input) {
                Step::Message { body, .. } => {
                    taken = true;
                    Verdict::AcceptAs(replies::accepted(&body.len()))
                }
                Step::Mail(_) | Step::Rcpt(_) | Step::Data => Verdict::Accept,
                _ => break,
            };
            session.answer(verdict);
        }
        black_box(session.output().split());
    }
    taken
}

fn signers() -> io::Result<Vec<Signer>> {
    let failed = |_| io::Error::other("no key");
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
    let rsa = rsa.as_der().map_err(failed)?;
    let ed25519 = Ed25519KeyPair::generate().map_err(failed)?;
    let ed25519 = ed25519.to_pkcs8().map_err(failed)?;
    let keys = [
        ("rsa", SigningKey::rsa_from_pkcs8(rsa.as_ref())),
        ("ed25519", SigningKey::ed25519_from_pkcs8(ed25519.as_ref())),
    ];
    keys.into_iter()
        .map(|(selector, key)| {
            Ok(Signer {
                domain: "bench.example".parse().map_err(io::Error::other)?,
                selector: selector.to_owned(),
                key: key.map_err(io::Error::other)?,
            })
        })
        .collect()
}
