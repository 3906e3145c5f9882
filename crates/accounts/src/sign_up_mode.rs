//! Who may open an account: as the configuration says, until an operator chooses otherwise for every node.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use crate::audit::{self, By};
use crate::{Accounts, Result, settings};

/// How often a running server looks, for pages that only show it.
const EVERY: Duration = Duration::from_secs(1);
/// The name under which the operator's choice is kept.
const NAME: &str = "sign_up_mode";

/// Who may open an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignUpMode {
    /// Anybody who confirms an address.
    Open,
    /// Whoever was invited.
    Invite,
    /// Nobody: the operator makes accounts.
    #[default]
    Closed,
}

impl SignUpMode {
    const ALL: [Self; 3] = [Self::Open, Self::Invite, Self::Closed];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Invite => "invite",
            Self::Closed => "closed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text)
    }
}

/// The mode that counts, and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModeInForce {
    pub mode: SignUpMode,
    pub configured: SignUpMode,
    /// The operator's choice, which goes before the configuration.
    pub chosen: Option<SignUpMode>,
}

/// The mode as this process last saw it, for pages that only show it.
pub(crate) struct Seen(AtomicU8);

impl Seen {
    pub(crate) fn new(mode: SignUpMode) -> Self {
        Self(AtomicU8::new(mode as u8))
    }

    fn get(&self) -> SignUpMode {
        let seen = usize::from(self.0.load(Ordering::Relaxed));
        SignUpMode::ALL.get(seen).copied().unwrap_or_default()
    }

    fn set(&self, mode: SignUpMode) {
        self.0.store(mode as u8, Ordering::Relaxed);
    }
}

impl Accounts {
    /// Who may open an account at this moment, whichever node was told.
    pub async fn sign_up_mode(&self) -> Result<ModeInForce> {
        let kept = self
            .inner
            .db
            .peek("read who may open an account", |tx| settings::get(tx, NAME));
        let chosen = kept.await?.as_deref().and_then(SignUpMode::parse);
        let configured = self.inner.settings.sign_up;
        let mode = chosen.unwrap_or(configured);
        self.inner.sign_up_mode.set(mode);
        Ok(ModeInForce {
            mode,
            configured,
            chosen,
        })
    }

    /// Looks again and again until told to stop, so that [`Self::sign_up_mode_seen`] holds what another node chose.
    pub async fn keep_sign_up_mode(self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            if let Err(error) = self.sign_up_mode().await {
                tracing::debug!(%error, "who may open an account cannot be read");
            }
            tokio::select! {
                () = &mut stop => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// The same as of the last look, without a look at the database.
    pub fn sign_up_mode_seen(&self) -> SignUpMode {
        self.inner.sign_up_mode.get()
    }

    /// Chooses who may open an account; nothing is as configured.
    pub async fn choose_sign_up_mode(&self, mode: Option<SignUpMode>, by: &By) -> Result<ModeInForce> {
        let now = self.inner.clock.now();
        let (line, by) = ((self.id(now), now), by.clone());
        let chosen = self.inner.db.write("choose who may open an account", move |tx| {
            match mode {
                Some(mode) => settings::put(tx, NAME, mode.as_str())?,
                None => settings::forget(tx, NAME)?,
            }
            let shown = mode.map_or("as configured", SignUpMode::as_str);
            audit::note(tx, line, None, &by, "sign_up.mode", "", shown)
        });
        chosen.await?;
        self.sign_up_mode().await
    }
}
