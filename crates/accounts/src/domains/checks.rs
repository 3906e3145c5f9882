//! What a domain publishes: asking for it, taking the answers, and doing so again and again.

use std::time::Duration;

use mail::time::Time;
use store::{Id, Topic, Tx};

use super::keys::StoredKey;
use super::records::{self, Algorithm, Findings, Question};
use super::{Host, SendingDomain, Stored, VerifiedBy};
use crate::audit::{self, By};
use crate::changes::bump;
use crate::limits::{Count, Limit};
use crate::{Accounts, AccountsError, Result, notices};

/// How long the record of a key is still needed after a newer key took over: longer than mail waits for delivery.
pub const OVERLAP: Duration = Duration::from_hours(7 * 24);

/// New records are not there at once.
pub(super) const FIRST: Duration = Duration::from_mins(10);
/// A domain that waits for its records is looked at this often: while it is so young, so often.
const PENDING: [(Duration, Duration); 3] = [
    (Duration::from_hours(24), FIRST),
    (Duration::from_hours(7 * 24), Duration::from_hours(1)),
    (Duration::from_hours(30 * 24), Duration::from_hours(24)),
];
/// One that nobody completed for a month.
const FORGOTTEN: Duration = Duration::from_hours(7 * 24);
const VERIFIED: Duration = Duration::from_hours(24);
/// Its records are gone, which may be a slip that somebody is about to mend.
const MISSING: Duration = Duration::from_hours(1);
/// Its owners are told when that lasts.
const TOLD_AFTER: Duration = Duration::from_hours(3);

/// What DNS said about a domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    pub findings: Findings,
    /// The name servers that were asked.
    pub resolver: String,
}

/// A domain whose records are to be looked at now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    pub account: Id,
    pub domain: Id,
}

/// What is to be written after a check.
#[derive(Clone)]
struct Verdict {
    account: Id,
    domain: Id,
    name: String,
    looked: Looked,
    verified: bool,
    /// Keys whose record is there.
    published: Vec<Id>,
    /// Keys that sign from now on, by algorithm: older ones leave.
    newest: Vec<(Algorithm, Id)>,
    /// No record of a verified domain is left, as far as DNS answered.
    missing: bool,
    /// Its owners are told so now.
    tell: bool,
    changes: bool,
    /// Links in its mail may have a name of the domain.
    links: bool,
    next: Time,
}

/// Checks that the people of an account begin: each asks a dozen questions of name servers that somebody else pays for.
const BEGUN: Limit = Limit {
    what: "domain checks of",
    most: 60,
    window: Duration::from_hours(1),
};

impl Accounts {
    /// Counts a check that somebody of an account begins; refused where there were too many of late.
    pub async fn begin_domain_check(&self, account: Id) -> Result<()> {
        let now = self.inner.clock.now();
        let counted = self.inner.db.write("count a check of a domain", move |tx| {
            BEGUN.count(tx, &account.to_string(), now)
        });
        match counted.await? {
            Count::Within(_) => Ok(()),
            Count::Over(wait) => Err(AccountsError::TooOften(wait)),
        }
    }

    /// What a check of this domain asks DNS.
    pub async fn questions(&self, account: Id, id: Id) -> Result<Vec<Question>> {
        let stored = self.stored_domain(account, id).await?;
        Ok(records::questions(
            (&stored.name, stored.id),
            &stored.staged(),
            self.host(),
        ))
    }

    /// Takes what DNS answered. The domain is verified as soon as the record of one of its DKIM keys is published; it
    /// stays so when a later check does not find it, because DNS has bad days and mail in the queue does not wait.
    pub async fn record_check(&self, account: Id, id: Id, looked: Looked, by: &By) -> Result<SendingDomain> {
        let before = self.stored_domain(account, id).await?;
        let now = self.inner.clock.now();
        let verdict = self.verdict(before, looked, now);
        let (audit, by, me) = (self.id(now), by.clone(), self.clone());
        self.inner
            .db
            .write("note what a domain publishes", move |tx| {
                verdict.write(tx, (audit, now), &by)?;
                if verdict.tell {
                    notices::domain_missing(tx, account, &verdict.name, &mut || me.id(now), now)?;
                }
                Ok(())
            })
            .await?;
        self.domain(account, id).await
    }

    fn verdict(&self, before: Stored, looked: Looked, now: Time) -> Verdict {
        let signed_before = before.signing_keys(self.host());
        let returned_before = before.return_path(self.host());
        let linked_before = before.links(self.host());
        let before_checked = before.checked_at;
        let after = Stored {
            findings: looked.findings.clone(),
            ..before
        };
        let published: Vec<Id> = after
            .unretired()
            .filter(|key| after.is_found(key) == Some(true))
            .map(|key| key.id)
            .collect();
        let newest = after
            .signing(self.host())
            .into_iter()
            .filter(|key| published.contains(&key.id))
            .map(|key| (key.key.algorithm, key.id))
            .collect();
        let leads = after.leads().any(self.host());
        let missing = after.verified.is_some()
            && !leads
            && after.unretired().all(|key| after.is_found(key) == Some(false))
            && after.leads().answered(self.host());
        let verify = (leads || !published.is_empty()) && after.verified.is_none();
        // A bad day of DNS tells nobody anything; a slip may be mended within the hour.
        let since = after.missing_since.filter(|_| missing);
        let told = |since: Time| since.plus(TOLD_AFTER);
        let proved = matches!(after.verified, Some((VerifiedBy::Dns, _)));
        let tell = since.filter(|_| proved).is_some_and(|since| {
            now >= told(since) && before_checked.is_none_or(|checked| checked < told(since))
        });
        Verdict {
            account: after.account,
            domain: after.id,
            name: after.name.to_unicode().into_owned(),
            verified: verify,
            newest,
            missing,
            tell,
            changes: verify
                || after.signing_keys(self.host()) != signed_before
                || after.return_path(self.host()) != returned_before
                || after.links(self.host()) != linked_before,
            links: after.links(self.host()).is_some(),
            next: now.plus(gap(&after, verify, missing, now)),
            published,
            looked,
        }
    }

    /// Domains whose turn it is, each for one node: its next turn is set before it is looked at, so that one which cannot
    /// be looked at keeps no others waiting.
    pub async fn domains_due(&self, most: i64) -> Result<Vec<Due>> {
        let now = self.inner.clock.now();
        let later = now.plus(MISSING);
        Ok(self
            .inner
            .db
            .write("take domains to look at", move |tx| {
                let due = tx.query(
                    "SELECT id, account, next_check_at FROM domains WHERE next_check_at <= $1 ORDER BY next_check_at LIMIT $2",
                    &[now.into(), most.into()],
                )?;
                let mut taken = Vec::with_capacity(due.len());
                for row in due {
                    let domain = row.id(0)?;
                    let mine = tx.execute(
                        "UPDATE domains SET next_check_at = $3 WHERE id = $1 AND next_check_at = $2",
                        &[(&domain).into(), row.int(2)?.into(), later.into()],
                    )?;
                    if mine == 1 {
                        taken.push(Due {
                            account: row.id(1)?,
                            domain,
                        });
                    }
                }
                Ok(taken)
            })
            .await?)
    }

    /// Whether any domain's turn has come; cheap, for a poll.
    pub async fn has_domains_due(&self) -> Result<bool> {
        let now = self.inner.clock.now();
        Ok(self
            .inner
            .db
            .read("look for domains to look at", move |tx| {
                let due = "SELECT 1 FROM domains WHERE next_check_at <= $1 LIMIT 1";
                Ok(tx.query_opt(due, &[now.into()])?.is_some())
            })
            .await?)
    }

    /// Removes keys that left long enough ago.
    pub async fn forget_old_keys(&self) -> Result<u64> {
        let long_ago = self.inner.clock.now().minus(OVERLAP);
        Ok(self
            .inner
            .db
            .write("remove old DKIM keys", move |tx| {
                tx.execute(
                    "DELETE FROM dkim_keys WHERE retired_at IS NOT NULL AND retired_at <= $1",
                    &[long_ago.into()],
                )
            })
            .await?)
    }
}

fn gap(domain: &Stored, verify: bool, missing: bool, now: Time) -> Duration {
    if missing {
        return MISSING;
    }
    if domain.verified.is_some() || verify {
        let waiting = domain
            .staged()
            .iter()
            .any(|key| key.stage == records::Stage::Next);
        return if waiting { MISSING } else { VERIFIED };
    }
    let age = now.since(domain.created_at);
    PENDING
        .iter()
        .find(|(young, _)| age < *young)
        .map_or(FORGOTTEN, |(_, gap)| *gap)
}

impl Verdict {
    fn write(&self, tx: &mut Tx<'_>, (audit, now): (Id, Time), by: &By) -> store::Result<()> {
        let findings = serde_json::to_string(&self.looked.findings).expect("texts in a map are always JSON");
        tx.run(
            "UPDATE domains SET checked_at = $2, findings = $3, resolver = $4, next_check_at = $5, \
             missing_since = CASE WHEN $6 = 0 THEN NULL ELSE COALESCE(missing_since, $2) END, links = $7 WHERE id = $1",
            &[
                (&self.domain).into(),
                now.into(),
                (&findings).into(),
                (&self.looked.resolver).into(),
                self.next.into(),
                self.missing.into(),
                self.links.into(),
            ],
        )?;
        for key in &self.published {
            tx.run(
                "UPDATE dkim_keys SET published_at = $2 WHERE id = $1 AND published_at IS NULL",
                &[key.into(), now.into()],
            )?;
        }
        for (algorithm, newest) in &self.newest {
            tx.run(
                // An older one of the other algorithm that nobody published keeps nothing going.
                "UPDATE dkim_keys SET retired_at = $4 WHERE domain = $1 AND id < $3 AND retired_at IS NULL \
                 AND (algorithm = $2 OR (published_at IS NULL AND created_at < \
                 (SELECT k.created_at FROM dkim_keys k WHERE k.id = $3)))",
                &[
                    (&self.domain).into(),
                    algorithm.as_str().into(),
                    newest.into(),
                    now.into(),
                ],
            )?;
        }
        if self.verified {
            let verified = tx.execute(
                "UPDATE domains SET state = 'verified', verified_by = 'dns', verified_at = $2 \
                 WHERE id = $1 AND state <> 'verified'",
                &[(&self.domain).into(), now.into()],
            )?;
            if verified == 1 {
                audit::note(
                    tx,
                    (audit, now),
                    self.account,
                    by,
                    "domain.verified",
                    &self.name,
                    "",
                )?;
            }
        }
        if self.changes {
            bump(tx, self.account)?;
            tx.ring(Topic::Changes);
        }
        Ok(())
    }
}

impl Stored {
    pub(super) fn unretired(&self) -> impl Iterator<Item = &StoredKey> {
        self.keys.iter().filter(|key| key.retired_at.is_none())
    }

    /// What the last check found of the key's record; none where DNS did not answer or was not asked.
    fn is_found(&self, key: &StoredKey) -> Option<bool> {
        records::is_found(&self.name, &key.key, &self.findings)
    }

    /// The newest key of each algorithm whose record is there. Where none is, the one that the domain leads to, or the oldest ones: a signature that nobody can
    /// check does no harm, and DNS may have been down when we looked.
    pub(super) fn signing(&self, host: Host<'_>) -> Vec<&StoredKey> {
        let published = |key: &&StoredKey| self.is_found(key).unwrap_or(key.published_at.is_some());
        let newest = |algorithm: Algorithm| {
            self.unretired()
                .filter(|key| key.key.algorithm == algorithm)
                .filter(published)
                .last()
        };
        let signing: Vec<_> = Algorithm::ALL.into_iter().filter_map(newest).collect();
        if !signing.is_empty() {
            return signing;
        }
        let trusted = matches!(self.verified, Some((VerifiedBy::Dns, _)));
        if let Some(key) = self.leads().key(&self.delegated, host, trusted) {
            return vec![key];
        }
        let oldest = |algorithm| self.unretired().find(|key| key.key.algorithm == algorithm);
        Algorithm::ALL.into_iter().filter_map(oldest).collect()
    }
}
