//! The public site against the real binary: one module a matter.

mod brand;
mod crawl;
mod help;
mod login;
mod pages;
mod ports;
mod snippets;

use std::path::Path;

use crate::harness::http::Http;
use crate::harness::{Engine, PASSWORD, Posthouse};

const OPERATOR: &str = "ops@example.com";

/// A server that somebody runs.
fn server(engine: Engine) -> Posthouse {
    set_up(Posthouse::on(engine).start())
}

fn set_up(server: Posthouse) -> Posthouse {
    server.cli(
        &["account", "create", OPERATOR, "--operator", "--password-stdin"],
        PASSWORD,
    );
    server
}

/// A browser, as far as its header fields go.
fn browser(server: &Posthouse, languages: &str) -> Http {
    let mut http = server.http();
    http.headers = vec![
        ("accept".to_owned(), "text/html,application/xhtml+xml".to_owned()),
        ("accept-language".to_owned(), languages.to_owned()),
    ];
    http
}

/// The values of an attribute in a page.
fn attribute<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let before = format!(" {name}=\"");
    html.split(&before)
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect()
}

/// Text as a reader sees it.
pub fn unescaped(html: &str) -> String {
    html.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

/// A path as TOML has it.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display())
}

/// Text as a page has to write it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
