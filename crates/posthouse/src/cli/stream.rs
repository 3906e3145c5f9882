//! `posthouse stream`: what an account's mail is sorted into, and what of it is tracked.

use accounts::tracking::MayTrack;
use accounts::{Login, Stream};
use clap::Subcommand;

use super::Failure;
use super::table::Table;
use crate::app::Rooms;
use crate::cli::say::say;

#[derive(Debug, Subcommand)]
pub enum Action {
    /// List the streams of an account.
    List {
        /// The address of any of its users.
        account: String,
    },
    /// Say all about one stream.
    Show {
        /// The address of any of its users.
        account: String,
        /// As `list` shows it.
        stream: String,
    },
}

pub async fn run(rooms: &Rooms, action: Action) -> Result<(), Failure> {
    match action {
        Action::List { account } => {
            let login = rooms.accounts.login(&account).await.map_err(Failure::new)?;
            let mut table = Table::new(&["STREAM", "NAME", "KIND", "TRACKED", "UNSUBSCRIBE LINK", "STATE"]);
            for one in rooms
                .accounts
                .streams(login.account)
                .await
                .map_err(Failure::new)?
            {
                let (tracked, link, state) = (tracked(&one), yes(one.unsubscribe), state(&one));
                let kind = one.kind.as_str().to_owned();
                table.row([one.slug, one.name, kind, tracked, link, state]);
            }
            table.print("No stream.");
            warn(rooms, &login).await
        }
        Action::Show { account, stream } => {
            let login = rooms.accounts.login(&account).await.map_err(Failure::new)?;
            let one = find(rooms, &login, &stream).await?;
            say!("{}: {} ({})", one.slug, one.name, one.kind.as_str());
            say!("Tracked, where a message does not say: {}", tracked(&one));
            say!(
                "Link to unsubscribe, where a message does not say: {}",
                yes(one.unsubscribe)
            );
            say!("State: {}", state(&one));
            warn(rooms, &login).await
        }
    }
}

/// The stream of this name.
pub async fn find(rooms: &Rooms, login: &Login, slug: &str) -> Result<Stream, Failure> {
    let streams = rooms
        .accounts
        .streams(login.account)
        .await
        .map_err(Failure::new)?;
    let missing = || {
        Failure::text(format!(
            "{} has no stream {slug}; `posthouse stream list {}` shows them",
            login.email, login.email
        ))
    };
    streams
        .into_iter()
        .find(|one| one.slug == slug)
        .ok_or_else(missing)
}

/// What stands over the streams.
async fn warn(rooms: &Rooms, login: &Login) -> Result<(), Failure> {
    if !rooms.accounts.tracks(login.account).await.map_err(Failure::new)? {
        say!("The account has switched tracking off: nothing is tracked, whatever streams say.");
    }
    for domain in rooms
        .accounts
        .domains(login.account)
        .await
        .map_err(Failure::new)?
    {
        let kept_from = match domain.may_track {
            MayTrack::ALL => continue,
            MayTrack { opens: true, .. } => "clicks",
            MayTrack { clicks: true, .. } => "opens",
            MayTrack { .. } => "opens and clicks",
        };
        say!(
            "Of mail from {} no {kept_from} are tracked, whatever streams say.",
            domain.name.to_unicode()
        );
    }
    Ok(())
}

fn tracked(stream: &Stream) -> String {
    let both = match (stream.track_opens, stream.track_clicks) {
        (true, true) => "opens, clicks",
        (true, false) => "opens",
        (false, true) => "clicks",
        (false, false) => "nothing",
    };
    both.to_owned()
}

fn yes(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}

fn state(stream: &Stream) -> String {
    stream.archived_at.map_or_else(
        || "in use".to_owned(),
        |at| format!("archived on {}", at.rfc3339()),
    )
}
