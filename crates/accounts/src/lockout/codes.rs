//! Wrong codes for the second step of a login: counted by the login alone, because whoever gives them has its password.

use std::time::Duration;

use mail::time::Time;
use store::{Id, Tx};

use super::rules::{CODES, Record, login_text};
use super::{hold, keep};

/// What stands in the place of a client address.
pub(super) const EVERYWHERE: &str = "";

/// What is remembered of a login's wrong codes. No other transaction looks at it until this one is over, so that many
/// codes given at once are no more tries than one after the other.
pub(crate) struct Codes {
    login_key: String,
    record: Record,
}

impl Codes {
    /// Those of the login with this address. `id` names the row where there is none yet.
    pub(crate) fn of(tx: &mut Tx<'_>, email: &str, id: Id, now: Time) -> store::Result<Self> {
        let login_key = login_text(email);
        let record = hold(tx, id, (EVERYWHERE, &login_key), now)?;
        Ok(Self { login_key, record })
    }

    /// How long nothing is looked at any more.
    pub(crate) fn locked(&self, now: Time) -> Option<Duration> {
        self.record.lock(now).map(|until| until.since(now))
    }

    /// Counts a wrong one.
    pub(crate) fn wrong(mut self, tx: &mut Tx<'_>, now: Time) -> store::Result<()> {
        self.record.fail(&CODES, now);
        keep(tx, (EVERYWHERE, &self.login_key), &self.record, &CODES)
    }
}
