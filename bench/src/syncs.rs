//! How often a mail makes the disk sync: counted by strace, with one session, where nobody shares a commit, and with many.

use std::fs;
use std::io::{self, BufRead, BufReader, Write as _};
use std::process::{Command, Stdio};

use clap::Args;

use crate::relay::{Kind, Relay, TestBed};
use crate::run::{By, SinkProcess, Workload, source};

const ONE: Workload = Workload {
    name: "syncs",
    says: "4 KiB, 1 recipient, one session",
    messages: 500,
    recipients: 1,
    source: &["--size", "4096", "--sessions", "1"],
    dkim: false,
    by: By::Address,
    relays: &[Kind::Posthouse],
    destinations: 1,
};
const MANY: Workload = Workload {
    says: "4 KiB, 1 recipient, 50 sessions",
    messages: 5_000,
    source: &["--size", "4096"],
    ..ONE
};

#[derive(Debug, Clone, Args)]
pub struct Options {
    #[command(flatten)]
    bed: TestBed,
}

pub fn command(options: &Options) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(
        out,
        "Accepted and delivered under strace, which makes it slower and so the commits smaller.\n\n\
         | load | mails | syncs | syncs a mail |\n|---|---|---|---|"
    )?;
    for workload in [&ONE, &MANY] {
        let syncs = counted(options, workload)?;
        writeln!(
            out,
            "| {} | {} | {syncs} | {:.2} |",
            workload.says,
            workload.messages,
            syncs as f64 / workload.messages as f64
        )?;
    }
    Ok(())
}

fn counted(options: &Options, workload: &Workload) -> io::Result<u64> {
    let sink = SinkProcess::start(1)?;
    let place = options.bed.place(sink.mail)?;
    let relay = Relay::start(Kind::Posthouse, &place)?;
    let warm_up = workload.messages / 10;
    source(workload, &relay, 0, warm_up)?;
    sink.wait_for(warm_up)?;

    let log = place.work.join("syncs");
    let mut strace = Command::new("strace")
        .args(["-f", "-e", "trace=fsync,fdatasync,sync_file_range", "-o"])
        .arg(&log)
        .args(["-p", &relay.roots[0].to_string()])
        .stderr(Stdio::piped())
        .spawn()?;
    let mut said = BufReader::new(strace.stderr.take().ok_or(io::ErrorKind::BrokenPipe)?);
    let mut line = String::new();
    while !line.contains("attached") {
        line.clear();
        if said.read_line(&mut line)? == 0 {
            return Err(io::Error::other("strace did not attach"));
        }
    }
    let sent = source(workload, &relay, warm_up, workload.messages)?;
    let arrived = sink.wait_for(warm_up + sent.accepted)?;
    if arrived.recipients != warm_up + workload.messages {
        return Err(io::Error::other("not everything arrived"));
    }
    Command::new("kill")
        .args(["-INT", &strace.id().to_string()])
        .status()?;
    strace.wait()?;
    let calls = fs::read_to_string(&log)?;
    // A call that another thread's cuts in two stands there twice.
    Ok(calls
        .lines()
        .filter(|line| line.contains("sync") && !line.contains("resumed"))
        .count() as u64)
}
