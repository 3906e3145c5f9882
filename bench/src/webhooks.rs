//! How fast webhooks tell of mail while it is delivered, and what that costs the mail.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use clap::Args;
use memchr::memmem;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tokio::time::Instant;

use crate::api::Api;
use crate::clock;
use crate::meter::{self, cpu_seconds};
use crate::relay::{Kind, Relay, TestBed};
use crate::run::{By, SinkProcess, Workload, source};

const MAIL: Workload = Workload {
    name: "webhooks",
    says: "4 KiB, 1 recipient, 50 sessions",
    messages: 0,
    recipients: 1,
    source: &["--size", "4096"],
    dkim: false,
    by: By::Address,
    relays: &[Kind::Posthouse],
    destinations: 1,
};

#[derive(Debug, Clone, Args)]
pub struct Options {
    #[command(flatten)]
    bed: TestBed,
    /// Messages a measurement
    #[arg(long, default_value_t = 20_000)]
    messages: u64,
}

pub fn command(options: &Options) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(
        out,
        "Mail ({}) x {} with as many webhooks as said, each told of every delivery, on {}; load average {} before the start.\n\
         Receiver, source, relay and sink share the machine.\n\n\
         | webhooks | mail accepted/s | mail end to end/s | webhook deliveries/s | missing | CPU ms a message |\n|---|---|---|---|---|---|",
        MAIL.says,
        options.messages,
        meter::machine()?,
        meter::load()
    )?;
    for webhooks in [0, 1, 5] {
        measure(options, webhooks, &mut out)?;
    }
    Ok(())
}

fn measure(options: &Options, webhooks: u64, out: &mut impl io::Write) -> io::Result<()> {
    let sink = SinkProcess::start(1)?;
    let told = Arc::new(AtomicU64::new(0));
    let receiver = receive(Arc::clone(&told))?;
    let place = options.bed.place(sink.mail)?;
    let relay = Relay::start(Kind::Posthouse, &place)?;
    let api = relay.api.ok_or_else(|| io::Error::other("there is no API"))?;
    let api = Api::sign_in(api)?;
    for number in 0..webhooks {
        let url = format!("http://{receiver}/{number}");
        api.post("/api/v1/webhooks", &json!({"url": url, "types": ["delivered"]}))?;
    }
    let cpu = cpu_seconds(&relay.roots);
    let sent = source(&MAIL, &relay, 0, options.messages)?;
    let delivered = sink.wait_for(sent.accepted)?;
    let expected = sent.accepted * webhooks;
    let last = wait_for(&told, expected);
    let cpu = cpu_seconds(&relay.roots) - cpu;
    let seen = told.load(Ordering::Relaxed);
    writeln!(
        out,
        "| {webhooks} | {:.0} | {:.0} | {:.0} | {} | {:.2} |",
        sent.accepted as f64 / clock::seconds(sent.started, sent.ended),
        delivered.recipients as f64 / clock::seconds(sent.started, delivered.last),
        seen as f64 / clock::seconds(sent.started, last),
        expected.saturating_sub(seen),
        cpu * 1000.0 / sent.accepted as f64
    )
}

/// When the last one came, or nothing had moved for half a minute.
fn wait_for(told: &AtomicU64, expected: u64) -> u64 {
    let (mut before, mut moved, mut last) = (0, Instant::now(), clock::now());
    loop {
        let seen = told.load(Ordering::Relaxed);
        if seen > before {
            (before, moved, last) = (seen, Instant::now(), clock::now());
        }
        if seen >= expected || moved.elapsed() > Duration::from_secs(30) {
            return last;
        }
        thread::park_timeout(Duration::from_millis(10));
    }
}

/// Answers 204 to every request and counts them.
fn receive(told: Arc<AtomicU64>) -> io::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // Ends with the process: nothing is waited for.
    thread::spawn(move || {
        let sessions = LocalSet::new();
        sessions.block_on(&runtime, async {
            let listener = TcpListener::from_std(listener)?;
            loop {
                let (stream, _) = listener.accept().await?;
                tokio::task::spawn_local(session(stream, Arc::clone(&told)));
            }
            #[expect(unreachable_code, reason = "says what the block's errors are")]
            io::Result::Ok(())
        })
    });
    Ok(address)
}

async fn session(mut stream: TcpStream, told: Arc<AtomicU64>) -> io::Result<()> {
    let mut read = Vec::new();
    loop {
        while let Some(head) = memmem::find(&read, b"\r\n\r\n") {
            let length = content_length(&read[..head]);
            if read.len() < head + 4 + length {
                break;
            }
            read.drain(..head + 4 + length);
            told.fetch_add(1, Ordering::Relaxed);
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
        }
        if stream.read_buf(&mut read).await? == 0 {
            return Ok(());
        }
    }
}

fn content_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let mut lines = head.lines();
    lines
        .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())
        .unwrap_or(0)
}
