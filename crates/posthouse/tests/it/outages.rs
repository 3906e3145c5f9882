//! Machines fail: the database goes away, the disk fills. Accepting stops with a clear answer, and nothing is lost.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::harness::disk::Disk;
use crate::harness::engine::Database;
use crate::harness::{Act, Engine, Posthouse, Sink, Verb, eventually};

const ALICE: &str = "alice@example.com";

/// A PostgreSQL that this test may stop.
struct Cluster(TempDir);

impl Cluster {
    fn script(&self, command: &str) -> String {
        let script = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/postgres"));
        let output = Command::new(script)
            .arg(command)
            .arg(self.0.path())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.0.path().join("data/postmaster.pid").exists() {
            self.script("stop");
        }
    }
}

/// A server whose data lie on `disk`, and whose next hop takes nothing yet.
fn on_disk(disk: &Disk) -> (Posthouse, Sink) {
    let sink = Sink::start();
    sink.always(Verb::Mail, "", Act::reply("451 4.3.2 not yet"));
    let server = Posthouse::on(Engine::Sqlite)
        .environment("POSTHOUSE__SERVER__DATA_DIR", &disk.path().display().to_string())
        .environment("POSTHOUSE__STORAGE__KEEP_CONTENT", "0s")
        .route_to(&sink)
        .retry_fast()
        .start();
    server.cli(
        &["account", "create", ALICE, "--password-stdin"],
        crate::harness::PASSWORD,
    );
    (server, sink)
}

const LINE: &str = "a line of some length, to fill the disk\r\n";

/// Tries one transaction; the first reply that is not an agreement, else the 250.
fn attempt(server: &Posthouse, number: usize) -> Option<crate::harness::smtp::Reply> {
    attempt_lines(server, number, 1500)
}

fn attempt_lines(server: &Posthouse, number: usize, lines: usize) -> Option<crate::harness::smtp::Reply> {
    let mut smtp = server.smtps();
    smtp.ehlo().expect("250");
    let mut reply = smtp.auth_plain(ALICE, crate::harness::PASSWORD);
    for line in [
        format!("MAIL FROM:<{ALICE}>"),
        format!("RCPT TO:<r{number}@sink.example>"),
        "DATA".to_owned(),
    ] {
        if reply.code() >= 400 {
            return Some(reply);
        }
        reply = smtp.command(&line);
    }
    if reply.code() >= 400 {
        return Some(reply);
    }
    let text = LINE.repeat(lines);
    smtp.send(format!("From: <{ALICE}>\r\nSubject: {number}\r\n\r\n{text}.\r\n").as_bytes());
    smtp.try_reply().ok()
}

#[test]
fn a_database_that_goes_away_stops_the_accepting_and_loses_nothing() {
    let cluster = Cluster(TempDir::new().unwrap());
    fs::set_permissions(
        cluster.0.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let database = Database::create_in(&cluster.script("start"));
    let sink = Sink::start();
    sink.always(Verb::Mail, "", Act::reply("451 4.3.2 not yet"));
    let server = Posthouse::on(Engine::Sqlite)
        .database_url(&database.url())
        .route_to(&sink)
        .retry_fast()
        .start();
    server.create_account(ALICE);
    for number in 0..10 {
        attempt(&server, number).unwrap().expect("250 2.0.0");
    }

    cluster.script("stop");
    for number in 10..15 {
        let reply = attempt(&server, number).expect("an answer");
        assert_eq!(reply.code() / 100, 4, "{reply:?}");
    }
    assert_eq!(server.http().get("/healthz").status, 200, "the process lives");
    assert_eq!(server.http().get("/readyz").status, 503, "but is not ready");

    cluster.script("start");
    sink.relent();
    eventually("it accepts again by itself", || {
        (attempt(&server, 20)?.code() == 250).then_some(())
    });
    for number in (0..10).chain([20]) {
        sink.wait_for_recipient(&format!("r{number}@sink.example"));
    }
    eventually("it is ready", || {
        (server.http().get("/readyz").status == 200).then_some(())
    });
}

#[test]
fn the_last_of_the_disk_is_kept_for_the_results_of_deliveries() {
    let disk = Disk::mount("64m");
    let (server, sink) = on_disk(&disk);
    for number in 0..5 {
        attempt(&server, number).unwrap().expect("250 2.0.0");
    }
    eventually("it is ready", || {
        (server.http().get("/readyz").status == 200).then_some(())
    });

    // Everything is taken but 6 of the 8 MiB that are reserved.
    let filler = disk.path().join("filler");
    let _ = fs::write(&filler, vec![0; 64 << 20]);
    let file = fs::OpenOptions::new().write(true).open(&filler).unwrap();
    file.set_len(file.metadata().unwrap().len() - (6 << 20)).unwrap();
    drop(file);
    eventually("it is noticed", || {
        (server.http().get("/readyz").status == 503).then_some(())
    });
    attempt(&server, 10).unwrap().expect("452 4.3.1");

    sink.relent();
    for number in 0..5 {
        sink.wait_for_recipient(&format!("r{number}@sink.example"));
    }
    eventually("the results are recorded", || {
        let text = server.http().get("/metrics").expect(200).text;
        text.lines()
            .any(|line| line == "posthouse_recipients_delivered_total 5")
            .then_some(())
    });
    attempt(&server, 11).unwrap().expect("452 4.3.1");

    fs::remove_file(&filler).unwrap();
    eventually("it accepts again by itself", || {
        (attempt(&server, 12)?.code() == 250).then_some(())
    });
    sink.wait_for_recipient("r12@sink.example");
    assert_eq!(sink.arrived().len(), 6);
}

#[test]
fn a_full_disk_answers_452_and_loses_nothing() {
    let disk = Disk::mount("24m");
    let (server, sink) = on_disk(&disk);
    attempt(&server, 0).unwrap().expect("250 2.0.0");

    // Fill it, and write on until nothing more is taken.
    let filler = disk.path().join("filler");
    let _ = fs::write(&filler, vec![0; 24 * 1024 * 1024]);
    let mut accepted = vec![0];
    let refused = (1..200).find_map(|number| {
        let reply = attempt(&server, number).expect("an answer");
        if reply.code() == 250 {
            accepted.push(number);
            return None;
        }
        Some(reply)
    });
    let refused = refused.expect("the disk is full");
    assert_eq!(refused.code(), 452, "{refused:?}");

    fs::remove_file(&filler).unwrap();
    sink.relent();
    eventually("it accepts again by itself", || {
        (attempt(&server, 500)?.code() == 250).then_some(())
    });
    accepted.push(500);
    for number in accepted {
        sink.wait_for_recipient(&format!("r{number}@sink.example"));
    }
}

#[test]
fn a_backlog_that_filled_the_disk_and_left_lets_new_mail_in() {
    let disk = Disk::mount("64m");
    let (server, sink) = on_disk(&disk);
    let refused = (0..100).find_map(|number| {
        let reply = attempt_lines(&server, number, 25_000).expect("an answer");
        (reply.code() != 250).then_some((number, reply))
    });
    let (accepted, refused) = refused.expect("the disk is full");
    refused.expect("452 4.3.1");

    sink.relent();
    for number in 0..accepted {
        sink.wait_for_recipient(&format!("r{number}@sink.example"));
    }
    eventually("it accepts again, and nobody deleted a file", || {
        (attempt(&server, 200)?.code() == 250).then_some(())
    });
    for number in 300..300 + accepted / 2 {
        attempt_lines(&server, number, 25_000)
            .unwrap()
            .expect("250 2.0.0");
        sink.wait_for_recipient(&format!("r{number}@sink.example"));
    }
}
