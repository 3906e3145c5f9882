//! How a flood of refused sign-ins slows signed-in mail: the same load without it, then under it at each rate.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use clap::Args;

use crate::clock;
use crate::flood::Answered;
use crate::meter;
use crate::relay::{Kind, Relay, TestBed};
use crate::run::{By, SinkProcess, Workload, source};

/// Signed-in mail: a new connection with TLS and AUTH for every ten messages.
const MAIL: Workload = Workload {
    name: "siege",
    says: "4 KiB, AUTH and TLS 1.3, 10 messages a connection",
    messages: 0,
    recipients: 1,
    source: &["--size", "4096", "--per-connection", "10"],
    dkim: false,
    by: By::SignIn,
    relays: &[Kind::Posthouse],
    destinations: 1,
};

#[derive(Debug, Clone, Args)]
pub struct Options {
    #[command(flatten)]
    bed: TestBed,
    /// Tries a second, one measurement each; 0 for as many as are answered
    #[arg(long, value_delimiter = ',', default_value = "25,50,100,200,0")]
    rates: Vec<u32>,
    /// Networks that the flood comes from
    #[arg(long, default_value_t = 1_000)]
    networks: u32,
    /// Messages a measurement
    #[arg(long, default_value_t = 20_000)]
    messages: u64,
}

/// The same mail with a flood, or without.
struct Seen {
    mail_per_second: f64,
    latency_p99_ms: f64,
    answered: Option<Answered>,
}

pub fn command(options: &Options) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(
        out,
        "Signed-in mail ({}) under a flood of refused sign-ins from {} networks, on {}; load average {} before the start.\n\
         Flood, source, relay and sink share the machine, so the flood's own TLS slows the mail as well.\n\n\
         | tries/s wanted | refused/s | of them hashed/s | mail accepted/s | p99 ms | mail slowed by |\n|---|---|---|---|---|---|",
        MAIL.says,
        options.networks,
        meter::machine()?,
        meter::load()
    )?;
    let alone = measure(options, None)?;
    writeln!(
        out,
        "| none | - | - | {:.0} | {:.1} | - |",
        alone.mail_per_second, alone.latency_p99_ms
    )?;
    for &rate in &options.rates {
        let seen = measure(options, Some(rate))?;
        let answered = seen.answered.unwrap_or_default();
        let hashed = answered.refused as f64 / clock::seconds(answered.started, answered.ended);
        let wanted = if rate == 0 {
            "all".to_owned()
        } else {
            rate.to_string()
        };
        writeln!(
            out,
            "| {wanted} | {:.0} | {hashed:.0} | {:.0} | {:.1} | {:.0} % |",
            answered.per_second(),
            seen.mail_per_second,
            seen.latency_p99_ms,
            100.0 * (1.0 - seen.mail_per_second / alone.mail_per_second)
        )?;
        if answered.otherwise > 0 {
            writeln!(out, "\n{} connections of the flood broke.\n", answered.otherwise)?;
        }
    }
    Ok(())
}

fn measure(options: &Options, rate: Option<u32>) -> io::Result<Seen> {
    let sink = SinkProcess::start(1)?;
    let place = options.bed.place(sink.mail)?;
    let relay = Relay::start(Kind::Posthouse, &place)?;
    let server = relay
        .submissions
        .ok_or_else(|| io::Error::other("there is nowhere to sign in"))?;
    let warm_up = options.messages / 20;
    source(&MAIL, &relay, 0, warm_up)?;
    let flood = rate.map(|rate| start_flood(options, server, rate)).transpose()?;
    let sent = source(&MAIL, &relay, warm_up, options.messages)?;
    let answered = flood.map(end_flood).transpose()?;
    if sent.accepted < options.messages {
        eprintln!(
            "{} of {} messages were not accepted: {}",
            options.messages - sent.accepted,
            options.messages,
            sent.first_trouble.unwrap_or_default()
        );
    }
    Ok(Seen {
        mail_per_second: sent.accepted as f64 / clock::seconds(sent.started, sent.ended),
        latency_p99_ms: sent.latency_p99 as f64 / 1000.0,
        answered,
    })
}

fn start_flood(options: &Options, server: SocketAddr, rate: u32) -> io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args(["flood", &server.to_string()])
        .args(["--rate", &rate.to_string()])
        .args(["--networks", &options.networks.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
}

/// Its input ends, so it does.
fn end_flood(flood: Child) -> io::Result<Answered> {
    let output = flood.wait_with_output()?;
    serde_json::from_slice(&output.stdout).map_err(io::Error::other)
}
