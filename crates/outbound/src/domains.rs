//! Asking DNS what sending domains publish: when somebody wants to know, and again and again behind.

use std::net::SocketAddr;
use std::time::Duration;

use accounts::domains::{Answer, Kind, Looked, Question, SendingDomain};
use accounts::{Accounts, AccountsError, By};
use store::Id;

use crate::route::{Names, RouterError};

/// How long one name server has for one answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether a domain's turn has come.
const EVERY: Duration = Duration::from_secs(1);
/// Domains that are taken at once.
const BATCH: i64 = 20;

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

async fn look(names: &Names, questions: Vec<Question>) -> Looked {
    let lookups = questions.into_iter().map(|question| async move {
        let answered = match question.kind {
            Kind::Txt => names.texts(&question.name).await,
            Kind::Cname => names.aliases(&question.name).await,
        };
        let answer = match answered {
            Ok(found) => Answer::Found(found),
            Err(reason) => Answer::Failed(reason),
        };
        (question.name, answer)
    });
    Looked {
        findings: futures_util::future::join_all(lookups)
            .await
            .into_iter()
            .collect(),
        resolver: names.servers().to_owned(),
    }
}

/// Looks at each domain when its turn has come, and removes keys that are needed no more, until `stop`.
pub async fn keep(accounts: Accounts, resolver: Vec<SocketAddr>, stop: impl Future<Output = ()>) {
    let mut stop = std::pin::pin!(stop);
    loop {
        let more = tokio::select! {
            () = &mut stop => return,
            more = round(&accounts, &resolver) => more,
        };
        let pause = if more { Duration::ZERO } else { EVERY };
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
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
    for due in &due {
        let checked = check(accounts, resolver, (due.account, due.domain), &By::system()).await;
        match checked {
            // Somebody removed it meanwhile.
            Ok(_) | Err(CheckError::Accounts(AccountsError::NotFound(_))) => {}
            Err(error) => tracing::warn!(domain = %due.domain, %error, "a domain was not looked at"),
        }
    }
    if let Err(error) = accounts.forget_old_keys().await {
        tracing::warn!(%error, "old DKIM keys were not removed");
    }
    due.len() as i64 == BATCH
}
