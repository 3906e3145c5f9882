//! Signing in with SCRAM-SHA-256, where the operator switched it on: challenges for everybody, keys of those who have any.
//!
//! The keys are made when a password is set, or when it is seen at the next sign-in, and go when SCRAM is switched off: a
//! proof can be checked with them at no cost, and so can a guess by whoever steals them.

use std::num::NonZeroU32;
use std::sync::Arc;

use aws_lc_rs::{hmac, pbkdf2};
use mail::address::Address;
use mail::scram::{Keys, Proof};
use store::{Id, Tx, Value};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::directory::LoginSecret;
use crate::{Accounts, AccountsError, Approach, Attempt, Outcome, Principal, Result};

/// How often a password is hashed for its keys, which is what the client does at each sign-in.
// RFC 7677 section 4 asks for 4,096 at least.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(16_384).expect("more than none");
/// Octets of a salt.
const SALT: usize = 16;

/// What a client is to hash its password with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScramChallenge {
    pub salt: Vec<u8>,
    pub iterations: u32,
    pub nonce: String,
}

/// Somebody proves that they know a password.
#[derive(Clone, Copy)]
pub struct ProofAttempt<'a> {
    pub proof: &'a Proof,
    pub from: &'a Approach,
}

/// What came of it: on success, with what the server proves that it knows the password too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proved {
    In(Principal, String),
    Otherwise(Outcome),
}

/// What salts are made with: one key for the whole installation, so that an unknown login has a salt as steady as any.
#[derive(Clone)]
pub(crate) struct Salts(hmac::Key);

impl Salts {
    fn of(&self, login_key: &str) -> Vec<u8> {
        let tag = hmac::sign(&self.0, login_key.as_bytes());
        tag.as_ref()[..SALT].to_vec()
    }
}

/// Keys about to be stored.
#[derive(Clone, Debug)]
pub(crate) struct MadeKeys(Keys);

impl Accounts {
    /// Switches SCRAM on, for this process, or off, for the installation.
    pub async fn use_scram(&self, on: bool) -> store::Result<()> {
        if !on {
            let forget = |tx: &mut Tx<'_>| tx.run("DELETE FROM scram_keys", &[]);
            return self.inner.db.write("forget the SCRAM keys", forget).await;
        }
        let fresh = self.inner.ids.secret(32);
        let key = move |tx: &mut Tx<'_>| {
            tx.run(
                "INSERT INTO scram_salts (one, secret) VALUES (1, $1) ON CONFLICT (one) DO NOTHING",
                &[Value::Blob(&fresh)],
            )?;
            let row = tx.query_opt("SELECT secret FROM scram_salts WHERE one = 1", &[])?;
            row.map_or_else(|| Ok(fresh.clone()), |row| row.blob(0))
        };
        let key = self.inner.db.write("read what salts are made with", key).await?;
        let salts = Salts(hmac::Key::new(hmac::HMAC_SHA256, &key));
        // Whoever switches it on a second time finds the same key.
        let _: std::result::Result<(), Salts> = self.inner.salts.set(salts);
        Ok(())
    }

    /// What this user is to be challenged with. It tells nothing about who exists: known or not, with keys or without, the salt
    /// follows from the name.
    ///
    /// `None` where SCRAM is not switched on.
    pub fn challenge(&self, username: &str) -> Option<ScramChallenge> {
        let salts = self.inner.salts.get()?;
        Some(ScramChallenge {
            salt: salts.of(&login_key(username)),
            iterations: ITERATIONS.get(),
            nonce: crate::token::base62(&self.inner.ids.secret(24)),
        })
    }

    /// Who signs in with this proof. Locks, counts and reasons are those of a password, but that an old one is not told from a
    /// wrong one.
    pub async fn sign_in_by_proof(&self, attempt: ProofAttempt<'_>) -> Result<Proved> {
        let start = Instant::now();
        let ProofAttempt { proof, from } = attempt;
        self.refresh().await?;
        let key = login_key(&proof.username);
        let secret = match key.as_str() {
            "" => None,
            key => self.login_secret(key).await?,
        };
        // The same look for an unknown login.
        let keys = self.keys_of(secret.as_deref()).await?;
        let fingerprint = proof.fingerprint();
        let attempt = Attempt {
            login: &proof.username,
            password: &fingerprint,
            from,
        };
        let mut looking = self.looking(attempt, secret, false);
        if let Some(until) = self.lock_on(&mut looking).await? {
            return Ok(Proved::Otherwise(self.locked(&looking, until, start).await));
        }
        let _place = self.inner.in_hand.enter(looking.subject.clone()).await;
        if let Some(until) = self.lock_on(&mut looking).await? {
            return Ok(Proved::Otherwise(self.locked(&looking, until, start).await));
        }
        let nobody = Keys {
            stored: [0; 32],
            server: [0; 32],
        };
        let verified = proof.verify(keys.as_ref().unwrap_or(&nobody));
        let Some(message) = verified.filter(|_| keys.is_some()) else {
            let outcome = self.keep_out(looking).await?;
            // As late as one that was right and does not count over SMTP.
            self.inner.pace.wait_since(start).await;
            return Ok(Proved::Otherwise(outcome));
        };
        Ok(match self.let_in(&looking, start).await? {
            Outcome::In(principal) => Proved::In(principal, message),
            otherwise => Proved::Otherwise(otherwise),
        })
    }

    /// The keys of the login's present password.
    async fn keys_of(&self, secret: Option<&LoginSecret>) -> Result<Option<Keys>> {
        let (login, stamp) = secret.map_or((Id::from_bytes([0; 16]), 0), |secret| {
            (secret.login, secret.stamp)
        });
        let read = move |tx: &mut Tx<'_>| {
            tx.query_opt(
                "SELECT stored_key, server_key FROM scram_keys WHERE login = $1 AND stamp = $2 AND iterations = $3",
                &[(&login).into(), stamp.into(), i64::from(ITERATIONS.get()).into()],
            )?
            .map(|row| Ok((row.blob(0)?, row.blob(1)?)))
            .transpose()
        };
        let found = self.inner.db.peek("read SCRAM keys", read).await?;
        Ok(found.and_then(|(stored, server)| {
            Some(Keys {
                stored: stored.try_into().ok()?,
                server: server.try_into().ok()?,
            })
        }))
    }

    /// Makes the keys of a password that was just set, where SCRAM is on.
    pub(crate) async fn scram_keys(&self, email: &str, password: &str) -> Result<Option<MadeKeys>> {
        let Some(salts) = self.inner.salts.get() else {
            return Ok(None);
        };
        let salt = salts.of(&login_key(email));
        // RFC 5802 section 2.2: what cannot be prepared is taken as it is, which is what the client does too.
        let password =
            stringprep::saslprep(password).map_or_else(|_| password.to_owned(), std::borrow::Cow::into_owned);
        let turn = self.inner.hasher.turn(None).await?;
        let salted = spawn_blocking(move || {
            let _turn = turn;
            let mut salted = [0; 32];
            let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
            pbkdf2::derive(algorithm, ITERATIONS, &salt, password.as_bytes(), &mut salted);
            salted
        });
        let salted = salted.await.map_err(|_| AccountsError::Hashing)?;
        Ok(Some(MadeKeys(Keys::of(&salted))))
    }

    /// Makes the keys of a login that has none for the password that it just signed in with.
    pub(crate) async fn keep_scram_keys(&self, secret: Option<&Arc<LoginSecret>>, password: &str) {
        let Some(secret) = secret.filter(|_| self.inner.salts.get().is_some()) else {
            return;
        };
        let kept = async {
            if self.keys_of(Some(secret)).await?.is_some() {
                return Ok(());
            }
            let Some(keys) = self.scram_keys(&secret.email, password).await? else {
                return Ok(());
            };
            let (login, stamp) = (secret.login, secret.stamp);
            let keep = move |tx: &mut Tx<'_>| insert(tx, login, stamp, &keys);
            Ok::<_, AccountsError>(self.inner.db.write("keep SCRAM keys", keep).await?)
        };
        if let Err(error) = kept.await {
            tracing::warn!(login = %secret.login, %error, "SCRAM keys were not made");
        }
    }
}

/// Gives a login the keys of its new password, in the transaction that sets it; without any, those of the old one go.
pub(crate) fn renew(tx: &mut Tx<'_>, login: Id, keys: Option<&MadeKeys>) -> store::Result<()> {
    let Some(keys) = keys else {
        return tx.run("DELETE FROM scram_keys WHERE login = $1", &[(&login).into()]);
    };
    let row = tx.query_opt("SELECT stamp FROM logins WHERE id = $1", &[(&login).into()])?;
    match row {
        Some(row) => insert(tx, login, row.int(0)?, keys),
        None => Ok(()),
    }
}

fn insert(tx: &mut Tx<'_>, login: Id, stamp: i64, keys: &MadeKeys) -> store::Result<()> {
    let MadeKeys(Keys { stored, server }) = keys;
    tx.run(
        "INSERT INTO scram_keys (login, stamp, iterations, stored_key, server_key) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (login) DO UPDATE SET stamp = excluded.stamp, iterations = excluded.iterations, \
         stored_key = excluded.stored_key, server_key = excluded.server_key",
        &[
            (&login).into(),
            stamp.into(),
            i64::from(ITERATIONS.get()).into(),
            Value::Blob(stored),
            Value::Blob(server),
        ],
    )
}

fn login_key(username: &str) -> String {
    Address::parse(username.trim())
        .map(|address| address.login_key())
        .unwrap_or_default()
}
