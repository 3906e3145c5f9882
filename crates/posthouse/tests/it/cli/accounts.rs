//! Accounts, credentials and domains by command.

use std::process::Output;

use crate::both_engines;
use crate::harness::{PASSWORD, Posthouse};

fn refusal(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8(output.stderr.clone()).unwrap()
}

both_engines! {
    fn an_account_is_made_listed_suspended_and_resumed(engine) {
        let setup = Posthouse::on(engine);
        let made = setup.cli(&["account", "create", "alice@example.com", "--password-stdin"], PASSWORD);
        assert!(made.contains("alice@example.com") && made.contains("500 credits"), "{made}");
        setup.cli(&["account", "create", "root@example.com", "--password-stdin", "--operator"], PASSWORD);
        let listed = setup.cli(&["account", "list"], "");
        assert!(listed.contains("root@example.com (operator)") && listed.contains("unlimited"), "{listed}");
        setup.cli(&["account", "suspend", "alice@example.com", "--reason", "unpaid"], "");
        assert!(setup.cli(&["account", "list", "--search", "alice"], "").contains("suspended: unpaid"));
        setup.cli(&["account", "resume", "alice@example.com"], "");
        assert!(!setup.cli(&["account", "list"], "").contains("suspended"));
    }

    fn credits_are_granted_and_taken_back(engine) {
        let setup = Posthouse::on(engine);
        setup.cli(&["account", "create", "a@example.com", "--password-stdin", "--credits", "10"], PASSWORD);
        let grant = |amount: &'static str| ["account", "credits", "a@example.com", amount, "--reason", "a gift"];
        assert!(setup.cli(&grant("5"), "").contains("15 credits"));
        assert!(setup.cli(&grant("-15"), "").contains("0 credits"));
        let said = refusal(&setup.try_cli(&grant("-1"), ""));
        assert!(said.contains("cannot have fewer than none"), "{said}");
        let said = refusal(&setup.try_cli(&["account", "credits", "a@example.com", "5"], ""));
        assert!(said.contains("--reason"), "{said}");
        let said = refusal(&setup.try_cli(&["account", "credits", "a@example.com", "5", "--reason", " "], ""));
        assert!(said.contains("say why"), "{said}");
    }

    fn a_domain_prints_the_records_to_publish(engine) {
        let setup = Posthouse::on(engine);
        setup.create_account("alice@example.com");
        let added = setup.cli(&["domain", "add", "example.org", "--account", "alice@example.com"], "");
        for part in ["._domainkey.example.org. IN TXT \"v=DKIM1; k=rsa; p=", "k=ed25519", "_dmarc.example.org. IN TXT"] {
            assert!(added.contains(part), "{part}: {added}");
        }
        let longest = added.split('"').map(str::len).max();
        assert!(longest <= Some(255), "{added}");
        let listed = setup.cli(&["domain", "list"], "");
        assert!(listed.contains("example.org") && listed.contains("by operator"), "{listed}");
        let again = setup.cli(&["domain", "records", "example.org", "--account", "alice@example.com"], "");
        assert!(added.ends_with(&again), "{again}");
    }

    fn an_ip_range_is_made_listed_and_revoked(engine) {
        let setup = Posthouse::on(engine);
        setup.create_account("alice@example.com");
        setup.cli(&["credential", "create", "--account", "alice@example.com", "--ip", "192.0.2.0/24"], "");
        let listed = setup.cli(&["credential", "list"], "");
        let id = listed.lines().nth(1).unwrap().split_whitespace().next().unwrap();
        setup.cli(&["credential", "revoke", id], "");
        assert!(setup.cli(&["credential", "list"], "").contains("No credential"));
    }

    fn a_weak_password_is_refused_with_the_reason(engine) {
        let setup = Posthouse::on(engine);
        let create = ["account", "create", "alice@example.com", "--password-stdin"];
        let said = refusal(&setup.try_cli(&create, "password12"));
        assert!(said.starts_with("posthouse: ") && said.len() > 30, "{said}");
        let said = refusal(&setup.try_cli(&create, ""));
        assert!(said.contains("standard input holds no password"), "{said}");
    }

    fn a_password_is_never_taken_from_the_command_line(engine) {
        let setup = Posthouse::on(engine);
        let said = refusal(&setup.try_cli(&["account", "create", "alice@example.com"], PASSWORD));
        assert!(said.contains("--password-stdin"), "{said}");
    }

    fn a_reader_who_hangs_up_early_breaks_no_command(engine) {
        let setup = Posthouse::on(engine);
        setup.create_account("alice@example.com");
        let commands: [&[&str]; 3] = [
            &["account", "list"],
            &["domain", "add", "example.com", "--account", "alice@example.com"],
            &["openapi"],
        ];
        for command in commands {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let done = setup.command(command).stdout(writer).output().unwrap();
            let said = String::from_utf8_lossy(&done.stderr);
            assert!(done.status.success(), "{command:?}: {said}");
        }
    }

    fn an_unknown_account_is_named(engine) {
        let setup = Posthouse::on(engine);
        setup.create_account("alice@example.com");
        let said = refusal(&setup.try_cli(
            &["account", "password", "nobody@example.com", "--password-stdin"],
            PASSWORD,
        ));
        assert!(
            said.contains("there is no account for nobody@example.com"),
            "{said}"
        );
    }
}
