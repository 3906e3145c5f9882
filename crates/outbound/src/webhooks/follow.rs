//! From the event log to deliveries: effect and cursor in one transaction.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use mail::time::Time;
use store::events::{self, Cursor};
use store::{Id, Result, Topic, Tx};
use tokio::time::{sleep, timeout};

use super::core::Core;
use super::endpoints::{self, Endpoint};
use super::queue::{self, Delivery, GIVE_UP, State};
use crate::feed::{self, Told};

/// The name of our place in the log.
const CONSUMER: &str = "webhooks";
/// Events looked at in one go.
const PAGE: i64 = 500;
/// Deliveries written in one transaction, or a few more.
const AT_ONCE: usize = 200;
/// A bell may be missed.
const POLL: Duration = Duration::from_secs(1);
/// Events come in crowds; one look takes them together.
const BREATH: Duration = Duration::from_millis(100);

/// What one page of the log is for whom.
#[derive(Clone)]
struct Look {
    from: Cursor,
    to: Cursor,
    deliveries: Vec<Delivery>,
}

pub async fn follow_forever(core: Arc<Core>) {
    let mut bell = core.db.bell(Topic::Events);
    let mut awake = false;
    loop {
        let more = match follow(&core, &mut awake).await {
            Ok(more) => more,
            Err(error) => {
                tracing::warn!(%error, "what webhooks are to tell could not be read");
                false
            }
        };
        if more {
            continue;
        }
        tokio::select! {
            () = core.stop.cancelled() => return,
            _ = timeout(POLL, bell.rung()) => {}
        }
        tokio::select! {
            () = core.stop.cancelled() => return,
            () = sleep(BREATH) => {}
        }
    }
}

/// Takes a page of the log; true when there may be more. While nobody wants to be told anything, nothing is read.
async fn follow(core: &Core, awake: &mut bool) -> Result<bool> {
    // What room is left on the disk is for what becomes of mail.
    if core.stop.is_cancelled() || !core.db.has_room() {
        return Ok(false);
    }
    let wanted = core.db.peek("look for webhooks", endpoints::wanted_since).await?;
    let Some(since) = wanted else {
        *awake = false;
        return Ok(false);
    };
    if !*awake {
        core.db
            .write("begin to follow the event log", move |tx| catch_up(tx, since))
            .await?;
        *awake = true;
    }
    let (now, ids) = (core.clock.now(), core.ids.clone());
    let look = core
        .db
        .read("read what webhooks are to tell", move |tx| {
            look(tx, now, &mut || ids.next(now))
        })
        .await?;
    let Some((look, more)) = look else {
        return Ok(false);
    };
    let some = !look.deliveries.is_empty();
    core.db
        .write("note what webhooks are to tell", move |tx| write(tx, &look))
        .await?;
    if some {
        core.poke.notify_one();
    }
    Ok(more)
}

/// Passes over what happened before anybody wanted to be told.
fn catch_up(tx: &mut Tx<'_>, since: Time) -> Result<()> {
    let place = events::place_at(tx, since)?;
    match events::take_turn(tx, CONSUMER)? {
        Some(at) if at >= place => Ok(()),
        _ => events::advance(tx, CONSUMER, place),
    }
}

fn look(tx: &mut Tx<'_>, now: Time, id: &mut dyn FnMut() -> Id) -> Result<Option<(Look, bool)>> {
    let Some(from) = events::place_of(tx, CONSUMER)? else {
        return Ok(None);
    };
    let mut page = events::read_after(tx, from, PAGE)?;
    let Some(last) = page.last() else {
        return Ok(None);
    };
    let (mut to, mut more) = (last.cursor, page.len() as i64 == PAGE);
    let mut endpoints: HashMap<Id, Vec<Endpoint>> = HashMap::new();
    for account in page.iter().map(|event| event.account).collect::<HashSet<_>>() {
        let active = endpoints::active(tx, account)?;
        if !active.is_empty() {
            endpoints.insert(account, active);
        }
    }
    page.retain(|event| endpoints.contains_key(&event.account));
    let accounts: Vec<Id> = page.iter().map(|event| event.account).collect();
    let told = feed::tell(tx, page)?;
    let mut deliveries = Vec::new();
    let mut reached = from;
    for (account, told) in accounts.iter().zip(&told) {
        if deliveries.len() >= AT_ONCE {
            // The rest is another look's: mail waits behind this transaction.
            (to, more) = (reached, true);
            break;
        }
        reached = told.cursor;
        for endpoint in &endpoints[account] {
            if told.at >= endpoint.active_since && endpoint.wants(told) {
                deliveries.push(delivery(endpoint.id, told, id(), now));
            }
        }
    }
    let look = Look { from, to, deliveries };
    Ok(Some((look, more)))
}

/// An event on its way to an endpoint.
pub fn delivery(webhook: Id, told: &Told, id: Id, now: Time) -> Delivery {
    Delivery {
        id,
        webhook,
        event: format!("evt_{}", told.id()),
        kind: told.kind.clone(),
        payload: told.payload(),
        state: State::Waiting,
        attempts: 0,
        before: 0,
        created_at: now,
        due_at: now,
        give_up_at: now.plus(GIVE_UP),
    }
}

/// Nothing, where another node did it meanwhile.
fn write(tx: &mut Tx<'_>, look: &Look) -> Result<()> {
    if events::take_turn(tx, CONSUMER)? != Some(look.from) {
        return Ok(());
    }
    let mut active = HashSet::new();
    for webhook in look
        .deliveries
        .iter()
        .map(|one| one.webhook)
        .collect::<HashSet<_>>()
    {
        // What was removed or paused since it was looked at is told nothing.
        if endpoints::any(tx, webhook)?.is_some_and(|endpoint| endpoint.paused.is_none()) {
            active.insert(webhook);
        }
    }
    for delivery in look.deliveries.iter().filter(|one| active.contains(&one.webhook)) {
        queue::insert(tx, delivery)?;
    }
    events::advance(tx, CONSUMER, look.to)
}
