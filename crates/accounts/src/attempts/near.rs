//! Which login somebody meant who gave an address that nobody has.

use std::collections::HashMap;

use moka::sync::Cache;
use parking_lot::Mutex;
use store::{Id, Tx};
use tokio::time::Instant;

use crate::{Accounts, Epoch, Result};

/// Unknown addresses that one look at the logins serves.
const AT_ONCE: usize = 50;
/// A look rests for this many times as long as it took, so that it never fills a reader.
const REST: u32 = 20;

/// The login that an unknown address is nearly, and its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Near {
    pub(super) login: String,
    pub(super) account: Id,
}

/// What was found while the logins were as they are.
pub(super) struct Found {
    known: Cache<(Epoch, String), Option<Near>>,
    rests_until: Mutex<Option<Instant>>,
}

impl Default for Found {
    fn default() -> Self {
        Self {
            known: Cache::new(10_000),
            rests_until: Mutex::default(),
        }
    }
}

impl Accounts {
    /// The login that is nearly `address`, which nobody has.
    pub(crate) async fn nearest_login(&self, address: String) -> Result<Option<String>> {
        let mut nearest = self.nearest(vec![address.clone()]).await?;
        Ok(nearest.remove(&address).map(|near| near.login))
    }

    /// The nearest logins of some unknown addresses, as far as they could be looked for now.
    pub(super) async fn nearest(&self, addresses: Vec<String>) -> Result<HashMap<String, Near>> {
        let epoch = self.refresh().await?;
        let found = &self.inner.journal.near;
        let mut nearest = HashMap::new();
        let mut open = Vec::new();
        for address in addresses {
            match found.known.get(&(epoch, address.clone())) {
                Some(Some(near)) => drop(nearest.insert(address, near)),
                None if open.len() < AT_ONCE => open.push(address),
                Some(None) | None => {}
            }
        }
        let began = Instant::now();
        if open.is_empty() || found.rests_until.lock().is_some_and(|until| began < until) {
            return Ok(nearest);
        }
        let answers = self
            .inner
            .db
            .read("look for the login that was meant", move |tx| compare(tx, &open))
            .await?;
        *found.rests_until.lock() = Some(Instant::now() + began.elapsed() * REST);
        for (address, near) in answers {
            found.known.insert((epoch, address.clone()), near.clone());
            if let Some(near) = near {
                nearest.insert(address, near);
            }
        }
        Ok(nearest)
    }
}

/// Holds every login against the addresses. Two logins that are equally near are a guess, and none is named.
fn compare(tx: &mut Tx<'_>, addresses: &[String]) -> store::Result<Vec<(String, Option<Near>)>> {
    let wanted: Vec<Vec<char>> = addresses
        .iter()
        .map(|address| address.chars().collect())
        .collect();
    let mut best: Vec<(usize, Option<Near>)> =
        wanted.iter().map(|address| (bound(address) + 1, None)).collect();
    tx.each("SELECT login_key, account FROM logins", &[], |row| {
        let login = row.text(0)?;
        let letters: Vec<char> = login.chars().collect();
        for (address, (distance, near)) in wanted.iter().zip(&mut best) {
            let Some(found) = within(address, &letters, *distance) else {
                continue;
            };
            *near = (found < *distance).then_some(Near {
                login: login.clone(),
                account: row.id(1)?,
            });
            *distance = found;
        }
        Ok(())
    })?;
    let near = best.into_iter().map(|(_, near)| near);
    Ok(addresses.iter().cloned().zip(near).collect())
}

/// How many slips of the finger an address may hold.
fn bound(address: &[char]) -> usize {
    if address.len() < 12 { 1 } else { 2 }
}

/// The number of letters to add, drop, change or swap with their neighbour that make `a` of `b`, if it is `most` at most.
fn within(a: &[char], b: &[char], most: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > most {
        return None;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let change = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = change.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        if row.iter().all(|distance| *distance > most) {
            return None;
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().filter(|distance| *distance <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance(a: &str, b: &str) -> Option<usize> {
        let [a, b]: [Vec<char>; 2] = [a, b].map(|text| text.chars().collect());
        within(&a, &b, 2)
    }

    #[test]
    fn slips_of_the_finger_are_counted() {
        for (a, b, slips) in [
            ("alice@example.com", "alice@example.com", Some(0)),
            ("alcie@example.com", "alice@example.com", Some(1)),
            ("alice@exmaple.com", "alice@example.com", Some(1)),
            ("alice@example.co", "alice@example.com", Some(1)),
            ("alicee@exampel.com", "alice@example.com", Some(2)),
            ("bob@example.com", "alice@example.com", None),
            ("alice@example.net", "alice@example.com", None),
            ("ülice@example.com", "alice@example.com", Some(1)),
            ("", "ab", Some(2)),
        ] {
            assert_eq!(distance(a, b), slips, "{a}");
            assert_eq!(distance(b, a), slips, "{b}");
        }
    }
}
