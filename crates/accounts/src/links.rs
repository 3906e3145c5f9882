//! Links in mails of ours: a random token that opens one thing once, kept as its hash until it is used or too old.

use std::time::Duration;

use mail::time::Time;
use store::{Id, Tx, Value};

use crate::token;

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Its subject is the sign-up.
    SignUp,
    /// Its subject is the login.
    Reset,
    /// To open an account. Its subject is the invitation's own.
    Invite,
    /// To become a user of an account. Its subject is the invitation.
    User,
    /// To let an account send as the address. Its subject is the sender address.
    Sender,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::SignUp => "sign_up",
            Self::Reset => "reset",
            Self::Invite => "invite",
            Self::User => "user",
            Self::Sender => "sender",
        }
    }

    pub(crate) const fn life(self) -> Duration {
        match self {
            Self::SignUp => Duration::from_hours(24),
            Self::Reset => Duration::from_mins(30),
            Self::Invite | Self::User | Self::Sender => Duration::from_hours(7 * 24),
        }
    }
}

/// What a token opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) subject: Id,
    /// The address that the link was sent to.
    pub(crate) email: String,
}

/// Remembers a link with this token; it counts from now on.
pub(crate) fn make(
    tx: &mut Tx<'_>,
    purpose: Purpose,
    link: &Link,
    token: &str,
    now: Time,
) -> store::Result<()> {
    tx.run(
        "INSERT INTO links (token_hash, purpose, subject, email, expires_at) VALUES ($1, $2, $3, $4, $5)",
        &[
            Value::Blob(&token::hash(token)),
            purpose.as_str().into(),
            link.subject.into(),
            (&link.email).into(),
            now.plus(purpose.life()).into(),
        ],
    )
}

/// What this token opens, if it is one and not too old.
pub(crate) fn find(
    tx: &mut Tx<'_>,
    purpose: Purpose,
    hash: &[u8; 32],
    now: Time,
) -> store::Result<Option<Link>> {
    let row = tx.query_opt(
        "SELECT subject, email FROM links WHERE token_hash = $1 AND purpose = $2 AND expires_at > $3",
        &[Value::Blob(hash), purpose.as_str().into(), now.into()],
    )?;
    row.map(|row| {
        Ok(Link {
            subject: row.id(0)?,
            email: row.text(1)?,
        })
    })
    .transpose()
}

/// Uses a token up. False where another transaction was quicker, or it is too old by now.
pub(crate) fn consume(tx: &mut Tx<'_>, purpose: Purpose, hash: &[u8; 32], now: Time) -> store::Result<bool> {
    let used = tx.execute(
        "DELETE FROM links WHERE token_hash = $1 AND purpose = $2 AND expires_at > $3",
        &[Value::Blob(hash), purpose.as_str().into(), now.into()],
    )?;
    Ok(used == 1)
}

/// Makes every link about `subject` useless.
pub(crate) fn forget(tx: &mut Tx<'_>, subject: Id) -> store::Result<()> {
    tx.run("DELETE FROM links WHERE subject = $1", &[subject.into()])
}

pub(crate) fn purge(tx: &mut Tx<'_>, now: Time) -> store::Result<()> {
    tx.run("DELETE FROM links WHERE expires_at <= $1", &[now.into()])
}
