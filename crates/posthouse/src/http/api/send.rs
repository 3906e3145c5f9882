//! Handing a message over as JSON.

use std::collections::{BTreeMap, HashSet};

use accounts::{AccountState, Scope};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use mail::envelope::{Envelope, Recipient};
use mail::message::{Draft, DraftAttachment, Named, SteerFault, Steering, compose, is_steering, steer};
use mail::notify::Notify;
use mail::replies;
use mail::reply::Reply;
use mail::time::Time;
use outbound::{Given, Origin, Submission, idempotency, off_the_workers};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, ApiResult, FieldError, Problem, sentence};
use crate::http::heavy::Heavy;
use crate::http::peer::Client;

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new().routes(routes!(send))
}

/// A message to be sent.
#[derive(Deserialize, Serialize, ToSchema)]
struct SendMessage {
    /// An address of the account, with or without a name.
    #[schema(example = "Alice <alice@example.com>")]
    from: String,
    /// Who is addressed; each with or without a name.
    #[serde(default)]
    #[schema(required = false, example = json!(["Bob <bob@example.net>"]))]
    to: Vec<String>,
    /// Who gets a copy that all may see.
    #[serde(default)]
    #[schema(required = false)]
    cc: Vec<String>,
    /// Who gets a copy that nobody else sees.
    #[serde(default)]
    #[schema(required = false)]
    bcc: Vec<String>,
    /// Where answers go, if not to the sender.
    reply_to: Option<String>,
    #[schema(example = "Your order")]
    subject: String,
    /// The text part. At least one of text and html is needed.
    text: Option<String>,
    /// The HTML part.
    html: Option<String>,
    /// Further header fields by name. Those that a message needs are made here and cannot be given.
    #[serde(default)]
    #[schema(required = false, example = json!({"X-Order": "4711"}))]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    #[schema(required = false)]
    attachments: Vec<AttachmentIn>,
    /// The slug of the stream that it goes in; without, the key's own or `transactional`.
    #[schema(example = "receipts")]
    stream: Option<String>,
    /// To find it by: up to 10, each of up to 64 bytes and without a comma. Their case makes no difference.
    #[serde(default)]
    #[schema(required = false, example = json!(["order"]))]
    tags: Vec<String>,
    /// When it is to leave, RFC 3339 with its offset, at most 30 days ahead; at once without.
    #[schema(format = DateTime, example = "2027-01-31T09:00:00+01:00")]
    send_at: Option<String>,
    /// Keeps it in the local inbox: nobody receives it, and it costs nothing.
    #[serde(default)]
    #[schema(required = false)]
    sandbox: bool,
    /// Sent again within 24 hours with the same content, it answers as the first time and sends nothing. Up to 255 bytes; the
    /// header `Idempotency-Key` says the same.
    #[schema(example = "order-4711")]
    idempotency_key: Option<String>,
}

/// A file to go with a message.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = SendAttachment)]
struct AttachmentIn {
    #[schema(example = "invoice.pdf")]
    name: String,
    /// Unknown where it is missing.
    #[serde(default)]
    #[schema(required = false, example = "application/pdf")]
    content_type: String,
    /// In Base64.
    #[schema(format = Byte)]
    content: String,
}

/// A message that was accepted.
#[derive(Serialize, ToSchema)]
struct Accepted {
    /// Ask for it under `/messages/{id}`.
    id: String,
    /// Envelope recipients, each one credit.
    recipients: usize,
}

/// Send a message
///
/// Accepted means stored: it is on disk before this answers, and delivery is tried for days. Every recipient in `to`,
/// `cc` and `bcc` is a delivery of its own and takes one credit.
#[utoipa::path(
    post, path = "/messages", tag = "send", operation_id = "sendMessage", request_body = SendMessage,
    params(("Idempotency-Key" = Option<String>, Header, description = "As the field `idempotency_key`")),
    responses(
        (status = 202, description = "Accepted", body = Accepted),
        (status = 402, description = "The account has too few credits for all recipients, so nobody was sent anything", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The account may not send as this sender, is suspended or paused, or is in the sandbox and this goes elsewhere", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The idempotency key stands for another message of the last 24 hours", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The message is too big", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The message is not valid; `errors` says where", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "The account has used up its recipients of today; `Retry-After` says when the next day begins", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too much mail is arriving at once, or storage is not available; `Retry-After` says when to try again", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["send"]), ("session" = [])),
)]
async fn send(
    State(parts): State<Parts>,
    caller: Caller,
    client: Client,
    headers: HeaderMap,
    Heavy { mut value, mut share }: Heavy<SendMessage>,
) -> ApiResult<(StatusCode, Json<Accepted>)> {
    caller.needs(Scope::Send)?;
    match &caller.account.state {
        AccountState::Active => {}
        AccountState::Suspended(reason) => return Err(ApiError::Suspended(reason.clone())),
        AccountState::Paused(reason) => return Err(ApiError::Paused(reason.clone())),
    }
    let now = parts.clock.now();
    let message_id = format!("{}@{}", parts.ids.next(now), parts.settings.hostname);
    let limit = parts.settings.max_message_size;
    value.take_key_of(&headers)?;
    let composing = off_the_workers(value.size(), move || {
        let checked = Checked::of(value, limit, now)?;
        let raw = checked.compose(now, &message_id)?;
        let envelope = Envelope {
            reverse_path: Some(checked.from.address),
            recipients: checked.recipients,
            ret: None,
            envid: None,
        };
        share.resize(raw.capacity());
        Ok::<_, ApiError>((envelope, raw, checked.given, share))
    });
    let composed = composing.await.map_err(|error| ApiError::internal(&error))?;
    let (envelope, raw, given, share) = composed?;
    let submission = Submission {
        origin: Origin {
            via: "api".to_owned(),
            protocol: "HTTP".to_owned(),
            ip: Some(client.ip),
            login: Some(caller.principal.email.clone()),
            ..Origin::default()
        },
        principal: caller.principal,
        envelope,
        body: Bytes::from(raw),
        given: Some(given),
    };
    // In a task of its own: a client that goes away must not take the share from under what is still being stored.
    let accepting = tokio::spawn(async move {
        let accepted = parts.outbound.accept(submission).await;
        drop(share);
        accepted
    });
    match accepting.await.map_err(|error| ApiError::internal(&error))? {
        Ok(accepted) => {
            let accepted = Accepted {
                id: accepted.id.to_string(),
                recipients: accepted.recipients,
            };
            Ok((StatusCode::ACCEPTED, Json(accepted)))
        }
        Err(refused) => Err(refusal(&refused.0, now)),
    }
}

/// The door speaks SMTP; what it says has a status of its own here.
fn refusal(reply: &Reply, now: Time) -> ApiError {
    let is = |known: &Reply| (reply.code, reply.enhanced) == (known.code, known.enhanced);
    if is(&replies::OUT_OF_CREDITS) {
        ApiError::OutOfCredits(reply.text.clone().into_owned())
    } else if is(&replies::DAY_USED_UP) {
        let next_day = Time::from_secs((now.day() + 1) * 24 * 3600);
        ApiError::DayUsedUp(format!("{}.", reply.text), next_day.since(now).as_secs().max(1))
    } else if *reply == replies::KEY_USED {
        ApiError::Conflict(format!("{}.", reply.text))
    } else if is(&replies::STREAM_NOT_ALLOWED) {
        ApiError::Forbidden(format!("{}.", reply.text))
    } else if is(&replies::BAD_STEERING) {
        ApiError::invalid("stream", format!("{}.", reply.text))
    } else if [replies::NO_SUCH_TEST_ADDRESS, replies::TEST_ADDRESS_AMONG_OTHERS].contains(reply) {
        ApiError::invalid("to", format!("{}.", reply.text))
    } else if *reply == replies::SANDBOXED {
        ApiError::Sandboxed
    } else if is(&replies::SENDER_NOT_ALLOWED) || is(&replies::FROM_NOT_ALLOWED) {
        ApiError::Forbidden(format!("{}.", reply.text))
    } else if replies::is_account_paused(reply) {
        ApiError::Paused(reply.text.clone().into_owned())
    } else if is(&replies::ACCOUNT_SUSPENDED) {
        ApiError::Suspended(reply.text.clone().into_owned())
    } else if is(&replies::TOO_BIG) || is(&replies::HEADER_TOO_BIG) {
        ApiError::TooLarge
    } else if is(&replies::TOO_MANY_RECIPIENTS) {
        ApiError::invalid("to", "There are more recipients than one message may have.")
    } else if reply.is_temporary() {
        ApiError::Unavailable
    } else {
        ApiError::invalid("message", format!("{}.", reply.text))
    }
}

/// A message whose mailboxes and attachments could be read.
struct Checked {
    from: Named,
    to: Vec<Named>,
    cc: Vec<Named>,
    reply_to: Option<Named>,
    recipients: Vec<Recipient>,
    /// Decoded, in the order of the request.
    files: Vec<Vec<u8>>,
    given: Given,
    message: SendMessage,
}

impl SendMessage {
    /// Octets of text and files, these in Base64.
    fn size(&self) -> usize {
        let parts = [&self.text, &self.html].into_iter().flatten().map(String::len);
        let files = self.attachments.iter().map(|file| file.content.len());
        parts.chain(files).sum()
    }

    /// Takes the idempotency key from the header of the request.
    fn take_key_of(&mut self, headers: &HeaderMap) -> ApiResult<()> {
        let Some(value) = headers.get("idempotency-key") else {
            return Ok(());
        };
        let key = value.to_str().map_err(|_| {
            ApiError::BadRequest("The header Idempotency-Key is not printable ASCII.".to_owned())
        })?;
        if self.idempotency_key.as_ref().is_some_and(|given| given != key) {
            return Err(ApiError::invalid(
                "idempotency_key",
                "The header Idempotency-Key names another one.",
            ));
        }
        self.idempotency_key = Some(key.to_owned());
        Ok(())
    }
}

impl Checked {
    /// `limit` is the size of a message: what passes it already here is not composed first.
    fn of(mut message: SendMessage, limit: usize, now: Time) -> ApiResult<Self> {
        if message.size() > limit {
            return Err(ApiError::TooLarge);
        }
        let mut faults = Faults::default();
        let from = faults.mailbox("from", &message.from);
        let to = faults.mailboxes("to", &message.to);
        let cc = faults.mailboxes("cc", &message.cc);
        let bcc = faults.mailboxes("bcc", &message.bcc);
        let reply_to = message.reply_to.as_deref().filter(|text| !text.trim().is_empty());
        let reply_to = reply_to.and_then(|text| faults.mailbox("reply_to", text));
        let steering = faults.steering(&message, now);
        // Before the files are taken out of it.
        let digest = message
            .idempotency_key
            .is_some()
            .then(|| idempotency::digest_of(&message));
        let files = faults.files(&mut message.attachments);
        if message.to.is_empty() && message.cc.is_empty() && message.bcc.is_empty() {
            faults.add("to", "Give at least one recipient.");
        }
        match from {
            Some(from) if faults.0.is_empty() => {
                let recipients = envelope([&to, &cc, &bcc]);
                Ok(Self {
                    from,
                    to,
                    cc,
                    reply_to,
                    recipients,
                    files,
                    given: Given { steering, digest },
                    message,
                })
            }
            _ => Err(ApiError::Invalid(faults.0)),
        }
    }

    fn compose(&self, now: Time, message_id: &str) -> ApiResult<Vec<u8>> {
        let headers: Vec<(&str, &str)> = self
            .message
            .headers
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        let files = self.message.attachments.iter().zip(&self.files);
        let attachments: Vec<DraftAttachment<'_>> = files
            .map(|(file, content)| DraftAttachment {
                name: &file.name,
                content_type: &file.content_type,
                content,
            })
            .collect();
        let draft = Draft {
            from: &self.from,
            to: &self.to,
            cc: &self.cc,
            reply_to: self.reply_to.as_ref(),
            subject: &self.message.subject,
            text: self.message.text.as_deref().filter(|part| !part.is_empty()),
            html: self.message.html.as_deref().filter(|part| !part.is_empty()),
            headers: &headers,
            attachments: &attachments,
        };
        compose(&draft, now, message_id)
            .map_err(|error| ApiError::invalid(error.field, sentence(&error.problem.to_string())))
    }
}

/// Everybody once, however often named.
fn envelope(lists: [&[Named]; 3]) -> Vec<Recipient> {
    let mut seen = HashSet::new();
    lists
        .into_iter()
        .flatten()
        .filter(|named| seen.insert(named.address.clone()))
        .map(|named| Recipient {
            address: named.address.clone(),
            notify: Notify::default(),
            orcpt: None,
        })
        .collect()
}

/// What is wrong with a request, all of it at once.
#[derive(Default)]
struct Faults(Vec<FieldError>);

impl Faults {
    fn add(&mut self, field: impl Into<String>, message: &str) {
        self.0.push(FieldError::new(field, sentence(message)));
    }

    fn mailbox(&mut self, field: &str, text: &str) -> Option<Named> {
        Named::parse(text)
            .map_err(|problem| self.add(field, &problem.to_string()))
            .ok()
    }

    fn mailboxes(&mut self, field: &str, texts: &[String]) -> Vec<Named> {
        texts
            .iter()
            .enumerate()
            .filter_map(|(n, text)| self.mailbox(&format!("{field}[{n}]"), text))
            .collect()
    }

    /// What the request says about the message beside it.
    fn steering(&mut self, message: &SendMessage, now: Time) -> Steering {
        let mut steering = Steering {
            sandbox: message.sandbox,
            ..Steering::default()
        };
        let mut read = |field: &str, fault: SteerFault| self.add(field, &format!("it {fault}"));
        for (n, tag) in message.tags.iter().enumerate() {
            if let Err(fault) = steering.add_tag(tag) {
                read(&format!("tags[{n}]"), fault);
            }
        }
        if let Some(text) = &message.stream {
            match steer::stream(text) {
                Ok(stream) => steering.stream = Some(stream),
                Err(fault) => read("stream", fault),
            }
        }
        if let Some(text) = &message.idempotency_key {
            match steer::idempotency_key(text) {
                Ok(key) => steering.idempotency_key = Some(key),
                Err(fault) => read("idempotency_key", fault),
            }
        }
        if let Some(text) = &message.send_at {
            match steer::send_at(text, now) {
                Ok(at) => steering.send_at = Some(at),
                Err(fault) => read("send_at", fault),
            }
        }
        if message.headers.keys().any(|name| is_steering(name)) {
            self.add(
                "headers",
                "what steers the message stands in fields of their own: stream, tags, send_at, sandbox, idempotency_key",
            );
        }
        steering
    }

    /// Takes each file's text out while it is decoded, so that not all of it is there twice.
    fn files(&mut self, attachments: &mut [AttachmentIn]) -> Vec<Vec<u8>> {
        let mut files = Vec::with_capacity(attachments.len());
        for (n, attachment) in attachments.iter_mut().enumerate() {
            match STANDARD.decode(std::mem::take(&mut attachment.content)) {
                Ok(content) => files.push(content),
                Err(_) => self.add(format!("attachments[{n}].content"), "this is not Base64"),
            }
        }
        files
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields at fault in a request, or what was composed.
    fn request(change: impl FnOnce(&mut serde_json::Value)) -> Result<(Checked, String), Vec<String>> {
        let mut json = serde_json::json!({
            "from": "Alice <alice@example.com>", "to": ["bob@example.net"], "subject": "Hello", "text": "Hello Bob"
        });
        change(&mut json);
        let now = Time::from_secs(1_795_000_000);
        let composed = Checked::of(serde_json::from_value(json).unwrap(), 10_000, now).and_then(|checked| {
            checked
                .compose(now, "1@mail.example.com")
                .map(|raw| (checked, raw))
        });
        match composed {
            Ok((checked, raw)) => Ok((checked, String::from_utf8(raw).unwrap())),
            Err(ApiError::Invalid(faults)) => {
                let faults = serde_json::to_value(faults).unwrap();
                Err(faults
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|f| f["field"].as_str().unwrap().to_owned())
                    .collect())
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn faults(field: &str, value: serde_json::Value) -> Vec<String> {
        request(|json| json[field] = value).err().unwrap_or_default()
    }

    #[test]
    fn everybody_gets_one_copy_however_often_named_and_bcc_is_not_shown() {
        let (checked, raw) = request(|json| {
            json["cc"] = serde_json::json!(["Bob <bob@example.net>", "carol@example.net"]);
            json["bcc"] = serde_json::json!(["dan@example.net", "carol@EXAMPLE.net"]);
        })
        .unwrap();
        let recipients: Vec<String> = checked.recipients.iter().map(|r| r.address.to_string()).collect();
        assert_eq!(
            recipients,
            ["bob@example.net", "carol@example.net", "dan@example.net"]
        );
        assert!(
            raw.contains("carol@example.net") && !raw.contains("dan@example.net"),
            "{raw}"
        );
    }

    #[test]
    fn no_field_can_bring_a_header_of_its_own() {
        let evil = serde_json::json!("x\r\nBcc: eve@example.org");
        assert_eq!(faults("subject", evil.clone()), ["subject"]);
        assert_eq!(
            faults("from", serde_json::json!("A\nB <alice@example.com>")),
            ["from"]
        );
        assert_eq!(
            faults(
                "to",
                serde_json::json!(["ok@example.net", "bob@example.net\r\nX: y"])
            ),
            ["to[1]"]
        );
        assert_eq!(faults("reply_to", evil.clone()), ["reply_to"]);
        assert_eq!(
            faults("headers", serde_json::json!({"X-A": evil.clone()})),
            ["headers"]
        );
        assert_eq!(
            faults("headers", serde_json::json!({"X-A\r\nBcc": "y"})),
            ["headers"]
        );
        assert_eq!(
            faults("headers", serde_json::json!({"Bcc": "eve@example.org"})),
            ["headers"]
        );
        let attachment = serde_json::json!([{"name": evil, "content_type": "text/plain", "content": ""}]);
        assert_eq!(faults("attachments", attachment), ["attachments"]);
    }

    #[test]
    fn what_is_too_big_as_it_comes_is_not_composed() {
        let message =
            serde_json::json!({"from": "a@b.example", "to": [], "subject": "", "html": "x".repeat(101)});
        let refused = Checked::of(serde_json::from_value(message).unwrap(), 100, Time::EPOCH);
        assert!(matches!(refused, Err(ApiError::TooLarge)));
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let all = request(|json| {
            json["from"] = "nobody".into();
            json["to"] = serde_json::json!([]);
            json["attachments"] = serde_json::json!([{"name": "a", "content_type": "", "content": "***"}]);
        });
        assert_eq!(all.err().unwrap(), ["from", "attachments[0].content", "to"]);
        assert_eq!(
            faults("to", serde_json::json!(["a@b.example, c@d.example"])),
            ["to[0]"]
        );
    }
}
