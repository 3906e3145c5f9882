//! A hook that asks a receiver of the account's: what is known of the message as signed JSON, and an answer within seconds.

use std::time::Duration;

use mail::message::{Footer, Head, Steering, field, steer};
use mail::time::Time;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::body;
use super::facts::{Action, Facts, FaultKind, Run, Said};
use crate::calls::target::{self, Target};
use crate::calls::{BadUrl, Client, Message, Patience, sign};

/// The longest that a receiver may be waited for, and how long it is where nothing else is said.
const LONGEST: u64 = 5_000;
const USUAL: u64 = 3_000;
/// Octets of an answer that are read.
const ANSWER: usize = 16 * 1024;
/// Octets of the header fields that a receiver is told.
const HEADERS: usize = 64 * 1024;
/// Header fields that an answer sets.
const MOST_FIELDS: usize = 50;

/// Where it asks, as it is kept.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    url: String,
    /// Milliseconds.
    timeout: Option<u64>,
}

/// Where it asks, and how long it waits for an answer.
#[derive(Debug)]
pub struct Receiver {
    target: Target,
    patience: Patience,
}

/// What is wrong with a receiver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiverError {
    #[error("this is no receiver: {0}")]
    NoReceiver(String),
    #[error(transparent)]
    Url(#[from] BadUrl),
    #[error("a receiver is waited for 100 to {LONGEST} milliseconds")]
    Timeout,
}

/// What a receiver answers.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    action: String,
    text: Option<String>,
    tags: Vec<String>,
    headers: std::collections::BTreeMap<String, String>,
    stream: Option<String>,
    footer: Option<FooterAnswer>,
}

#[derive(Debug, Deserialize)]
struct FooterAnswer {
    text: String,
    html: Option<String>,
}

impl Receiver {
    pub fn parse(text: &str, open: bool) -> Result<Self, ReceiverError> {
        let written: Written =
            serde_json::from_str(text).map_err(|error| ReceiverError::NoReceiver(error.to_string()))?;
        let wait = written.timeout.unwrap_or(USUAL);
        if !(100..=LONGEST).contains(&wait) {
            return Err(ReceiverError::Timeout);
        }
        Ok(Self {
            target: target::parse(&written.url, open)?,
            patience: Patience {
                deadline: Duration::from_millis(wait),
                answer: ANSWER,
            },
        })
    }

    /// Asks, and reads the answer. `id` names the question, whose signature is made with `secret`.
    pub async fn ask(&self, client: &Client, secret: &[u8], facts: &Facts, (id, now): (String, Time)) -> Run {
        let began = Instant::now();
        let body = question(facts, now);
        let signature = sign::signatures(std::iter::once(secret), &id, now.as_secs(), &body);
        let message = Message {
            id,
            timestamp: now.as_secs(),
            signature,
            body,
        };
        let answered = client.call_within(&self.target, &message, self.patience).await;
        let Some(status) = answered.status else {
            return broken(began, &answered.problem);
        };
        if !answered.took_it() {
            return broken(began, &format!("the receiver answered {status}"));
        }
        match serde_json::from_str(&answered.answer) {
            Ok(answer) => match decided(answer, &facts.tags) {
                Ok(mut run) => {
                    run.took = began.elapsed();
                    run
                }
                Err(problem) => broken(began, &problem),
            },
            Err(error) => broken(
                began,
                &format!("the receiver's answer is not understood: {error}"),
            ),
        }
    }
}

/// What a receiver is told.
fn question(facts: &Facts, now: Time) -> String {
    let mut headers = Vec::new();
    let (mut room, mut complete) = (HEADERS, false);
    if let Ok(head) = Head::parse(&facts.raw) {
        for field in head.fields() {
            let value = field.decoded();
            let Some(left) = room.checked_sub(field.name.len() + value.len()) else {
                break;
            };
            room = left;
            headers.push(json!([field.name, value]));
        }
        complete = headers.len() == head.fields().len();
    }
    json!({
        "type": "hook.message",
        "timestamp": now.rfc3339(),
        "data": {
            "account": facts.account,
            "login": facts.login,
            "credential": facts.credential,
            "via": facts.via,
            "ip": facts.ip,
            "helo": facts.helo,
            "tls": facts.tls,
            "from": facts.from,
            "recipients": &*facts.recipients,
            "size": facts.raw.len(),
            "stream": facts.stream,
            "tags": facts.tags,
            "headers": headers,
            // Whether these are all of them.
            "complete": complete,
        },
    })
    .to_string()
}

fn decided(answer: Answer, tags: &[String]) -> Result<Run, String> {
    let mut run = Run {
        said: match answer.action.as_str() {
            "accept" => Said::Accept,
            "reject" => Said::Reject(answer.text),
            "defer" => Said::Defer(answer.text),
            "discard" => Said::Discard,
            _ => return Err("the answer's action is none of accept, reject, defer and discard".to_owned()),
        },
        ..Run::default()
    };
    let mut steering = Steering {
        tags: tags.to_vec(),
        ..Steering::default()
    };
    for tag in &answer.tags {
        let before = steering.tags.len();
        steering
            .add_tag(tag)
            .map_err(|fault| format!("a tag of the answer {fault}"))?;
        run.actions
            .extend(steering.tags.get(before).cloned().map(Action::Tag));
    }
    if answer.headers.len() > MOST_FIELDS {
        return Err(format!("an answer sets at most {MOST_FIELDS} header fields"));
    }
    for (name, value) in answer.headers {
        let line = field(&name, &value).map_err(|problem| format!("{name}: {problem}"))?;
        run.actions.push(Action::SetHeader { name, line });
    }
    if let Some(stream) = answer.stream {
        let stream = steer::stream(&stream).map_err(|fault| format!("the stream of the answer {fault}"))?;
        run.actions.push(Action::Route(stream));
    }
    if let Some(FooterAnswer { text, html }) = answer.footer {
        let footer = Footer::new(&text, html.as_deref()).map_err(|fault| fault.to_string())?;
        run.actions.push(Action::AddFooter(footer));
    }
    Ok(run)
}

fn broken(began: Instant, message: &str) -> Run {
    Run {
        took: began.elapsed(),
        ..body::broken(FaultKind::Error, message)
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::Stage;
    use super::*;

    #[test]
    fn a_receiver_is_judged_like_that_of_a_webhook() {
        for (text, why) in [
            (r#"{"url": "https://10.0.0.8/"}"#, "private"),
            (r#"{"url": "http://example.com/"}"#, "https://"),
            (r#"{"url": "https://example.com/", "timeout": 6000}"#, "5000"),
            (r#"{"url": "https://example.com/", "more": 1}"#, "no receiver"),
            ("{}", "no receiver"),
        ] {
            let error = Receiver::parse(text, false).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(Receiver::parse(r#"{"url": "https://example.com/hook", "timeout": 500}"#, false).is_ok());
    }

    #[test]
    fn a_receiver_is_told_when_it_does_not_get_all_header_fields() {
        for (octets, complete) in [(60_000, true), (70_000, false)] {
            let raw = format!(
                "From: a@b.example\r\nX-Long: {}\r\n\r\nHello\r\n",
                "x".repeat(octets)
            );
            let facts = Facts::of_trial(Stage::Message, None, Vec::new(), raw.into());
            let asked = question(&facts, Time::from_secs(1_800_000_000));
            let asked: serde_json::Value = serde_json::from_str(&asked).unwrap();
            assert_eq!(asked["data"]["complete"], complete, "{octets}");
        }
    }

    #[test]
    fn an_answer_is_checked_like_a_script() {
        let read = |text: &str| decided(serde_json::from_str(text).unwrap(), &[]);
        let run = read(r#"{"action": "accept", "tags": ["VIP"], "headers": {"X-A": "b"}, "stream": "news", "footer": {"text": "Us\nLtd."}}"#)
            .unwrap();
        let actions: Vec<String> = run.actions.iter().map(Action::describe).collect();
        assert_eq!(
            actions,
            [
                "tag vip",
                "set header X-A: b",
                "route to news",
                "add footer Us Ltd."
            ]
        );
        assert_eq!(read(r#"{"action": "reject"}"#).unwrap().said, Said::Reject(None));
        for bad in [
            "{}",
            r#"{"action": "drop"}"#,
            r#"{"action": "accept", "headers": {"Bcc": "x@y.example"}}"#,
            r#"{"action": "accept", "headers": {"X-A": "b\r\nBcc: c"}}"#,
            r#"{"action": "accept", "tags": [","]}"#,
            r#"{"action": "accept", "stream": "a b"}"#,
            r#"{"action": "accept", "footer": {"text": ""}}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
