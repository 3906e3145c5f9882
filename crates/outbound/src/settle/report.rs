//! Delivery reports: who is told, and what.

use std::time::Duration;

use accounts::streams;
use mail::dsn::{self, Action, Reported};
use mail::message::Head;
use mail::notify::Notify;

use super::record::Settlement;
use crate::model::{Grip, JobRecipient, Message, Origin, Report, Wants};
use crate::spool::{NewMessage, NewRecipient, Place, Settled};

/// What every report of this service says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reporter {
    pub hostname: String,
    /// How long a report itself is tried.
    pub give_up: Duration,
    /// How long the content of a report is kept; zero: until nobody waits for it.
    pub keep_content: Duration,
}

impl Reporter {
    /// Whom reports come from.
    pub fn address(&self) -> String {
        format!("MAILER-DAEMON@{}", self.hostname)
    }
}

/// The report about these recipients, if their sender wants one.
pub fn of(settlement: &Settlement, kept: &[(&JobRecipient, &Settled)]) -> Option<NewMessage> {
    // RFC 3461 section 6.1 and RFC 5321 section 6.1: nothing is reported to the null sender, and our reports have no other.
    let to = settlement.message.reverse_path.as_ref()?;
    let recipients: Vec<Reported<'_>> = kept
        .iter()
        .filter_map(|(recipient, settled)| reported(settlement, recipient, settled))
        .collect();
    if recipients.is_empty() {
        return None;
    }
    let reporter = &settlement.reporter;
    let message_id = format!("{}@{}", settlement.report_id, reporter.hostname);
    let content = dsn::build(&dsn::Report {
        reporting_mta: &reporter.hostname,
        to,
        message_id: &message_id,
        now: settlement.at,
        arrived: settlement.message.created_at,
        envid: settlement.message.envid.as_deref(),
        ret: settlement.message.ret,
        original: settlement.body.as_deref().unwrap_or_default(),
        recipients: &recipients,
    });
    let subject = Head::parse(&content)
        .ok()
        .and_then(|head| head.subject())
        .unwrap_or_default();
    let origin = Origin {
        via: "own".to_owned(),
        protocol: "REPORT".to_owned(),
        ..Origin::default()
    };
    Some(NewMessage {
        message: Message {
            id: settlement.report_id,
            account: settlement.message.account,
            stream: streams::DEFAULT.to_owned(),
            reverse_path: None,
            header_from: reporter.address(),
            subject,
            ret: None,
            envid: None,
            size: content.len() as u64,
            recipients: 1,
            created_at: settlement.at,
            wants: Wants::default(),
        },
        login: None,
        tags: Vec::new(),
        message_id,
        origin: origin.to_json(),
        content: content.into(),
        keep_until: (!reporter.keep_content.is_zero()).then(|| settlement.at.plus(reporter.keep_content)),
        recipients: vec![NewRecipient {
            recipient: JobRecipient {
                ordinal: 0,
                address: to.clone(),
                notify: Notify::Never,
                orcpt: None,
                attempts: 0,
                expires_at: settlement.at.plus(reporter.give_up),
                warned: false,
                grip: Grip::default(),
            },
            place: Place::Waits {
                until: settlement.at,
                reason: "waiting to be taken up".to_owned(),
            },
        }],
    })
}

fn reported<'a>(
    settlement: &Settlement,
    recipient: &'a JobRecipient,
    settled: &'a Settled,
) -> Option<Reported<'a>> {
    let action = match settled.next.report? {
        Report::Failed => Action::Failed,
        Report::Delayed => Action::Delayed,
        // The local inbox is the end of the way, not a hop on it.
        Report::Relayed if settlement.captured.is_some() => Action::Delivered,
        Report::Relayed => Action::Relayed,
    };
    let outcome = settled.outcome.as_ref();
    Some(Reported {
        address: &recipient.address,
        orcpt: recipient.orcpt.as_deref(),
        action,
        code: outcome.and_then(|outcome| outcome.code),
        enhanced: outcome.and_then(|outcome| outcome.enhanced),
        reply: outcome.map_or(settled.next.reason.as_str(), |outcome| outcome.reply.as_str()),
        host: outcome.and_then(|outcome| outcome.host.as_deref()),
        last_attempt: outcome.map(|outcome| outcome.at),
        // RFC 3464 section 2.3.9
        retry_until: (action == Action::Delayed).then_some(recipient.expires_at),
    })
}
