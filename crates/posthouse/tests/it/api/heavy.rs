//! Big requests: what they may take of the memory, and that they come through whole.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use super::{send, server, signed_in, with_key};
use crate::both_engines;
use crate::harness::Posthouse;
use crate::harness::http::Http;
use crate::harness::wait::PATIENCE;

/// Announces a request of so many octets that sends a message, with a further header field.
fn announce(server: &Posthouse, key: &Http, octets: usize, further: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address("http")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let key = key.bearer.as_deref().unwrap();
    write!(
        stream,
        "POST /api/v1/messages HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {octets}\r\n{further}\r\n"
    )
    .unwrap();
    stream
}

/// MiB of memory that the server takes.
fn resident(server: &Posthouse) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() / 1024
}

/// Asks for a path and reads nothing.
fn ask(server: &Posthouse, key: &Http, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address("http")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let key = key.bearer.as_deref().unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n"
    )
    .unwrap();
    stream
}

/// The head of the answer, line by line.
fn answer(stream: impl std::io::Read) -> Vec<String> {
    let lines = BufReader::new(stream)
        .lines()
        .map(|line| line.unwrap().to_lowercase());
    lines.take_while(|line| !line.is_empty()).collect()
}

both_engines! {
    fn a_message_with_big_files_comes_through_whole(engine) {
        let server = server(engine);
        let alice = signed_in(&server, "alice@example.com");
        let file: Vec<u8> = (0..1_500_000_u32).map(|n| (n % 251) as u8).collect();
        let content = BASE64_STANDARD.encode(&file);
        let message = json!({
            "from": "alice@example.com", "to": ["bob@example.net"], "subject": "big", "text": "see below",
            "attachments": [{"name": "a.bin", "content": content}]
        });
        let id = alice.post("/api/v1/messages", &message).expect(202).json()["id"].as_str().unwrap().to_owned();
        let stored = alice.get(&format!("/api/v1/messages/{id}/content")).expect(200).json();
        assert_eq!(stored["attachments"][0]["size"], file.len());
        let source = alice.get(&format!("/api/v1/messages/{id}/source")).expect(200).text.replace("\r\n", "");
        assert!(source.contains(&content), "the file is not as it was");
    }

    fn a_request_that_the_memory_has_no_room_for_is_sent_away_for_a_while(engine) {
        const OCTETS: usize = 40_000_000;
        let server = server(engine);
        let key = with_key(&server, &signed_in(&server, "alice@example.com"), &["send"]);
        let too_big = answer(announce(&server, &key, OCTETS + 1_000_000, ""));
        assert!(too_big[0].starts_with("http/1.1 413"), "{too_big:?}");
        let part = vec![b' '; OCTETS / 4 * 3];
        let arriving: Vec<TcpStream> = (0..2).map(|_| {
            let mut stream = announce(&server, &key, OCTETS, "");
            stream.write_all(&part).unwrap();
            stream
        }).collect();
        // Who waits for our word hears it at once, and who does not, when everything is sent.
        let waits = announce(&server, &key, OCTETS, "Expect: 100-continue\r\n");
        let mut sends = announce(&server, &key, OCTETS, "");
        sends.write_all(&vec![b' '; OCTETS]).unwrap();
        for stream in [waits, sends] {
            let refused = answer(stream);
            assert!(refused[0].starts_with("http/1.1 503"), "{refused:?}");
            assert!(refused.iter().any(|line| line.starts_with("retry-after: ")), "{refused:?}");
        }
        // What is small still finds room, and once those that hold the memory are gone, so does what is big.
        send(&key, "alice@example.com", "small");
        drop(arriving);
        crate::harness::eventually("the memory is free again", || {
            let mut stream = announce(&server, &key, OCTETS, "");
            stream.set_read_timeout(Some(std::time::Duration::from_millis(100))).unwrap();
            stream.write_all(b"x").unwrap();
            // No answer: the server waits for the rest.
            let mut first = [0];
            std::io::Read::read(&mut stream, &mut first).is_err().then_some(())
        });
    }

    fn answers_that_nobody_reads_hold_no_more_than_their_part_of_the_memory(engine) {
        let server = server(engine);
        let key = with_key(&server, &signed_in(&server, "alice@example.com"), &["messages"]);
        let other = with_key(&server, &signed_in(&server, "bob@example.com"), &["send", "messages"]);
        let line = [[b'x'; 78].as_slice(), b"\r\n"].concat();
        let big = [b"From: alice@example.com\r\n\r\n".to_vec(), line.repeat(24_000_000 / line.len())].concat();
        let mut smtp = server.signed_in("alice@example.com");
        smtp.submit("alice@example.com", &["carol@example.net"], &big).expect("250");
        let id = key.get("/api/v1/messages").expect(200).json()["items"][0]["id"].as_str().unwrap().to_owned();
        let before = resident(&server);
        let streams: Vec<(String, TcpStream)> = ["source", "content", "html"].iter().cycle().take(20).map(|part| {
            let stream = ask(&server, &key, &format!("/api/v1/messages/{id}/{part}"));
            let head = answer(&stream);
            let refused = head[0].starts_with("http/1.1 503");
            assert!(!refused || head.iter().any(|line| line.starts_with("retry-after: ")), "{head:?}");
            (head[0].clone(), stream)
        }).collect();
        let refused = streams.iter().filter(|(head, _)| head.starts_with("http/1.1 503")).count();
        assert!(refused > 10, "{streams:?}");
        let taken = resident(&server).saturating_sub(before);
        // A client of PostgreSQL keeps what a row came in as well.
        assert!(taken < 300, "{taken} MiB");
        // Others read on.
        let small = send(&other, "bob@example.com", "small");
        other.get(&format!("/api/v1/messages/{small}/source")).expect(200);
        drop(streams);
        crate::harness::eventually("there is room again", || {
            let head = answer(ask(&server, &key, &format!("/api/v1/messages/{id}/source")));
            head[0].starts_with("http/1.1 200").then_some(())
        });
    }

    fn an_account_has_so_many_live_streams_and_gets_them_back(engine) {
        let server = server(engine);
        let key = with_key(&server, &signed_in(&server, "alice@example.com"), &["messages"]);
        let listen = |key: &Http| {
            let stream = ask(&server, key, "/api/v1/live");
            (answer(&stream)[0].clone(), stream)
        };
        let mut open = Vec::new();
        let refused = loop {
            let (head, stream) = listen(&key);
            if !head.starts_with("http/1.1 200") || open.len() > 200 {
                break head;
            }
            open.push(stream);
        };
        assert!(refused.starts_with("http/1.1 429"), "{refused} after {}", open.len());
        let other = with_key(&server, &signed_in(&server, "bob@example.com"), &["messages"]);
        assert!(listen(&other).0.starts_with("http/1.1 200"));
        drop(open);
        crate::harness::eventually("there is room again", || {
            listen(&key).0.starts_with("http/1.1 200").then_some(())
        });
    }
}
