//! `posthouse hook`: the event hooks that are in force, how they ran, and a look at one before it counts.

use std::path::{Path, PathBuf};

use accounts::{Hook, HookKind, HooksOf};
use clap::{Args, Subcommand, ValueEnum};
use outbound::Outbound;
use outbound::hooks::{self, Action as Change, Facts, Run, Stage};

use super::table::{Table, printable};
use super::{Common, Failure, account};
use crate::app::{Rooms, sending};
use crate::cli::say::{self, say};
use crate::config::Config;

#[derive(Debug, Subcommand)]
pub enum Action {
    /// List hooks: the operator's, then those of accounts.
    List {
        /// The operator's and those of this account only.
        #[arg(long, value_name = "EMAIL")]
        account: Option<String>,
    },
    /// Print what a hook says.
    Show {
        /// As `list` shows it.
        hook: String,
    },
    /// List the last runs of a hook, the newest first.
    Log {
        /// As `list` shows it.
        hook: String,
    },
    /// Say what is wrong with a script, or with a rule or a receiver in a file whose name ends with .json.
    Check { file: PathBuf },
    /// Run a script or a rule once on a message; nothing is sent or changed.
    Test(Test),
}

#[derive(Debug, Args)]
pub struct Test {
    file: PathBuf,
    /// The message, header and all.
    #[arg(long, value_name = "FILE")]
    message: PathBuf,
    /// When it is asked.
    #[arg(long, value_enum, default_value = "message")]
    stage: At,
    /// The reverse-path; without it what the From field says.
    #[arg(long, value_name = "ADDRESS")]
    from: Option<String>,
    /// A recipient; at `rcpt` the last one is being named.
    #[arg(long = "to", value_name = "ADDRESS")]
    to: Vec<String>,
    /// A tag of the message.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum At {
    Mail,
    Rcpt,
    Message,
}

impl From<At> for Stage {
    fn from(at: At) -> Self {
        match at {
            At::Mail => Self::Mail,
            At::Rcpt => Self::Rcpt,
            At::Message => Self::Message,
        }
    }
}

impl Action {
    /// Whether it is about hooks that are kept, and not about a file.
    pub fn needs_a_database(&self) -> bool {
        !matches!(self, Self::Check { .. } | Self::Test(_))
    }
}

pub fn run(common: &Common, action: Action) -> Result<(), Failure> {
    match action {
        Action::Check { file } => check(&common.load()?, &file),
        Action::Test(asked) => {
            let config = common.load()?;
            super::runtime()?.block_on(test(&config, asked))
        }
        Action::List { account } => super::with_rooms(common, async |_, rooms| list(rooms, account).await),
        Action::Show { hook } => super::with_rooms(common, async |_, rooms| show(rooms, &hook).await),
        Action::Log { hook } => {
            super::with_rooms(common, async |config, rooms| log(config, rooms, &hook).await)
        }
    }
}

async fn list(rooms: &Rooms, email: Option<String>) -> Result<(), Failure> {
    let mut owners = vec![(HooksOf::Everybody, "everybody".to_owned())];
    if let Some(email) = email {
        let login = rooms.accounts.login(&email).await.map_err(Failure::new)?;
        owners.push((HooksOf::Account(login.account), login.email));
    } else {
        let all = account::all(rooms, None).await?;
        owners.extend(all.into_iter().map(|one| (HooksOf::Account(one.id), one.name)));
    }
    let mut table = Table::new(&[
        "HOOK", "FOR", "NAME", "KIND", "ASKED AT", "STATE", "BROKEN", "VERSION",
    ]);
    for (of, owner) in owners {
        for hook in rooms.accounts.hooks(of).await.map_err(Failure::new)? {
            table.row([
                hook.id.to_string(),
                owner.clone(),
                hook.name,
                hook.kind.as_str().to_owned(),
                hook.stages,
                if hook.enabled { "on" } else { "off" }.to_owned(),
                if hook.fail_open {
                    "mail passes"
                } else {
                    "mail waits"
                }
                .to_owned(),
                hook.version.to_string(),
            ]);
        }
    }
    table.print("No hook; they are written in the console, under Event hooks.");
    Ok(())
}

async fn find(rooms: &Rooms, id: &str) -> Result<Hook, Failure> {
    let unknown = || Failure::text(format!("{id} is no hook; `posthouse hook list` shows them"));
    let hook = id.parse().map_err(|_| unknown())?;
    let found = rooms.accounts.any_hook(hook).await.map_err(Failure::new)?;
    found.ok_or_else(unknown)
}

async fn show(rooms: &Rooms, id: &str) -> Result<(), Failure> {
    let hook = find(rooms, id).await?;
    let body = rooms
        .accounts
        .hook_body(hook.id, hook.version)
        .await
        .map_err(Failure::new)?;
    for line in body.unwrap_or_default().lines() {
        say!("{}", printable(&line.replace('\t', "    ")));
    }
    Ok(())
}

async fn log(config: &Config, rooms: &Rooms, id: &str) -> Result<(), Failure> {
    let hook = find(rooms, id).await?;
    let parts = sending::parts(config, rooms, config.configured_url()).map_err(Failure::new)?;
    let outbound = Outbound::idle(parts);
    let runs = outbound.hooks().journal().runs(hook.id, rooms.clock.now()).await;
    let mut table = Table::new(&["AT", "STAGE", "VERSION", "OUTCOME", "TIME", "WHAT IT SAID"]);
    for run in runs.map_err(Failure::new)? {
        let mut said = vec![match run.line {
            Some(line) => format!("line {line}: {}", run.detail),
            None => run.detail,
        }];
        said.extend(run.log.lines().map(str::to_owned));
        said.retain(|words| !words.is_empty());
        table.row([
            run.at.rfc3339(),
            run.stage,
            run.version.to_string(),
            run.outcome,
            format!("{} µs", run.took.as_micros()),
            said.join(" | "),
        ]);
    }
    table.print("It was not asked within the last 7 days.");
    Ok(())
}

/// What a file holds, told by its name and by what JSON says.
fn read(file: &Path) -> Result<(HookKind, String), Failure> {
    let body = std::fs::read_to_string(file)
        .map_err(|error| Failure::text(format!("{} cannot be read: {error}", file.display())))?;
    let is_json = file
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    let kind = match serde_json::from_str::<serde_json::Value>(&body) {
        _ if !is_json => HookKind::Script,
        Ok(value) if value.get("url").is_some() => HookKind::Http,
        _ => HookKind::Rule,
    };
    Ok((kind, body))
}

fn judged(config: &Config, file: &Path) -> Result<(HookKind, String, String), Failure> {
    let (kind, body) = read(file)?;
    let stages = hooks::check(
        kind,
        &body,
        sending::hook_limits(config),
        config.webhooks.allow_private,
    )
    .map_err(|fault| Failure::text(format!("{}: {fault}", file.display())))?;
    Ok((kind, body, stages))
}

fn check(config: &Config, file: &Path) -> Result<(), Failure> {
    let (kind, _, stages) = judged(config, file)?;
    say!(
        "{} is a {} that is asked at: {}.",
        file.display(),
        match kind {
            HookKind::Script => "script",
            HookKind::Rule => "rule",
            HookKind::Http => "receiver",
        },
        stages.replace(' ', ", ")
    );
    Ok(())
}

async fn test(config: &Config, asked: Test) -> Result<(), Failure> {
    let (kind, body, stages) = judged(config, &asked.file)?;
    if let Some(why) = Stage::from(asked.stage).why_not_asked(&stages) {
        return Err(Failure::text(format!(
            "{}: {why}; choose with --stage",
            asked.file.display()
        )));
    }
    let message = std::fs::read(&asked.message)
        .map_err(|error| Failure::text(format!("{} cannot be read: {error}", asked.message.display())))?;
    let facts = Facts {
        tags: asked.tags,
        ..Facts::of_trial(
            asked.stage.into(),
            asked.from,
            asked.to,
            hooks::with_crlf(&message),
        )
    };
    let run = hooks::try_out(kind, &body, &facts, sending::hook_limits(config))
        .await
        .ok_or_else(|| Failure::text("a receiver is tried out in the console, where its secret is"))?;
    told(&run);
    match run.fault {
        Some(fault) => Err(Failure::text(format!(
            "it broke: {}",
            printable(&fault.to_string())
        ))),
        None => Ok(()),
    }
}

fn told(run: &Run) {
    match run.said.refusal() {
        Some(reply) => say!("{}: {}", run.said.as_str(), printable(&reply.to_string())),
        None if run.fault.is_none() => say!("{}", run.said.as_str()),
        None => {}
    }
    for action in &run.actions {
        say!("{}", printable(&Change::describe(action)));
    }
    for line in &run.log {
        say!("log: {}", printable(line));
    }
    say::text(format_args!(
        "{} steps, {} KiB, {} µs\n",
        run.steps,
        run.memory / 1024,
        run.took.as_micros()
    ));
}
