//! The runner: each relay in turn between source and sink, round after round, and the medians into a table.

use std::io::{self, BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use clap::Args;
use tokio::time::Instant;

use crate::clock;
use crate::meter::{self, MemoryWatch, cpu_seconds};
use crate::relay::{self, Kind, Place, Relay, TestBed};
use crate::resolver;
use crate::sink::Counts;
use crate::source::Sent;
use crate::table;

#[derive(Debug, Clone, Args)]
pub struct Options {
    #[command(flatten)]
    bed: TestBed,
    /// Where the table goes
    #[arg(long, default_value = "bench/RESULTS.md")]
    table: PathBuf,
    /// How often each relay is measured; medians are kept
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Only these workloads, by name
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only the relays whose name contains this
    #[arg(long, default_value = "")]
    relay: String,
    /// Send this share of each workload's messages
    #[arg(long, default_value_t = 1.0)]
    share: f64,
}

impl Options {
    fn wants(&self, workload: &Workload) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == workload.name)
    }
}

/// One load, put on each of its relays.
pub struct Workload {
    pub name: &'static str,
    pub says: &'static str,
    pub messages: u64,
    pub recipients: u64,
    pub source: &'static [&'static str],
    pub dkim: bool,
    pub by: By,
    pub relays: &'static [Kind],
    /// Hosts that take the mail, each that of one domain; with one it is the smarthost for all domains.
    pub destinations: u8,
}

/// How the load comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// SMTP with the credential of the address range.
    Address,
    /// SMTP with AUTH under TLS.
    SignIn,
    /// The API, in batches.
    Api,
}

const WITH_PEERS: &[Kind] = &[Kind::Nothing, Kind::Posthouse, Kind::Postfix, Kind::Haraka];

const WORKLOADS: &[Workload] = &[
    Workload {
        name: "4k",
        says: "4 KiB x 20,000, 1 recipient, 50 sessions",
        messages: 20_000,
        recipients: 1,
        source: &["--size", "4096"],
        dkim: false,
        by: By::Address,
        relays: WITH_PEERS,
        destinations: 1,
    },
    Workload {
        name: "4k-dkim",
        says: "the same, DKIM signed: Posthouse RSA-2048 and Ed25519, Postfix RSA-2048 by opendkim",
        messages: 20_000,
        recipients: 1,
        source: &["--size", "4096"],
        dkim: true,
        by: By::Address,
        relays: &[Kind::Posthouse, Kind::Postfix],
        destinations: 1,
    },
    Workload {
        name: "64k",
        says: "64 KiB x 3,000, 1 recipient, 50 sessions",
        messages: 3_000,
        recipients: 1,
        source: &["--size", "65536"],
        dkim: false,
        by: By::Address,
        relays: WITH_PEERS,
        destinations: 1,
    },
    Workload {
        name: "64k-dkim",
        says: "the same, DKIM signed",
        messages: 3_000,
        recipients: 1,
        source: &["--size", "65536"],
        dkim: true,
        by: By::Address,
        relays: &[Kind::Posthouse, Kind::Postfix],
        destinations: 1,
    },
    Workload {
        name: "auth-tls",
        says: "4 KiB x 20,000, AUTH and TLS 1.3 on every connection, full handshakes, 10 messages a connection",
        messages: 20_000,
        recipients: 1,
        source: &["--size", "4096", "--per-connection", "10"],
        dkim: false,
        by: By::SignIn,
        relays: &[Kind::Posthouse],
        destinations: 1,
    },
    Workload {
        name: "connections",
        says: "4 KiB x 10,000, a new connection for each message",
        messages: 10_000,
        recipients: 1,
        source: &["--size", "4096", "--per-connection", "1"],
        dkim: false,
        by: By::Address,
        relays: WITH_PEERS,
        destinations: 1,
    },
    Workload {
        name: "recipients",
        says: "4 KiB x 5,000, 10 recipients in 10 domains each, all through one smarthost",
        messages: 5_000,
        recipients: 10,
        source: &["--size", "4096", "--recipients", "10", "--domains", "10"],
        dkim: false,
        by: By::Address,
        relays: WITH_PEERS,
        destinations: 1,
    },
    Workload {
        name: "domains",
        says: "4 KiB x 5,000, 10 recipients in 10 domains each, every domain at a host of its own: 10 deliveries a message",
        messages: 5_000,
        recipients: 10,
        source: &["--size", "4096", "--recipients", "10", "--domains", "10"],
        dkim: false,
        by: By::Address,
        relays: &[Kind::Posthouse, Kind::Postfix, Kind::Haraka],
        destinations: 10,
    },
    Workload {
        name: "100k-dkim",
        says: "100 KB x 2,000, DKIM signed",
        messages: 2_000,
        recipients: 1,
        source: &["--size", "100000"],
        dkim: true,
        by: By::Address,
        relays: &[Kind::Posthouse, Kind::Postfix],
        destinations: 1,
    },
    Workload {
        name: "auth-tls-each",
        says: "4 KiB x 5,000, AUTH and TLS 1.3 for each message, full handshakes",
        messages: 5_000,
        recipients: 1,
        source: &["--size", "4096", "--per-connection", "1"],
        dkim: false,
        by: By::SignIn,
        relays: &[Kind::Posthouse],
        destinations: 1,
    },
    Workload {
        name: "html",
        says: "30 KiB of HTML x 5,000, as it came",
        messages: 5_000,
        recipients: 1,
        source: &["--size", "30720", "--html", "--header", "X-Posthouse-Track: none"],
        dkim: false,
        by: By::Address,
        relays: &[Kind::Posthouse],
        destinations: 1,
    },
    Workload {
        name: "html-links",
        says: "the same with opens and clicks tracked and a link to unsubscribe",
        messages: 5_000,
        recipients: 1,
        source: &[
            "--size",
            "30720",
            "--html",
            "--header",
            "X-Posthouse-Track: opens, clicks",
            "--header",
            "X-Posthouse-Unsubscribe: on",
        ],
        dkim: false,
        by: By::Address,
        relays: &[Kind::Posthouse],
        destinations: 1,
    },
    Workload {
        name: "batch",
        says: "4 KiB x 20,000 by the API in batches of 500, four requests at a time; latency is that of a batch",
        messages: 20_000,
        recipients: 1,
        source: &["--size", "4096"],
        dkim: false,
        by: By::Api,
        relays: &[Kind::Posthouse],
        destinations: 1,
    },
    Workload {
        name: "postgres",
        says: "4 KiB x 20,000 on PostgreSQL on the same machine, fsync on; its processes are counted in",
        messages: 20_000,
        recipients: 1,
        source: &["--size", "4096"],
        dkim: false,
        by: By::Address,
        relays: &[Kind::PosthousePostgres],
        destinations: 1,
    },
];

/// One relay under one workload, once.
#[derive(Debug, Clone)]
pub struct Figures {
    pub accepted_per_second: f64,
    pub end_to_end_per_second: f64,
    pub cpu_ms: f64,
    pub peak_mib: f64,
    pub latency_p50_ms: f64,
    pub latency_p99_ms: f64,
    pub trouble: Option<String>,
}

pub fn command(options: &Options) -> io::Result<()> {
    let mut sections = Vec::new();
    let made = table::Circumstances {
        rounds: options.rounds,
        load: meter::load(),
    };
    for workload in WORKLOADS.iter().filter(|workload| options.wants(workload)) {
        let chosen = |kind: &&Kind| {
            kind.title()
                .to_lowercase()
                .contains(&options.relay.to_lowercase())
        };
        let relays: Vec<Kind> = workload.relays.iter().filter(chosen).copied().collect();
        let mut rounds: Vec<(Kind, Vec<Figures>)> = relays.iter().map(|&kind| (kind, Vec::new())).collect();
        for round in 0..options.rounds {
            for (kind, figures) in &mut rounds {
                match measure(options, workload, *kind) {
                    Ok(seen) => {
                        eprintln!(
                            "{} {} round {}: {}",
                            workload.name,
                            kind.title(),
                            round + 1,
                            table::line(&seen)
                        );
                        figures.push(seen);
                    }
                    Err(error) => {
                        eprintln!("{} {} round {}: {error}", workload.name, kind.title(), round + 1);
                    }
                }
            }
        }
        sections.push((
            workload,
            rounds
                .into_iter()
                .filter_map(|(kind, seen)| Some((kind, median(seen)?)))
                .collect(),
        ));
        table::write(&options.table, &options.bed.work, &made, &sections)?;
    }
    if sections.is_empty() {
        return Err(io::Error::other("no such workload"));
    }
    println!("{}", std::fs::read_to_string(&options.table)?);
    Ok(())
}

/// The round whose end-to-end rate is in the middle; its other figures belong to it.
fn median(mut rounds: Vec<Figures>) -> Option<Figures> {
    rounds.sort_by(|a, b| a.end_to_end_per_second.total_cmp(&b.end_to_end_per_second));
    let middle = rounds.len().checked_sub(1)? / 2;
    let trouble = rounds.iter().find_map(|round| round.trouble.clone());
    Some(Figures {
        trouble,
        ..rounds.swap_remove(middle)
    })
}

/// A sink in a process of its own.
pub struct SinkProcess {
    child: Child,
    pub mail: SocketAddr,
    control: SocketAddr,
}

impl SinkProcess {
    /// Takes the mail of so many domains, each at a host of its own.
    pub fn start(destinations: u8) -> io::Result<Self> {
        let hosts = (0..destinations).map(|host| format!("127.0.0.{}:0", resolver::FIRST_HOST + host));
        let mut child = Command::new(std::env::current_exe()?)
            .args(["sink", "--listen", &hosts.collect::<Vec<_>>().join(",")])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let addresses: Vec<SocketAddr> = line
            .split_ascii_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        match addresses[..] {
            [mail, control] => Ok(Self { child, mail, control }),
            _ => Err(io::Error::other("the sink did not start")),
        }
    }

    pub fn counts(&self) -> io::Result<Counts> {
        let mut text = String::new();
        TcpStream::connect(self.control)?.read_to_string(&mut text)?;
        serde_json::from_str(&text).map_err(io::Error::other)
    }

    /// Waits until that many recipients were served, or nothing moved for half a minute.
    pub fn wait_for(&self, recipients: u64) -> io::Result<Counts> {
        let mut moved = Instant::now();
        let mut before = 0;
        loop {
            let counts = self.counts()?;
            if counts.recipients >= recipients || moved.elapsed() > Duration::from_secs(30) {
                return Ok(counts);
            }
            if counts.recipients > before {
                before = counts.recipients;
                moved = Instant::now();
            }
            thread::park_timeout(Duration::from_millis(50));
        }
    }
}

impl Drop for SinkProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn measure(options: &Options, workload: &Workload, kind: Kind) -> io::Result<Figures> {
    let sink = SinkProcess::start(workload.destinations)?;
    let route = match workload.destinations {
        1 => None,
        many => Some(resolver::route(many, sink.mail.port())?),
    };
    let place = Place {
        route,
        destinations: workload.destinations,
        dkim: workload.dkim,
        ..options.bed.place(sink.mail)?
    };
    let relay = Relay::start(kind, &place)?;
    let messages = (workload.messages as f64 * options.share) as u64;
    // Processes started, caches filled, connections made.
    let warm_up = messages / 20;
    let warmed = source(workload, &relay, 0, warm_up)?;
    let before = sink.wait_for(warmed.accepted * workload.recipients)?;

    let cpu_before = cpu_seconds(&relay.roots);
    let memory = MemoryWatch::start(relay.roots.clone());
    let sent = source(workload, &relay, warm_up, messages)?;
    let after = sink.wait_for(before.recipients + sent.accepted * workload.recipients)?;
    let cpu = cpu_seconds(&relay.roots) - cpu_before;
    let peak_mib = memory.peak_mib(&relay.roots);

    Ok(Figures {
        accepted_per_second: sent.accepted as f64 / clock::seconds(sent.started, sent.ended),
        end_to_end_per_second: (after.recipients - before.recipients) as f64
            / clock::seconds(sent.started, after.last),
        cpu_ms: cpu * 1000.0 / sent.accepted as f64,
        peak_mib,
        latency_p50_ms: sent.latency_p50 as f64 / 1000.0,
        latency_p99_ms: sent.latency_p99 as f64 / 1000.0,
        trouble: trouble(workload, kind, &sent, warmed.accepted, &after),
    })
}

/// What was not as it must be: refusals, losses, doubles, missing signatures.
fn trouble(workload: &Workload, kind: Kind, sent: &Sent, warm_up: u64, after: &Counts) -> Option<String> {
    let accepted = warm_up + sent.accepted;
    let mut troubles = Vec::new();
    if sent.refused + sent.broken_connections > 0 {
        let first = sent.first_trouble.clone().unwrap_or_default();
        troubles.push(format!(
            "{} refused, {} connections broken ({first})",
            sent.refused, sent.broken_connections
        ));
    }
    if after.distinct < accepted {
        troubles.push(format!("{} lost", accepted - after.distinct));
    }
    if after.recipients < accepted * workload.recipients {
        troubles.push(format!(
            "{} recipients lost",
            accepted * workload.recipients - after.recipients
        ));
    }
    if after.recipients > accepted * workload.recipients {
        troubles.push(format!(
            "{} doubled",
            after.recipients - accepted * workload.recipients
        ));
    }
    if workload.dkim && kind != Kind::Nothing && after.signed < after.messages {
        troubles.push(format!(
            "{} of {} not signed",
            after.messages - after.signed,
            after.messages
        ));
    }
    (!troubles.is_empty()).then(|| troubles.join(", "))
}

pub fn source(workload: &Workload, relay: &Relay, first: u64, messages: u64) -> io::Result<Sent> {
    let nowhere = || io::Error::other("the relay does not take mail in this way");
    let mut command = Command::new(std::env::current_exe()?);
    let (verb, server) = match workload.by {
        By::Address => ("source", relay.address),
        By::SignIn => ("source", relay.submissions.ok_or_else(nowhere)?),
        By::Api => ("batch", relay.api.ok_or_else(nowhere)?),
    };
    command.arg(verb).args(workload.source);
    command.args(["--first", &first.to_string(), "--messages", &messages.to_string()]);
    if workload.by == By::SignIn {
        command.args(["--tls", "implicit", "--user", relay::USER]);
        command.args(["--password", relay::PASSWORD]);
    }
    let output = command
        .arg(server.to_string())
        .stderr(Stdio::inherit())
        .output()?;
    serde_json::from_slice(&output.stdout).map_err(io::Error::other)
}
