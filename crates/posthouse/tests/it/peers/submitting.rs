//! Clients submit; a sink receives what Posthouse makes of it.

use std::net::SocketAddr;
use std::sync::OnceLock;

use super::clients::{ALL, Client, Login, Security};
use super::postfix::Postfix;
use crate::both_engines;
use crate::corpus::{self, assert_only_added};
use crate::dkim::{add_domain, judged_by_dkimpy};
use crate::harness::tls::Identity;
use crate::harness::{PASSWORD, Posthouse, Sink};

const ALICE: &str = "alice@example.com";

fn ways(server: &Posthouse) -> Vec<Login<'static>> {
    let (submission, submissions) = (server.address("submission"), server.address("submissions"));
    let login = |server, security, mechanism| Login {
        server,
        security,
        mechanism,
        user: ALICE,
        password: PASSWORD,
    };
    vec![
        login(submission, Security::Starttls, "plain"),
        login(submission, Security::Starttls, "login"),
        login(submissions, Security::Tls, "plain"),
        login(submissions, Security::Tls, "login"),
    ]
}

both_engines! {
    fn every_client_submits_with_starttls_and_tls_by_plain_and_login(engine) {
        let sink = Sink::start();
        let server = Posthouse::on(engine).route_to(&sink).start();
        server.create_account(ALICE);
        let message = &corpus::messages(ALICE)[0];
        let mut sent = 0;
        for client in ALL {
            for login in ways(&server) {
                client.send(&login, ALICE, &["bob@sink.example"], &message.bytes)
                    .unwrap_or_else(|error| panic!("{login:?}: {error}"));
                sent += 1;
            }
        }
        for arrived in sink.wait_for(sent) {
            assert_eq!(arrived.from, ALICE);
            assert_eq!(arrived.recipients, ["bob@sink.example"]);
            // swaks puts an empty line behind what it is given.
            let added_behind = arrived.bytes.len() - arrived.bytes.strip_suffix(b"\r\n\r\n").map_or(arrived.bytes.len(), |rest| rest.len() + 2);
            let bytes = &arrived.bytes[..arrived.bytes.len() - added_behind];
            assert_only_added(bytes, &message.bytes, &["Received"], message.why);
            assert!(arrived.header("received")[0].contains("with ESMTPSA"), "{:?}", arrived.header("received"));
        }
    }

    fn what_any_client_sends_reaches_each_recipient_with_a_link_of_its_own(engine) {
        let sink = Sink::start();
        let server = Posthouse::on(engine).set("http.public_url", "\"https://mail.example.com\"").route_to(&sink).start();
        server.create_account(ALICE);
        let records = add_domain(&server);
        let message = format!(
            "From: {ALICE}\r\nTo: bob@sink.example\r\nSubject: News\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/alternative; boundary=\"b\"\r\n\r\n\
             --b\r\nContent-Type: text/plain\r\n\r\nStop: {{{{unsubscribe_url}}}}\r\n\
             --b\r\nContent-Type: text/html\r\n\r\n<p><a href=\"{{{{unsubscribe_url}}}}\">Stop</a></p>\r\n--b--\r\n"
        );
        for (n, client) in ALL.into_iter().enumerate() {
            let login = by_starttls(server.address("submission"));
            client.send(&login, ALICE, &["bob@sink.example", "carol@sink.example"], message.as_bytes())
                .unwrap_or_else(|error| panic!("{error}"));
            let arrived = sink.wait_for(2 * n + 2);
            let links: Vec<String> = arrived[2 * n..].iter().map(|copy| {
                let mut judged = judged_by_dkimpy(&copy.bytes, &records);
                judged.sort();
                assert_eq!(judged, ["ed25519-sha256 pass", "rsa-sha256 pass"], "{client:?}");
                let field = copy.header("list-unsubscribe").pop().unwrap();
                let link = field.trim_matches(['<', '>']).to_owned();
                assert!(copy.text().contains(&format!("Stop: {link}\r\n")), "{client:?}: {}", copy.text());
                assert!(copy.text().contains(&format!("<a href=\"{link}\">")), "{client:?}: {}", copy.text());
                link
            }).collect();
            assert_ne!(links[0], links[1], "{client:?}");
        }
    }

    fn a_postfix_uses_it_as_its_smarthost(engine) {
        let sink = Sink::start();
        let server = Posthouse::on(engine).route_to(&sink).start();
        server.create_account(ALICE);
        let postfix = Postfix::relaying_through(server.address("submission"), ALICE, PASSWORD);
        let mut messages = corpus::messages(ALICE);
        // Postfix itself takes the space out of "X-Odd :", and breaks lines that are too long.
        let mended = ["odd header spacing", "longer than the longest line", "a longer header line"];
        messages.retain(|message| !mended.contains(&message.why));
        let mut smtp = postfix.smtp();
        for message in &messages {
            smtp.submit(ALICE, &["bob@sink.example"], &message.bytes).expect("250");
        }
        smtp.quit();
        let arrived = sink.wait_for(messages.len());
        for message in &messages {
            let id = id_of(&message.bytes);
            let arrived = arrived.iter().find(|arrived| id_of(&arrived.bytes) == id)
                .unwrap_or_else(|| panic!("{} did not arrive", message.why));
            assert_only_added(&arrived.bytes, &message.bytes, &["Received"], message.why);
        }
    }
}

fn id_of(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message).into_owned();
    let line = text
        .lines()
        .find(|line| line.to_ascii_lowercase().starts_with("message-id:"));
    line.unwrap_or_default().to_owned()
}

fn by_starttls(server: SocketAddr) -> Login<'static> {
    Login {
        server,
        security: Security::Starttls,
        mechanism: "plain",
        user: ALICE,
        password: PASSWORD,
    }
}

/// What a client makes of an odd message by itself, as seen at a sink that it sends to directly.
struct Control {
    client: Client,
    message: corpus::Odd,
    bytes: Vec<u8>,
}

/// Every client with every odd message. No database has a part in it, so that it is done once for all.
fn controls() -> &'static [Control] {
    static CONTROLS: OnceLock<Vec<Control>> = OnceLock::new();
    CONTROLS.get_or_init(|| {
        let identity = Identity::for_names(&["localhost"]);
        let sink = Sink::setup()
            .starttls(&identity)
            .only_for(ALICE, PASSWORD)
            .start();
        let each = ALL.into_iter().flat_map(|client| {
            let messages = corpus::messages(ALICE).into_iter();
            messages.map(move |message| (client, message))
        });
        each.map(|(client, message)| {
            let bytes = arrives(client, &message, sink.address(), &sink);
            Control {
                client,
                message,
                bytes,
            }
        })
        .collect()
    })
}

/// Lets the client send the message to `server`, and returns what `sink` got.
fn arrives(client: Client, message: &corpus::Odd, server: SocketAddr, sink: &Sink) -> Vec<u8> {
    let before = sink.arrived().len();
    client
        .send(&by_starttls(server), ALICE, &["bob@sink.example"], &message.bytes)
        .unwrap_or_else(|error| panic!("{}: {error}", message.why));
    sink.wait_for(before + 1)[before].bytes.clone()
}

both_engines! {
    fn odd_messages_arrive_as_each_client_sent_them(engine) {
        let sink = Sink::start();
        let server = Posthouse::on(engine).route_to(&sink).start();
        server.create_account(ALICE);
        for Control { client, message, bytes } in controls() {
            let relayed = arrives(*client, message, server.address("submission"), &sink);
            // Posthouse adds its trace to that and changes nothing.
            assert_only_added(&relayed, bytes, &["Received"], &format!("{client:?}, {}", message.why));
        }
    }

    fn the_wrong_password_is_refused_to_every_client(engine) {
        let server = Posthouse::on(engine).start();
        server.create_account(ALICE);
        let message = &corpus::messages(ALICE)[0];
        for client in ALL {
            let login = Login {
                password: "wrong-horse-at-noon-12",
                ..by_starttls(server.address("submission"))
            };
            let refused = client
                .send(&login, ALICE, &["bob@sink.example"], &message.bytes)
                .expect_err("refused");
            assert!(refused.contains("535") || client == Client::Swaks, "{refused}");
        }
    }
}
