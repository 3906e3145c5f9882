//! What README tells a newcomer to type works as it stands there.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::harness::{Engine, PASSWORD, Posthouse, eventually};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const YOU: &str = "you@example.com";

/// The command of a code block of README that begins like this, its continued lines joined.
fn command_of_readme(beginning: &str) -> String {
    let readme = fs::read_to_string(format!("{ROOT}/README.md")).unwrap();
    let blocks = readme.split("```sh\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap().replace("\\\n", " "));
    let commands: Vec<String> = blocks
        .flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| line.starts_with(beginning))
        .collect();
    let [command] = commands.as_slice() else {
        panic!("README has not one command that begins with {beginning:?}: {commands:?}");
    };
    command.clone()
}

/// What `make run` starts the server with in a directory that has no configuration yet, but for how the binary is built.
fn command_of_make_run(home: &Path) -> String {
    fs::copy(format!("{ROOT}/Makefile"), home.join("Makefile")).unwrap();
    // The prerequisites, as if the console had been built.
    for folder in ["docs", "console/node_modules", "console/src", "console/public"] {
        fs::create_dir_all(home.join(folder)).unwrap();
    }
    for file in [
        "docs/openapi.json",
        "console/index.html",
        "console/package.json",
        "console/package-lock.json",
        "console/tsconfig.json",
        "console/vite.config.ts",
        "console/node_modules/.package-lock.json",
    ] {
        fs::write(home.join(file), "").unwrap();
    }
    let shown = Command::new("make")
        .args(["--dry-run", "run"])
        .current_dir(home)
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let build = "cargo run --quiet --release --package posthouse --";
    let line = shown.lines().find(|line| line.contains(build));
    line.unwrap_or_else(|| panic!("make run starts no server: {shown}"))
        .replace(build, env!("CARGO_BIN_EXE_posthouse"))
}

fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from:?} is not in {text}");
    text.replace(from, to)
}

#[test]
fn the_first_mail_of_readme_arrives_in_the_inbox_of_make_run() {
    let setup = Posthouse::on(Engine::Sqlite);
    let home = setup.home().to_owned();
    let mut command = Command::new("bash");
    command
        .args(["-c", &command_of_make_run(&home)])
        .current_dir(&home)
        .env("POSTHOUSE__LOG__FORMAT", "json");
    for listener in ["SMTP__SUBMISSION", "SMTP__SUBMISSIONS", "HTTP__LISTEN"] {
        command.env(format!("POSTHOUSE__{listener}"), "127.0.0.1:0");
    }
    let server = setup.start_by(command);

    let mut http = server.http();
    http.post("/api/v1/setup", &json!({"email": YOU, "password": PASSWORD}))
        .expect(201);
    let swaks = command_of_readme("swaks ");
    let here = format!("localhost:{}", server.address("submission").port());
    let swaks = replaced(&swaks, "localhost:2587", &here);
    let swaks = replaced(&swaks, "your password", PASSWORD);
    let sent = Command::new("sh").args(["-c", &swaks]).output().unwrap();
    assert!(
        sent.status.success(),
        "{swaks}\n{}{}",
        String::from_utf8_lossy(&sent.stdout),
        String::from_utf8_lossy(&sent.stderr)
    );

    http.sign_in(YOU, PASSWORD);
    for list in ["/api/v1/messages", "/api/v1/inbox"] {
        let first = eventually(&format!("the mail is in {list}"), || {
            http.get(list).expect(200).json()["items"].get(0).cloned()
        });
        assert_eq!(first["subject"], "First mail", "{first}");
    }
}
