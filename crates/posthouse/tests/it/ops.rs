//! What an operator's tools see of a running server: probes, metrics, its end.

use std::net::TcpStream;

use crate::both_engines;
use crate::harness::{Act, PASSWORD, Posthouse, Sink, Smtp, Verb, eventually};

const MESSAGE: &[u8] = b"From: alice@example.com\r\nSubject: hello\r\n\r\nhello\r\n";

/// What a scrape gets.
fn metrics(server: &Posthouse) -> String {
    server.http().get("/metrics").expect(200).text
}

/// The value of one metric, by its name behind the prefix and its labels.
fn metric(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find(|line| {
        line.strip_prefix("posthouse_")
            .and_then(|line| line.split(' ').next())
            == Some(name)
    })?;
    line.rsplit(' ').next()?.parse().ok()
}

both_engines! {
    fn a_running_server_is_healthy_and_ready(engine) {
        let server = Posthouse::on(engine).start();
        let http = server.http();
        assert_eq!(http.get("/healthz").expect(200).text, "ok\n");
        assert_eq!(http.get("/readyz").expect(200).text, "ready\n");
    }

    fn what_becomes_of_mail_is_counted_without_naming_anybody(engine) {
        let sink = Sink::start();
        sink.always(Verb::Rcpt, "nobody@", Act::reply("550 5.1.1 no such user"));
        sink.always(Verb::Rcpt, "busy@", Act::reply("451 4.2.0 later"));
        let server = Posthouse::on(engine).route_to(&sink).set("delivery.retry", "[\"1h\"]").start();
        let before = metrics(&server);
        for counted in [
            "messages_accepted_total", "recipients_accepted_total", "recipients_delivered_total",
            "recipients_deferred_total", "recipients_bounced_total", "queue_deferred", "queue_oldest_seconds",
        ] {
            assert_eq!(metric(&before, counted), Some(0.0), "{counted}");
        }
        server.create_account("alice@example.com");
        let recipients = ["bob@example.net", "nobody@example.net", "busy@example.org"];
        server.signed_in("alice@example.com").submit("alice@example.com", &recipients, MESSAGE).expect("250 2.0.0");
        // The notice about nobody is a message, a recipient and a delivery of its own.
        let wanted = [
            ("messages_accepted_total", 1.0),
            ("recipients_accepted_total", 3.0),
            ("recipients_delivered_total", 2.0),
            ("recipients_deferred_total", 1.0),
            ("recipients_bounced_total", 1.0),
            ("reports_total", 1.0),
            ("queue_queued", 0.0),
            ("queue_deferred", 1.0),
            ("queue_in_hand", 0.0),
            ("recipients_unrecorded", 0.0),
            ("recipients_recovered_total", 0.0),
        ];
        let text = eventually("every fate is counted", || {
            let text = metrics(&server);
            wanted.iter().all(|(name, value)| metric(&text, name) == Some(*value)).then_some(text)
        });
        for moved in ["commits_total", "commit_writes_total", "commit_batch_size_sum", "commit_batch_size_count", "commit_latency_seconds_count", "settle_latency_seconds_count", "settle_latency_seconds_sum"] {
            assert!(metric(&text, moved) > metric(&before, moved), "{moved}: {text}");
        }
        for last in ["commit_batch_size_bucket{le=\"+Inf\"}", "commit_latency_seconds_bucket{le=\"+Inf\"}"] {
            assert!(metric(&text, last) > Some(0.0), "{last}: {text}");
        }
        assert!(metric(&text, "commit_latency_seconds_sum") > metric(&before, "commit_latency_seconds_sum"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
        assert!(!text.contains("example."), "{text}");
        eventually("what waits grows old", || {
            (metric(&metrics(&server), "queue_oldest_seconds") >= Some(1.0)).then_some(())
        });
    }

    fn connections_are_counted_by_the_kind_of_listener(engine) {
        let server = Posthouse::on(engine)
            .set("smtp.inbound", "[\"127.0.0.1:0\"]")
            .set("http.listen_tls", "\"127.0.0.1:0\"")
            .set("smtp.connections_per_client", "4")
            .start();
        let count = |text: &str, name: &str, listener: &str| metric(text, &format!("{name}{{listener=\"{listener}\"}}"));
        let mut inbound = Smtp::connect(server.address("inbound"));
        inbound.reply().expect("220");
        let open = [server.smtp(), server.smtp(), server.smtps(), inbound];
        Smtp::connect(server.address("submission")).reply().expect("421 4.7.0");
        let https = TcpStream::connect(server.address("https")).unwrap();
        let text = eventually("every listener has its connections", || {
            let text = metrics(&server);
            let open = [("submission", 2.0), ("submissions", 1.0), ("inbound", 1.0), ("https", 1.0)];
            open.iter().all(|(listener, wanted)| count(&text, "connections", listener) == Some(*wanted)).then_some(text)
        });
        assert!(count(&text, "connections", "http") >= Some(1.0), "{text}");
        assert_eq!(count(&text, "connections_turned_away_total", "submission"), Some(1.0));
        assert_eq!(count(&text, "connections_turned_away_total", "inbound"), Some(0.0));

        open.into_iter().for_each(Smtp::quit);
        drop(https);
        let text = eventually("they are over", || {
            let text = metrics(&server);
            let over = ["submission", "submissions", "inbound", "https"];
            over.iter().all(|listener| count(&text, "connections", listener) == Some(0.0)).then_some(text)
        });
        assert_eq!(count(&text, "connections_opened_total", "submission"), Some(2.0));
    }

    fn sign_ins_are_counted(engine) {
        let server = Posthouse::on(engine).start();
        server.create_account("alice@example.com");
        let mut smtp = server.smtps();
        smtp.ehlo().expect("250");
        smtp.auth_plain("alice@example.com", "not the password").expect("535");
        smtp.auth_plain("alice@example.com", PASSWORD).expect("235");
        let text = metrics(&server);
        assert_eq!(metric(&text, "smtp_sign_ins_total"), Some(1.0));
        assert_eq!(metric(&text, "smtp_sign_in_failures_total"), Some(1.0));
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
