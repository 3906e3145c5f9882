//! The house rules as tests: rooms, licences, table owners, citations, and paths that documents name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Left to right: a room may use any room before it, and none after it.
const ROOMS: [&str; 5] = ["mail", "store", "accounts", "outbound", "posthouse"];

/// The heavy dependencies and the one room that knows each.
const HEAVY: [(&str, &str); 18] = [
    ("argon2", "accounts"),
    ("axum", "posthouse"),
    ("clap", "posthouse"),
    ("hickory-resolver", "outbound"),
    ("instant-acme", "posthouse"),
    ("mail-builder", "mail"),
    ("mail-parser", "mail"),
    ("maxminddb", "posthouse"),
    ("minijinja", "posthouse"),
    ("mlua", "outbound"),
    ("prometheus-client", "posthouse"),
    ("pulldown-cmark", "posthouse"),
    ("rcgen", "posthouse"),
    ("rusqlite", "store"),
    ("tokio-postgres", "store"),
    ("toml", "posthouse"),
    ("utoipa", "posthouse"),
    ("zxcvbn", "accounts"),
];

/// The modules of `outbound`, left to right: a module uses only modules before it.
const OUTBOUND_MODULES: [&str; 28] = [
    "csv",
    "turns",
    "model",
    "simulator",
    "token",
    "return_path",
    "personal",
    "idempotency",
    "suppressions",
    "templates",
    "spool",
    "tracking",
    "capture",
    "settle",
    "feedback",
    "unsubscribe",
    "settings",
    "route",
    "domains",
    "carry",
    "calls",
    "hooks",
    "schedule",
    "sandbox",
    "accept",
    "feed",
    "statistics",
    "webhooks",
];

/// Each table and the module that alone writes SQL on it.
const TABLES: [(&str, &str); 73] = [
    ("account_changes", "accounts/src/changes"),
    ("accounts", "accounts/src"),
    ("acme_accounts", "posthouse/src/tls/kept"),
    ("acme_proofs", "posthouse/src/tls/kept"),
    ("announcements", "accounts/src/announcements"),
    ("announcements_put_away", "accounts/src/announcements"),
    ("api_keys", "accounts/src"),
    ("attempts", "outbound/src/spool"),
    ("audit", "accounts/src/audit"),
    ("transcripts", "outbound/src/spool"),
    ("user_invitations", "accounts/src/users"),
    ("bodies", "outbound/src/spool"),
    ("captured", "outbound/src/capture"),
    ("certificates", "posthouse/src/tls/kept"),
    ("challenges", "accounts/src/second_step"),
    ("changes", "accounts/src/changes"),
    ("credit_grants", "accounts/src/credits"),
    ("credit_usage", "accounts/src/credits"),
    ("cursors", "store/src"),
    ("day_limits", "accounts/src/allowance"),
    ("day_usage", "accounts/src/allowance"),
    ("dkim_keys", "accounts/src/domains"),
    ("domains", "accounts/src/domains"),
    ("events", "store/src"),
    ("guard_windows", "accounts/src/guard"),
    ("help_votes", "posthouse/src/site/help/votes"),
    ("hook_days", "outbound/src/hooks"),
    ("hook_runs", "outbound/src/hooks"),
    ("hook_versions", "accounts/src/hooks"),
    ("hooks", "accounts/src/hooks"),
    ("half_sessions", "accounts/src/second_step"),
    ("idempotency_keys", "outbound/src/idempotency"),
    ("impersonations", "accounts/src/impersonation"),
    ("ip_credentials", "accounts/src"),
    ("known_clients", "accounts/src/lockout"),
    ("known_recipients", "accounts/src/allowance"),
    ("links", "accounts/src/links"),
    ("logins", "accounts/src"),
    ("messages", "outbound/src/spool"),
    ("nodes", "store/src/nodes"),
    ("notices", "accounts/src/notices"),
    ("old_passwords", "accounts/src/attempts"),
    ("passkeys", "accounts/src/second_step"),
    ("paused_lanes", "outbound/src/schedule/pauses"),
    ("recipients", "outbound/src/spool"),
    ("recovery_codes", "accounts/src/second_step"),
    ("senders", "accounts/src/senders"),
    ("sessions", "accounts/src/sessions"),
    ("settings", "accounts/src/settings"),
    ("sign_in_attempts", "accounts/src/attempts"),
    ("sign_in_limits", "accounts/src/lockout"),
    ("sign_ups", "accounts/src/sign_up"),
    ("scram_keys", "accounts/src/scram"),
    ("scram_salts", "accounts/src/scram"),
    ("smtp_credentials", "accounts/src/smtp_credentials"),
    ("retention", "accounts/src/retention"),
    ("statistics", "outbound/src/statistics"),
    ("streams", "accounts/src/streams"),
    ("suppression_counts", "outbound/src/suppressions"),
    ("suppressions", "outbound/src/suppressions"),
    ("templates", "outbound/src/templates"),
    ("totp", "accounts/src/second_step"),
    ("tracked_links", "outbound/src/tracking"),
    ("tracked_recipients", "outbound/src/tracking"),
    ("tracking_counts", "outbound/src/tracking"),
    ("velocity", "accounts/src/limits"),
    ("voucher_batches", "accounts/src/credits"),
    ("voucher_uses", "accounts/src/credits"),
    ("vouchers", "accounts/src/credits"),
    ("webhook_attempts", "outbound/src/webhooks"),
    ("webhook_backlogs", "outbound/src/webhooks"),
    ("webhook_deliveries", "outbound/src/webhooks"),
    ("webhooks", "outbound/src/webhooks"),
];

/// Licences that a binary may carry without asking anyone.
const PERMISSIVE: [&str; 13] = [
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "CC0-1.0",
    "0BSD",
    "Unlicense",
    "CDLA-Permissive-2.0",
    "OpenSSL",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the workspace root exists")
}

fn metadata(extra: &[&str]) -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(extra)
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "cargo metadata failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// Every Rust file below `folder` that is not a module of tests, with its text.
fn rust_files(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.expect("a folder can be listed").path();
            if path.is_dir() {
                // `src/.../tests/` holds unit tests that outgrew their file.
                if !path.ends_with("tests") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|ending| ending == "rs") && !path.ends_with("tests.rs") {
                let text = fs::read_to_string(&path).expect("a source file is UTF-8");
                found.push((path, text));
            }
        }
    }
    found.sort();
    found
}

/// The production half of a source file: what stands before its unit tests.
fn without_tests(text: &str) -> &str {
    text.find("#[cfg(test)]\nmod tests {")
        .map_or(text, |at| &text[..at])
}

#[test]
fn a_room_uses_only_rooms_to_its_left() {
    let metadata = metadata(&["--no-deps"]);
    for package in list(&metadata, "packages") {
        let name = text(package, "name");
        let Some(place) = ROOMS.iter().position(|room| *room == name) else {
            continue;
        };
        for dependency in list(package, "dependencies") {
            let used = text(dependency, "name");
            if let Some(other) = ROOMS.iter().position(|room| *room == used) {
                assert!(
                    other < place || used == name,
                    "{name} must not use {used}: it stands to its right"
                );
            }
        }
    }
}

#[test]
fn a_heavy_dependency_lives_in_one_room() {
    let metadata = metadata(&["--no-deps"]);
    for package in list(&metadata, "packages") {
        let name = text(package, "name");
        if !ROOMS.contains(&name) {
            continue;
        }
        for dependency in list(package, "dependencies")
            .iter()
            .filter(|one| one["kind"].is_null())
        {
            let used = text(dependency, "name");
            if let Some((_, home)) = HEAVY.iter().find(|(heavy, _)| *heavy == used) {
                assert_eq!(
                    name, *home,
                    "{used} belongs to {home}; {name} must ask that room instead"
                );
            }
        }
    }
}

/// An SPDX expression holds when one of its `OR` branches names permitted licences only.
fn permitted(expression: &str) -> bool {
    let flat = expression.replace(['(', ')'], " ").replace('/', " OR ");
    flat.split(" OR ").any(|branch| {
        branch
            .split(" AND ")
            .all(|licence| PERMISSIVE.contains(&licence.trim()))
    })
}

#[test]
fn every_dependency_is_permissive_and_there_is_one_crypto_one_tls_one_sqlite() {
    // `cargo tree` rather than `cargo metadata`: the latter also lists what optional features would bring.
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--workspace",
            "--locked",
            "--offline",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
        ])
        .args(["--target", "x86_64-unknown-linux-gnu", "--format", "{p}|{l}"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "cargo tree failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let packages: BTreeSet<String> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| line.replace(" (*)", "").replace(" (proc-macro)", ""))
        .filter(|line| !line.is_empty())
        .collect();
    assert!(packages.len() > 100, "cargo tree lists the dependencies");
    let mut sqlite = 0;
    for package in &packages {
        let (name, licence) = package.split_once('|').expect("the format has a bar");
        let name = name.split(' ').next().unwrap_or_default();
        assert!(
            permitted(licence),
            "{name} is under `{licence}`, which is not on the list of permissive licences"
        );
        assert!(
            ![
                "ring",
                "openssl",
                "openssl-sys",
                "native-tls",
                "sqlx",
                "rust-crypto"
            ]
            .contains(&name),
            "{name} is a second crypto provider, TLS or database driver"
        );
        sqlite += usize::from(name == "libsqlite3-sys");
    }
    assert_eq!(sqlite, 1, "one SQLite");
}

#[test]
fn the_modules_of_outbound_stand_in_order() {
    let source = root().join("crates/outbound/src");
    for (path, text) in rust_files(&source) {
        let inside = path
            .strip_prefix(&source)
            .expect("it was listed below that folder");
        let first = inside
            .components()
            .next()
            .expect("a path has a component")
            .as_os_str()
            .to_string_lossy();
        let module = first.trim_end_matches(".rs");
        let Some(place) = OUTBOUND_MODULES.iter().position(|name| *name == module) else {
            continue;
        };
        for (other, name) in OUTBOUND_MODULES.iter().enumerate().skip(place + 1) {
            let named = format!("crate::{name}::");
            assert!(
                !without_tests(&text).contains(&named),
                "{} uses {named} but {module} stands left of {name} ({place} < {other})",
                path.display()
            );
        }
    }
}

#[test]
fn every_module_of_outbound_has_its_place_in_the_order() {
    let source = root().join("crates/outbound/src");
    for entry in fs::read_dir(&source).expect("outbound has sources") {
        let name = entry
            .expect("a folder can be listed")
            .file_name()
            .to_string_lossy()
            .into_owned();
        let module = name.trim_end_matches(".rs");
        let facade = ["lib", "outbound"].contains(&module);
        assert!(
            facade || OUTBOUND_MODULES.contains(&module),
            "{module} has no place in the order"
        );
    }
}

#[test]
fn only_its_owner_writes_sql_on_a_table() {
    let crates = root().join("crates");
    for room in ROOMS {
        for (path, text) in rust_files(&crates.join(room).join("src")) {
            let inside = path
                .strip_prefix(&crates)
                .expect("it was listed below that folder")
                .to_string_lossy();
            for (table, owner) in TABLES.iter().filter(|(_, owner)| !inside.starts_with(owner)) {
                for verb in ["FROM", "JOIN", "INTO", "UPDATE"] {
                    let named = format!("{verb} {table}");
                    let found = without_tests(&text).match_indices(&named).any(|(at, _)| {
                        !text[at + named.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
                    });
                    // The backup copies every table and knows none, but for the number it has to move.
                    assert!(
                        !found || inside == "store/src/backup.rs",
                        "{inside} has SQL on {table}, which is {owner}'s"
                    );
                }
            }
        }
    }
}

#[test]
fn every_table_of_the_schema_has_an_owner() {
    for entry in fs::read_dir(root().join("crates/store/migrations")).expect("there are migrations") {
        let path = entry.expect("a folder can be listed").path();
        let text = fs::read_to_string(&path).expect("a migration is text");
        for (at, _) in text.match_indices("CREATE TABLE ") {
            let name: String = text[at + 13..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            assert!(
                TABLES.iter().any(|(table, _)| *table == name),
                "{name} has no owner"
            );
        }
    }
}

#[test]
fn every_cited_rfc_is_listed_in_the_rfc_page() {
    let page = fs::read_to_string(root().join("docs/rfc.md")).expect("docs/rfc.md exists");
    let listed: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(' ').next())
        .collect();
    let mut missing = BTreeMap::new();
    for folder in ["crates", "bench"] {
        for (path, text) in rust_files(&root().join(folder)) {
            for (at, _) in text.match_indices("RFC ") {
                let number: String = text[at + 4..].chars().take_while(char::is_ascii_digit).collect();
                if number.len() >= 3 && !listed.contains(number.as_str()) {
                    missing.insert(number, path.clone());
                }
            }
        }
    }
    assert!(
        missing.is_empty(),
        "cited but not listed in docs/rfc.md: {missing:?}"
    );
}

/// Backticked words of a document that look like paths of this repository.
fn paths_named_in(document: &str) -> Vec<String> {
    document
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| !word.contains([' ', '{', '*', '<', '$', ':', '=']))
        .filter(|word| {
            [
                "crates/", "console/", "bench/", "docs/", "tests/", "deploy/", "fuzz/", "site/",
            ]
            .iter()
            .any(|folder| word.starts_with(folder))
        })
        .map(str::to_owned)
        .collect()
}

#[test]
fn each_path_that_a_document_names_exists() {
    for document in ["ARCHITECTURE.md", "README.md", "CONTRIBUTING.md", "docs/rfc.md"] {
        let text = fs::read_to_string(root().join(document)).expect("the document exists");
        for path in paths_named_in(&text) {
            assert!(
                root().join(&path).exists(),
                "{document} names {path}, which does not exist"
            );
        }
    }
}

#[test]
fn the_example_configuration_is_accepted() {
    let shown = Command::new(env!("CARGO_BIN_EXE_posthouse"))
        .args(["config", "show", "--config", "deploy/posthouse.toml"])
        .current_dir(root())
        .output()
        .expect("the binary runs");
    assert!(
        shown.status.success(),
        "{}",
        String::from_utf8_lossy(&shown.stderr)
    );
}

#[test]
fn the_architecture_page_fits_in_a_head() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md exists");
    assert!(
        page.lines().count() <= 300,
        "ARCHITECTURE.md has {} lines; 300 at most",
        page.lines().count()
    );
}

#[test]
fn every_module_opens_with_one_sentence_of_purpose() {
    for room in ROOMS {
        for (path, text) in rust_files(&root().join("crates").join(room).join("src")) {
            assert!(
                text.starts_with("//! "),
                "{} does not open with its purpose",
                path.display()
            );
        }
    }
}

#[test]
fn no_smtp_reply_is_written_outside_the_table_of_replies() {
    for room in ROOMS {
        for (path, text) in rust_files(&root().join("crates").join(room).join("src")) {
            if path.ends_with("mail/src/replies.rs") {
                continue;
            }
            for line in without_tests(&text)
                .lines()
                .filter(|line| !line.trim_start().starts_with("//") && !line.contains("example = "))
            {
                assert!(
                    !looks_like_a_reply(line),
                    "{}: a reply literal: {line}",
                    path.display()
                );
            }
        }
    }
}

/// A string literal that starts as an SMTP reply with an enhanced code does: `"550 5.1.1 `.
fn looks_like_a_reply(line: &str) -> bool {
    line.match_indices('"').any(|(at, _)| {
        let rest = line.as_bytes().get(at + 1..at + 7).unwrap_or_default();
        rest.len() == 6
            && matches!(rest[0], b'2' | b'4' | b'5')
            && rest[1].is_ascii_digit()
            && rest[2].is_ascii_digit()
            && rest[3] == b' '
            && rest[4] == rest[0]
            && rest[5] == b'.'
    })
}
