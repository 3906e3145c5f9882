//! Carriers: each brings messages of one lane to its hosts, over one connection at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mail::address::Address;
use mail::notify::{Notify, Ret};
use mail::reply::Enhanced;
use mail::smtp::client::{Envelope, Fate, Kind, Recipient, check_line_ends};
use mail::time::Time;
use tokio::time::Instant;

use super::connection::{Connection, Handed, Target};
use super::settings::CarrySettings;
use super::tls::{CarryError, Tls};
use super::trouble::Trouble;
use crate::model::{JobRecipient, Outcome, Verdict};
use crate::route::{Plan, Route, Via};

/// So many addresses are tried before the lane waits.
const TRIES: usize = 8;

/// A message ready to go out.
#[derive(Clone, Copy, Debug)]
pub struct Prepared<'a> {
    pub reverse_path: Option<&'a Address>,
    pub recipients: &'a [JobRecipient],
    pub ret: Option<Ret>,
    pub envid: Option<&'a str>,
    /// The message in parts that follow one another (signatures, message); each but the last ends with a line end.
    pub parts: &'a [&'a [u8]],
}

/// What all carriers share.
#[derive(Clone)]
pub struct Transport(Arc<Inner>);

struct Inner {
    settings: CarrySettings,
    tls: Tls,
    /// Varies which of several equal hosts comes first.
    turn: AtomicU64,
}

impl Transport {
    /// Loads the authorities that the route needs.
    pub fn new(settings: CarrySettings, route: &Route) -> Result<Self, CarryError> {
        let tls = Tls::new(route, settings.ca_file.as_deref())?;
        Ok(Self(Arc::new(Inner {
            settings,
            tls,
            turn: AtomicU64::new(0),
        })))
    }

    /// A carrier for the lane of this plan, not connected yet.
    pub fn carrier(&self, plan: Arc<Plan>) -> Carrier {
        Carrier {
            transport: self.clone(),
            plan,
            connection: None,
        }
    }
}

/// Brings messages to the hosts of one plan, one after the other; keeps its connection in between.
pub struct Carrier {
    transport: Transport,
    plan: Arc<Plan>,
    connection: Option<Connection>,
}

impl Carrier {
    /// An open connection is at hand that takes another message.
    pub fn is_connected(&self) -> bool {
        self.connection
            .as_ref()
            .is_some_and(|connection| !self.is_spent(connection))
    }

    fn is_spent(&self, connection: &Connection) -> bool {
        connection.served >= self.transport.0.settings.messages_per_connection
    }

    /// Connects where needed; where nobody can be reached, the outcome for whatever was to be sent.
    pub async fn open(&mut self, now: Time) -> Result<(), Outcome> {
        if self.connection.is_none() {
            let begun = Instant::now();
            let connection = self.connect().await;
            self.connection = Some(connection.map_err(|trouble| unreached_outcome(&trouble, now, begun))?);
        }
        Ok(())
    }

    /// Connects where needed and hands the message over: one outcome per recipient, in order. `now` is when the attempt begins.
    ///
    /// Dropping the future drops the connection with it, so that no half-said transaction is met again.
    pub async fn deliver(&mut self, message: &Prepared<'_>, now: Time) -> Vec<Outcome> {
        let begun = Instant::now();
        if message.parts.iter().any(|part| check_line_ends(part).is_err()) {
            return refused_by_us(message, now);
        }
        let envelope = envelope(message);
        let recipients: Vec<Recipient<'_>> = message.recipients.iter().map(recipient).collect();
        if !self.is_connected() {
            self.close().await;
        }
        loop {
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => match self.connect().await {
                    Ok(connection) => connection,
                    Err(trouble) => {
                        let outcome = unreached_outcome(&trouble, now, begun);
                        return vec![outcome; message.recipients.len()];
                    }
                },
            };
            match connection
                .hand_over(
                    &envelope,
                    &recipients,
                    message.parts,
                    &self.transport.0.settings.timeouts,
                )
                .await
            {
                // A fresh connection is never stale, so this goes round once.
                Handed::Stale => {}
                Handed::Fates(fates) => {
                    let smooth = fates.iter().all(|fate| fate.kind == Kind::Accepted);
                    let transcript = connection.transcript(smooth);
                    let outcomes = fates
                        .into_iter()
                        .zip(message.recipients)
                        .map(|(fate, recipient)| {
                            outcome(fate, recipient, &connection, (now, begun), transcript.clone())
                        })
                        .collect();
                    self.connection = connection.usable().then_some(connection);
                    return outcomes;
                }
            }
        }
    }

    /// Says good-bye to the server, if there is one.
    pub async fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.close(&self.transport.0.settings.timeouts).await;
        }
    }

    /// The first host that takes us; else the trouble with the last that answered, or with the last at all.
    async fn connect(&self) -> Result<Connection, Trouble> {
        let Inner { settings, tls, turn } = &*self.transport.0;
        let Via::Smtp {
            hosts,
            tls: policy,
            login,
            ..
        } = &self.plan.via
        else {
            return Err(Trouble::unreachable("this route leads to no host"));
        };
        let mut answered: Option<Trouble> = None;
        let mut silent: Option<Trouble> = None;
        let addresses = self.plan.via.addresses(turn.fetch_add(1, Ordering::Relaxed));
        for (host, address) in addresses.into_iter().take(TRIES) {
            let target = Target {
                host: &hosts[host].name,
                address,
                tls: *policy,
                login: login.as_ref(),
            };
            match Connection::open(target, settings, tls).await {
                Ok(connection) => return Ok(connection),
                Err(trouble) if trouble.code.is_some() => answered = Some(trouble),
                Err(trouble) => silent = Some(trouble),
            }
        }
        Err(answered
            .or(silent)
            .unwrap_or_else(|| Trouble::unreachable("the host has no address")))
    }
}

/// A message that would let its reader see other lines than we do is sent to nobody.
fn refused_by_us(message: &Prepared<'_>, now: Time) -> Vec<Outcome> {
    // RFC 3463 section 3.7: the message content.
    let text = "The message holds a CR or LF that is no line end, which is not sent";
    let outcome = Outcome::without_reply(Verdict::Bounced, Enhanced::new(5, 6, 0), text, now);
    vec![outcome; message.recipients.len()]
}

fn envelope<'a>(message: &Prepared<'a>) -> Envelope<'a> {
    let eight_bit = !message.parts.iter().all(|part| part.is_ascii());
    Envelope {
        reverse_path: message.reverse_path,
        ret: message.ret,
        envid: message.envid,
        size: message.parts.iter().map(|part| part.len()).sum(),
        eight_bit,
        utf8_headers: eight_bit && message.parts.last().is_some_and(|raw| has_utf8_headers(raw)),
    }
}

fn has_utf8_headers(raw: &[u8]) -> bool {
    mail::message::Head::parse(raw).is_ok_and(|head| !head.bytes().is_ascii())
}

fn recipient(recipient: &JobRecipient) -> Recipient<'_> {
    Recipient {
        address: &recipient.address,
        notify: recipient.notify,
        orcpt: recipient.orcpt.as_deref(),
    }
}

fn outcome(
    fate: Fate,
    recipient: &JobRecipient,
    connection: &Connection,
    (now, begun): (Time, Instant),
    transcript: Arc<str>,
) -> Outcome {
    let verdict = match fate.kind {
        Kind::Accepted => Verdict::Delivered,
        Kind::Temporary => Verdict::Deferred,
        Kind::Permanent => Verdict::Bounced,
    };
    Outcome {
        verdict,
        code: fate.code,
        enhanced: fate.enhanced,
        reply: fate.text.into_owned(),
        host: Some(connection.host.clone()),
        ip: Some(connection.address.ip()),
        tls: connection.tls.clone(),
        duration: begun.elapsed(),
        at: now,
        notify_passed_on: connection.offers_dsn() && recipient.notify != Notify::default(),
        transcript: Some(transcript),
    }
}

/// Where no server took the envelope.
fn unreached_outcome(trouble: &Trouble, now: Time, begun: Instant) -> Outcome {
    Outcome {
        verdict: Verdict::Deferred,
        code: trouble.code,
        enhanced: trouble.enhanced,
        reply: trouble.text.clone(),
        host: trouble.host.clone(),
        ip: trouble.ip,
        tls: None,
        duration: begun.elapsed(),
        at: now,
        notify_passed_on: false,
        transcript: trouble.transcript.clone(),
    }
}
