//! The flood: sign-ins that are all refused, from as many networks as are wanted, at a pace or as fast as they are answered.

use std::cell::Cell;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep_until};
use tokio_rustls::TlsConnector;

use crate::clock;
use crate::wire::{Client, connector};

/// Tries on one connection, after which the server hangs up.
const TRIES: u32 = 3;

#[derive(Debug, Clone, Args)]
pub struct Options {
    /// A port with TLS from the first byte
    pub server: SocketAddr,
    /// Tries a second; 0 for as many as are answered
    #[arg(long, default_value_t = 0)]
    pub rate: u32,
    /// Networks (/24) of 127.0.0.0/8 that they come from
    #[arg(long, default_value_t = 1_000)]
    pub networks: u32,
    /// Connections at the same time
    #[arg(long, default_value_t = 100)]
    pub connections: u32,
}

/// How the tries were answered.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Answered {
    /// With 535: the password was looked at.
    pub refused: u64,
    /// With 454: the client is locked out, or the server has too much to do.
    pub put_off: u64,
    /// Otherwise, or by a connection that broke.
    pub otherwise: u64,
    /// Microseconds since 1970.
    pub started: u64,
    pub ended: u64,
}

impl Answered {
    /// Tries a second that did not get in.
    pub fn per_second(&self) -> f64 {
        (self.refused + self.put_off) as f64 / clock::seconds(self.started, self.ended)
    }
}

/// What the connections share; they run on one thread.
struct Flood {
    options: Options,
    connector: TlsConnector,
    began: Instant,
    tries: Cell<u32>,
    refused: Cell<u64>,
    put_off: Cell<u64>,
    otherwise: Cell<u64>,
}

pub async fn command(options: Options) -> io::Result<()> {
    let flood = Rc::new(Flood {
        connector: connector(),
        began: Instant::now(),
        tries: Cell::new(0),
        refused: Cell::new(0),
        put_off: Cell::new(0),
        otherwise: Cell::new(0),
        options,
    });
    let started = clock::now();
    let connections = LocalSet::new();
    for _ in 0..flood.options.connections {
        let flood = Rc::clone(&flood);
        connections.spawn_local(async move {
            loop {
                if flood.connection().await.is_err() {
                    count(&flood.otherwise);
                }
            }
        });
    }
    let (end, over) = oneshot::channel();
    thread::spawn(move || {
        let _ = end.send(io::copy(&mut io::stdin(), &mut io::sink()));
    });
    // Whatever came of reading, there is no more to wait for.
    let _ = connections.run_until(over).await;
    let answered = Answered {
        refused: flood.refused.get(),
        put_off: flood.put_off.get(),
        otherwise: flood.otherwise.get(),
        started,
        ended: clock::now(),
    };
    println!("{}", serde_json::to_string(&answered).map_err(io::Error::other)?);
    Ok(())
}

fn count(cell: &Cell<u64>) {
    cell.set(cell.get() + 1);
}

impl Flood {
    /// Waits until it is the next one's turn, and says which that is.
    async fn turn(&self) -> u32 {
        let number = self.tries.get();
        self.tries.set(number.wrapping_add(1));
        if self.options.rate > 0 {
            let due = Duration::from_secs(1) * number / self.options.rate;
            sleep_until(self.began + due).await;
        }
        number
    }

    async fn connection(&self) -> io::Result<()> {
        let first = self.turn().await;
        let network = first % self.options.networks;
        let [_, _, high, low] = network.to_be_bytes();
        let from = Ipv4Addr::new(127, 100_u8.wrapping_add(high), low, 1);
        let mut client = Client::connect_from(self.options.server, from)
            .await?
            .turn_to_tls(&self.connector)
            .await?;
        client.expect(2).await?;
        client.command("EHLO flood.example", 2).await?;
        for n in 0..TRIES {
            let number = if n == 0 { first } else { self.turn().await };
            let secret = format!("\0user{number}@bench.example\0guess number {number}");
            let initial = BASE64_STANDARD.encode(secret);
            client
                .send(format!("AUTH PLAIN {initial}\r\n").as_bytes())
                .await?;
            match client.reply().await? {
                535 => count(&self.refused),
                454 => count(&self.put_off),
                code => return Err(io::Error::other(format!("answered with {code}"))),
            }
        }
        Ok(())
    }
}
