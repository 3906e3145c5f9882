//! The command line: one file a command, the same `--config` and `--data` behind each.

mod account;
mod backup;
mod certificate;
mod check;
mod config;
mod credential;
mod dkim;
mod doctor;
mod domain;
mod hook;
mod lockout;
mod queue;
mod restore;
mod rooms;
mod say;
mod send;
mod serve;
mod stream;
mod suppression;
mod table;
mod users;
mod voucher;

use std::io::BufRead;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::app::Rooms;
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
    /// Run the server: SMTP, HTTP and delivery in one process.
    Serve,
    /// Accounts: make them, change passwords, credits, suspension.
    #[command(subcommand)]
    Account(account::Action),
    /// Codes that stand for credits.
    #[command(subcommand)]
    Voucher(voucher::Action),
    /// Who is locked out after failed sign-ins.
    #[command(subcommand)]
    Lockout(lockout::Action),
    /// Say why something does not work for somebody, and what to do.
    #[command(subcommand)]
    Doctor(doctor::Action),
    /// SMTP passwords of their own for programs, and IP ranges in place of a password.
    #[command(subcommand)]
    Credential(credential::Action),
    /// What an ACME authority issued, for this server and for names of sending domains.
    #[command(subcommand, alias = "certificates")]
    Certificate(certificate::Action),
    /// DKIM keys that domains lead to, published by the operator.
    #[command(subcommand)]
    Dkim(dkim::Action),
    /// Sending domains and the records they publish.
    #[command(subcommand)]
    Domain(domain::Action),
    /// Event hooks: list them, read one and its runs, try one out.
    #[command(subcommand)]
    Hook(hook::Action),
    /// What the mail of an account is sorted into.
    #[command(subcommand, alias = "streams")]
    Stream(stream::Action),
    /// Whom an account does not write to.
    #[command(subcommand, alias = "suppressions")]
    Suppression(suppression::Action),
    /// What waits for delivery: list it, try it now, give it up, let a destination rest.
    #[command(subcommand)]
    Queue(queue::Action),
    /// Take a message on standard input, as sendmail does.
    Send(send::Options),
    /// Look at everything the server needs and say what to do about each fault.
    Check(check::Options),
    /// Write the database into one file, beside a running server or without one.
    Backup { file: PathBuf },
    /// Fill an empty database from a backup; the server must not run.
    Restore { file: PathBuf },
    /// Print the OpenAPI description of the HTTP API.
    Openapi,
    /// Describe or print the configuration.
    #[command(subcommand)]
    Config(config::Action),
}

/// Why a command did not do what was asked: one sentence, with the remedy.
#[derive(Debug)]
struct Failure(String);

impl Failure {
    fn text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

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
    match execute(&cli.common, cli.command) {
        Ok(code) => code,
        Err(Failure(text)) => {
            for line in text.lines() {
                eprintln!("posthouse: {line}");
            }
            ExitCode::FAILURE
        }
    }
}

impl Command {
    /// Whether it makes no sense without a database that is there already.
    fn needs_a_database(&self) -> bool {
        match self {
            Self::Backup { .. }
            | Self::Certificate(_)
            | Self::Dkim(_)
            | Self::Doctor(_)
            | Self::Lockout(_)
            | Self::Queue(_)
            | Self::Credential(_)
            | Self::Domain(_)
            | Self::Stream(_)
            | Self::Suppression(_)
            | Self::Voucher(_) => true,
            Self::Hook(action) => action.needs_a_database(),
            Self::Account(action) => !matches!(action, account::Action::Create(_)),
            // `send` looks for itself: its exit codes are those of sendmail.
            Self::Send(_)
            | Self::Serve
            | Self::Restore { .. }
            | Self::Check(_)
            | Self::Config(_)
            | Self::Openapi => false,
        }
    }
}

fn execute(common: &Common, command: Command) -> Result<ExitCode, Failure> {
    if command.needs_a_database() {
        rooms::must_exist(&common.load()?)?;
    }
    match command {
        Command::Config(action) => return config::run(common, &action),
        Command::Check(options) => return check::run(common, &options),
        Command::Backup { file } => {
            return with_rooms(common, async |_, rooms| backup::run(rooms, &file).await);
        }
        Command::Restore { file } => {
            return with_rooms(common, async |config, rooms| {
                restore::run(config, rooms, &file).await
            });
        }
        Command::Doctor(action) => {
            return with_rooms(common, async |config, rooms| {
                doctor::run(config, rooms, action).await
            });
        }
        Command::Lockout(action) => with_rooms(common, async |_, rooms| lockout::run(rooms, action).await)?,
        Command::Hook(action) => hook::run(common, action)?,
        Command::Openapi => say::text(format_args!("{}", crate::http::openapi())),
        Command::Send(options) => return Ok(send::run(common, &options)),
        Command::Serve => return serve::run(common.load()?),
        Command::Queue(action) => {
            with_rooms(common, async |config, rooms| {
                queue::run(config, rooms, action).await
            })?;
        }
        Command::Account(action) => {
            with_rooms(common, async |config, rooms| {
                account::run(config, rooms, action).await
            })?;
        }
        Command::Credential(action) => {
            with_rooms(common, async |_, rooms| credential::run(rooms, action).await)?;
        }
        Command::Voucher(action) => with_rooms(common, async |_, rooms| voucher::run(rooms, action).await)?,
        Command::Certificate(action) => {
            with_rooms(common, async |_, rooms| certificate::run(rooms, action).await)?;
        }
        Command::Dkim(action) => with_rooms(common, async |_, rooms| dkim::run(rooms, action).await)?,
        Command::Domain(action) => with_rooms(common, async |_, rooms| domain::run(rooms, action).await)?,
        Command::Stream(action) => with_rooms(common, async |_, rooms| stream::run(rooms, action).await)?,
        Command::Suppression(action) => {
            with_rooms(common, async |config, rooms| {
                suppression::run(config, rooms, action).await
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Opens database and accounts, runs one command over them, and closes them when everything is written.
fn with_rooms<T>(
    common: &Common,
    work: impl AsyncFnOnce(&Config, &Rooms) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let config = common.load()?;
    runtime()?.block_on(async {
        let rooms = rooms::open(&config).await?;
        let done = work(&config, &rooms).await;
        rooms.db.close().await.map_err(Failure::new)?;
        done
    })
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::new)
}

/// One line of standard input, without its end. A password on the command line would stand in the process list.
fn password_from_stdin() -> Result<String, Failure> {
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(Failure::new)?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(Failure::text(
            "standard input holds no password; write it there as one line",
        ));
    }
    Ok(password.to_owned())
}
