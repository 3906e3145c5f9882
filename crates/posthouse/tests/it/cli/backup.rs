//! Backup and restore by command, from either engine into either engine.

use crate::both_engines;
use crate::harness::engine::postgres_is_here;
use crate::harness::{Engine, Posthouse};

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
