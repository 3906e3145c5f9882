//! The names that lead here for links: which there are, and how many certificates they may cost an authority.

use std::time::Duration;

use mail::address::Domain;
use mail::time::Time;
use store::{Id, Tx};

use super::records;
use crate::limits::Limit;
use crate::{Accounts, Result};

/// Domains of one account whose links have a name of their own.
const MOST_OF_ACCOUNT: i64 = 20;
/// Domains of all accounts together.
const MOST: i64 = 2_000;
/// Authorities count orders, by the account that they know us by: no more than so many, whoever adds how many domains.
const ORDERS: Limit = Limit {
    what: "certificate orders",
    most: 20,
    window: Duration::from_hours(1),
};
/// Names that come and go, or that lead here for their DNS and nowhere for the authority, use up no other account's share.
const ORDERS_OF_ACCOUNT: Limit = Limit {
    what: "certificate orders of account",
    most: 40,
    window: Duration::from_hours(24),
};

/// Why a certificate is not ordered now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooManyOrders {
    /// Of all accounts together.
    OfAll,
    /// Of this account, until then.
    OfAccount(Duration),
}

impl Accounts {
    /// The names of verified domains that lead here for their links, each with the first account that has it: of one account
    /// the first few, because each costs an authority an order now and then.
    pub async fn link_names(&self) -> Result<Vec<(Domain, Id)>> {
        let read = |tx: &mut Tx<'_>| {
            let sql = "SELECT name, account FROM (SELECT id, name, account, ROW_NUMBER() OVER (PARTITION BY account ORDER BY id) \
                       AS place FROM domains WHERE links = 1 AND state = 'verified') AS named WHERE place <= $2 ORDER BY id LIMIT $1";
            let rows = tx.query(sql, &[MOST.into(), MOST_OF_ACCOUNT.into()])?;
            rows.iter()
                .map(|row| Ok((row.text(0)?, row.id(1)?)))
                .collect::<store::Result<Vec<_>>>()
        };
        let rows = self.inner.db.read("read the names of links", read).await?;
        let mut names: Vec<(Domain, Id)> = Vec::with_capacity(rows.len());
        let mut known = std::collections::HashSet::new();
        for (name, account) in rows {
            if let Ok(name) = Domain::parse(&records::links_name(&name))
                && known.insert(name.clone())
            {
                names.push((name, account));
            }
        }
        Ok(names)
    }
}

/// Whether any account has the domain whose links would have this name.
pub fn has_link_name(tx: &mut Tx<'_>, name: &str) -> store::Result<bool> {
    let Some(domain) = records::domain_of_links(name) else {
        return Ok(false);
    };
    let there = tx.query_opt("SELECT 1 FROM domains WHERE name = $1 LIMIT 1", &[domain.into()])?;
    Ok(there.is_some())
}

/// Counts an order at an authority: with all of them, and with those of `account` where it is for a name that is new.
pub fn count_order(
    tx: &mut Tx<'_>,
    directory: &str,
    account: Option<Id>,
    now: Time,
) -> store::Result<std::result::Result<(), TooManyOrders>> {
    if ORDERS.take(tx, directory, 1, now)?.is_err() {
        return Ok(Err(TooManyOrders::OfAll));
    }
    let Some(account) = account else {
        return Ok(Ok(()));
    };
    if let Err(wait) = ORDERS_OF_ACCOUNT.take(tx, &account.to_string(), 1, now)? {
        ORDERS.give_back(tx, directory, 1)?;
        return Ok(Err(TooManyOrders::OfAccount(wait)));
    }
    Ok(Ok(()))
}
