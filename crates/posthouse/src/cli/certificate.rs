//! `posthouse certificate`: what an ACME authority issued, for this server and for names of sending domains.

use clap::Subcommand;
use mail::time::Time;
use store::Tx;

use super::Failure;
use super::table::Table;
use crate::app::Rooms;
use crate::tls::kept;

#[derive(Debug, Subcommand)]
pub enum Action {
    /// List the certificates, and those that are wanted, whichever node ordered them.
    List,
}

pub async fn run(rooms: &Rooms, Action::List: Action) -> Result<(), Failure> {
    let read = |tx: &mut Tx<'_>| kept::list(tx);
    let kept = rooms.db.read("list the certificates", read).await;
    let now = rooms.clock.now();
    let mut table = Table::new(&[
        "NAMES",
        "FOR",
        "STATE",
        "VALID UNTIL",
        "NEXT ORDER",
        "LAST FAILURE",
    ]);
    for one in kept.map_err(Failure::new)? {
        table.row([
            one.names.clone(),
            if one.for_links { "links" } else { "this server" }.to_owned(),
            one.state(now).as_str().to_owned(),
            one.not_after.map(Time::rfc3339).unwrap_or_default(),
            one.next_at.rfc3339(),
            one.why().to_owned(),
        ]);
    }
    table.print("None yet; a running server with acme.domains fetches them.");
    Ok(())
}
