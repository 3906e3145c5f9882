//! Backup and restore by command, from either engine into either engine.

use crate::both_engines;
use crate::harness::engine::postgres_is_here;
use crate::harness::{Engine, Posthouse};

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
