//! The bell between processes: one connection that passes our rings on and hears those of others.

use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, Client};

use super::connect::Server;
use crate::bell::{Bells, Topic};
use crate::error::{Result, StoreError};

/// Rings within this time are passed on as one. NOTIFY takes a lock that all commits with a NOTIFY share, which is
/// why it is not sent within the transactions themselves.
const GATHER: Duration = Duration::from_millis(10);
const RECONNECT: Duration = Duration::from_secs(1);

/// Lives as long as the database is open; the thread ends when this is dropped.
pub(crate) struct Listener {
    _stop: mpsc::Sender<()>,
}

impl Listener {
    /// `name` is this process's, so that it does not wake itself twice.
    pub(crate) fn start(server: Server, bells: Bells, name: String) -> Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| StoreError::other("start a runtime for the bell", error))?;
        let (stop, mut stopped) = mpsc::channel(1);
        std::thread::Builder::new()
            .name("store-bell".into())
            .spawn(move || {
                runtime.block_on(async {
                    let work = pin!(listen(&server, &bells, &name));
                    // Nothing is ever sent: the channel closes when the listener is dropped.
                    select(pin!(stopped.recv()), work).await;
                });
            })
            .map_err(|error| StoreError::other("start the bell's thread", error))?;
        Ok(Self { _stop: stop })
    }
}

async fn listen(server: &Server, bells: &Bells, name: &str) {
    loop {
        if let Err(error) = listen_once(server, bells, name).await {
            // Whoever waits for the bell polls meanwhile.
            tracing::debug!(%error, "the bell between processes is silent, connecting again");
        }
        tokio::time::sleep(RECONNECT).await;
    }
}

async fn listen_once(server: &Server, bells: &Bells, name: &str) -> Result<()> {
    let (client, mut connection) = server.connect().await?;
    let (heard, mut hear) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut messages = futures_util::stream::poll_fn(|cx| connection.poll_message(cx));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notification(note) = message
                && heard
                    .send((note.channel().to_owned(), note.payload().to_owned()))
                    .is_err()
            {
                return;
            }
        }
    });
    for topic in Topic::ALL {
        execute(&client, &format!("LISTEN {}", topic.channel())).await?;
    }
    // What was rung while nobody listened.
    for topic in Topic::ALL {
        bells.ring_here(topic.channel());
    }
    loop {
        let rung = match select(pin!(hear.recv()), pin!(bells.outgoing())).await {
            Either::Left((None, _)) => return Err(StoreError::other("listen", "the connection ended")),
            Either::Left((Some((channel, payload)), _)) => {
                if payload != name {
                    bells.ring_here(&channel);
                }
                continue;
            }
            Either::Right((topics, _)) => topics,
        };
        for topic in rung.iter() {
            execute(&client, &format!("NOTIFY {}, '{name}'", topic.channel())).await?;
        }
        tokio::time::sleep(GATHER).await;
    }
}

async fn execute(client: &Client, sql: &str) -> Result<()> {
    client
        .batch_execute(sql)
        .await
        .map_err(|error| super::types::error(sql, &error))
}
