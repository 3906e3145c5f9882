//! The load by the API: batches of 500, a few requests at a time.

use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use clap::Args;
use serde_json::{Value, json};
use tokio::time::Instant;
use ureq::Agent;

use crate::clock;
use crate::relay::{PASSWORD, USER};
use crate::source::Sent;

/// The most that one request may bring.
const BATCH: u64 = 500;
const REQUESTS: usize = 4;

#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Where the API is
    pub server: SocketAddr,
    #[arg(long, default_value_t = 20_000)]
    pub messages: u64,
    /// The number of the first one
    #[arg(long, default_value_t = 0)]
    pub first: u64,
    /// Octets of text a message
    #[arg(long, default_value_t = 4096)]
    pub size: usize,
}

/// The API as the account of the load sees it.
pub struct Api {
    agent: Agent,
    base: String,
    cookie: String,
}

impl Api {
    pub fn sign_in(server: SocketAddr) -> io::Result<Self> {
        let config = Agent::config_builder().http_status_as_error(false).build();
        let mut api = Self {
            agent: Agent::new_with_config(config),
            base: format!("http://{server}"),
            cookie: String::new(),
        };
        let (_, cookie) = api.ask("/api/v1/session", &json!({"email": USER, "password": PASSWORD}))?;
        api.cookie = cookie.ok_or_else(|| io::Error::other("no session"))?;
        Ok(api)
    }

    pub fn post(&self, path: &str, body: &Value) -> io::Result<Value> {
        Ok(self.ask(path, body)?.0)
    }

    /// The answer, and the cookie that came with it.
    fn ask(&self, path: &str, body: &Value) -> io::Result<(Value, Option<String>)> {
        let request = self.agent.post(format!("{}{path}", self.base));
        let request = request
            .header("Origin", &self.base)
            .header("Cookie", &self.cookie);
        let mut answer = request.send_json(body).map_err(io::Error::other)?;
        let cookie = answer.headers().get("set-cookie");
        let cookie = cookie.and_then(|cookie| cookie.to_str().ok()?.split(';').next().map(str::to_owned));
        let status = answer.status();
        let text = answer.body_mut().read_to_string().map_err(io::Error::other)?;
        if !status.is_success() {
            return Err(io::Error::other(format!("{path}: {status} {text}")));
        }
        Ok((serde_json::from_str(&text)?, cookie))
    }
}

pub fn command(options: &Options) -> io::Result<()> {
    let api = Api::sign_in(options.server)?;
    let (next, accepted, refused) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let (latencies, trouble) = (Mutex::new(Vec::new()), Mutex::new(None));
    let text = "The quick post horse carries the letter over the hill.\n".repeat(options.size / 55);
    let one = || -> io::Result<()> {
        loop {
            let from = next.fetch_add(BATCH, Ordering::Relaxed);
            if from >= options.messages {
                return Ok(());
            }
            let numbers = from..(from + BATCH).min(options.messages);
            let messages: Vec<Value> = numbers
                .map(|number| {
                    json!({
                        "from": USER,
                        "to": ["recipient@sink.example"],
                        "subject": "One of many",
                        "text": text,
                        "headers": {"X-Bench-Number": (options.first + number).to_string()},
                    })
                })
                .collect();
            let asked = Instant::now();
            let answer = api.post("/api/v1/messages/batch", &json!({"messages": messages}))?;
            if let Ok(mut latencies) = latencies.lock() {
                latencies.push(asked.elapsed().as_micros() as u32);
            }
            accepted.fetch_add(answer["accepted"].as_u64().unwrap_or(0), Ordering::Relaxed);
            refused.fetch_add(answer["refused"].as_u64().unwrap_or(0), Ordering::Relaxed);
        }
    };
    let started = clock::now();
    thread::scope(|scope| {
        for _ in 0..REQUESTS {
            scope.spawn(|| {
                if let (Err(error), Ok(mut trouble)) = (one(), trouble.lock()) {
                    *trouble = Some(error.to_string());
                }
            });
        }
    });
    let ended = clock::now();
    let first_trouble = trouble.into_inner().unwrap_or_default();
    let sent = Sent {
        accepted: accepted.into_inner(),
        refused: refused.into_inner(),
        broken_connections: u64::from(first_trouble.is_some()),
        first_trouble,
        ..Sent::timed(started, ended, latencies.into_inner().unwrap_or_default())
    };
    println!("{}", serde_json::to_string(&sent)?);
    Ok(())
}
