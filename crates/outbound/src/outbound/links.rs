//! What recipients do by their links, as whoever answers them hands it in.

use accounts::{AccountsError, StreamKind};
use mail::address::Address;
use store::{Result, Tx};

use super::Outbound;
use crate::personal;
use crate::suppressions::EVERY_STREAM;
use crate::token::{self, About, Purpose};
use crate::unsubscribe::{self, Change, Changed, Reader, Standing};

/// What a recipient gets of an account, and what it does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preferences {
    pub reader: Reader,
    /// What the account is called where people see it; its address where it has no name.
    pub name: String,
    /// The stream of the message first, then the others that one can leave.
    pub streams: Vec<Subscription>,
    /// How the address stands for all of them.
    pub every: Standing,
}

/// A stream and how the recipient stands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    pub slug: String,
    pub name: String,
    pub standing: Standing,
}

impl Outbound {
    /// Whom a link to unsubscribe stands for; none where this installation did not sign it within its time.
    pub async fn unsubscribe_link(&self, token: &str) -> accounts::Result<Option<About>> {
        let parts = &self.0.parts;
        let key = parts.accounts.signing_key().await?;
        Ok(token::read(&key, Purpose::Unsubscribe, token, parts.clock.now()))
    }

    /// The same of an address.
    pub async fn unsubscribe_address(&self, address: &Address) -> accounts::Result<Option<About>> {
        // Before the key is asked for: strangers try addresses, and most are none.
        match personal::token_of(address) {
            Some(token) => self.unsubscribe_link(token).await,
            None => Ok(None),
        }
    }

    /// What the recipient of a message gets; none where the message is gone.
    pub async fn preferences(&self, about: About) -> accounts::Result<Option<Preferences>> {
        let parts = &self.0.parts;
        let db = &parts.db;
        let found = db
            .peek("find whom a link is about", move |tx| {
                unsubscribe::reader(tx, about)
            })
            .await?;
        let Some(reader) = found else { return Ok(None) };
        let account = match parts.accounts.account(reader.account).await {
            Ok(account) => account,
            Err(AccountsError::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut streams = parts.accounts.streams(reader.account).await?;
        streams.retain(|one| {
            let left_by_link = one.unsubscribe || one.kind == StreamKind::Marketing;
            one.slug == reader.stream || left_by_link && one.archived_at.is_none()
        });
        streams.sort_by_key(|one| one.slug != reader.stream);
        let slugs: Vec<String> = streams.iter().map(|one| one.slug.clone()).collect();
        let of = reader.clone();
        let standings = db
            .peek("look what a recipient gets", move |tx: &mut Tx<'_>| {
                unsubscribe::standings(tx, &of, &slugs)
            })
            .await?;
        let standing = |slug: &str| standings.get(slug).copied().unwrap_or(Standing::Subscribed);
        let streams = streams.into_iter().map(|one| Subscription {
            standing: standing(&one.slug),
            slug: one.slug,
            name: one.name,
        });
        Ok(Some(Preferences {
            name: called(&account.name, &reader.from),
            streams: streams.collect(),
            every: standing(EVERY_STREAM),
            reader,
        }))
    }

    /// Does what a recipient says by its link. Once it returns, it is durable.
    pub async fn change_by_link(&self, change: Change) -> Result<Changed> {
        let parts = &self.0.parts;
        let now = parts.clock.now();
        let id = parts.ids.next(now);
        let changed = parts
            .db
            .write("change what a recipient gets", move |tx| {
                unsubscribe::change(tx, (id, now), &change)
            })
            .await?;
        if changed == Changed::Yes {
            self.0.counters.changed_by_link.add(1);
        }
        Ok(changed)
    }
}

/// An account is called by its first login until somebody names it, and that is nobody's to know.
fn called(name: &str, from: &str) -> String {
    if !name.contains('@') {
        return name.to_owned();
    }
    from.rsplit('@').next().unwrap_or_default().to_owned()
}
