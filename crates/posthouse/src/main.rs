//! The binary: reads the command line, runs one command, says in one sentence what went wrong.

mod app;
mod budget;
mod cli;
mod config;
mod http;
mod notices;
mod ops;
mod program;
mod site;
mod smtp;
mod tls;

fn main() -> std::process::ExitCode {
    cli::run()
}
