//! What one attempt at one recipient led to.

use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use mail::bounce::Said;
use mail::reply::Enhanced;
use mail::time::Time;

/// How an attempt ended for one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The next hop took responsibility with a 2xx.
    Delivered,
    /// Not now: a 4xx, a connection that failed, a DNS server that did not answer.
    Deferred,
    /// Never: a 5xx, a domain that does not exist, a null MX.
    Bounced,
}

impl Verdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Deferred => "deferred",
            Self::Bounced => "bounced",
        }
    }
}

/// One attempt at one recipient, as it is recorded.
///
/// Trouble with the whole connection, or with finding a host at all, is an outcome too: the same one for every recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub verdict: Verdict,
    /// SMTP reply code of the remote server; none when no reply was read.
    pub code: Option<u16>,
    pub enhanced: Option<Enhanced>,
    /// The reply's text, or in plain words what failed (`connection refused`).
    pub reply: String,
    /// The host that was asked, when it came that far.
    pub host: Option<String>,
    pub ip: Option<IpAddr>,
    /// Protocol version and cipher, when the connection was encrypted.
    pub tls: Option<String>,
    pub duration: Duration,
    pub at: Time,
    /// The next hop announced DSN and was handed NOTIFY, so that it reports from here on.
    // RFC 3461 section 5.2.2: otherwise a wanted success is reported by us, as "relayed".
    pub notify_passed_on: bool,
    /// What was said, shared by all recipients of the transaction.
    pub transcript: Option<Arc<str>>,
}

impl Outcome {
    /// An outcome without any reply: `what` says in plain words what failed.
    pub fn without_reply(verdict: Verdict, enhanced: Enhanced, what: impl Into<String>, at: Time) -> Self {
        Self {
            verdict,
            code: None,
            enhanced: Some(enhanced),
            reply: what.into(),
            host: None,
            ip: None,
            tls: None,
            duration: Duration::ZERO,
            at,
            notify_passed_on: false,
            transcript: None,
        }
    }

    /// What was said, for telling what kind of refusal it is.
    pub fn said(&self) -> Said<'_> {
        Said {
            code: self.code,
            enhanced: self.enhanced,
            text: &self.reply,
        }
    }

    /// Code, enhanced code and text in one line, as console and DSN show it.
    pub fn summary(&self) -> String {
        one_line(self.code, self.enhanced, &self.reply)
    }
}

/// A reply as console and DSN show it.
pub fn one_line(code: Option<u16>, enhanced: Option<impl Display>, reply: &str) -> String {
    let mut line = String::new();
    if let Some(code) = code {
        line.push_str(&code.to_string());
        line.push(' ');
        if let Some(enhanced) = enhanced {
            line.push_str(&enhanced.to_string());
            line.push(' ');
        }
    }
    line.push_str(reply.trim());
    line
}
