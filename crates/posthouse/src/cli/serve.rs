//! `posthouse serve`: everything in one process, until it is told to stop.

use std::process::ExitCode;

use super::Failure;
use crate::app;
use crate::config::Config;
use crate::ops::logs;

pub fn run(config: Config) -> Result<ExitCode, Failure> {
    logs::start(&config.log);
    super::runtime()?
        .block_on(app::serve(config))
        .map_err(Failure::new)?;
    Ok(ExitCode::SUCCESS)
}
