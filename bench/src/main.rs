//! Measures Posthouse beside its peers: a load generator, a sink, and the runner that puts a relay between them.

mod api;
mod clock;
mod flood;
mod history;
mod message;
mod meter;
mod paths;
mod relay;
mod resolver;
mod run;
mod siege;
mod sink;
mod source;
mod syncs;
mod table;
mod waiting;
mod webhooks;
mod wire;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "posthouse-bench", about = "Measures Posthouse beside its peers")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Sends mail over many sessions and prints what was accepted, as JSON
    Source(source::Options),
    /// Sends mail by the API in batches and prints what was accepted, as JSON
    Batch(api::Options),
    /// Takes all mail as fast as it can; a connection to the control port gets the counts, as JSON
    Sink(sink::Options),
    /// Guesses passwords from many networks until its input ends, and prints how that was answered, as JSON
    Flood(flood::Options),
    /// Measures how a flood of refused sign-ins slows signed-in mail
    Siege(siege::Options),
    /// Measures how quickly lists and searches are answered over many months of mail
    History(history::Options),
    /// Measures how fast webhooks tell of mail while it is delivered
    Webhooks(webhooks::Options),
    /// Measures a queue of a million: starting over it, and new mail beside it
    Waiting(waiting::Options),
    /// Counts the instructions of what is done to each mail, by callgrind
    Instructions(paths::Options),
    /// Counts how often the disk syncs for a mail, by strace
    Syncs(syncs::Options),
    /// Measures relays between a source and a sink and writes a table
    Run(run::Options),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Source(options) => on_one_thread(source::command(options)),
        Command::Batch(options) => api::command(&options),
        Command::Sink(options) => on_one_thread(sink::command(options)),
        Command::Flood(options) => on_one_thread(flood::command(options)),
        Command::Siege(options) => siege::command(&options),
        Command::History(options) => history::command(&options),
        Command::Webhooks(options) => webhooks::command(&options),
        Command::Waiting(options) => waiting::command(&options),
        Command::Instructions(options) => paths::command(&options),
        Command::Syncs(options) => syncs::command(&options),
        Command::Run(options) => run::command(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("posthouse-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One thread each: what source and sink cost is the relay's loss on a small machine.
fn on_one_thread<T>(work: impl Future<Output = std::io::Result<T>>) -> std::io::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}
