use proptest::prelude::*;

use super::*;

/// A delivery report with these groups behind its own.
fn dsn(kind: &str, groups: &str) -> Vec<u8> {
    format!(
        "From: MAILER-DAEMON@mx.example.net\r\nTo: b-x@mail.example\r\nSubject: whatever\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"b=_1\"\r\n\r\n--b=_1\r\n\
         Content-Type: text/plain\r\n\r\nSorry.\r\n\r\n--b=_1\r\nContent-Type: message/{kind}\r\n\r\n\
         Reporting-MTA: dns; mx.example.net\r\nArrival-Date: Mon, 23 Nov 2026 10:00:00 +0000\r\n\r\n{groups}\r\n--b=_1\r\n\
         Content-Type: message/rfc822\r\n\r\nSubject: hello\r\n\r\nHi.\r\n--b=_1--\r\n"
    )
    .into_bytes()
}

fn only(raw: &[u8]) -> Fate {
    match read(raw) {
        Report::Status(fates) if fates.len() == 1 => fates[0].clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_delivery_report_says_what_became_of_each_recipient() {
    let raw = dsn(
        "delivery-status",
        "Original-Recipient: rfc822;Zoe@Example.net\r\nFinal-Recipient: rfc822; zoe@inner.example.net\r\nAction: failed\r\n\
         Status: 5.0.0\r\nRemote-MTA: dns; store.example.net\r\nDiagnostic-Code: smtp; 550 5.1.1 <zoe@inner.example.net>: User\r\n unknown\r\n\r\n\
         Final-Recipient: rfc822; yan@example.net\r\nAction: delayed\r\nStatus: 4.4.1 (no answer)\r\n\r\n\
         Final-Recipient: rfc822; xu@example.net\r\nAction: RELAYED\r\nStatus: 2.0.0\r\n",
    );
    let Report::Status(fates) = read(&raw) else {
        panic!()
    };
    assert_eq!(
        fates[0],
        Fate {
            done: Done::Failed,
            addresses: vec!["zoe@example.net".into(), "zoe@inner.example.net".into()],
            code: Some(550),
            enhanced: Some(Enhanced::new(5, 1, 1)),
            text: "<zoe@inner.example.net>: User unknown".into(),
            host: Some("store.example.net".into()),
        }
    );
    assert_eq!(
        (fates[1].done, fates[1].enhanced),
        (Done::Delayed, Some(Enhanced::new(4, 4, 1)))
    );
    assert_eq!(fates[1].host.as_deref(), Some("mx.example.net"));
    assert_eq!(fates[2].done, Done::Passed);
}

#[test]
fn a_report_of_our_own_reads_back() {
    let address = crate::address::Address::parse("zoë@bücher.example").unwrap();
    let to = crate::address::Address::parse("ann@sender.example").unwrap();
    let reported = crate::dsn::Reported {
        address: &address,
        orcpt: None,
        action: crate::dsn::Action::Failed,
        code: Some(552),
        enhanced: Some(Enhanced::new(5, 2, 2)),
        reply: "Mailbox full",
        host: Some("mx.example.net"),
        last_attempt: None,
        retry_until: None,
    };
    let raw = crate::dsn::build(&crate::dsn::Report {
        reporting_mta: "us.example",
        to: &to,
        message_id: "1@us.example",
        now: crate::time::Time::EPOCH,
        arrived: crate::time::Time::EPOCH,
        envid: None,
        ret: None,
        original: b"Subject: s\r\n\r\nb\r\n",
        recipients: &[reported],
    });
    let fate = only(&raw);
    assert_eq!(fate.addresses, ["zoë@xn--bcher-kva.example"]);
    assert_eq!(
        (fate.code, fate.enhanced, fate.text.as_str()),
        (Some(552), Some(Enhanced::new(5, 2, 2)), "Mailbox full")
    );
}

#[test]
fn an_international_report_in_base64_is_read_too() {
    use base64::Engine as _;
    let groups = "Reporting-MTA: dns; mx.example.net\r\n\r\nFinal-Recipient: utf-8; zo\\x{EB}@example.net\r\nAction: failed\r\nStatus: 5.1.1\r\n";
    let encoded = base64::engine::general_purpose::STANDARD.encode(groups);
    let raw = format!(
        "Content-Type: multipart/report; boundary=x\r\n\r\n--x\r\nContent-Type: message/global-delivery-status\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{encoded}\r\n--x--\r\n"
    );
    assert_eq!(only(raw.as_bytes()).addresses, ["zoë@example.net"]);
}

#[test]
fn bounces_for_people_are_read_by_who_sends_them_and_what_they_say() {
    let bounce = |from: &str, subject: &str, text: &str| {
        format!("From: {from}\r\nSubject: {subject}\r\n\r\n{text}\r\n").into_bytes()
    };
    let daemon = "Mail System <MAILER-DAEMON@mx.example.net>";
    let qmail = "I was not able to deliver your message to these addresses.\r\n\r\n<zoe@example.net>:\r\n192.0.2.9 does not like recipient.\r\nRemote host said: 550 5.1.1 unknown user\r\nGiving up on 192.0.2.9.\r\n";
    let fate = only(&bounce(daemon, "failure notice", qmail));
    assert_eq!(
        (fate.done, fate.code, fate.enhanced, fate.text.as_str()),
        (
            Done::Failed,
            Some(550),
            Some(Enhanced::new(5, 1, 1)),
            "unknown user"
        )
    );
    let exim = "A message that you sent could not be delivered:\r\n\r\n  zoe@example.net\r\n    Unrouteable address\r\n";
    let raw = [
        b"X-Failed-Recipients: Zoe@example.net\r\n".as_slice(),
        &bounce(daemon, "Mail delivery failed: returning message to sender", exim),
    ]
    .concat();
    let fate = only(&raw);
    assert_eq!(
        (fate.addresses, fate.text.as_str()),
        (vec!["zoe@example.net".to_owned()], "Unrouteable address")
    );
    let fate = only(&bounce(
        daemon,
        "Warning: message delayed",
        "Will be tried again.",
    ));
    assert_eq!(fate.done, Done::Delayed);
    // People and their programs answer too, and nothing of that is a bounce.
    for (from, subject) in [
        ("zoe@example.net", "Re: Undeliverable: hello"),
        (daemon, "Your weekly statistics"),
        ("zoe@example.net", "Automatic reply: hello"),
        (daemon, "Automatic reply: mail delivery failed"),
    ] {
        assert_eq!(
            read(&bounce(from, subject, "550 5.1.1 unknown user")),
            Report::Nothing,
            "{from} {subject}"
        );
    }
}

#[test]
fn a_complaint_is_told_from_its_opposite() {
    let raw = |kind: &str| {
        format!(
            "From: fbl@provider.example\r\nContent-Type: multipart/report; report-type=feedback-report; boundary=x\r\n\r\n--x\r\n\r\nA report.\r\n\
             --x\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: {kind}\r\nUser-Agent: Some/1.0\r\nVersion: 1\r\n\
             Reporting-MTA: dns; mail.provider.example\r\n\r\n--x--\r\n"
        )
        .into_bytes()
    };
    for (kind, counts) in [
        ("abuse", true),
        ("Fraud", true),
        ("opt-out", true),
        ("not-spam", false),
        ("auth-failure", false),
        ("whatever", false),
    ] {
        let Report::Complaint(complaint) = read(&raw(kind)) else {
            panic!("{kind}")
        };
        assert_eq!(complaint.counts(), counts, "{kind}");
        assert_eq!(complaint.reporter.as_deref(), Some("mail.provider.example"));
    }
}

#[test]
fn what_a_server_said_is_looked_for_at_the_beginning_of_a_line() {
    let bounce = |line: &str| {
        format!("From: MAILER-DAEMON@mx.example.net\r\nSubject: Undelivered Mail\r\n\r\n{line}\r\n")
            .into_bytes()
    };
    assert_eq!(
        only(&bounce(&format!("{} 550 5.1.1 No such user", "x".repeat(900)))).code,
        Some(550)
    );
    assert_eq!(
        only(&bounce(&format!("{} 550 5.1.1 No such user", "x".repeat(1_000)))).code,
        None
    );
    // Each of these numbers begins a look at all that stands behind it.
    assert_eq!(only(&bounce(&"555 ".repeat(15_000))).code, None);
}

#[test]
fn hostile_reports_end_soon_and_say_nothing() {
    let nested = (0..400).fold(String::new(), |text, n| {
        format!("{text}Content-Type: multipart/report; boundary=n{n}\r\n\r\n--n{n}\r\n")
    });
    assert_eq!(read(nested.as_bytes()), Report::Nothing);
    let many = format!(
        "Content-Type: multipart/mixed; boundary=x\r\n\r\n{}",
        "--x\r\n\r\n".repeat(50_000)
    );
    assert_eq!(read(many.as_bytes()), Report::Nothing);
    let groups = "Final-Recipient: rfc822; a@b.example\r\nAction: failed\r\n\r\n".repeat(5_000);
    let Report::Status(fates) = read(&dsn("delivery-status", &groups)) else {
        panic!()
    };
    assert!(fates.len() <= RECIPIENTS + 1);
    let long = format!(
        "Final-Recipient: rfc822; a@b.example\r\nAction: failed\r\nDiagnostic-Code: smtp; 550 {}\r\n",
        "x".repeat(50_000)
    );
    assert!(only(&dsn("delivery-status", &long)).text.len() <= KEPT);
    let control = only(&dsn(
        "delivery-status",
        "Action: failed\r\nDiagnostic-Code: smtp; 550 a\u{7}\u{1b}[31mb\r\n",
    ));
    assert_eq!(control.text, "a[31mb");
}

proptest! {
    #[test]
    fn no_octets_make_it_panic(raw in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let _ = read(&raw);
    }

    #[test]
    fn nothing_in_a_report_makes_it_panic(groups in "(?s)[ -~\r\n\u{e9}\\\\]{0,400}", text in "(?s).{0,200}") {
        let _ = read(&dsn("delivery-status", &groups));
        let _ = read(&dsn("feedback-report", &groups));
        let _ = read(format!("From: postmaster@a.example\r\nSubject: failure notice\r\n\r\n{text}").as_bytes());
        let _ = loose::reply(&text);
    }
}
