//! Accounts, logins and credentials in memory, each until its account changes.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use mail::address::{Address, Domain};
use mail::dkim::Signer;
use mail::time::Time;
use moka::sync::Cache;
use parking_lot::RwLock;
use store::{Id, Tx, Value};

use crate::allowance::{self, DayLimits, OwnLimits};
use crate::changes::{self, Epoch, Known, epoch};
use crate::ranges::RangeTable;
use crate::retention::{self, Retention};
use crate::smtp_credentials::{self, Active};
use crate::state::AccountState;
use crate::tracking::MayTrack;
use crate::{
    Accounts, AccountsError, Hook, Principal, Result, Role, Stream, Validity, Via, api_keys, domains, hooks,
    second_step, senders, streams,
};

/// How long, in microseconds, a look at changes counts for whoever does not have to know of each at once.
const LOOK_EVERY: i64 = 1_000_000;

/// The password side of a login.
pub(crate) struct LoginSecret {
    pub(crate) login: Id,
    pub(crate) account: Id,
    pub(crate) email: String,
    pub(crate) password_hash: String,
    pub(crate) stamp: i64,
    /// Whether the password signs in over SMTP.
    pub(crate) smtp_password: bool,
    /// A second step follows on the web.
    pub(crate) second_step: bool,
}

/// What has to be known of one account to judge its principals and senders.
struct View {
    state: AccountState,
    /// Opened by itself; counts while no domain is verified.
    sandbox: bool,
    /// What it sends is taken from its credits.
    pays: bool,
    limits: OwnLimits,
    /// Whether its mail that waits is held.
    holds: bool,
    /// Whether it ever suppressed an address.
    suppresses: bool,
    /// Whether anything of its mail may be tracked.
    tracks: bool,
    /// What may be tracked of mail from domains that do not leave it to messages and streams.
    may_track: HashMap<Domain, MayTrack>,
    retention: Retention,
    /// Stamp and role of each login.
    logins: HashMap<Id, (i64, Role)>,
    /// With the only stream that each sends in.
    keys: HashMap<Id, Option<String>>,
    /// Logins whose password does not sign in over SMTP.
    no_smtp_password: HashSet<Id>,
    credentials: Arc<HashMap<Id, Active>>,
    senders: HashSet<String>,
    /// Those of them that are confirmed logins of the account itself.
    own: HashSet<String>,
    streams: Arc<HashMap<String, Arc<Stream>>>,
    /// What its mail passes, in order.
    hooks: Arc<[Arc<Hook>]>,
    /// What is needed to send from each verified domain.
    domains: HashMap<Domain, domains::Sends>,
}

/// What was read, with the epoch it was read at; `known` says how long it counts.
pub(crate) struct Directory {
    known: RwLock<Known>,
    /// How many refreshes were asked for, and up to which one they are answered.
    asked: AtomicU64,
    answered: tokio::sync::Mutex<u64>,
    secrets: Cache<String, (Epoch, Option<Arc<LoginSecret>>)>,
    views: Cache<Id, (Epoch, Option<Arc<View>>)>,
    /// When whoever does not ask for each change looked last, in microseconds.
    looked: AtomicI64,
    ranges: RwLock<Option<(Epoch, Arc<RangeTable<Principal>>)>>,
    /// By the domain signed for and the ids of its keys; what a key id stands for never changes.
    signers: Cache<(Domain, Vec<Id>), Arc<[Signer]>>,
}

impl Directory {
    pub(crate) fn new() -> Self {
        Self {
            known: RwLock::new(Known::nothing()),
            asked: AtomicU64::new(0),
            answered: tokio::sync::Mutex::default(),
            secrets: Cache::new(20_000),
            views: Cache::new(20_000),
            looked: AtomicI64::new(0),
            ranges: RwLock::new(None),
            signers: Cache::new(5_000),
        }
    }

    fn epoch(&self) -> Epoch {
        self.known.read().epoch()
    }
}

impl Accounts {
    /// Looks whether anything changed since the last call, by this process or another, and whom it concerns. Reads one
    /// row while nothing does.
    pub async fn refresh(&self) -> Result<Epoch> {
        let directory = &self.inner.directory;
        let ticket = directory.asked.fetch_add(1, Ordering::AcqRel) + 1;
        let mut answered = directory.answered.lock().await;
        // Whoever waited here while another looked shares the next look with all who waited: it begins after they asked.
        if *answered < ticket {
            let covered = directory.asked.load(Ordering::Acquire);
            let seen = self.inner.db.peek("read the directory's epoch", epoch).await?;
            let known = directory.epoch();
            if seen > known {
                let changes = move |tx: &mut Tx<'_>| changes::since(tx, known);
                let changes = self.inner.db.peek("read which accounts changed", changes).await?;
                directory.known.write().learn(seen, &changes);
            }
            *answered = covered;
        }
        Ok(directory.epoch())
    }

    /// Whether `principal` may go on. Answers as of the last [`Accounts::refresh`], from memory but for the first time.
    pub async fn still_valid(&self, principal: &Principal) -> Result<Validity> {
        self.still_valid_from(principal, None).await
    }

    /// The same for a client at `from`: a credential may be bound to networks.
    pub async fn still_valid_from(&self, principal: &Principal, from: Option<IpAddr>) -> Result<Validity> {
        if principal.via == Via::System {
            return Ok(Validity::Ok);
        }
        let Some(view) = self.view(principal.account).await? else {
            return Ok(Validity::SignedOut);
        };
        let signed_in = match principal.via {
            Via::Login | Via::Session | Via::Command => principal.login.is_some_and(|login| {
                let switched_off = principal.via == Via::Login && view.no_smtp_password.contains(&login);
                let stamp = view.logins.get(&login).map(|(stamp, _)| *stamp);
                stamp == Some(principal.stamp) && !switched_off
            }),
            Via::Credential(id) => view.credentials.get(&id).is_some_and(|credential| {
                view.logins.contains_key(&credential.login)
                    && credential.fault(from, self.inner.clock.now()).is_none()
            }),
            Via::Key(key) => view.keys.contains_key(&key),
            Via::IpRange(_) => self
                .ranges()
                .await?
                .values()
                .any(|holder| holder.via == principal.via),
            // It does nothing in the account's name, and whether it stands is asked of its own row.
            Via::Impersonation => false,
            Via::System => true,
        };
        Ok(match (&view.state, signed_in) {
            (_, false) => Validity::SignedOut,
            (AccountState::Suspended(reason), true) => Validity::Suspended(reason.clone()),
            (AccountState::Paused(reason), true) => Validity::Paused(reason.clone()),
            (AccountState::Active, true) => Validity::Ok,
        })
    }

    /// The role of a principal's login, as of the last [`Accounts::refresh`]; `None` where the login is gone.
    pub async fn role(&self, principal: &Principal) -> Result<Option<Role>> {
        let view = self.view(principal.account).await?;
        let login = view.as_deref().zip(principal.login);
        Ok(login.and_then(|(view, login)| view.logins.get(&login).map(|(_, role)| *role)))
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

    /// Whether the account may send to all of these: from the sandbox, to its own confirmed login addresses only.
    pub async fn may_send_to<'a>(
        &self,
        principal: &Principal,
        recipients: impl IntoIterator<Item = &'a Address>,
    ) -> Result<bool> {
        if principal.via == Via::System {
            return Ok(true);
        }
        Ok(self.view(principal.account).await?.is_some_and(|view| {
            let mut recipients = recipients.into_iter();
            // What goes into the sandbox of a credential reaches nobody.
            let kept = match principal.via {
                Via::Credential(id) => view.credentials.get(&id).is_some_and(|one| one.terms.sandbox),
                _ => false,
            };
            !view.sandbox
                || kept
                || !view.domains.is_empty()
                || recipients.all(|one| view.own.contains(&one.login_key()))
        }))
    }

    /// How much an account may send a day.
    pub(crate) async fn day_limits(&self, account: Id) -> Result<DayLimits> {
        let view = self.view(account).await?;
        let standard = &self.inner.settings.day_limits;
        Ok(view.map_or_else(DayLimits::default, |view| {
            view.limits.in_force(view.sandbox, standard)
        }))
    }

    pub(crate) async fn view_holds(&self, account: Id) -> Result<bool> {
        Ok(self.view(account).await?.is_some_and(|view| view.holds))
    }

    pub(crate) async fn view_pays(&self, account: Id) -> Result<bool> {
        Ok(self.view(account).await?.is_none_or(|view| view.pays))
    }

    pub(crate) async fn view_suppresses(&self, account: Id) -> Result<bool> {
        Ok(self.view(account).await?.is_some_and(|view| view.suppresses))
    }

    pub(crate) async fn view_tracks(&self, account: Id) -> Result<bool> {
        Ok(self.view(account).await?.is_none_or(|view| view.tracks))
    }

    pub(crate) async fn view_may_track(&self, account: Id, domain: &Domain) -> Result<MayTrack> {
        Ok(match self.view(account).await? {
            Some(view) if !view.tracks => MayTrack::NOTHING,
            Some(view) => view.may_track.get(domain).copied().unwrap_or(MayTrack::ALL),
            None => MayTrack::ALL,
        })
    }

    /// Whether the account is suspended, as of a second ago at most: however often it is asked, that costs one look a second. Where
    /// the database does not answer, what was known counts.
    pub async fn is_suspended(&self, account: Id) -> Result<bool> {
        let now = self.inner.clock.now();
        let looked = &self.inner.directory.looked;
        let before = looked.load(Ordering::Acquire);
        // A clock that was set back makes it old as well.
        let is_old = !(0..LOOK_EVERY).contains(&now.as_micros().saturating_sub(before));
        // Of many who find it old, one looks.
        if is_old
            && looked
                .compare_exchange(before, now.as_micros(), Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
            && let Err(error) = self.refresh().await
        {
            tracing::debug!(%error, "whether accounts changed was not looked at");
        }
        let view = self.view(account).await?;
        Ok(view.is_some_and(|view| matches!(view.state, AccountState::Suspended(_))))
    }

    pub(crate) async fn view_retention(&self, account: Id) -> Result<Retention> {
        let view = self.view(account).await?;
        Ok(view.map_or_else(Retention::default, |view| view.retention))
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
            .and_then(|view| view.domains.get(domain).map(|sends| sends.keys.clone()))
            .unwrap_or_default();
        if keys.is_empty() {
            return Ok(Arc::from([]));
        }
        // Domains may share a key, and each signs in its own name.
        let of = (domain.clone(), keys);
        if let Some(signers) = self.inner.directory.signers.get(&of) {
            return Ok(signers);
        }
        let signers: Arc<[Signer]> = domains::load_signers(&self.inner.db, domain, &of.1).await?.into();
        self.inner.directory.signers.insert(of, Arc::clone(&signers));
        Ok(signers)
    }

    /// Where bounces of mail from `domain` come back to, where the account has a name of its own for it.
    pub async fn return_path(&self, account: Id, domain: &Domain) -> Result<Option<Domain>> {
        let view = self.view(account).await?;
        Ok(view.and_then(|view| view.domains.get(domain)?.return_path.clone()))
    }

    /// The name that links in mail from `domain` have, where the account has one of its own for it.
    pub async fn links(&self, account: Id, domain: &Domain) -> Result<Option<Domain>> {
        let view = self.view(account).await?;
        Ok(view.and_then(|view| view.domains.get(domain)?.links.clone()))
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
        if let Some((at, secret)) = directory.secrets.get(login_key) {
            let known = directory.known.read();
            let counts = match &secret {
                Some(secret) => known.counts(secret.account, at),
                None => known.absence_counts(at),
            };
            if counts {
                return Ok(secret);
            }
        }
        let key = login_key.to_owned();
        let (seen, secret) = self
            .inner
            .db
            .read("look a login up", move |tx| {
                Ok((epoch(tx)?, read_secret(tx, &key)?))
            })
            .await?;
        let secret = secret.map(Arc::new);
        directory
            .secrets
            .insert(login_key.to_owned(), (seen, secret.clone()));
        Ok(secret)
    }

    /// The SMTP credentials of an account that are not revoked; `None` where there is no such account.
    pub(crate) async fn active_credentials(&self, account: Id) -> Result<Option<Arc<HashMap<Id, Active>>>> {
        let view = self.view(account).await?;
        Ok(view.map(|view| Arc::clone(&view.credentials)))
    }

    /// The streams of an account by their slugs; none where there is no such account.
    pub(crate) async fn streams_of(&self, account: Id) -> Result<Arc<HashMap<String, Arc<Stream>>>> {
        let view = self.view(account).await?;
        Ok(view.map_or_else(Arc::default, |view| Arc::clone(&view.streams)))
    }

    /// The hooks that an account's mail passes; none where there is no such account.
    pub(crate) async fn hooks_in_force(&self, account: Id) -> Result<Arc<[Arc<Hook>]>> {
        let view = self.view(account).await?;
        Ok(view.map_or_else(|| Arc::from([]), |view| Arc::clone(&view.hooks)))
    }

    /// The only stream that what `principal` signed in with sends in.
    pub(crate) async fn bound_stream(&self, principal: &Principal) -> Result<Option<String>> {
        if !matches!(principal.via, Via::Credential(_) | Via::Key(_)) {
            return Ok(None);
        }
        // What was made a moment ago is not known here yet, and what is unknown is not unbound.
        for fresh in [false, true] {
            if fresh {
                self.refresh().await?;
            }
            let Some(view) = self.view(principal.account).await? else {
                continue;
            };
            let found = match principal.via {
                Via::Credential(id) => view.credentials.get(&id).map(|one| one.terms.stream.clone()),
                Via::Key(id) => view.keys.get(&id).cloned(),
                _ => None,
            };
            if let Some(bound) = found {
                return Ok(bound);
            }
        }
        Err(AccountsError::NotFound("credential"))
    }

    async fn view(&self, account: Id) -> Result<Option<Arc<View>>> {
        let directory = &self.inner.directory;
        if let Some((at, view)) = directory.views.get(&account)
            && directory.known.read().counts(account, at)
        {
            return Ok(view);
        }
        let me = self.clone();
        let (seen, view) = self
            .inner
            .db
            .read("look an account up", move |tx| {
                Ok((epoch(tx)?, read_view(tx, account, me.host())?))
            })
            .await?;
        let view = view.map(Arc::new);
        directory.views.insert(account, (seen, view.clone()));
        Ok(view)
    }

    async fn ranges(&self) -> Result<Arc<RangeTable<Principal>>> {
        let directory = &self.inner.directory;
        if let Some((at, ranges)) = directory.ranges.read().as_ref()
            && directory.known.read().ranges_count(*at)
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
        let ranges = Arc::new(RangeTable::new(ranges));
        *directory.ranges.write() = Some((seen, Arc::clone(&ranges)));
        Ok(ranges)
    }

    /// Notes that a credential was used, at most once a minute and without making its user wait.
    pub(crate) fn touch(&self, credential: Id, sql: &'static str) {
        self.touch_with(credential, move |tx, now| {
            tx.run(sql, &[Value::from(&credential), now.into()])
        });
    }

    pub(crate) fn touch_with<F>(&self, credential: Id, note: F)
    where
        F: Fn(&mut Tx<'_>, Time) -> store::Result<()> + Send + 'static,
    {
        if self.inner.touched.contains_key(&credential) {
            return;
        }
        self.inner.touched.insert(credential, ());
        let db = self.inner.db.clone();
        let now = self.inner.clock.now();
        tokio::spawn(async move {
            let noted = db
                .write("note that a credential was used", move |tx| note(tx, now))
                .await;
            if let Err(error) = noted {
                tracing::debug!(%credential, %error, "the last use of a credential was not noted");
            }
        });
    }
}

fn read_secret(tx: &mut Tx<'_>, login_key: &str) -> store::Result<Option<LoginSecret>> {
    let row = tx.query_opt(
        "SELECT id, account, email, password_hash, stamp, smtp_password FROM logins WHERE login_key = $1",
        &[login_key.into()],
    )?;
    row.map(|row| {
        let login = row.id(0)?;
        Ok(LoginSecret {
            login,
            account: row.id(1)?,
            email: row.text(2)?,
            password_hash: row.text(3)?,
            stamp: row.int(4)?,
            smtp_password: row.bool(5)?,
            second_step: second_step::is_on(tx, login)?,
        })
    })
    .transpose()
}

fn read_view(tx: &mut Tx<'_>, account: Id, host: domains::Host<'_>) -> store::Result<Option<View>> {
    let Some(row) = tx.query_opt(
        "SELECT state, state_reason, sandbox, holds, suppresses, tracks, unlimited FROM accounts WHERE id = $1",
        &[(&account).into()],
    )?
    else {
        return Ok(None);
    };
    let state = AccountState::from_columns(&row.text(0)?, row.text(1)?);
    let sandbox = row.bool(2)?;
    let holds = row.bool(3)?;
    let suppresses = row.bool(4)?;
    let tracks = row.bool(5)?;
    let pays = !row.bool(6)?;
    let mut logins = HashMap::new();
    let mut senders = HashSet::new();
    let mut no_smtp_password = HashSet::new();
    let of_account =
        "SELECT id, stamp, login_key, confirmed, smtp_password, role FROM logins WHERE account = $1";
    for row in tx.query(of_account, &[(&account).into()])? {
        logins.insert(row.id(0)?, (row.int(1)?, Role::from_text(&row.text(5)?)));
        if row.bool(3)? {
            senders.insert(row.text(2)?);
        }
        if !row.bool(4)? {
            no_smtp_password.insert(row.id(0)?);
        }
    }
    let keys = api_keys::read_active(tx, account)?;
    let own = senders.clone();
    senders.extend(senders::confirmed(tx, account)?);
    let domains = domains::read_verified(tx, account, host)?;
    Ok(Some(View {
        state,
        sandbox,
        pays,
        limits: allowance::own(tx, account)?,
        holds,
        suppresses,
        tracks,
        may_track: domains::held_back(tx, account)?,
        retention: retention::own(tx, account)?,
        logins,
        keys,
        no_smtp_password,
        credentials: Arc::new(smtp_credentials::read_active(tx, account)?),
        senders,
        own,
        streams: Arc::new(streams::read_all(tx, account)?),
        hooks: hooks::in_force(tx, account)?,
        domains,
    }))
}
