//! A message in JSON: what it says, checked and composed.

use std::collections::{BTreeMap, HashSet};

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail::envelope::{Envelope, Recipient};
use mail::message::{Draft, DraftAttachment, Named, SteerFault, Steering, compose, is_steering, steer};
use mail::notify::Notify;
use mail::time::Time;
use outbound::templates::{self, Template};
use outbound::{Given, idempotency};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::error::{ApiError, ApiResult, FieldError, sentence};
use crate::http::personalise::Wording;
use crate::http::values::Data;

/// A message to be sent.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "from": "Alice <alice@example.com>", "to": ["Bob <bob@example.net>"], "subject": "Your order", "text": "It is on its way."
}))]
pub(super) struct SendMessage {
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
    /// Needed unless a template brings it.
    #[schema(example = "Your order")]
    subject: Option<String>,
    /// The text part. At least one of text and html is needed, unless a template brings them.
    #[schema(example = "It is on its way.")]
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
    /// Whether a link to unsubscribe by stands at the end of a text that does not name it; without, as its stream does. What
    /// `{{unsubscribe_url}}` stands for is there either way, unless this is false.
    unsubscribe: Option<bool>,
    /// What is tracked of it; without, as its stream does.
    track: Option<TrackIn>,
    /// Sent again within 24 hours with the same content, it answers as the first time and sends nothing. Up to 255 bytes; the
    /// header `Idempotency-Key` says the same.
    #[schema(example = "order-4711")]
    idempotency_key: Option<String>,
    /// The name of a template of the account, in place of `subject`, `text` and `html`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "order-shipped")]
    template: Option<String>,
    /// What takes the place of variables such as `{{name}}` in subject, text and HTML (there escaped). Where it is given, or a
    /// template, each variable has to be in it; without either, nothing is looked for. `{{unsubscribe_url}}` is filled in later.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, serde_json::Value>>, example = json!({"name": "Bob"}))]
    data: Option<Data>,
}

/// What is tracked of a message.
#[derive(Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SendTrack)]
struct TrackIn {
    #[serde(default)]
    #[schema(required = false)]
    opens: bool,
    #[serde(default)]
    #[schema(required = false)]
    clicks: bool,
}

/// A file to go with a message.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
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

/// A message whose mailboxes and attachments could be read.
pub(super) struct Checked {
    from: Named,
    to: Vec<Named>,
    cc: Vec<Named>,
    reply_to: Option<Named>,
    recipients: Vec<Recipient>,
    /// Decoded, in the order of the request.
    files: Vec<Vec<u8>>,
    given: Given,
    wording: Wording,
    message: SendMessage,
}

/// A message on its way to the door.
pub(super) struct Composed {
    pub envelope: Envelope,
    pub raw: Vec<u8>,
    pub given: Given,
}

impl SendMessage {
    /// Octets of text and files, these in Base64.
    pub(super) fn size(&self) -> usize {
        let parts = [&self.text, &self.html].into_iter().flatten().map(String::len);
        let files = self.attachments.iter().map(|file| file.content.len());
        parts.chain(files).sum()
    }

    /// Octets that composing it works on, about. What is filled in may make much of little.
    pub(super) fn work(&self) -> usize {
        if self.data.is_some() || self.template.is_some() {
            usize::MAX
        } else {
            self.size()
        }
    }

    /// The name of the template that it asks for, as it is kept.
    pub(super) fn template(&self) -> ApiResult<Option<templates::Name>> {
        let Some(text) = &self.template else {
            return Ok(None);
        };
        let name = templates::Name::parse(text);
        name.map(Some)
            .ok_or_else(|| ApiError::invalid("template", "There is no such template."))
    }

    /// Gives it this key where it has none of its own.
    pub(super) fn or_key(&mut self, key: impl FnOnce() -> String) {
        self.idempotency_key.get_or_insert_with(key);
    }

    /// Composes it, with what its template says.
    pub(super) fn compose(
        self,
        template: Option<&Template>,
        limit: usize,
        (now, message_id): (Time, &str),
    ) -> ApiResult<Composed> {
        let checked = Checked::of(self, template, limit, now)?;
        let raw = checked.compose(now, message_id)?;
        Ok(Composed {
            envelope: Envelope {
                reverse_path: Some(checked.from.address),
                recipients: checked.recipients,
                ret: None,
                envid: None,
            },
            raw,
            given: checked.given,
        })
    }

    /// What it says, its variables filled in; taken out of it.
    fn wording(&mut self, template: Option<&Template>) -> ApiResult<Wording> {
        let own = (self.subject.take(), self.text.take(), self.html.take());
        let Some(template) = template else {
            let subject = own
                .0
                .ok_or_else(|| ApiError::invalid("subject", "Give a subject, or a template."))?;
            let wording = Wording {
                subject,
                text: own.1,
                html: own.2,
            };
            return match &self.data {
                Some(data) => wording.fill(data),
                None => Ok(wording),
            };
        };
        let given = [
            ("subject", own.0.is_some()),
            ("text", own.1.is_some()),
            ("html", own.2.is_some()),
        ];
        let faults: Vec<FieldError> = given
            .into_iter()
            .filter(|(_, given)| *given)
            .map(|(field, _)| FieldError::new(field, "The template brings it; leave it out."))
            .collect();
        if !faults.is_empty() {
            return Err(ApiError::Invalid(faults));
        }
        let part = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let wording = Wording {
            subject: template.subject.clone(),
            text: part(&template.text),
            html: part(&template.html),
        };
        wording.fill(self.data.as_ref().unwrap_or(&Data::default()))
    }

    /// Takes the idempotency key from the header of the request.
    pub(super) fn take_key_of(&mut self, headers: &HeaderMap) -> ApiResult<()> {
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
    fn of(mut message: SendMessage, template: Option<&Template>, limit: usize, now: Time) -> ApiResult<Self> {
        if message.size() > limit {
            return Err(ApiError::TooLarge);
        }
        // Of what was asked, before files are taken out of it and variables are filled in.
        let digest = message
            .idempotency_key
            .is_some()
            .then(|| idempotency::digest_of(&message));
        let wording = message.wording(template)?;
        let mut faults = Faults::default();
        let from = faults.mailbox("from", &message.from);
        let to = faults.mailboxes("to", &message.to);
        let cc = faults.mailboxes("cc", &message.cc);
        let bcc = faults.mailboxes("bcc", &message.bcc);
        let reply_to = message.reply_to.as_deref().filter(|text| !text.trim().is_empty());
        let reply_to = reply_to.and_then(|text| faults.mailbox("reply_to", text));
        let steering = faults.steering(&message, now);
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
                    wording,
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
            subject: &self.wording.subject,
            text: self.wording.text.as_deref().filter(|part| !part.is_empty()),
            html: self.wording.html.as_deref().filter(|part| !part.is_empty()),
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
            unsubscribe: message.unsubscribe,
            track: message.track.map(|track| steer::Track {
                opens: track.opens,
                clicks: track.clicks,
            }),
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
                "what steers the message stands in fields of their own: stream, tags, send_at, sandbox, unsubscribe, track, idempotency_key",
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
        let composed =
            Checked::of(serde_json::from_value(json).unwrap(), None, 10_000, now).and_then(|checked| {
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
        let refused = Checked::of(serde_json::from_value(message).unwrap(), None, 100, Time::EPOCH);
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
