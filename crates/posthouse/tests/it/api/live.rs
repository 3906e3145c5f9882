//! News as they happen, over server-sent events.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use super::{send, server, signed_in};
use crate::both_engines;
use crate::harness::http::Http;
use crate::harness::{PATIENCE, Posthouse};

/// An open stream of events.
struct Stream(BufReader<TcpStream>);

#[derive(Debug, Default)]
struct Event {
    name: String,
    id: String,
    data: String,
}

impl Stream {
    fn open(server: &Posthouse, http: &Http, more: &str) -> Self {
        let mut stream = TcpStream::connect(server.address("http")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let cookie = http.cookie.as_deref().unwrap();
        write!(
            stream,
            "GET /api/v1/live HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n{more}\r\n"
        )
        .unwrap();
        let mut stream = Self(BufReader::new(stream));
        assert!(stream.line().starts_with("HTTP/1.1 200"));
        while !stream.line().is_empty() {}
        assert_eq!(stream.event().name, "ping");
        stream
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream ended");
        line.trim_end().to_owned()
    }

    /// The next event; the sizes of chunks between them are passed over.
    fn event(&mut self) -> Event {
        let mut event = Event::default();
        loop {
            let line = self.line();
            match line.split_once(':') {
                Some(("event", name)) => name.trim().clone_into(&mut event.name),
                Some(("id", id)) => id.trim().clone_into(&mut event.id),
                Some(("data", data)) => data.trim().clone_into(&mut event.data),
                _ if line.is_empty() && !event.name.is_empty() => return event,
                _ => {}
            }
        }
    }

    /// News about this message until its recipient is delivered: the kinds, and the id of the last event.
    fn until_delivered(&mut self, message: &str) -> (Vec<String>, String) {
        let mut kinds = Vec::new();
        loop {
            let event = self.event();
            if event.name != "recipient" {
                continue;
            }
            let data: Value = serde_json::from_str(&event.data).unwrap();
            assert_eq!(data["message"], message, "news of another message");
            assert_eq!(data["seq"], event.id.as_str());
            kinds.push(data["kind"].as_str().unwrap().to_owned());
            if data["kind"] == "delivered" {
                return (kinds, event.id);
            }
        }
    }
}

both_engines! {
    fn news_come_to_their_account_only_and_what_was_missed_is_told(engine) {
        let server = server(engine);
        let (alice, bob) = (signed_in(&server, "alice@example.com"), signed_in(&server, "bob@example.com"));
        let mut stream = Stream::open(&server, &alice, "");
        send(&bob, "bob@example.com", "not for alice");
        let first = send(&alice, "alice@example.com", "first");
        let (kinds, last) = stream.until_delivered(&first);
        assert_eq!(kinds.first().map(String::as_str), Some("accepted"), "{kinds:?}");
        drop(stream);
        send(&bob, "bob@example.com", "not for alice either");
        let second = send(&alice, "alice@example.com", "second");
        let mut back = Stream::open(&server, &alice, &format!("Last-Event-ID: {last}\r\n"));
        back.until_delivered(&second);
    }

    fn an_open_stream_does_not_hold_the_server_up_when_it_is_asked_to_end(engine) {
        let mut server = server(engine);
        let alice = signed_in(&server, "alice@example.com");
        let mut stream = Stream::open(&server, &alice, "");
        assert_eq!(server.stop(), Some(0));
        let mut rest = String::new();
        // The end of the chunked answer, not a broken connection.
        stream.0.read_to_string(&mut rest).unwrap();
    }
}
