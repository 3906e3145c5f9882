//! The keys of the installation: made once, the same on every node and in every backup.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::hmac;

use crate::{Accounts, Result, settings, token};

/// The name under which the key of return paths and links is kept.
const SIGNING_KEY: &str = "signing_key";

impl Accounts {
    /// What return paths and links are signed with. From memory but for the first time.
    pub async fn signing_key(&self) -> Result<Arc<hmac::Key>> {
        self.kept_key(SIGNING_KEY, &self.inner.signing_key).await
    }

    /// The key of this name, which is made where there is none yet.
    pub(crate) async fn kept_key(
        &self,
        name: &'static str,
        known: &OnceLock<Arc<hmac::Key>>,
    ) -> Result<Arc<hmac::Key>> {
        if let Some(key) = known.get() {
            return Ok(Arc::clone(key));
        }
        let fresh = token::base62(&self.inner.ids.secret(32));
        let kept = self.inner.db.write("keep a key of the installation", move |tx| {
            settings::get_or_put(tx, name, &fresh)
        });
        let key = Arc::new(hmac::Key::new(hmac::HMAC_SHA256, kept.await?.as_bytes()));
        Ok(Arc::clone(known.get_or_init(|| key)))
    }
}
