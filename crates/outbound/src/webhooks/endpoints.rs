//! Endpoints: where an account wants to be told, of what, and whether that works.

use accounts::By;
use mail::time::Time;
use store::{Id, Result, Row, Tx};

use crate::calls::sign;
use crate::feed::Told;

/// The most endpoints of one account.
pub const MOST_ENDPOINTS: usize = 20;
/// The longest description, in characters.
pub const LONGEST_DESCRIPTION: usize = 200;

/// Why an endpoint is told nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PausedBy {
    /// Somebody of the account.
    Hand,
    /// Its receiver, with a 410.
    Gone,
    /// A week in which every attempt failed.
    Failing,
    /// Somebody of the account, for good: nobody sees it any more, and it goes with the record of what it was told.
    Deleted,
}

impl PausedBy {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hand => "hand",
            Self::Gone => "gone",
            Self::Failing => "failing",
            Self::Deleted => "deleted",
        }
    }

    fn of(text: &str) -> Self {
        match text {
            "gone" => Self::Gone,
            "failing" => Self::Failing,
            "deleted" => Self::Deleted,
            _ => Self::Hand,
        }
    }
}

/// An endpoint. Its secrets stay inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub id: Id,
    pub account: Id,
    pub url: String,
    pub description: String,
    /// None is all.
    pub kinds: Vec<String>,
    /// None is every stream.
    pub stream: Option<String>,
    pub paused: Option<PausedBy>,
    pub created_at: Time,
    /// What happened before is not told.
    pub active_since: Time,
    /// The first failure since the last success.
    pub failing_since: Option<Time>,
    pub(super) secret: Vec<u8>,
    pub(super) old_secret: Option<(Vec<u8>, Time)>,
}

impl Endpoint {
    /// Whether this is what it wants to be told of.
    pub fn wants(&self, told: &Told) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&told.kind))
            && self
                .stream
                .as_ref()
                .is_none_or(|stream| told.data.get("stream").and_then(|one| one.as_str()) == Some(stream))
    }

    /// Until when the secret before the present one signs too.
    pub fn old_secret_until(&self, now: Time) -> Option<Time> {
        self.old_secret
            .as_ref()
            .map(|(_, until)| *until)
            .filter(|until| *until > now)
    }

    /// What signs a message of this moment.
    pub(super) fn signatures(&self, id: &str, now: Time, body: &str) -> String {
        let old = self.old_secret.as_ref().filter(|(_, until)| *until > now);
        let secrets = std::iter::once(self.secret.as_slice()).chain(old.map(|(secret, _)| secret.as_slice()));
        sign::signatures(secrets, id, now.as_secs(), body)
    }
}

const SELECT: &str = "SELECT id, account, url, description, kinds, stream, paused, created_at, active_since, \
     failing_since, secret, old_secret, old_secret_until FROM webhooks";

fn endpoint(row: &Row) -> Result<Endpoint> {
    Ok(Endpoint {
        id: row.id(0)?,
        account: row.id(1)?,
        url: row.text(2)?,
        description: row.text(3)?,
        kinds: row.text(4)?.split_whitespace().map(str::to_owned).collect(),
        stream: Some(row.text(5)?).filter(|stream| !stream.is_empty()),
        paused: row.opt_text(6)?.map(|text| PausedBy::of(&text)),
        created_at: row.time(7)?,
        active_since: row.time(8)?,
        failing_since: row.opt_time(9)?,
        secret: row.blob(10)?,
        old_secret: match (row.opt_bytes(11)?, row.opt_time(12)?) {
            (Some(secret), Some(until)) => Some((Vec::from(secret), until)),
            _ => None,
        },
    })
}

pub fn of_account(tx: &mut Tx<'_>, account: Id) -> Result<Vec<Endpoint>> {
    let sql = format!("{SELECT} WHERE account = $1 ORDER BY id");
    let mut all = tx
        .query(&sql, &[account.into()])?
        .iter()
        .map(endpoint)
        .collect::<Result<Vec<_>>>()?;
    all.retain(|endpoint| endpoint.paused != Some(PausedBy::Deleted));
    Ok(all)
}

/// An endpoint of any account.
pub fn any(tx: &mut Tx<'_>, id: Id) -> Result<Option<Endpoint>> {
    let row = tx.query_opt(&format!("{SELECT} WHERE id = $1"), &[id.into()])?;
    let found = row.map(|row| endpoint(&row)).transpose()?;
    Ok(found.filter(|endpoint| endpoint.paused != Some(PausedBy::Deleted)))
}

pub fn find(tx: &mut Tx<'_>, account: Id, id: Id) -> Result<Option<Endpoint>> {
    Ok(any(tx, id)?.filter(|endpoint| endpoint.account == account))
}

/// Since when somebody wants to be told something; none where nobody does.
pub fn wanted_since(tx: &mut Tx<'_>) -> Result<Option<Time>> {
    let row = tx.query_opt("SELECT min(active_since) FROM webhooks WHERE paused IS NULL", &[])?;
    row.map_or(Ok(None), |row| row.opt_time(0))
}

/// Those that are told something.
pub fn active(tx: &mut Tx<'_>, account: Id) -> Result<Vec<Endpoint>> {
    let mut all = of_account(tx, account)?;
    all.retain(|endpoint| endpoint.paused.is_none());
    Ok(all)
}

/// False where the account has as many as it can have. The caller has seen to it that no other transaction counts meanwhile.
pub fn insert(tx: &mut Tx<'_>, new: &Endpoint) -> Result<bool> {
    if of_account(tx, new.account)?.len() >= MOST_ENDPOINTS {
        return Ok(false);
    }
    tx.run(
        "INSERT INTO webhooks (id, account, url, description, kinds, stream, secret, created_at, active_since) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        &[
            new.id.into(),
            new.account.into(),
            (&new.url).into(),
            (&new.description).into(),
            (&new.kinds.join(" ")).into(),
            new.stream.as_deref().unwrap_or_default().into(),
            (&new.secret).into(),
            new.created_at.into(),
            new.active_since.into(),
        ],
    )?;
    Ok(true)
}

/// Writes what its owner can change.
pub fn update(tx: &mut Tx<'_>, endpoint: &Endpoint) -> Result<()> {
    tx.run(
        "UPDATE webhooks SET url = $2, description = $3, kinds = $4, stream = $5 WHERE id = $1",
        &[
            endpoint.id.into(),
            (&endpoint.url).into(),
            (&endpoint.description).into(),
            (&endpoint.kinds.join(" ")).into(),
            endpoint.stream.as_deref().unwrap_or_default().into(),
        ],
    )
}

/// Puts a new secret in place; the one before signs too until `until`.
pub fn rotate(tx: &mut Tx<'_>, id: Id, secret: &[u8], until: Time) -> Result<()> {
    tx.run(
        "UPDATE webhooks SET old_secret = secret, old_secret_until = $3, secret = $2 WHERE id = $1",
        &[id.into(), secret.into(), until.into()],
    )
}

/// False where it was paused before.
pub fn pause(tx: &mut Tx<'_>, id: Id, by: PausedBy) -> Result<bool> {
    let changed = tx.execute(
        "UPDATE webhooks SET paused = $2 WHERE id = $1 AND paused IS NULL",
        &[id.into(), by.as_str().into()],
    )?;
    Ok(changed > 0)
}

/// False where it was not paused.
pub fn resume(tx: &mut Tx<'_>, id: Id, now: Time) -> Result<bool> {
    let changed = tx.execute(
        "UPDATE webhooks SET paused = NULL, failing_since = NULL, active_since = $2 \
         WHERE id = $1 AND paused IS NOT NULL",
        &[id.into(), now.into()],
    )?;
    Ok(changed > 0)
}

/// Takes it out of sight. What is on record of it is removed little by little.
pub fn delete(tx: &mut Tx<'_>, id: Id) -> Result<()> {
    tx.run(
        "UPDATE webhooks SET paused = $2 WHERE id = $1",
        &[id.into(), PausedBy::Deleted.as_str().into()],
    )
}

/// One that was deleted and still is on record.
pub fn deleted(tx: &mut Tx<'_>) -> Result<Option<Id>> {
    let row = tx.query_opt("SELECT id FROM webhooks WHERE paused = 'deleted' LIMIT 1", &[])?;
    row.map(|row| row.id(0)).transpose()
}

/// Removes one of which nothing is left.
pub fn forget(tx: &mut Tx<'_>, id: Id) -> Result<()> {
    tx.run(
        "DELETE FROM webhooks WHERE id = $1 AND paused = 'deleted'",
        &[id.into()],
    )
}

/// Its receiver took something.
pub fn works(tx: &mut Tx<'_>, id: Id) -> Result<()> {
    tx.run(
        "UPDATE webhooks SET failing_since = NULL WHERE id = $1 AND failing_since IS NOT NULL",
        &[id.into()],
    )
}

/// An attempt failed; true where nothing else happened since `limit`, and it is paused now.
pub fn fails(tx: &mut Tx<'_>, id: Id, now: Time, limit: Time) -> Result<bool> {
    tx.run(
        "UPDATE webhooks SET failing_since = $2 WHERE id = $1 AND failing_since IS NULL",
        &[id.into(), now.into()],
    )?;
    let paused = tx.execute(
        "UPDATE webhooks SET paused = $2 WHERE id = $1 AND paused IS NULL AND failing_since <= $3",
        &[id.into(), PausedBy::Failing.as_str().into(), limit.into()],
    )?;
    Ok(paused > 0)
}

/// Writes a change into the audit log.
pub fn note(
    tx: &mut Tx<'_>,
    at: (Id, Time),
    endpoint: &Endpoint,
    by: &By,
    (action, detail): (&'static str, &str),
) -> Result<()> {
    accounts::audit::note(
        tx,
        at,
        endpoint.account,
        by,
        action,
        &place(&endpoint.url),
        detail,
    )
}

/// Host and port of a URL: path and query may be secrets.
pub fn place(url: &str) -> String {
    let (_, rest) = url.split_once("://").unwrap_or(("", url));
    rest.split(['/', '?']).next().unwrap_or_default().to_owned()
}

/// The endpoints that have something due. A paused one is sent tests only.
pub fn due(tx: &mut Tx<'_>, now: Time) -> Result<Vec<Id>> {
    let active = "SELECT w.id FROM webhooks w WHERE w.paused IS NULL AND EXISTS (SELECT 1 FROM webhook_deliveries d \
         WHERE d.webhook = w.id AND d.state = 'waiting' AND d.due_at <= $1)";
    let tests = "SELECT DISTINCT webhook FROM webhook_deliveries WHERE state = 'waiting' AND kind = 'test' AND due_at <= $1";
    let mut due = Vec::new();
    for sql in [active, tests] {
        for row in tx.query(sql, &[now.into()])? {
            due.push(row.id(0)?);
        }
    }
    Ok(due)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_no_secrets() {
        assert_eq!(place("https://example.com:8443/hook?token=1"), "example.com:8443");
        assert_eq!(place("https://example.com?token=1"), "example.com");
    }
}
