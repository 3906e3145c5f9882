//! Signing in with address and password.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use mail::address::Address;
use moka::sync::Cache;
use store::{Id, Ids};
use tokio::task::spawn_blocking;

use crate::directory::LoginSecret;
use crate::password::MAX_OCTETS;
use crate::{Accounts, AccountsError, Principal, Result, Via, hash};

/// How long a verified pair spares its login the next hash.
const REMEMBERED: Duration = Duration::from_mins(15);

/// Pairs of login and password that were verified lately, under a key of this process. The login's stamp is part of
/// the key, so a password change forgets its pairs at once.
pub(crate) struct VerifiedPairs {
    key: hmac::Key,
    seen: Cache<[u8; 32], ()>,
}

impl VerifiedPairs {
    pub(crate) fn new(ids: &Ids) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &ids.secret(32)),
            seen: Cache::builder()
                .max_capacity(20_000)
                .time_to_live(REMEMBERED)
                .build(),
        }
    }

    fn digest(&self, login: Id, stamp: i64, password: &str) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(login.as_bytes());
        context.update(&stamp.to_be_bytes());
        context.update(password.as_bytes());
        context
            .sign()
            .as_ref()
            .try_into()
            .expect("HMAC-SHA-256 has 32 octets")
    }
}

impl Accounts {
    /// Who signs in with this address and password; `None` for a wrong password and an unknown address alike, at the
    /// same cost. The address compares without case, and its domain as U-label or A-label.
    pub async fn verify_password(&self, email: &str, password: &str) -> Result<Option<Principal>> {
        if password.len() > MAX_OCTETS {
            return Ok(None);
        }
        self.refresh().await?;
        let secret = match Address::parse(email) {
            Ok(address) => self.login_secret(&address.login_key()).await?,
            Err(_) => None,
        };
        Ok(self
            .check_secret(secret.as_ref(), password)
            .await?
            .then_some(secret)
            .flatten()
            .map(|secret| Principal {
                account: secret.account,
                login: Some(secret.login),
                email: secret.email.clone(),
                stamp: secret.stamp,
                via: Via::Login,
            }))
    }

    async fn check_secret(&self, secret: Option<&Arc<LoginSecret>>, password: &str) -> Result<bool> {
        let pairs = &self.inner.pairs;
        let digest = secret.map(|secret| pairs.digest(secret.login, secret.stamp, password));
        let remembered = || digest.is_some_and(|digest| pairs.seen.contains_key(&digest));
        if remembered() {
            return Ok(true);
        }
        let turn = self.inner.hasher.turn().await?;
        // Many connections may have waited with the same pair; the first of them answered for all.
        if remembered() {
            return Ok(true);
        }
        let password = password.to_owned();
        let secret = secret.map(Arc::clone);
        let memory = self.inner.hasher.memory();
        let verified = spawn_blocking(move || {
            let _turn = turn;
            hash::verify(
                &memory,
                &password,
                secret.as_ref().map(|secret| secret.password_hash.as_str()),
            )
        })
        .await
        .map_err(|_| AccountsError::Hashing)?;
        if verified && let Some(digest) = digest {
            pairs.seen.insert(digest, ());
        }
        Ok(verified)
    }
}
