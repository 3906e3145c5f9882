//! `posthouse config reference` and `posthouse config show`.

use crate::cli::say;
use std::process::ExitCode;

use clap::Subcommand;

use super::{Common, Failure};

#[derive(Debug, Subcommand)]
pub enum Action {
    /// Print the reference of every key, as Markdown.
    Reference,
    /// Print the configuration in force, without its secrets.
    Show,
}

pub fn run(common: &Common, action: &Action) -> Result<ExitCode, Failure> {
    match action {
        Action::Reference => say::text(format_args!("{}", crate::config::reference())),
        Action::Show => say::text(format_args!("{}", common.load()?.show())),
    }
    Ok(ExitCode::SUCCESS)
}
