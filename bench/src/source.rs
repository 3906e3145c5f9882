//! The load: many sessions at once, each sending the next message as soon as the last one was answered.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use tokio::task::LocalSet;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use crate::clock;
use crate::message::Template;
use crate::wire::{Client, connector};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Security {
    None,
    Starttls,
    Implicit,
}

#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Where to send
    pub server: SocketAddr,
    #[arg(long, default_value_t = 20_000)]
    pub messages: u64,
    /// The number of the first one
    #[arg(long, default_value_t = 0)]
    pub first: u64,
    /// Octets a message, headers included
    #[arg(long, default_value_t = 4096)]
    pub size: usize,
    /// An HTML newsletter with a link in each paragraph instead of plain text
    #[arg(long)]
    pub html: bool,
    /// A header field of each message, such as "X-Posthouse-Track: clicks"
    #[arg(long)]
    pub header: Vec<String>,
    /// Sessions at the same time
    #[arg(long, default_value_t = 50)]
    pub sessions: usize,
    /// Envelope recipients a message
    #[arg(long, default_value_t = 1)]
    pub recipients: u64,
    /// Domains that the recipients are spread over
    #[arg(long, default_value_t = 1)]
    pub domains: u64,
    /// Messages before a session connects anew; 0 for no end
    #[arg(long, default_value_t = 0)]
    pub per_connection: u64,
    /// Wait for each reply before the next command
    #[arg(long)]
    pub no_pipelining: bool,
    #[arg(long, default_value = "bench@bench.example")]
    pub from: String,
    #[arg(long, value_enum, default_value_t = Security::None)]
    pub tls: Security,
    #[arg(long, requires = "password")]
    pub user: Option<String>,
    #[arg(long)]
    pub password: Option<String>,
}

/// What the source saw.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Sent {
    pub accepted: u64,
    pub refused: u64,
    pub broken_connections: u64,
    /// Microseconds since 1970.
    pub started: u64,
    pub ended: u64,
    /// Of one transaction, from MAIL to the reply to its end, in microseconds.
    pub latency_p50: u64,
    pub latency_p99: u64,
    pub latency_max: u64,
    pub first_trouble: Option<String>,
}

/// What the sessions share; they run on one thread.
struct Load {
    options: Options,
    template: Template,
    connector: TlsConnector,
    next: Cell<u64>,
    accepted: Cell<u64>,
    refused: Cell<u64>,
    broken: Cell<u64>,
    latencies: RefCell<Vec<u32>>,
    trouble: RefCell<Option<String>>,
}

pub async fn command(options: Options) -> io::Result<()> {
    let sent = run(options).await;
    println!("{}", serde_json::to_string(&sent).map_err(io::Error::other)?);
    Ok(())
}

async fn run(options: Options) -> Sent {
    let load = Rc::new(Load {
        template: Template::new(&options.from, options.size, options.html, &options.header),
        connector: connector(),
        next: Cell::new(options.first),
        accepted: Cell::new(0),
        refused: Cell::new(0),
        broken: Cell::new(0),
        latencies: RefCell::new(Vec::with_capacity(options.messages as usize)),
        trouble: RefCell::new(None),
        options,
    });
    let started = clock::now();
    let sessions = LocalSet::new();
    for _ in 0..load.options.sessions {
        let load = Rc::clone(&load);
        sessions.spawn_local(async move { load.session().await });
    }
    sessions.await;
    Sent {
        accepted: load.accepted.get(),
        refused: load.refused.get(),
        broken_connections: load.broken.get(),
        first_trouble: load.trouble.take(),
        ..Sent::timed(started, clock::now(), load.latencies.take())
    }
}

impl Sent {
    /// With the latencies of what was sent, in microseconds.
    pub fn timed(started: u64, ended: u64, mut latencies: Vec<u32>) -> Self {
        latencies.sort_unstable();
        let at = |share: f64| {
            let place = (latencies.len() as f64 * share) as usize;
            latencies
                .get(place.min(latencies.len().saturating_sub(1)))
                .copied()
                .map_or(0, u64::from)
        };
        Self {
            started,
            ended,
            latency_p50: at(0.5),
            latency_p99: at(0.99),
            latency_max: at(1.0),
            ..Self::default()
        }
    }
}

fn count(cell: &Cell<u64>) {
    cell.set(cell.get() + 1);
}

impl Load {
    fn take_number(&self) -> Option<u64> {
        let number = self.next.get();
        (number < self.options.first + self.options.messages).then(|| {
            self.next.set(number + 1);
            number
        })
    }

    fn note(&self, trouble: &str) {
        self.trouble
            .borrow_mut()
            .get_or_insert_with(|| trouble.to_owned());
    }

    /// Connections one after the other until no message is left. A hundred broken ones end the load.
    async fn session(&self) {
        let mut pending = self.take_number();
        while pending.is_some() && self.broken.get() < 100 {
            if let Err(error) = self.connection(&mut pending).await {
                self.note(&error.to_string());
                count(&self.broken);
            }
        }
    }

    /// Sends `pending` and what follows over one connection; what was not answered stays pending.
    async fn connection(&self, pending: &mut Option<u64>) -> io::Result<()> {
        let mut client = self.open().await?;
        let mut left = if self.options.per_connection == 0 {
            u64::MAX
        } else {
            self.options.per_connection
        };
        let (mut envelope, mut content) = (String::new(), Vec::new());
        while let Some(number) = *pending {
            if left == 0 {
                break;
            }
            left -= 1;
            self.envelope(number, &mut envelope);
            self.template.write(number, &mut content);
            let started = Instant::now();
            match self.transaction(&mut client, &envelope, &content).await? {
                250 => {
                    count(&self.accepted);
                    let micros = started.elapsed().as_micros();
                    self.latencies
                        .borrow_mut()
                        .push(u32::try_from(micros).unwrap_or(u32::MAX));
                }
                code => {
                    count(&self.refused);
                    self.note(&format!("refused with {code}"));
                    client.command("RSET", 2).await?;
                }
            }
            *pending = self.take_number();
        }
        client.command("QUIT", 2).await
    }

    async fn open(&self) -> io::Result<Client> {
        let mut client = Client::connect(self.options.server).await?;
        if self.options.tls == Security::Implicit {
            client = client.turn_to_tls(&self.connector).await?;
        }
        client.expect(2).await?;
        client.command("EHLO bench.example", 2).await?;
        if self.options.tls == Security::Starttls {
            client.command("STARTTLS", 2).await?;
            client = client.turn_to_tls(&self.connector).await?;
            client.command("EHLO bench.example", 2).await?;
        }
        if let (Some(user), Some(password)) = (&self.options.user, &self.options.password) {
            let initial = BASE64_STANDARD.encode(format!("\0{user}\0{password}"));
            client.command(&format!("AUTH PLAIN {initial}"), 2).await?;
        }
        Ok(client)
    }

    /// MAIL, every RCPT and DATA, a line each.
    fn envelope(&self, number: u64, out: &mut String) {
        out.clear();
        let _ = write!(out, "MAIL FROM:<{}>\r\n", self.options.from);
        for recipient in 0..self.options.recipients {
            let domain = (number + recipient) % self.options.domains;
            let _ = write!(out, "RCPT TO:<r{recipient}@d{domain}.sink.example>\r\n");
        }
        out.push_str("DATA\r\n");
    }

    /// One transaction; the code that ended it.
    async fn transaction(&self, client: &mut Client, envelope: &str, content: &[u8]) -> io::Result<u16> {
        if self.options.no_pipelining {
            for line in envelope.split_inclusive("\r\n") {
                client.send(line.as_bytes()).await?;
                let code = client.reply().await?;
                if code >= 400 {
                    return Ok(code);
                }
            }
        } else {
            client.send(envelope.as_bytes()).await?;
            let mut code = 0;
            let mut trouble = None;
            for _ in 0..self.options.recipients + 2 {
                code = client.reply().await?;
                if code >= 400 {
                    trouble.get_or_insert(code);
                }
            }
            if code != 354 {
                return Ok(trouble.unwrap_or(code));
            }
        }
        client.send(content).await?;
        client.reply().await
    }
}
