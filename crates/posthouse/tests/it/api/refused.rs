//! What is refused before it has arrived: the refusal is heard, by a client who reads nothing before all is sent as well.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::process::Command;

use super::server;
use crate::both_engines;
use crate::harness::Posthouse;
use crate::harness::wait::PATIENCE;

/// More than a socket's buffers hold, on either side.
const OCTETS: usize = 20_000_000;

/// Method, path and header fields of requests that nobody reads to their end, and what they hear.
const REFUSED: [(&str, &str, &str, &str); 5] = [
    (
        "POST",
        "/api/v1/messages",
        "Content-Type: application/json",
        "401",
    ),
    ("POST", "/api/v1/session", "Content-Type: application/json", "413"),
    ("POST", "/api/v1/session", "Origin: https://evil.example", "403"),
    ("PUT", "/api/v1/nothing/here", "Content-Type: text/plain", "404"),
    (
        "POST",
        "/login",
        "Content-Type: application/x-www-form-urlencoded",
        "413",
    ),
];

/// Sends a request whole, and only then reads the first line of the answer.
fn hears(server: &Posthouse, (method, path, field): (&str, &str, &str), chunked: bool) -> String {
    let mut stream = TcpStream::connect(server.address("http")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let length = if chunked {
        "Transfer-Encoding: chunked".to_owned()
    } else {
        format!("Content-Length: {OCTETS}")
    };
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{field}\r\n{length}\r\n\r\n"
    )
    .unwrap();
    if chunked {
        write!(stream, "{OCTETS:x}\r\n").unwrap();
    }
    stream
        .write_all(&vec![b'x'; OCTETS])
        .expect("it is not hung up on");
    if chunked {
        write!(stream, "\r\n0\r\n\r\n").expect("to the end");
    }
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).expect("an answer");
    line
}

both_engines! {
    fn a_refusal_reaches_a_client_who_sends_everything_first(engine) {
        let server = server(engine);
        for (method, path, field, status) in REFUSED {
            for chunked in [false, true] {
                let line = hears(&server, (method, path, field), chunked);
                assert!(line.starts_with(&format!("HTTP/1.1 {status} ")), "{method} {path} {field}: {line:?}");
            }
        }
    }

    fn curl_hears_why_its_upload_is_refused(engine) {
        let server = server(engine);
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("upload");
        std::fs::write(&file, vec![b'x'; OCTETS]).unwrap();
        for (method, path, field, status) in REFUSED {
            for expect in ["Expect:", "Expect: 100-continue"] {
                let done = Command::new("curl")
                    .args(["--silent", "--show-error", "--output", "/dev/null", "--write-out", "%{http_code}"])
                    .args(["--request", method, "--header", field, "--header", expect, "--data-binary"])
                    .arg(format!("@{}", file.display()))
                    .arg(format!("http://{}{path}", server.address("http")))
                    .output()
                    .expect("curl runs");
                let said = String::from_utf8_lossy(&done.stderr);
                assert!(done.status.success(), "{method} {path} {field} {expect}: {said}");
                assert_eq!(String::from_utf8_lossy(&done.stdout), status, "{method} {path} {field} {expect}: {said}");
            }
        }
    }
}
