//! The suppression list as its people see and change it.

use std::collections::HashSet;

use accounts::{By, audit};
use mail::address::Address;
use store::search::Found;
use store::{Id, Result, Tx};

use super::Outbound;
use crate::suppressions::{self, Filter, New, Sheet, Suppression, Why};

/// Lines of an import that are written in one transaction.
const STEP: usize = 500;

/// An address somebody puts on the list.
#[derive(Clone, Debug)]
pub struct Suppress {
    /// [`suppressions::EVERY_STREAM`], or one.
    pub stream: String,
    pub address: Address,
    pub note: String,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Suppressed {
    Added(Suppression),
    /// As it stood there already.
    Already(Suppression),
    /// The account has as many as it may.
    Full,
}

/// What came of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    pub added: u64,
    /// Lines whose address stood on the list, or in an earlier line.
    pub already: u64,
    /// Lines that could not be read: number, what stands there, and what is wrong with it.
    pub refused: Vec<(usize, String, String)>,
    /// The account has as many as it may; the lines from this one on were not looked at.
    pub full_from: Option<usize>,
}

impl Outbound {
    pub async fn suppressions(&self, account: Id, filter: Filter) -> Result<Found<Suppression>> {
        let turn = self.turn_to_search(Some(account)).await?;
        let list = move |tx: &mut Tx<'_>| suppressions::list(tx, account, &filter);
        self.search("list suppressions", turn, list).await
    }

    pub async fn suppress(&self, account: Id, new: Suppress, by: &By) -> Result<Suppressed> {
        let parts = &self.0.parts;
        let now = parts.clock.now();
        let (id, line, by) = (parts.ids.next(now), parts.ids.next(now), by.clone());
        let done = parts.db.write("suppress an address", move |tx| {
            let Suppress {
                stream,
                address,
                note,
            } = &new;
            if let Some(there) = suppressions::find_address(tx, account, stream, address)? {
                return Ok(Suppressed::Already(there));
            }
            if suppressions::is_full(tx, account, 1)? {
                return Ok(Suppressed::Full);
            }
            let entry = New {
                account,
                stream,
                address,
                why: Why::Manual,
                note,
                of: None,
            };
            let added = suppressions::add(tx, (id, now), &entry)?;
            let there = suppressions::find_address(tx, account, stream, address)?;
            let Some(there) = there else {
                return Ok(Suppressed::Full);
            };
            if !added {
                return Ok(Suppressed::Already(there));
            }
            let detail = in_words(stream, note);
            let target = address.to_string();
            audit::note(
                tx,
                (line, now),
                account,
                &by,
                "suppression.added",
                &target,
                &detail,
            )?;
            Ok(Suppressed::Added(there))
        });
        let done = done.await?;
        self.note_change().await;
        Ok(done)
    }

    /// Takes an address from the list; none when it is not there.
    pub async fn unsuppress(&self, account: Id, id: Id, note: &str, by: &By) -> Result<Option<Suppression>> {
        let parts = &self.0.parts;
        let now = parts.clock.now();
        let (line, by, note) = (parts.ids.next(now), by.clone(), note.to_owned());
        let done = parts.db.write("take a suppression back", move |tx| {
            let Some(there) = suppressions::find(tx, account, id)? else {
                return Ok(None);
            };
            if !suppressions::remove(tx, account, id)? {
                return Ok(None);
            }
            let detail = in_words(&there.stream, &format!("was {}; {note}", there.why.as_str()));
            let target = &there.address;
            audit::note(
                tx,
                (line, now),
                account,
                &by,
                "suppression.removed",
                target,
                &detail,
            )?;
            Ok(Some(there))
        });
        done.await
    }

    /// Puts the addresses of a sheet on the list. It never takes one from it, and changes nothing about one that is there.
    pub async fn import_suppressions(
        &self,
        account: Id,
        stream: &str,
        sheet: Sheet,
        by: &By,
    ) -> Result<Imported> {
        let parts = &self.0.parts;
        let mut imported = Imported::default();
        let mut seen = HashSet::new();
        let mut good = Vec::new();
        for line in sheet.lines {
            match line.read {
                Ok((address, _)) if !seen.insert(address.login_key()) => imported.already += 1,
                Ok((address, note)) => good.push((line.number, address, note)),
                Err(wrong) => imported.refused.push((line.number, line.shown, wrong)),
            }
        }
        drop(seen);
        let mut good = good.into_iter().peekable();
        while good.peek().is_some() {
            let now = parts.clock.now();
            let step: Vec<_> = good
                .by_ref()
                .take(STEP)
                .map(|one| (parts.ids.next(now), one))
                .collect();
            let (first, lines) = (step[0].1.0, step.len() as u64);
            let stream = stream.to_owned();
            let added = parts.db.write("import suppressions", move |tx| {
                if suppressions::is_full(tx, account, step.len())? {
                    return Ok(None);
                }
                let lines = step
                    .iter()
                    .map(|(id, (_, address, note))| (*id, address, note.as_str()));
                suppressions::import(tx, now, (account, &stream), lines).map(Some)
            });
            let Some(added) = added.await? else {
                imported.full_from = Some(first);
                break;
            };
            imported.added += added;
            imported.already += lines - added;
        }
        let now = parts.clock.now();
        let (line, by) = (parts.ids.next(now), by.clone());
        let detail = in_words(
            stream,
            &format!(
                "{} added, {} there already, {} refused",
                imported.added,
                imported.already,
                imported.refused.len()
            ),
        );
        parts
            .db
            .write("note an import of suppressions", move |tx| {
                audit::note(tx, (line, now), account, &by, "suppression.imported", "", &detail)
            })
            .await?;
        self.note_change().await;
        Ok(imported)
    }

    /// Makes the first entry of a list count in this process at once; every message asks again anyway.
    async fn note_change(&self) {
        if let Err(error) = self.0.parts.accounts.refresh().await {
            tracing::debug!(%error, "what changed is looked at with the next message");
        }
    }
}

fn in_words(stream: &str, text: &str) -> String {
    let stream = if stream.is_empty() { "every stream" } else { stream };
    format!("{stream}; {text}")
}
