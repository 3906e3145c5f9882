//! `posthouse send` in place of sendmail.

use std::process::Output;

use crate::both_engines;
use crate::harness::{Posthouse, Sink};

const MESSAGE: &str = "From: Alice <alice@example.com>\nTo: bob@example.net\nBcc: eve@example.org\nSubject: hello\n\nhello\n.\nthere";

fn code(output: &Output) -> (Option<i32>, String) {
    (
        output.status.code(),
        String::from_utf8(output.stderr.clone()).unwrap(),
    )
}

both_engines! {
    fn a_message_sent_without_a_server_leaves_when_one_starts(engine) {
        let sink = Sink::start();
        let setup = Posthouse::on(engine).route_to(&sink);
        setup.create_account("alice@example.com");
        setup.cli(&["send", "-t", "-i"], MESSAGE);
        let _server = setup.start();
        let arrived = sink.wait_for_recipient("bob@example.net");
        assert!(arrived.text().contains("hello\r\n.\r\nthere\r\n"), "{}", arrived.text());
        assert!(arrived.header("bcc").is_empty());
        sink.wait_for_recipient("eve@example.org");
    }

    fn a_message_sent_beside_a_running_server_leaves_through_it(engine) {
        let sink = Sink::start();
        let server = Posthouse::on(engine).route_to(&sink).start();
        server.create_account("alice@example.com");
        server.cli(&["send", "-F", "Alice", "-f", "alice@example.com", "bob@example.net"], "Subject: no sender\n\ntext");
        let arrived = sink.wait_for_recipient("bob@example.net");
        assert_eq!(arrived.header("from"), ["Alice <alice@example.com>"]);
        assert!(!arrived.header("message-id").is_empty() && !arrived.header("date").is_empty());
    }

    fn a_dot_alone_ends_the_message_unless_told_otherwise(engine) {
        let sink = Sink::start();
        let server = Posthouse::on(engine).route_to(&sink).start();
        server.create_account("alice@example.com");
        server.cli(&["send", "-t"], MESSAGE);
        let text = sink.wait_for_recipient("bob@example.net").text();
        assert!(text.ends_with("\r\nhello\r\n"), "{text}");
    }

    fn refusals_have_the_exit_codes_that_callers_of_sendmail_know(engine) {
        let setup = Posthouse::on(engine);
        setup.create_account("alice@example.com");
        let (usage, said) = code(&setup.try_cli(&["send"], MESSAGE));
        assert_eq!(usage, Some(64), "{said}");
        let (user, said) = code(&setup.try_cli(&["send", "-f", "alice@example.com", "bob"], MESSAGE));
        assert_eq!(user, Some(67), "{said}");
        let (permission, said) =
            code(&setup.try_cli(&["send", "-f", "mallory@example.com", "bob@example.net"], MESSAGE));
        assert_eq!(permission, Some(77), "{said}");
        assert!(said.contains("--account"), "{said}");
        setup.cli(&["account", "credits", "alice@example.com", "-500", "--reason", "test"], "");
        let (temporary, said) = code(&setup.try_cli(&["send", "-t"], MESSAGE));
        assert_eq!(temporary, Some(75), "{said}");
    }
}
