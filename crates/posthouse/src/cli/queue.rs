//! `posthouse queue`: what waits, and what an operator can do about it beside the running server.

use crate::cli::say::say;
use accounts::By;
use clap::Subcommand;
use mail::address::Domain;
use outbound::Outbound;
use outbound::history::{self, Filter, Summary};
use outbound::model::{LaneKey, State};
use outbound::spool;
use store::Id;

use super::Failure;
use super::table::Table;
use crate::app::{Rooms, sending};
use crate::config::Config;

/// Messages that a list names; who has more waiting looks at the console.
const NAMED: u32 = 50;
/// Messages that are read at a time when all are meant.
const PAGE: u32 = 500;

#[derive(Debug, Subcommand)]
pub enum Action {
    /// List what waits, by domain and by message.
    List,
    /// Try waiting messages now.
    Retry {
        /// As `list` shows them.
        #[arg(value_name = "MESSAGE", required_unless_present = "all")]
        messages: Vec<String>,
        /// Everything that waits.
        #[arg(long, conflicts_with = "messages")]
        all: bool,
    },
    /// Give waiting messages up; nobody is told.
    Cancel {
        #[arg(value_name = "MESSAGE", required = true)]
        messages: Vec<String>,
    },
    /// Let everything that goes the way of a domain's mail wait.
    Pause { domain: String },
    /// Deliver again what was paused.
    Resume {
        /// A domain, or a lane as `list` shows it.
        name: String,
    },
}

pub async fn run(config: &Config, rooms: &Rooms, action: Action) -> Result<(), Failure> {
    let parts = sending::parts(config, rooms, config.configured_url()).map_err(Failure::new)?;
    let courier = parts.courier.clone();
    let outbound = Outbound::idle(parts);
    let by = By::command_line();
    match action {
        Action::List => list(config, rooms, &outbound).await,
        Action::Retry { messages, all } => {
            let messages = if all {
                waiting(rooms).await?
            } else {
                ids(&messages)?
            };
            let mut recipients = 0;
            for message in messages {
                let retried = outbound.retry(message, None, &by);
                recipients += retried.await.map_err(Failure::new)?.rows;
            }
            say!("{recipients} recipients are tried now.");
            Ok(())
        }
        Action::Cancel { messages } => {
            let mut recipients = 0;
            for message in ids(&messages)? {
                let cancelled = outbound.cancel(message, None, &by);
                let cancelled = cancelled.await.map_err(Failure::new)?;
                recipients += cancelled.ordinals.len();
                if cancelled.on_the_wire > 0 {
                    say!(
                        "{} recipients of {message} are being delivered right now and were left alone.",
                        cancelled.on_the_wire
                    );
                }
            }
            say!("{recipients} recipients were given up.");
            Ok(())
        }
        Action::Pause { domain } => {
            let name = Domain::parse(&domain).map_err(Failure::new)?;
            let lane = courier.lane(name).await.map_err(|outcome| {
                Failure::text(format!(
                    "no way to {domain} is known: {}; pause it when there is one",
                    outcome.reply
                ))
            })?;
            outbound
                .pause_lane(lane.clone(), &by)
                .await
                .map_err(Failure::new)?;
            say!(
                "{lane} is paused: running servers stop within ten seconds. `posthouse queue resume {lane}` lets it go on."
            );
            Ok(())
        }
        Action::Resume { name } => {
            let paused = outbound.paused_lanes().await.map_err(Failure::new)?;
            let lane = match paused.iter().find(|lane| lane.as_str() == name) {
                Some(lane) => lane.clone(),
                None => lane_of(&*courier, &name).await?,
            };
            let resumed = outbound.resume_lane(lane.clone(), &by);
            if resumed.await.map_err(Failure::new)? {
                say!("{lane} goes on.");
                return Ok(());
            }
            Err(Failure::text(format!(
                "{lane} is not paused; `posthouse queue list` shows what is"
            )))
        }
    }
}

async fn lane_of(courier: &dyn outbound::model::Courier, domain: &str) -> Result<LaneKey, Failure> {
    let unknown = || {
        Failure::text(format!(
            "{domain} is not paused; `posthouse queue list` shows what is"
        ))
    };
    let domain = Domain::parse(domain).map_err(|_| unknown())?;
    courier.lane(domain).await.map_err(|_| unknown())
}

async fn list(config: &Config, rooms: &Rooms, outbound: &Outbound) -> Result<(), Failure> {
    let give_up = config.delivery.give_up;
    let depth = rooms
        .db
        .read("measure the queue", move |tx| spool::depth(tx, give_up))
        .await
        .map_err(Failure::new)?;
    say!(
        "{} recipients wait for their first attempt, {} for another one, {} are in the hands of a server.",
        depth.queued,
        depth.deferred,
        depth.in_hand
    );
    for lane in outbound.paused_lanes().await.map_err(Failure::new)? {
        say!("{lane} is paused.");
    }
    let mut domains: Vec<_> = depth.domains.iter().collect();
    domains.sort_by_key(|(domain, depth)| (std::cmp::Reverse(depth.waiting), domain.as_str().to_owned()));
    if !domains.is_empty() {
        say!();
        let mut table = Table::new(&["DOMAIN", "WAITING", "OLDEST"]);
        for (domain, depth) in domains {
            table.row([
                domain.to_unicode().into_owned(),
                depth.waiting.to_string(),
                depth.oldest_at.rfc3339(),
            ]);
        }
        table.print("");
    }
    let listed = [State::Queued, State::Deferred, State::Held, State::Scheduled];
    let messages = page(rooms, &listed, None, NAMED).await?;
    if !messages.is_empty() {
        say!();
        let mut table = Table::new(&["MESSAGE", "CAME IN", "STATE", "FROM", "TO"]);
        for message in &messages {
            let more = message
                .recipient_count
                .saturating_sub(message.recipients.len() as u64);
            let mut to = message.recipients.join(", ");
            if more > 0 {
                to = format!("{to} and {more} more");
            }
            table.row([
                message.id.to_string(),
                message.created_at.rfc3339(),
                states(message),
                message.from.clone(),
                to,
            ]);
        }
        table.print("");
    }
    Ok(())
}

/// In what its recipients wait.
fn states(message: &Summary) -> String {
    let open = ["scheduled", "queued", "deferred", "held"];
    let states = open
        .into_iter()
        .filter(|state| message.states.contains_key(*state));
    states.collect::<Vec<_>>().join(", ")
}

/// Messages with a recipient in one of these states, the oldest first, each once.
async fn page(
    rooms: &Rooms,
    states: &[State],
    after: Option<Id>,
    limit: u32,
) -> Result<Vec<Summary>, Failure> {
    let mut messages = Vec::new();
    for state in states.iter().copied() {
        let mut filter = Filter {
            state: Some(state),
            oldest_first: true,
            limit,
            after,
            ..Filter::default()
        };
        // As far as it takes to fill the page, or to the end.
        loop {
            let asked = filter.clone();
            let found = rooms
                .db
                .read("list what waits", move |tx| history::list(tx, &asked))
                .await
                .map_err(Failure::new)?;
            filter.limit -= found.items.len() as u32;
            messages.extend(found.items);
            match found.looked_to {
                Some(place) if filter.limit > 0 => filter.after = Some(place),
                _ => break,
            }
        }
    }
    messages.sort_by_key(|message| message.id);
    messages.dedup_by_key(|message| message.id);
    messages.truncate(limit as usize);
    Ok(messages)
}

/// Every message that waits; one that is scheduled waits for its time, and is sent before it only where it is named.
async fn waiting(rooms: &Rooms) -> Result<Vec<Id>, Failure> {
    let mut ids = Vec::new();
    loop {
        let states = [State::Queued, State::Deferred, State::Held];
        let page = page(rooms, &states, ids.last().copied(), PAGE).await?;
        if page.is_empty() {
            return Ok(ids);
        }
        ids.extend(page.iter().map(|message| message.id));
    }
}

fn ids(texts: &[String]) -> Result<Vec<Id>, Failure> {
    let id = |text: &String| {
        let unknown = || format!("{text} is not the id of a message; `posthouse queue list` shows them");
        text.parse().map_err(|_| Failure::text(unknown()))
    };
    texts.iter().map(id).collect()
}
