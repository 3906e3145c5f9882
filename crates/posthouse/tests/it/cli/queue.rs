//! `posthouse queue` beside a server whose mail cannot leave yet.

use crate::both_engines;
use crate::harness::dns::Dns;
use crate::harness::{Act, Posthouse, Sink, Verb, eventually};

const MESSAGE: &[u8] = b"From: alice@example.com\r\nSubject: hello\r\n\r\nhello\r\n";

/// The first message that `queue list` names.
fn waiting(listed: &str) -> Option<String> {
    let table = listed.split("MESSAGE").nth(1)?;
    table.lines().nth(1)?.split_whitespace().next().map(str::to_owned)
}

both_engines! {
    fn what_waits_is_listed_retried_and_given_up(engine) {
        let sink = Sink::start();
        sink.always(Verb::Rcpt, "", Act::reply("450 4.2.0 later"));
        let server = Posthouse::on(engine).route_to(&sink).set("delivery.retry", "[\"1h\"]").start();
        server.create_account("alice@example.com");
        let mut smtp = server.signed_in("alice@example.com");
        smtp.submit("alice@example.com", &["bob@example.net"], MESSAGE).expect("250 2.0.0");
        smtp.submit("alice@example.com", &["eve@example.org"], MESSAGE).expect("250 2.0.0");
        let listed = eventually("both wait", || {
            let listed = server.cli(&["queue", "list"], "");
            (listed.contains("2 for another one")).then_some(listed)
        });
        assert!(listed.contains("example.net") && listed.contains("eve@example.org"), "{listed}");

        let first = waiting(&listed).unwrap();
        assert!(server.cli(&["queue", "cancel", &first], "").contains("1 recipients were given up"));
        let listed = server.cli(&["queue", "list"], "");
        assert!(!listed.contains(&first), "{listed}");

        sink.relent();
        assert!(server.cli(&["queue", "retry", "--all"], "").contains("1 recipients are tried now"));
        assert_eq!(sink.wait_for(1).len(), 1);
    }

    fn a_paused_domain_waits_until_it_is_resumed(engine) {
        let sink = Sink::start();
        let dns = Dns::start();
        dns.mx("example.net", 10, "mx.example.net").address_of("mx.example.net", "127.0.0.1");
        let server = Posthouse::on(engine).resolve_with(&dns, sink.address().port()).start();
        server.create_account("alice@example.com");
        server.cli(&["queue", "pause", "example.net"], "");
        assert!(server.cli(&["queue", "list"], "").contains("is paused"));
        server.cli(&["queue", "resume", "example.net"], "");
        assert!(!server.cli(&["queue", "list"], "").contains("is paused"));
        let again = server.try_cli(&["queue", "resume", "example.net"], "");
        assert!(String::from_utf8(again.stderr).unwrap().contains("is not paused"));
        let mut smtp = server.signed_in("alice@example.com");
        smtp.submit("alice@example.com", &["bob@example.net"], MESSAGE).expect("250 2.0.0");
        assert_eq!(sink.wait_for(1).len(), 1);
    }
}
