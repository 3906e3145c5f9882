//! Sending domains: their DKIM keys, the records to publish, and when they count as verified.

mod checks;
mod delegation;
mod keys;
mod link_names;
mod records;
mod rotation;
mod tracking;
pub mod zone;

use std::collections::HashMap;

use mail::address::Domain;
use mail::dkim::{Signer, SigningKey};
use mail::time::Time;
use store::{Db, Id, Row, Topic, Tx, Value};
use tokio::task::spawn_blocking;

use self::delegation::Leads;
use self::keys::{Pair, StoredKey};
use self::records::StagedKey;
use crate::audit::{self, By};
use crate::changes::{self, bump};
use crate::tracking::MayTrack;
use crate::{Accounts, AccountsError, Result};

/// Whether the account `a` of a statement has a verified domain.
pub(crate) const HAS_VERIFIED: &str =
    "EXISTS (SELECT 1 FROM domains d WHERE d.account = a.id AND d.state = 'verified')";

pub use checks::{Due, Looked, OVERLAP};
pub use delegation::{DelegatedKey, Place};
pub use link_names::{TooManyOrders, count_order, has_link_name};
pub use records::{Algorithm, Answer, Findings, Host, Kind, PublicKey, Purpose, Question, Record, Stage};
pub(crate) use tracking::held_back;

/// The most domains of one account.
pub const MOST_DOMAINS: i64 = 1_000;

/// How a domain came to be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifiedBy {
    /// A DKIM record of ours was found in DNS.
    Dns,
    /// The operator said so.
    Operator,
}

impl VerifiedBy {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Operator => "operator",
        }
    }
}

/// A domain that an account sends from, or wants to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendingDomain {
    pub id: Id,
    pub account: Id,
    pub name: Domain,
    /// `None` while it is pending.
    pub verified: Option<(VerifiedBy, Time)>,
    pub created_at: Time,
    pub checked_at: Option<Time>,
    /// The name servers that the last check asked.
    pub resolver: String,
    /// Since when no DKIM record of a verified domain is found any more.
    pub missing_since: Option<Time>,
    /// What may be tracked of its mail.
    pub may_track: MayTrack,
    /// What to publish, with what the last check found.
    pub records: Vec<Record>,
}

/// The domain with its keys, as stored.
#[derive(Clone)]
struct Stored {
    id: Id,
    account: Id,
    name: Domain,
    verified: Option<(VerifiedBy, Time)>,
    created_at: Time,
    checked_at: Option<Time>,
    resolver: String,
    missing_since: Option<Time>,
    may_track: MayTrack,
    findings: Findings,
    /// From the oldest to the newest.
    keys: Vec<StoredKey>,
    /// The keys that it may lead to, in the same order.
    delegated: Vec<StoredKey>,
}

impl Stored {
    fn leads(&self) -> Leads<'_> {
        Leads {
            domain: &self.name,
            id: self.id,
            findings: &self.findings,
        }
    }

    fn staged(&self) -> Vec<StagedKey> {
        let stage = |key: &StoredKey| match key.retired_at {
            Some(at) => Stage::Leaving(at.plus(OVERLAP)),
            None if self
                .unretired()
                .any(|other| other.key.algorithm == key.key.algorithm && other.id < key.id) =>
            {
                Stage::Next
            }
            None => Stage::InUse,
        };
        let staged = |key: &StoredKey| StagedKey {
            key: key.key.clone(),
            stage: stage(key),
        };
        self.keys.iter().map(staged).collect()
    }

    fn signing_keys(&self, host: Host<'_>) -> Vec<Id> {
        self.signing(host).iter().map(|key| key.id).collect()
    }

    fn return_path(&self, host: Host<'_>) -> Option<Domain> {
        records::return_path(&self.name, host, &self.findings)
    }

    fn links(&self, host: Host<'_>) -> Option<Domain> {
        records::links(&self.name, host, &self.findings)
    }

    fn into_sending(self, host: Host<'_>) -> SendingDomain {
        let records = records::records((&self.name, self.id), &self.staged(), host, &self.findings);
        SendingDomain {
            id: self.id,
            account: self.account,
            name: self.name,
            verified: self.verified,
            created_at: self.created_at,
            checked_at: self.checked_at,
            resolver: self.resolver,
            missing_since: self.missing_since,
            may_track: self.may_track,
            records,
        }
    }
}

impl Accounts {
    /// Adds a domain to an account and makes its DKIM keys. With `trusted` the operator vouches for it: the account may
    /// send from it at once.
    pub async fn add_domain(&self, account: Id, name: &str, trusted: bool, by: &By) -> Result<SendingDomain> {
        let name = Domain::parse(name.trim().trim_end_matches('.'))?;
        if !name.as_str().contains('.') {
            return Err(AccountsError::TopLevelDomain(name.to_unicode().into_owned()));
        }
        // Keys take a while to make: what is refused is refused before.
        let wanted = name.clone();
        let look = move |tx: &mut Tx<'_>| may_add(tx, account, &wanted);
        let looked = self.inner.db.read("look at the sending domains", look).await?;
        refused(looked, &name)?;
        let pairs = self.make_keys().await?;
        let now = self.inner.clock.now();
        let (id, key_ids) = (self.id(now), [self.id(now), self.id(now)]);
        let (audit, by) = (self.id(now), by.clone());
        let wanted = name.clone();
        let added = self
            .inner
            .db
            .write("add a sending domain", move |tx| {
                changes::alone(tx)?;
                let adding = may_add(tx, account, &wanted)?;
                if adding != Adding::Done {
                    return Ok(adding);
                }
                let taken = taken_selectors(tx, &wanted)?;
                insert_domain(tx, id, account, &wanted, trusted.then_some(now), now)?;
                insert_keys(tx, id, (&key_ids, &pairs), &taken, now)?;
                let trust = if trusted {
                    "the operator vouches for it"
                } else {
                    ""
                };
                let name = wanted.to_unicode();
                audit::note(tx, (audit, now), account, &by, "domain.added", &name, trust)?;
                bump(tx, account)?;
                Ok(Adding::Done)
            })
            .await?;
        refused(added, &name)?;
        self.domain(account, id).await
    }

    /// The account's domains by name.
    pub async fn domains(&self, account: Id) -> Result<Vec<SendingDomain>> {
        let me = self.clone();
        let stored = self
            .inner
            .db
            .read("list the sending domains", move |tx| {
                read_domains(tx, account, me.host(), &Only::All)
            })
            .await?;
        Ok(stored
            .into_iter()
            .map(|domain| domain.into_sending(self.host()))
            .collect())
    }

    /// One domain of the account; another account's is not found.
    pub async fn domain(&self, account: Id, id: Id) -> Result<SendingDomain> {
        Ok(self.stored_domain(account, id).await?.into_sending(self.host()))
    }

    /// One pair of each kind. It takes some hundred milliseconds of a core: one at a time, so that no sign-in waits for many.
    async fn make_keys(&self) -> Result<[Pair; 2]> {
        let failed = || AccountsError::KeyGeneration;
        let _turn = self.inner.key_making.acquire().await.map_err(|_| failed())?;
        spawn_blocking(keys::generate).await.map_err(|_| failed())?
    }

    pub(crate) fn host(&self) -> Host<'_> {
        Host {
            name: &self.inner.settings.hostname,
            inbound: self.inner.settings.inbound,
            dkim_zone: self.inner.settings.dkim_zone.as_ref(),
            links: self.inner.settings.links.as_deref(),
        }
    }

    /// Removes a domain with its keys; the account may no longer send from it.
    pub async fn remove_domain(&self, account: Id, id: Id, by: &By) -> Result<()> {
        let now = self.inner.clock.now();
        let (audit, by) = (self.id(now), by.clone());
        let removed = self
            .inner
            .db
            .write("remove a sending domain", move |tx| {
                let own = "SELECT name FROM domains WHERE id = $1 AND account = $2";
                let Some(own) = tx.query_opt(own, &[(&id).into(), (&account).into()])? else {
                    return Ok(false);
                };
                tx.run("DELETE FROM dkim_keys WHERE domain = $1", &[(&id).into()])?;
                tx.run("DELETE FROM domains WHERE id = $1", &[(&id).into()])?;
                audit::note(
                    tx,
                    (audit, now),
                    account,
                    &by,
                    "domain.removed",
                    &own.text(0)?,
                    "",
                )?;
                bump(tx, account)?;
                tx.ring(Topic::Changes);
                Ok(true)
            })
            .await?;
        if removed {
            Ok(())
        } else {
            Err(AccountsError::NotFound("domain"))
        }
    }

    async fn stored_domain(&self, account: Id, id: Id) -> Result<Stored> {
        let me = self.clone();
        let read = move |tx: &mut Tx<'_>| read_domains(tx, account, me.host(), &Only::One(id));
        let domains = self.inner.db.read("read a sending domain", read).await?;
        domains
            .into_iter()
            .next()
            .ok_or(AccountsError::NotFound("domain"))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Adding {
    Done,
    Exists,
    NoAccount,
    TooMany,
}

/// Whether `account` can have `name` beside what it has.
fn may_add(tx: &mut Tx<'_>, account: Id, name: &Domain) -> store::Result<Adding> {
    let known = "SELECT id FROM accounts WHERE id = $1";
    if tx.query_opt(known, &[(&account).into()])?.is_none() {
        return Ok(Adding::NoAccount);
    }
    let known = "SELECT id FROM domains WHERE account = $1 AND name = $2";
    if tx
        .query_opt(known, &[(&account).into(), name.as_str().into()])?
        .is_some()
    {
        return Ok(Adding::Exists);
    }
    let others = "SELECT COUNT(*) FROM domains WHERE account = $1";
    let others = tx.query_opt(others, &[(&account).into()])?;
    Ok(if others.map_or(Ok(0), |row| row.int(0))? < MOST_DOMAINS {
        Adding::Done
    } else {
        Adding::TooMany
    })
}

fn refused(adding: Adding, name: &Domain) -> Result<()> {
    match adding {
        Adding::Done => Ok(()),
        Adding::Exists => Err(AccountsError::DomainExists(name.to_unicode().into_owned())),
        Adding::NoAccount => Err(AccountsError::NotFound("account")),
        Adding::TooMany => Err(AccountsError::TooMany {
            most: MOST_DOMAINS,
            of: "sending domains",
            remedy: "remove one that nobody sends from any more, or add it to another account",
        }),
    }
}

fn insert_keys(
    tx: &mut Tx<'_>,
    domain: Id,
    (ids, pairs): (&[Id; 2], &[Pair; 2]),
    taken: &[String],
    now: Time,
) -> store::Result<()> {
    for (id, pair) in ids.iter().zip(pairs) {
        insert_key(
            tx,
            domain,
            (*id, pair),
            &keys::selector(now, pair.algorithm, taken),
            now,
        )?;
    }
    Ok(())
}

fn insert_key(
    tx: &mut Tx<'_>,
    domain: Id,
    (id, pair): (Id, &Pair),
    selector: &str,
    now: Time,
) -> store::Result<()> {
    tx.run(
        "INSERT INTO dkim_keys (id, domain, selector, algorithm, private_key, public_key, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            id.into(),
            (&domain).into(),
            selector.into(),
            pair.algorithm.as_str().into(),
            (&pair.pkcs8).into(),
            (&pair.public_key).into(),
            now.into(),
        ],
    )
}

fn insert_domain(
    tx: &mut Tx<'_>,
    id: Id,
    account: Id,
    name: &Domain,
    trusted_at: Option<Time>,
    now: Time,
) -> store::Result<()> {
    let (state, by) = match trusted_at {
        Some(_) => ("verified", VerifiedBy::Operator.as_str()),
        None => ("pending", ""),
    };
    tx.run(
        "INSERT INTO domains (id, account, name, state, verified_by, created_at, verified_at, findings, next_check_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, '{}', $8)",
        &[
            (&id).into(),
            (&account).into(),
            name.as_str().into(),
            state.into(),
            by.into(),
            now.into(),
            trusted_at.into(),
            now.plus(checks::FIRST).into(),
        ],
    )
}

/// Selectors that any account uses under this name: two accounts cannot publish different keys in one place.
fn taken_selectors(tx: &mut Tx<'_>, name: &Domain) -> store::Result<Vec<String>> {
    tx.query(
        "SELECT k.selector FROM dkim_keys k JOIN domains d ON d.id = k.domain WHERE d.name = $1",
        &[name.as_str().into()],
    )?
    .iter()
    .map(|row| row.text(0))
    .collect()
}

/// Which of an account's domains are read.
enum Only {
    All,
    One(Id),
    Verified,
}

fn read_domains(tx: &mut Tx<'_>, account: Id, host: Host<'_>, only: &Only) -> store::Result<Vec<Stored>> {
    let delegated = match host.dkim_zone {
        Some(_) => delegation::read_keys(tx)?,
        None => Vec::new(),
    };
    let (condition, id) = match only {
        Only::All => ("", None),
        Only::One(id) => (" AND d.id = $2", Some(id)),
        Only::Verified => (" AND d.state = 'verified'", None),
    };
    let values: Vec<Value<'_>> = std::iter::once((&account).into())
        .chain(id.map(Value::from))
        .collect();

    let mut keys: HashMap<Id, Vec<StoredKey>> = HashMap::new();
    let sql = format!(
        "SELECT k.domain, k.id, k.selector, k.algorithm, k.public_key, k.published_at, k.retired_at \
         FROM dkim_keys k JOIN domains d ON d.id = k.domain WHERE d.account = $1{condition} ORDER BY k.id"
    );
    let rows = tx.query(&sql, &values)?;
    for row in rows {
        let Some(algorithm) = Algorithm::parse(&row.text(3)?) else {
            continue;
        };
        let key = StoredKey {
            id: row.id(1)?,
            key: PublicKey {
                selector: row.text(2)?,
                algorithm,
                public_key: row.text(4)?,
            },
            published_at: row.opt_time(5)?,
            retired_at: row.opt_time(6)?,
        };
        keys.entry(row.id(0)?).or_default().push(key);
    }
    let sql = format!(
        "SELECT d.id, d.account, d.name, d.state, d.verified_by, d.verified_at, d.created_at, d.checked_at, d.findings, \
         d.resolver, d.missing_since, d.track_opens, d.track_clicks FROM domains d WHERE d.account = $1{condition} ORDER BY d.name"
    );
    let rows = tx.query(&sql, &values)?;
    rows.iter()
        .map(|row| {
            let mut stored = stored_of(row)?;
            stored.keys = keys.remove(&stored.id).unwrap_or_default();
            stored.delegated.clone_from(&delegated);
            Ok(stored)
        })
        .collect()
}

/// A name as the database has it.
fn stored_name(name: &str) -> store::Result<Domain> {
    Domain::parse(name).map_err(|error| store::StoreError::other("read a stored domain name", error))
}

fn stored_of(row: &Row) -> store::Result<Stored> {
    let verified_by = match row.text(4)?.as_str() {
        "dns" => Some(VerifiedBy::Dns),
        "operator" => Some(VerifiedBy::Operator),
        _ => None,
    };
    Ok(Stored {
        id: row.id(0)?,
        account: row.id(1)?,
        name: stored_name(&row.text(2)?)?,
        verified: verified_by.zip(row.opt_time(5)?),
        created_at: row.time(6)?,
        checked_at: row.opt_time(7)?,
        findings: serde_json::from_str(&row.text(8)?).unwrap_or_default(),
        resolver: row.text(9)?,
        missing_since: row.opt_time(10)?,
        may_track: MayTrack {
            opens: row.bool(11)?,
            clicks: row.bool(12)?,
        },
        keys: Vec::new(),
        delegated: Vec::new(),
    })
}

/// What an account's mail from a verified domain needs.
pub(crate) struct Sends {
    /// The keys that sign it.
    pub(crate) keys: Vec<Id>,
    /// Where its bounces come back to, where the domain has a name for it.
    pub(crate) return_path: Option<Domain>,
    /// The name that its links have, where the domain has one for it.
    pub(crate) links: Option<Domain>,
}

/// The verified domains of an account.
pub(crate) fn read_verified(
    tx: &mut Tx<'_>,
    account: Id,
    host: Host<'_>,
) -> store::Result<HashMap<Domain, Sends>> {
    let domains = read_domains(tx, account, host, &Only::Verified)?;
    let sends = |domain: &Stored| Sends {
        keys: domain.signing_keys(host),
        return_path: domain.return_path(host),
        links: domain.links(host),
    };
    Ok(domains
        .iter()
        .map(|domain| (domain.name.clone(), sends(domain)))
        .collect())
}

/// Reads the private keys with these ids, in their order.
pub(crate) async fn load_signers(db: &Db, domain: &Domain, keys: &[Id]) -> Result<Vec<Signer>> {
    let keys = keys.to_vec();
    let rows = db
        .read("read DKIM keys", move |tx| {
            let sql = "SELECT selector, algorithm, private_key FROM dkim_keys WHERE id = $1";
            let mut rows = Vec::with_capacity(keys.len());
            for id in &keys {
                if let Some(row) = tx.query_opt(sql, &[Value::from(id)])? {
                    rows.push((row.text(0)?, row.text(1)?, row.blob(2)?));
                }
            }
            Ok(rows)
        })
        .await?;
    rows.into_iter()
        .map(|(selector, algorithm, pkcs8)| {
            let key = match Algorithm::parse(&algorithm) {
                Some(Algorithm::RsaSha256) => SigningKey::rsa_from_pkcs8(&pkcs8),
                Some(Algorithm::Ed25519Sha256) => SigningKey::ed25519_from_pkcs8(&pkcs8),
                None => {
                    return Err(AccountsError::StoredKey(format!(
                        "{selector}: unknown algorithm {algorithm}"
                    )));
                }
            };
            let key = key.map_err(|error| AccountsError::StoredKey(format!("{selector}: {error}")))?;
            Ok(Signer {
                domain: domain.clone(),
                selector,
                key,
            })
        })
        .collect()
}
