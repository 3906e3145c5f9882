//! A queue that waits: what a start over it takes, and whether new mail to a healthy domain feels it.

use std::io::{self, Write as _};

use clap::Args;
use tokio::time::Instant;

use crate::clock;
use crate::meter::{self, MemoryWatch};
use crate::relay::{self, Kind, Place, Relay, TestBed};
use crate::resolver;
use crate::run::{By, SinkProcess, Workload, source};

/// All but the first of these domains have nobody who listens.
const DOMAINS: &str = "10000";
const BACKLOG: Workload = Workload {
    name: "backlog",
    says: "1 KiB, 1 recipient, 10,000 domains",
    messages: 0,
    recipients: 1,
    source: &["--size", "1024", "--domains", DOMAINS],
    dkim: false,
    by: By::Address,
    relays: &[Kind::Posthouse],
    destinations: 1,
};
const HEALTHY: Workload = Workload {
    name: "healthy",
    says: "4 KiB, 1 recipient, one domain that takes it",
    source: &["--size", "4096"],
    ..BACKLOG
};

#[derive(Debug, Clone, Args)]
pub struct Options {
    #[command(flatten)]
    bed: TestBed,
    /// Messages that wait
    #[arg(long, default_value_t = 1_000_000)]
    waiting: u64,
    /// Messages to the healthy domain a measurement
    #[arg(long, default_value_t = 20_000)]
    messages: u64,
}

/// Mail to the healthy domain.
struct Seen {
    accepted_per_second: f64,
    end_to_end_per_second: f64,
}

pub fn command(options: &Options) -> io::Result<()> {
    let sink = SinkProcess::start(1)?;
    let place = Place {
        route: Some(resolver::route(1, sink.mail.port())?),
        ..options.bed.place(sink.mail)?
    };
    let mut out = io::stdout();
    writeln!(
        out,
        "{} messages wait for {DOMAINS} domains of which one takes mail, on {}; load average {} before the start.",
        options.waiting,
        meter::machine()?,
        meter::load()
    )?;
    let mut relay = Relay::start(Kind::Posthouse, &place)?;
    let mut first = 0;
    healthy(options, &relay, &sink, &mut first)?;
    let alone = healthy(options, &relay, &sink, &mut first)?;
    let sent = source(&BACKLOG, &relay, first, options.waiting)?;
    first += options.waiting;
    writeln!(
        out,
        "- filled at {:.0} accepted/s; {} accepted",
        sent.accepted as f64 / clock::seconds(sent.started, sent.ended),
        sent.accepted
    )?;

    relay.kill()?;
    let started = Instant::now();
    relay = relay::serve(&place)?;
    let listening = started.elapsed();
    let memory = MemoryWatch::start(relay.roots.clone());
    let before = sink.counts()?.recipients;
    source(&HEALTHY, &relay, first, 1)?;
    first += 1;
    sink.wait_for(before + 1)?;
    writeln!(
        out,
        "- after kill -9: listens after {:.1} s, a new message to the healthy domain arrives after {:.1} s",
        listening.as_secs_f64(),
        started.elapsed().as_secs_f64()
    )?;
    let beside = healthy(options, &relay, &sink, &mut first)?;
    writeln!(
        out,
        "- mail to the healthy domain: alone {:.0} accepted/s and {:.0} end to end/s, beside the queue {:.0} and {:.0} ({:.2} times as fast end to end)\n\
         - peak memory after the start: {:.0} MiB",
        alone.accepted_per_second,
        alone.end_to_end_per_second,
        beside.accepted_per_second,
        beside.end_to_end_per_second,
        beside.end_to_end_per_second / alone.end_to_end_per_second,
        memory.peak_mib(&relay.roots)
    )
}

fn healthy(options: &Options, relay: &Relay, sink: &SinkProcess, first: &mut u64) -> io::Result<Seen> {
    let before = sink.counts()?.recipients;
    let sent = source(&HEALTHY, relay, *first, options.messages)?;
    *first += options.messages;
    let after = sink.wait_for(before + sent.accepted)?;
    Ok(Seen {
        accepted_per_second: sent.accepted as f64 / clock::seconds(sent.started, sent.ended),
        end_to_end_per_second: sent.accepted as f64 / clock::seconds(sent.started, after.last),
    })
}
