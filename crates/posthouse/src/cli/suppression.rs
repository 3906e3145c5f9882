//! `posthouse suppression`: whom an account does not write to.

use std::io::Read;
use std::path::{Path, PathBuf};

use accounts::{By, Login};
use clap::{Args, Subcommand};
use mail::address::Address;
use outbound::suppressions::{self, EVERY_STREAM, Filter, Suppression, Why};
use outbound::{Outbound, Suppress, Suppressed};
use store::{Id, Tx};

use super::table::Table;
use super::{Failure, stream};
use crate::app::{Rooms, sending};
use crate::cli::say::{self, say};
use crate::config::Config;

/// Entries that a list names; `export` names all.
const NAMED: u32 = 200;
/// Entries that are read at a time when all are meant.
const PAGE: u32 = 1_000;
/// Lines that could not be read and are shown.
const SHOWN: usize = 50;

#[derive(Debug, Subcommand)]
pub enum Action {
    /// List the newest suppressed addresses.
    List {
        #[command(flatten)]
        of: Of,
        /// Only those with this text in their address or note.
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        /// Only those that are there for this: `hard_bounce`, `complaint`, `unsubscribe`, manual or import.
        #[arg(long, value_parser = reason)]
        reason: Option<Why>,
    },
    /// Write to an address no more; what is being delivered already is still sent.
    Add {
        #[command(flatten)]
        of: Of,
        address: String,
        /// Why, in one line.
        #[arg(long, default_value = "", value_name = "TEXT")]
        note: String,
    },
    /// Take an address from the list: it gets mail again.
    Remove {
        #[command(flatten)]
        of: Of,
        address: String,
        /// Why it may be written to again; it stands in the audit log.
        #[arg(long, value_name = "TEXT")]
        note: String,
    },
    /// Add the addresses of a CSV file. It never takes one from the list.
    Import {
        #[command(flatten)]
        of: Of,
        /// One address a line, or a first line that names the columns `address` and `note`; `-` is standard input.
        file: PathBuf,
    },
    /// Print all of the list as CSV, the newest first.
    Export {
        /// The address of any user of the account.
        account: String,
    },
}

#[derive(Debug, Args)]
pub struct Of {
    /// The address of any user of the account.
    account: String,
    /// Only what counts for this stream alone; without it, what counts for every stream.
    #[arg(long)]
    stream: Option<String>,
}

fn reason(text: &str) -> Result<Why, String> {
    let known = || Why::ALL.map(Why::as_str).join(", ");
    Why::parse(text).ok_or_else(|| format!("it is one of {}", known()))
}

/// The account of a command, and the stream that it names.
struct Place {
    login: Login,
    stream: Option<String>,
}

impl Place {
    async fn of(rooms: &Rooms, of: Of) -> Result<Self, Failure> {
        let login = rooms.accounts.login(&of.account).await.map_err(Failure::new)?;
        if let Some(slug) = &of.stream {
            stream::find(rooms, &login, slug).await?;
        }
        Ok(Self {
            login,
            stream: of.stream,
        })
    }

    /// What the list calls it.
    fn slug(&self) -> &str {
        self.stream.as_deref().unwrap_or(EVERY_STREAM)
    }

    fn in_words(&self) -> String {
        in_words(self.slug())
    }
}

fn in_words(slug: &str) -> String {
    if slug == EVERY_STREAM {
        "every stream".to_owned()
    } else {
        format!("the stream {slug}")
    }
}

pub async fn run(config: &Config, rooms: &Rooms, action: Action) -> Result<(), Failure> {
    let parts = sending::parts(config, rooms, config.configured_url()).map_err(Failure::new)?;
    let outbound = Outbound::idle(parts);
    match action {
        Action::List { of, search, reason } => {
            let place = Place::of(rooms, of).await?;
            let filter = Filter {
                text: search,
                stream: place.stream.clone(),
                why: reason,
                limit: NAMED + 1,
                after: None,
            };
            list(&outbound, &place, filter).await
        }
        Action::Add { of, address, note } => {
            let place = Place::of(rooms, of).await?;
            let new = Suppress {
                stream: place.slug().to_owned(),
                address: parsed(&address)?,
                note: noted(&note)?,
            };
            add(&outbound, &place, new).await
        }
        Action::Remove { of, address, note } => {
            let place = Place::of(rooms, of).await?;
            let address = parsed(&address)?;
            let note = noted(&note)?;
            if note.is_empty() {
                return Err(Failure::text("say with --note why it may be written to again"));
            }
            remove((rooms, &outbound), &place, (address, &note)).await
        }
        Action::Import { of, file } => {
            let place = Place::of(rooms, of).await?;
            import(&outbound, &place, &file).await
        }
        Action::Export { account } => {
            let login = rooms.accounts.login(&account).await.map_err(Failure::new)?;
            export(&outbound, login.account).await
        }
    }
}

fn parsed(address: &str) -> Result<Address, Failure> {
    Address::parse(address.trim()).map_err(Failure::new)
}

fn noted(note: &str) -> Result<String, Failure> {
    suppressions::note(note)
        .ok_or_else(|| Failure::text("a note is one line of at most 200 characters; shorten it"))
}

async fn list(outbound: &Outbound, place: &Place, mut filter: Filter) -> Result<(), Failure> {
    let mut found = Vec::new();
    // As far as it takes to fill the page, or to the end.
    loop {
        let part = outbound.suppressions(place.login.account, filter.clone());
        let part = part.await.map_err(Failure::new)?;
        filter.limit -= part.items.len() as u32;
        found.extend(part.items);
        match part.looked_to {
            Some(_) if filter.limit > 0 => filter.after = part.looked_to,
            _ => break,
        }
    }
    let more = found.len() > NAMED as usize;
    found.truncate(NAMED as usize);
    let mut table = Table::new(&["ADDRESS", "STREAM", "REASON", "SINCE", "NOTE"]);
    for one in found {
        let stream = if one.stream == EVERY_STREAM {
            "every"
        } else {
            &one.stream
        };
        table.row([
            one.address,
            stream.to_owned(),
            one.why.as_str().to_owned(),
            one.created_at.rfc3339(),
            one.note,
        ]);
    }
    table.print("No suppressed address.");
    if more {
        say!(
            "There are more; `posthouse suppression export {}` prints all.",
            place.login.email
        );
    }
    Ok(())
}

async fn add(outbound: &Outbound, place: &Place, new: Suppress) -> Result<(), Failure> {
    let by = By::command_line();
    let done = outbound.suppress(place.login.account, new, &by);
    match done.await.map_err(Failure::new)? {
        Suppressed::Added(one) => say!("{} gets no more mail of {}.", one.address, place.in_words()),
        Suppressed::Already(one) => {
            say!("{} was on the list already: {}.", one.address, one.why.as_str());
        }
        Suppressed::Full => return Err(full()),
    }
    Ok(())
}

fn full() -> Failure {
    Failure::text(format!(
        "the account has {} suppressions that its people made, the most that one can have; remove some first",
        suppressions::MOST
    ))
}

async fn remove(
    (rooms, outbound): (&Rooms, &Outbound),
    place: &Place,
    (address, note): (Address, &str),
) -> Result<(), Failure> {
    let account = place.login.account;
    let wanted = address.clone();
    let slug = place.slug().to_owned();
    let find = move |tx: &mut Tx<'_>| suppressions::find_address(tx, account, &slug, &wanted);
    let found = rooms.db.read("look for a suppression", find);
    let found = found.await.map_err(Failure::new)?;
    let removed: Option<Suppression> = match found {
        Some(one) => outbound
            .unsuppress(account, one.id, note, &By::command_line())
            .await
            .map_err(Failure::new)?,
        None => None,
    };
    let Some(removed) = removed else {
        return Err(Failure::text(format!(
            "{address} is not suppressed for {}; `posthouse suppression list {} --search {address}` shows for what it is",
            place.in_words(),
            place.login.email
        )));
    };
    say!(
        "{} is no longer suppressed for {} (it was: {}).",
        removed.address,
        place.in_words(),
        removed.why.as_str()
    );
    Ok(())
}

async fn import(outbound: &Outbound, place: &Place, file: &Path) -> Result<(), Failure> {
    let text = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    let text = text.map_err(|error| Failure::text(format!("cannot read {}: {error}", file.display())))?;
    let sheet = suppressions::read_sheet(&text).map_err(Failure::new)?;
    let by = By::command_line();
    let done = outbound.import_suppressions(place.login.account, place.slug(), sheet, &by);
    let done = done.await.map_err(Failure::new)?;
    say!(
        "{} added for {}, {} there already, {} not taken.",
        done.added,
        place.in_words(),
        done.already,
        done.refused.len()
    );
    for (line, text, problem) in done.refused.iter().take(SHOWN) {
        say!("line {line}: {text}: {problem}");
    }
    if done.refused.len() > SHOWN {
        say!("and {} more lines", done.refused.len() - SHOWN);
    }
    match done.full_from {
        Some(line) => {
            say!("Line {line} and those behind it were not looked at.");
            Err(full())
        }
        None => Ok(()),
    }
}

async fn export(outbound: &Outbound, account: Id) -> Result<(), Failure> {
    let mut text = suppressions::heading();
    let mut after = None;
    loop {
        let filter = Filter {
            limit: PAGE,
            after,
            ..Filter::default()
        };
        let page = outbound
            .suppressions(account, filter)
            .await
            .map_err(Failure::new)?
            .items;
        for one in &page {
            text.push_str(&suppressions::line(one));
        }
        say::text(format_args!("{text}"));
        text.clear();
        after = page.last().map(|one| one.id);
        if page.len() < PAGE as usize {
            return Ok(());
        }
    }
}
