//! Sheets: so many at once, each whole or visibly not.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use serde_json::json;

use super::{server, signed_in};
use crate::both_engines;
use crate::harness::http::Http;
use crate::harness::wait::PATIENCE;
use crate::harness::{Posthouse, eventually};

const SHEET: &str = "/api/v1/messages/export";
/// Together with their subjects these are more than the buffers of a connection hold.
const MESSAGES: usize = 12;
const RECIPIENTS: usize = 1_000;

/// Asks for a sheet and reads no further than the head of the answer.
fn begin(server: &Posthouse, http: &Http) -> (String, BufReader<TcpStream>) {
    let mut stream = TcpStream::connect(server.address("http")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let cookie = http.cookie.as_deref().unwrap();
    write!(
        stream,
        "GET {SHEET} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n"
    )
    .unwrap();
    let mut answer = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(answer.read_line(&mut head).unwrap(), 0, "{head}");
    }
    (head, answer)
}

/// What is left of an answer, as far as it comes.
fn rest(mut answer: BufReader<TcpStream>) -> Vec<u8> {
    let mut rest = Vec::new();
    // Cut off is what one of them is to be.
    let _ = answer.read_to_end(&mut rest);
    rest
}

both_engines! {
    fn an_account_writes_two_sheets_at_once_and_one_that_is_cut_off_shows_it(engine) {
        let mut server = server(engine);
        let (alice, bob) = (signed_in(&server, "alice@example.com"), signed_in(&server, "bob@example.com"));
        server.cli(&["account", "credits", "alice@example.com", "100000", "--reason", "test"], "");
        for n in 0..MESSAGES {
            let to: Vec<String> = (0..RECIPIENTS).map(|r| format!("r{r}@n{n}.example")).collect();
            let message = json!({"from": "alice@example.com", "to": to, "subject": "x".repeat(900), "text": "x"});
            alice.post("/api/v1/messages", &message).expect(202);
        }
        // Nobody reads on.
        let (first, second) = (begin(&server, &alice), begin(&server, &alice));
        for (head, _) in [&first, &second] {
            assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        }
        let refused = alice.get(SHEET).expect(429);
        assert_eq!(refused.json()["type"], "/problems/many-exports");
        assert!(refused.header("retry-after").is_some());
        alice.get("/api/v1/suppressions/export").expect(429);
        bob.get(SHEET).expect(200);
        alice.get("/api/v1/messages").expect(200);
        // Whoever goes away makes room.
        drop(second);
        let whole = eventually("there is room for another", || {
            let (head, answer) = begin(&server, &alice);
            head.starts_with("HTTP/1.1 200 ").then_some(answer)
        });
        let whole = rest(whole);
        assert!(whole.ends_with(b"0\r\n\r\n"), "the end is said");
        let whole = String::from_utf8(whole).unwrap();
        assert_eq!(whole.matches("alice@example.com").count(), MESSAGES * RECIPIENTS);
        server.kill();
        let cut = rest(first.1);
        assert!(!cut.is_empty() && cut.len() < whole.len() && !cut.ends_with(b"0\r\n\r\n"), "{} octets", cut.len());
    }
}
