//! AUTH with SCRAM: three lines of the client, and two questions to the driver between them.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::{Exchange, Question, Session, State, Step, Tls};
use crate::replies;
use crate::sasl;
use crate::scram::{Begun, Challenged, Mechanism, ScramError};

/// How far a dialogue has come.
#[derive(Debug)]
pub(super) enum Scram {
    First(Mechanism),
    Proof(Challenged),
    /// The client hears that the server knows the password too, and has the last word.
    // RFC 4954 section 4: success carries no data here, so the last message travels as a challenge.
    Verified,
}

impl Session {
    /// What names the TLS channel, where it can be bound to. Forgotten when TLS starts.
    // RFC 9266
    pub fn bind_channel(&mut self, binding: Option<Vec<u8>>) {
        self.binding = binding;
    }

    /// The mechanisms to offer, the strongest first.
    pub(super) fn mechanisms(&self) -> &'static str {
        match (self.config.scram, self.binds()) {
            (false, _) => "PLAIN LOGIN",
            (true, false) => "SCRAM-SHA-256 PLAIN LOGIN",
            (true, true) => "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN",
        }
    }

    fn binds(&self) -> bool {
        self.tls == Tls::Active && self.binding.is_some()
    }

    /// The mechanism of this name, where it is offered.
    pub(super) fn scram_named(&self, name: &str) -> Option<Mechanism> {
        let offered = Mechanism::parse(name).filter(|_| self.config.scram)?;
        (offered == Mechanism::Plain || self.binds()).then_some(offered)
    }

    /// One line of the client.
    pub(super) fn scram(&mut self, scram: Scram, response: &str) -> Option<Step> {
        let Ok(message) = sasl::decode(response) else {
            return self.refuse(&replies::AUTH_MALFORMED);
        };
        match scram {
            Scram::First(mechanism) => match Begun::read(&message, mechanism, self.binds()) {
                Ok(begun) => {
                    let username = begun.username.clone();
                    Some(self.ask(Question::Challenge(begun), Step::Challenge(username)))
                }
                Err(error) => self.scram_refused(error),
            },
            Scram::Proof(challenged) => match challenged.read(&message, self.binding.as_deref()) {
                Ok(proof) => Some(self.ask(Question::Proof, Step::Proof(proof))),
                Err(error) => self.scram_refused(error),
            },
            Scram::Verified if message.is_empty() => {
                self.signed_in = true;
                self.trusted = true;
                self.say(&replies::SIGNED_IN)
            }
            Scram::Verified => self.refuse(&replies::AUTH_MALFORMED),
        }
    }

    fn scram_refused(&mut self, error: ScramError) -> Option<Step> {
        match error {
            ScramError::Malformed => self.refuse(&replies::AUTH_MALFORMED),
            ScramError::OtherIdentity | ScramError::Binding => {
                self.denied(&Question::SignIn, &replies::SIGN_IN_FAILED)
            }
        }
    }

    /// Answers [`Step::Challenge`]: the salt and the iterations of the user's password, and a fresh nonce without a comma.
    ///
    /// # Panics
    ///
    /// When nothing of the kind was asked: the driver is wrong.
    pub fn challenge(&mut self, salt: &[u8], iterations: u32, nonce: &str) {
        let State::Asked(Question::Challenge(begun)) = std::mem::replace(&mut self.state, State::Commands)
        else {
            panic!("the driver answered what was not asked");
        };
        let challenged = begun.challenge(salt, iterations, nonce);
        let message = BASE64_STANDARD.encode(challenged.message());
        self.state = State::Auth(Exchange::Scram(Scram::Proof(challenged)));
        self.say(&replies::AUTH_CONTINUE.with_text(message));
    }

    /// Answers [`Step::Proof`] with yes and the message that [`crate::scram::Proof::verify`] gave.
    ///
    /// # Panics
    ///
    /// When nothing of the kind was asked: the driver is wrong.
    pub fn verified(&mut self, message: &str) {
        let State::Asked(Question::Proof) = std::mem::replace(&mut self.state, State::Commands) else {
            panic!("the driver answered what was not asked");
        };
        let message = BASE64_STANDARD.encode(message);
        self.state = State::Auth(Exchange::Scram(Scram::Verified));
        self.say(&replies::AUTH_CONTINUE.with_text(message));
    }
}
