//! What comes in through the only door, and what the door answers.

use std::net::IpAddr;

use accounts::Principal;
use bytes::Bytes;
use mail::envelope::Envelope;
use mail::message::Steering;
use mail::reply::Reply;
use serde::{Deserialize, Serialize};
use store::Id;

/// A message somebody wants sent.
#[derive(Clone, Debug)]
pub struct Submission {
    pub principal: Principal,
    pub origin: Origin,
    pub envelope: Envelope,
    /// The message as it came in: CRLF line ends, dot-stuffing already undone.
    pub body: Bytes,
    /// What its sender says about it, where that does not stand in its header.
    pub given: Option<Given>,
}

/// What a sender says beside the message.
#[derive(Clone, Debug)]
pub struct Given {
    pub steering: Steering,
    /// What tells its content from another's, where it has an idempotency key: a message that is composed here never has the
    /// same octets twice.
    pub digest: Option<[u8; 32]>,
}

/// How and from where a message came in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The road: `smtp`, `api`, `command` or `own` for our own notices and reports.
    pub via: String,
    /// The `with` word of the Received line: `ESMTPSA`, `HTTP`.
    // RFC 5321 section 4.4 and RFC 3848
    pub protocol: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub helo: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tls: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub listener: Option<String>,
    /// E-mail address of the login that sent it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub login: Option<String>,
    /// The named SMTP credential that it signed in with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub credential: Option<Credential>,
}

/// A named SMTP credential as it was called when the message came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    pub id: String,
    pub name: String,
    /// The message was kept in the local inbox, and nobody was sent anything.
    #[serde(default)]
    pub sandbox: bool,
}

/// The road and the word of mail that the server writes about an account.
const NOTICE: (&str, &str) = ("own", "NOTICE");

impl Origin {
    /// Of a mail of our own about an account. What holds links is told from other mail by this alone.
    pub fn notice() -> Self {
        Self {
            via: NOTICE.0.to_owned(),
            protocol: NOTICE.1.to_owned(),
            ..Self::default()
        }
    }

    pub fn is_notice(&self) -> bool {
        (self.via.as_str(), self.protocol.as_str()) == NOTICE
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts and addresses are always JSON")
    }
}

/// A message that is on disk: from here on it is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    pub id: Id,
    pub recipients: usize,
    /// It had been accepted before, under the same idempotency key; nothing happened this time.
    pub again: bool,
}

/// A message that was not taken, with the answer for whoever brought it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("refused: {0}")]
pub struct Refused(pub Reply);
