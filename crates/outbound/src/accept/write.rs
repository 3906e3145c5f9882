//! The transaction behind every 250: everything that is stored of a message, or nothing and why not.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use accounts::credits::{self, Charge};
use accounts::smtp_credentials::{Draws, OverRate};
use accounts::{Allowance, Reached, Taking, Via, changes, smtp_credentials};
use mail::time::Time;
use store::events::{self, Event};
use store::{Id, Ids, Topic, Tx};

use super::Checked;
use crate::idempotency::{self, Claim};
use crate::model::{Accepted, Message, Pattern};
use crate::sandbox::Kept;
use crate::settle::{self, Settlement};
use crate::spool::{self, NewMessage, Place, Settled};
use crate::suppressions;
use crate::tracking::{self, Source};

/// What the transaction that accepts says.
pub(super) enum Stored {
    /// But for the recipients at these places, whose addresses are suppressed.
    Yes(HashSet<usize>),
    /// This was it already, under the same idempotency key.
    Before(Accepted),
    /// The idempotency key stands for something else.
    KeyUsed,
    /// The account's rights changed since they were checked.
    Stale,
    TooFewCredits {
        needed: u32,
        left: i64,
    },
    Suspended,
    Limited(Reached),
    OverRate(OverRate),
}

/// What is settled in the transaction that stores the message.
pub(super) struct AtOnce {
    /// All of it, where it reaches nobody.
    pub(super) kept: Option<Kept>,
    /// For those whose addresses turn out to be suppressed.
    pub(super) standby: Option<Settlement>,
    /// Where the links of its copies lead, for a message that leaves from memory.
    pub(super) links: Option<Arc<Pattern>>,
}

pub(super) fn write(
    tx: &mut Tx<'_>,
    ids: &Ids,
    new: &NewMessage,
    checked: &Checked,
    at_once: &AtOnce,
) -> store::Result<Stored> {
    let message = &new.message;
    if checked.via != Via::System && changes::changed_since(tx, message.account, checked.at)? {
        return Ok(Stored::Stale);
    }
    if let Some(key) = &checked.key {
        match idempotency::claim(tx, key, message)? {
            Claim::Ours => {}
            Claim::Before(accepted) => return Ok(Stored::Before(accepted)),
            Claim::Other => return Ok(Stored::KeyUsed),
        }
    }
    let suppressed = match &at_once.standby {
        Some(standby) => suppressed(tx, new, standby)?,
        None => None,
    };
    let places = suppressed.as_ref().map(|one| &one.places);
    if checked.via != Via::System
        && let Some(refused) = draw(tx, ids, message, checked, places)?
    {
        if let Some(key) = &checked.key {
            idempotency::give_back(tx, key, message)?;
        }
        return Ok(refused);
    }
    spool::insert(tx, suppressed.as_ref().map_or(new, |one| &one.new))?;
    // What nobody is sent has no links that anybody follows.
    if let Some(links) = &at_once.links
        && places.is_none_or(|places| places.len() < new.recipients.len())
    {
        let of = Source {
            message: message.id,
            account: message.account,
            test: false,
        };
        tracking::keep_fresh(tx, &of, links.targets())?;
    }
    let data = accepted_data(new, checked, places);
    events::append(
        tx,
        &Event {
            at: message.created_at,
            account: message.account,
            message: Some(message.id),
            ordinal: None,
            kind: "accepted",
            data: &data.to_string(),
        },
    )?;
    if let Some(kept) = &at_once.kept {
        kept.record(tx)?;
    }
    if let Some(left_out) = &suppressed {
        settle::record(tx, &left_out.settlement)?;
    }
    if at_once.kept.is_none()
        && new
            .recipients
            .iter()
            .any(|one| matches!(one.place, Place::Waits { .. }))
    {
        tx.ring(Topic::Due);
    }
    Ok(Stored::Yes(suppressed.map(|one| one.places).unwrap_or_default()))
}

/// Recipients that are stored as settled because their addresses are suppressed.
struct LeftOut {
    places: HashSet<usize>,
    /// The message with them in hand of this node until they are settled.
    new: NewMessage,
    settlement: Settlement,
}

/// Who of the message's recipients is on the account's list, none where nobody is.
fn suppressed(tx: &mut Tx<'_>, new: &NewMessage, standby: &Settlement) -> store::Result<Option<LeftOut>> {
    let addresses = new.recipients.iter().map(|one| &one.recipient.address);
    let found: HashMap<usize, String> =
        suppressions::filter(tx, new.message.account, &new.message.stream, addresses)?;
    if found.is_empty() {
        return Ok(None);
    }
    let (mut new, mut settlement) = (new.clone(), standby.clone());
    if found.len() == new.recipients.len() {
        // What nobody is sent costs nothing, so it takes no room either.
        new.keep_until = None;
    }
    for (place, one) in new.recipients.iter_mut().enumerate() {
        let Some(why) = found.get(&place) else { continue };
        one.place = Place::InHand(settlement.node);
        let settled = Settled {
            ordinal: one.recipient.ordinal,
            attempts: 0,
            outcome: None,
            next: settle::suppress(one.recipient.notify, why),
        };
        settlement.results.push((one.recipient.clone(), settled));
    }
    Ok(Some(LeftOut {
        places: found.into_keys().collect(),
        new,
        settlement,
    }))
}

/// Takes the message's recipients from the hour of its credential, and from the day and the credits of its account: all,
/// or none and the reason.
fn draw(
    tx: &mut Tx<'_>,
    ids: &Ids,
    message: &Message,
    checked: &Checked,
    suppressed: Option<&HashSet<usize>>,
) -> store::Result<Option<Stored>> {
    let (account, now) = (message.account, message.created_at);
    let suppressions = suppressed.map_or(0, |places| places.len() as u32);
    let discarded = checked.discarded.is_some();
    let draws = Draws {
        account,
        terms: checked.terms.as_deref(),
        sandbox: checked.sandboxed,
        unsent: if discarded {
            message.recipients
        } else {
            suppressions
        },
    };
    // How much may come in does not depend on how much goes out.
    let mail = (u64::from(message.recipients), message.size);
    if let Err(over) = smtp_credentials::charge(tx, draws, mail, now)? {
        return Ok(Some(Stored::OverRate(over)));
    }
    // Who is not sent anything costs nothing, and what reaches nobody neither.
    let paying = message.recipients - suppressions;
    if paying == 0 || checked.sandboxed || discarded {
        return Ok(None);
    }
    let allowance = match suppressed {
        Some(places) => &checked.allowance.without(places),
        None => &checked.allowance,
    };
    let pays = if checked.pays { paying } else { 0 };
    let refused = draw_of_account(tx, ids, (account, pays), allowance, now)?;
    if refused.is_some() {
        smtp_credentials::give_back(tx, draws, mail)?;
    }
    Ok(refused)
}

/// What the `accepted` event says: only what there is.
fn accepted_data(
    new: &NewMessage,
    checked: &Checked,
    suppressed: Option<&HashSet<usize>>,
) -> serde_json::Value {
    let message = &new.message;
    let mut data = serde_json::json!({
        "recipients": message.recipients,
        "size": message.size,
        "stream": message.stream,
    });
    if !new.tags.is_empty() {
        data["tags"] = serde_json::json!(new.tags);
    }
    if let Some(at) = new.send_at() {
        data["send_at"] = at.rfc3339().into();
    }
    if let Some(hook) = &checked.discarded {
        data["discarded"] = hook.as_str().into();
    } else if checked.sandboxed {
        data["sandbox"] = true.into();
    }
    if let Some(places) = suppressed {
        data["suppressed"] = places.len().into();
    }
    data
}

fn draw_of_account(
    tx: &mut Tx<'_>,
    ids: &Ids,
    (account, paying): (Id, u32),
    allowance: &Allowance,
    now: Time,
) -> store::Result<Option<Stored>> {
    let taken = match allowance.take(tx, account, now)? {
        Taking::Taken(taken) => taken,
        Taking::Reached(reached) => return Ok(Some(Stored::Limited(reached))),
    };
    // An account without limit is asked for none. That it may still send, `changed_since` has said.
    let charge = match paying {
        0 => Charge::Paid,
        some => credits::charge(tx, ids, account, i64::from(some), now)?,
    };
    let refused = match charge {
        Charge::Paid => return Ok(None),
        Charge::TooFew { left } => Stored::TooFewCredits { needed: paying, left },
        Charge::Suspended => Stored::Suspended,
    };
    allowance.give_back(tx, account, &taken)?;
    Ok(Some(refused))
}
