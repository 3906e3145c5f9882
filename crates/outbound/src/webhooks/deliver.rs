//! Attempts: each endpoint worked for by itself, so that none waits for another, and none has more than its share.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use accounts::{By, audit, webhook_paused};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use mail::time::Time;
use store::{Id, Result, Tx};
use tokio::sync::SemaphorePermit;
use tokio::time::sleep;

use super::core::Core;
use super::endpoints::{self, Endpoint, PausedBy};
use super::queue::{self, Delivery, Next, TEST};
use crate::calls::{Answered, Message, target};

/// Looked for without a poke, because another node may have noted it, or its time has come.
const POLL: Duration = Duration::from_secs(1);
/// Attempts at once to one endpoint that answers well. One that does not has one.
const WIDTH: usize = 8;
/// Who takes longer is slow.
const SLOW: Duration = Duration::from_secs(3);
/// Nothing but failures for so long pauses an endpoint.
const GIVEN_UP_ON: Duration = Duration::from_hours(7 * 24);
/// How often what is old is removed, and what waits is counted.
const TIDY: Duration = Duration::from_secs(20);
/// Rows removed in one transaction, so that mail never waits long behind it.
const STEP: u32 = 100;
/// Counted no further than this.
const MOST_COUNTED: i64 = 100_000;

pub async fn deliver_forever(core: Arc<Core>) {
    loop {
        if let Err(error) = start_due(&core).await {
            tracing::warn!(%error, "due webhooks could not be looked for");
        }
        tokio::select! {
            () = core.stop.cancelled() => return,
            () = core.poke.notified() => {}
            () = sleep(POLL) => {}
        }
    }
}

/// Starts work for each endpoint that has something due and is not worked for.
async fn start_due(core: &Arc<Core>) -> Result<()> {
    let now = core.clock.now();
    let due = core
        .db
        .read("look for due webhooks", move |tx| endpoints::due(tx, now))
        .await?;
    for endpoint in due {
        if core.stop.is_cancelled() {
            break;
        }
        if core.state.lock().working.insert(endpoint) {
            let work = core.clone();
            core.spawn(async move {
                let more = work_for(&work, endpoint).await;
                work.state.lock().working.remove(&endpoint);
                if more {
                    work.poke.notify_one();
                }
            });
        }
    }
    Ok(())
}

/// Makes attempts until nothing is due, or one goes wrong: then the next look starts again, so that a dead receiver is
/// called once a second at most. True where something may be due already.
async fn work_for(core: &Arc<Core>, endpoint: Id) -> bool {
    let mut worked = false;
    while !core.stop.is_cancelled() {
        let permits = permits(core, endpoint).await;
        let (now, width) = (core.clock.now(), permits.len());
        let claimed = core
            .db
            .write("take up due webhooks", move |tx| claim(tx, endpoint, now, width))
            .await;
        let (endpoint, claimed) = match claimed {
            Ok(Some((endpoint, claimed))) if !claimed.is_empty() => (endpoint, claimed),
            Ok(_) => return worked,
            Err(error) => {
                tracing::warn!(%error, "due webhooks could not be taken up");
                return false;
            }
        };
        worked = true;
        let mut attempts: FuturesUnordered<_> = claimed
            .into_iter()
            .zip(permits)
            .map(|(delivery, permit)| attempt(core, &endpoint, delivery, permit))
            .collect();
        let mut good = true;
        while let Some(went_well) = attempts.next().await {
            good &= went_well;
        }
        if !good {
            return false;
        }
    }
    false
}

/// The right to make as many attempts: at least one, which is waited for in turn.
async fn permits(core: &Core, endpoint: Id) -> Vec<SemaphorePermit<'_>> {
    let slow = core.state.lock().slow.contains(&endpoint);
    let (slots, width) = if slow {
        (&core.slow, 1)
    } else {
        (&core.quick, WIDTH)
    };
    let first = slots.acquire().await.expect("it is never closed");
    let mut permits = vec![first];
    while permits.len() < width {
        let Ok(next) = slots.try_acquire() else { break };
        permits.push(next);
    }
    permits
}

fn claim(
    tx: &mut Tx<'_>,
    endpoint: Id,
    now: Time,
    width: usize,
) -> Result<Option<(Endpoint, Vec<Delivery>)>> {
    let Some(endpoint) = endpoints::any(tx, endpoint)? else {
        return Ok(None);
    };
    let claimed = queue::claim(tx, (endpoint.id, endpoint.paused.is_some()), now, width)?;
    Ok(Some((endpoint, claimed)))
}

/// One attempt and its record; false where it failed.
async fn attempt(core: &Core, endpoint: &Endpoint, delivery: Delivery, _permit: SemaphorePermit<'_>) -> bool {
    let now = core.clock.now();
    let answered = match target::parse(&endpoint.url, core.open) {
        Ok(target) => {
            let message = Message {
                id: delivery.event.clone(),
                timestamp: now.as_secs(),
                signature: endpoint.signatures(&delivery.event, now, &delivery.payload),
                body: delivery.payload.clone(),
            };
            core.client.call(&target, &message).await
        }
        // It was good when it was written; what is allowed has changed since.
        Err(bad) => Answered {
            status: None,
            problem: bad.to_string(),
            answer: String::new(),
            took: Duration::ZERO,
        },
    };
    let good = answered.took_it();
    let slow = !good || answered.took > SLOW;
    if slow {
        core.state.lock().slow.insert(endpoint.id);
    } else {
        core.state.lock().slow.remove(&endpoint.id);
    }
    if good {
        core.counters.delivered.add(1);
    } else {
        core.counters.failed.add(1);
    }
    record(core, endpoint, delivery, answered).await;
    good
}

/// What an attempt leads to, in one transaction.
async fn record(core: &Core, endpoint: &Endpoint, delivery: Delivery, answered: Answered) {
    let now = core.clock.now();
    let next = queue::next(&delivery, &answered, now);
    let (id, endpoint, ids) = (delivery.id, endpoint.clone(), core.ids.clone());
    let recorded = core.db.write("record an attempt of a webhook", move |tx| {
        settle(tx, (&endpoint, &delivery), (&answered, next), now, &mut || {
            ids.next(now)
        })
    });
    match recorded.await {
        Ok(true) => {}
        Ok(false) => {
            tracing::warn!(%id, "a webhook was taken up by another node meanwhile; its attempt is not recorded");
        }
        Err(error) => {
            tracing::warn!(%id, %error, "an attempt of a webhook was not recorded; it is made again");
        }
    }
}

fn settle(
    tx: &mut Tx<'_>,
    (endpoint, delivery): (&Endpoint, &Delivery),
    (answered, next): (&Answered, Next),
    now: Time,
    id: &mut dyn FnMut() -> Id,
) -> Result<bool> {
    if !queue::settle(tx, delivery, answered, next, now)? {
        return Ok(false);
    }
    if answered.took_it() {
        endpoints::works(tx, endpoint.id)?;
        return Ok(true);
    }
    // A test says something to whoever presses the button.
    if delivery.kind == TEST {
        return Ok(true);
    }
    let paused = if answered.status == Some(410) {
        endpoints::pause(tx, endpoint.id, PausedBy::Gone)?.then_some(PausedBy::Gone)
    } else {
        endpoints::fails(tx, endpoint.id, now, now.minus(GIVEN_UP_ON))?.then_some(PausedBy::Failing)
    };
    if let Some(why) = paused {
        let (place, gone) = (endpoints::place(&endpoint.url), why == PausedBy::Gone);
        audit::note(
            tx,
            (id(), now),
            endpoint.account,
            &By::system(),
            "webhook.paused",
            &place,
            why.as_str(),
        )?;
        webhook_paused(tx, endpoint.account, (&place, gone), id, now)?;
    }
    Ok(true)
}

pub async fn tidy_forever(core: Arc<Core>) {
    loop {
        tokio::select! {
            () = core.stop.cancelled() => return,
            () = sleep(TIDY) => {}
        }
        if let Err(error) = tidy(&core).await {
            tracing::warn!(%error, "old webhooks could not be removed");
        }
    }
}

async fn tidy(core: &Core) -> Result<()> {
    let now = core.clock.now();
    while !core.stop.is_cancelled() && tidy_some(core, now).await? {}
    let waiting = core
        .db
        .read("count the webhooks that wait", |tx| {
            queue::waiting(tx, None, MOST_COUNTED)
        })
        .await?;
    core.counters
        .waiting
        .store(waiting.unsigned_abs(), Ordering::Relaxed);
    Ok(())
}

/// What is to be done about old rows, looked for before anything is written.
#[derive(Clone, Default)]
struct Old {
    late: Vec<Id>,
    forgotten: Vec<Id>,
    /// An endpoint of which nothing is left.
    endpoint: Option<Id>,
}

/// Gives some up and removes some; false where there was nothing.
async fn tidy_some(core: &Core, now: Time) -> Result<bool> {
    let look = move |tx: &mut Tx<'_>| {
        let mut old = Old {
            late: queue::late(tx, now, STEP)?,
            forgotten: queue::old(tx, now, STEP)?,
            endpoint: None,
        };
        if let Some(deleted) = endpoints::deleted(tx)? {
            let rest = queue::of_webhook(tx, deleted, STEP)?;
            old.endpoint = rest.is_empty().then_some(deleted);
            old.forgotten.extend(rest);
        }
        Ok(old)
    };
    let old = core.db.read("look for old webhooks", look).await?;
    if old.late.is_empty() && old.forgotten.is_empty() && old.endpoint.is_none() {
        return Ok(false);
    }
    core.db
        .write("give up and remove old webhooks", move |tx| {
            queue::give_up(tx, &old.late)?;
            queue::forget(tx, &old.forgotten)?;
            old.endpoint.map_or(Ok(()), |id| endpoints::forget(tx, id))
        })
        .await?;
    Ok(true)
}
