//! The delegated way of DKIM: the operator publishes a key once, for all names of a zone, and sending domains lead to it by an alias.
//!
//! There are two places for keys in the zone, and each domain has an alias to both from the start. So the key is replaced without any
//! domain's owner doing anything: the new one is published at the free place, takes over when it is found there, and the old one's
//! record stays as long as mail signed with it may be on its way. The label before the place is the domain's own identifier, so
//! that an alias of one account verifies the domain for no other.

use mail::address::Domain;
use mail::time::Time;
use store::{Id, Tx};

use super::keys::StoredKey;
use super::records::{
    Algorithm, Answer, Findings, Host, Kind, PublicKey, Question, Stage, key_problem, key_record,
};
use super::{OVERLAP, insert_key};
use crate::changes;
use crate::{Accounts, AccountsError, Result};

/// Whose keys these are among those of the domains: the installation's own.
pub(super) const NOBODYS: Id = Id::from_bytes([0; 16]);

/// Where a key is in the zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(usize);

impl Place {
    pub const ALL: [Self; 2] = [Self(0), Self(1)];
    const SELECTORS: [&'static str; 2] = ["ph1", "ph2"];
    const LABELS: [&'static str; 2] = ["s1", "s2"];

    /// The selector that sending domains have for it.
    pub const fn selector(self) -> &'static str {
        Self::SELECTORS[self.0]
    }

    fn of(selector: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|place| place.selector() == selector)
    }

    /// The name of a label at this place.
    pub(super) fn name(self, label: &str, zone: &Domain) -> String {
        format!("{label}.{}.{}", Self::LABELS[self.0], zone.as_str())
    }
}

/// A key for all who lead to it, and its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelegatedKey {
    pub place: Place,
    pub stage: Stage,
    /// For every name below its place.
    pub name: String,
    pub value: String,
    /// When its record was first found.
    pub published_at: Option<Time>,
}

/// Why there is no new key now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Renewal {
    Done,
    /// The last one's record was not found yet.
    Waits,
    Leaves(Time),
}

impl Accounts {
    /// The keys that the operator publishes; none where domains are not delegated.
    pub async fn delegated_keys(&self) -> Result<Vec<DelegatedKey>> {
        let Some(zone) = self.inner.settings.dkim_zone.clone() else {
            return Ok(Vec::new());
        };
        let keys = self.inner.db.read("read delegated DKIM keys", read_keys).await?;
        let newest_published = keys.iter().rev().find(|key| signs(key)).map(|key| key.id);
        let shown = keys.iter().filter_map(|key| {
            let place = Place::of(&key.key.selector)?;
            Some(DelegatedKey {
                place,
                stage: match key.retired_at {
                    Some(at) => Stage::Leaving(at.plus(OVERLAP)),
                    None if newest_published.is_some_and(|newest| newest < key.id) => Stage::Next,
                    None => Stage::InUse,
                },
                name: place.name("*", &zone),
                value: key_record(&key.key),
                published_at: key.published_at,
            })
        });
        Ok(shown.collect())
    }

    /// Makes the first key where there is a zone for it and none yet.
    pub async fn start_delegation(&self) -> Result<()> {
        if self.inner.settings.dkim_zone.is_none() || !self.delegated_keys().await?.is_empty() {
            return Ok(());
        }
        self.make_delegated_key().await.map(|_| ())
    }

    /// Makes a key for the free place. Refused while the last one waits for its record, and while the one before is leaving.
    pub async fn renew_delegated_key(&self) -> Result<()> {
        if self.inner.settings.dkim_zone.is_none() {
            return Err(AccountsError::NotFound("zone for delegated keys"));
        }
        let zone = || "the zone of delegated keys".to_owned();
        match self.make_delegated_key().await? {
            Renewal::Done => Ok(()),
            Renewal::Waits => Err(AccountsError::KeysWait(zone())),
            Renewal::Leaves(until) => {
                let left = until.since(self.inner.clock.now());
                Err(AccountsError::KeysLeave(zone(), left))
            }
        }
    }

    async fn make_delegated_key(&self) -> Result<Renewal> {
        let [pair, _] = self.make_keys().await?;
        let now = self.inner.clock.now();
        let id = self.id(now);
        Ok(self
            .inner
            .db
            .write("make a delegated DKIM key", move |tx| {
                changes::alone(tx)?;
                let keys = read_keys(tx)?;
                if let Some(at) = keys.iter().filter_map(|key| key.retired_at).max() {
                    return Ok(Renewal::Leaves(at.plus(OVERLAP)));
                }
                if keys.last().is_some_and(|key| key.published_at.is_none()) {
                    return Ok(Renewal::Waits);
                }
                let taken = |place: &Place| keys.iter().any(|key| key.key.selector == place.selector());
                let Some(place) = Place::ALL.into_iter().find(|place| !taken(place)) else {
                    return Ok(Renewal::Waits);
                };
                insert_key(tx, NOBODYS, (id, &pair), place.selector(), now)?;
                Ok(Renewal::Done)
            })
            .await?)
    }

    /// What to ask DNS about the operator's own records; nothing where domains are not delegated.
    pub async fn delegation_questions(&self) -> Result<Vec<Question>> {
        let Some(zone) = self.inner.settings.dkim_zone.clone() else {
            return Ok(Vec::new());
        };
        let keys = self.inner.db.read("read delegated DKIM keys", read_keys).await?;
        let asked = keys
            .iter()
            .filter(|key| key.retired_at.is_none())
            .filter_map(|key| Place::of(&key.key.selector))
            .map(|place| Question {
                name: place.name(PROBE, &zone),
                kind: Kind::Txt,
            });
        Ok(asked.collect())
    }

    /// Takes what DNS answered: a key whose record is there signs from now on, and the one before it leaves.
    pub async fn record_delegation(&self, findings: Findings) -> Result<()> {
        let Some(zone) = self.inner.settings.dkim_zone.clone() else {
            return Ok(());
        };
        let now = self.inner.clock.now();
        Ok(self
            .inner
            .db
            .write("note which delegated keys are published", move |tx| {
                let found = |key: &StoredKey| {
                    let place = Place::of(&key.key.selector)?;
                    let Some(Answer::Found(found)) = findings.get(&place.name(PROBE, &zone)) else {
                        return None;
                    };
                    Some(key_problem(&key.key, found).is_none())
                };
                let keys = read_keys(tx)?;
                if let Some(gone) = keys.iter().find(|key| signs(key) && found(key) == Some(false)) {
                    tracing::error!(
                        selector = gone.key.selector, zone = zone.as_str(),
                        "the record of a delegated DKIM key is gone: mail of every domain that leads to it fails its check"
                    );
                }
                let mut news = keys
                    .iter()
                    .filter(|key| key.published_at.is_none() && found(key) == Some(true));
                let Some(newest) = news.next_back() else {
                    return Ok(());
                };
                tx.run(
                    "UPDATE dkim_keys SET published_at = $2 WHERE id = $1",
                    &[(&newest.id).into(), now.into()],
                )?;
                tx.run(
                    "UPDATE dkim_keys SET retired_at = $3 WHERE domain = $1 AND id < $2 AND retired_at IS NULL",
                    &[(&NOBODYS).into(), (&newest.id).into(), now.into()],
                )?;
                // Whose mail is signed with another key now is not known before their records are read; it happens once in years.
                let accounts = tx.query("SELECT DISTINCT account FROM domains WHERE state = 'verified'", &[])?;
                for row in accounts {
                    changes::bump(tx, row.id(0)?)?;
                }
                tracing::info!(selector = newest.key.selector, "a delegated DKIM key is published and signs from now on");
                Ok(())
            })
            .await?)
    }
}

/// Any label would do: the records answer for all.
const PROBE: &str = "posthouse";

fn signs(key: &StoredKey) -> bool {
    key.published_at.is_some() && key.retired_at.is_none()
}

/// The installation's keys, from the oldest to the newest.
pub(super) fn read_keys(tx: &mut Tx<'_>) -> store::Result<Vec<StoredKey>> {
    let rows = tx.query(
        "SELECT id, selector, algorithm, public_key, published_at, retired_at FROM dkim_keys WHERE domain = $1 ORDER BY id",
        &[(&NOBODYS).into()],
    )?;
    let mut keys = Vec::with_capacity(rows.len());
    for row in rows {
        if let Some(algorithm) = Algorithm::parse(&row.text(2)?) {
            keys.push(StoredKey {
                id: row.id(0)?,
                key: PublicKey {
                    selector: row.text(1)?,
                    algorithm,
                    public_key: row.text(3)?,
                },
                published_at: row.opt_time(4)?,
                retired_at: row.opt_time(5)?,
            });
        }
    }
    Ok(keys)
}

/// How a domain leads to the keys.
pub(super) struct Leads<'a> {
    pub domain: &'a Domain,
    pub id: Id,
    pub findings: &'a Findings,
}

impl Leads<'_> {
    /// Whether its alias to a place is right; none where DNS did not answer or was not asked.
    pub(super) fn to(&self, place: Place, zone: &Domain) -> Option<bool> {
        match self.findings.get(&alias(self.domain, place))? {
            Answer::Found(found) => {
                let wanted = place.name(&self.id.to_string(), zone);
                Some(matches!(found.as_slice(), [one] if one.eq_ignore_ascii_case(&wanted)))
            }
            Answer::Failed(_) => None,
        }
    }

    /// Whether any alias is right, as far as DNS answered.
    pub(super) fn any(&self, host: Host<'_>) -> bool {
        host.dkim_zone
            .is_some_and(|zone| Place::ALL.iter().any(|place| self.to(*place, zone) == Some(true)))
    }

    /// Whether DNS answered about every alias there could be.
    pub(super) fn answered(&self, host: Host<'_>) -> bool {
        host.dkim_zone
            .is_none_or(|zone| Place::ALL.iter().all(|place| self.to(*place, zone).is_some()))
    }

    /// The key that signs mail of the domain: the newest that it leads to. One that is leaving does where the domain leads to no other,
    /// because its record is still there; a day on which DNS does not answer changes nothing for who came in this way.
    pub(super) fn key<'k>(
        &self,
        keys: &'k [StoredKey],
        host: Host<'_>,
        trusted: bool,
    ) -> Option<&'k StoredKey> {
        let zone = host.dkim_zone?;
        keys.iter().rev().find(|key| {
            let leads = |place| self.to(place, zone).unwrap_or(trusted);
            key.published_at.is_some() && Place::of(&key.key.selector).is_some_and(leads)
        })
    }
}

/// The name of a domain's alias.
pub(super) fn alias(domain: &Domain, place: Place) -> String {
    // RFC 6376 section 3.6.2.1
    format!("{}._domainkey.{}", place.selector(), domain.as_str())
}
