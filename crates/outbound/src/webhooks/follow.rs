//! From the event log to deliveries: one look finds the accounts that are to be told something, and these are told in turns.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use mail::time::Time;
use store::events::{self, Begin, Cursor};
use store::{Id, Result, Topic, Tx};
use tokio::time::{sleep, timeout};

use super::core::Core;
use super::queue::{self, Delivery, GIVE_UP, State};
use super::{backlog, endpoints};
use crate::feed::{self, Told};

/// The name of our place in the log.
const CONSUMER: &str = "webhooks";
/// Events looked at in one go.
const PAGE: i64 = 1_000;
/// Accounts whose turn comes in one go.
const TURNS: usize = 20;
/// Events of one account that are looked at in its turn.
const EVENTS: i64 = 200;
/// Deliveries written in one transaction, or a few more: mail waits behind it.
const AT_ONCE: usize = 200;
/// So many accounts share them; one that waits alone has all of them.
const SHARERS: usize = 4;
/// A bell may be missed.
const POLL: Duration = Duration::from_secs(1);
/// Events come in crowds; one look takes them together.
const BREATH: Duration = Duration::from_millis(100);

/// A page of the log, and who is to be told something of it.
#[derive(Clone)]
struct Found {
    from: Cursor,
    to: Cursor,
    accounts: BTreeSet<Id>,
    more: bool,
}

/// What one account is told in its turn.
#[derive(Clone)]
struct Turn {
    account: Id,
    from: Cursor,
    to: Cursor,
    /// Nothing is left up to where the log was looked at.
    done: bool,
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

/// Looks at a page of the log and gives some accounts their turn; true when there may be more. While nobody wants to be told
/// anything, nothing is read.
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
            .write("begin to follow the event log", move |tx| {
                events::begin(tx, CONSUMER, Begin::Since(since))
            })
            .await?;
        *awake = true;
    }
    let found = look(core).await?;
    Ok(take_turns(core).await? || found)
}

/// Finds who is to be told something of the next page; true when there may be another.
async fn look(core: &Core) -> Result<bool> {
    let found = core.db.read("look who is to be told what happened", find).await?;
    let Some(found) = found else { return Ok(false) };
    let more = found.more;
    core.db
        .write("note who is to be told what happened", move |tx| {
            enter(tx, &found)
        })
        .await?;
    Ok(more)
}

fn find(tx: &mut Tx<'_>) -> Result<Option<Found>> {
    let Some((from, page)) = events::look(tx, CONSUMER, PAGE)? else {
        return Ok(None);
    };
    let Some(last) = page.last() else { return Ok(None) };
    let mut accounts = BTreeSet::new();
    for account in page.iter().map(|event| event.account).collect::<BTreeSet<_>>() {
        if !endpoints::active(tx, account)?.is_empty() {
            accounts.insert(account);
        }
    }
    Ok(Some(Found {
        from,
        to: last.cursor,
        accounts,
        more: page.len() as i64 == PAGE,
    }))
}

/// Nothing, where another node did it meanwhile.
fn enter(tx: &mut Tx<'_>, found: &Found) -> Result<()> {
    if !events::advance_from(tx, CONSUMER, found.from, found.to)? || found.accounts.is_empty() {
        return Ok(());
    }
    let turn = backlog::next_turn(tx)?;
    found
        .accounts
        .iter()
        .try_for_each(|account| backlog::enter(tx, *account, found.from, turn))
}

/// Tells the accounts whose turn it is what they are to be told next; true when somebody waits for another turn.
async fn take_turns(core: &Core) -> Result<bool> {
    let (now, ids) = (core.clock.now(), core.ids.clone());
    let turns = core
        .db
        .read("read what webhooks are to tell", move |tx| {
            turns(tx, now, &mut || ids.next(now))
        })
        .await?;
    let Some((up_to, turns)) = turns else {
        return Ok(false);
    };
    let some = turns.iter().any(|turn| !turn.deliveries.is_empty());
    let more = core
        .db
        .write("note what webhooks are to tell", move |tx| {
            write(tx, up_to, &turns)
        })
        .await?;
    if some {
        core.poke.notify_one();
    }
    Ok(more)
}

/// The next turns, and up to where the log was looked at.
fn turns(tx: &mut Tx<'_>, now: Time, id: &mut dyn FnMut() -> Id) -> Result<Option<(Cursor, Vec<Turn>)>> {
    let waiting = backlog::next(tx, TURNS)?;
    let Some(up_to) = events::place_of(tx, CONSUMER)?.filter(|_| !waiting.is_empty()) else {
        return Ok(None);
    };
    let share = AT_ONCE / waiting.len().clamp(1, SHARERS);
    let (mut turns, mut deliveries) = (Vec::with_capacity(waiting.len()), 0);
    for (account, from) in waiting {
        if deliveries >= AT_ONCE {
            break;
        }
        let turn = turn(tx, (account, from, up_to), share, &mut |webhook, told| {
            delivery(webhook, told, id(), now)
        })?;
        deliveries += turn.deliveries.len();
        turns.push(turn);
    }
    Ok(Some((up_to, turns)))
}

fn turn(
    tx: &mut Tx<'_>,
    (account, from, up_to): (Id, Cursor, Cursor),
    share: usize,
    delivery: &mut dyn FnMut(Id, &Told) -> Delivery,
) -> Result<Turn> {
    let endpoints = endpoints::active(tx, account)?;
    let mut page = if endpoints.is_empty() {
        Vec::new()
    } else {
        events::of_account(tx, account, from, EVENTS)?
    };
    let whole = (page.len() as i64) < EVENTS;
    // What lies behind is found by the look that comes there.
    let beyond = page.iter().any(|event| event.cursor > up_to);
    page.retain(|event| event.cursor <= up_to);
    let mut turn = Turn {
        account,
        from,
        to: page.last().map_or(from, |event| event.cursor),
        done: whole || beyond,
        deliveries: Vec::new(),
    };
    let mut reached = from;
    for told in feed::tell(tx, page)? {
        if turn.deliveries.len() >= share {
            (turn.to, turn.done) = (reached, false);
            return Ok(turn);
        }
        reached = told.cursor;
        for endpoint in &endpoints {
            if told.at >= endpoint.active_since && endpoint.wants(&told) {
                turn.deliveries.push(delivery(endpoint.id, &told));
            }
        }
    }
    if turn.done {
        turn.to = up_to;
    }
    Ok(turn)
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

/// True when somebody waits for another turn. One whose turn another node took meanwhile is told nothing here.
fn write(tx: &mut Tx<'_>, up_to: Cursor, turns: &[Turn]) -> Result<bool> {
    // Who holds this alone moves anybody's place.
    let looked = events::take_turn(tx, CONSUMER)?;
    let next = backlog::next_turn(tx)?;
    let mut active = HashMap::new();
    for turn in turns {
        match backlog::at(tx, turn.account)? {
            Some(at) if at == turn.from => {}
            Some(_) => continue,
            // Gone, by another node or with a restore that could not read it: nobody waits for a turn that has no place.
            None => {
                backlog::leave(tx, turn.account)?;
                continue;
            }
        }
        for delivery in &turn.deliveries {
            // What was removed or paused since it was looked at is told nothing.
            let told = match active.get(&delivery.webhook) {
                Some(told) => *told,
                None => {
                    endpoints::any(tx, delivery.webhook)?.is_some_and(|endpoint| endpoint.paused.is_none())
                }
            };
            active.insert(delivery.webhook, told);
            if told {
                queue::insert(tx, delivery)?;
            }
        }
        if turn.done && looked == Some(up_to) {
            backlog::leave(tx, turn.account)?;
        } else {
            backlog::go_on(tx, turn.account, turn.to, next)?;
        }
    }
    Ok(!backlog::next(tx, 1)?.is_empty())
}
