//! The command line: one file a command, the same `--config` and `--data` behind each.

mod config;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, Overrides};

/// Your own e-mail service in one binary.
#[derive(Debug, Parser)]
#[command(name = "posthouse", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
struct Common {
    /// Configuration file; without it ./posthouse.toml if there is one, else the defaults.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data directory, in place of `server.data_dir`.
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Common {
    fn load(&self) -> Result<Config, Failure> {
        let overrides = Overrides {
            file: self.config.clone(),
            data_dir: self.data.clone(),
        };
        crate::config::load(&overrides).map_err(Failure::new)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Describe or print the configuration.
    #[command(subcommand)]
    Config(config::Action),
}

/// Why a command did not do what was asked: one sentence, with the remedy.
#[derive(Debug)]
struct Failure(String);

impl Failure {
    /// The error and what caused it, as one sentence.
    fn new(error: impl std::error::Error) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let more = error.to_string();
            // Some errors repeat their cause in their own text.
            if !text.contains(&more) {
                text.push_str(": ");
                text.push_str(&more);
            }
            cause = error.source();
        }
        Self(text)
    }
}

/// Runs what the command line asks for.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Config(action) => config::run(&cli.common, &action),
    };
    match done {
        Ok(code) => code,
        Err(Failure(text)) => {
            eprintln!("posthouse: {text}");
            ExitCode::FAILURE
        }
    }
}
