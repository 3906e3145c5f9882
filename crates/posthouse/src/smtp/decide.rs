//! What the session asks: who signs in, who may send as whom, and whether a message is taken over.

use accounts::{
    AccountsError, Approach, Attempt, LimitOf, Outcome, Principal, ProofAttempt, Proved, Reason, Validity,
    Via,
};
use bytes::Bytes;
use mail::address::Address;
use mail::envelope::Envelope;
use mail::replies;
use mail::sasl::Credentials;
use mail::scram::Proof;
use mail::smtp::server::{AuthMistake, AuthRefused, Verdict};
use outbound::model::Credential;
use outbound::simulator::{self, Told};
use outbound::{Origin, Submission};
use tracing::{debug, info, warn};

use super::connection::Connection;
use super::{Counters, Kind};

impl Connection {
    /// Checks the password. Whatever is wrong, the client hears the same.
    pub(super) async fn sign_in(&mut self, credentials: Credentials) -> Verdict {
        let from = self.approach(credentials.mechanism);
        let attempt = Attempt {
            login: &credentials.username,
            password: &credentials.password,
            from: &from,
        };
        let outcome = self.shared.accounts.sign_in(attempt).await;
        match self.signed_in(outcome) {
            Ok(()) => Verdict::Accept,
            Err(verdict) => verdict,
        }
    }

    /// Checks a proof that the client knows the password; returns the server's own.
    pub(super) async fn prove(&mut self, proof: &Proof) -> Result<String, Verdict> {
        let from = self.approach(proof.mechanism.name());
        let attempt = ProofAttempt { proof, from: &from };
        let (outcome, message) = match self.shared.accounts.sign_in_by_proof(attempt).await {
            Ok(Proved::In(principal, message)) => (Ok(Outcome::In(principal)), message),
            Ok(Proved::Otherwise(outcome)) => (Ok(outcome), String::new()),
            Err(error) => (Err(error), String::new()),
        };
        self.signed_in(outcome).map(|()| message)
    }

    fn signed_in(&mut self, outcome: Result<Outcome, AccountsError>) -> Result<(), Verdict> {
        let refused = match outcome {
            Ok(Outcome::In(principal)) => {
                Counters::add(&self.shared.counters.sign_ins, 1);
                debug!(connection = self.id, account = %principal.account, "signed in");
                if let Some(slot) = &self.slot {
                    slot.signed_in();
                }
                self.principal = Some(principal);
                return Ok(());
            }
            Ok(Outcome::Wrong) => {
                Counters::add(&self.shared.counters.sign_in_failures, 1);
                info!(connection = self.id, client = %self.peer.ip(), "a sign-in failed");
                replies::SIGN_IN_FAILED
            }
            Ok(Outcome::Locked { left }) => {
                Counters::add(&self.shared.counters.sign_in_failures, 1);
                debug!(connection = self.id, client = %self.peer.ip(), "a locked client tried to sign in");
                replies::sign_in_locked(left)
            }
            Ok(Outcome::Busy) => {
                warn!(connection = self.id, "too many sign-ins wait for their turn");
                replies::SIGN_IN_UNAVAILABLE
            }
            Err(error) => {
                self.trouble("a sign-in could not be checked", &error);
                replies::SIGN_IN_UNAVAILABLE
            }
        };
        Err(Verdict::Refuse(refused))
    }

    /// Notes an AUTH that came at the wrong place, so that its owner is told why it fails.
    pub(super) fn note_auth_refused(&self, refused: &AuthRefused) {
        let reason = match refused.mistake {
            AuthMistake::NoTls => Reason::NoTls,
            AuthMistake::WrongPort => Reason::WrongPort,
        };
        let from = self.approach(refused.mechanism);
        self.shared
            .accounts
            .note_attempt(refused.username.as_deref(), &from, reason);
    }

    fn approach(&self, mechanism: &'static str) -> Approach {
        Approach {
            door: accounts::Door::Smtp,
            ip: self.peer.ip(),
            client: self.session.hello().unwrap_or_default().to_owned(),
            port: self.door.port,
            tls: self.tls.clone(),
            mechanism,
        }
    }

    /// Makes a changed password count from the next command on: looks again whenever a signed-in client says something
    /// outside of a message, and asks the database whenever it does so outside of a transaction.
    pub(super) async fn look_at_principal(&mut self) {
        if !self.session.is_signed_in() || self.session.is_receiving_text() {
            return;
        }
        let Some(principal) = &self.principal else { return };
        let accounts = &self.shared.accounts;
        // Trouble with the database is MAIL's to report; whoever only says QUIT need not hear of it.
        if !self.session.is_in_transaction() && accounts.refresh().await.is_ok() {
            self.refreshed = true;
        }
        if let Ok(Validity::SignedOut) = accounts.still_valid_from(principal, Some(self.peer.ip())).await {
            info!(connection = self.id, account = %principal.account, via = principal.via.as_str(), "signed out");
            self.session.close_with(&replies::SIGNED_OUT);
        }
    }

    pub(super) async fn mail(&mut self, reverse_path: Option<Address>) -> Verdict {
        if self.shared.stop.is_cancelled() {
            return Verdict::Close(replies::SHUTTING_DOWN);
        }
        self.arriving = None;
        let judged = match self.may_send(reverse_path.as_ref()).await {
            Ok(Verdict::Accept) => self.hooks_at_mail(reverse_path.as_ref()).await,
            other => other,
        };
        self.sender = reverse_path;
        self.judged(judged, "a sender could not be checked")
    }

    fn judged(&self, judged: Result<Verdict, AccountsError>, trouble: &str) -> Verdict {
        judged.unwrap_or_else(|error| {
            self.trouble(trouble, &error);
            Verdict::Refuse(replies::STORAGE_ERROR)
        })
    }

    async fn may_send(&mut self, reverse_path: Option<&Address>) -> Result<Verdict, AccountsError> {
        let accounts = self.shared.accounts.clone();
        if !self.session.is_signed_in() {
            self.principal = match self.door.kind {
                Kind::Inbound => None,
                Kind::Submission | Kind::Submissions => accounts.by_ip(self.peer.ip()).await?,
            };
        } else if !self.refreshed {
            accounts.refresh().await?;
        }
        let Some(principal) = &self.principal else {
            // A stranger hears at RCPT that nothing is relayed, once it is known where the mail would go.
            return Ok(Verdict::Accept);
        };
        match accounts.still_valid_from(principal, Some(self.peer.ip())).await? {
            Validity::Ok => {}
            Validity::SignedOut => return Ok(Verdict::Close(replies::SIGNED_OUT)),
            Validity::Suspended(reason) => {
                info!(connection = self.id, account = %principal.account, reason, "the account is suspended");
                return Ok(Verdict::Refuse(replies::account_suspended(&reason)));
            }
            Validity::Paused(reason) => {
                info!(connection = self.id, account = %principal.account, reason, "the account is paused");
                return Ok(Verdict::Refuse(replies::account_paused(&reason)));
            }
        }
        if let Some(sender) = reverse_path
            && !accounts.may_send_as(principal, sender).await?
        {
            info!(connection = self.id, account = %principal.account, "a sender was refused");
            return Ok(Verdict::Refuse(replies::SENDER_NOT_ALLOWED));
        }
        let terms = accounts.terms(principal).await?;
        self.rate_left = match &terms {
            Some(terms) => accounts.rate_left(principal, terms).await?,
            None => None,
        };
        // What is kept here takes nothing of the account's day.
        self.quota = if terms.is_some_and(|terms| terms.sandbox) {
            None
        } else {
            accounts.quota(principal).await?
        };
        if let Via::IpRange(_) = principal.via {
            self.session.trust();
            if let Some(slot) = &self.slot {
                slot.signed_in();
            }
        }
        Ok(Verdict::Accept)
    }

    /// Each recipient by itself, so that one that is refused keeps no other out.
    pub(super) async fn rcpt(&mut self, recipient: &Address) -> Verdict {
        if self.door.kind == Kind::Inbound {
            return self.may_report(recipient).await;
        }
        let judged = match self.may_receive(recipient).await {
            Ok(Verdict::Accept) => self.hooks_at_rcpt(recipient).await,
            other => other,
        };
        self.judged(judged, "a recipient could not be checked")
    }

    async fn may_receive(&mut self, recipient: &Address) -> Result<Verdict, AccountsError> {
        let Some(principal) = &self.principal else {
            return Ok(Verdict::Refuse(replies::RELAY_DENIED));
        };
        // The transaction that accepts counts; looking here lets those in that still fit.
        let taken = self.session.recipients() as u64;
        if let Some(rate) = self.rate_left.filter(|rate| rate.left <= taken) {
            debug!(connection = self.id, account = %principal.account, "a credential has sent its limit");
            return Ok(Verdict::Refuse(replies::rate_reached(rate.limit, rate.wait)));
        }
        let accounts = &self.shared.accounts;
        match simulator::tell(recipient, &self.shared.settings.hostname) {
            // It reaches nobody and costs nothing.
            Told::Test(_) => return Ok(Verdict::Accept),
            Told::Unknown => return Ok(Verdict::Refuse(replies::NO_SUCH_TEST_ADDRESS)),
            Told::Other => {}
        }
        if !accounts.may_send_to(principal, [recipient]).await? {
            debug!(connection = self.id, account = %principal.account, "the account is in the sandbox");
            return Ok(Verdict::Refuse(replies::SANDBOXED));
        }
        if let Some(quota) = &mut self.quota
            && let Some(reached) = accounts.fits(quota, recipient).await?
        {
            debug!(connection = self.id, account = %principal.account, "the account's day is used up");
            let first_time = reached.of == LimitOf::FirstTime;
            let reply = replies::day_used_up(reached.most, first_time, reached.opens_in);
            return Ok(Verdict::Refuse(reply));
        }
        Ok(Verdict::Accept)
    }

    pub(super) fn data(&self) -> Verdict {
        let budget = self.shared.budget(self.door.kind);
        if budget.is_spent() {
            warn!(
                connection = self.id,
                octets = budget.used(),
                "too much mail is arriving at once"
            );
            return Verdict::Refuse(replies::BUSY);
        }
        Verdict::Accept
    }

    /// Hands the message to the only door; the 250 follows its being on disk.
    pub(super) async fn message(&mut self, envelope: Envelope, smtputf8: bool, body: Bytes) -> Verdict {
        if self.door.kind == Kind::Inbound {
            return self.arrived(envelope.reverse_path.is_none(), body).await;
        }
        let Some(principal) = self.principal.clone() else {
            return Verdict::Refuse(replies::RELAY_DENIED);
        };
        let account = principal.account;
        let size = body.len();
        let origin = match self.origin(&principal, smtputf8).await {
            Ok(origin) => origin,
            Err(error) => {
                self.trouble("a message could not be checked", &error);
                return Verdict::Refuse(replies::STORAGE_ERROR);
            }
        };
        let submission = Submission {
            principal,
            origin,
            envelope,
            body,
            given: None,
        };
        match self.shared.outbound.accept(submission).await {
            Ok(accepted) => {
                Counters::add(&self.shared.counters.messages, 1);
                info!(
                    connection = self.id,
                    %account,
                    id = %accepted.id,
                    recipients = accepted.recipients,
                    size,
                    "accepted"
                );
                Verdict::AcceptAs(replies::accepted(&accepted.id))
            }
            Err(refused) => {
                Counters::add(&self.shared.counters.messages_refused, 1);
                info!(connection = self.id, %account, size, reply = %refused.0, "a message was refused");
                if refused.0.code == 421 {
                    Verdict::Close(refused.0)
                } else {
                    Verdict::Refuse(refused.0)
                }
            }
        }
    }

    pub(super) async fn origin(
        &self,
        principal: &Principal,
        smtputf8: bool,
    ) -> Result<Origin, AccountsError> {
        let terms = self.shared.accounts.terms(principal).await?;
        Ok(Origin {
            via: "smtp".to_owned(),
            protocol: self.session.protocol(smtputf8).to_owned(),
            ip: Some(self.peer.ip()),
            helo: self.session.hello().map(str::to_owned),
            tls: self.tls.clone(),
            listener: Some(self.door.kind.as_str().to_owned()),
            login: Some(principal.email.clone()),
            credential: terms.map(|terms| Credential {
                id: terms.id.to_string(),
                name: terms.name.clone(),
                sandbox: terms.sandbox,
            }),
        })
    }

    pub(super) fn trouble(&self, what: &str, error: &AccountsError) {
        let error: &dyn std::error::Error = error;
        let cause = error.source().map(ToString::to_string);
        warn!(connection = self.id, %error, cause, "{what}");
    }
}
