//! The figures as people read them: a line while it runs, a Markdown table at the end.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::meter;
use crate::relay::Kind;
use crate::run::{Figures, Workload};

pub fn line(figures: &Figures) -> String {
    let trouble = figures
        .trouble
        .as_ref()
        .map_or(String::new(), |trouble| format!(" TROUBLE: {trouble}"));
    format!(
        "{:.0} accepted/s, {:.0} end to end/s, {:.3} CPU ms, {:.0} MiB, p50 {:.1} ms, p99 {:.1} ms{trouble}",
        figures.accepted_per_second,
        figures.end_to_end_per_second,
        figures.cpu_ms,
        figures.peak_mib,
        figures.latency_p50_ms,
        figures.latency_p99_ms
    )
}

type Section<'a> = (&'a Workload, Vec<(Kind, Figures)>);

/// What the table says about how it was made.
pub struct Circumstances {
    pub rounds: usize,
    /// Of the machine before anything was measured.
    pub load: String,
}

pub fn write(path: &Path, work: &Path, made: &Circumstances, sections: &[Section]) -> io::Result<()> {
    let text = render(work, made, sections).map_err(io::Error::other)?;
    fs::write(path, text)
}

fn render(work: &Path, made: &Circumstances, sections: &[Section]) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    writeln!(out, "# What Posthouse carries\n")?;
    writeln!(
        out,
        "Made by `bench/run` with a release build of {} on {}; files on {}; load average {} before the start; {}.\n",
        said(Command::new("git").args(["describe", "--always", "--dirty"])),
        meter::machine().unwrap_or_else(|_| "an unknown machine".to_owned()),
        said(Command::new("df").args(["--output=fstype"]).arg(work)),
        made.load,
        said(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]))
    )?;
    writeln!(
        out,
        "Source, relay and sink share the machine over loopback and pipeline their commands. Each relay in turn, {}\n\
         rounds interleaved; the median round by its end-to-end rate. *Accepted* counts the 250 after the data, *end to end*\n\
         recipients from the start of the source to the last arrival at the sink. *CPU* is user and system time of the\n\
         relay's whole process tree for each message accepted; *peak* its memory, shared pages counted once; latency is one\n\
         transaction from MAIL to its 250 at saturation. *Ratio* is end to end beside Postfix in the same run.\n\n\
         Everything that answers 250 has synced before: Posthouse by its database's commit (SQLite in WAL mode,\n\
         synchronous=FULL), Postfix by its queue file. **Haraka does not**: it writes its queue file and answers.\n\
         To one host Posthouse (where nothing is said it is 20) and Postfix deliver over 50 connections, to each of ten over\n\
         20; each worker of Haraka over at most 100 in all. Where domains have hosts of their own, Posthouse asks a name server\n\
         on the machine for them, the others have a table. Postfix runs without a syslog daemon, Haraka with two workers at log\n\
         level *warn*; `bench/src/relay.rs` has their\n\
         whole configuration.",
        made.rounds
    )?;
    for (workload, relays) in sections {
        writeln!(out, "\n## {}: {}\n", workload.name, workload.says)?;
        writeln!(
            out,
            "| relay | accepted/s | end to end/s | CPU ms | peak MiB | p50 ms | p99 ms | ratio |"
        )?;
        writeln!(out, "|---|---|---|---|---|---|---|---|")?;
        let peer = relays
            .iter()
            .find(|(kind, _)| *kind == Kind::Postfix)
            .map(|(_, figures)| figures.end_to_end_per_second);
        for (kind, figures) in relays {
            let ratio = peer.map_or("-".to_owned(), |peer| {
                format!("{:.1}", figures.end_to_end_per_second / peer)
            });
            let (cpu, peak) = match kind {
                Kind::Nothing => ("-".to_owned(), "-".to_owned()),
                _ => (
                    format!("{:.2}", figures.cpu_ms),
                    format!("{:.0}", figures.peak_mib),
                ),
            };
            writeln!(
                out,
                "| {} | {:.0} | {:.0} | {cpu} | {peak} | {:.1} | {:.1} | {ratio} |",
                kind.title(),
                figures.accepted_per_second,
                figures.end_to_end_per_second,
                figures.latency_p50_ms,
                figures.latency_p99_ms
            )?;
        }
        for (kind, figures) in relays {
            if let Some(trouble) = &figures.trouble {
                writeln!(out, "\n{}: {trouble}.", kind.title())?;
            }
        }
    }
    Ok(out)
}

/// The last line that a command printed.
fn said(command: &mut Command) -> String {
    let output = command
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    output.lines().last().unwrap_or("?").trim().to_owned()
}
