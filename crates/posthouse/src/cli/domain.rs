//! `posthouse domain`: the domains an account sends from, and the records they publish.

use crate::cli::say::say;
use accounts::domains::{Purpose, SendingDomain, zone};
use clap::Subcommand;

use super::table::Table;
use super::{Failure, account};
use crate::app::Rooms;

#[derive(Debug, Subcommand)]
pub enum Action {
    /// Let an account send from a domain, make its DKIM keys and print the records to publish.
    Add {
        name: String,
        /// The account that sends from it.
        #[arg(long, value_name = "EMAIL")]
        account: String,
    },
    /// List domains and whether they are verified.
    List {
        /// Only those of this account.
        #[arg(long, value_name = "EMAIL")]
        account: Option<String>,
    },
    /// Print the records of a domain again.
    Records {
        name: String,
        /// The account that sends from it.
        #[arg(long, value_name = "EMAIL")]
        account: String,
    },
}

pub async fn run(rooms: &Rooms, action: Action) -> Result<(), Failure> {
    match action {
        Action::Add { name, account } => {
            let login = rooms.accounts.login(&account).await.map_err(Failure::new)?;
            // Who may run this command runs the service: that is the proof another account would give by DNS.
            let domain = rooms
                .accounts
                .add_domain(login.account, &name, true, &accounts::By::command_line())
                .await
                .map_err(Failure::new)?;
            say!(
                "{} sends from {} from now on, signed with DKIM.\n",
                login.email,
                domain.name.to_unicode()
            );
            say!("Publish these records, so that receivers can check the signatures:\n");
            print_records(&domain);
        }
        Action::List { account } => list(rooms, account).await?,
        Action::Records { name, account } => {
            let login = rooms.accounts.login(&account).await.map_err(Failure::new)?;
            let wanted = mail::address::Domain::parse(name.trim_end_matches('.')).map_err(Failure::new)?;
            let domains = rooms
                .accounts
                .domains(login.account)
                .await
                .map_err(Failure::new)?;
            let domain = domains
                .iter()
                .find(|domain| domain.name == wanted)
                .ok_or_else(|| {
                    Failure::text(format!(
                        "{account} has no domain {name}; `posthouse domain add` adds it"
                    ))
                })?;
            print_records(domain);
        }
    }
    Ok(())
}

async fn list(rooms: &Rooms, email: Option<String>) -> Result<(), Failure> {
    let accounts = match email {
        Some(email) => {
            let login = rooms.accounts.login(&email).await.map_err(Failure::new)?;
            vec![(login.account, login.email)]
        }
        None => account::all(rooms, None)
            .await?
            .into_iter()
            .map(|account| (account.id, account.name))
            .collect(),
    };
    let mut table = Table::new(&["DOMAIN", "ACCOUNT", "VERIFIED"]);
    for (id, name) in accounts {
        for domain in rooms.accounts.domains(id).await.map_err(Failure::new)? {
            let verified = domain.verified.map_or_else(
                || "not yet".to_owned(),
                |(by, at)| format!("by {} on {}", by.as_str(), at.rfc3339()),
            );
            table.row([domain.name.to_unicode().into_owned(), name.clone(), verified]);
        }
    }
    table.print("No domain; `posthouse domain add NAME --account EMAIL` adds one.");
    Ok(())
}

fn print_records(domain: &SendingDomain) {
    // Nobody knows where the picture is that a BIMI record names, and a zone is no place for an example.
    for record in domain.records.iter().filter(|one| one.purpose != Purpose::Bimi) {
        say!("{}", zone::line(record));
    }
}
