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

/// For SQLite's memory as well as for Rust's: under load it keeps less of what was freed than the C library's does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::run()
}
