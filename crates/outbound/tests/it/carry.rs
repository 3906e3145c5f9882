use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mail::address::Address;
use mail::notify::Notify;
use mail::smtp::client::Login;
use mail::time::Time;
use outbound::carry::{Carrier, CarrySettings, Prepared, Timeouts, Transport};
use outbound::model::{Grip, JobRecipient, LaneKey, Outcome, Verdict};
use outbound::route::{Host, Plan, Route, TlsPolicy, Via};

use crate::sink::{Act, Script, Sink, certificate};

const MESSAGE: &[u8] = b"From: s@us.example\r\nSubject: hi\r\n\r\n.dot\r\nline\r\n";

fn quick() -> CarrySettings {
    let second = Duration::from_secs(20);
    let timeouts = Timeouts {
        quit: Duration::from_millis(500),
        data_end: second,
        ..Timeouts::default()
    };
    CarrySettings {
        timeouts,
        ..CarrySettings::new("us.example")
    }
}

fn impatient() -> CarrySettings {
    let brief = Duration::from_millis(150);
    let timeouts = Timeouts {
        banner: brief,
        hello: brief,
        mail: brief,
        rcpt: brief,
        data_start: brief,
        data_end: brief,
        ..quick().timeouts
    };
    CarrySettings { timeouts, ..quick() }
}

fn plan_to(addresses: &[SocketAddr], tls: TlsPolicy, login: Option<Login>) -> Arc<Plan> {
    let hosts = addresses
        .iter()
        .zip(1..)
        .map(|(address, preference)| Host {
            name: "localhost".into(),
            preference,
            addresses: vec![address.ip()],
        })
        .collect();
    let via = Via::Smtp {
        hosts,
        port: addresses[0].port(),
        tls,
        login,
    };
    Arc::new(Plan {
        lane: LaneKey::new("sink"),
        via,
    })
}

fn carrier(sink: &Sink, settings: CarrySettings) -> Carrier {
    let transport = Transport::new(settings, &Route::Mx).unwrap();
    transport.carrier(plan_to(&[sink.address], TlsPolicy::Opportunistic, None))
}

fn recipients(list: &[&str]) -> Vec<JobRecipient> {
    list.iter()
        .zip(0..)
        .map(|(address, ordinal)| JobRecipient {
            warned: false,
            grip: Grip::default(),
            ordinal,
            address: Address::parse(address).unwrap(),
            notify: Notify::default(),
            orcpt: None,
            attempts: 0,
            expires_at: Time::from_secs(1),
        })
        .collect()
}

async fn deliver(carrier: &mut Carrier, to: &[&str], message: &[u8]) -> Vec<Outcome> {
    let sender = Address::parse("s@us.example").unwrap();
    let prepared = Prepared {
        reverse_path: Some(&sender),
        recipients: &recipients(to),
        ret: None,
        envid: None,
        parts: &[b"DKIM-Signature: x\r\n", message],
    };
    carrier.deliver(&prepared, Time::from_secs(7)).await
}

/// Delivers to one recipient on a fresh connection and shortens the outcome to verdict and code.
async fn fate(script: Script, settings: CarrySettings) -> String {
    let sink = Sink::start(script).await;
    let mut carrier = carrier(&sink, settings);
    let outcomes = deliver(&mut carrier, &["a@b.example"], MESSAGE).await;
    let outcome = &outcomes[0];
    assert_eq!(
        (outcome.host.as_deref(), outcome.ip),
        (Some("localhost"), Some(sink.address.ip())),
        "{outcome:?}"
    );
    assert!(!outcome.reply.is_empty(), "{outcome:?}");
    let code = outcome.code.map_or("no reply".into(), |code| code.to_string());
    format!("{} {code}", outcome.verdict.as_str())
}

#[tokio::test]
async fn one_connection_carries_one_message_after_the_other() {
    let sink = Sink::start(Script::default()).await;
    let mut carrier = carrier(&sink, quick());
    for _ in 0..5 {
        let outcomes = deliver(&mut carrier, &["a@b.example", "c@b.example"], MESSAGE).await;
        for outcome in &outcomes {
            assert_eq!((outcome.verdict, outcome.code), (Verdict::Delivered, Some(250)));
            assert_eq!(outcome.summary(), "250 2.0.0 taken");
            assert_eq!((outcome.at, outcome.tls.as_deref()), (Time::from_secs(7), None));
        }
    }
    carrier.close().await;
    assert_eq!(sink.connections(), 1);
    assert_eq!(
        sink.messages(),
        vec![[b"DKIM-Signature: x\r\n", MESSAGE].concat(); 5]
    );
    let commands = sink.commands();
    assert_eq!(
        commands[..5],
        [
            "EHLO us.example",
            "MAIL FROM:<s@us.example> SIZE=66",
            "RCPT TO:<a@b.example>",
            "RCPT TO:<c@b.example>",
            "DATA"
        ]
    );
    assert_eq!(commands.last().unwrap(), "QUIT");
    assert!(
        sink.seen.lock().groups.contains(&4),
        "the envelope came in one piece"
    );
}

#[tokio::test]
async fn a_connection_that_breaks_off_at_any_verb_defers() {
    for verb in ["BANNER", "EHLO", "MAIL", "RCPT", "DATA", "BODY"] {
        assert_eq!(
            fate(Script::at(verb, Act::Drop), quick()).await,
            "deferred no reply",
            "{verb}"
        );
    }
}

#[tokio::test]
async fn a_temporary_or_permanent_reply_at_any_verb_has_its_meaning() {
    for (verb, five) in [
        ("BANNER", "deferred 554"),
        ("MAIL", "bounced 554"),
        ("RCPT", "bounced 554"),
        ("DATA", "bounced 554"),
        ("BODY", "bounced 554"),
    ] {
        assert_eq!(
            fate(Script::at(verb, Act::Say("451 4.3.0 later")), quick()).await,
            "deferred 451",
            "{verb}"
        );
        assert_eq!(
            fate(Script::at(verb, Act::Say("554 5.7.1 never")), quick()).await,
            five,
            "{verb}"
        );
        assert_eq!(
            fate(Script::at(verb, Act::Say("421 4.3.2 closing")), quick()).await,
            "deferred 421",
            "{verb}"
        );
    }
    assert_eq!(
        fate(Script::at("EHLO", Act::Say("554 5.7.1 never")), quick()).await,
        "delivered 250",
        "HELO is tried"
    );
    assert_eq!(
        fate(Script::at("EHLO", Act::Say("451 4.3.0 later")), quick()).await,
        "deferred 451"
    );
}

#[tokio::test]
async fn silence_at_any_verb_ends_with_its_deadline() {
    for verb in ["BANNER", "EHLO", "MAIL", "RCPT", "DATA", "BODY"] {
        assert_eq!(
            fate(Script::at(verb, Act::Silence), impatient()).await,
            "deferred no reply",
            "{verb}"
        );
    }
}

#[tokio::test]
async fn garbage_at_any_verb_defers() {
    for verb in ["BANNER", "EHLO", "MAIL", "RCPT", "DATA", "BODY"] {
        assert_eq!(
            fate(Script::at(verb, Act::Say("hello, who is there?")), quick()).await,
            "deferred no reply",
            "{verb}"
        );
        assert_eq!(
            fate(Script::at(verb, Act::Say("250-a\r\n451 b")), quick()).await,
            "deferred no reply",
            "{verb}"
        );
    }
}

#[tokio::test]
async fn each_recipient_has_its_own_outcome() {
    let script = Script::at("RCPT b@b.example", Act::Say("550 5.1.1 nobody"))
        .and("RCPT c@b.example", Act::Say("452 4.2.2 full"));
    let sink = Sink::start(script).await;
    let mut carrier = carrier(&sink, quick());
    let outcomes = deliver(
        &mut carrier,
        &["a@b.example", "b@b.example", "c@b.example"],
        MESSAGE,
    )
    .await;
    let verdicts: Vec<_> = outcomes.iter().map(|o| (o.verdict, o.code)).collect();
    assert_eq!(
        verdicts,
        [
            (Verdict::Delivered, Some(250)),
            (Verdict::Bounced, Some(550)),
            (Verdict::Deferred, Some(452))
        ]
    );
    assert!(carrier.is_connected());
}

#[tokio::test]
async fn nobody_left_after_data_was_granted_ends_the_transaction_and_keeps_the_connection() {
    let sink = Sink::start(Script::at("RCPT nobody", Act::Say("550 5.1.1 nobody"))).await;
    let mut carrier = carrier(&sink, quick());
    assert_eq!(
        deliver(&mut carrier, &["nobody@b.example"], MESSAGE).await[0].verdict,
        Verdict::Bounced
    );
    assert_eq!(
        deliver(&mut carrier, &["a@b.example"], MESSAGE).await[0].verdict,
        Verdict::Delivered
    );
    assert_eq!(sink.connections(), 1);
    assert_eq!(sink.messages()[0], b"", "a lone dot, not the message");
}

#[tokio::test]
async fn without_pipelining_commands_come_one_by_one() {
    let sink = Sink::start(Script {
        offers: vec!["8BITMIME"],
        ..Script::default()
    })
    .await;
    let mut carrier = carrier(&sink, quick());
    for _ in 0..2 {
        assert_eq!(
            deliver(&mut carrier, &["a@b.example", "c@b.example"], MESSAGE).await[1].verdict,
            Verdict::Delivered
        );
    }
    assert!(sink.seen.lock().groups.iter().all(|&lines| lines == 1));
}

#[tokio::test]
async fn a_big_message_arrives_octet_for_octet() {
    let mut message = b"Subject: big\r\n\r\n".to_vec();
    for n in 0..60_000 {
        write!(
            message,
            "{}line {n} ü{}\r\n",
            if n % 3 == 0 { "." } else { "" },
            "x".repeat(n % 90)
        )
        .unwrap();
    }
    let sink = Sink::start(Script::default()).await;
    let mut carrier = carrier(&sink, quick());
    assert_eq!(
        deliver(&mut carrier, &["a@b.example"], &message).await[0].verdict,
        Verdict::Delivered
    );
    assert!(
        sink.messages()[0] == [b"DKIM-Signature: x\r\n", &message[..]].concat(),
        "the message changed on its way"
    );
    assert!(sink.commands()[1].contains(" BODY=8BITMIME"));
}

#[tokio::test]
async fn a_bare_cr_or_lf_is_never_sent() {
    let sink = Sink::start(Script::default()).await;
    let mut carrier = carrier(&sink, quick());
    for message in [
        &b"a\r\n\r\nb\n.\r\nMAIL FROM:<evil@x>\r\n"[..],
        b"a: b\r\n\r\nc\rd\r\n",
    ] {
        assert_eq!(
            deliver(&mut carrier, &["a@b.example"], message).await[0].verdict,
            Verdict::Bounced
        );
    }
    assert_eq!(sink.connections(), 0);
}

#[tokio::test]
async fn a_connection_that_the_server_closed_meanwhile_is_replaced_unnoticed() {
    let sink = Sink::start(Script {
        closes_after: Some(1),
        ..Script::default()
    })
    .await;
    let mut carrier = carrier(&sink, quick());
    for _ in 0..3 {
        assert_eq!(
            deliver(&mut carrier, &["a@b.example"], MESSAGE).await[0].verdict,
            Verdict::Delivered
        );
    }
    assert_eq!((sink.connections(), sink.messages().len()), (3, 3));
}

#[tokio::test]
async fn after_its_share_of_messages_a_connection_is_closed_politely() {
    let sink = Sink::start(Script::default()).await;
    let settings = CarrySettings {
        messages_per_connection: 2,
        ..quick()
    };
    let mut carrier = carrier(&sink, settings);
    for nth in 1..=4 {
        deliver(&mut carrier, &["a@b.example"], MESSAGE).await;
        assert_eq!(carrier.is_connected(), nth % 2 == 1);
    }
    carrier.close().await;
    assert_eq!(sink.connections(), 2);
    assert_eq!(sink.commands().iter().filter(|line| *line == "QUIT").count(), 2);
}

#[tokio::test]
async fn the_next_host_is_tried_where_one_refuses_us() {
    let sink = Sink::start(Script::default()).await;
    let port = sink.address.port();
    // 127.0.0.2 is loopback too, and nobody listens there.
    let plan = plan_to(
        &[SocketAddr::new("127.0.0.2".parse().unwrap(), port), sink.address],
        TlsPolicy::Opportunistic,
        None,
    );
    let mut carrier = Transport::new(quick(), &Route::Mx).unwrap().carrier(plan);
    let outcomes = deliver(&mut carrier, &["a@b.example"], MESSAGE).await;
    assert_eq!(
        (outcomes[0].verdict, outcomes[0].ip),
        (Verdict::Delivered, Some(sink.address.ip()))
    );
}

#[tokio::test]
async fn it_connects_from_the_address_it_is_told_to() {
    let sink = Sink::start(Script::default()).await;
    let source = Ipv4Addr::new(127, 0, 0, 5);
    let settings = CarrySettings {
        source_v4: Some(source),
        ..quick()
    };
    deliver(&mut carrier(&sink, settings), &["a@b.example"], MESSAGE).await;
    assert_eq!(sink.seen.lock().peers, [source]);

    let elsewhere = CarrySettings {
        source_v4: Some(Ipv4Addr::new(192, 0, 2, 1)),
        ..quick()
    };
    let outcomes = deliver(&mut carrier(&sink, elsewhere), &["a@b.example"], MESSAGE).await;
    assert_eq!(
        outcomes[0].reply,
        "The connection could not be made: our own source address is not available"
    );
}

#[tokio::test]
async fn no_host_at_all_defers_with_what_happened() {
    let plan = plan_to(&["127.0.0.1:1".parse().unwrap()], TlsPolicy::Opportunistic, None);
    let mut carrier = Transport::new(quick(), &Route::Mx).unwrap().carrier(plan);
    let outcomes = deliver(&mut carrier, &["a@b.example"], MESSAGE).await;
    assert_eq!(
        outcomes[0].summary(),
        "The connection could not be made: connection refused"
    );
    assert_eq!(outcomes[0].enhanced.unwrap().to_string(), "4.4.1");
}

fn offering_tls() -> Script {
    Script {
        tls: Some(certificate().0),
        offers: vec!["PIPELINING", "STARTTLS"],
        ..Script::default()
    }
}

#[tokio::test]
async fn tls_is_used_where_it_is_offered_whoever_made_the_certificate() {
    let sink = Sink::start(offering_tls()).await;
    let mut carrier = carrier(&sink, quick());
    for _ in 0..2 {
        let outcomes = deliver(&mut carrier, &["a@b.example"], MESSAGE).await;
        assert_eq!(outcomes[0].verdict, Verdict::Delivered);
        let tls = outcomes[0].tls.as_deref().unwrap();
        assert!(tls.starts_with("TLSv1.3 TLS_"), "{tls}");
    }
    assert_eq!(sink.connections(), 1);
}

#[tokio::test]
async fn what_a_server_says_before_tls_counts_for_nothing_after_it() {
    let script = Script {
        injected: "\r\n250-injected\r\n250 SIZE 1",
        offers_under_tls: vec!["8BITMIME"],
        ..offering_tls()
    };
    let sink = Sink::start(script).await;
    let mut carrier = carrier(&sink, quick());
    let outcomes = deliver(&mut carrier, &["a@b.example"], MESSAGE).await;
    assert_eq!(outcomes[0].verdict, Verdict::Delivered, "{outcomes:?}");
    assert!(outcomes[0].tls.is_some());
    assert!(
        sink.seen.lock().groups.iter().all(|&lines| lines == 1),
        "PIPELINING was offered before TLS only"
    );
}

#[tokio::test]
async fn a_failing_handshake_or_a_refused_starttls_goes_on_in_the_clear() {
    let broken = Script {
        breaks_handshake: true,
        ..offering_tls()
    };
    for (script, connections) in [
        (broken, 2),
        (offering_tls().and("STARTTLS", Act::Say("454 4.7.0 not now")), 1),
    ] {
        let sink = Sink::start(script).await;
        let mut carrier = carrier(&sink, quick());
        let outcomes = deliver(&mut carrier, &["a@b.example"], MESSAGE).await;
        assert_eq!(
            (outcomes[0].verdict, outcomes[0].tls.as_deref()),
            (Verdict::Delivered, None)
        );
        assert_eq!(sink.connections(), connections);
    }
}

/// A carrier to a smarthost at `localhost`, which its certificate names.
fn smarthost(sink: &Sink, scheme: &str, authority: Option<&str>, login: bool) -> Carrier {
    let port = sink.address.port();
    let credentials = if login { "us:secret@" } else { "" };
    let route = Route::parse(&format!("{scheme}://{credentials}localhost:{port}")).unwrap();
    let Route::Smarthost(host) = &route else {
        panic!("not a smarthost")
    };
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(authority.unwrap_or_default().as_bytes()).unwrap();
    let ca_file = authority.map(|_| file.path().to_owned());
    let plan = plan_to(&[sink.address], host.tls, host.login.clone());
    Transport::new(CarrySettings { ca_file, ..quick() }, &route)
        .unwrap()
        .carrier(plan)
}

#[tokio::test]
async fn a_smarthost_with_verified_tls_gets_nothing_unless_its_certificate_is_good() {
    let (tls, pem) = certificate();
    for (scheme, implicit_tls) in [("smtp+starttls", false), ("smtps", true)] {
        let script = Script {
            tls: Some(tls.clone()),
            implicit_tls,
            ..offering_tls()
        };
        let sink = Sink::start(script.clone()).await;
        let mut good = smarthost(&sink, scheme, Some(&pem), false);
        let outcomes = deliver(&mut good, &["a@b.example"], MESSAGE).await;
        assert_eq!(outcomes[0].verdict, Verdict::Delivered, "{outcomes:?}");
        assert!(outcomes[0].tls.is_some());
        let sink = Sink::start(script).await;
        let mut other = smarthost(&sink, scheme, Some(&certificate().1), false);
        let outcomes = deliver(&mut other, &["a@b.example"], MESSAGE).await;
        assert_eq!(outcomes[0].enhanced.unwrap().to_string(), "4.7.5", "{outcomes:?}");
        let why = "TLS could not be agreed on: no authority that we know has signed the server's certificate";
        assert_eq!(outcomes[0].reply, why);
        assert_eq!((sink.connections(), sink.messages().len()), (1, 0));
    }
    let sink = Sink::start(Script::default()).await;
    let outcomes = deliver(
        &mut smarthost(&sink, "smtp+starttls", Some(&pem), false),
        &["a@b.example"],
        MESSAGE,
    )
    .await;
    assert_eq!(
        outcomes[0].reply,
        "The server offers no STARTTLS, which this route requires"
    );
}

#[tokio::test]
async fn a_smarthost_is_signed_in_to_under_tls_or_on_this_machine() {
    let (tls, pem) = certificate();
    let script = Script {
        tls: Some(tls),
        offers_under_tls: vec!["AUTH PLAIN LOGIN"],
        ..offering_tls()
    };
    let sink = Sink::start(script.clone()).await;
    let mut carrier = smarthost(&sink, "smtp+starttls", Some(&pem), true);
    assert_eq!(
        deliver(&mut carrier, &["a@b.example"], MESSAGE).await[0].verdict,
        Verdict::Delivered
    );
    assert!(
        sink.commands()
            .contains(&"AUTH PLAIN AHVzAHNlY3JldA==".to_owned())
    );

    let sink = Sink::start(script.and("AUTH", Act::Say("535 5.7.8 no"))).await;
    let mut refused = smarthost(&sink, "smtp+starttls", Some(&pem), true);
    let outcomes = deliver(&mut refused, &["a@b.example"], MESSAGE).await;
    assert_eq!(
        (outcomes[0].verdict, outcomes[0].code),
        (Verdict::Deferred, Some(535))
    );

    // No TLS, but no network either.
    let sink = Sink::start(Script {
        offers: vec!["AUTH PLAIN"],
        ..Script::default()
    })
    .await;
    let mut local = smarthost(&sink, "smtp", None, true);
    assert_eq!(
        deliver(&mut local, &["a@b.example"], MESSAGE).await[0].verdict,
        Verdict::Delivered
    );
    assert!(sink.commands().iter().any(|line| line.starts_with("AUTH PLAIN ")));
}

#[test]
fn an_authority_file_that_is_none_is_named_in_the_error() {
    let route = Route::parse("smtps://localhost").unwrap();
    for (content, want) in [
        ("", "holds no certificate"),
        (
            "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
            "could not be read",
        ),
    ] {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content.as_bytes()).unwrap();
        let settings = CarrySettings {
            ca_file: Some(file.path().to_owned()),
            ..quick()
        };
        let error = Transport::new(settings, &route).err().unwrap().to_string();
        assert!(
            error.contains(want) && error.contains(file.path().to_str().unwrap()),
            "{error}"
        );
    }
}
