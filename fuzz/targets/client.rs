//! Replies of any server to our client: it goes on or gives up, and at the end each recipient has exactly one fate.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::address::Address;
use mail::notify::Notify;
use mail::smtp::client::{Envelope, Kind, Login, Recipient, Session, Settings, StartTls, Step};

fuzz_target!(|input: (u8, Vec<Vec<u8>>)| {
    let (how, reads) = input;
    let login = (how & 1 != 0).then(|| Login {
        user: "user".to_owned(),
        password: "secret".to_owned(),
    });
    let mut session = Session::new(Settings {
        name: "us.example".to_owned(),
        starttls: [StartTls::Never, StartTls::WhenOffered, StartTls::Required][usize::from(how >> 1) % 3],
        login,
        clear_login: how & 8 != 0,
        tls_active: how & 16 != 0,
    });
    let address = |text: &str| Address::parse(text).expect("an address");
    let (from, to) = (address("s@us.example"), [address("a@b.example"), address("c@b.example")]);
    let recipients = [0, 1].map(|at| Recipient {
        address: &to[at],
        notify: Notify::default(),
        orcpt: None,
    });
    let envelope = Envelope {
        reverse_path: Some(&from),
        ret: None,
        envid: None,
        size: 100,
        eight_bit: how & 32 != 0,
        utf8_headers: how & 64 != 0,
    };
    let mut reads = reads.iter();
    let (mut begun, mut sent) = (false, false);
    for _ in 0..10_000 {
        match session.step() {
            Step::Write => {
                assert!(session.output().is_ascii() && session.output().ends_with(b"\r\n"));
                session.output().clear();
            }
            Step::Read(_) => match reads.next() {
                Some(read) => session.receive(read),
                None => {
                    if begun {
                        let fates = session.lost("gone".into());
                        assert_eq!(fates.len(), 2);
                        assert!(sent || fates.iter().all(|fate| fate.kind != Kind::Accepted));
                    }
                    return;
                }
            },
            Step::StartTls => session.tls_started(),
            Step::SendBody => {
                assert!(begun && !sent, "a message is sent once");
                sent = true;
                session.body_sent();
            }
            Step::Ready if begun => return,
            Step::Ready => {
                begun = true;
                session.begin(&envelope, &recipients);
            }
            Step::Done(fates) => {
                assert!(begun && fates.len() == 2);
                assert!(sent || fates.iter().all(|fate| fate.kind != Kind::Accepted));
                return;
            }
            Step::Failed(_) => {
                assert!(!begun, "a transaction ends with fates");
                return;
            }
            Step::Closed => return,
        }
    }
    panic!("a session that makes no progress");
});
