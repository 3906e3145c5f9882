//! `posthouse check`: looks at everything a server needs, and says of each fault what to do.

mod dns;
pub mod local;
mod reach;

use crate::cli::say;
use crate::cli::say::say;
use std::process::ExitCode;

use clap::Args;
use store::Clock;

use super::{Common, Failure};

#[derive(Debug, Args)]
pub struct Options {
    /// See whether mail to this domain could leave: whether its mail server, or the configured one, answers.
    #[arg(long, value_name = "DOMAIN")]
    reach: Option<String>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Good,
    /// Works, but an operator wants to know.
    Note,
    /// The server would not start, or mail would not pass.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub level: Level,
    pub what: String,
    /// What to do; empty where nothing is.
    pub remedy: String,
}

/// What was found so far.
#[derive(Debug, Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    pub fn good(&mut self, what: impl Into<String>) {
        self.add(Level::Good, what.into(), String::new());
    }

    pub fn note(&mut self, what: impl Into<String>, remedy: impl Into<String>) {
        self.add(Level::Note, what.into(), remedy.into());
    }

    pub fn bad(&mut self, what: impl Into<String>, remedy: impl Into<String>) {
        self.add(Level::Bad, what.into(), remedy.into());
    }

    /// A fault where `bad`, something to know otherwise.
    pub fn fault(&mut self, bad: bool, what: impl Into<String>, remedy: impl Into<String>) {
        self.add(
            if bad { Level::Bad } else { Level::Note },
            what.into(),
            remedy.into(),
        );
    }

    fn add(&mut self, level: Level, what: String, remedy: String) {
        self.0.push(Finding { level, what, remedy });
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for Finding { level, what, remedy } in &self.0 {
            text.push_str(match level {
                Level::Good => "ok     ",
                Level::Note => "note   ",
                Level::Bad => "ERROR  ",
            });
            text.push_str(what);
            if !remedy.is_empty() {
                text.push_str("\n       -> ");
                text.push_str(remedy);
            }
            text.push('\n');
        }
        text
    }

    /// Prints all of it; a failure where something is bad.
    pub fn print(&self) -> ExitCode {
        say::text(format_args!("{}", self.text()));
        let (bad, notes) = (self.count(Level::Bad), self.count(Level::Note));
        say!("\n{bad} errors, {notes} notes");
        if bad == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    fn count(&self, level: Level) -> usize {
        self.0.iter().filter(|finding| finding.level == level).count()
    }
}

pub fn run(common: &Common, options: &Options) -> Result<ExitCode, Failure> {
    let config = common.load()?;
    let findings = super::runtime()?.block_on(async {
        let mut findings = Findings::default();
        findings.good("configuration");
        let running = local::data_dir(&config, &mut findings);
        local::ports(&config, running, &mut findings).await;
        let db = local::database(&config, &mut findings).await;
        local::certificate(&config, db.as_ref(), Clock::system().now(), &mut findings).await;
        local::web(&config, &mut findings);
        if let Some(db) = db {
            let _ = db.close().await;
        }
        dns::names(&config, &mut findings).await;
        if let Some(domain) = &options.reach {
            reach::domain(&config, domain, &mut findings).await;
        }
        findings
    });
    Ok(findings.print())
}
