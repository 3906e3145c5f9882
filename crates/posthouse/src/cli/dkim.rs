//! `posthouse dkim`: the keys that domains lead to by a CNAME record, where the operator publishes them.

use accounts::domains::{DelegatedKey, Stage, zone};
use clap::Subcommand;

use super::Failure;
use crate::app::Rooms;
use crate::cli::say::say;

#[derive(Debug, Subcommand)]
pub enum Action {
    /// Print the records to publish in `delivery.dkim_zone`; the first key is made for it.
    Show,
    /// Make a new key beside the one in use. It signs once its record is found, and the old one's is needed for seven days more.
    Renew,
}

pub async fn run(rooms: &Rooms, action: Action) -> Result<(), Failure> {
    let accounts = &rooms.accounts;
    match action {
        Action::Show => accounts.start_delegation().await,
        Action::Renew => accounts.renew_delegated_key().await,
    }
    .map_err(Failure::new)?;
    let keys = accounts.delegated_keys().await.map_err(Failure::new)?;
    if keys.is_empty() {
        return Err(Failure::text(
            "there is no zone for such keys: set `delivery.dkim_zone` to a domain of yours, such as \"dkim.example.net\"",
        ));
    }
    for key in &keys {
        say!("; {}", standing(key));
        say!("{}. IN TXT {}", key.name, zone::strings(&key.value));
    }
    Ok(())
}

fn standing(key: &DelegatedKey) -> String {
    match (key.stage, key.published_at) {
        (Stage::Leaving(until), _) => format!("signs no more; can go after {}", until.rfc3339()),
        (_, None) => "signs as soon as it is found; it is looked for every minute".to_owned(),
        (_, Some(at)) => format!("signs; found at {}", at.rfc3339()),
    }
}
