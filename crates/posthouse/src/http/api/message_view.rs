//! One message with everything that happened to it, as the API shows it.

use std::collections::BTreeMap;

use mail::reply::Enhanced;
use mail::time::Time;
use outbound::history::{Attempt, Detail, Recipient};
use outbound::model::{Origin, Unsubscribe, Wants};
use outbound::tracking::Engaged;
use serde::Serialize;
use store::events::Logged;
use utoipa::ToSchema;

/// A message and what became of it.
#[derive(Serialize, ToSchema)]
#[schema(as = Message)]
pub struct MessageView {
    id: String,
    #[schema(format = DateTime)]
    created_at: String,
    /// The address in the From header.
    #[schema(example = "alice@example.com")]
    from: String,
    subject: String,
    /// The slug of the stream that it went in.
    #[schema(example = "transactional")]
    stream: String,
    /// In lower case.
    #[schema(example = json!(["order"]))]
    tags: Vec<String>,
    /// In bytes.
    size: u64,
    recipient_count: u64,
    /// How many recipients are in each state.
    #[schema(example = json!({"delivered": 2, "deferred": 1}))]
    states: BTreeMap<String, u64>,
    /// The envelope sender, where reports go; empty for the null sender.
    reverse_path: String,
    /// Without its angle brackets.
    message_id: String,
    /// The envelope identifier that the client gave (RFC 3461).
    #[schema(required = true)]
    envid: Option<String>,
    origin: OriginView,
    wants: WantsView,
    /// Whether content, source and HTML can still be read.
    content_available: bool,
    /// Until when at least; null while somebody waits for it or when it is gone.
    #[schema(required = true, format = DateTime)]
    content_kept_until: Option<String>,
    recipients: Vec<RecipientView>,
    /// What happened, in order.
    events: Vec<MessageEvent>,
}

/// What each recipient's copy has of its own, as the message or its stream said when it was accepted.
#[derive(Serialize, ToSchema)]
#[schema(as = MessageWants)]
struct WantsView {
    /// `none`; `named`: where the message names it, and in its header; `appended`: at the end of a text that does not name it, too.
    #[schema(example = "appended")]
    unsubscribe: &'static str,
    track_opens: bool,
    track_clicks: bool,
}

impl From<Wants> for WantsView {
    fn from(wants: Wants) -> Self {
        Self {
            unsubscribe: match wants.unsubscribe {
                Unsubscribe::No => "none",
                Unsubscribe::Named => "named",
                Unsubscribe::Yes => "appended",
            },
            track_opens: wants.track_opens,
            track_clicks: wants.track_clicks,
        }
    }
}

/// How a message came in.
#[derive(Serialize, ToSchema)]
#[schema(as = Origin)]
struct OriginView {
    /// `smtp`, `api`, `command`, or `own` for our own reports.
    #[schema(example = "smtp")]
    via: String,
    #[schema(example = "ESMTPSA")]
    protocol: String,
    #[schema(required = true)]
    ip: Option<String>,
    /// What the client called itself.
    #[schema(required = true)]
    helo: Option<String>,
    /// Version and cipher.
    #[schema(required = true)]
    tls: Option<String>,
    #[schema(required = true)]
    listener: Option<String>,
    /// The login that sent it.
    #[schema(required = true)]
    login: Option<String>,
    /// The named SMTP credential that it was sent with.
    #[schema(required = true)]
    credential: Option<OriginCredential>,
}

/// A named SMTP credential as it was called when the message came.
#[derive(Serialize, ToSchema)]
struct OriginCredential {
    id: String,
    #[schema(example = "Web shop")]
    name: String,
    /// The message was kept in the local inbox: nobody received it, and it cost nothing.
    sandbox: bool,
}

/// One envelope recipient.
#[derive(Serialize, ToSchema)]
#[schema(as = Recipient)]
struct RecipientView {
    /// Its number within the message.
    ordinal: u32,
    address: String,
    #[schema(example = "deferred")]
    state: String,
    /// Why it is in this state, as the machine noted it.
    reason: String,
    /// The same in words that need no manual; null where there is nothing to explain.
    #[schema(required = true)]
    explanation: Option<String>,
    /// What kind of bounce or deferral it is, such as `unknown_mailbox`; null where it is neither.
    #[schema(required = true, example = "unknown_mailbox")]
    class: Option<String>,
    attempts: Vec<AttemptView>,
    /// When it is tried next; null where it does not wait.
    #[schema(required = true, format = DateTime)]
    next_at: Option<String>,
    /// When it is given up.
    #[schema(format = DateTime)]
    expires_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    /// When it was opened for the first time by a person, as far as that is tracked.
    #[schema(required = true, format = DateTime)]
    opened_at: Option<String>,
    /// How often it was opened, machines left out.
    opens: u64,
    /// When a link in it was followed for the first time by a person, as far as that is tracked.
    #[schema(required = true, format = DateTime)]
    clicked_at: Option<String>,
    /// How often a link in it was followed, machines left out.
    clicks: u64,
}

/// One attempt at one recipient.
#[derive(Serialize, ToSchema)]
#[schema(as = Attempt)]
struct AttemptView {
    /// From 1.
    number: u32,
    #[schema(format = DateTime)]
    at: String,
    duration_ms: u64,
    /// `delivered`, `deferred` or `bounced`.
    #[schema(example = "delivered")]
    outcome: String,
    /// The SMTP reply code; null when no reply was read.
    #[schema(required = true, example = 250)]
    code: Option<u16>,
    #[schema(required = true, example = "2.0.0")]
    enhanced: Option<String>,
    /// The reply's text, or what failed.
    reply: String,
    #[schema(required = true, example = "mx1.example.net")]
    host: Option<String>,
    #[schema(required = true)]
    ip: Option<String>,
    /// Version and cipher; null without encryption.
    #[schema(required = true)]
    tls: Option<String>,
}

/// Something that happened to a message.
#[derive(Serialize, ToSchema)]
struct MessageEvent {
    #[schema(format = DateTime)]
    at: String,
    #[schema(example = "delivered")]
    kind: String,
    /// The recipient it happened to; null for the message as a whole.
    #[schema(required = true)]
    ordinal: Option<i64>,
    /// What belongs to an event of this kind.
    #[schema(value_type = Object)]
    data: serde_json::Value,
}

impl MessageView {
    /// `readers` are those of whom something is known.
    pub fn new(detail: Detail, readers: &[Engaged]) -> Self {
        let summary = detail.summary;
        Self {
            id: summary.id.to_string(),
            created_at: summary.created_at.rfc3339(),
            from: summary.from,
            subject: summary.subject,
            stream: summary.stream,
            tags: summary.tags,
            size: summary.size,
            recipient_count: summary.recipient_count,
            states: summary.states,
            reverse_path: detail.reverse_path,
            message_id: detail.message_id,
            envid: detail.envid,
            origin: detail.origin.into(),
            wants: detail.wants.into(),
            content_available: detail.content_available,
            content_kept_until: detail.content_kept_until.map(Time::rfc3339),
            recipients: detail
                .recipients
                .into_iter()
                .map(|recipient| {
                    // They stand in the order of their numbers.
                    let found = readers.binary_search_by_key(&recipient.ordinal, |one| one.ordinal);
                    RecipientView::new(recipient, found.ok().map(|at| &readers[at]))
                })
                .collect(),
            events: detail.events.into_iter().map(MessageEvent::from).collect(),
        }
    }
}

impl From<Origin> for OriginView {
    fn from(origin: Origin) -> Self {
        Self {
            via: origin.via,
            protocol: origin.protocol,
            ip: origin.ip.map(|ip| ip.to_string()),
            helo: origin.helo,
            tls: origin.tls,
            listener: origin.listener,
            login: origin.login,
            credential: origin.credential.map(|credential| OriginCredential {
                id: credential.id,
                name: credential.name,
                sandbox: credential.sandbox,
            }),
        }
    }
}

impl RecipientView {
    fn new(recipient: Recipient, reader: Option<&Engaged>) -> Self {
        let explained = recipient.state != "delivered" && recipient.state != "cancelled";
        let explanation = recipient.attempts.last().filter(|_| explained).map(|last| {
            let enhanced = last.enhanced.as_deref().and_then(Enhanced::parse);
            mail::explain::explain(last.code, enhanced)
        });
        Self {
            ordinal: recipient.ordinal,
            address: recipient.address,
            state: recipient.state,
            reason: recipient.reason,
            explanation: explanation.map(str::to_owned),
            class: recipient.class,
            attempts: recipient.attempts.into_iter().map(AttemptView::from).collect(),
            next_at: recipient.next_at.map(Time::rfc3339),
            expires_at: recipient.expires_at.rfc3339(),
            updated_at: recipient.updated_at.rfc3339(),
            opened_at: reader.and_then(|one| one.opened_at).map(Time::rfc3339),
            opens: reader.map_or(0, |one| one.opens),
            clicked_at: reader.and_then(|one| one.clicked_at).map(Time::rfc3339),
            clicks: reader.map_or(0, |one| one.clicks),
        }
    }
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        Self {
            number: attempt.number,
            at: attempt.at.rfc3339(),
            duration_ms: attempt.duration_ms,
            outcome: attempt.outcome,
            code: attempt.code,
            enhanced: attempt.enhanced,
            reply: attempt.reply,
            host: attempt.host,
            ip: attempt.ip,
            tls: attempt.tls,
        }
    }
}

impl From<Logged> for MessageEvent {
    fn from(event: Logged) -> Self {
        Self {
            at: event.at.rfc3339(),
            kind: event.kind,
            ordinal: event.ordinal,
            data: serde_json::from_str(&event.data).unwrap_or_default(),
        }
    }
}
