//! What an account asks of its webhooks: endpoints made and changed, tests, replays, and how attempts went.

use std::time::Duration;

use accounts::{By, changes};
use mail::time::Time;
use serde_json::json;
use store::events::Cursor;
use store::{Id, StoreError, Tx};

use super::Webhooks;
use super::endpoints::{self, Endpoint, LONGEST_DESCRIPTION, MOST_ENDPOINTS, PausedBy};
use super::follow;
use super::queue::{self, Attempt, Delivery, DeliveryFilter, State, TEST};
use crate::calls::{BadUrl, sign, target};
use crate::feed::{self, KINDS};

/// How long the secret before the present one signs too.
const OVERLAP: Duration = Duration::from_hours(24);
/// Events replayed by one request.
const REPLAYED: usize = 1_000;
/// Nothing is replayed to an endpoint for which more than this waits.
const MOST_WAITING: i64 = 10_000;
/// The longest name of a stream.
const LONGEST_STREAM: usize = 100;

/// Why a request about webhooks is refused.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Url(#[from] BadUrl),
    #[error("a description has at most {LONGEST_DESCRIPTION} characters and is one line")]
    Description,
    #[error("there is no event `{0}`; there are {all}", all = KINDS.join(", "))]
    Kind(String),
    #[error("this is not the name of a stream")]
    Stream,
    #[error("an account has at most {MOST_ENDPOINTS} webhooks: delete one that nothing uses any more")]
    TooMany,
    #[error("there is no such {0}")]
    NotFound(&'static str),
    #[error("it is paused already")]
    Paused,
    #[error("it is not paused")]
    NotPaused,
    #[error("it is paused: resume it first")]
    ResumeFirst,
    #[error("it is on its way already")]
    Waits,
    #[error("more than {MOST_WAITING} messages wait for this webhook: replay when they are delivered")]
    TooManyWait,
    #[error("the beginning has to be before the end")]
    EndsBefore,
}

type Answer<T> = Result<T, WebhookError>;

/// What an endpoint is to be.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub url: String,
    pub description: String,
    /// None is all.
    pub kinds: Vec<String>,
    pub stream: Option<String>,
}

/// What is given is replaced.
#[derive(Clone, Debug, Default)]
pub struct EndpointChange {
    pub url: Option<String>,
    pub description: Option<String>,
    pub kinds: Option<Vec<String>>,
    /// An empty one stands for every stream.
    pub stream: Option<String>,
}

/// An endpoint that was just made, or got a new secret: the only moment at which it is told.
#[derive(Clone, Debug)]
pub struct NewEndpoint {
    pub secret: String,
    pub endpoint: Endpoint,
}

/// What a replay of a time range came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed {
    pub queued: u64,
    /// Where to go on, where there is more.
    pub next: Option<Cursor>,
}

impl Wanted {
    fn checked(mut self, open: bool) -> Answer<Self> {
        self.url = self.url.trim().to_owned();
        target::parse(&self.url, open)?;
        self.description = self.description.trim().to_owned();
        if self.description.chars().count() > LONGEST_DESCRIPTION
            || self.description.chars().any(char::is_control)
        {
            return Err(WebhookError::Description);
        }
        self.kinds.sort();
        self.kinds.dedup();
        if let Some(unknown) = self.kinds.iter().find(|kind| !KINDS.contains(&kind.as_str())) {
            return Err(WebhookError::Kind(unknown.chars().take(40).collect()));
        }
        self.stream = self.stream.filter(|stream| !stream.is_empty());
        if let Some(stream) = &self.stream
            && (stream.len() > LONGEST_STREAM || !stream.bytes().all(|b| b.is_ascii_graphic()))
        {
            return Err(WebhookError::Stream);
        }
        Ok(self)
    }
}

impl Webhooks {
    /// The account's endpoints, the oldest first.
    pub async fn endpoints(&self, account: Id) -> Answer<Vec<Endpoint>> {
        let list = move |tx: &mut Tx<'_>| endpoints::of_account(tx, account);
        Ok(self.0.db.read("list the webhooks", list).await?)
    }

    pub async fn endpoint(&self, account: Id, id: Id) -> Answer<Endpoint> {
        let find = move |tx: &mut Tx<'_>| endpoints::find(tx, account, id);
        let found = self.0.db.peek("find a webhook", find).await?;
        found.ok_or(WebhookError::NotFound("webhook"))
    }

    pub async fn create(&self, account: Id, wanted: Wanted, by: &By) -> Answer<NewEndpoint> {
        let wanted = wanted.checked(self.0.open)?;
        let now = self.0.clock.now();
        let secret = self.0.ids.secret(sign::SECRET_OCTETS);
        let endpoint = Endpoint {
            id: self.0.ids.next(now),
            account,
            url: wanted.url,
            description: wanted.description,
            kinds: wanted.kinds,
            stream: wanted.stream,
            paused: None,
            created_at: now,
            active_since: now,
            failing_since: None,
            secret: secret.clone(),
            old_secret: None,
        };
        let (new, by, line) = (endpoint.clone(), by.clone(), self.0.ids.next(now));
        let fits = self
            .0
            .db
            .write("create a webhook", move |tx| {
                // Two that count at once would both find room.
                changes::alone(tx)?;
                if !endpoints::insert(tx, &new)? {
                    return Ok(false);
                }
                let detail = detail(&new);
                endpoints::note(tx, (line, now), &new, &by, ("webhook.created", &detail))?;
                Ok(true)
            })
            .await?;
        if !fits {
            return Err(WebhookError::TooMany);
        }
        Ok(NewEndpoint {
            secret: sign::shown(&secret),
            endpoint,
        })
    }

    pub async fn change(&self, account: Id, id: Id, change: EndpointChange, by: &By) -> Answer<Endpoint> {
        let open = self.0.open;
        self.alter((account, id), by, "webhook.changed", move |tx, endpoint| {
            // On what stands there now: two changes at once each keep what the other changed.
            let change = change.clone();
            let wanted = Wanted {
                url: change.url.unwrap_or_else(|| endpoint.url.clone()),
                description: change.description.unwrap_or_else(|| endpoint.description.clone()),
                kinds: change.kinds.unwrap_or_else(|| endpoint.kinds.clone()),
                stream: change.stream.or_else(|| endpoint.stream.clone()),
            };
            let wanted = match wanted.checked(open) {
                Ok(wanted) => wanted,
                Err(error) => return Ok(Err(error)),
            };
            endpoint.url.clone_from(&wanted.url);
            endpoint.description.clone_from(&wanted.description);
            endpoint.kinds.clone_from(&wanted.kinds);
            endpoint.stream.clone_from(&wanted.stream);
            endpoints::update(tx, endpoint)?;
            Ok(Ok(detail(endpoint)))
        })
        .await
    }

    pub async fn pause(&self, account: Id, id: Id, by: &By) -> Answer<Endpoint> {
        self.alter((account, id), by, "webhook.paused", move |tx, endpoint| {
            if !endpoints::pause(tx, endpoint.id, PausedBy::Hand)? {
                return Ok(Err(WebhookError::Paused));
            }
            endpoint.paused = Some(PausedBy::Hand);
            Ok(Ok(PausedBy::Hand.as_str().to_owned()))
        })
        .await
    }

    /// Tells what happens from now on, and what waited for less than a day.
    pub async fn resume(&self, account: Id, id: Id, by: &By) -> Answer<Endpoint> {
        let now = self.0.clock.now();
        let resumed = self
            .alter((account, id), by, "webhook.resumed", move |tx, endpoint| {
                if !endpoints::resume(tx, endpoint.id, now)? {
                    return Ok(Err(WebhookError::NotPaused));
                }
                (endpoint.paused, endpoint.failing_since) = (None, None);
                Ok(Ok(String::new()))
            })
            .await?;
        self.0.poke.notify_one();
        Ok(resumed)
    }

    /// Puts a new secret in the place of the present one, which signs too for another day.
    pub async fn rotate(&self, account: Id, id: Id, by: &By) -> Answer<NewEndpoint> {
        let now = self.0.clock.now();
        let (secret, until) = (self.0.ids.secret(sign::SECRET_OCTETS), now.plus(OVERLAP));
        let shown = sign::shown(&secret);
        let endpoint = self
            .alter(
                (account, id),
                by,
                "webhook.secret_rotated",
                move |tx, endpoint| {
                    endpoints::rotate(tx, endpoint.id, &secret, until)?;
                    let old = std::mem::replace(&mut endpoint.secret, secret.clone());
                    endpoint.old_secret = Some((old, until));
                    Ok(Ok(String::new()))
                },
            )
            .await?;
        Ok(NewEndpoint {
            secret: shown,
            endpoint,
        })
    }

    /// Removes an endpoint; what waits for it is told nobody.
    pub async fn delete(&self, account: Id, id: Id, by: &By) -> Answer<()> {
        self.alter((account, id), by, "webhook.deleted", move |tx, endpoint| {
            endpoints::delete(tx, endpoint.id)?;
            Ok(Ok(String::new()))
        })
        .await?;
        Ok(())
    }

    /// Changes one endpoint of the account and writes the line about it, in one transaction.
    async fn alter(
        &self,
        (account, id): (Id, Id),
        by: &By,
        action: &'static str,
        mut change: impl FnMut(&mut Tx<'_>, &mut Endpoint) -> store::Result<Answer<String>> + Send + 'static,
    ) -> Answer<Endpoint> {
        let now = self.0.clock.now();
        let (by, line) = (by.clone(), self.0.ids.next(now));
        self.0
            .db
            .write("change a webhook", move |tx| {
                let Some(mut endpoint) = endpoints::find(tx, account, id)? else {
                    return Ok(Err(WebhookError::NotFound("webhook")));
                };
                let detail = match change(tx, &mut endpoint)? {
                    Ok(detail) => detail,
                    Err(refused) => return Ok(Err(refused)),
                };
                endpoints::note(tx, (line, now), &endpoint, &by, (action, &detail))?;
                Ok(Ok(endpoint))
            })
            .await?
    }

    /// Sends a message that says it is a test, once.
    pub async fn test(&self, account: Id, id: Id) -> Answer<Delivery> {
        let now = self.0.clock.now();
        let delivery = Delivery {
            id: self.0.ids.next(now),
            webhook: id,
            event: format!("test_{}", self.0.ids.next(now)),
            kind: TEST.to_owned(),
            payload: json!({
                "type": TEST,
                "timestamp": now.rfc3339(),
                "data": { "webhook": id.to_string() },
            })
            .to_string(),
            state: State::Waiting,
            attempts: 0,
            created_at: now,
            due_at: now,
            // There is one attempt.
            before: 0,
            give_up_at: now,
        };
        let new = delivery.clone();
        self.0
            .db
            .write("test a webhook", move |tx| {
                if endpoints::find(tx, account, id)?.is_none() {
                    return Ok(Err(WebhookError::NotFound("webhook")));
                }
                if queue::test_waits(tx, id)? {
                    return Ok(Err(WebhookError::Waits));
                }
                queue::insert(tx, &new)?;
                Ok(Ok(()))
            })
            .await??;
        self.0.poke.notify_one();
        Ok(delivery)
    }

    /// Deliveries to an endpoint, newest first.
    pub async fn deliveries(&self, account: Id, id: Id, filter: DeliveryFilter) -> Answer<Vec<Delivery>> {
        let list = move |tx: &mut Tx<'_>| {
            if endpoints::find(tx, account, id)?.is_none() {
                return Ok(None);
            }
            queue::list(tx, id, &filter).map(Some)
        };
        let found = self.0.db.read("list what went to a webhook", list).await?;
        found.ok_or(WebhookError::NotFound("webhook"))
    }

    /// One delivery and its attempts, the last one first.
    pub async fn delivery(&self, account: Id, id: Id, delivery: Id) -> Answer<(Delivery, Vec<Attempt>)> {
        let find = move |tx: &mut Tx<'_>| {
            if endpoints::find(tx, account, id)?.is_none() {
                return Ok(None);
            }
            let Some(found) = queue::find(tx, id, delivery)? else {
                return Ok(None);
            };
            Ok(Some((found, queue::attempts(tx, delivery)?)))
        };
        let found = self.0.db.read("read what went to a webhook", find).await?;
        found.ok_or(WebhookError::NotFound("delivery"))
    }

    /// Sends one delivery once more, with the same `webhook-id`.
    pub async fn replay(&self, account: Id, id: Id, delivery: Id) -> Answer<()> {
        let now = self.0.clock.now();
        self.0
            .db
            .write("replay a webhook", move |tx| {
                match endpoints::find(tx, account, id)? {
                    None => return Ok(Err(WebhookError::NotFound("webhook"))),
                    Some(endpoint) if endpoint.paused.is_some() => {
                        return Ok(Err(WebhookError::ResumeFirst));
                    }
                    Some(_) => {}
                }
                if queue::find(tx, id, delivery)?.is_none() {
                    return Ok(Err(WebhookError::NotFound("delivery")));
                }
                if !queue::replay(tx, delivery, now)? {
                    return Ok(Err(WebhookError::Waits));
                }
                Ok(Ok(()))
            })
            .await??;
        self.0.poke.notify_one();
        Ok(())
    }

    /// Sends what happened in a time range once more, as far as the log still has it and one request reaches.
    pub async fn replay_range(
        &self,
        account: Id,
        id: Id,
        (since, until): (Time, Time),
        after: Option<Cursor>,
    ) -> Answer<Replayed> {
        if since >= until {
            return Err(WebhookError::EndsBefore);
        }
        let endpoint = self.endpoint(account, id).await?;
        if endpoint.paused.is_some() {
            return Err(WebhookError::ResumeFirst);
        }
        let wanted = feed::Wanted {
            account,
            kinds: endpoint.kinds.clone(),
            stream: endpoint.stream.clone(),
            message: None,
            since: Some(since),
            until: Some(until),
            after,
            limit: REPLAYED,
        };
        let read = move |tx: &mut Tx<'_>| {
            if queue::waiting(tx, Some(id), MOST_WAITING + 1)? > MOST_WAITING {
                return Ok(None);
            }
            feed::read(tx, &wanted).map(Some)
        };
        let page = self.0.db.read("read what is to be replayed", read).await?;
        let page = page.ok_or(WebhookError::TooManyWait)?;
        let (now, ids) = (self.0.clock.now(), self.0.ids.clone());
        let new: Vec<Delivery> = page
            .events
            .iter()
            .map(|told| follow::delivery(id, told, ids.next(now), now))
            .collect();
        let queued = new.len() as u64;
        self.0
            .db
            .write("replay a webhook", move |tx| {
                new.iter().try_for_each(|delivery| queue::insert(tx, delivery))
            })
            .await?;
        self.0.poke.notify_one();
        Ok(Replayed {
            queued,
            next: page.cursor.filter(|_| page.more),
        })
    }
}

/// What is written into the audit log about an endpoint.
fn detail(endpoint: &Endpoint) -> String {
    let kinds = if endpoint.kinds.is_empty() {
        "every event".to_owned()
    } else {
        endpoint.kinds.join(", ")
    };
    match &endpoint.stream {
        Some(stream) => format!("{kinds}; {stream}"),
        None => kinds,
    }
}
