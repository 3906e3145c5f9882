//! A certificate from an ACME authority: ordered, proven over our own HTTP listener, renewed in time.

use std::path::{Path, PathBuf};
use std::time::Duration;

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Identifier, NewAccount, NewOrder,
    OrderStatus, RetryPolicy,
};
use mail::time::Time;
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use store::Clock;
use tokio::sync::{Mutex, Notify};
use tracing::{info, warn};

use super::challenges::Challenges;
use super::pair::{Facts, Pair};
use crate::config::Acme;
use crate::ops::private::{private_dir, write_private};

/// How often the age of the certificate is looked at.
const LOOK_EVERY: Duration = Duration::from_hours(1);
/// Waits after failures; the last repeats. Authorities count failures by the hour and close the door on the impatient.
pub(super) const PATIENCE: [Duration; 4] = [
    Duration::from_mins(5),
    Duration::from_mins(20),
    Duration::from_hours(1),
    Duration::from_hours(6),
];

/// Why no certificate was issued.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    #[error(
        "the ACME authority {directory} did not answer as it should while {doing}: {source}; see that this machine reaches \
         it, and correct acme.directory or acme.ca_file"
    )]
    Authority {
        directory: String,
        doing: &'static str,
        source: instant_acme::Error,
    },
    #[error(
        "the ACME authority could not verify {domain}: {detail}; port 80 of {domain} has to reach an address of http.listen"
    )]
    NotProven { domain: String, detail: String },
    #[error(
        "the ACME authority offers no http-01 challenge for {0}; wildcards need a certificate of your own in [tls]"
    )]
    NoChallenge(String),
    #[error("the order ended as {0:?}")]
    Ended(OrderStatus),
    #[error("cannot keep {}: {reason}", file.display())]
    Keep { file: PathBuf, reason: String },
    #[error("cannot make the request for a certificate: {0}")]
    Request(#[from] rcgen::Error),
}

/// Keeps one certificate, key and chain in one file, fresh.
pub struct Keeper<'a> {
    acme: &'a Acme,
    dir: &'a Path,
    file: &'a Path,
    challenges: &'a Challenges,
    /// Orders go one after the other: each clears the proofs of the one before.
    turn: &'a Mutex<()>,
}

impl<'a> Keeper<'a> {
    pub fn new(
        acme: &'a Acme,
        (dir, file): (&'a Path, &'a Path),
        (challenges, turn): (&'a Challenges, &'a Mutex<()>),
    ) -> Self {
        Self {
            acme,
            dir,
            file,
            challenges,
            turn,
        }
    }

    /// Orders whenever a certificate is due, for ever. `changed` is called after each new one; `again` ends a wait.
    pub async fn run(&self, clock: &Clock, again: &Notify, changed: impl Fn()) {
        let mut failures = 0;
        loop {
            let wait = if self.due(clock.now()) {
                match self.order().await {
                    Ok(()) => {
                        info!(domains = ?self.names(), "certificate issued by the ACME authority");
                        changed();
                        failures = 0;
                        LOOK_EVERY
                    }
                    Err(error) => {
                        let wait = PATIENCE[failures.min(PATIENCE.len() - 1)];
                        failures += 1;
                        warn!(
                            %error,
                            next_try_in_seconds = wait.as_secs(),
                            "no certificate from the ACME authority, the one in force stays; SIGHUP tries at once"
                        );
                        wait
                    }
                }
            } else {
                LOOK_EVERY
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = again.notified() => {}
            }
        }
    }

    /// Missing, for other names, or with less than a third of its life left.
    fn due(&self, now: Time) -> bool {
        match Pair::read(self.file, self.file) {
            Ok(pair) => self.names().iter().any(|name| !pair.facts.covers(name)) || is_old(&pair.facts, now),
            Err(_) => true,
        }
    }

    fn names(&self) -> Vec<String> {
        self.acme.domains.iter().map(|domain| domain.0.clone()).collect()
    }

    /// One order from account to file.
    pub(super) async fn order(&self) -> Result<(), AcmeError> {
        let _turn = self.turn.lock().await;
        private_dir(self.dir).map_err(|error| keep(self.dir, &error))?;
        let account = self.account().await?;
        let identifiers: Vec<_> = self.names().into_iter().map(Identifier::Dns).collect();
        let mut order = self.told("ordering", account.new_order(&NewOrder::new(&identifiers)).await)?;
        let proven = self.prove(&mut order).await;
        self.challenges.clear();
        proven?;
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(self.names())?;
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&key)?;
        self.told(
            "asking for the certificate",
            order.finalize_csr(request.der()).await,
        )?;
        let chain = self.told(
            "fetching the certificate",
            order.poll_certificate(&RetryPolicy::default()).await,
        )?;
        let both = format!("{}{chain}", key.serialize_pem());
        write_private(self.file, both.as_bytes()).map_err(|error| keep(self.file, &error))
    }

    /// Lays the proofs out and waits until the authority has seen them.
    async fn prove(&self, order: &mut instant_acme::Order) -> Result<(), AcmeError> {
        let mut authorizations = order.authorizations();
        while let Some(next) = authorizations.next().await {
            let mut authorization = self.told("reading what is to be proven", next)?;
            if authorization.status != AuthorizationStatus::Pending {
                continue;
            }
            let domain = authorization.identifier().to_string();
            let mut challenge = authorization
                .challenge(ChallengeType::Http01)
                .ok_or(AcmeError::NoChallenge(domain))?;
            self.challenges.put(
                challenge.token.clone(),
                challenge.key_authorization().as_str().to_owned(),
            );
            self.told("saying that the proof is ready", challenge.set_ready().await)?;
        }
        let polled = order.poll_ready(&RetryPolicy::default()).await;
        // An order that failed may repeat its authorization's error, but not which name that is about.
        if order.state().status == OrderStatus::Invalid {
            return Err(self.why_not(order).await);
        }
        match self.told("waiting for the proof", polled)? {
            OrderStatus::Ready | OrderStatus::Valid => Ok(()),
            other => Err(AcmeError::Ended(other)),
        }
    }

    /// What the authority says it met when it came for the proof.
    async fn why_not(&self, order: &mut instant_acme::Order) -> AcmeError {
        let mut authorizations = order.authorizations();
        while let Some(Ok(authorization)) = authorizations.next().await {
            let problem = authorization
                .challenges
                .iter()
                .find_map(|challenge| challenge.error.as_ref());
            if let Some(problem) = problem {
                let domain = authorization.identifier().to_string();
                return AcmeError::NotProven {
                    domain,
                    detail: problem.to_string(),
                };
            }
        }
        AcmeError::Ended(OrderStatus::Invalid)
    }

    /// The account kept beside the certificate, or a new one.
    async fn account(&self) -> Result<Account, AcmeError> {
        let file = self.dir.join("acme-account.json");
        let directory = self.acme.directory.as_str();
        if let Ok(text) = std::fs::read(&file)
            && let Ok(kept) = serde_json::from_slice::<Kept>(&text)
            && kept.directory == directory
        {
            let restored = self.builder()?.from_credentials(kept.credentials).await;
            return self.told("finding the account", restored);
        }
        let contact = self
            .acme
            .contact
            .as_ref()
            .map(|mailbox| format!("mailto:{}", mailbox.0));
        let contact: Vec<&str> = contact.as_deref().into_iter().collect();
        let new = NewAccount {
            contact: &contact,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let made = self.builder()?.create(&new, directory.to_owned(), None).await;
        let (account, credentials) = self.told("making an account", made)?;
        let kept = Kept {
            directory: directory.to_owned(),
            credentials,
        };
        let text = serde_json::to_vec(&kept).map_err(|error| keep(&file, &error))?;
        write_private(&file, &text).map_err(|error| keep(&file, &error))?;
        Ok(account)
    }

    fn builder(&self) -> Result<instant_acme::AccountBuilder, AcmeError> {
        let built = match &self.acme.ca_file {
            Some(file) => Account::builder_with_root(file),
            None => Account::builder(),
        };
        self.told("setting TLS up", built)
    }

    fn told<T>(&self, doing: &'static str, result: Result<T, instant_acme::Error>) -> Result<T, AcmeError> {
        result.map_err(|source| AcmeError::Authority {
            directory: self.acme.directory.as_str().to_owned(),
            doing,
            source,
        })
    }
}

/// The account as it is kept: an account belongs to the authority that made it.
#[derive(serde::Serialize, serde::Deserialize)]
struct Kept {
    directory: String,
    credentials: AccountCredentials,
}

pub(super) fn is_old(facts: &Facts, now: Time) -> bool {
    let life = facts.not_after.since(facts.not_before);
    facts.not_after.since(now) < life / 3
}

fn keep(file: &Path, reason: &impl ToString) -> AcmeError {
    AcmeError::Keep {
        file: file.to_owned(),
        reason: reason.to_string(),
    }
}
