//! Asking DNS what sending domains publish: when somebody wants to know, and again and again behind.

use std::net::SocketAddr;
use std::time::Duration;

use accounts::domains::{Answer, Kind, Looked, Question, SendingDomain};
use accounts::{Accounts, AccountsError, By};
use futures_util::{StreamExt as _, stream};
use store::Id;
use tokio::time::{Instant, timeout};

use crate::route::{Names, RouterError};

/// How long one name server has for one answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether a domain's turn has come.
const EVERY: Duration = Duration::from_secs(1);
/// How often it is looked whether a key of the operator is published.
const DELEGATION_EVERY: Duration = Duration::from_mins(1);
/// Domains that are taken at once.
const BATCH: i64 = 20;
/// As many are looked at beside each other, so that silent name servers of one keep no other waiting.
const DOMAINS_AT_ONCE: usize = 20;
/// One domain behind the scenes; it has its turn again.
const LONGEST: Duration = Duration::from_secs(15);

/// Why a domain was not looked at.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    #[error(transparent)]
    Dns(#[from] RouterError),
}

/// Asks the given name servers, or those of the system, now, and notes what they answered.
pub async fn check(
    accounts: &Accounts,
    resolver: &[SocketAddr],
    (account, domain): (Id, Id),
    by: &By,
) -> Result<SendingDomain, CheckError> {
    let questions = accounts.questions(account, domain).await?;
    // A resolver of its own remembers nothing: whoever just published a record wants to know what is there now.
    let names = Names::new(resolver, PATIENCE)?;
    let looked = look(&names, questions).await;
    Ok(accounts.record_check(account, domain, looked, by).await?)
}

/// Questions that are asked of the name servers at once for one domain.
const AT_ONCE: usize = 8;
/// What is kept of an answer: records, and octets of each.
const MOST_RECORDS: usize = 10;
const MOST_OCTETS: usize = 4 * 1024;

async fn look(names: &Names, questions: Vec<Question>) -> Looked {
    let lookups = questions.into_iter().map(|question| async move {
        let answered = match question.kind {
            Kind::Txt => names.texts(&question.name).await,
            Kind::Cname => names.aliases(&question.name).await,
        };
        let answer = match answered {
            // Whoever runs the zone decides how much there is; it is kept and read again and again.
            Ok(found) if found.len() > MOST_RECORDS || found.iter().any(|one| one.len() > MOST_OCTETS) => {
                Answer::Failed("there is more under this name than anybody needs".to_owned())
            }
            Ok(found) => Answer::Found(found),
            Err(reason) => Answer::Failed(reason),
        };
        (question.name, answer)
    });
    Looked {
        findings: stream::iter(lookups).buffer_unordered(AT_ONCE).collect().await,
        resolver: names.servers().to_owned(),
    }
}

/// Looks at each domain when its turn has come, at what the operator publishes for all of them, and removes keys that are needed no
/// more, until `stop`.
pub async fn keep(accounts: Accounts, resolver: Vec<SocketAddr>, stop: impl Future<Output = ()>) {
    let mut stop = std::pin::pin!(stop);
    let mut delegation = Instant::now();
    loop {
        let more = tokio::select! {
            () = &mut stop => return,
            more = round(&accounts, &resolver) => more,
        };
        if delegation <= Instant::now() {
            delegation = Instant::now() + DELEGATION_EVERY;
            tokio::select! {
                () = &mut stop => return,
                looked = timeout(LONGEST, delegated(&accounts, &resolver)) => match looked {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::warn!(%error, "the delegated DKIM keys were not looked at"),
                    Err(_) => tracing::debug!("the name servers of the delegated DKIM keys kept silent"),
                },
            }
        }
        let pause = if more { Duration::ZERO } else { EVERY };
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Looks whether new keys of the operator are published. One that was found stays: its record is not asked for again.
async fn delegated(accounts: &Accounts, resolver: &[SocketAddr]) -> Result<(), CheckError> {
    accounts.start_delegation().await?;
    let questions = accounts.delegation_questions().await?;
    if !questions.is_empty() {
        let names = Names::new(resolver, PATIENCE)?;
        let looked = look(&names, questions).await;
        accounts.record_delegation(looked.findings).await?;
    }
    Ok(())
}

/// Whether there may be more to look at.
async fn round(accounts: &Accounts, resolver: &[SocketAddr]) -> bool {
    let due = match accounts.has_domains_due().await {
        Ok(false) => return false,
        Ok(true) => accounts.domains_due(BATCH).await,
        Err(error) => Err(error),
    };
    let due = match due {
        Ok(due) => due,
        Err(error) => {
            tracing::debug!(%error, "domains cannot be looked at");
            return false;
        }
    };
    let each = stream::iter(&due).for_each_concurrent(DOMAINS_AT_ONCE, |due| async move {
        let place = (due.account, due.domain);
        match timeout(LONGEST, check(accounts, resolver, place, &By::system())).await {
            // Somebody removed it meanwhile.
            Ok(Ok(_) | Err(CheckError::Accounts(AccountsError::NotFound(_)))) => {}
            Ok(Err(error)) => tracing::warn!(domain = %due.domain, %error, "a domain was not looked at"),
            Err(_) => tracing::debug!(domain = %due.domain, "its name servers kept silent"),
        }
    });
    each.await;
    if let Err(error) = accounts.forget_old_keys().await {
        tracing::warn!(%error, "old DKIM keys were not removed");
    }
    due.len() as i64 == BATCH
}
