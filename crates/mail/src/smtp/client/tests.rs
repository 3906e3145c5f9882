use super::*;
use crate::address::Address;
use crate::notify::{Notify, Ret};
use proptest::prelude::*;

/// A session talked to by a script: what the server says, what the client must have said.
struct Talk {
    session: Session,
}

fn settings() -> Settings {
    Settings {
        name: "us.example".into(),
        starttls: StartTls::WhenOffered,
        login: None,
        clear_login: false,
        tls_active: false,
    }
}

impl Talk {
    fn with(settings: Settings) -> Self {
        Self {
            session: Session::new(settings),
        }
    }

    /// A session that is ready, at a server with these extensions.
    fn ready(extensions: &[&str]) -> Self {
        let mut talk = Self::with(settings());
        talk.server("220 mx.example");
        talk.client("EHLO us.example\r\n");
        let mut reply = String::from("250-mx.example\r\n");
        for extension in extensions {
            reply += &["250-", extension, "\r\n"].concat();
        }
        talk.server(&format!("{reply}250 HELP"));
        assert_eq!(talk.session.step(), Step::Ready);
        talk
    }

    fn server(&mut self, lines: &str) {
        self.session.receive(format!("{lines}\r\n").as_bytes());
    }

    fn client(&mut self, expected: &str) {
        assert_eq!(self.session.step(), Step::Write, "the client sends {expected:?}");
        assert_eq!(String::from_utf8_lossy(self.session.output()), expected);
        self.session.output().clear();
    }

    fn begin(&mut self, recipients: &[&str]) {
        self.begin_with(envelope(), recipients);
    }

    fn begin_with(&mut self, envelope: Envelope<'_>, recipients: &[&str]) {
        let sender = Address::parse("s@us.example").unwrap();
        let addresses: Vec<Address> = recipients.iter().map(|r| Address::parse(r).unwrap()).collect();
        let recipients: Vec<Recipient<'_>> = addresses.iter().map(recipient).collect();
        self.session.begin(
            &Envelope {
                reverse_path: Some(&sender),
                ..envelope
            },
            &recipients,
        );
    }

    fn sends_body(&mut self) {
        assert_eq!(self.session.step(), Step::SendBody);
        self.session.body_sent();
    }

    fn fates(&mut self) -> Vec<(Kind, Option<u16>)> {
        match self.session.step() {
            Step::Done(fates) => fates.iter().map(|fate| (fate.kind, fate.code)).collect(),
            other => panic!("the transaction is not over: {other:?}"),
        }
    }
}

fn envelope() -> Envelope<'static> {
    Envelope {
        reverse_path: None,
        ret: None,
        envid: None,
        size: 100,
        eight_bit: false,
        utf8_headers: false,
    }
}

fn recipient(address: &Address) -> Recipient<'_> {
    Recipient {
        address,
        notify: Notify::default(),
        orcpt: None,
    }
}

const BOTH: &[&str] = &["a@b.example", "c@b.example"];
const GROUP: &str = "MAIL FROM:<s@us.example>\r\nRCPT TO:<a@b.example>\r\nRCPT TO:<c@b.example>\r\nDATA\r\n";

#[test]
fn a_pipelined_transaction_is_one_write_and_the_session_serves_the_next() {
    let mut talk = Talk::ready(&["PIPELINING"]);
    for _ in 0..2 {
        talk.begin(BOTH);
        talk.client(GROUP);
        assert_eq!(talk.session.step(), Step::Read(Wait::Mail));
        talk.server("250 ok\r\n250 ok\r\n250 ok\r\n354 go");
        talk.sends_body();
        assert_eq!(talk.session.step(), Step::Read(Wait::DataEnd));
        talk.server("250 2.0.0 queued");
        assert_eq!(
            talk.fates(),
            [(Kind::Accepted, Some(250)), (Kind::Accepted, Some(250))]
        );
        assert!(talk.session.usable());
    }
}

#[test]
fn without_pipelining_each_command_waits_for_its_reply() {
    let mut talk = Talk::ready(&[]);
    talk.begin(BOTH);
    talk.client("MAIL FROM:<s@us.example>\r\n");
    assert_eq!(talk.session.step(), Step::Read(Wait::Mail));
    talk.server("250 ok");
    talk.client("RCPT TO:<a@b.example>\r\n");
    talk.server("550 5.1.1 no such user");
    talk.client("RCPT TO:<c@b.example>\r\n");
    talk.server("250 ok");
    talk.client("DATA\r\n");
    assert_eq!(talk.session.step(), Step::Read(Wait::DataStart));
    talk.server("354 go");
    talk.sends_body();
    talk.server("250 ok");
    assert_eq!(
        talk.fates(),
        [(Kind::Permanent, Some(550)), (Kind::Accepted, Some(250))]
    );
}

#[test]
fn without_pipelining_a_refused_sender_or_list_ends_the_transaction_early() {
    let mut talk = Talk::ready(&[]);
    talk.begin(BOTH);
    talk.client("MAIL FROM:<s@us.example>\r\n");
    talk.server("451 later");
    assert_eq!(
        talk.fates(),
        [(Kind::Temporary, Some(451)), (Kind::Temporary, Some(451))]
    );
    talk.begin(&["a@b.example"]);
    talk.client("MAIL FROM:<s@us.example>\r\n");
    talk.server("250 ok");
    talk.client("RCPT TO:<a@b.example>\r\n");
    talk.server("450 later");
    assert_eq!(talk.fates(), [(Kind::Temporary, Some(450))]);
    talk.begin(&["a@b.example"]);
    talk.client("RSET\r\n");
    talk.server("250 ok");
    talk.client("MAIL FROM:<s@us.example>\r\n");
}

#[test]
fn each_recipient_has_the_fate_of_its_own_reply() {
    let mut talk = Talk::ready(&["PIPELINING"]);
    talk.begin(&["a@b.example", "c@b.example", "d@b.example", "e@b.example"]);
    assert_eq!(talk.session.step(), Step::Write);
    talk.session.output().clear();
    talk.server(
        "250 ok\r\n250 ok\r\n450 4.2.1 busy\r\n550-5.1.1 no\r\n550 5.1.1 such user\r\n552 too many\r\n354 go",
    );
    talk.sends_body();
    talk.server("554 5.7.1 spam");
    assert_eq!(
        talk.fates(),
        [
            (Kind::Permanent, Some(554)),
            (Kind::Temporary, Some(450)),
            (Kind::Permanent, Some(550)),
            (Kind::Temporary, Some(552))
        ]
    );
}

#[test]
fn all_recipients_refused_while_data_was_accepted_is_ended_with_a_lone_dot() {
    let mut talk = Talk::ready(&["PIPELINING"]);
    talk.begin(BOTH);
    talk.client(GROUP);
    talk.server("250 ok\r\n550 no\r\n450 later\r\n354 go");
    talk.client(".\r\n");
    assert_eq!(talk.session.step(), Step::Read(Wait::DataEnd));
    talk.server("250 whatever");
    assert_eq!(
        talk.fates(),
        [(Kind::Permanent, Some(550)), (Kind::Temporary, Some(450))]
    );
    assert!(talk.session.usable());
}

#[test]
fn a_refused_sender_decides_for_all_whatever_follows() {
    let mut talk = Talk::ready(&["PIPELINING"]);
    talk.begin(BOTH);
    talk.client(GROUP);
    talk.server("553 5.1.8 who\r\n503 mail first\r\n250 eh\r\n354 go");
    talk.client(".\r\n");
    talk.server("554 no");
    assert_eq!(
        talk.fates(),
        [(Kind::Permanent, Some(553)), (Kind::Permanent, Some(553))]
    );
}

#[test]
fn a_refused_data_leaves_a_transaction_that_the_next_one_resets() {
    let mut talk = Talk::ready(&["PIPELINING"]);
    talk.begin(BOTH);
    talk.client(GROUP);
    talk.server("250 ok\r\n250 ok\r\n550 no\r\n451 disk");
    assert_eq!(
        talk.fates(),
        [(Kind::Temporary, Some(451)), (Kind::Permanent, Some(550))]
    );
    talk.begin(BOTH);
    talk.client(&format!("RSET\r\n{GROUP}"));
    assert_eq!(talk.session.step(), Step::Read(Wait::Reset));
    talk.server("250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go");
    talk.sends_body();
    talk.server("250 ok");
    assert_eq!(
        talk.fates(),
        [(Kind::Accepted, Some(250)), (Kind::Accepted, Some(250))]
    );
}

#[test]
fn a_421_at_any_point_decides_for_the_rest_and_ends_the_session() {
    let script = ["250 ok", "550 no", "250 ok", "354 go"];
    for at in 0..=script.len() {
        let mut talk = Talk::ready(&["PIPELINING"]);
        talk.begin(BOTH);
        talk.client(GROUP);
        for line in &script[..at] {
            talk.server(line);
        }
        if at == script.len() {
            talk.sends_body();
        }
        talk.server("421 4.3.2 going down");
        let first = if at > 1 {
            (Kind::Permanent, Some(550))
        } else {
            (Kind::Temporary, Some(421))
        };
        assert_eq!(talk.fates(), [first, (Kind::Temporary, Some(421))], "at {at}");
        assert!(!talk.session.usable());
        assert_eq!(talk.session.step(), Step::Closed);
    }
}

#[test]
fn a_reply_too_many_is_never_taken_for_the_one_to_the_message() {
    let mut talk = Talk::ready(&["PIPELINING"]);
    talk.begin(BOTH);
    talk.client(GROUP);
    talk.server("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 not yours");
    assert_eq!(talk.fates(), [(Kind::Temporary, None), (Kind::Temporary, None)]);
    assert!(!talk.session.usable());
    let mut talk = Talk::ready(&[]);
    talk.begin(&["a@b.example"]);
    talk.client("MAIL FROM:<s@us.example>\r\n");
    talk.server("250 ok\r\n250 ok");
    assert_eq!(talk.fates(), [(Kind::Temporary, None)]);
}

#[test]
fn replies_out_of_step_end_the_connection_before_one_is_taken_for_another() {
    for said in [
        "354 go",
        "250 ok\r\n354 go",
        "250 ok\r\n250 ok\r\n250 ok\r\n250 ok",
        "250 ok\r\n550 no\r\n550 no\r\n250 ok",
    ] {
        let mut talk = Talk::ready(&["PIPELINING"]);
        talk.begin(BOTH);
        talk.client(GROUP);
        talk.server(said);
        let fates = talk.fates();
        assert!(
            fates
                .iter()
                .all(|fate| fate.0 != Kind::Accepted && fate.1 != Some(354)),
            "{said}: {fates:?}"
        );
        assert!(!talk.session.usable());
    }
}

#[test]
fn a_reply_that_nothing_asked_for_makes_an_idle_session_unusable() {
    let mut talk = Talk::ready(&["PIPELINING"]);
    talk.server("421 idle too long");
    assert!(!talk.session.usable());
    assert_eq!(talk.session.step(), Step::Failed(Failure::Unasked));
}

#[test]
fn garbage_and_endless_lines_end_the_transaction() {
    for bad in ["hello there", "250-ok\r\n550 no", &"x".repeat(70_000)] {
        let mut talk = Talk::ready(&["PIPELINING"]);
        talk.begin(BOTH);
        talk.client(GROUP);
        talk.server(bad);
        assert_eq!(talk.fates(), [(Kind::Temporary, None), (Kind::Temporary, None)]);
        assert!(!talk.session.usable());
    }
}

#[test]
fn a_lost_connection_keeps_the_fates_that_were_decided() {
    let mut talk = Talk::ready(&["PIPELINING"]);
    talk.begin(BOTH);
    assert!(talk.session.untouched());
    talk.client(GROUP);
    assert!(talk.session.untouched());
    talk.server("250 ok\r\n550 no");
    assert_eq!(talk.session.step(), Step::Read(Wait::Rcpt));
    assert!(!talk.session.untouched());
    let fates = talk.session.lost("the connection was closed".into());
    assert_eq!(fates[0].code, Some(550));
    assert_eq!(
        (fates[1].kind, fates[1].text.as_ref()),
        (Kind::Temporary, "the connection was closed")
    );
}

#[test]
fn helo_is_the_fallback_and_has_no_extensions() {
    let mut talk = Talk::with(settings());
    talk.server("220-mx.example\r\n220 welcome");
    talk.client("EHLO us.example\r\n");
    talk.server("502 5.5.2 what");
    talk.client("HELO us.example\r\n");
    talk.server("250 PIPELINING");
    assert_eq!(talk.session.step(), Step::Ready);
    assert_eq!(*talk.session.capabilities(), Capabilities::default());
}

#[test]
fn a_refusing_banner_or_hello_is_a_failure_with_the_reply() {
    let mut talk = Talk::with(settings());
    talk.server("554 5.7.1 go away");
    assert!(
        matches!(talk.session.step(), Step::Failed(Failure::Refused { to: "the connection", reply }) if reply.code == 554)
    );
    let mut talk = Talk::with(settings());
    talk.server("220 hi");
    talk.client("EHLO us.example\r\n");
    talk.server("421 busy");
    assert!(matches!(
        talk.session.step(),
        Step::Failed(Failure::Refused { to: "EHLO", .. })
    ));
}

#[test]
fn starttls_drops_what_was_read_behind_the_220_and_forgets_the_extensions() {
    let mut talk = Talk::with(settings());
    talk.server("220 hi");
    talk.client("EHLO us.example\r\n");
    talk.server("250-mx\r\n250-PIPELINING\r\n250-AUTH PLAIN\r\n250 STARTTLS");
    talk.client("STARTTLS\r\n");
    talk.server("220 go\r\n250-injected\r\n250 SIZE 1");
    assert_eq!(talk.session.step(), Step::StartTls);
    talk.session.tls_started();
    assert_eq!(*talk.session.capabilities(), Capabilities::default());
    talk.client("EHLO us.example\r\n");
    assert_eq!(talk.session.step(), Step::Read(Wait::Hello));
    talk.server("250-mx\r\n250-DSN\r\n250 STARTTLS");
    assert_eq!(talk.session.step(), Step::Ready);
    assert_eq!(
        *talk.session.capabilities(),
        Capabilities {
            dsn: true,
            starttls: true,
            ..Capabilities::default()
        }
    );
}

#[test]
fn a_refused_starttls_goes_on_in_the_clear_only_where_that_is_allowed() {
    for (starttls, ready) in [(StartTls::WhenOffered, true), (StartTls::Required, false)] {
        let mut talk = Talk::with(Settings {
            starttls,
            ..settings()
        });
        talk.server("220 hi");
        talk.client("EHLO us.example\r\n");
        talk.server("250-mx\r\n250 STARTTLS");
        talk.client("STARTTLS\r\n");
        talk.server("454 not now");
        assert_eq!(talk.session.step() == Step::Ready, ready);
    }
    let mut talk = Talk::with(Settings {
        starttls: StartTls::Required,
        ..settings()
    });
    talk.server("220 hi");
    talk.client("EHLO us.example\r\n");
    talk.server("250 mx");
    assert_eq!(talk.session.step(), Step::Failed(Failure::NoStartTls));
}

fn with_login(clear_login: bool) -> Talk {
    let login = Some(Login {
        user: "us".into(),
        password: "secret".into(),
    });
    let mut talk = Talk::with(Settings {
        starttls: StartTls::Never,
        login,
        clear_login,
        ..settings()
    });
    talk.server("220 hi");
    talk.client("EHLO us.example\r\n");
    talk
}

#[test]
fn it_signs_in_with_plain_or_login() {
    let mut talk = with_login(true);
    talk.server("250-mx\r\n250 AUTH LOGIN PLAIN");
    talk.client("AUTH PLAIN AHVzAHNlY3JldA==\r\n");
    assert_eq!(talk.session.step(), Step::Read(Wait::Auth));
    talk.server("235 2.7.0 welcome");
    assert_eq!(talk.session.step(), Step::Ready);
    let mut talk = with_login(true);
    talk.server("250-mx\r\n250 AUTH LOGIN");
    talk.client("AUTH LOGIN\r\n");
    talk.server("334 VXNlcm5hbWU6");
    talk.client("dXM=\r\n");
    talk.server("334 UGFzc3dvcmQ6");
    talk.client("c2VjcmV0\r\n");
    talk.server("535 5.7.8 no");
    assert!(
        matches!(talk.session.step(), Step::Failed(Failure::Refused { to: "AUTH", reply }) if reply.code == 535)
    );
}

#[test]
fn it_does_not_sign_in_without_tls_or_without_the_offer() {
    let mut talk = with_login(false);
    talk.server("250-mx\r\n250 AUTH PLAIN");
    assert_eq!(talk.session.step(), Step::Failed(Failure::ClearLogin));
    let mut talk = with_login(true);
    talk.server("250-mx\r\n250 AUTH GSSAPI");
    assert_eq!(talk.session.step(), Step::Failed(Failure::NoAuth));
}

#[test]
fn parameters_are_sent_where_they_are_offered() {
    let sender = Address::parse("s@us.example").unwrap();
    let address = Address::parse("jürgen@b.example").unwrap();
    let full = Envelope {
        reverse_path: Some(&sender),
        ret: Some(Ret::Headers),
        envid: Some("QQ314159"),
        size: 4_096,
        eight_bit: true,
        utf8_headers: false,
    };
    let to = Recipient {
        address: &address,
        notify: Notify::Never,
        orcpt: Some("rfc822;j@b.example"),
    };
    let mut talk = Talk::ready(&["PIPELINING", "SIZE 10000", "8BITMIME", "SMTPUTF8", "DSN"]);
    talk.session.begin(&full, &[to]);
    talk.client(
        "MAIL FROM:<s@us.example> SIZE=4096 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ314159\r\n\
         RCPT TO:<jürgen@b.example> NOTIFY=NEVER ORCPT=rfc822;j@b.example\r\nDATA\r\n",
    );
    let plain = Address::parse("j@b.example").unwrap();
    let mut talk = Talk::ready(&["PIPELINING"]);
    talk.session.begin(
        &Envelope {
            reverse_path: None,
            ..full
        },
        &[Recipient {
            address: &plain,
            ..to
        }],
    );
    talk.client("MAIL FROM:<>\r\nRCPT TO:<j@b.example>\r\nDATA\r\n");
}

#[test]
fn a_parameter_that_would_break_the_line_is_left_out() {
    let mut talk = Talk::ready(&["PIPELINING", "DSN"]);
    let address = Address::parse("a@b.example").unwrap();
    let to = Recipient {
        orcpt: Some("rfc822;x\r\nRCPT TO:<y@z>"),
        ..recipient(&address)
    };
    talk.session.begin(
        &Envelope {
            envid: Some("a b"),
            ..envelope()
        },
        &[to],
    );
    talk.client("MAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n");
}

#[test]
fn what_the_server_cannot_take_is_not_even_tried() {
    let mut talk = Talk::ready(&["PIPELINING", "SIZE 99"]);
    talk.begin(BOTH);
    assert_eq!(talk.fates(), [(Kind::Permanent, None), (Kind::Permanent, None)]);
    assert!(talk.session.usable());
    let mut talk = Talk::ready(&["PIPELINING", "SIZE 0"]);
    talk.begin(&["jürgen@b.example", "a@b.example"]);
    talk.client("MAIL FROM:<s@us.example> SIZE=100\r\nRCPT TO:<a@b.example>\r\nDATA\r\n");
    talk.server("250 ok\r\n250 ok\r\n354 go");
    talk.sends_body();
    talk.server("250 ok");
    assert_eq!(
        talk.fates(),
        [(Kind::Permanent, None), (Kind::Accepted, Some(250))]
    );
}

#[test]
fn a_long_list_goes_out_in_groups() {
    let addresses: Vec<String> = (0..150).map(|n| format!("r{n}@b.example")).collect();
    let mut talk = Talk::ready(&["PIPELINING"]);
    talk.begin(&addresses.iter().map(String::as_str).collect::<Vec<_>>());
    for lines in [100, 52] {
        assert_eq!(talk.session.step(), Step::Write);
        let sent = String::from_utf8(talk.session.output().clone()).unwrap();
        assert_eq!(sent.lines().count(), lines);
        talk.session.output().clear();
        talk.server(&["250 ok"; 100][..lines.min(100) - usize::from(lines == 52)].join("\r\n"));
    }
    talk.server("354 go");
    talk.sends_body();
    talk.server("250 ok");
    assert!(talk.fates().iter().all(|fate| fate.0 == Kind::Accepted));
}

#[test]
fn replies_may_arrive_octet_by_octet() {
    let mut talk = Talk::ready(&["PIPELINING"]);
    talk.begin(&["a@b.example"]);
    assert_eq!(talk.session.step(), Step::Write);
    talk.session.output().clear();
    for octet in b"250-a\r\n250 b\r\n250 ok\r\n354 go\r\n" {
        assert!(matches!(talk.session.step(), Step::Read(_)));
        talk.session.receive(&[*octet]);
    }
    talk.sends_body();
    talk.server("250 ok");
    assert_eq!(talk.fates(), [(Kind::Accepted, Some(250))]);
}

proptest! {
    #[test]
    fn whatever_a_server_says_each_recipient_gets_one_fate(said in "((220|250|354|421|451|550)[ -][a-z]{0,3}\r\n|\\PC|\r\n){0,12}", pipelining: bool) {
        let mut talk = Talk::ready(if pipelining { &["PIPELINING"] } else { &[] });
        talk.begin(BOTH);
        talk.session.receive(said.as_bytes());
        let mut steps = 0;
        let fates = loop {
            steps += 1;
            prop_assert!(steps < 100);
            match talk.session.step() {
                Step::Write => talk.session.output().clear(),
                Step::SendBody => talk.session.body_sent(),
                Step::Read(_) => break talk.session.lost("closed".into()),
                Step::Done(fates) => break fates,
                other => prop_assert!(false, "{:?}", other),
            }
        };
        prop_assert_eq!(fates.len(), 2);
        let accepted = fates.iter().filter(|fate| fate.kind == Kind::Accepted).count();
        prop_assert!(accepted == 0 || said.contains("354"));
    }
}
