//! What an operator's tools see of a running server: probes, metrics, its end.

use crate::both_engines;
use crate::harness::{Posthouse, Sink, eventually};

const MESSAGE: &[u8] = b"From: alice@example.com\r\nSubject: hello\r\n\r\nhello\r\n";

/// The value of one metric.
fn metric(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.split(' ').next() == Some(name))?;
    line.rsplit(' ').next()?.parse().ok()
}

both_engines! {
    fn a_running_server_is_healthy_and_ready(engine) {
        let server = Posthouse::on(engine).start();
        let http = server.http();
        assert_eq!(http.get("/healthz").expect(200).text, "ok\n");
        assert_eq!(http.get("/readyz").expect(200).text, "ready\n");
    }

    fn what_happens_is_counted_without_naming_anybody(engine) {
        let sink = Sink::start();
        let server = Posthouse::on(engine).route_to(&sink).start();
        server.create_account("alice@example.com");
        let mut smtp = server.signed_in("alice@example.com");
        smtp.submit("alice@example.com", &["bob@example.net", "eve@example.org"], MESSAGE).expect("250 2.0.0");
        sink.wait_for(1);
        let text = eventually("both deliveries are counted", || {
            let text = server.http().get("/metrics").expect(200).text;
            (metric(&text, "posthouse_recipients_delivered_total") == Some(2.0)).then_some(text)
        });
        assert_eq!(metric(&text, "posthouse_messages_accepted_total"), Some(1.0));
        assert_eq!(metric(&text, "posthouse_smtp_sign_ins_total"), Some(1.0));
        assert_eq!(metric(&text, "posthouse_smtp_connections"), Some(1.0));
        assert!(metric(&text, "posthouse_commits_total") > Some(0.0));
        assert!(text.contains("posthouse_commit_latency_seconds_bucket{le=\"+Inf\"}"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
        assert!(!text.contains("example."), "{text}");
    }

    fn a_server_that_is_asked_to_end_ends_well_and_loses_nothing(engine) {
        let sink = Sink::start();
        let mut server = Posthouse::on(engine).route_to(&sink).start();
        server.create_account("alice@example.com");
        let mut smtp = server.signed_in("alice@example.com");
        smtp.submit("alice@example.com", &["bob@example.net"], MESSAGE).expect("250 2.0.0");
        assert_eq!(server.stop(), Some(0));
        server.start_again();
        sink.wait_for_recipient("bob@example.net");
    }

    fn metrics_are_kept_from_others_than_the_configured_addresses(engine) {
        let server = Posthouse::on(engine)
            .set("http.metrics_from", "[\"192.0.2.0/24\"]")
            .start();
        let refused = server.http().get("/metrics").expect(403);
        assert!(refused.text.contains("http.metrics_from"), "{}", refused.text);
    }
}
