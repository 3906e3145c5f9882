//! Accounts, logins and credentials in memory, dropped as a whole when `changes.version` has moved.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use mail::address::{Address, Domain};
use mail::dkim::Signer;
use moka::sync::Cache;
use parking_lot::RwLock;
use store::{Id, Tx, Value};

use crate::people::AccountState;
use crate::ranges::RangeTable;
use crate::{Accounts, Principal, Result, Validity, Via, domains};

/// A state of everything that says who may do what. It moves with every change of it, in the same transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(i64);

/// The epoch that a transaction sees; a transaction that relies on an earlier check compares it.
pub fn epoch(tx: &mut Tx<'_>) -> store::Result<Epoch> {
    let row = tx.query_opt("SELECT version FROM changes WHERE one = 1", &[])?;
    row.map_or(Ok(Epoch(0)), |row| row.int(0).map(Epoch))
}

/// Whether the credential that `principal` came with still counts in this transaction, whatever else changed meanwhile.
/// Whether its account is suspended is the charge's to say.
pub fn still_stands(tx: &mut Tx<'_>, principal: &Principal) -> store::Result<bool> {
    let found = match principal.via {
        Via::System => return Ok(true),
        Via::Login | Via::Session => {
            let Some(login) = principal.login else {
                return Ok(false);
            };
            tx.query_opt(
                "SELECT 1 FROM logins WHERE id = $1 AND stamp = $2",
                &[login.into(), principal.stamp.into()],
            )?
        }
        Via::Key(key) => tx.query_opt(
            "SELECT 1 FROM api_keys WHERE id = $1 AND revoked_at IS NULL",
            &[key.into()],
        )?,
        Via::IpRange(range) => tx.query_opt(
            "SELECT 1 FROM ip_credentials WHERE id = $1 AND revoked_at IS NULL",
            &[range.into()],
        )?,
    };
    Ok(found.is_some())
}

/// Says that somebody may now do more or less than before. Belongs into the transaction that changes it.
pub(crate) fn bump(tx: &mut Tx<'_>) -> store::Result<()> {
    tx.run("UPDATE changes SET version = version + 1 WHERE one = 1", &[])
}

/// The password side of a login.
pub(crate) struct LoginSecret {
    pub(crate) login: Id,
    pub(crate) account: Id,
    pub(crate) email: String,
    pub(crate) password_hash: String,
    pub(crate) stamp: i64,
}

/// What has to be known of one account to judge its principals and senders.
struct View {
    state: AccountState,
    stamps: HashMap<Id, i64>,
    keys: HashSet<Id>,
    senders: HashSet<String>,
    /// The DKIM keys to sign with, by verified domain.
    domains: HashMap<Domain, Vec<Id>>,
}

/// Caches whose keys hold the epoch, so that what an old epoch loaded is never found under a new one.
pub(crate) struct Directory {
    epoch: AtomicI64,
    /// How many refreshes were asked for, and up to which one they are answered.
    asked: AtomicU64,
    answered: tokio::sync::Mutex<u64>,
    secrets: Cache<(Epoch, String), Option<Arc<LoginSecret>>>,
    views: Cache<(Epoch, Id), Option<Arc<View>>>,
    ranges: RwLock<Option<(Epoch, Arc<RangeTable<Principal>>)>>,
    /// By key ids; what a key id stands for never changes.
    signers: Cache<Vec<Id>, Arc<[Signer]>>,
}

impl Directory {
    pub(crate) fn new() -> Self {
        Self {
            epoch: AtomicI64::new(-1),
            asked: AtomicU64::new(0),
            answered: tokio::sync::Mutex::default(),
            secrets: Cache::new(20_000),
            views: Cache::new(20_000),
            ranges: RwLock::new(None),
            signers: Cache::new(5_000),
        }
    }

    fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Acquire))
    }

    /// Epochs only grow; a reader that was slow must not bring an old one back.
    fn saw(&self, epoch: Epoch) {
        self.epoch.fetch_max(epoch.0, Ordering::AcqRel);
    }
}

impl Accounts {
    /// Looks whether anything changed since the last call, by this process or another, and forgets what is stale.
    pub async fn refresh(&self) -> Result<Epoch> {
        let directory = &self.inner.directory;
        let ticket = directory.asked.fetch_add(1, Ordering::AcqRel) + 1;
        let mut answered = directory.answered.lock().await;
        // Whoever waited here while another looked shares the next look with all who waited: it begins after they asked.
        if *answered < ticket {
            let covered = directory.asked.load(Ordering::Acquire);
            let epoch = self.inner.db.peek("read the directory's epoch", epoch).await?;
            directory.saw(epoch);
            *answered = covered;
        }
        Ok(directory.epoch())
    }

    /// Whether `principal` may go on. Answers as of the last [`Accounts::refresh`], from memory but for the first time.
    pub async fn still_valid(&self, principal: &Principal) -> Result<Validity> {
        if principal.via == Via::System {
            return Ok(Validity::Ok);
        }
        let Some(view) = self.view(principal.account).await? else {
            return Ok(Validity::SignedOut);
        };
        let signed_in = match principal.via {
            Via::Login | Via::Session => principal
                .login
                .is_some_and(|login| view.stamps.get(&login) == Some(&principal.stamp)),
            Via::Key(key) => view.keys.contains(&key),
            Via::IpRange(_) => self
                .ranges()
                .await?
                .values()
                .any(|holder| holder.via == principal.via),
            Via::System => true,
        };
        Ok(match (&view.state, signed_in) {
            (_, false) => Validity::SignedOut,
            (AccountState::Suspended(reason), true) => Validity::Suspended(reason.clone()),
            (AccountState::Active, true) => Validity::Ok,
        })
    }

    /// Whether the account may send as `sender`: a confirmed login address of its own, or any address in a verified domain.
    pub async fn may_send_as(&self, principal: &Principal, sender: &Address) -> Result<bool> {
        if principal.via == Via::System {
            return Ok(true);
        }
        Ok(self.view(principal.account).await?.is_some_and(|view| {
            view.domains.contains_key(sender.domain()) || view.senders.contains(&sender.login_key())
        }))
    }

    /// The verified domains of an account and its confirmed login addresses: what it may send as, in words.
    pub async fn senders(&self, account: Id) -> Result<Vec<String>> {
        let Some(view) = self.view(account).await? else {
            return Ok(Vec::new());
        };
        let mut senders: Vec<String> = view.senders.iter().cloned().collect();
        senders.sort();
        let mut domains: Vec<String> = view.domains.keys().map(|d| format!("*@{}", d.as_str())).collect();
        domains.sort();
        senders.extend(domains);
        Ok(senders)
    }

    /// The keys that sign mail of `account` from `domain`; empty where the account has not verified it.
    pub async fn signers(&self, account: Id, domain: &Domain) -> Result<Arc<[Signer]>> {
        let keys = self
            .view(account)
            .await?
            .and_then(|view| view.domains.get(domain).cloned())
            .unwrap_or_default();
        if keys.is_empty() {
            return Ok(Arc::from([]));
        }
        if let Some(signers) = self.inner.directory.signers.get(&keys) {
            return Ok(signers);
        }
        let signers: Arc<[Signer]> = domains::load_signers(&self.inner.db, domain, &keys).await?.into();
        self.inner.directory.signers.insert(keys, Arc::clone(&signers));
        Ok(signers)
    }

    /// Who a client is by its address alone.
    pub async fn by_ip(&self, ip: IpAddr) -> Result<Option<Principal>> {
        self.refresh().await?;
        let principal = self.ranges().await?.find(ip).cloned();
        if let Some(Principal {
            via: Via::IpRange(id),
            ..
        }) = principal
        {
            self.touch(id, "UPDATE ip_credentials SET used_at = $2 WHERE id = $1");
        }
        Ok(principal)
    }

    pub(crate) async fn login_secret(&self, login_key: &str) -> Result<Option<Arc<LoginSecret>>> {
        let directory = &self.inner.directory;
        let wanted = (directory.epoch(), login_key.to_owned());
        if let Some(known) = directory.secrets.get(&wanted) {
            return Ok(known);
        }
        let key = wanted.1.clone();
        let (seen, secret) = self
            .inner
            .db
            .read("look a login up", move |tx| {
                Ok((epoch(tx)?, read_secret(tx, &key)?))
            })
            .await?;
        directory.saw(seen);
        let secret = secret.map(Arc::new);
        directory.secrets.insert((seen, wanted.1), secret.clone());
        Ok(secret)
    }

    async fn view(&self, account: Id) -> Result<Option<Arc<View>>> {
        let directory = &self.inner.directory;
        if let Some(known) = directory.views.get(&(directory.epoch(), account)) {
            return Ok(known);
        }
        let (seen, view) = self
            .inner
            .db
            .read("look an account up", move |tx| {
                Ok((epoch(tx)?, read_view(tx, account)?))
            })
            .await?;
        directory.saw(seen);
        let view = view.map(Arc::new);
        directory.views.insert((seen, account), view.clone());
        Ok(view)
    }

    async fn ranges(&self) -> Result<Arc<RangeTable<Principal>>> {
        let directory = &self.inner.directory;
        if let Some((known, ranges)) = directory.ranges.read().as_ref()
            && *known == directory.epoch()
        {
            return Ok(Arc::clone(ranges));
        }
        let (seen, ranges) = self
            .inner
            .db
            .read("read the IP-range credentials", |tx| {
                Ok((epoch(tx)?, crate::ip_credentials::read_active(tx)?))
            })
            .await?;
        directory.saw(seen);
        let ranges = Arc::new(RangeTable::new(ranges));
        *directory.ranges.write() = Some((seen, Arc::clone(&ranges)));
        Ok(ranges)
    }

    /// Notes that a credential was used, at most once a minute and without making its user wait.
    pub(crate) fn touch(&self, credential: Id, sql: &'static str) {
        if self.inner.touched.contains_key(&credential) {
            return;
        }
        self.inner.touched.insert(credential, ());
        let db = self.inner.db.clone();
        let now = self.inner.clock.now();
        tokio::spawn(async move {
            let noted = db
                .write("note that a credential was used", move |tx| {
                    tx.run(sql, &[Value::from(&credential), now.into()])
                })
                .await;
            if let Err(error) = noted {
                tracing::debug!(%credential, %error, "the last use of a credential was not noted");
            }
        });
    }
}

fn read_secret(tx: &mut Tx<'_>, login_key: &str) -> store::Result<Option<LoginSecret>> {
    let row = tx.query_opt(
        "SELECT id, account, email, password_hash, stamp FROM logins WHERE login_key = $1",
        &[login_key.into()],
    )?;
    row.map(|row| {
        Ok(LoginSecret {
            login: row.id(0)?,
            account: row.id(1)?,
            email: row.text(2)?,
            password_hash: row.text(3)?,
            stamp: row.int(4)?,
        })
    })
    .transpose()
}

fn read_view(tx: &mut Tx<'_>, account: Id) -> store::Result<Option<View>> {
    let Some(row) = tx.query_opt(
        "SELECT state, state_reason FROM accounts WHERE id = $1",
        &[(&account).into()],
    )?
    else {
        return Ok(None);
    };
    let state = AccountState::from_columns(&row.text(0)?, row.text(1)?);
    let mut stamps = HashMap::new();
    let mut senders = HashSet::new();
    let logins = "SELECT id, stamp, login_key, confirmed FROM logins WHERE account = $1";
    for row in tx.query(logins, &[(&account).into()])? {
        stamps.insert(row.id(0)?, row.int(1)?);
        if row.bool(3)? {
            senders.insert(row.text(2)?);
        }
    }
    let keys = tx
        .query(
            "SELECT id FROM api_keys WHERE account = $1 AND revoked_at IS NULL",
            &[(&account).into()],
        )?
        .iter()
        .map(|row| row.id(0))
        .collect::<store::Result<_>>()?;
    let domains = domains::read_signing_keys(tx, account)?;
    Ok(Some(View {
        state,
        stamps,
        keys,
        senders,
        domains,
    }))
}
