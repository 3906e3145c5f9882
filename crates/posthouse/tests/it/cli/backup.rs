//! Backup and restore by command, from either engine into either engine.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use crate::both_engines;
use crate::crash::{Ledger, books, sender};
use crate::harness::engine::postgres_is_here;
use crate::harness::{Act, Engine, Posthouse, Sink, Verb, eventually};

#[test]
fn a_command_that_finds_no_database_says_where_it_looked_and_makes_none() {
    let nothing = Posthouse::on(Engine::Sqlite);
    let commands: [&[&str]; 6] = [
        &["backup", "nothing.db"],
        &["account", "list"],
        &["domain", "add", "example.com", "--account", "alice@example.com"],
        &["queue", "list"],
        &["doctor", "auth", "alice@example.com"],
        &["send", "bob@example.net"],
    ];
    for command in commands {
        let refused = nothing.try_cli(command, "Subject: hello\n\nhello\n");
        assert!(!refused.status.success(), "{command:?}");
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(said.contains("there is no database at"), "{command:?}: {said}");
        assert!(
            said.contains("--config FILE or --data DIR"),
            "{command:?}: {said}"
        );
    }
    assert!(!nothing.data().join("posthouse.db").exists());
}

both_engines! {
    fn a_backup_beside_a_running_server_is_restored_into_an_empty_one(engine) {
        let server = Posthouse::on(engine).start();
        server.create_account("alice@example.com");
        let file = server.data().join("backup.db");
        let file = file.to_str().unwrap();
        server.cli(&["backup", file], "");
        let again = server.try_cli(&["backup", file], "");
        assert!(!again.status.success(), "an existing backup is never written over");

        let mut into = vec![Engine::Sqlite];
        if postgres_is_here("a restore into PostgreSQL") {
            into.push(Engine::Postgres);
        }
        for other in into.into_iter().map(Posthouse::on) {
            other.cli(&["restore", file], "");
            assert!(other.cli(&["account", "list"], "").contains("alice@example.com"));
            let full = other.try_cli(&["restore", file], "");
            assert!(!full.status.success(), "a database that holds something is never written over");
        }
    }

    fn a_backup_under_load_holds_all_that_was_accepted_before_it_and_nothing_by_half(engine) {
        let sink = Sink::start();
        sink.always(Verb::Mail, "", Act::reply("451 4.3.2 not yet"));
        let server = Posthouse::on(engine).route_to(&sink).retry_fast().start();
        server.create_account("alice@example.com");
        server.cli(&["account", "credits", "alice@example.com", "1000000", "--reason", "test"], "");
        let (ledger, address) = (Arc::new(Ledger::default()), server.address("submissions"));
        let sources: Vec<_> = (0..3)
            .map(|_| {
                let ledger = Arc::clone(&ledger);
                thread::spawn(move || sender(&ledger, address))
            })
            .collect();
        eventually("there is load", || (ledger.accepted() >= 40).then_some(()));
        let before = ledger.accepted.lock().unwrap().clone();
        let file = server.data().join("backup.db");
        let file = file.to_str().unwrap();
        server.cli(&["backup", file], "");
        eventually("the load goes on", || (ledger.accepted() > before.len()).then_some(()));
        ledger.over.store(true, Ordering::SeqCst);
        for source in sources {
            source.join().unwrap().expect("replies as they must be");
        }

        let elsewhere = Sink::start();
        let restored = Posthouse::on(engine).route_to(&elsewhere).retry_fast();
        restored.cli(&["restore", file], "");
        let mut restored = restored.start();
        for number in &before {
            elsewhere.wait_for_recipient(&format!("r{number}@sink.example"));
        }
        let arrived = elsewhere.arrived();
        let once: BTreeSet<_> = arrived.iter().map(|mail| mail.recipients.clone()).collect();
        assert_eq!(once.len(), arrived.len(), "something went twice");
        restored.stop();
        let books = books(&restored.database());
        assert_eq!(books.balance, books.granted - books.used, "{books:?}");
        assert_eq!(books.used, books.recipients, "{books:?}");
    }

    fn a_restore_under_a_running_server_is_refused(engine) {
        let server = Posthouse::on(engine).start();
        let file = server.data().join("backup.db");
        server.cli(&["backup", file.to_str().unwrap()], "");
        let refused = server.try_cli(&["restore", file.to_str().unwrap()], "");
        assert!(
            String::from_utf8(refused.stderr)
                .unwrap()
                .contains("another Posthouse")
        );
    }
}
