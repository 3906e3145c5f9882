//! One order at an ACME authority, from our account with it to key and chain.

use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Identifier, NewAccount, NewOrder, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use store::Db;

use super::kept::{self, Fault, Turn};
use super::pair::{Pair, PairError};
use crate::config::Acme;

/// An order that is not through by then is given up, before its turn runs out.
const LONGEST: Duration = Duration::from_mins(3);

// RFC 8555 section 6.7
const NO_SUCH_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";

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
    #[error("the ACME authority took longer than {} seconds", LONGEST.as_secs())]
    TooSlow,
    #[error("cannot keep what belongs to the order: {0}")]
    Keep(#[from] store::StoreError),
    #[error("cannot keep our account with the ACME authority: {0}")]
    Credentials(#[from] serde_json::Error),
    #[error("cannot make the request for a certificate: {0}")]
    Request(#[from] rcgen::Error),
    #[error("the ACME authority issued what cannot be used: {0}")]
    Unusable(#[from] PairError),
}

impl AcmeError {
    /// Whom it is about.
    pub(super) fn fault(&self) -> Fault {
        match self {
            Self::NotProven { .. } => Fault::Name,
            _ => Fault::Authority,
        }
    }

    fn is_about_our_account(&self) -> bool {
        let Self::Authority { source, .. } = self else {
            return false;
        };
        matches!(source, instant_acme::Error::Api(problem) if problem.r#type.as_deref() == Some(NO_SUCH_ACCOUNT))
    }
}

/// An authority, with the database where every node finds what it asks for.
pub(super) struct Authority<'a> {
    pub(super) acme: &'a Acme,
    pub(super) db: &'a Db,
}

impl Authority<'_> {
    /// Key and chain in PEM, and what they say.
    pub(super) async fn order(&self, turn: &Turn) -> Result<(String, Pair), AcmeError> {
        let ordered = tokio::time::timeout(LONGEST, self.order_at_leisure(turn)).await;
        let ordered = ordered.unwrap_or(Err(AcmeError::TooSlow));
        if ordered.as_ref().is_err_and(AcmeError::is_about_our_account) {
            // The next order makes another.
            kept::keep_account(self.db, turn, None).await?;
        }
        ordered
    }

    async fn order_at_leisure(&self, turn: &Turn) -> Result<(String, Pair), AcmeError> {
        let account = self.account(turn).await?;
        let names = turn.names();
        let identifiers: Vec<_> = names.iter().cloned().map(Identifier::Dns).collect();
        let mut order = self.told("ordering", account.new_order(&NewOrder::new(&identifiers)).await)?;
        self.prove(turn, &mut order).await?;
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
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
        let pair = Pair::of(&both, "the certificate")?;
        Ok((both, pair))
    }

    /// Lays the proofs out and waits until the authority has seen them.
    async fn prove(&self, turn: &Turn, order: &mut instant_acme::Order) -> Result<(), AcmeError> {
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
            let proof = challenge.key_authorization().as_str().to_owned();
            kept::put_proof(self.db, turn, challenge.token.clone(), proof).await?;
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

    /// The account that all nodes have, or a new one for all of them.
    async fn account(&self, turn: &Turn) -> Result<Account, AcmeError> {
        if let Some(kept) = &turn.credentials {
            let credentials = serde_json::from_str(kept)?;
            let restored = self.builder()?.from_credentials(credentials).await;
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
        let made = self.builder()?.create(&new, turn.directory.clone(), None).await;
        let (account, credentials) = self.told("making an account", made)?;
        kept::keep_account(self.db, turn, Some(serde_json::to_string(&credentials)?)).await?;
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
