//! How long an account's mail is kept, where its people chose otherwise than is configured.

use store::{Id, Tx};

use crate::audit::By;
use crate::{Accounts, Result};

/// What an account chose, in days; nothing is as configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// For the content of messages; 0 is until nobody waits for it.
    pub content: Option<u32>,
    /// For messages, their recipients and attempts.
    pub messages: Option<u32>,
}

/// An account whose stored mail is still to be dated anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dating {
    pub account: Id,
    pub retention: Retention,
    /// The message behind which to go on.
    pub behind: Id,
}

impl Accounts {
    /// What the account chose. As of the last [`Accounts::refresh`], from memory but for the first time.
    pub async fn retention(&self, account: Id) -> Result<Retention> {
        self.view_retention(account).await
    }

    /// Keeps the account's mail for so long from now on, what is there already too. The caller knows the bounds.
    pub async fn choose_retention(&self, account: Id, chosen: Retention, by: &By) -> Result<()> {
        let said = format!(
            "content {}, messages {}",
            shown(chosen.content),
            shown(chosen.messages)
        );
        let first = Id::from_bytes([0; 16]);
        let line = ("choose how long mail is kept", "retention.chosen", said);
        self.choose(account, line, by, move |tx| {
            tx.run(
                "INSERT INTO retention (account, content_days, message_days, behind) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (account) DO UPDATE SET content_days = excluded.content_days, \
                 message_days = excluded.message_days, behind = excluded.behind",
                &[
                    account.into(),
                    chosen.content.into(),
                    chosen.messages.into(),
                    first.into(),
                ],
            )
        })
        .await
    }
}

fn shown(days: Option<u32>) -> String {
    days.map_or_else(|| "as configured".to_owned(), |days| format!("{days} days"))
}

/// What the account chose, as it stands in the database.
pub fn own(tx: &mut Tx<'_>, account: Id) -> store::Result<Retention> {
    let row = tx.query_opt(
        "SELECT content_days, message_days FROM retention WHERE account = $1",
        &[account.into()],
    )?;
    row.map_or(Ok(Retention::default()), |row| {
        Ok(Retention {
            content: days(row.opt_int(0)?),
            messages: days(row.opt_int(1)?),
        })
    })
}

/// The longest time, in days, that any account chose to keep its messages.
pub fn longest(tx: &mut Tx<'_>) -> store::Result<Option<u32>> {
    let row = tx.query_opt("SELECT MAX(message_days) FROM retention", &[])?;
    Ok(days(row.map_or(Ok(None), |row| row.opt_int(0))?))
}

/// An account whose stored mail is still to be dated anew.
pub fn dating(tx: &mut Tx<'_>) -> store::Result<Option<Dating>> {
    let row = tx.query_opt(
        "SELECT account, content_days, message_days, behind FROM retention WHERE behind IS NOT NULL \
         ORDER BY account LIMIT 1",
        &[],
    )?;
    row.map(|row| {
        Ok(Dating {
            account: row.id(0)?,
            retention: Retention {
                content: days(row.opt_int(1)?),
                messages: days(row.opt_int(2)?),
            },
            behind: row.id(3)?,
        })
    })
    .transpose()
}

/// Notes that the account's mail up to a message has its new date; none: all of it.
pub fn dated(tx: &mut Tx<'_>, done: &Dating, up_to: Option<Id>) -> store::Result<()> {
    tx.run(
        // Whoever chose anew meanwhile began at the beginning.
        "UPDATE retention SET behind = $2 WHERE account = $1 AND behind = $3",
        &[done.account.into(), up_to.into(), done.behind.into()],
    )
}

fn days(stored: Option<i64>) -> Option<u32> {
    stored.and_then(|days| u32::try_from(days).ok())
}
