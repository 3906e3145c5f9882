//! Whether an account's mail may be tracked at all: what the account and its domains say stands over messages and streams.
//!
//! A message asks for what is tracked of it, else its stream does. The domain of its From and its account only ever take away.

use mail::address::Domain;
use store::Id;

use crate::audit::By;
use crate::{Accounts, Result};

/// What may be tracked; what may not is not tracked, whoever asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MayTrack {
    pub opens: bool,
    pub clicks: bool,
}

impl MayTrack {
    pub const ALL: Self = Self {
        opens: true,
        clicks: true,
    };
    pub(crate) const NOTHING: Self = Self {
        opens: false,
        clicks: false,
    };

    /// In words, for a line of the audit log.
    pub(crate) fn said(self) -> String {
        let one = |may| if may { "as messages and streams say" } else { "off" };
        format!("opens {}, clicks {}", one(self.opens), one(self.clicks))
    }
}

impl Accounts {
    /// What may be tracked of the account's mail from `domain`. As of the last [`Accounts::refresh`], from memory but for the
    /// first time.
    pub async fn may_track(&self, account: Id, domain: &Domain) -> Result<MayTrack> {
        self.view_may_track(account, domain).await
    }

    /// Whether anything of the account's mail may be tracked.
    pub async fn tracks(&self, account: Id) -> Result<bool> {
        self.view_tracks(account).await
    }

    /// Lets messages, streams and domains decide what is tracked, or switches tracking off for all mail that is accepted from now
    /// on.
    pub async fn switch_tracking(&self, account: Id, tracks: bool, by: &By) -> Result<()> {
        let said = if tracks {
            "as messages, streams and domains say"
        } else {
            "off"
        };
        let line = ("switch tracking", "tracking.switched", said.to_owned());
        self.choose(account, line, by, move |tx| {
            tx.run(
                "UPDATE accounts SET tracks = $2 WHERE id = $1",
                &[account.into(), tracks.into()],
            )
        })
        .await
    }
}
