//! How quickly lists and searches are answered over many months of mail: fills a database, starts the binary on it, and asks.

mod ask;
mod fill;
mod rows;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use store::DatabaseUrl;

use crate::relay::{self, listening, wait_for};

#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The posthouse binary, a release build
    #[arg(long, default_value = "target/release/posthouse")]
    posthouse: PathBuf,
    /// Where configuration, log and the SQLite database lie
    #[arg(long, default_value = "target/history")]
    work: PathBuf,
    /// A PostgreSQL database of its own instead: postgres://USER@HOST:PORT/NAME
    #[arg(long)]
    postgres: Option<String>,
    /// Recipients that are stored; what is there already stays and is asked as it is
    #[arg(long, default_value_t = 10_000_000)]
    recipients: u64,
    /// How often each question is asked
    #[arg(long, default_value_t = 40)]
    rounds: usize,
    /// Only fill the database
    #[arg(long)]
    fill_only: bool,
    /// Only questions whose name contains this
    #[arg(long, default_value = "")]
    only: String,
}

/// The accounts that the mail is of; the first has most of it.
const ACCOUNTS: [&str; 5] = [
    relay::USER,
    "second@bench.example",
    "third@bench.example",
    "fourth@bench.example",
    "fifth@bench.example",
];

pub fn command(options: &Options) -> io::Result<()> {
    fs::create_dir_all(&options.work)?;
    let work = std::path::absolute(&options.work)?;
    let posthouse = std::path::absolute(&options.posthouse)?;
    let url = options
        .postgres
        .clone()
        .unwrap_or_else(|| format!("sqlite:{}", work.join("history.db").display()));
    let config = work.join("posthouse.toml");
    fs::write(
        &config,
        // Nothing is sent, and nothing that is stored is old enough to be removed.
        format!(
            "server.hostname = \"relay.example\"\n\
             server.data_dir = \"{}\"\n\
             database.url = \"{url}\"\n\
             http.listen = \"127.0.0.1:0\"\n\
             http.requests_per_minute = 0\n\
             smtp.submission = [\"127.0.0.1:0\"]\n\
             smtp.submissions = []\n\
             smtp.inbound = []\n\
             storage.keep_messages = \"365d\"\n\
             delivery.route = \"smtp://127.0.0.1:9\"\n\
             log.format = \"json\"\n",
            work.join("data").display()
        ),
    )?;
    let database: DatabaseUrl = url.parse().map_err(io::Error::other)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    if !runtime.block_on(fill::is_filled(&database))? {
        for account in ACCOUNTS {
            relay::run(
                Command::new(&posthouse)
                    .args(["account", "create", account, "--password-stdin", "--operator"])
                    .arg("--config")
                    .arg(&config),
                &format!("{}\n", relay::PASSWORD),
            )?;
        }
        runtime.block_on(fill::fill(&database, options.recipients))?;
    }
    if options.fill_only {
        return Ok(());
    }
    let server = Server::start(&posthouse, &config, &work.join("log"))?;
    ask::command(&server.address, database.engine(), options.rounds, &options.only)
}

/// The binary, until it is dropped.
struct Server {
    child: std::process::Child,
    address: String,
}

impl Server {
    fn start(posthouse: &Path, config: &Path, log: &Path) -> io::Result<Self> {
        let child = Command::new(posthouse)
            .args(["serve", "--config"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(log)?)
            .spawn()?;
        let mut server = Self {
            child,
            address: String::new(),
        };
        let http = wait_for("Posthouse listens", || listening(log, "http"))?;
        server.address = http.to_string();
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}
