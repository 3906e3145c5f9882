//! What making a tracked copy of a 30 KiB HTML mail costs: `cargo run --release -p mail --example rewrite_cost`.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail::message::{Appending, Own, Wanted, plan};

const ROUNDS: u32 = 5_000;
const LINKS: usize = 40;
const HTML: usize = 30 * 1024;

fn html() -> String {
    let mut text = String::from("<html><head><style>p{margin:0}</style></head><body>\r\n");
    for link in 0.. {
        if text.len() >= HTML {
            break;
        }
        if link < LINKS {
            let _ = write!(
                text,
                "<p><a class=\"button\" href=\"https://shop.example/offers/{link}?campaign=spring&amp;id={link}\">Offer {link}</a></p>\r\n"
            );
        }
        text.push_str("<table><tr><td style=\"padding:8px;font-family:Arial,sans-serif\">Lorem ipsum dolor sit amet, consetetur sadipscing elitr</td></tr></table>\r\n");
    }
    text.push_str("</body></html>\r\n");
    text
}

fn message(encoding: &str, content: &str) -> Vec<u8> {
    format!(
        "From: a@b.example\r\nSubject: Spring\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\
         Content-Transfer-Encoding: {encoding}\r\n\r\n{content}"
    )
    .into_bytes()
}

/// Lines of 76 characters. RFC 2045 section 6.8
fn base64(text: &str) -> String {
    let encoded = STANDARD.encode(text);
    let lines: Vec<&str> = encoded
        .as_bytes()
        .chunks(76)
        .map(|line| std::str::from_utf8(line).expect("Base64 is ASCII"))
        .collect();
    lines.join("\r\n")
}

#[expect(clippy::disallowed_methods, reason = "measuring is what this program is for")]
fn timed(mut work: impl FnMut()) -> Duration {
    let begin = Instant::now();
    for _ in 0..ROUNDS {
        work();
    }
    begin.elapsed() / ROUNDS
}

fn main() {
    let html = html();
    let quoted = html.replace('=', "=3D");
    let wanted = Wanted {
        unsubscribe: Some(Appending {
            text: "To stop receiving these messages:".to_owned(),
            link: "Unsubscribe".to_owned(),
        }),
        clicks: true,
        opens: true,
        keeps_names: false,
    };
    let click = |n: usize| format!("https://mail.example/t/c/{n:052}");
    let own = Own {
        unsubscribe: "https://mail.example/u/000000000000000000000000000000000000000000000000",
        click: &click,
        open: "https://mail.example/t/o/000000000000000000000000000000000000000000000000",
    };
    for (encoding, content) in [
        ("8bit", html.clone()),
        ("quoted-printable", quoted),
        ("base64", base64(&html)),
    ] {
        let raw = message(encoding, &content);
        let made = plan(&raw, &wanted);
        assert_eq!(made.targets().len(), LINKS);
        let looking = timed(|| {
            black_box(plan(black_box(&raw), &wanted));
        });
        let copying = timed(|| {
            black_box(made.apply(b"", black_box(&raw), &own));
        });
        println!(
            "{encoding:>16}: {} octets, looked through once in {looking:?}, each copy in {copying:?}",
            raw.len()
        );
    }
}
