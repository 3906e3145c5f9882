//! The load generator and the sink are checked against each other before they measure anything else.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

const BENCH: &str = env!("CARGO_BIN_EXE_posthouse-bench");

struct Sink {
    child: Child,
    mail: String,
    control: String,
}

impl Sink {
    fn start() -> Self {
        let mut child = Command::new(BENCH)
            .arg("sink")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let (mail, control) = line.trim().split_once(' ').unwrap();
        Self {
            child,
            mail: mail.to_owned(),
            control: control.to_owned(),
        }
    }

    fn counts(&self) -> Value {
        let mut text = String::new();
        TcpStream::connect(&self.control)
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn send(&self, options: &[&str]) -> Value {
        let output = Command::new(BENCH)
            .args(["source", &self.mail])
            .args(options)
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_the_source_calls_accepted_the_sink_has_counted() {
    let sink = Sink::start();
    let sent = sink.send(&[
        "--messages",
        "300",
        "--sessions",
        "7",
        "--size",
        "20000",
        "--recipients",
        "3",
    ]);
    assert_eq!(
        (&sent["accepted"], &sent["refused"], &sent["broken_connections"]),
        (&300.into(), &0.into(), &0.into())
    );
    let counts = sink.counts();
    assert_eq!(
        (&counts["messages"], &counts["recipients"], &counts["distinct"]),
        (&300.into(), &900.into(), &300.into())
    );
    assert_eq!(counts["connections"], 7);
    let average = counts["bytes"].as_u64().unwrap() / 300;
    assert!((19_000..=20_500).contains(&average), "{average} octets a message");
}

#[test]
fn a_doubled_number_is_counted_but_not_as_distinct() {
    let sink = Sink::start();
    sink.send(&["--messages", "10"]);
    sink.send(&[
        "--messages",
        "10",
        "--first",
        "5",
        "--per-connection",
        "1",
        "--no-pipelining",
    ]);
    let counts = sink.counts();
    assert_eq!(
        (&counts["messages"], &counts["distinct"]),
        (&20.into(), &15.into())
    );
    assert_eq!(counts["connections"], 10 + 10);
}

#[test]
fn a_server_that_is_not_there_is_told() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let output = Command::new(BENCH)
        .args(["source", &closed, "--messages", "5"])
        .output()
        .unwrap();
    let sent: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(sent["accepted"], 0);
    assert!(
        sent["first_trouble"].as_str().unwrap().contains("refused"),
        "{sent}"
    );
}
