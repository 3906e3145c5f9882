//! Signing in with address and password: the one way in, whatever the door.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::hmac;
use ipnet::IpNet;
use mail::address::Address;
use mail::time::Time;
use moka::sync::Cache;
use store::{Id, Ids};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use crate::attempts::{Tried, Wrong};
use crate::directory::LoginSecret;
use crate::lockout::{self, Subject};
use crate::password::MAX_OCTETS;
use crate::smtp_credentials::{Found, Terms};
use crate::{Accounts, AccountsError, Approach, Door, Principal, Reason, Result, Via, hash};

/// How long a verified pair spares its login the next hash.
const REMEMBERED: Duration = Duration::from_mins(15);
/// Wrong passwords remembered, by keyed hash. One that was pushed out counts again when it is repeated: never too few.
const WRONG: u64 = 50_000;

/// Somebody wants to sign in.
#[derive(Clone, Copy)]
pub struct Attempt<'a> {
    pub login: &'a str,
    pub password: &'a str,
    pub from: &'a Approach,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    In(Principal),
    /// Wrong password or unknown address; nobody is told which.
    Wrong,
    /// Too many failures before; the password was not looked at.
    Locked {
        left: Duration,
    },
    /// Too many wait for their turn.
    Busy,
}

/// Pairs of login and password that were looked at lately, under a key of this process. The login's stamp is part of
/// the key, so a password change forgets its pairs at once.
pub(crate) struct Pairs {
    key: hmac::Key,
    verified: Cache<[u8; 32], ()>,
    /// When a wrong pair was counted against a client.
    wrong: Cache<([u8; 32], IpNet), Time>,
}

impl Pairs {
    pub(crate) fn new(ids: &Ids) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &ids.secret(32)),
            verified: Cache::builder()
                .max_capacity(20_000)
                .time_to_live(REMEMBERED)
                .build(),
            wrong: Cache::new(WRONG),
        }
    }

    fn digest(&self, login: &str, secret: Option<&LoginSecret>, password: &str) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        // A login's key is its own for ever, and an unknown one costs as much.
        context.update(&(login.len() as u64).to_be_bytes());
        context.update(login.as_bytes());
        context.update(&secret.map_or(0, |secret| secret.stamp).to_be_bytes());
        context.update(password.as_bytes());
        context
            .sign()
            .as_ref()
            .try_into()
            .expect("HMAC-SHA-256 has 32 octets")
    }

    /// Whether this wrong pair counts, or was counted within the window already.
    fn counts(&self, digest: [u8; 32], client: IpNet, now: Time) -> bool {
        let counted = self.wrong.get(&(digest, client));
        let again = counted.is_some_and(|at| now.since(at) < lockout::SAME_COUNTS_ONCE);
        if !again {
            self.wrong.insert((digest, client), now);
        }
        !again
    }
}

/// How long a look at a password takes, so that a locked client, whose password nobody looks at, waits as long.
///
/// Hashing for nothing would take as long too, and would hand every locked guesser a turn that others wait for.
#[derive(Default)]
pub(crate) struct Pace(AtomicU64);

impl Pace {
    fn took(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        // An average of the last ones; that two updates may cross each other does no harm.
        let before = self.0.load(Ordering::Relaxed);
        let after = if before == 0 {
            micros
        } else {
            before - before / 8 + micros / 8
        };
        self.0.store(after, Ordering::Relaxed);
    }

    pub(crate) async fn wait_since(&self, start: Instant) {
        sleep_until(start + Duration::from_micros(self.0.load(Ordering::Relaxed))).await;
    }
}

/// An attempt on its way.
pub(crate) struct Looking<'a> {
    attempt: Attempt<'a>,
    pub(crate) subject: Subject,
    secret: Option<Arc<LoginSecret>>,
    digest: [u8; 32],
    has_failures: bool,
    /// Whoever tries is signed in already and only asked once more.
    again: bool,
}

impl Looking<'_> {
    /// Account and login whose credentials are looked through. An unknown address has some that nobody has, so that it
    /// costs as much.
    fn whose(&self) -> (Id, Id) {
        let nobody = Id::from_bytes([0; 16]);
        let secret = self.secret.as_ref();
        secret.map_or((nobody, nobody), |secret| (secret.account, secret.login))
    }
}

impl Accounts {
    /// Who signs in with this address and password. The address compares without case, and its domain as U-label or
    /// A-label. An unknown address meets the same counters, text and cost as a known one.
    pub async fn sign_in(&self, attempt: Attempt<'_>) -> Result<Outcome> {
        self.try_password(attempt, false).await
    }

    /// Whether somebody who is signed in knows the password still; counted like signing in.
    pub async fn confirm_password(&self, attempt: Attempt<'_>) -> Result<Outcome> {
        self.try_password(attempt, true).await
    }

    async fn try_password(&self, attempt: Attempt<'_>, again: bool) -> Result<Outcome> {
        let start = Instant::now();
        self.refresh().await?;
        let secret = match Address::parse(attempt.login.trim()) {
            Ok(address) => self.login_secret(&address.login_key()).await?,
            Err(_) => None,
        };
        let mut looking = self.looking(attempt, secret, again);
        // A good one is let in whatever was guessed before from its address: there is nothing to guess about it.
        let active = self.active_of(&looking).await?;
        if let Some(Found::Good(terms)) = &active {
            return Ok(self.let_in_by(&looking, terms));
        }
        if let Some(until) = self.lock_on(&mut looking).await? {
            return Ok(self.locked(&looking, until, start).await);
        }
        let named = match active {
            Some(found) => Some(found),
            None => self.revoked_of(&looking).await?,
        };
        if let Some(Found::Bad { name, reason }) = named {
            return self.turn_away(&looking, Some(&name), reason, start).await;
        }
        if self.is_verified(&looking) {
            return self.let_in(&looking, start).await;
        }
        // Held until the failure is counted, so that what comes behind sees it.
        let _place = self.inner.in_hand.enter(looking.subject.clone()).await;
        let turn = match self.inner.hasher.turn(Some(looking.subject.network)).await {
            Ok(turn) => turn,
            Err(AccountsError::Busy) => return Ok(Outcome::Busy),
            Err(error) => return Err(error),
        };
        // Many connections may have waited with the same pair; the first of them answered for all.
        if self.is_verified(&looking) {
            drop(turn);
            return self.let_in(&looking, start).await;
        }
        let (looked_from, looked_at_length) = (Instant::now(), attempt.password.len());
        if let Some(until) = self.lock_on(&mut looking).await? {
            drop(turn);
            return Ok(self.locked(&looking, until, start).await);
        }
        let outcome = if self.verify(&looking, turn).await? {
            self.inner.pairs.verified.insert(looking.digest, ());
            self.keep_scram_keys(looking.secret.as_ref(), attempt.password)
                .await;
            self.let_in(&looking, start).await?
        } else {
            self.keep_out(looking).await?
        };
        // What is too long for a password is not hashed, and tells nothing about the pace.
        if looked_at_length <= MAX_OCTETS {
            self.inner.pace.took(looked_from.elapsed());
        }
        Ok(outcome)
    }

    pub(crate) fn looking<'a>(
        &self,
        attempt: Attempt<'a>,
        secret: Option<Arc<LoginSecret>>,
        again: bool,
    ) -> Looking<'a> {
        let subject = Subject::new(attempt.login, attempt.from.ip);
        let pairs = &self.inner.pairs;
        let digest = pairs.digest(&subject.login, secret.as_deref(), attempt.password);
        Looking {
            attempt,
            subject,
            secret,
            digest,
            has_failures: false,
            again,
        }
    }

    pub(crate) async fn lock_on(&self, looking: &mut Looking<'_>) -> Result<Option<Time>> {
        let login = looking.secret.as_ref().map(|secret| secret.login);
        let standing = self.standing(&looking.subject, login).await?;
        looking.has_failures = standing.has_failures;
        Ok(standing.locked_until)
    }

    fn is_verified(&self, looking: &Looking<'_>) -> bool {
        looking.secret.is_some() && self.inner.pairs.verified.contains_key(&looking.digest)
    }

    async fn verify(&self, looking: &Looking<'_>, turn: hash::Turn) -> Result<bool> {
        let password = looking.attempt.password.to_owned();
        let secret = looking.secret.clone();
        let memory = self.inner.hasher.memory();
        spawn_blocking(move || {
            let _turn = turn;
            let hash = secret.as_ref().map(|secret| secret.password_hash.as_str());
            hash::verify(&memory, &password, hash)
        })
        .await
        .map_err(|_| AccountsError::Hashing)
    }

    /// The named SMTP credential of the login that the password belongs to.
    async fn active_of(&self, looking: &Looking<'_>) -> Result<Option<Found>> {
        let Attempt { password, from, .. } = looking.attempt;
        self.active_smtp_credential(looking.whose(), password, from).await
    }

    /// The same among the revoked ones. Only whoever is not locked may have them looked for.
    async fn revoked_of(&self, looking: &Looking<'_>) -> Result<Option<Found>> {
        let (_, login) = looking.whose();
        self.revoked_smtp_credential(login, looking.attempt.password)
            .await
    }

    /// It neither makes its client address known nor forgets failures there: whoever has the password of one program is
    /// not thereby somebody who may guess at the login's.
    fn let_in_by(&self, looking: &Looking<'_>, terms: &Terms) -> Outcome {
        self.touch_smtp_credential(terms.id, looking.attempt.from.ip);
        self.note_with(looking, Some(&terms.name), Reason::SignedIn);
        let secret = looking.secret.as_ref().expect("a credential is a login's");
        Outcome::In(Principal {
            account: secret.account,
            login: Some(secret.login),
            email: secret.email.clone(),
            stamp: secret.stamp,
            via: Via::Credential(terms.id),
        })
    }

    /// What was given is right, and does not count here. It counts as a wrong password, and takes as long.
    async fn turn_away(
        &self,
        looking: &Looking<'_>,
        credential: Option<&str>,
        reason: Reason,
        start: Instant,
    ) -> Result<Outcome> {
        self.count_wrong(looking).await?;
        self.note_with(looking, credential, reason);
        self.inner.pace.wait_since(start).await;
        Ok(Outcome::Wrong)
    }

    async fn count_wrong(&self, looking: &Looking<'_>) -> Result<()> {
        let (pairs, now) = (&self.inner.pairs, self.inner.clock.now());
        if pairs.counts(looking.digest, looking.subject.client, now) {
            self.count_failure(&looking.subject).await?;
        }
        Ok(())
    }

    pub(crate) async fn let_in(&self, looking: &Looking<'_>, start: Instant) -> Result<Outcome> {
        let secret = looking.secret.as_ref().ok_or(AccountsError::Hashing)?;
        if looking.attempt.from.door == Door::Smtp && !secret.smtp_password {
            return self
                .turn_away(looking, None, Reason::PasswordSwitchedOff, start)
                .await;
        }
        let known = (secret.login, looking.subject.client);
        if looking.has_failures || !self.inner.known.contains_key(&known) {
            match self.note_known(secret.login, &looking.subject).await {
                Ok(()) => self.inner.known.insert(known, ()),
                // Whoever knows the password is let in, though nothing can be written.
                Err(error) => tracing::warn!(%error, "a sign-in was not noted"),
            }
        }
        // SMTP has no second step, so there the password is all.
        let half = secret.second_step && looking.attempt.from.door == Door::Web;
        self.note(
            looking,
            match (looking.again, half) {
                (true, _) => Reason::Confirmed,
                (false, true) => Reason::PasswordOnly,
                (false, false) => Reason::SignedIn,
            },
        );
        Ok(Outcome::In(Principal {
            account: secret.account,
            login: Some(secret.login),
            email: secret.email.clone(),
            stamp: secret.stamp,
            via: Via::Login,
        }))
    }

    pub(crate) async fn keep_out(&self, looking: Looking<'_>) -> Result<Outcome> {
        self.count_wrong(&looking).await?;
        let now = self.inner.clock.now();
        let wrong = Wrong {
            digest: looking.digest,
            login: looking
                .secret
                .as_ref()
                .map(|secret| (secret.account, secret.login)),
            password: looking.attempt.password.chars().take(MAX_OCTETS).collect(),
        };
        let tried = Tried::wrong(looking.attempt.login, looking.attempt.from, wrong);
        self.inner.journal.add(tried, now);
        Ok(Outcome::Wrong)
    }

    pub(crate) async fn locked(&self, looking: &Looking<'_>, until: Time, start: Instant) -> Outcome {
        self.note(looking, Reason::Locked { until });
        self.inner.pace.wait_since(start).await;
        Outcome::Locked {
            left: until.since(self.inner.clock.now()),
        }
    }

    fn note(&self, looking: &Looking<'_>, reason: Reason) {
        self.note_with(looking, None, reason);
    }

    fn note_with(&self, looking: &Looking<'_>, credential: Option<&str>, reason: Reason) {
        let Attempt { login, from, .. } = looking.attempt;
        let account = looking.secret.as_ref().map(|secret| secret.account);
        let mut tried = Tried::told(Some(login), from, reason).of(account);
        if let Some(name) = credential {
            tried = tried.with(name);
        }
        self.inner.journal.add(tried, self.inner.clock.now());
    }
}
