//! News as they happen: one reader of the event log, any number of listeners over server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use accounts::Scope;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use store::events::{self, Cursor, Logged};
use store::{Db, Id, Topic};
use tokio::sync::{Notify, broadcast, mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Parts;
use super::auth::Caller;
use super::error::{ApiError, ApiResult};
use super::json::Params;
use crate::budget::{Claim, Fair};

/// Events read at once.
const PAGE: i64 = 500;
/// Events a listener may lie behind before it misses some.
const BEHIND: usize = 8_192;
/// What a listener that comes back is told of the time it was away.
const CAUGHT_UP: usize = 2_000;
/// Without a bell the log is looked at this often, and with one no more often than [`BREATH`].
const POLL: Duration = Duration::from_secs(2);
const BREATH: Duration = Duration::from_millis(100);
/// Connections that say nothing are cut by proxies; and a listener who was signed out shall not listen on.
const PING: Duration = Duration::from_secs(20);

/// Open streams, of all accounts and of one.
const LISTENERS: usize = 4_000;
const LISTENERS_OF_ONE: usize = 100;

/// Hands the event log on to whoever listens. Reads nothing while nobody does.
#[derive(Clone)]
pub struct Live(Arc<Inner>);

struct Inner {
    db: Db,
    news: broadcast::Sender<Arc<Logged>>,
    /// Up to where everything was handed on; none while nobody reads. Changed under `turn` only.
    position: watch::Sender<Option<Cursor>>,
    /// Subscribing, handing a page on and falling asleep happen one after the other.
    turn: Mutex<()>,
    wake: Notify,
    listeners: Fair,
    stop: CancellationToken,
}

/// What a new listener holds before it caught up.
struct Subscription {
    news: broadcast::Receiver<Arc<Logged>>,
    position: watch::Receiver<Option<Cursor>>,
}

impl Live {
    /// Starts the reader; it ends, and every listener with it, when `stop` is cancelled.
    pub fn start(db: Db, stop: CancellationToken) -> Self {
        let live = Self(Arc::new(Inner {
            db,
            news: broadcast::Sender::new(BEHIND),
            position: watch::Sender::new(None),
            turn: Mutex::new(()),
            wake: Notify::new(),
            listeners: Fair::new(LISTENERS, LISTENERS_OF_ONE),
            stop,
        }));
        tokio::spawn(live.clone().read());
        live
    }

    fn subscribe(&self) -> Subscription {
        let turn = self.0.turn.lock();
        let subscription = Subscription {
            news: self.0.news.subscribe(),
            position: self.0.position.subscribe(),
        };
        drop(turn);
        self.0.wake.notify_one();
        subscription
    }

    async fn read(self) {
        let inner = &self.0;
        let mut bell = inner.db.bell(Topic::Events);
        loop {
            tokio::select! {
                () = inner.stop.cancelled() => return,
                () = inner.wake.notified() => {}
            }
            let mut cursor = None;
            while !self.sleeps() {
                let more = match self.hand_on(&mut cursor).await {
                    Ok(more) => more,
                    Err(error) => {
                        tracing::warn!(%error, "the event log could not be read for live news");
                        false
                    }
                };
                if !more {
                    tokio::select! {
                        () = inner.stop.cancelled() => return,
                        _ = timeout(POLL, bell.rung()) => {}
                    }
                    // Events come in crowds; one look takes them together.
                    sleep(BREATH).await;
                }
            }
        }
    }

    /// Whether there is nobody to read for.
    fn sleeps(&self) -> bool {
        let _turn = self.0.turn.lock();
        let nobody = self.0.news.receiver_count() == 0;
        if nobody {
            self.0.position.send_replace(None);
        }
        nobody
    }

    /// Reads a page and hands it on; true when there may be more.
    async fn hand_on(&self, cursor: &mut Option<Cursor>) -> store::Result<bool> {
        let inner = &self.0;
        let Some(from) = *cursor else {
            let start = inner
                .db
                .read("find the end of the event log", events::latest)
                .await?;
            let _turn = inner.turn.lock();
            inner.position.send_replace(Some(start));
            *cursor = Some(start);
            return Ok(true);
        };
        let page = inner
            .db
            .read("read the event log", move |tx| events::read_after(tx, from, PAGE))
            .await?;
        let Some(last) = page.last() else { return Ok(false) };
        let _turn = inner.turn.lock();
        *cursor = Some(last.cursor);
        inner.position.send_replace(*cursor);
        let more = page.len() as i64 == PAGE;
        for event in page {
            // An error says that the last listener has just left.
            let _ = inner.news.send(Arc::new(event));
        }
        Ok(more)
    }
}

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new().routes(routes!(listen))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Listen {
    /// The news of all accounts. Operators only.
    #[param(required = false)]
    #[serde(default)]
    all: bool,
}

/// One piece of news, the data of an event of the stream.
#[derive(Serialize, ToSchema)]
struct RecipientEvent {
    /// Its place in the stream, which is also the event's id.
    #[schema(example = "0-345")]
    seq: String,
    /// What happened.
    #[schema(example = "delivered")]
    kind: String,
    message: String,
    /// The recipient it happened to; null for the message as a whole.
    #[schema(required = true)]
    ordinal: Option<i64>,
    #[schema(format = DateTime)]
    at: String,
}

/// Listen to news
///
/// Server-sent events. `event: recipient` says that something happened to a message of the account; its data is a
/// `RecipientEvent`. `event: ping` comes every 20 seconds. `event: gap` says that news were left out because there were
/// too many: read again what you show. A connection that comes back with `Last-Event-ID` is told what it missed.
#[utoipa::path(
    get, path = "/live", tag = "live", operation_id = "listen", params(Listen),
    responses((status = 200, description = "The stream", body = RecipientEvent, content_type = "text/event-stream")),
    security(("key" = ["messages"]), ("key" = ["read"]), ("session" = [])),
)]
async fn listen(
    State(parts): State<Parts>,
    caller: Caller,
    headers: HeaderMap,
    Params(asked): Params<Listen>,
) -> ApiResult<Response> {
    caller.reads(Scope::Messages)?;
    if asked.all {
        caller.needs(Scope::Operator)?;
    }
    let Some(claim) = parts.live.0.listeners.claim(caller.account_id(), 1) else {
        return Err(ApiError::ManyListeners);
    };
    let last = headers
        .get("last-event-id")
        .and_then(|id| id.to_str().ok()?.parse::<Cursor>().ok());
    let subscription = parts.live.subscribe();
    let from = match last {
        Some(cursor) => cursor,
        None => {
            parts
                .db
                .read("find the end of the event log", events::latest)
                .await?
        }
    };
    let (sender, receiver) = mpsc::channel(64);
    let listener = Listener {
        account: (!asked.all).then(|| caller.account_id()),
        caller,
        parts,
        sender,
        from,
        _claim: claim,
    };
    tokio::spawn(listener.run(subscription));
    let events = stream::unfold(receiver, |mut receiver| async move {
        let event = receiver.recv().await?;
        Some((Ok::<_, Infallible>(event), receiver))
    });
    Ok(Sse::new(events).into_response())
}

struct Listener {
    parts: Parts,
    caller: Caller,
    /// Whose news; none is everybody's.
    account: Option<Id>,
    sender: mpsc::Sender<Event>,
    /// Everything up to here was told.
    from: Cursor,
    _claim: Claim,
}

/// The client has gone, or is not to be told more.
struct Over;

impl Listener {
    async fn run(mut self, subscription: Subscription) {
        let stop = self.parts.live.0.stop.clone();
        let client = self.sender.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            () = client.closed() => {}
            _ = self.tell(subscription) => {}
        }
    }

    async fn tell(&mut self, mut subscription: Subscription) -> Result<(), Over> {
        // The first words tell the browser that the stream is open.
        self.send(ping()).await?;
        self.catch_up(&mut subscription).await?;
        let mut next_ping = Instant::now() + PING;
        loop {
            let received = tokio::select! {
                received = subscription.news.recv() => received,
                () = sleep_until(next_ping) => {
                    next_ping = Instant::now() + PING;
                    if !self.may_listen_on().await {
                        return Err(Over);
                    }
                    self.send(ping()).await?;
                    continue;
                }
            };
            match received {
                Ok(event) => self.event(&event).await?,
                Err(broadcast::error::RecvError::Lagged(_)) => self.send(gap()).await?,
                Err(broadcast::error::RecvError::Closed) => return Err(Over),
            }
        }
    }

    /// Tells what happened between `from` and the place from which the subscription hears everything.
    async fn catch_up(&mut self, subscription: &mut Subscription) -> Result<(), Over> {
        let position = subscription
            .position
            .wait_for(Option::is_some)
            .await
            .map(|position| *position);
        let Ok(Some(until)) = position else {
            return Err(Over);
        };
        let mut told = 0;
        while self.from < until {
            if told >= CAUGHT_UP {
                self.from = until;
                return self.send(gap()).await;
            }
            let from = self.from;
            let page = self
                .parts
                .db
                .read("read missed events", move |tx| events::read_after(tx, from, PAGE))
                .await;
            let page = page.map_err(|_| Over)?;
            if page.is_empty() {
                return Ok(());
            }
            told += page.len();
            for event in page {
                self.event(&event).await?;
            }
        }
        Ok(())
    }

    async fn event(&mut self, event: &Logged) -> Result<(), Over> {
        if event.cursor <= self.from {
            return Ok(());
        }
        self.from = event.cursor;
        let Some(message) = event.message else {
            return Ok(());
        };
        if self.account.is_some_and(|account| account != event.account) {
            return Ok(());
        }
        let news = RecipientEvent {
            seq: event.cursor.to_string(),
            kind: event.kind.clone(),
            message: message.to_string(),
            ordinal: event.ordinal,
            at: event.at.rfc3339(),
        };
        let data = serde_json::to_string(&news).expect("texts and numbers are always JSON");
        self.send(Event::default().event("recipient").id(news.seq).data(data))
            .await
    }

    async fn send(&self, event: Event) -> Result<(), Over> {
        self.sender.send(event).await.map_err(|_| Over)
    }

    /// Whether the session or key that opened the stream still stands.
    async fn may_listen_on(&self) -> bool {
        if let Some(looking) = &self.caller.looking {
            return looking.goes_on(&self.parts).await;
        }
        let accounts = &self.parts.accounts;
        let valid = async {
            accounts.refresh().await?;
            accounts.still_valid(&self.caller.principal).await
        };
        let signed_in = match &self.caller.session {
            Some(token) => accounts
                .find_session(token)
                .await
                .is_ok_and(|session| session.is_some()),
            None => true,
        };
        if !signed_in || matches!(valid.await, Ok(accounts::Validity::SignedOut)) {
            return false;
        }
        // Everybody's news are for operators, and a role can change.
        self.account.is_some()
            || accounts
                .role(&self.caller.principal)
                .await
                .is_ok_and(|role| role.is_some_and(|role| role.scopes(true).contains(Scope::Operator)))
    }
}

fn ping() -> Event {
    Event::default().event("ping").data("")
}

fn gap() -> Event {
    Event::default().event("gap").data("")
}
